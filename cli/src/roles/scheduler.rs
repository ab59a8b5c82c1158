//! `wattle scheduler`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use wattle_contract::{ClusterSnapshot, Decision, Millicores};
use wattle_scheduler::{CarbonSource, Config, Scheduler, TlsFiles, follow_snapshots};

use super::{decisions, join_within, until_stopped};
use crate::learn::{self, Learned};
use crate::listen::Ports;
use crate::own::{self, Readiness};
use crate::settings::{self, Settings};
use crate::{banner, progress};

/// Decisions that may wait to be recorded.
const DECISIONS: usize = 1_024;

/// Runs until stopped.
///
/// # Errors
/// A port is in use, the model cannot be loaded, or Kubernetes was asked for and cannot be reached.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    let learned = Arc::new(Learned::load(&settings.model_path())?);
    let collector = settings.scheduler.collector.parse().with_context(|| {
        format!(
            "scheduler.collector '{}' is not an address such as http://127.0.0.1:9090",
            settings.scheduler.collector
        )
    })?;
    let mut ports = Ports::new(None);
    let own_listener = ports.bind("own metrics and health", "general.listen", settings.general.listen).await?;
    let listener = ports.bind("scheduler extender", "scheduler.listen", settings.scheduler.listen).await?;
    let registry = Registry::new();
    let ready = Readiness::default();
    let shutdown = until_stopped(None);
    let (snapshots, followed) = watch::channel(None);
    tokio::spawn(follow_snapshots(collector, snapshots, shutdown.clone()));
    tokio::spawn(learn::follow(
        settings.model_path(),
        settings.model.reload_every,
        Arc::clone(&learned),
        shutdown.clone(),
    ));
    let (decisions, made) = mpsc::channel(DECISIONS);
    match settings.scheduler.store.clone() {
        Some(url) => tokio::spawn(decisions::open_and_record(url, made, shutdown.clone())),
        None => tokio::spawn(decisions::log(made)),
    };
    let scheduler = start(&settings, listener, followed, &learned, decisions, &registry, shutdown.clone()).await?;
    tokio::spawn(own::serve(own_listener, registry, ready.clone(), shutdown.clone()));
    progress::say(&format!("wattle scheduler\n{}", banner::listeners(ports.bound())));
    ready.set(true);
    shutdown.cancelled().await;
    ready.set(false);
    join_within(settings.general.shutdown, "scheduler", scheduler.join()).await;
    Ok(ExitCode::SUCCESS)
}

/// Starts the extender.
///
/// # Errors
/// The certificate cannot be used, or Kubernetes was asked for and cannot be reached.
pub(crate) async fn start(
    settings: &Settings,
    listener: TcpListener,
    snapshots: watch::Receiver<Option<Arc<ClusterSnapshot>>>,
    learned: &Learned,
    decisions: mpsc::Sender<Decision>,
    registry: &Registry,
    shutdown: CancellationToken,
) -> anyhow::Result<Scheduler> {
    let own = &settings.scheduler;
    let kube = match own.kubernetes {
        true => Some(kube::Config::infer().await.context("cannot reach Kubernetes (scheduler.kubernetes is true)")?),
        false => None,
    };
    let config = Config { tls: tls(settings)?, seed: u64::try_from(learn::now().0).unwrap_or_default(), ..config(own) };
    let model = learned.predictor.subscribe();
    Scheduler::start(config, listener, snapshots, model, decisions, kube.as_ref(), registry, shutdown)
        .context("cannot start the scheduler extender")
}

/// Gives what the settings say, without the files for HTTPS.
pub(crate) fn config(own: &settings::Scheduler) -> Config {
    let carbon =
        own.carbon.clone().map(|from| CarbonSource { from, label: own.carbon_label.clone(), every: own.carbon_every });
    let defaults = Config::default();
    #[expect(clippy::cast_precision_loss, reason = "at most 100,000")]
    let default_pod_cpu = Millicores::new(own.default_pod_cpu as f64).unwrap_or(defaults.default_pod_cpu);
    Config {
        top_score: u32::try_from(own.top_score).unwrap_or(u32::MAX),
        weight_energy: own.weight_energy,
        weight_latency: own.weight_latency,
        weight_affinity: own.weight_affinity,
        weight_slo: own.weight_slo,
        weight_headroom: own.weight_headroom,
        weight_neighbours: own.weight_neighbours,
        empty_nodes_off: own.empty_nodes == "off",
        carbon,
        power_caps: own.power_caps.0.clone(),
        stale_after: own.stale_after,
        deadline: own.deadline,
        assumed_ttl: own.assumed_ttl,
        default_pod_cpu,
        max_body_bytes: usize::try_from(own.max_body_bytes).unwrap_or(usize::MAX),
        bind: own.bind,
        events_per_minute: own.events.then(|| u32::try_from(own.events_per_minute).unwrap_or(u32::MAX)),
        steer_ratio: own.steer.then_some(own.steer_ratio),
        ..defaults
    }
}

/// Gives the files for HTTPS.
///
/// # Errors
/// Only one of certificate and key is set, or a client authority without them.
fn tls(settings: &Settings) -> anyhow::Result<Option<TlsFiles>> {
    let own = &settings.scheduler;
    match (&own.tls_certificate, &own.tls_key) {
        (Some(cert), Some(key)) => {
            Ok(Some(TlsFiles { cert: cert.clone(), key: key.clone(), client_ca: own.tls_client_ca.clone() }))
        }
        (None, None) if own.tls_client_ca.is_none() => Ok(None),
        _ => anyhow::bail!("HTTPS needs both scheduler.tls_certificate and scheduler.tls_key"),
    }
}
