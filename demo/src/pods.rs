//! The running pods: starts them with their listeners, tells the mesh of them, stops them again.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wattle_contract::{NodeName, PodKey, ProxyMode, WorkloadIdentity};

use crate::app::{self, App};
use crate::client::Client;
use crate::demo::{DemoPod, Event, Inbound};
use crate::error::Error;
use crate::mesh::{MeshFolder, PodEntry, template_hash};
use crate::node::Node;
use crate::service::{CPU_REQUEST_MILLICORES, NAMESPACE, Workload};

/// A pod's own calls to other services end within this.
const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// Ports tried one after the other from a given first one.
const PORT_RANGE: u16 = 400;

/// Cluster and trust domain of the demo's identities.
const CLUSTER: &str = "demo";
const TRUST_DOMAIN: &str = "cluster.local";

/// Owns the running pods.
#[derive(Debug)]
pub(crate) struct Pods {
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) mesh: MeshFolder,
    pub(crate) first_port: Option<u16>,
    pub(crate) seed: u64,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) tasks: TaskTracker,
    /// Between taking a pod out of the endpoints and stopping it.
    pub(crate) leave: Duration,
    /// Ends all applications.
    pub(crate) end: CancellationToken,
    pub(crate) running: BTreeMap<PodKey, RunningPod>,
    pub(crate) started: BTreeMap<&'static str, u32>,
}

/// One running pod.
#[derive(Debug)]
pub(crate) struct RunningPod {
    entry: PodEntry,
    stop: CancellationToken,
}

impl Pods {
    /// Names the next pod of a workload, such as `search-7d9f-1`.
    pub(crate) fn name(&mut self, workload: &'static Workload) -> PodKey {
        let ordinal = self.started.entry(workload.name).or_default();
        let pod = PodKey::new(NAMESPACE, &format!("{}-{:04x}-{ordinal}", workload.name, hash(workload.name) >> 48));
        *ordinal += 1;
        pod
    }

    /// Starts a pod: its application answers, its two proxy listeners are bound and wait for a proxy.
    ///
    /// The endpoints are not written yet: see [`publish`](Self::publish).
    pub(crate) async fn start(
        &mut self,
        pod: PodKey,
        workload: &'static Workload,
        node: &Arc<Node>,
    ) -> Result<DemoPod, Error> {
        let (outbound, inbound, listener) = (self.bind().await?, self.bind().await?, self.bind().await?);
        let [outbound_address, inbound_address, application] =
            [&outbound, &inbound, &listener].map(TcpListener::local_addr).map(|address| address.map_err(unbound));
        let (outbound_address, inbound_address, application) = (outbound_address?, inbound_address?, application?);

        node.start_pod(&pod);
        let stop = self.end.child_token();
        let app = App {
            pod: pod.clone(),
            workload,
            node: Arc::clone(node),
            outbound: Client::new(outbound_address, CALL_DEADLINE),
            random: Mutex::new(StdRng::seed_from_u64(self.seed ^ hash(&pod))),
        };
        self.tasks.spawn(app::serve(app, listener, stop.clone()));

        let entry = PodEntry { pod: pod.clone(), workload, node: node.name().clone(), inbound: inbound_address };
        let identity = identity(&entry);
        self.running.insert(pod, RunningPod { entry, stop });
        let inbound = Inbound { port: workload.service().port, listener: inbound, application };
        Ok(DemoPod { identity, outbound, inbound: Some(inbound) })
    }

    /// Makes the load generator's pod: it has no node and answers nothing, so it costs nothing.
    pub(crate) async fn load_generator(&self) -> Result<(DemoPod, SocketAddr), Error> {
        let outbound = self.bind().await?;
        let address = outbound.local_addr().map_err(unbound)?;
        let identity = WorkloadIdentity {
            mode: ProxyMode::Sidecar,
            namespace: NAMESPACE.into(),
            workload: "loadgen".into(),
            pod: "loadgen-0".to_owned(),
            node: None,
            service_account: "loadgen".to_owned(),
            labels: labels([("app", "loadgen"), ("version", "v1")]),
            cluster: CLUSTER.to_owned(),
            trust_domain: TRUST_DOMAIN.to_owned(),
        };
        Ok((DemoPod { identity, outbound, inbound: None }, address))
    }

    /// Tells the mesh which pods run.
    pub(crate) async fn publish(&self) -> Result<(), Error> {
        self.mesh.write_endpoints(self.running.values().map(|pod| &pod.entry)).await
    }

    /// Takes a pod out of the endpoints, and stops it when the proxies have had time to read of it.
    pub(crate) async fn stop(&mut self, pod: &PodKey) -> Result<(), Error> {
        let Some(RunningPod { entry, stop }) = self.running.remove(pod) else { return Ok(()) };
        self.publish().await?;
        let node = self.nodes.iter().find(|node| *node.name() == entry.node).cloned();
        let (events, leave, end) = (self.events.clone(), self.leave, self.end.clone());
        self.tasks.spawn(end.run_until_cancelled_owned(async move {
            tokio::time::sleep(leave).await;
            if let Some(node) = node {
                node.end_pod(&entry.pod);
            }
            stop.cancel();
            // The receiver may be gone already: then nobody has to know.
            let _ = events.send(Event::PodStopped(entry.pod)).await;
        }));
        Ok(())
    }

    /// Gives the processor requests of the pods on a node.
    pub(crate) fn requested_millicores(&self, node: &NodeName) -> u32 {
        let pods = self.running.values().filter(|pod| pod.entry.node == *node).count();
        u32::try_from(pods).unwrap_or(u32::MAX).saturating_mul(CPU_REQUEST_MILLICORES)
    }

    async fn bind(&self) -> Result<TcpListener, Error> {
        let Some(first) = self.first_port else {
            let tried = || "any free one".to_owned();
            return TcpListener::bind("127.0.0.1:0").await.map_err(|source| Error::Bind { tried: tried(), source });
        };
        let last = first.saturating_add(PORT_RANGE - 1);
        let mut port = first;
        loop {
            // A port in use, by us or by others, is skipped.
            match TcpListener::bind(("127.0.0.1", port)).await {
                Ok(listener) => return Ok(listener),
                Err(source) if port == last => return Err(Error::Bind { tried: format!("{first} to {last}"), source }),
                Err(_) => port += 1,
            }
        }
    }
}

fn unbound(source: std::io::Error) -> Error {
    Error::Bind { tried: "one just bound".to_owned(), source }
}

fn identity(entry: &PodEntry) -> WorkloadIdentity {
    let workload = entry.workload;
    WorkloadIdentity {
        mode: ProxyMode::Sidecar,
        namespace: NAMESPACE.into(),
        workload: workload.name.into(),
        pod: entry.pod.name.to_string(),
        node: Some(entry.node.clone()),
        service_account: workload.service.to_owned(),
        labels: pod_labels(&entry.pod, workload),
        cluster: CLUSTER.to_owned(),
        trust_domain: TRUST_DOMAIN.to_owned(),
    }
}

/// Gives the labels of a workload's pod.
pub(crate) fn pod_labels(pod: &PodKey, workload: &Workload) -> BTreeMap<String, String> {
    labels([("app", workload.service), ("version", workload.version), ("pod-template-hash", template_hash(pod))])
}

fn labels<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
