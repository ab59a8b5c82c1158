//! The webhook that kube-scheduler calls, and the explanation for people.
//!
//! Answers come from memory: the newest compiled [`View`](crate::view::View) and the assumed pods. Nothing here changes
//! state but the bind verb; what a decision was is kept beside, for explanations.

mod bind;
mod body;
mod call;
mod explain;
mod patient;
mod report;
mod serve;
mod verbs;

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::Router;
use axum::routing::{get, post};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, watch};
use wattle_contract::{NodeName, PodKey, Timestamp, Window};

pub(crate) use serve::serve;

use crate::assume::{Assumed, AssumedPod, is_included};
use crate::carbon::Carbon;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::consolidate::Advice;
use crate::decide::pod_cpu;
use crate::events::Placed;
use crate::metrics::Metrics;
use crate::outcome::{Outcomes, Placement};
use crate::record::Record;
use crate::steer::{Steering, steer};
use crate::view::View;

/// What every request may look at.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) view: ArcSwap<View>,
    pub(crate) assumed: RwLock<Assumed>,
    pub(crate) cluster: RwLock<Cluster>,
    pub(crate) carbon: ArcSwapOption<Carbon>,
    pub(crate) record: Record,
    pub(crate) outcomes: Mutex<Outcomes>,
    /// Nodes worth emptying, as they were last looked for.
    pub(crate) advice: ArcSwap<Advice>,
    /// Pods that get an event; nobody takes them where events are off.
    pub(crate) events: mpsc::Sender<Placed>,
    /// Weights for the data plane; empty where they are off.
    pub(crate) steering: watch::Sender<Arc<Steering>>,
    pub(crate) metrics: Metrics,
    pub(crate) kube: Option<kube::Client>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Shared {
    /// Adds a pod to the node it was put on, until a measurement includes it.
    pub(crate) fn observe_binding(&self, pod: &PodKey, node: &NodeName, uid: &str) {
        let view = self.view.load();
        let since = self.config.clock.now();
        self.placed(pod, node, uid, since);
        if is_included(&view, node, since) {
            return;
        }
        let policy = self.config.policy();
        let made = self.record.newest(pod);
        let request = made.as_ref().map(|made| &made.pod);
        let cpu = request.map_or(policy.default_pod_cpu, |request| pod_cpu(&view, &policy, request));
        let memory = request.and_then(|request| request.memory_request_bytes).unwrap_or_default();
        let assumed = AssumedPod {
            node: node.clone(),
            uid: uid.to_owned(),
            cpu,
            memory,
            bound: since,
            running_since: Some(since),
        };
        self.assumed.write().add(pod.clone(), assumed);
    }

    /// Follows up on a pod that was put on a node, where there was a decision for it: an event, and what becomes of it.
    pub(crate) fn placed(&self, pod: &PodKey, node: &NodeName, uid: &str, since: Timestamp) {
        let Some(made) = self.record.newest(pod) else { return };
        let is_it = uid.is_empty() || made.pod.uid.is_empty() || made.pod.uid == uid;
        if !is_it || !made.first_placed() {
            return;
        }
        self.metrics.calls_per_pod.observe(f64::from(made.calls));
        let chosen = made.about(node);
        self.outcomes.lock().placed(Placement {
            decision: made.id,
            pod: pod.clone(),
            service: made.pod.service.clone(),
            node: node.clone(),
            since,
            predicted_watts: chosen.and_then(|chosen| chosen.added_watts).map(|watts| watts.mid),
            least_watts: made.least_watts(),
            predicted_p95_ms: chosen.and_then(|chosen| chosen.p95),
        });
        let placed = Placed { pod: pod.clone(), uid: uid.to_owned(), node: node.clone(), made };
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send(placed) {
            self.metrics.events.with_label_values(&["dropped"]).inc();
        }
    }

    /// Takes the measurements of a new window into account: what became of placements, and where requests should go.
    pub(crate) fn measured(&self, view: &View, window: &Window) {
        for outcome in self.outcomes.lock().settle(window) {
            self.metrics.settled(&outcome);
        }
        if let Some(ratio) = self.config.steer_ratio {
            let last = Arc::clone(&self.steering.borrow());
            let steering = steer(view, window, &self.config.policy().weights, ratio, &last);
            self.publish(steering);
        }
    }

    /// Takes the weights back: what they were made of is too old.
    pub(crate) fn steer_nobody(&self) {
        let last = Arc::clone(&self.steering.borrow());
        if !last.services.is_empty() {
            tracing::warn!("the measurements are too old to steer requests by: all endpoints count alike");
            self.publish(last.withdrawn());
        }
    }

    fn publish(&self, steering: Steering) {
        self.metrics.steered_services.set(i64::try_from(steering.services.len()).unwrap_or(i64::MAX));
        self.steering.send_if_modified(|current| {
            let is_new = steering.version != current.version;
            if is_new {
                self.metrics.steering_changes.inc();
                *current = Arc::new(steering);
            }
            is_new
        });
    }
}

/// Builds the routes of the webhook.
pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    let routes = Router::new()
        .route("/scheduler/filter", post(verbs::filter))
        .route("/scheduler/prioritize", post(verbs::prioritize))
        .route("/scheduler/preempt", post(verbs::preempt))
        .route("/explain", get(explain::newest).post(explain::afresh))
        .route("/outcomes", get(report::outcomes))
        .route("/consolidate", get(report::consolidate))
        .route("/steering", get(report::steering))
        .route("/livez", get(|| async { "ok" }));
    let routes = if shared.config.bind { routes.route("/scheduler/bind", post(bind::bind)) } else { routes };
    routes.with_state(shared)
}
