//! Services and the edges between them, from Istio's series.

use std::collections::BTreeMap;

use wattle_contract::{Edge, Joules, Labels, Millicores, NodeName, ServiceName, ServiceWindow, Watts};

use super::Inputs;
use super::energy::Energy;
use super::pods::Pods;
use super::quantile::Buckets;
use crate::catalog::{kepler_node, known, pod_energy};
use crate::graph::edge::{Connection, Table};

const REQUESTS: &str = "istio_requests_total";
const DURATION: &str = "istio_request_duration_milliseconds_bucket";
const BYTES: [&str; 2] = ["istio_request_bytes_sum", "istio_response_bytes_sum"];

#[derive(Default)]
struct Traffic {
    requests: f64,
    errors: f64,
    buckets: Buckets,
    bytes: Option<f64>,
    cpu_seconds: Option<f64>,
    watts: Option<f64>,
}

impl Traffic {
    fn error_ratio(&self) -> f64 {
        if self.requests > 0.0 { (self.errors / self.requests).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// Gives one entry a service and node with traffic, ordered by service then node.
pub(super) fn services(inputs: &Inputs<'_>, pods: &Pods, energy: &Energy) -> Vec<ServiceWindow> {
    let mut found: BTreeMap<(ServiceName, NodeName), Traffic> = BTreeMap::new();
    count(inputs, &mut found, |labels| {
        let is_answer = labels.get("reporter") == Some("destination");
        let service = known(labels, "destination_service").filter(|_| is_answer)?;
        Some((service.into(), known(labels, "node")?.into()))
    });
    attribute(inputs, pods, energy, &mut found);
    let entry = |((service, node), traffic): ((ServiceName, NodeName), Traffic)| ServiceWindow {
        service,
        node,
        requests_per_second: traffic.requests,
        error_ratio: traffic.error_ratio(),
        p50_ms: traffic.buckets.quantile(0.5),
        p95_ms: traffic.buckets.quantile(0.95),
        cpu_used_millicores: traffic.cpu_seconds.and_then(|cores| Millicores::new(cores * 1000.0)),
        power_watts: traffic.watts.and_then(Watts::new),
    };
    found.into_iter().map(entry).collect()
}

/// Gives who called whom, ordered by client then server.
pub(super) fn edges(inputs: &Inputs<'_>, services: &[ServiceWindow]) -> Vec<Edge> {
    let found = calls(inputs);
    let entry = |((client, server), traffic): ((ServiceName, ServiceName), Traffic)| Edge {
        bytes_per_second: traffic.bytes,
        error_ratio: traffic.error_ratio(),
        p50_ms: traffic.buckets.quantile(0.5),
        p95_ms: traffic.buckets.quantile(0.95),
        p99_ms: traffic.buckets.quantile(0.99),
        joules_per_request: joules_per_request(services, &server).and_then(Joules::new),
        same_node_share: same_node(services, &client, &server),
        ..Edge::between(client, server, traffic.requests)
    };
    found.into_iter().map(entry).collect()
}

/// Gives what passed over the edges during the window, in the form that adds up.
pub(super) fn table(inputs: &Inputs<'_>, services: &[ServiceWindow]) -> Table {
    let seconds = (inputs.end - inputs.start) as f64 / 1e3;
    let mut table = Table { covered_seconds: seconds, ..Table::default() };
    for ((client, server), traffic) in calls(inputs) {
        let stats = table.edge(client.as_str(), server.as_str(), Connection::Call);
        stats.requests = traffic.requests * seconds;
        stats.errors = traffic.errors * seconds;
        stats.bytes = traffic.bytes.map(|bytes| bytes * seconds);
        if let Some(joules) = joules_per_request(services, &server) {
            (stats.joules, stats.metered) = (Some(joules * stats.requests), stats.requests);
        }
        if let Some(share) = same_node(services, &client, &server) {
            (stats.located, stats.same_node) = (stats.requests, stats.requests * share);
        }
        // Spread over its bucket evenly, as the quantiles of PromQL have it.
        traffic.buckets.each(|low, high, rate| {
            let parts = [0.125, 0.375, 0.625, 0.875];
            for part in parts {
                stats.latency.count((low + (high - low) * part) / 1e3, rate * seconds / parts.len() as f64);
            }
        });
    }
    table
}

fn calls(inputs: &Inputs<'_>) -> BTreeMap<(ServiceName, ServiceName), Traffic> {
    let mut found: BTreeMap<(ServiceName, ServiceName), Traffic> = BTreeMap::new();
    count(inputs, &mut found, |labels| {
        let is_call = labels.get("reporter") == Some("source");
        let server = known(labels, "destination_service").filter(|_| is_call)?;
        let client = known(labels, "source_canonical_service").or_else(|| known(labels, "source_workload"))?;
        let namespace = known(labels, "source_workload_namespace")?;
        Some((format!("{client}.{namespace}.svc.cluster.local").into(), server.into()))
    });
    found
}

/// Gives the active energy of a service for one of its requests.
fn joules_per_request(services: &[ServiceWindow], service: &ServiceName) -> Option<f64> {
    let parts = || services.iter().filter(|part| part.service == *service && part.power_watts.is_some());
    let requests: f64 = parts().map(|part| part.requests_per_second).sum();
    let watts: f64 = parts().filter_map(|part| part.power_watts).map(Watts::get).sum();
    (requests > 0.0).then(|| watts / requests)
}

/// Estimates the share of calls that stay on their node, from where both answer: balancing that does not look at nodes.
fn same_node(services: &[ServiceWindow], client: &ServiceName, server: &ServiceName) -> Option<f64> {
    let spread = |service: &ServiceName| -> Option<BTreeMap<NodeName, f64>> {
        let parts = || services.iter().filter(|part| part.service == *service);
        let total: f64 = parts().map(|part| part.requests_per_second).sum();
        let share = |part: &ServiceWindow| (part.node.clone(), part.requests_per_second / total);
        (total > 0.0).then(|| parts().map(share).collect())
    };
    let (clients, servers) = (spread(client)?, spread(server)?);
    Some(clients.iter().filter_map(|(node, share)| Some(share * servers.get(node)?)).sum())
}

/// Sums rates up by what `key` makes of the labels.
fn count<K: Ord>(inputs: &Inputs<'_>, found: &mut BTreeMap<K, Traffic>, key: impl Fn(&Labels) -> Option<K>) {
    for series in inputs.series {
        let metric = series.labels.metric_name();
        if metric != REQUESTS && metric != DURATION && !BYTES.contains(&metric) {
            continue;
        }
        let Some(key) = key(&series.labels) else { continue };
        let Some(rate) = inputs.growth(series).map(super::counter::Growth::rate) else { continue };
        if metric == REQUESTS {
            let traffic = found.entry(key).or_default();
            traffic.requests += rate;
            if series.labels.get("response_code").is_some_and(|code| code.starts_with('5')) {
                traffic.errors += rate;
            }
        } else if metric == DURATION {
            if let Some(bound) = series.labels.get("le").and_then(|le| le.parse().ok()) {
                found.entry(key).or_default().buckets.add(bound, rate);
            }
        } else {
            *found.entry(key).or_default().bytes.get_or_insert(0.0) += rate;
        }
    }
}

/// Puts processor time and power of the pods to the services they answer for.
fn attribute(
    inputs: &Inputs<'_>,
    pods: &Pods,
    energy: &Energy,
    found: &mut BTreeMap<(ServiceName, NodeName), Traffic>,
) {
    let is_running = |labels: &Labels| labels.get("state") != Some("terminated");
    for series in inputs.named("kepler_container_cpu_seconds_total").filter(|series| is_running(&series.labels)) {
        let service = series.labels.get("pod_id").and_then(|id| pods.by_id(id)).and_then(|pod| pods.service(pod));
        let Some(key) = service.cloned().zip(kepler_node(&series.labels)) else { continue };
        if let Some((traffic, growth)) = found.get_mut(&key).zip(inputs.growth(series)) {
            *traffic.cpu_seconds.get_or_insert(0.0) += growth.rate();
        }
    }
    for series in inputs.series {
        let Some((pod, zone)) = pod_energy(&series.labels) else { continue };
        let Some(key) = pods.service(&pod).cloned().zip(kepler_node(&series.labels)) else { continue };
        if !energy.zones(&key.1).contains(&zone) {
            continue;
        }
        if let Some((traffic, growth)) = found.get_mut(&key).zip(inputs.growth(series)) {
            *traffic.watts.get_or_insert(0.0) += growth.rate();
        }
    }
}
