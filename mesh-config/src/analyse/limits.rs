//! Limits and ejection: what they come to in effect.

use std::sync::Arc;

use super::Analysis;
use crate::finding::{Problem, RuleId};
use crate::hosts;
use crate::kinds::destination_rule::{ConnectionPool, DestinationRule, OutlierDetection, TrafficPolicy};
use crate::resource::Resource;

const EJECTS_NOBODY: RuleId = RuleId::warning("WAT0101", "ineffective-outlier-limit");
const PER_PROXY: RuleId = RuleId::info("WAT0102", "limit-per-proxy");
const MAX_RETRIES: RuleId = RuleId::info("WAT0118", "max-retries-is-concurrency");
const DROPS: RuleId = RuleId::warning("WAT0119", "block-not-inherited");
const NO_FAILOVER: RuleId = RuleId::warning("WAT0120", "failover-without-outlier");

/// Analyses limits.
pub(super) fn analyse(analysis: &mut Analysis<'_>) {
    let documents = analysis.documents;
    for (resource, rule) in documents.of::<DestinationRule>() {
        let host = hosts::complete(&rule.host, resource.namespace(), documents.settings());
        let service = documents.registry().service(&host, resource.namespace());
        let endpoints = service
            .and_then(|service| service.ports.iter().map(|port| port.endpoints.len()).max())
            .filter(|count| *count > 0);
        if let Some(policy) = &rule.traffic_policy {
            check(analysis, resource, policy, "spec.trafficPolicy", endpoints);
        }
        for (index, subset) in rule.subsets.iter().enumerate() {
            let Some(policy) = &subset.traffic_policy else { continue };
            let path = format!("spec.subsets[{index}].trafficPolicy");
            check(analysis, resource, policy, &path, endpoints);
            inherited(analysis, resource, rule.traffic_policy.as_ref(), policy, &path);
        }
    }
}

fn check(
    analysis: &mut Analysis<'_>,
    resource: &Arc<Resource>,
    policy: &TrafficPolicy,
    path: &str,
    endpoints: Option<usize>,
) {
    let ports = policy.port_level_settings.iter().enumerate().map(|(index, settings)| {
        let path = format!("{path}.portLevelSettings[{index}]");
        (path, settings.outlier_detection.as_ref(), settings.connection_pool.as_ref(), settings.load_balancer.as_ref())
    });
    let top = (
        path.to_owned(),
        policy.outlier_detection.as_ref(),
        policy.connection_pool.as_ref(),
        policy.load_balancer.as_ref(),
    );
    for (path, outlier, pool, balancer) in std::iter::once(top).chain(ports) {
        if let Some(outlier) = outlier {
            ejection(analysis, resource, outlier, &format!("{path}.outlierDetection"), endpoints);
        }
        if let Some(pool) = pool {
            connections(analysis, resource, pool, &format!("{path}.connectionPool"));
        }
        let fails_over = balancer
            .and_then(|balancer| balancer.locality_lb_setting.as_ref())
            .is_some_and(|locality| !locality.failover.is_empty() || !locality.failover_priority.is_empty());
        if fails_over && outlier.is_none() {
            let problem = Problem::new(
                NO_FAILOVER,
                format!("{path}.loadBalancer.localityLbSetting"),
                "locality failover without outlierDetection",
            );
            analysis.tell(
                resource,
                problem.effect("failures are not noticed: nothing fails over").remedy("add outlierDetection beside it"),
            );
        }
    }
    for (index, settings) in policy.port_level_settings.iter().enumerate() {
        let dropped: Vec<&str> = [
            ("loadBalancer", policy.load_balancer.is_some() && settings.load_balancer.is_none()),
            ("connectionPool", policy.connection_pool.is_some() && settings.connection_pool.is_none()),
            ("outlierDetection", policy.outlier_detection.is_some() && settings.outlier_detection.is_none()),
            ("tls", policy.tls.is_some() && settings.tls.is_none()),
        ]
        .into_iter()
        .filter(|(_, dropped)| *dropped)
        .map(|(name, _)| name)
        .collect();
        if !dropped.is_empty() {
            let message = format!("the port's settings do not inherit {}", dropped.join(", "));
            let problem = Problem::new(DROPS, format!("{path}.portLevelSettings[{index}]"), message);
            analysis
                .tell(resource, problem.effect("for this port they fall to the defaults").remedy("repeat them here"));
        }
    }
}

/// Says how many endpoints are needed before one may be ejected.
fn ejection(
    analysis: &mut Analysis<'_>,
    resource: &Arc<Resource>,
    outlier: &OutlierDetection,
    path: &str,
    endpoints: Option<usize>,
) {
    let percent = u32::try_from(outlier.max_ejection_percent).ok().filter(|percent| *percent > 0);
    let effective = percent.unwrap_or(10).min(100) as usize;
    let needed = 100_usize.div_ceil(effective);
    if needed <= 2 || endpoints.is_some_and(|count| count >= needed) {
        return;
    }
    let said = if percent.is_some() {
        format!("maxEjectionPercent {effective}")
    } else {
        "maxEjectionPercent is absent, which means 10".to_owned()
    };
    let now = endpoints.map_or_else(String::new, |count| format!(" (there are {count} now)"));
    let message = format!("{said}: nobody is ejected while there are fewer than {needed} endpoints{now}");
    let place = if percent.is_some() { format!("{path}.maxEjectionPercent") } else { path.to_owned() };
    let problem = Problem::new(EJECTS_NOBODY, place, message);
    analysis.tell(
        resource,
        problem
            .effect("a failing endpoint stays in")
            .remedy("set maxEjectionPercent to 100, or to what the service can bear to lose"),
    );
}

fn connections(analysis: &mut Analysis<'_>, resource: &Arc<Resource>, pool: &ConnectionPool, path: &str) {
    let http = pool.http.as_ref();
    let mut named = Vec::new();
    if pool.tcp.as_ref().is_some_and(|tcp| tcp.max_connections > 0) {
        named.push("maxConnections");
    }
    let counted = [
        ("http1MaxPendingRequests", http.map_or(0, |http| http.http1_max_pending_requests)),
        ("http2MaxRequests", http.map_or(0, |http| http.http2_max_requests)),
    ];
    named.extend(counted.into_iter().filter(|(_, limit)| *limit > 0).map(|(name, _)| name));
    if !named.is_empty() {
        let problem =
            Problem::new(PER_PROXY, path, format!("{} hold for each client proxy by itself", named.join(", ")));
        let effect = "N clients together may have N times as many in flight";
        analysis.tell(resource, problem.effect(effect).remedy("divide by the number of client pods"));
    }
    if let Some(limit) = http.map(|http| http.max_retries).filter(|limit| *limit > 0) {
        let message = format!("maxRetries {limit} bounds retries in flight at one time, not tries of one request");
        let problem = Problem::new(MAX_RETRIES, format!("{path}.http.maxRetries"), message);
        analysis.tell(resource, problem.remedy("tries of one request are http[].retries.attempts of a VirtualService"));
    }
}

/// Tells of parts that a subset's block drops from the top level's.
fn inherited(
    analysis: &mut Analysis<'_>,
    resource: &Arc<Resource>,
    top: Option<&TrafficPolicy>,
    own: &TrafficPolicy,
    path: &str,
) {
    let Some((top, own)) = top.and_then(|top| top.connection_pool.as_ref()).zip(own.connection_pool.as_ref()) else {
        return;
    };
    let dropped = [("tcp", top.tcp.is_some() && own.tcp.is_none()), ("http", top.http.is_some() && own.http.is_none())];
    for (name, _) in dropped.into_iter().filter(|(_, dropped)| *dropped) {
        let message = format!(
            "the subset's connectionPool replaces the top level's as a whole: connectionPool.{name} is not inherited"
        );
        let problem = Problem::new(DROPS, format!("{path}.connectionPool"), message);
        analysis.tell(
            resource,
            problem.effect("for the subset it falls to the default: no limit").remedy("repeat it in the subset"),
        );
    }
}
