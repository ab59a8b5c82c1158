//! Rules and alerts as the API tells them.

use std::time::Duration;

use serde_json::{Value, json};
use wattle_contract::Timestamp;

use super::Groups;
use super::alert::{Alert, State};
use super::file::{Group, Rule, What};
use crate::query::prometheus_api::number;

/// Which rules are told of; an empty list does not narrow them down.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// `alert`, `record` or both.
    pub(crate) kind: Option<&'a str>,
    pub(crate) names: Vec<&'a str>,
    pub(crate) groups: Vec<&'a str>,
    pub(crate) files: Vec<&'a str>,
}

impl Wanted<'_> {
    fn takes_group(&self, group: &Group) -> bool {
        let among = |names: &[&str], name: &str| names.is_empty() || names.contains(&name);
        among(&self.groups, &group.name) && among(&self.files, &group.file)
    }

    fn takes(&self, rule: &Rule) -> bool {
        let is_kind = match self.kind {
            Some("alert") => matches!(rule.what, What::Alert { .. }),
            Some("record") => matches!(rule.what, What::Record(_)),
            _ => true,
        };
        is_kind && (self.names.is_empty() || self.names.contains(&rule.name()))
    }

    fn is_narrow(&self) -> bool {
        self.kind.is_some() || !self.names.is_empty()
    }
}

/// Gives `/api/v1/rules`.
pub(crate) fn groups(groups: &Groups, wanted: &Wanted<'_>) -> Value {
    let mut list: Vec<Value> = Vec::new();
    for group in groups.iter() {
        let group = group.read();
        let rules: Vec<Value> = group.rules.iter().filter(|rule| wanted.takes(rule)).map(rule_of).collect();
        // A group of which no rule is wanted is left out, as in Prometheus.
        if wanted.takes_group(&group) && !(rules.is_empty() && wanted.is_narrow()) {
            list.push(group_of(&group, &rules));
        }
    }
    json!({ "groups": list })
}

/// Gives `/api/v1/alerts`.
pub(crate) fn alerts(groups: &Groups) -> Value {
    let mut list = Vec::new();
    for group in groups.iter() {
        for rule in &group.read().rules {
            if let What::Alert { alerts, .. } = &rule.what {
                list.extend(live(alerts.values()).map(alert_of));
            }
        }
    }
    json!({ "alerts": list })
}

fn live<'a>(alerts: impl Iterator<Item = &'a Alert>) -> impl Iterator<Item = &'a Alert> {
    alerts.filter(|alert| alert.state != State::Resolved)
}

fn group_of(group: &Group, rules: &[Value]) -> Value {
    json!({
        "name": group.name,
        "file": group.file,
        "interval": group.interval.as_secs_f64(),
        "limit": group.limit,
        "rules": rules,
        "evaluationTime": group.took.as_secs_f64(),
        "lastEvaluation": rfc3339(group.last),
    })
}

fn rule_of(rule: &Rule) -> Value {
    let health = match (&rule.error, rule.last == Timestamp::default()) {
        (Some(_), _) => "err",
        (None, true) => "unknown",
        (None, false) => "ok",
    };
    let mut value = json!({
        "name": rule.name(), "query": rule.query, "labels": rule.labels, "health": health,
        "evaluationTime": rule.took.as_secs_f64(), "lastEvaluation": rfc3339(rule.last), "type": "recording",
    });
    if let Some(error) = &rule.error {
        value["lastError"] = error.as_str().into();
    }
    if let What::Alert { pending, keep_firing, annotations, alerts, .. } = &rule.what {
        let states = || live(alerts.values()).map(|alert| alert.state);
        let state = if states().any(|state| state == State::Firing) {
            State::Firing
        } else if states().next().is_some() {
            State::Pending
        } else {
            State::Resolved
        };
        value["type"] = "alerting".into();
        value["state"] = state.label().into();
        value["duration"] = seconds(*pending);
        value["keepFiringFor"] = seconds(*keep_firing);
        value["annotations"] = json!(annotations);
        value["alerts"] = live(alerts.values()).map(alert_of).collect();
    }
    value
}

fn seconds(span: Duration) -> Value {
    span.as_secs_f64().into()
}

fn alert_of(alert: &Alert) -> Value {
    let labels: std::collections::BTreeMap<&str, &str> = alert.labels.iter().collect();
    let mut value = json!({
        "labels": labels, "annotations": alert.annotations, "state": alert.state.label(),
        "activeAt": rfc3339(alert.active), "value": number(alert.value),
    });
    if let Some(since) = alert.kept_since {
        value["keepFiringSince"] = rfc3339(since).into();
    }
    value
}

/// Writes a time as Prometheus's JSON has it; that of never is year 1.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    if time == Timestamp::default() {
        return "0001-01-01T00:00:00Z".to_owned();
    }
    k8s_openapi::jiff::Timestamp::from_millisecond(time.0).map_or_else(|_| String::new(), |time| time.to_string())
}
