//! Starts the whole cluster: nodes and their exporters, pods, users, placer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wattle_contract::{Joules, NodeName, PodKey, WorkloadIdentity};

use crate::client::Client;
use crate::config::{Config, Energy};
use crate::error::Error;
use crate::exporter::{self, Simulated, Source};
use crate::extender::Extender;
use crate::load::{Counts, Load};
use crate::machines::MACHINES;
use crate::mesh::MeshFolder;
use crate::node::Node;
use crate::placer::{Placement, Placer};
use crate::pods::Pods;
use crate::rapl::Rapl;
use crate::service::WORKLOADS;

/// Users wait this long for an answer.
const USER_DEADLINE: Duration = Duration::from_secs(10);

/// Everything has ended this long after shutdown, or is left behind.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// How many requests the host takes at a time when its own energy is measured: as many as the three machines together.
const HOST_SLOTS: u32 = 24;

/// Sockets that the caller has bound.
#[derive(Debug)]
pub struct Listeners {
    /// One for each node's energy exporter, in the order of [`Energy::facts`].
    pub exporters: Vec<TcpListener>,
}

/// What happened in the demo, for the one who runs its proxies.
#[derive(Debug)]
pub enum Event {
    /// A pod runs and waits for its proxy.
    PodStarted(DemoPod),
    /// A pod is gone: its proxy is not needed any more.
    PodStopped(PodKey),
    /// A pod was placed by way of the extender.
    Placed(Placement),
}

/// A pod with the listeners that its proxy is to serve.
#[derive(Debug)]
pub struct DemoPod {
    /// Who it is.
    pub identity: WorkloadIdentity,
    /// Its own requests arrive here, to be routed by their host.
    pub outbound: TcpListener,
    /// Requests to it arrive here; `None` for the load generator, which answers nothing.
    pub inbound: Option<Inbound>,
}

/// The serving side of a pod.
#[derive(Debug)]
pub struct Inbound {
    /// The workload's port, as its Service has it.
    pub port: u16,
    /// Where the mesh sends requests for it.
    pub listener: TcpListener,
    /// Where its application really listens.
    pub application: SocketAddr,
}

/// What the demo has done so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Requests that users sent.
    pub requests_sent: u64,
    /// Those that failed.
    pub requests_failed: u64,
    /// Pods placed.
    pub placements: u64,
    /// True energy of each node, to compare the collector's with.
    pub joules: BTreeMap<NodeName, Joules>,
}

/// The running demo.
#[derive(Debug)]
pub struct Demo {
    nodes: Vec<Arc<Node>>,
    rapl: Option<Arc<Rapl>>,
    counts: Arc<Counts>,
    placements: Arc<AtomicU64>,
    mesh: MeshFolder,
    listeners: Vec<(String, SocketAddr)>,
    tasks: TaskTracker,
}

impl Demo {
    /// Starts everything. When this returns the mesh resources are written and all base pods answer; their
    /// [`Event::PodStarted`] are on the way. The users wait for the frontend to answer through its proxies.
    ///
    /// # Errors
    /// When a port cannot be bound, the data folder cannot be written, or no RAPL counter can be read.
    pub async fn start(
        config: Config,
        listeners: Listeners,
        events: mpsc::Sender<Event>,
        shutdown: CancellationToken,
    ) -> Result<Self, Error> {
        config.check()?;
        let now = Instant::now();
        let (nodes, sources, rapl) = hardware(&config.energy, now)?;
        let (expected, got) = (sources.len(), listeners.exporters.len());
        if expected != got {
            return Err(Error::Listeners { expected, got });
        }

        let (tasks, end) = (TaskTracker::new(), CancellationToken::new());
        let mut pods = Pods {
            nodes: nodes.clone(),
            mesh: MeshFolder::new(&config.data_dir),
            first_port: config.first_port,
            seed: config.seed,
            events,
            tasks: tasks.clone(),
            leave: config.leave,
            end: end.clone(),
            running: BTreeMap::new(),
            started: BTreeMap::new(),
        };
        pods.mesh.write_resources().await?;
        let mut base = Vec::new();
        for (workload, node) in WORKLOADS.iter().zip(nodes.iter().cycle()) {
            let pod = pods.name(workload);
            base.push(pods.start(pod, workload, node).await?);
        }
        pods.publish().await?;
        let (load_generator, outbound) = pods.load_generator().await?;
        base.push(load_generator);

        let mut addresses = serve_exporters(&tasks, &config.energy, sources, listeners.exporters, &shutdown);
        addresses.push(("users".to_owned(), outbound));
        let background = |task| tasks.spawn(shutdown.clone().run_until_cancelled_owned(task));
        for node in &nodes {
            background(Box::pin(Arc::clone(node).run()) as Task);
        }
        if let Some(rapl) = &rapl {
            background(Box::pin(Arc::clone(rapl).run()));
        }
        let counts = Arc::new(Counts::default());
        let outbound = Client::new(outbound, USER_DEADLINE);
        let load = Load { outbound, rate: config.rate, seed: config.seed, counts: Arc::clone(&counts) };
        let stop_sending = shutdown.clone();
        tasks.spawn(async move {
            // Held for the case that this task is dropped: applications never outlive their users.
            let _end = end.drop_guard();
            load.run(stop_sending).await;
        });
        let (mesh, placements) = (pods.mesh.clone(), Arc::new(AtomicU64::new(0)));
        let extender = Extender::new(config.extender);
        let placer = Placer { pods, extender, every: config.place_every, placements: Arc::clone(&placements) };
        background(Box::pin(announce_then_place(base, placer)));
        Ok(Self { nodes, rapl, counts, placements, mesh, listeners: addresses, tasks })
    }

    /// Gives what the demo has done so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let now = Instant::now();
        let simulated = self.nodes.iter().filter_map(|node| Some((node.name().clone(), node.joules(now)?)));
        let measured = self.rapl.iter().zip(&self.nodes);
        let measured = measured.filter_map(|(rapl, node)| Some((node.name().clone(), Joules::new(rapl.joules(now))?)));
        Summary {
            requests_sent: self.counts.sent(),
            requests_failed: self.counts.failed(),
            placements: self.placements.load(Ordering::Relaxed),
            joules: simulated.chain(measured).collect(),
        }
    }

    /// Gives the folder with the mesh resources.
    #[must_use]
    pub fn mesh_dir(&self) -> &Path {
        self.mesh.path()
    }

    /// Gives the files in it; `endpoints.yaml` is rewritten whenever a pod comes or goes.
    #[must_use]
    pub fn mesh_files(&self) -> Vec<PathBuf> {
        self.mesh.files()
    }

    /// Gives what listens where, for a banner: the energy exporters (`exporter-node-a`; [`Energy::describe`] says of what)
    /// and the users' own proxy (`users`), through which anyone can send a request with a `Host` of the mesh.
    #[must_use]
    pub fn listeners(&self) -> Vec<(String, SocketAddr)> {
        self.listeners.clone()
    }

    /// Waits for everything to end, after the shutdown token has been cancelled; at most 5 s.
    ///
    /// Users stop first and have up to 2 s for their last answers, so the proxies should outlive this call.
    pub async fn join(self) {
        self.tasks.close();
        if tokio::time::timeout(END_DEADLINE, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "the demo did not end in time; the rest is cut off");
        }
    }
}

type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

type Hardware = (Vec<Arc<Node>>, Vec<Arc<dyn Source>>, Option<Arc<Rapl>>);

/// Makes the nodes, what their exporters export, and the RAPL reader where there is one.
fn hardware(energy: &Energy, now: Instant) -> Result<Hardware, Error> {
    match energy {
        Energy::Simulated => {
            let nodes: Vec<_> = MACHINES.iter().map(|machine| Arc::new(Node::simulated(machine, now))).collect();
            let simulated = nodes.iter().filter_map(|node| Simulated::new(Arc::clone(node), now));
            let sources = simulated.map(|source| Arc::new(source) as Arc<dyn Source>).collect();
            Ok((nodes, sources, None))
        }
        Energy::Rapl(paths) => {
            let rapl = Arc::new(Rapl::open(paths.clone(), now)?);
            let node = Arc::new(Node::unmetered(paths.host(), HOST_SLOTS, now));
            Ok((vec![node], vec![Arc::clone(&rapl) as Arc<dyn Source>], Some(rapl)))
        }
    }
}

fn serve_exporters(
    tasks: &TaskTracker,
    energy: &Energy,
    sources: Vec<Arc<dyn Source>>,
    listeners: Vec<TcpListener>,
    shutdown: &CancellationToken,
) -> Vec<(String, SocketAddr)> {
    let mut addresses = Vec::new();
    for ((source, listener), (node, what)) in sources.into_iter().zip(listeners).zip(energy.describe()) {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(node.name = %node, %address, energy = what, "energy exporter listens");
            addresses.push((format!("exporter-{node}"), address));
        }
        tasks.spawn(exporter::serve(listener, source, shutdown.clone()));
    }
    addresses
}

/// Hands out the base pods, then places new ones.
async fn announce_then_place(base: Vec<DemoPod>, placer: Placer) {
    for pod in base {
        // The receiver may be gone already: then nobody has to know.
        let _ = placer.pods.events.send(Event::PodStarted(pod)).await;
    }
    placer.run().await;
}
