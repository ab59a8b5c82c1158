//! One alert: pending until it has been there long enough, firing, and resolved.

use std::collections::BTreeMap;
use std::time::Duration;

use wattle_contract::{Labels, Timestamp};

/// How long a resolved alert is still told, so that no receiver misses its end (as in Prometheus).
pub(super) const RESOLVED_KEPT: Duration = Duration::from_secs(15 * 60);

/// Where an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Firing,
    Resolved,
}

impl State {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "inactive",
        }
    }
}

/// An alert of one series of a rule's result.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    pub(crate) labels: Labels,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) state: State,
    pub(crate) value: f64,
    pub(crate) active: Timestamp,
    pub(crate) fired: Option<Timestamp>,
    pub(crate) resolved: Option<Timestamp>,
    /// Since when only `keep_firing_for` keeps it.
    pub(crate) kept_since: Option<Timestamp>,
    /// When it was last told.
    pub(crate) sent: Option<Timestamp>,
}

/// What a rule's result says of one alert.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) labels: Labels,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) value: f64,
    /// Since when it was active before a restart.
    pub(super) since: Option<Timestamp>,
}

/// Moves the alerts of a rule on to `now`.
pub(super) fn advance(
    alerts: &mut BTreeMap<Labels, Alert>,
    seen: BTreeMap<Labels, Seen>,
    now: Timestamp,
    pending: Duration,
    keep_firing: Duration,
) {
    let reached =
        |since: Timestamp, span: Duration| now.0 - since.0 >= i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    for (labels, alert) in alerts.iter_mut() {
        if seen.contains_key(labels) || alert.state == State::Resolved {
            continue;
        }
        if alert.state == State::Firing && !keep_firing.is_zero() {
            let since = *alert.kept_since.get_or_insert(now);
            if !reached(since, keep_firing) {
                continue;
            }
        }
        alert.resolved = (alert.state == State::Firing).then_some(now);
        alert.state = State::Resolved;
    }
    // What was only pending is gone at once; what fired is told for a while.
    alerts.retain(|labels, alert| {
        seen.contains_key(labels)
            || alert.state != State::Resolved
            || alert.resolved.is_some_and(|resolved| !reached(resolved, RESOLVED_KEPT))
    });
    for (labels, seen) in seen {
        let is_over = alerts.get(&labels).is_some_and(|alert| alert.state == State::Resolved);
        if is_over {
            alerts.remove(&labels);
        }
        let alert = alerts.entry(labels).or_insert_with(|| Alert {
            labels: seen.labels.clone(),
            annotations: BTreeMap::new(),
            state: State::Pending,
            value: seen.value,
            active: seen.since.unwrap_or(now),
            fired: None,
            resolved: None,
            kept_since: None,
            sent: None,
        });
        (alert.value, alert.annotations, alert.kept_since) = (seen.value, seen.annotations, None);
        if alert.state == State::Pending && reached(alert.active, pending) {
            (alert.state, alert.fired) = (State::Firing, Some(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_pending_then_fires_is_kept_and_ends() {
        let labels = Labels::new([("alertname", "Down")]);
        let mut alerts = BTreeMap::new();
        let mut at = |seconds: i64, is_seen: bool| {
            let seen = Seen { labels: labels.clone(), annotations: BTreeMap::new(), value: 1.0, since: None };
            let seen = if is_seen { BTreeMap::from([(labels.clone(), seen)]) } else { BTreeMap::new() };
            let (pending, keep) = (Duration::from_secs(60), Duration::from_secs(30));
            advance(&mut alerts, seen, Timestamp(seconds * 1000), pending, keep);
            alerts.get(&labels).map(|alert| alert.state)
        };

        assert_eq!(at(0, true), Some(State::Pending));
        assert_eq!(at(30, false), None);
        assert_eq!(at(60, true), Some(State::Pending));
        assert_eq!(at(119, true), Some(State::Pending));
        assert_eq!(at(120, true), Some(State::Firing));
        assert_eq!(at(130, false), Some(State::Firing));
        assert_eq!(at(159, false), Some(State::Firing));
        assert_eq!(at(160, false), Some(State::Resolved));
        assert_eq!(at(170, true), Some(State::Pending));
        assert_eq!(at(230, true), Some(State::Firing));
        assert_eq!(at(240, false), Some(State::Firing));
        assert_eq!(at(300, false), Some(State::Resolved));
        assert_eq!(at(300 + 900, false), None);
    }
}
