//! Whether the extender is really called, read from its own metrics.
//!
//! kube-scheduler tells nobody when a prioritize call fails: no event, no metric, no log line below level 5.

use std::collections::HashMap;

use super::{Finding, Severity};

/// What the extender's metrics say, as its `/metrics` gives them.
#[must_use]
pub fn calls(exposition: &str) -> Vec<Finding> {
    let seen = Seen::read(exposition);
    let mut findings = Vec::new();
    let mut say = |severity, label, message: String, remedy: &str| {
        findings.push(Finding { severity, label, message, remedy: remedy.to_owned() });
    };
    let prioritized = seen.sum("calls_total", &[r#"verb="prioritize""#]);
    if prioritized == 0.0 {
        say(
            Severity::Error,
            "never_called",
            "kube-scheduler has not called prioritize since this extender started".to_owned(),
            "check urlPrefix and that kube-scheduler was restarted after its configuration changed; then create a pod",
        );
    } else {
        say(
            Severity::Info,
            "called",
            format!("prioritize was called {prioritized} times"),
            "compare with the pods that were scheduled",
        );
    }
    let failed = prioritized - seen.sum("calls_total", &[r#"verb="prioritize""#, r#"code="200""#]);
    let gone = seen.sum("clients_gone_total", &[]);
    let late = seen.sum("deadline_misses_total", &[]);
    for (label, count, message, remedy) in [
        (
            "refused_calls",
            failed,
            "calls could not be read and had no effect",
            "look at wattle_scheduler_rejections_total",
        ),
        (
            "clients_gone",
            gone,
            "callers went away before the answer",
            "raise httpTimeout, or give the extender more processor time",
        ),
        (
            "deadline_misses",
            late,
            "answers were neutral because the time ran out",
            "give the extender more processor time, or raise scheduler.deadline",
        ),
        (
            "whole_nodes",
            seen.sum("whole_node_calls_total", &[]),
            "calls carried whole Node objects, which breaks kube-scheduler's own resource scoring",
            "set nodeCacheCapable: true",
        ),
    ] {
        if count > 0.0 {
            say(Severity::Warning, label, format!("{count} {message}"), remedy);
        }
    }
    age(&seen, &mut say);
    findings.sort();
    findings
}

fn age(seen: &Seen, say: &mut impl FnMut(Severity, &'static str, String, &str)) {
    match seen.first("data_age_seconds") {
        Some(age) if age < 0.0 => say(
            Severity::Error,
            "no_data",
            "no snapshot has arrived: every answer is neutral".to_owned(),
            "check scheduler.collector, and that the collector has targets",
        ),
        Some(age) if age > 120.0 => say(
            Severity::Warning,
            "old_data",
            format!("the newest measurement is {age:.0} s old"),
            "check that the collector runs and can be reached",
        ),
        _ => {}
    }
    let scored = seen.sum("candidates_total", &[]);
    let predicted = seen.sum("candidates_total", &[r#"reason="predicted""#]);
    if scored > 0.0 && predicted < 0.5 * scored {
        say(
            Severity::Warning,
            "mostly_neutral",
            format!("only {:.0} % of the candidates had a prediction", 100.0 * predicted / scored),
            "look at wattle_scheduler_candidates_total{reason}: a model or measurements are missing",
        );
    }
}

/// Values by metric, without the prefix, with their labels as written.
struct Seen<'a>(HashMap<&'a str, Vec<(&'a str, f64)>>);

impl<'a> Seen<'a> {
    fn read(exposition: &'a str) -> Self {
        let mut values: HashMap<&str, Vec<(&str, f64)>> = HashMap::new();
        for line in exposition.lines() {
            let Some(line) = line.strip_prefix("wattle_scheduler_") else { continue };
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            values.entry(name).or_default().push((labels, value));
        }
        Self(values)
    }

    fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let values = self.0.get(name).into_iter().flatten();
        values.filter(|(have, _)| labels.iter().all(|label| have.contains(label))).map(|(_, value)| value).sum()
    }

    fn first(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.first().map(|(_, value)| *value)
    }
}

/// Gives how many nodes Kubernetes lists, as the metrics tell; `None` where it is not watched.
#[must_use]
pub fn nodes(exposition: &str) -> Option<usize> {
    let seen = Seen::read(exposition).first("cluster_nodes")?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of nodes")]
    Some(seen as usize).filter(|nodes| *nodes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(exposition: &str) -> Vec<&'static str> {
        calls(exposition).into_iter().map(|finding| finding.label).collect()
    }

    #[test]
    fn an_extender_that_nobody_calls_is_told_from_one_that_works() {
        assert_eq!(labels("wattle_scheduler_data_age_seconds -1\n"), ["never_called", "no_data"]);

        let works = "# HELP x\nwattle_scheduler_calls_total{code=\"200\",verb=\"prioritize\"} 7\n\
            wattle_scheduler_calls_total{code=\"200\",verb=\"filter\"} 9\nwattle_scheduler_data_age_seconds 3\n\
            wattle_scheduler_candidates_total{reason=\"predicted\"} 70\nwattle_scheduler_cluster_nodes 12\n";
        assert_eq!(labels(works), ["called"]);
        assert_eq!(nodes(works), Some(12));
    }

    #[test]
    fn trouble_that_kube_scheduler_hides_is_told() {
        let trouble = "wattle_scheduler_calls_total{code=\"200\",verb=\"prioritize\"} 7\n\
            wattle_scheduler_calls_total{code=\"400\",verb=\"prioritize\"} 2\n\
            wattle_scheduler_clients_gone_total{verb=\"filter\"} 1\nwattle_scheduler_data_age_seconds 500\n\
            wattle_scheduler_whole_node_calls_total 3\nwattle_scheduler_deadline_misses_total{verb=\"prioritize\"} 1\n\
            wattle_scheduler_candidates_total{reason=\"predicted\"} 1\n\
            wattle_scheduler_candidates_total{reason=\"no_model\"} 9\n";

        let found = labels(trouble);

        for label in ["refused_calls", "clients_gone", "deadline_misses", "whole_nodes", "old_data", "mostly_neutral"] {
            assert!(found.contains(&label), "{label}: {found:?}");
        }
    }
}
