//! `/metrics` of one node, as Kepler would answer it.
//!
//! A scrape later than half a second after the last reading takes a new one, as Kepler does; watts are the mean between the
//! two newest readings. The meters a server would have are shares of the published figure, which is the power of the whole
//! machine: `psys` is all of it, `package` and `dram` the fixed shares below.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wattle_contract::PodKey;

use crate::exposition::{NodeEnergy, PodEnergy, Processor, Zone, render};
use crate::machines::Machine;
use crate::node::{Node, Reading};

/// Kepler's default staleness of a reading.
const STALENESS: Duration = Duration::from_millis(500);

/// Each zone's share of the machine's power. The demo's own choice: the published figures have no such split.
const ZONES: [(&str, f64); 3] = [("dram", 0.12), ("package", 0.62), ("psys", 1.0)];

/// What answers a scrape.
pub(crate) trait Source: Send + Sync + 'static {
    /// Gives the exposition as of `now`.
    fn scrape(&self, now: Instant) -> String;
}

/// Answers scrapes on a listener until shutdown.
pub(crate) async fn serve(listener: TcpListener, source: Arc<dyn Source>, shutdown: CancellationToken) {
    let app = Router::new().route("/metrics", get(metrics)).with_state(source);
    let served = axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::warn!(%error, "energy exporter ended");
    }
}

async fn metrics(State(source): State<Arc<dyn Source>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], source.scrape(Instant::now()))
}

/// The meters of one simulated machine.
#[derive(Debug)]
pub(crate) struct Simulated {
    node: Arc<Node>,
    machine: &'static Machine,
    readings: Mutex<Readings>,
}

#[derive(Debug)]
struct Readings {
    before: Reading,
    newest: Reading,
}

impl Simulated {
    /// Reads a node; `None` when it simulates no machine.
    pub(crate) fn new(node: Arc<Node>, now: Instant) -> Option<Self> {
        let machine = node.machine()?;
        let newest = node.read(now);
        Some(Self { node, machine, readings: Mutex::new(Readings { before: newest.clone(), newest }) })
    }
}

impl Source for Simulated {
    fn scrape(&self, now: Instant) -> String {
        let mut readings = self.readings.lock();
        if now.saturating_duration_since(readings.newest.at) > STALENESS {
            // Kepler lets go of a stopped pod once it has been exported.
            for (pod, _) in readings.newest.pods.iter().filter(|(_, reading)| reading.ended) {
                self.node.forget(pod);
            }
            let newest = self.node.read(now);
            readings.before = std::mem::replace(&mut readings.newest, newest);
        }
        render(&energy(&self.node, self.machine, &readings))
    }
}

fn energy(node: &Node, machine: &Machine, readings: &Readings) -> NodeEnergy {
    let Readings { before, newest } = readings;
    let span = newest.at.saturating_duration_since(before.at).as_secs_f64();
    let rate = |newest: f64, before: f64| if span > 0.0 { (newest - before).max(0.0) / span } else { 0.0 };
    let watts = rate(newest.joules, before.joules);
    let active_watts = rate(newest.active_joules, before.active_joules);
    let busy_cores = rate(newest.busy_seconds, before.busy_seconds);

    let zones = ZONES.map(|(name, share)| Zone {
        name: name.to_owned(),
        path: format!("simulated/{}", machine.class),
        active_joules: newest.active_joules * share,
        idle_joules: (newest.joules - newest.active_joules) * share,
        active_watts: active_watts * share,
        idle_watts: (watts - active_watts) * share,
    });
    let pods = newest.pods.iter().map(|(pod, reading)| {
        let pod_watts = before.pods.get(pod).map_or(0.0, |before| rate(reading.joules, before.joules));
        PodEnergy {
            namespace: pod.namespace.to_string(),
            name: pod.name.to_string(),
            id: pod_uid(pod),
            container: container(&pod.name).to_owned(),
            container_id: hex(pod, 8),
            ended: reading.ended,
            seconds: reading.seconds,
            zones: ZONES.map(|(zone, share)| (zone.to_owned(), reading.joules * share, pod_watts * share)).into(),
        }
    });
    NodeEnergy {
        node: node.name().to_string(),
        revision: "simulated",
        usage_ratio: (busy_cores / f64::from(node.cores())).min(1.0),
        processors: processors(machine),
        zones: zones.into(),
        pods: pods.collect(),
    }
}

fn processors(machine: &Machine) -> Vec<Processor> {
    let cores_per_chip = (machine.cores / machine.chips).max(1);
    let processor = |index: u32| Processor {
        processor: index.to_string(),
        physical: (index / cores_per_chip).to_string(),
        core: (index % cores_per_chip).to_string(),
        vendor: "GenuineIntel".to_owned(),
        model: machine.processor.to_owned(),
    };
    (0..machine.cores).map(processor).collect()
}

/// Gives the workload's name: the pod's less the ReplicaSet's hash and the ordinal.
fn container(pod: &str) -> &str {
    pod.rsplitn(3, '-').nth(2).unwrap_or(pod)
}

/// Gives the unique id of a demo pod, always the same for the same name.
pub(crate) fn pod_uid(pod: &PodKey) -> String {
    let hex = hex(pod, 4);
    format!("{}-{}-5{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

/// Gives `eights` times eight hexadecimal digits made from a pod's name.
fn hex(pod: &PodKey, eights: u32) -> String {
    let digits = |round| {
        let mut hasher = DefaultHasher::new();
        (round, pod).hash(&mut hasher);
        format!("{:08x}", hasher.finish() >> 32)
    };
    (0..eights).map(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::MACHINES;

    fn value(text: &str, start: &str) -> f64 {
        let line = text.lines().find(|line| line.starts_with(start)).expect("such a series");
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    }

    #[tokio::test(start_paused = true)]
    async fn a_scrape_tells_watts_joules_and_use_of_the_time_since_the_last_one() {
        let node = Arc::new(Node::simulated(&MACHINES[0], Instant::now()));
        let pod = PodKey::new("hotel", "recommendation-v1-7d9f-0");
        node.start_pod(&pod);
        let exporter = Simulated::new(Arc::clone(&node), Instant::now()).expect("a simulated machine");

        let work = || node.work(&pod, Duration::from_secs_f64(2.0 * MACHINES[0].relative_speed()));
        tokio::join!(work(), work(), work(), work());
        let text = exporter.scrape(Instant::now());

        assert!((value(&text, "kepler_node_cpu_usage_ratio") - 0.5).abs() < 0.01, "{text}");
        let psys = r#"{node_name="node-a",path="simulated/ibm-x3550-m2",zone="psys"}"#;
        assert!((value(&text, &format!("kepler_node_cpu_watts{psys}")) - 166.0).abs() < 1.0);
        assert!((value(&text, &format!("kepler_node_cpu_joules_total{psys}")) - 332.0).abs() < 2.0);
        assert!(text.contains(r#"container_name="recommendation-v1""#));
        assert_eq!(text.matches("kepler_node_cpu_info{").count(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopped_pod_is_exported_once_as_terminated() {
        let node = Arc::new(Node::simulated(&MACHINES[0], Instant::now()));
        let pod = PodKey::new("hotel", "search-7d9f-0");
        node.start_pod(&pod);
        let exporter = Simulated::new(Arc::clone(&node), Instant::now()).expect("a simulated machine");
        let scrape = async || {
            tokio::time::sleep(Duration::from_secs(1)).await;
            exporter.scrape(Instant::now())
        };

        assert!(scrape().await.contains(r#"state="running""#));
        node.end_pod(&pod);

        assert!(scrape().await.contains(r#"state="terminated""#));
        assert!(!scrape().await.contains("kepler_pod_"));
    }

    #[test]
    fn a_pod_uid_has_the_form_of_a_uuid() {
        let uid = pod_uid(&PodKey::new("hotel", "search-7d9f-0"));
        assert_eq!(uid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    }
}
