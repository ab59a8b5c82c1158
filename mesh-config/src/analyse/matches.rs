//! Rules of one VirtualService that are never reached, because earlier ones take their requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Analysis;
use crate::decode::Decode;
use crate::finding::{Problem, RuleId};
use crate::kinds::virtual_service::{HttpMatchRequest, VirtualService};
use crate::resource::Resource;

const UNREACHABLE: RuleId = RuleId::warning("IST0130", "unreachable-rule");
const INEFFECTIVE: RuleId = RuleId::warning("IST0131", "ineffective-match");
const NO_SHARE: RuleId = RuleId::warning("WAT0113", "fault-without-percentage");

/// One rule of any protocol: its path and its conditions as text, by which equal ones are found.
struct Rule {
    path: String,
    conditions: Vec<String>,
}

/// Analyses matches.
pub(super) fn analyse(analysis: &mut Analysis<'_>) {
    for (resource, spec) in analysis.documents.of::<VirtualService>() {
        let http: Vec<Rule> = spec
            .http
            .iter()
            .enumerate()
            .map(|(index, rule)| Rule {
                path: format!("spec.http[{index}]"),
                conditions: rule.matches.iter().map(without_name).collect(),
            })
            .collect();
        let tls: Vec<Rule> = spec
            .tls
            .iter()
            .enumerate()
            .map(|(index, rule)| Rule {
                path: format!("spec.tls[{index}]"),
                conditions: rule.matches.iter().map(text).collect(),
            })
            .collect();
        let tcp: Vec<Rule> = spec
            .tcp
            .iter()
            .enumerate()
            .map(|(index, rule)| Rule {
                path: format!("spec.tcp[{index}]"),
                conditions: rule.matches.iter().map(text).collect(),
            })
            .collect();
        for rules in [&http, &tls, &tcp] {
            duplicates(analysis, resource, rules);
        }
        prefixes(analysis, resource, spec);
        faults(analysis, resource, spec);
    }
}

fn text<T: Decode>(one: &T) -> String {
    one.encode().map(|json| json.to_string()).unwrap_or_default()
}

fn without_name(one: &HttpMatchRequest) -> String {
    text(&HttpMatchRequest { name: String::new(), ..one.clone() })
}

fn duplicates(analysis: &mut Analysis<'_>, resource: &Arc<Resource>, rules: &[Rule]) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut open: Option<usize> = None;
    for (index, rule) in rules.iter().enumerate() {
        if let Some(open) = open {
            let message = format!("{} takes every request before", rules[open].path);
            let problem = Problem::new(UNREACHABLE, &rule.path, message);
            analysis
                .tell(resource, problem.effect("the rule is never reached").remedy("put the rule without match last"));
            continue;
        }
        if rule.conditions.is_empty() {
            open = Some(index);
            continue;
        }
        let mut repeated = 0;
        for (number, condition) in rule.conditions.iter().enumerate() {
            let Some(first) = seen.insert(condition, index) else { continue };
            repeated += 1;
            let message = format!("{} has the same match", rules[first].path);
            let problem = Problem::new(INEFFECTIVE, format!("{}.match[{number}]", rule.path), message);
            analysis.tell(resource, problem.effect("the earlier one takes its requests").remedy("remove one of them"));
        }
        if repeated == rule.conditions.len() {
            let problem = Problem::new(UNREACHABLE, &rule.path, "every match of the rule is used by earlier rules");
            analysis
                .tell(resource, problem.effect("the rule is never reached").remedy("remove it, or change its matches"));
        }
    }
}

/// A match that asks for a path prefix, and at most for a method beside.
struct Prefix<'a> {
    path: String,
    prefix: &'a str,
    method: Option<String>,
    key: String,
}

/// Tells of prefixes that lie within earlier ones.
fn prefixes(analysis: &mut Analysis<'_>, resource: &Arc<Resource>, spec: &VirtualService) {
    let mut seen: Vec<Prefix<'_>> = Vec::new();
    for (index, rule) in spec.http.iter().enumerate() {
        for (number, one) in rule.matches.iter().enumerate() {
            let Some(prefix) = one.uri.as_ref().and_then(|uri| uri.prefix.as_deref()) else { continue };
            let plain = HttpMatchRequest {
                name: String::new(),
                uri: one.uri.clone(),
                method: one.method.clone(),
                ..HttpMatchRequest::default()
            };
            if without_name(one) != text(&plain) {
                continue;
            }
            let path = format!("spec.http[{index}].match[{number}]");
            let this = Prefix { path, prefix, method: one.method.as_ref().map(text), key: without_name(one) };
            let covering = seen.iter().find(|earlier| {
                earlier.key != this.key
                    && this.prefix.starts_with(earlier.prefix)
                    && (earlier.method.is_none() || earlier.method == this.method)
            });
            if let Some(earlier) = covering {
                let message = format!("prefix {:?} begins with {:?} of {}", this.prefix, earlier.prefix, earlier.path);
                let problem = Problem::new(INEFFECTIVE, &this.path, message);
                analysis.tell(
                    resource,
                    problem.effect("the earlier match takes its requests").remedy("put the longer prefix first"),
                );
            }
            seen.push(this);
        }
    }
}

fn faults(analysis: &mut Analysis<'_>, resource: &Arc<Resource>, spec: &VirtualService) {
    for (index, rule) in spec.http.iter().enumerate() {
        let Some(fault) = &rule.fault else { continue };
        let delay =
            fault.delay.as_ref().filter(|delay| delay.percentage.is_none() && delay.percent == 0).map(|_| "delay");
        let abort = fault.abort.as_ref().filter(|abort| abort.percentage.is_none()).map(|_| "abort");
        for kind in delay.into_iter().chain(abort) {
            let path = format!("spec.http[{index}].fault.{kind}");
            let problem = Problem::new(NO_SHARE, path, format!("the {kind} has no percentage"));
            analysis.tell(
                resource,
                problem
                    .effect("it happens to no request: an absent percentage is 0")
                    .remedy("write percentage: {value: 100}"),
            );
        }
    }
}
