//! Relabelling, as Prometheus does it (`model/relabel`): rules that change, keep or drop a set of labels.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use regex::Regex;
use serde::Deserialize;

/// Labels by name while they are being changed; a label without a value is not there.
pub(crate) type Labelled = BTreeMap<String, String>;

/// One rule of `relabel_configs` or `metric_relabel_configs`, checked.
#[derive(Clone, Debug)]
pub struct Relabel {
    source_labels: Vec<String>,
    separator: String,
    /// Anchored on both sides, as Prometheus has it.
    regex: Regex,
    modulus: u64,
    target_label: String,
    replacement: String,
    action: Action,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    #[default]
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

/// A rule as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    source_labels: Vec<String>,
    #[serde(default = "semicolon")]
    separator: String,
    #[serde(default = "everything")]
    regex: String,
    #[serde(default)]
    modulus: u64,
    #[serde(default)]
    target_label: String,
    #[serde(default = "first_group")]
    replacement: String,
    #[serde(default)]
    action: Action,
}

fn semicolon() -> String {
    ";".to_owned()
}

fn everything() -> String {
    "(.*)".to_owned()
}

fn first_group() -> String {
    "$1".to_owned()
}

impl Relabel {
    /// Checks a rule as Prometheus writes it.
    ///
    /// Errors: an unknown field or action, a regex that is none, a label or modulus that the action needs is missing.
    pub fn read(value: serde_json::Value) -> Result<Self, String> {
        let raw: Raw = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let action = raw.action;
        let needs_target =
            !matches!(action, Action::Keep | Action::Drop | Action::LabelMap | Action::LabelDrop | Action::LabelKeep);
        if needs_target && raw.target_label.is_empty() {
            return Err(format!("action {action:?} needs a target_label"));
        }
        if action == Action::HashMod && raw.modulus == 0 {
            return Err("action hashmod needs a modulus above 0".to_owned());
        }
        if matches!(action, Action::Keep | Action::Drop) && raw.source_labels.is_empty() {
            return Err(format!("action {action:?} needs source_labels: without them it keeps or drops everything"));
        }
        let regex = Regex::new(&format!("^(?s:{})$", raw.regex))
            .map_err(|error| format!("regex {:?} is none: {error}", raw.regex))?;
        Ok(Self {
            source_labels: raw.source_labels,
            separator: raw.separator,
            regex,
            modulus: raw.modulus,
            target_label: raw.target_label,
            replacement: raw.replacement,
            action,
        })
    }

    /// Applies the rule; false where the labels are to be dropped.
    fn apply(&self, labels: &mut Labelled) -> bool {
        let value = || {
            let values = self.source_labels.iter().map(|name| labels.get(name).map_or("", String::as_str));
            values.collect::<Vec<_>>().join(&self.separator)
        };
        let target = labels.get(&self.target_label).map_or("", String::as_str);
        match self.action {
            Action::Keep => return self.regex.is_match(&value()),
            Action::Drop => return !self.regex.is_match(&value()),
            Action::KeepEqual => return target == value(),
            Action::DropEqual => return target != value(),
            Action::Replace => self.replace(&value(), labels),
            Action::Lowercase => set(labels, &self.target_label, value().to_lowercase()),
            Action::Uppercase => set(labels, &self.target_label, value().to_uppercase()),
            Action::HashMod => {
                let digest = Md5::digest(value().as_bytes());
                let last = digest[8..].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
                set(labels, &self.target_label, (last % self.modulus).to_string());
            }
            Action::LabelMap => {
                let mapped: Vec<_> = labels
                    .iter()
                    .filter(|(name, _)| self.regex.is_match(name))
                    .map(|(name, value)| (self.regex.replace_all(name, &self.replacement).into_owned(), value.clone()))
                    .collect();
                mapped.into_iter().for_each(|(name, value)| set(labels, &name, value));
            }
            Action::LabelDrop => labels.retain(|name, _| !self.regex.is_match(name)),
            Action::LabelKeep => labels.retain(|name, _| self.regex.is_match(name)),
        }
        true
    }

    fn replace(&self, value: &str, labels: &mut Labelled) {
        let Some(groups) = self.regex.captures(value) else { return };
        let expanded = |template: &str| {
            let mut text = String::new();
            groups.expand(template, &mut text);
            text
        };
        let name = expanded(&self.target_label);
        if !name.is_empty() {
            set(labels, &name, expanded(&self.replacement));
        }
    }
}

fn set(labels: &mut Labelled, name: &str, value: String) {
    if value.is_empty() {
        labels.remove(name);
    } else {
        labels.insert(name.to_owned(), value);
    }
}

/// Applies rules one after the other; false as soon as one drops the labels.
pub(crate) fn relabel(rules: &[Relabel], labels: &mut Labelled) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn after(rules: &Value, labels: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        let rules: Vec<_> = rules.as_array().expect("a list").iter().cloned().map(Relabel::read).collect();
        let rules: Vec<_> = rules.into_iter().map(|rule| rule.expect("a rule")).collect();
        let mut labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        relabel(&rules, &mut labels).then(|| labels.into_iter().collect())
    }

    fn pairs(of: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        Some(of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// Inputs and outcomes are those of Prometheus's own documentation and behaviour.
    #[test]
    fn every_action_does_what_prometheus_does() {
        let abc = [("a", "foo"), ("b", "bar"), ("c", "baz")];
        let cases = [
            (
                json!([{"source_labels": ["a"], "regex": "f(.*)", "target_label": "d", "replacement": "ch${1}-ch${1}"}]),
                pairs(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "choo-choo")]),
            ),
            (
                json!([{"source_labels": ["a", "b"], "regex": "f(.*);(.*)r", "target_label": "a", "replacement": "b${1}${2}m"},
                {"source_labels": ["c", "a"], "regex": "(b).*b(.*)ba(.*)", "target_label": "d", "replacement": "$1$2$2$3"}]),
                pairs(&[("a", "boobam"), ("b", "bar"), ("c", "baz"), ("d", "boooom")]),
            ),
            (json!([{"source_labels": ["a"], "regex": ".*o.*", "action": "drop"}]), None),
            (json!([{"source_labels": ["a"], "regex": "no-match", "action": "drop"}]), pairs(&abc)),
            (json!([{"source_labels": ["a"], "regex": "f|o", "action": "drop"}]), pairs(&abc)),
            (json!([{"source_labels": ["a"], "regex": "no-match", "action": "keep"}]), None),
            (json!([{"source_labels": ["a"], "regex": "f.*", "action": "keep"}]), pairs(&abc)),
            (json!([{"source_labels": ["a"], "target_label": "b", "action": "keepequal"}]), None),
            (json!([{"source_labels": ["a"], "target_label": "b", "action": "dropequal"}]), pairs(&abc)),
            (
                json!([{"source_labels": ["a"], "regex": "f.*", "target_label": "b", "replacement": ""}]),
                pairs(&[("a", "foo"), ("c", "baz")]),
            ),
            (
                json!([{"source_labels": ["a"], "regex": "(f).*", "target_label": "b_$1", "replacement": "x"}]),
                pairs(&[("a", "foo"), ("b", "bar"), ("b_f", "x"), ("c", "baz")]),
            ),
            (
                json!([{"regex": "(b|c)", "replacement": "new_$1", "action": "labelmap"}]),
                pairs(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("new_b", "bar"), ("new_c", "baz")]),
            ),
            (json!([{"regex": "b|c", "action": "labeldrop"}]), pairs(&[("a", "foo")])),
            (json!([{"regex": "b|c", "action": "labelkeep"}]), pairs(&[("b", "bar"), ("c", "baz")])),
            (
                json!([{"source_labels": ["a"], "target_label": "d", "action": "uppercase"}]),
                pairs(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "FOO")]),
            ),
            // The last eight bytes of the MD5 of "baz", big endian, modulo 1000, as Prometheus's own test has it.
            (
                json!([{"source_labels": ["c"], "target_label": "d", "separator": ";", "action": "hashmod", "modulus": 1000}]),
                pairs(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "976")]),
            ),
        ];
        for (rules, expected) in cases {
            assert_eq!(after(&rules, &abc), expected, "{rules}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        for (rule, reason) in [
            (json!({"action": "hashmod", "target_label": "a", "source_labels": ["b"]}), "modulus"),
            (json!({"action": "replace"}), "target_label"),
            (json!({"regex": "(", "target_label": "a"}), "regex"),
            (json!({"action": "keep"}), "source_labels"),
            (json!({"action": "shuffle"}), "shuffle"),
            (json!({"source_label": ["a"]}), "source_label"),
        ] {
            let error = Relabel::read(rule).expect_err("refused");
            assert!(error.contains(reason), "{error}");
        }
    }
}
