//! `wattle proxy`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use prometheus::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wattle_contract::{NodeName, ProxyMode, WorkloadIdentity};
use wattle_proxy::{Config, InboundListener, Listeners, Proxy, Workload};
use wattle_scheduler::steer::Steering;
use wattle_scheduler::{Steerer, Trust, follow_steering};

use super::{join_within, until_stopped};
use crate::listen::Ports;
use crate::mesh::Mesh;
use crate::own::{self, Readiness};
use crate::settings::Settings;
use crate::{banner, progress};

/// Time between two questions for the weights of endpoints: they change once a window.
const STEERING_EVERY: Duration = Duration::from_secs(2);
/// How long the last weights hold while nobody answers.
const STEERING_GONE: Duration = Duration::from_secs(120);

/// Runs until stopped.
///
/// # Errors
/// A port is in use, or the mesh resources cannot be read.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(!settings.proxy.mesh.is_empty(), "there is nothing to obey: give mesh resources with --mesh PATH");
    let mut ports = Ports::new(None);
    let own_listener = ports.bind("own metrics and health", "general.listen", settings.general.listen).await?;
    let listeners = bind(&settings, &mut ports).await?;
    let registry = Registry::new();
    let ready = Readiness::default();
    let shutdown = until_stopped(None);
    let steering = follow_weights(&settings, &shutdown)?;
    let mesh = Mesh::watch(settings.proxy.mesh.clone(), steering, shutdown.clone()).await?;
    let workload = own_workload(&settings, &mesh, &mut ports).await?;
    let proxy = start(&settings, listeners, &registry, shutdown.clone()).await?;
    let handle = proxy.add(workload);
    tokio::spawn(own::serve(own_listener, registry, ready.clone(), shutdown.clone()));
    progress::say(&format!("wattle proxy\n{}", banner::listeners(ports.bound())));
    ready.set(true);
    shutdown.cancelled().await;
    ready.set(false);
    drop(handle);
    join_within(settings.general.shutdown, "proxy", proxy.join()).await;
    Ok(ExitCode::SUCCESS)
}

/// Follows the weights of a scheduler in another process, where one is named.
fn follow_weights(
    settings: &Settings,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<watch::Receiver<Arc<Steering>>>> {
    let Some(scheduler) = &settings.proxy.steering else { return Ok(None) };
    let address = scheduler
        .parse()
        .with_context(|| format!("proxy.steering '{scheduler}' is not an address such as http://127.0.0.1:8888"))?;
    let proxy = &settings.proxy;
    let own = proxy.steering_certificate.clone().zip(proxy.steering_key.clone());
    let trust = proxy.steering_ca.clone().map(|ca| Trust { ca, own });
    let scheduler = Steerer::new(&address, trust.as_ref()).context("cannot follow the weights of proxy.steering")?;
    let (sender, receiver) = watch::channel(Arc::default());
    tokio::spawn(follow_steering(STEERING_EVERY, STEERING_GONE, scheduler, sender, shutdown.clone()));
    Ok(Some(receiver))
}

/// Binds the listeners that all workloads of a proxy share.
///
/// # Errors
/// A port is in use.
pub(crate) async fn bind(settings: &Settings, ports: &mut Ports) -> anyhow::Result<Listeners> {
    let proxy = &settings.proxy;
    Ok(Listeners {
        admin: ports.bind("proxy: admin", "proxy.admin", proxy.admin).await?,
        metrics: ports.bind("proxy: /stats/prometheus", "proxy.metrics", proxy.metrics).await?,
        health: Some(ports.bind("proxy: health", "proxy.health", proxy.health).await?),
    })
}

/// Starts the proxy without any workload.
///
/// # Errors
/// The collector's address is none.
pub(crate) async fn start(
    settings: &Settings,
    listeners: Listeners,
    registry: &Registry,
    shutdown: CancellationToken,
) -> anyhow::Result<Proxy> {
    let own = &settings.proxy;
    let otlp = match &own.otlp {
        Some(address) => Some(address.parse().with_context(|| format!("proxy.otlp '{address}' is not an address"))?),
        None => None,
    };
    let config = Config {
        drain: own.drain,
        trace_sampling: own.trace_sampling,
        otlp,
        threads: threads(own.threads),
        idle_timeout: own.idle_timeout,
        ..Config::default()
    };
    Proxy::start(config, listeners, registry, shutdown).await.context("cannot start the proxy")
}

/// One for each core that this process may use, unless a number is given.
fn threads(wanted: u64) -> usize {
    match usize::try_from(wanted) {
        Ok(count @ 1..) => count,
        _ => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    }
}

/// Gives the workload that the settings describe, with its listeners bound.
///
/// # Errors
/// A port is in use, or the resources cannot be compiled for it.
pub(crate) async fn own_workload(settings: &Settings, mesh: &Mesh, ports: &mut Ports) -> anyhow::Result<Workload> {
    let own = &settings.proxy;
    let identity = identity(settings);
    let table = mesh.table(identity.clone())?;
    let port = u16::try_from(own.inbound_port).context("proxy.inbound_port is at most 65535")?;
    Ok(Workload {
        identity,
        table,
        outbound: Some(ports.bind_shared("proxy: outbound", "proxy.listen", own.listen).await?),
        inbound: vec![InboundListener {
            port,
            listener: ports.bind_shared("proxy: inbound", "proxy.inbound", own.inbound).await?,
            application: own.application,
        }],
        gateway: Vec::new(),
    })
}

fn identity(settings: &Settings) -> WorkloadIdentity {
    let own = &settings.proxy;
    WorkloadIdentity {
        mode: ProxyMode::Sidecar,
        namespace: own.namespace.as_str().into(),
        workload: own.workload.as_str().into(),
        pod: own.pod.clone(),
        node: (!own.node.is_empty()).then(|| NodeName::from(own.node.as_str())),
        service_account: own.service_account.clone(),
        labels: own
            .labels
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect(),
        cluster: "Kubernetes".to_owned(),
        trust_domain: "cluster.local".to_owned(),
    }
}
