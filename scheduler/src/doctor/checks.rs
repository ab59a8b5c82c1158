//! The single checks.
//!
//! Source: behaviour of kube-scheduler v1.36, observed and read: defaults of kubescheduler.config.k8s.io/v1,
//! `numFeasibleNodesToFind`, weights of the default plugins.

use std::time::Duration;

use super::{Extender, Facts, Finding, KubeScheduler, Severity};

/// Default of `httpTimeout`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// What the default plugins give a node together at most: twelve weights of 100 points.
const DEFAULT_PLUGINS: i64 = 1200;
/// kube-scheduler multiplies an extender's score by this and the entry's weight.
const SCORE_FACTOR: i64 = 10;

pub(super) fn of_scheduler(read: &KubeScheduler, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if read.api_version != "kubescheduler.config.k8s.io/v1" {
        findings.push(error(
            "api_version",
            format!("apiVersion is {:?}: kube-scheduler from 1.29 on takes v1 only", read.api_version),
            "set apiVersion: kubescheduler.config.k8s.io/v1",
        ));
    }
    let asked = read.percentage_of_nodes_to_score.unwrap_or(0);
    if let Some(nodes) = facts.nodes {
        let seen = nodes_seen(nodes, asked);
        if seen < nodes {
            findings.push(warning(
                "percentage_of_nodes_to_score",
                format!("percentageOfNodesToScore {asked} shows the extender {seen} of {nodes} nodes per pod: the best may not be among them"),
                "set percentageOfNodesToScore: 100 where the best node matters more than the scheduler's time",
            ));
        }
    }
    let qps = read.client_connection.as_ref().and_then(|client| client.qps).unwrap_or(50.0);
    if qps <= 50.0 {
        findings.push(info(
            "qps",
            format!("clientConnection.qps {qps} caps bindings near {qps} pods a second, whatever the extender does"),
            "raise clientConnection.qps and burst where pods come faster",
        ));
    }
    findings
}

/// Source: `numFeasibleNodesToFind`: max(100, nodes · (50 - nodes / 125) percent, not under 5 percent).
fn nodes_seen(nodes: usize, percentage: i64) -> usize {
    if nodes < 100 || percentage >= 100 {
        return nodes;
    }
    let adaptive = (50 - i64::try_from(nodes / 125).unwrap_or(i64::MAX)).max(5);
    let percentage = if percentage > 0 { percentage } else { adaptive };
    nodes.min((nodes.saturating_mul(usize::try_from(percentage).unwrap_or(0)) / 100).max(100))
}

pub(super) fn not_configured(read: &KubeScheduler) -> Finding {
    let others: Vec<&str> = read.extenders.iter().flatten().map(|extender| extender.url_prefix.as_str()).collect();
    let message = if others.is_empty() {
        "no extender is configured: kube-scheduler never calls this one".to_owned()
    } else {
        format!(
            "no extender's urlPrefix ends in /scheduler (there are {}): this one is never called",
            others.join(", ")
        )
    };
    error(
        "not_configured",
        message,
        "add the extender entry, with the address that kube-scheduler reaches, and restart it: nothing is reloaded",
    )
}

pub(super) fn of_extender(extender: &Extender, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    verbs(extender, facts, &mut findings);
    weight(extender, facts, &mut findings);
    tls(extender, &mut findings);
    if !extender.node_cache_capable {
        findings.push(error(
            "node_cache_capable",
            "nodeCacheCapable is false: whole Node objects travel, and kube-scheduler's own resource scoring sees empty nodes (kubernetes/kubernetes #141781)".to_owned(),
            "set nodeCacheCapable: true",
        ));
    }
    if !extender.ignorable {
        findings.push(warning(
            "ignorable",
            "ignorable is false: while the extender is away no pod is scheduled".to_owned(),
            "set ignorable: true",
        ));
    }
    match extender.http_timeout.as_deref().map_or(Some(DEFAULT_TIMEOUT), go_duration) {
        None => findings.push(error(
            "http_timeout",
            format!("httpTimeout {:?} is no duration", extender.http_timeout.as_deref().unwrap_or_default()),
            "set httpTimeout: 2s",
        )),
        Some(timeout) if timeout < facts.deadline.saturating_mul(2) => findings.push(warning(
            "http_timeout",
            format!(
                "httpTimeout {timeout:?} is under twice the extender's own deadline {:?}: answers are cut off",
                facts.deadline
            ),
            "raise httpTimeout or lower the extender's deadline",
        )),
        Some(_) => {}
    }
    for resource in extender.managed_resources.iter().filter(|resource| !resource.ignored_by_scheduler) {
        findings.push(warning(
            "managed_resource",
            format!("managed resource {} is not ignored by the scheduler: no node offers it, so pods that ask for it stay pending", resource.name),
            "set ignoredByScheduler: true for it",
        ));
    }
    findings
}

fn verbs(extender: &Extender, facts: &Facts, findings: &mut Vec<Finding>) {
    if extender.prioritize_verb != "prioritize" {
        findings.push(error(
            "prioritize_verb",
            format!(
                "prioritizeVerb is {:?}: scores are never asked for, and nothing says so",
                extender.prioritize_verb
            ),
            "set prioritizeVerb: prioritize",
        ));
    }
    match (extender.filter_verb.as_str(), facts.refuses_nodes) {
        ("filter", false) => findings.push(info(
            "filter_verb",
            "filterVerb is set, but without power caps the extender refuses no node: one call per pod for nothing".to_owned(),
            "leave filterVerb out until there are power caps",
        )),
        ("filter", true) | ("", false) => {}
        ("", true) => findings.push(warning(
            "filter_verb",
            "filterVerb is not set: power caps have no effect".to_owned(),
            "set filterVerb: filter",
        )),
        (other, _) => findings.push(error(
            "filter_verb",
            format!("filterVerb is {other:?}, which this extender does not know: every pod stays pending, or the call is skipped"),
            "set filterVerb: filter or leave it out",
        )),
    }
    if !extender.bind_verb.is_empty() {
        findings.push(warning(
            "bind_verb",
            "bindVerb is set: one more hop for each pod, and a wrong answer loses the pod until kube-scheduler restarts".to_owned(),
            "leave bindVerb out",
        ));
    }
}

fn weight(extender: &Extender, facts: &Facts, findings: &mut Vec<Finding>) {
    if extender.weight <= 0 {
        findings.push(error(
            "weight",
            format!(
                "weight is {}: kube-scheduler refuses to start with a prioritizeVerb and no positive weight",
                extender.weight
            ),
            "set weight: 1 or more",
        ));
        return;
    }
    let points = i64::from(facts.top_score).saturating_mul(extender.weight).saturating_mul(SCORE_FACTOR);
    let message = format!(
        "weight {} moves a node by at most {points} points; the default plugins give up to {DEFAULT_PLUGINS}",
        extender.weight
    );
    if points > 4 * DEFAULT_PLUGINS {
        findings.push(warning("weight", format!("{message}: nothing else counts any more"), "lower the weight"));
    } else {
        findings.push(info("weight", message, "raise the weight where predicted cost should count more"));
    }
}

fn tls(extender: &Extender, findings: &mut Vec<Finding>) {
    let is_https = extender.url_prefix.starts_with("https://");
    let tls = extender.tls_config.as_ref();
    let has_ca = tls.is_some_and(|tls| !tls.ca_file.is_empty() || !tls.ca_data.0.is_empty());
    let is_insecure = tls.is_some_and(|tls| tls.insecure);
    if is_insecure && has_ca {
        findings.push(error(
            "tls",
            "tlsConfig has both insecure and a CA: kube-scheduler does not start".to_owned(),
            "remove insecure",
        ));
    } else if is_https && !has_ca && (extender.enable_https || is_insecure) {
        findings.push(warning(
            "tls",
            "HTTPS without a CA: the certificate is not verified at all".to_owned(),
            "set tlsConfig.caFile",
        ));
    } else if !is_https && extender.enable_https {
        findings.push(warning(
            "tls",
            "enableHTTPS with an http:// urlPrefix: the calls travel in the clear".to_owned(),
            "use an https:// urlPrefix",
        ));
    }
}

/// Reads a duration as Go writes it (`1m30s`, `500ms`).
pub(super) fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0.0;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..unit_at].parse().ok()?;
        let after = &rest[unit_at..];
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let seconds = match &after[..unit_end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number * seconds;
        rest = &after[unit_end..];
    }
    Duration::try_from_secs_f64(total).ok().filter(|span| !span.is_zero())
}

fn error(label: &'static str, message: String, remedy: &str) -> Finding {
    Finding { severity: Severity::Error, label, message, remedy: remedy.to_owned() }
}

fn warning(label: &'static str, message: String, remedy: &str) -> Finding {
    Finding { severity: Severity::Warning, label, message, remedy: remedy.to_owned() }
}

fn info(label: &'static str, message: String, remedy: &str) -> Finding {
    Finding { severity: Severity::Info, label, message, remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!(go_duration("5s"), Some(Duration::from_secs(5)));
        assert_eq!(go_duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(go_duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(go_duration("200ms"), Some(Duration::from_millis(200)));
        for text in ["", "5", "s", "5x", "0s", "-5s", "1e400s"] {
            assert_eq!(go_duration(text), None, "{text}");
        }
    }

    #[test]
    fn the_window_of_nodes_is_kube_schedulers() {
        assert_eq!([100, 1000, 5000].map(|nodes| nodes_seen(nodes, 0)), [100, 420, 500]);
        assert_eq!(nodes_seen(50, 0), 50);
        assert_eq!(nodes_seen(5000, 100), 5000);
        assert_eq!(nodes_seen(1000, 20), 200);
    }
}
