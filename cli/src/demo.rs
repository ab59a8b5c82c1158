//! `wattle up --demo`: hands the demo's pods to the proxy, its placements to the terminal, its nodes to the collector.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wattle_collector::{ScrapeJob, ScrapeTarget};
use wattle_contract::PodKey;
use wattle_demo::{Config, Demo, DemoPod, Energy, Event, Placement, RaplPaths};
use wattle_proxy::{InboundListener, Proxy, Workload, WorkloadHandle};
use wattle_scheduler::Scheduler;

use crate::listen::Ports;
use crate::mesh::Mesh;
use crate::progress::say;
use crate::settings::Settings;

/// Events that may wait.
const EVENTS: usize = 256;
/// Placements that are remembered for the summary.
const MAX_PLACEMENTS: usize = 10_000;

/// The demo's own listeners, bound before anything starts.
#[derive(Debug)]
pub(crate) struct Bound {
    exporters: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
}

/// The demo with what the roles hold for it.
#[derive(Debug)]
pub(crate) struct RunningDemo {
    demo: Demo,
    placements: Arc<Mutex<Vec<Value>>>,
    served: JoinHandle<()>,
}

/// What the demo puts in place of the defaults: short windows, so that a minute is enough to see the loop close.
pub(crate) fn presets() -> Vec<(String, String)> {
    [
        ("collector.window", "2s"),
        ("collector.window_lag", "1s"),
        ("model.train_after", "14"),
        ("model.retrain_every", "20s"),
        ("proxy.trace_sampling", "0.2"),
        ("scheduler.stale_after", "20s"),
        ("scheduler.assumed_ttl", "30s"),
        ("general.log", "warn"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// Binds the exporters' listeners.
///
/// # Errors
/// A port is in use.
pub(crate) async fn bind(settings: &Settings, ports: &mut Ports) -> anyhow::Result<Bound> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let names = energy(settings).describe().into_iter().map(|(node, what)| format!("demo: energy of {node}, {what}"));
    let mut exporters = Vec::new();
    for name in names {
        exporters.push(ports.bind(&name, "demo.energy", any).await?);
    }
    let addresses = exporters.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    Ok(Bound { exporters, addresses })
}

impl Bound {
    /// Tells the collector what to scrape and what the machines are, and the proxy where spans go.
    pub(crate) fn complete(&self, settings: &mut Settings, metrics: SocketAddr, own: SocketAddr, otlp: SocketAddr) {
        let energy = energy(settings);
        let source = if energy == Energy::Simulated { "simulated" } else { "measured" };
        let job = |name: &str, path: &str, targets: Vec<ScrapeTarget>| ScrapeJob {
            name: name.to_owned(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(900),
            path: path.to_owned(),
            honor_labels: true,
            targets,
            ..ScrapeJob::default()
        };
        let target =
            |address: &SocketAddr, labels: Vec<(String, String)>| ScrapeTarget { address: address.to_string(), labels };
        let energy_label = vec![("energy_source".to_owned(), source.to_owned())];
        settings.collector.scrape.0.extend([
            job("kepler", "/metrics", self.addresses.iter().map(|a| target(a, energy_label.clone())).collect()),
            job("istio-proxies", "/stats/prometheus", vec![target(&metrics, Vec::new())]),
            job("wattle", "/metrics", vec![target(&own, Vec::new())]),
        ]);
        settings.collector.machines.0.extend(energy.facts());
        settings.proxy.otlp = Some(format!("http://{otlp}"));
    }
}

/// Tells a person what is going to happen.
pub(crate) fn introduction(settings: &Settings) -> String {
    let energy = match energy(settings) {
        Energy::Simulated => {
            "The energy is SIMULATED: three machines follow the published power curves of real servers \
             (SPECpower_ssj2008 published results) under the load they really get."
        }
        Energy::Rapl(_) => "The energy is this machine's own, read from its RAPL counters.",
    };
    let windows = settings.model.train_after;
    let seconds = settings.collector.window.as_secs().saturating_mul(windows);
    format!(
        "{energy}\nEight services of a hotel reservation talk through wattle's proxies; a pod is placed every {} s.\n\
         Until the first model is trained (after {windows} windows, about {seconds} s) every node scores alike.\n\
         Ctrl-C ends it.",
        settings.demo.place_every.as_secs_f64()
    )
}

fn energy(settings: &Settings) -> Energy {
    match settings.demo.energy.as_str() {
        "rapl" => Energy::Rapl(RaplPaths::new(settings.demo.powercap.clone())),
        _ => Energy::Simulated,
    }
}

impl RunningDemo {
    /// Starts the demo and the tasks that serve it.
    ///
    /// # Errors
    /// The data folder cannot be written, or the demo's mesh resources are in error.
    pub(crate) async fn start(
        settings: &Settings,
        bound: Bound,
        extender: SocketAddr,
        ports: &mut Ports,
        proxy: &Arc<Proxy>,
        scheduler: &Scheduler,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let config = Config {
            seed: settings.demo.seed,
            rate: settings.demo.rate,
            place_every: settings.demo.place_every,
            energy: energy(settings),
            first_port: ports.next_port(),
            ..Config::new(settings.general.data.clone(), extender)
        };
        let (sender, events) = mpsc::channel(EVENTS);
        let listeners = wattle_demo::Listeners { exporters: bound.exporters };
        let demo = Demo::start(config, listeners, sender, shutdown.clone()).await.context("cannot start the demo")?;
        let mut files = vec![demo.mesh_dir().to_owned()];
        files.extend(settings.proxy.mesh.iter().cloned());
        let mesh = Mesh::watch(files, settings.scheduler.steer.then(|| scheduler.steering()), shutdown)
            .await
            .context("the demo's mesh resources")?;
        // The exporters are noted already: they were bound here.
        for (name, address) in demo.listeners().into_iter().filter(|(name, _)| !name.starts_with("exporter-")) {
            ports.note(format!("demo: {name}"), address);
        }
        let placements = Arc::new(Mutex::new(Vec::new()));
        let served = serve(events, mesh, Arc::clone(proxy), scheduler.clone(), Arc::clone(&placements));
        Ok(Self { demo, placements, served: tokio::spawn(served) })
    }

    /// Gives the placements made so far, as the summary tells them.
    pub(crate) fn placements(&self) -> Vec<Value> {
        self.placements.lock().clone()
    }

    /// Waits for the demo's end.
    pub(crate) async fn join(self) {
        self.demo.join().await;
        if let Err(error) = self.served.await {
            tracing::error!(%error, "the task that served the demo's pods failed");
        }
    }
}

/// Serves the demo's events until it ends.
async fn serve(
    mut events: mpsc::Receiver<Event>,
    mesh: Mesh,
    proxy: Arc<Proxy>,
    scheduler: Scheduler,
    placements: Arc<Mutex<Vec<Value>>>,
) {
    let mut pods: HashMap<PodKey, WorkloadHandle> = HashMap::new();
    while let Some(event) = events.recv().await {
        match event {
            Event::PodStarted(pod) => {
                let key = PodKey::new(pod.identity.namespace.as_str(), &pod.identity.pod);
                match carry(pod, &mesh, &proxy) {
                    Ok(handle) => {
                        pods.insert(key, handle);
                    }
                    Err(error) => tracing::error!(pod = %key, error = format!("{error:#}"), "no proxy for this pod"),
                }
            }
            Event::PodStopped(key) => {
                scheduler.observe_removal(&key);
                pods.remove(&key);
            }
            Event::Placed(placement) => {
                let uid = placement.decision.as_ref().map(|decision| decision.pod.uid.as_str()).unwrap_or_default();
                scheduler.observe_binding(&placement.pod, &placement.node, uid);
                show(&placement);
                let mut kept = placements.lock();
                if kept.len() < MAX_PLACEMENTS {
                    kept.push(told(&placement));
                }
            }
        }
    }
}

fn carry(pod: DemoPod, mesh: &Mesh, proxy: &Proxy) -> anyhow::Result<WorkloadHandle> {
    let table = mesh.table(pod.identity.clone())?;
    let workload = Workload {
        identity: pod.identity,
        table,
        outbound: Some(pod.outbound),
        inbound: pod
            .inbound
            .map(|inbound| InboundListener {
                port: inbound.port,
                listener: inbound.listener,
                application: inbound.application,
            })
            .into_iter()
            .collect(),
        gateway: Vec::new(),
    };
    Ok(proxy.add(workload))
}

/// Prints the table of one placement.
fn show(placement: &Placement) {
    let Some(decision) = &placement.decision else {
        let why = placement.fallback.as_deref().unwrap_or("the extender did not say why");
        say(&format!("\n{} -> {} ({why})", placement.pod, placement.node));
        return;
    };
    let bold = if std::io::stderr().is_terminal() { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
    let alike = decision.candidates.windows(2).all(|pair| pair[0].score == pair[1].score);
    let note = if alike {
        " (every node scores alike; placed as the default scheduler would)".to_owned()
    } else if placement.node == placement.default_node {
        " (as the default scheduler would)".to_owned()
    } else {
        format!(" (the default scheduler would have taken {})", placement.default_node)
    };
    say(&format!("\n{}{} -> {}{}{note}", bold.0, placement.pod, placement.node, bold.1));
    say(wattle_scheduler::explain::table(decision).trim_end());
}

/// Gives one placement as the summary tells it.
fn told(placement: &Placement) -> Value {
    let candidates = placement.decision.as_ref().map(|decision| &decision.candidates);
    let scores: serde_json::Map<String, Value> =
        placement.scores.iter().map(|(node, score)| (node.to_string(), json!(score))).collect();
    let reasons: serde_json::Map<String, Value> = candidates
        .into_iter()
        .flatten()
        .map(|c| {
            let about = json!({ "reason": c.reason, "added_watts": c.added_watts, "p95_ms": c.p95_ms });
            (c.node.to_string(), about)
        })
        .collect();
    json!({
        "pod": placement.pod.to_string(),
        "node": placement.node,
        "default_node": placement.default_node,
        "scores": scores,
        "reasons": reasons,
    })
}
