//! Rule files: Prometheus's YAML, checked when read.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use promql_parser::parser::Expr;
use serde::Deserialize;
use wattle_contract::{Labels, Timestamp};

use super::alert::Alert;
use crate::query::promql;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    groups: Vec<RawGroup>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    name: String,
    interval: Option<String>,
    query_offset: Option<String>,
    #[serde(default)]
    limit: usize,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    #[serde(rename = "for")]
    pending: Option<String>,
    keep_firing_for: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Rules that run one after the other.
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) interval: Duration,
    pub(crate) query_offset: Duration,
    /// Most series or alerts of a rule; 0 for any number.
    pub(crate) limit: usize,
    pub(crate) rules: Vec<Rule>,
    pub(crate) took: Duration,
    pub(crate) last: Timestamp,
}

/// One rule and how it is.
pub(crate) struct Rule {
    pub(crate) what: What,
    pub(crate) query: String,
    pub(crate) expr: Arc<Expr>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) error: Option<String>,
    pub(crate) took: Duration,
    pub(crate) last: Timestamp,
    /// Series it gave the last time.
    pub(crate) given: HashSet<Labels>,
}

/// What a rule makes of its query's result.
pub(crate) enum What {
    Record(String),
    Alert {
        name: String,
        pending: Duration,
        keep_firing: Duration,
        annotations: BTreeMap<String, String>,
        alerts: BTreeMap<Labels, Alert>,
    },
}

impl Rule {
    /// Gives the name of the recorded metric or of the alert.
    pub(crate) fn name(&self) -> &str {
        match &self.what {
            What::Record(name) | What::Alert { name, .. } => name,
        }
    }
}

/// Reads a rule file.
pub(super) fn parse(text: &str, path: &Path, interval: Duration) -> Result<Vec<Group>, String> {
    let raw: RawFile = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let mut seen = HashSet::new();
    let mut groups = Vec::new();
    for group in raw.groups {
        if !seen.insert(group.name.clone()) {
            return Err(format!("group {:?} is there twice", group.name));
        }
        let told = |reason: String| format!("group {:?}: {reason}", group.name);
        let mut rules = Vec::with_capacity(group.rules.len());
        for (at, rule) in group.rules.into_iter().enumerate() {
            rules.push(checked(rule, &group.labels).map_err(|reason| told(format!("rule {}: {reason}", at + 1)))?);
        }
        let every = duration(group.interval.as_deref()).map_err(told)?.unwrap_or(interval);
        groups.push(Group {
            query_offset: duration(group.query_offset.as_deref()).map_err(told)?.unwrap_or_default(),
            interval: if every.is_zero() { interval } else { every },
            file: path.display().to_string(),
            limit: group.limit,
            rules,
            took: Duration::ZERO,
            last: Timestamp::default(),
            name: group.name,
        });
    }
    Ok(groups)
}

fn checked(rule: RawRule, of_group: &BTreeMap<String, String>) -> Result<Rule, String> {
    let expr = Arc::new(promql::parse(&rule.expr).map_err(|error| format!("{:?}: {error}", rule.expr))?);
    let pending = duration(rule.pending.as_deref())?;
    let keep_firing = duration(rule.keep_firing_for.as_deref())?;
    let what = match (rule.record, rule.alert) {
        (Some(_), Some(_)) => return Err("has both record and alert".to_owned()),
        (None, None) => return Err("has neither record nor alert".to_owned()),
        (Some(_), None) if pending.is_some() || keep_firing.is_some() || !rule.annotations.is_empty() => {
            return Err("for, keep_firing_for and annotations belong to alerts".to_owned());
        }
        (Some(record), None) => What::Record(record),
        (None, Some(name)) => What::Alert {
            name,
            pending: pending.unwrap_or_default(),
            keep_firing: keep_firing.unwrap_or_default(),
            annotations: rule.annotations,
            alerts: BTreeMap::new(),
        },
    };
    let mut labels = of_group.clone();
    labels.extend(rule.labels);
    Ok(Rule {
        what,
        query: rule.expr.trim().to_owned(),
        expr,
        labels,
        error: None,
        took: Duration::ZERO,
        last: Timestamp::default(),
        given: HashSet::new(),
    })
}

fn duration(text: Option<&str>) -> Result<Option<Duration>, String> {
    let parse = |text: &str| match text {
        "0" => Ok(Duration::ZERO),
        _ => promql_parser::util::parse_duration(text).map_err(|error| format!("{text:?} is no duration: {error}")),
    };
    text.map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Group>, String> {
        parse(text, Path::new("rules.yml"), Duration::from_secs(60))
    }

    #[test]
    fn a_rule_file_of_prometheus_is_read() {
        let groups = read(
            "groups:\n- name: g\n  interval: 15s\n  labels: {team: a}\n  rules:\n  - record: a:b\n    expr: sum(b)\n  \
             - alert: Down\n    expr: up == 0\n    for: 5m\n    keep_firing_for: 1m\n    labels: {severity: page}\n    \
             annotations: {summary: '{{ $labels.job }} is down'}\n",
        )
        .expect("a rule file");

        assert_eq!((groups[0].name.as_str(), groups[0].interval), ("g", Duration::from_secs(15)));
        assert_eq!(groups[0].rules[1].labels["team"], "a");
        assert!(matches!(&groups[0].rules[1].what, What::Alert { pending, .. } if pending.as_secs() == 300));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, reason) in [
            ("groups:\n- name: g\n  rules:\n  - record: a\n    expr: sum(\n", "rule 1"),
            ("groups:\n- name: g\n  rules:\n  - expr: a\n", "neither record nor alert"),
            ("groups:\n- name: g\n  rules:\n  - {record: a, expr: b, for: 5m}\n", "belong to alerts"),
            ("groups:\n- {name: g, intervall: 5m}\n", "intervall"),
            ("groups:\n- {name: g}\n- {name: g}\n", "twice"),
            ("groups:\n- {name: g, interval: soon}\n", "no duration"),
        ] {
            let error = read(text).err().expect("refused");
            assert!(error.contains(reason), "{error}");
        }
    }
}
