//! Kubernetes Events on placed pods: one constant text a reason, the figures in annotations, no more than allowed.
//!
//! Kubernetes counts events of one text together; a figure in the text would make a list of singletons of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wattle_contract::{NodeName, PodKey, Reason, Timestamp};

use crate::extender::Shared;
use crate::record::Made;

/// Events that wait to be written; more are dropped and counted.
pub(crate) const WAITING: usize = 256;
const WITHIN: Duration = Duration::from_secs(5);

/// A pod that was placed, and what was known when it was scored.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) pod: PodKey,
    pub(crate) uid: String,
    pub(crate) node: NodeName,
    pub(crate) made: Arc<Made>,
}

/// Lets through so many a minute, and as many as a tenth of that at once.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_ms: f64,
    most: f64,
    left: f64,
    at: Timestamp,
}

impl Bucket {
    pub(crate) fn new(per_minute: u32, now: Timestamp) -> Self {
        let most = (f64::from(per_minute) / 10.0).max(1.0);
        Self { per_ms: f64::from(per_minute) / 60_000.0, most, left: most, at: now }
    }

    pub(crate) fn take(&mut self, now: Timestamp) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a process's life")]
        let passed = now.since(self.at).as_millis() as f64;
        self.at = self.at.max(now);
        self.left = (self.left + passed * self.per_ms).min(self.most);
        let is_let_through = self.left >= 1.0;
        if is_let_through {
            self.left -= 1.0;
        }
        is_let_through
    }
}

/// Writes events until `shutdown`.
pub(crate) async fn write_events(
    shared: Arc<Shared>,
    client: kube::Client,
    per_minute: u32,
    mut placed: mpsc::Receiver<Placed>,
    shutdown: CancellationToken,
) {
    let mut bucket = Bucket::new(per_minute, shared.config.clock.now());
    loop {
        let next = tokio::select! {
            () = shutdown.cancelled() => return,
            next = placed.recv() => next,
        };
        let Some(next) = next else { return };
        let now = shared.config.clock.now();
        if !bucket.take(now) {
            shared.metrics.events.with_label_values(&["dropped"]).inc();
            continue;
        }
        let events: Api<Event> = Api::namespaced(client.clone(), next.pod.namespace.as_str());
        let event = event(&next, now);
        let written = tokio::time::timeout(WITHIN, events.create(&PostParams::default(), &event)).await;
        let result = match written {
            Ok(Ok(_)) => "written",
            Ok(Err(error)) => {
                tracing::debug!(pod.namespace = %next.pod.namespace, pod.name = %next.pod.name, %error, "an event was not written");
                "failed"
            }
            Err(_) => "failed",
        };
        shared.metrics.events.with_label_values(&[result]).inc();
    }
}

/// Says in constant words what became of a prediction.
fn words(placed: &Placed) -> (&'static str, &'static str) {
    let Some(chosen) = placed.made.about(&placed.node) else {
        return ("WattleNotAsked", "The node was not among those that wattle scored for this pod.");
    };
    match chosen.reason {
        Reason::Predicted | Reason::Drifted if placed.made.scored.iter().all(|other| other.score <= chosen.score) => {
            ("WattlePlaced", "Placed on a node with the least predicted cost.")
        }
        Reason::Predicted | Reason::Drifted => {
            ("WattleOutvoted", "Placed on a node that other scheduling plugins preferred to wattle's choice.")
        }
        Reason::Overload => {
            ("WattleOverload", "Placed on a node that wattle predicts to be loaded beyond its capacity.")
        }
        Reason::NoModel | Reason::NoMeasurement | Reason::StaleMeasurement | Reason::NoSnapshot => {
            ("WattleNeutral", "Placed without a prediction of wattle for this node.")
        }
    }
}

fn event(placed: &Placed, now: Timestamp) -> Event {
    let (reason, note) = words(placed);
    let mut figures = BTreeMap::from([
        ("wattle.dev/decision".to_owned(), placed.made.id.to_string()),
        ("wattle.dev/candidates".to_owned(), placed.made.scored.len().to_string()),
        ("wattle.dev/node".to_owned(), placed.node.to_string()),
    ]);
    let mut figure = |name: &str, value: Option<f64>| {
        if let Some(value) = value {
            figures.insert(format!("wattle.dev/{name}"), format!("{value:.3}"));
        }
    };
    let chosen = placed.made.about(&placed.node);
    figure("added-watts", chosen.and_then(|chosen| chosen.added_watts).map(|watts| watts.mid.get()));
    figure("p95-ms", chosen.and_then(|chosen| chosen.p95).map(f64::from));
    figure("cost", chosen.and_then(|chosen| chosen.parts).map(|parts| parts.cost));
    figure("least-watts", placed.made.least_watts().map(f64::from));
    if let Some(chosen) = chosen {
        figures.insert("wattle.dev/score".to_owned(), chosen.score.to_string());
        figures.insert("wattle.dev/reason".to_owned(), chosen.reason.label().to_owned());
    }
    let time = k8s_openapi::jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
    Event {
        action: Some("Scoring".to_owned()),
        event_time: Some(MicroTime(time)),
        metadata: ObjectMeta {
            name: Some(format!("{}.{}", placed.pod.name, placed.made.id)),
            namespace: Some(placed.pod.namespace.to_string()),
            annotations: Some(figures),
            ..ObjectMeta::default()
        },
        note: Some(note.to_owned()),
        reason: Some(reason.to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(placed.pod.name.to_string()),
            namespace: Some(placed.pod.namespace.to_string()),
            uid: Some(placed.uid.clone()).filter(|uid| !uid.is_empty()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some("wattle.dev/scheduler".to_owned()),
        reporting_instance: Some("wattle-scheduler".to_owned()),
        type_: Some("Normal".to_owned()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_cut_and_the_rate_is_kept() {
        let mut bucket = Bucket::new(60, Timestamp(0));

        let burst = (0..100).filter(|_| bucket.take(Timestamp(0))).count();
        let minute = (1..=60_000).filter(|at| bucket.take(Timestamp(*at))).count();

        assert_eq!(burst, 6);
        assert!((59..=60).contains(&minute), "{minute}");
        assert!(!bucket.take(Timestamp(0)), "a clock that goes back gives nothing away");
    }
}
