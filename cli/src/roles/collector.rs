//! `wattle collector`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use prometheus::Registry;
use tokio_util::sync::CancellationToken;
use wattle_collector::{Collector, Config, Listeners, QueryLimits, RuleConfig, scrape_configs_of};

use super::{join_within, until_stopped};
use crate::listen::Ports;
use crate::own::{self, Readiness};
use crate::settings::Settings;
use crate::verbs::rows::redact;
use crate::{banner, progress};

/// Interval of the rules for Kepler: what its dashboards ask for reaches a minute back.
const KEPLER_EVERY: Duration = Duration::from_secs(15);

/// Runs until stopped.
///
/// # Errors
/// A port is in use, or the store cannot be opened.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    let mut ports = Ports::new(None);
    let own_listener = ports.bind("own metrics and health", "general.listen", settings.general.listen).await?;
    let listeners = bind(&settings, &mut ports).await?;
    let registry = Registry::new();
    let ready = Readiness::default();
    let shutdown = until_stopped(None);
    let collector = start(&settings, listeners, &registry, shutdown.clone()).await?;
    tokio::spawn(own::serve(own_listener, registry, ready.clone(), shutdown.clone()));
    progress::say(&format!("wattle collector\n{}", banner::listeners(ports.bound())));
    ready.set(true);
    shutdown.cancelled().await;
    ready.set(false);
    join_within(settings.general.shutdown, "collector", collector.join()).await;
    Ok(ExitCode::SUCCESS)
}

/// Binds the collector's listeners.
///
/// # Errors
/// A port is in use.
pub(crate) async fn bind(settings: &Settings, ports: &mut Ports) -> anyhow::Result<Listeners> {
    let collector = &settings.collector;
    Ok(Listeners {
        api: ports.bind("collector: Prometheus API, snapshot", "collector.listen", collector.listen).await?,
        otlp_grpc: Some(ports.bind("collector: OTLP gRPC", "collector.otlp_grpc", collector.otlp_grpc).await?),
        otlp_http: Some(ports.bind("collector: OTLP HTTP", "collector.otlp_http", collector.otlp_http).await?),
        zipkin: Some(ports.bind("collector: Zipkin", "collector.zipkin", collector.zipkin).await?),
        jaeger_http: Some(ports.bind("collector: Jaeger HTTP", "collector.jaeger_http", collector.jaeger_http).await?),
        jaeger_grpc: Some(ports.bind("collector: Jaeger gRPC", "collector.jaeger_grpc", collector.jaeger_grpc).await?),
    })
}

/// Starts the collector.
///
/// # Errors
/// The store cannot be opened.
pub(crate) async fn start(
    settings: &Settings,
    listeners: Listeners,
    registry: &Registry,
    shutdown: CancellationToken,
) -> anyhow::Result<Collector> {
    let url = settings.store_url();
    if settings.collector.store.is_none() {
        let data = &settings.general.data;
        std::fs::create_dir_all(data).with_context(|| format!("cannot create the data folder {}", data.display()))?;
    }
    let mut scrape = settings.collector.scrape.0.clone();
    for path in &settings.collector.scrape_config_files {
        scrape.extend(scrape_configs_of(path).map_err(anyhow::Error::msg)?);
    }
    let config = Config {
        store_url: url.clone(),
        window: settings.collector.window,
        window_lag: settings.collector.window_lag,
        scrape,
        machines: settings.collector.machines.0.clone(),
        retention: settings.collector.retention,
        retention_bytes: settings.collector.retention_bytes,
        search_attributes: search_attributes(&settings.collector.search_attributes),
        series_limit: settings.collector.series_limit,
        metric_series_limit: settings.collector.metric_series_limit,
        exemplar_limit: settings.collector.exemplar_limit,
        query: query_limits(settings),
        rules: RuleConfig {
            files: settings.collector.rules.clone(),
            interval: settings.collector.rule_interval,
            kepler: settings.collector.kepler_aliases.then_some(KEPLER_EVERY),
            alertmanager: settings.collector.alertmanager.clone(),
        },
        kubernetes: settings.collector.kubernetes,
        kubeconfig: None,
    };
    Collector::start(config, listeners, registry, shutdown)
        .await
        .with_context(|| format!("cannot start the collector on {}", redact(&url)))
}

fn search_attributes(names: &str) -> Vec<String> {
    names.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn query_limits(settings: &Settings) -> QueryLimits {
    let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let collector = &settings.collector;
    QueryLimits {
        timeout: collector.query_timeout,
        max_concurrent: whole(collector.query_concurrency),
        max_samples: whole(collector.query_samples),
        max_series: whole(collector.query_series),
        slow: collector.query_slow,
        slow_text: collector.query_slow_text,
        ..QueryLimits::default()
    }
}
