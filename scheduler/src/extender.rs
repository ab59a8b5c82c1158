//! The webhook that kube-scheduler calls, and the explanation for people.
//!
//! Answers come from memory: the newest compiled [`View`](crate::view::View) and the assumed pods. Nothing here changes
//! state but the bind verb; what a decision was is kept beside, for explanations.

mod bind;
mod body;
mod call;
mod explain;
mod patient;
mod serve;
mod verbs;

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::Router;
use axum::routing::{get, post};
use parking_lot::RwLock;
use wattle_contract::{NodeName, PodKey};

pub(crate) use serve::serve;

use crate::assume::{Assumed, AssumedPod, is_included};
use crate::carbon::Carbon;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::decide::pod_cpu;
use crate::metrics::Metrics;
use crate::record::Record;
use crate::view::View;

/// What every request may look at.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) view: ArcSwap<View>,
    pub(crate) assumed: RwLock<Assumed>,
    pub(crate) cluster: RwLock<Cluster>,
    pub(crate) carbon: ArcSwapOption<Carbon>,
    pub(crate) record: Record,
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
}

/// Builds the routes of the webhook.
pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    let routes = Router::new()
        .route("/scheduler/filter", post(verbs::filter))
        .route("/scheduler/prioritize", post(verbs::prioritize))
        .route("/scheduler/preempt", post(verbs::preempt))
        .route("/explain", get(explain::newest).post(explain::afresh))
        .route("/livez", get(|| async { "ok" }));
    let routes = if shared.config.bind { routes.route("/scheduler/bind", post(bind::bind)) } else { routes };
    routes.with_state(shared)
}
