//! `wattle up`: every role in one process over one embedded database.
//!
//! The seams between the roles are channels here; the same seams are HTTP when the roles run apart.

mod summary;

use std::process::ExitCode;
use std::sync::Arc;

use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wattle_collector::Collector;
use wattle_proxy::Proxy;
use wattle_scheduler::Scheduler;

use super::{collector, decisions, join_within, proxy, scheduler, until_stopped};
use crate::args::Up;
use crate::demo::{self, RunningDemo};
use crate::learn::{self, Learned};
use crate::listen::Ports;
use crate::mesh::Mesh;
use crate::own::{self, Readiness};
use crate::settings::Settings;
use crate::{banner, progress};

/// Decisions that may wait to be recorded.
const DECISIONS: usize = 1_024;

/// Everything that is bound before anything starts.
struct Bound {
    own: TcpListener,
    collector: wattle_collector::Listeners,
    scheduler: TcpListener,
    proxy: wattle_proxy::Listeners,
    demo: Option<demo::Bound>,
}

/// Everything that runs.
struct Running {
    collector: Collector,
    scheduler: Scheduler,
    proxy: Arc<Proxy>,
    demo: Option<RunningDemo>,
    workload: Option<wattle_proxy::WorkloadHandle>,
    learned: Arc<Learned>,
}

/// Runs until stopped.
///
/// # Errors
/// A port is in use, the store or the model cannot be opened, or the mesh resources are in error.
pub(crate) async fn run(args: Up, mut settings: Settings) -> anyhow::Result<ExitCode> {
    let learned = Arc::new(Learned::load(&settings.model_path())?);
    let mut ports = Ports::new(args.port_base);
    let bound = bind(&args, &settings, &mut ports).await?;
    if let (Some(demo), Some(otlp)) = (&bound.demo, &bound.collector.otlp_grpc) {
        let (metrics, own) = (bound.proxy.metrics.local_addr()?, bound.own.local_addr()?);
        demo.complete(&mut settings, metrics, own, otlp.local_addr()?);
    }
    let ready = Readiness::default();
    let shutdown = until_stopped(args.run_for);
    let running = start(&args, &settings, bound, &mut ports, learned, (&ready, shutdown.clone())).await?;
    progress::say(&format!("wattle up\n{}", banner::listeners(ports.bound())));
    if running.demo.is_some() {
        progress::say(&demo::introduction(&settings));
    }
    ready.set(true);
    shutdown.cancelled().await;
    ready.set(false);
    let summary = summary::of(&running, ports.bound());
    stop(running, &settings).await;
    if args.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        progress::say(&summary.to_string());
    }
    Ok(ExitCode::SUCCESS)
}

async fn bind(args: &Up, settings: &Settings, ports: &mut Ports) -> anyhow::Result<Bound> {
    Ok(Bound {
        own: ports.bind("own metrics and health", "general.listen", settings.general.listen).await?,
        collector: collector::bind(settings, ports).await?,
        scheduler: ports.bind("scheduler extender", "scheduler.listen", settings.scheduler.listen).await?,
        proxy: proxy::bind(settings, ports).await?,
        demo: match args.demo {
            true => Some(demo::bind(settings, ports).await?),
            false => None,
        },
    })
}

async fn start(
    args: &Up,
    settings: &Settings,
    bound: Bound,
    ports: &mut Ports,
    learned: Arc<Learned>,
    (ready, shutdown): (&Readiness, CancellationToken),
) -> anyhow::Result<Running> {
    let registry = Registry::new();
    let extender = bound.scheduler.local_addr()?;
    let collector = collector::start(settings, bound.collector, &registry, shutdown.clone()).await?;
    let store = collector.store();
    let (sender, recorded) = mpsc::channel(DECISIONS);
    tokio::spawn(decisions::record(Arc::clone(&store), recorded));
    let scheduler = scheduler::start(
        settings,
        bound.scheduler,
        collector.snapshots(),
        &learned,
        sender,
        &registry,
        shutdown.clone(),
    )
    .await?;
    let proxy = Arc::new(proxy::start(settings, bound.proxy, &registry, shutdown.clone()).await?);
    let mut workload = None;
    let demo = match bound.demo {
        Some(demo) => {
            Some(RunningDemo::start(settings, demo, extender, ports, &proxy, &scheduler, shutdown.clone()).await?)
        }
        None if settings.proxy.mesh.is_empty() => None,
        None => {
            let steering = settings.scheduler.steer.then(|| scheduler.steering());
            let mesh = Mesh::watch(settings.proxy.mesh.clone(), steering, shutdown.clone()).await?;
            workload = Some(proxy.add(proxy::own_workload(settings, &mesh, ports).await?));
            None
        }
    };
    tokio::spawn(learn::keep_learning(settings.clone(), store, Arc::clone(&learned), shutdown.clone()));
    // A model trained by hand into the same file is taken as well.
    let reload_every = settings.model.reload_every;
    tokio::spawn(learn::follow(settings.model_path(), reload_every, Arc::clone(&learned), shutdown.clone()));
    tokio::spawn(own::serve(bound.own, registry, ready.clone(), shutdown));
    tracing::debug!(demo = args.demo, "all roles started");
    Ok(Running { collector, scheduler, proxy, demo, workload, learned })
}

/// Stops the roles in the order in which data flows: who sends first, who keeps last.
async fn stop(running: Running, settings: &Settings) {
    let Running { collector, scheduler, proxy, demo, workload, .. } = running;
    drop(workload);
    let within = settings.general.shutdown;
    let senders = async {
        if let Some(demo) = demo {
            demo.join().await;
        }
        // The demo's task held the other handle, and has ended.
        if let Some(proxy) = Arc::into_inner(proxy) {
            proxy.join().await;
        }
        scheduler.join().await;
    };
    join_within(within, "demo, proxy and scheduler", senders).await;
    join_within(within, "collector", collector.join()).await;
}
