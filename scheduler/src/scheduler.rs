//! Starting, telling and ending a scheduler.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::{Mutex, RwLock};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wattle_contract::{ClusterSnapshot, Decision, NodeName, PodKey};
use wattle_model::Predictor;

use crate::api_server::{Health, client, watching_client};
use crate::assume::Assumed;
use crate::carbon::keep_carbon;
use crate::cluster::Cluster;
use crate::compile::{keep_advising, keep_compiled};
use crate::config::Config;
use crate::consolidate::Advice;
use crate::error::Error;
use crate::events::{self, write_events};
use crate::extender::{Shared, routes, serve};
use crate::metrics::Metrics;
use crate::outcome::Outcomes;
use crate::record::{Record, hand_on};
use crate::steer::Steering;
use crate::tls;
use crate::view::View;
use crate::watch::{keep_nodes, keep_pods};

/// Time for open connections to finish once a shutdown began.
const DRAIN: Duration = Duration::from_secs(5);

/// A running scheduler extender; clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Scheduler {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    connections: TaskTracker,
    shutdown: CancellationToken,
}

impl Scheduler {
    /// Starts to answer on `listener`, from `snapshots` and `model` as they come.
    ///
    /// Decisions are sent to `decisions` where there is room, else dropped and counted.
    ///
    /// # Errors
    /// A setting is out of its range, a file for TLS or for Kubernetes cannot be used, or the registry already has a
    /// scheduler's metrics.
    #[expect(clippy::too_many_arguments, reason = "each is a seam to another role and named by its type")]
    pub fn start(
        config: Config,
        listener: TcpListener,
        snapshots: watch::Receiver<Option<Arc<ClusterSnapshot>>>,
        model: watch::Receiver<Option<Arc<Predictor>>>,
        decisions: mpsc::Sender<Decision>,
        kube: Option<&kube::Config>,
        registry: &Registry,
        shutdown: CancellationToken,
    ) -> Result<Self, Error> {
        config.check()?;
        if config.bind && kube.is_none() {
            return Err(Error::BindWithoutKubernetes);
        }
        let writes = kube.map(client).transpose()?;
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let metrics = Metrics::register(registry)?;
        let watched = |resource| -> Result<_, Error> {
            let health = Health::new(&metrics, resource);
            let Some(kube) = kube else { return Ok(None) };
            Ok(Some((watching_client(kube, &health)?, health)))
        };
        let watches = watched("nodes")?.zip(watched("pods")?);
        let (events, placed) = mpsc::channel(events::WAITING);
        let (record, waiting) = Record::new(config.seed, config.kept_candidates);
        let (most, dropped) = (config.recorded_candidates, metrics.decisions_dropped.clone());
        let shared = Arc::new(Shared {
            config,
            view: ArcSwap::from_pointee(View::default()),
            assumed: RwLock::new(Assumed::default()),
            cluster: RwLock::new(Cluster::default()),
            carbon: ArcSwapOption::empty(),
            record,
            outcomes: Mutex::new(Outcomes::default()),
            advice: ArcSwap::from_pointee(Advice::default()),
            events,
            steering: watch::Sender::new(Arc::default()),
            metrics,
            kube: writes.clone(),
        });
        let (tasks, connections) = (TaskTracker::new(), TaskTracker::new());
        tasks.spawn(hand_on(waiting, decisions, most, dropped, shutdown.clone()));
        tasks.spawn(keep_compiled(Arc::clone(&shared), snapshots, model, shutdown.clone()));
        tasks.spawn(serve(listener, tls, routes(Arc::clone(&shared)), connections.clone(), shutdown.clone()));
        if let Some(source) = shared.config.carbon.clone() {
            tasks.spawn(keep_carbon(Arc::clone(&shared), source, shutdown.clone()));
        }
        tasks.spawn(keep_advising(Arc::clone(&shared), shutdown.clone()));
        if let Some((client, per_minute)) = writes.zip(shared.config.events_per_minute) {
            tasks.spawn(write_events(Arc::clone(&shared), client, per_minute, placed, shutdown.clone()));
        }
        if let Some((nodes, pods)) = watches {
            tasks.spawn(keep_nodes(Arc::clone(&shared), nodes.0, nodes.1, shutdown.clone()));
            tasks.spawn(keep_pods(Arc::clone(&shared), pods.0, pods.1, shutdown.clone()));
        }
        Ok(Self { shared, tasks, connections, shutdown })
    }

    /// Tells that a pod was put on a node: its use is added there until a measurement includes it.
    ///
    /// What the pod uses is taken from the newest decision for it.
    pub fn observe_binding(&self, pod: &PodKey, node: &NodeName, uid: &str) {
        self.shared.observe_binding(pod, node, uid);
    }

    /// Tells that a pod is gone.
    pub fn observe_removal(&self, pod: &PodKey) {
        self.shared.assumed.write().remove(pod);
        self.shared.outcomes.lock().removed(pod);
    }

    /// Gives the weights for the data plane as they change; empty ones where steering is off.
    #[must_use]
    pub fn steering(&self) -> watch::Receiver<Arc<Steering>> {
        self.shared.steering.subscribe()
    }

    /// Gives the newest decision for a pod, where it is still remembered.
    #[must_use]
    pub fn decision_for(&self, pod: &PodKey) -> Option<Arc<Decision>> {
        self.shared.record.newest(pod).map(|made| Arc::new(made.decision()))
    }

    /// Tells whether a snapshot has arrived; before, every answer is neutral.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.view.load().snapshot_version.is_some()
    }

    /// Waits for the end after the shutdown was asked for: requests under way are answered, within 5 s.
    pub async fn join(self) {
        self.shutdown.cancelled().await;
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("a task of the scheduler did not end in 5 s");
        }
        self.connections.close();
        if tokio::time::timeout(DRAIN, self.connections.wait()).await.is_err() {
            tracing::warn!(connections = self.connections.len(), "cut connections that did not end in 5 s");
        }
    }
}
