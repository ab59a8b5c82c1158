//! The role: starts every part over one store, and ends it.

mod retention;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use wattle_contract::{ClusterSnapshot, Joules, NodeName};

use crate::config::Config;
use crate::discover::Pool;
use crate::kubernetes::Kubernetes;
use crate::metrics::Metrics;
use crate::publish::{Published, Publisher};
use crate::receive::intake::{Intake, now};
use crate::receive::scrape::Client;
use crate::receive::{otlp, scrape, zipkin};
use crate::store::Store;
use crate::store::exemplars::Exemplars;
use crate::store::samples::{Due, Limits, Samples};
use crate::store::size::Keep;
use crate::store::traces::{self, Keeping};
use crate::{Error, query, rules};
use retention::Retention;

/// How long an orderly end may take.
const END: Duration = Duration::from_secs(4);
/// How often the service graph's counters are written as samples.
const GRAPH_EVERY: Duration = Duration::from_secs(15);
/// How often the head is looked through for chunks to cut.
const CUT_EVERY: Duration = Duration::from_secs(10);
/// How often the claim on the store is looked at.
const KEEP_LOCK_EVERY: Duration = Duration::from_secs(5);
/// How often idle series are looked for.
const LET_GO_EVERY: Duration = Duration::from_secs(60);
/// How often what is too old is dropped.
const DROP_EVERY: Duration = Duration::from_secs(600);

/// Where the collector is reached; bound already.
#[derive(Debug)]
pub struct Listeners {
    /// Prometheus API, remote write, snapshots and the service graph.
    pub api: TcpListener,
    /// OTLP over gRPC.
    pub otlp_grpc: Option<TcpListener>,
    /// OTLP over HTTP.
    pub otlp_http: Option<TcpListener>,
    /// Zipkin's spans.
    pub zipkin: Option<TcpListener>,
    /// Jaeger's query API over HTTP, and what Grafana and Kiali ask of Tempo.
    pub jaeger_http: Option<TcpListener>,
    /// Jaeger's query API over gRPC.
    pub jaeger_grpc: Option<TcpListener>,
}

impl Listeners {
    /// Listens for the API alone.
    #[must_use]
    pub const fn only(api: TcpListener) -> Self {
        Self { api, otlp_grpc: None, otlp_http: None, zipkin: None, jaeger_http: None, jaeger_grpc: None }
    }
}

/// What a collector has done since its start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Samples acknowledged.
    pub samples: u64,
    /// Series in memory.
    pub series: u64,
    /// Spans acknowledged.
    pub spans: u64,
    /// Energy measured in the windows, by node.
    pub joules: BTreeMap<NodeName, Joules>,
    /// Windows published.
    pub windows: u64,
}

/// A running collector.
#[derive(Debug)]
pub struct Collector {
    intake: Intake,
    snapshots: watch::Receiver<Option<Arc<ClusterSnapshot>>>,
    published: Arc<Mutex<Published>>,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

impl Collector {
    /// Opens the store, replays its journal and starts every part; all of them end when `shutdown` is cancelled.
    ///
    /// Errors: a setting is out of range, or the store cannot be opened, is corrupt, too new or in use.
    pub async fn start(
        config: Config,
        listeners: Listeners,
        registry: &Registry,
        shutdown: CancellationToken,
    ) -> Result<Self, Error> {
        config.check()?;
        let groups = rules::load(&config.rules)?;
        let config = Arc::new(config);
        let metrics = Metrics::register(registry)?;
        let store = Arc::new(Store::open(&config.store_url).await?);
        store.lock_for_writing().await?;
        let taken_over = store.take_over().await?;
        if taken_over > 0 {
            tracing::info!(series = taken_over, "took over the series of an older layout of the store");
        }
        let window_ms = i64::try_from(config.window.as_millis()).unwrap_or(i64::MAX);
        let samples = Arc::new(Samples::open(store.clone(), window_ms, now()).await?);
        samples.limit(Limits { series: config.series_limit, of_metric: config.metric_series_limit });
        metrics.series.set(i64::try_from(samples.series_count()).unwrap_or(i64::MAX));
        let keeping =
            Keeping { retention: config.retention, attributes: config.search_attributes.clone(), ..Keeping::default() };
        let writer = traces::Writer::open(store.clone(), keeping, Arc::default()).await?;
        let most = usize::try_from(config.exemplar_limit).unwrap_or(usize::MAX);
        let exemplars = Arc::new(Exemplars::open(store.clone(), most).await?);
        let intake = Intake::new(store, samples, writer.traces(), exemplars, metrics);
        scrape::declare(&intake);

        let (sender, snapshots) = watch::channel(None);
        let published = Arc::new(Mutex::new(Published::default()));
        let mut tasks = JoinSet::new();
        let kubernetes = match config.kubernetes {
            true => Kubernetes::watch(config.kubeconfig.clone(), &intake.metrics, &mut tasks, &shutdown),
            false => Kubernetes::default(),
        };
        let publisher = Publisher::open(intake.clone(), config.clone(), kubernetes, sender, published.clone()).await?;
        tasks.spawn(publisher.run(shutdown.clone()));
        tasks.spawn(writer.run(shutdown.clone()));
        tasks.spawn(write_graph(intake.clone(), shutdown.clone()));
        tasks.spawn(keep_house(intake.clone(), Retention::of(&config), shutdown.clone()));
        scrape_all(&mut tasks, &intake, &config, &shutdown)?;
        rules::start(&mut tasks, &groups, &intake, config.query, &config.rules, &shutdown);
        let api = query::routes(intake.clone(), snapshots.clone(), config.clone(), groups);
        tasks.spawn(serve(listeners.api, api, shutdown.clone()));
        let http = [
            (listeners.otlp_http, otlp::http_routes(intake.clone())),
            (listeners.zipkin, zipkin::routes(intake.clone())),
            (listeners.jaeger_http, query::jaeger_routes(intake.clone())),
        ];
        for (listener, routes) in http {
            if let Some(listener) = listener {
                tasks.spawn(serve(listener, routes, shutdown.clone()));
            }
        }
        if let Some(listener) = listeners.otlp_grpc {
            tasks.spawn(otlp::serve_grpc(intake.clone(), listener, shutdown.clone()));
        }
        if let Some(listener) = listeners.jaeger_grpc {
            tasks.spawn(query::serve_jaeger_grpc(intake.clone(), listener, shutdown.clone()));
        }
        Ok(Self { intake, snapshots, published, shutdown, tasks })
    }

    /// Gives the published snapshots; the newest is kept.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Option<Arc<ClusterSnapshot>>> {
        self.snapshots.clone()
    }

    /// Gives the store.
    #[must_use]
    pub fn store(&self) -> Arc<Store> {
        self.intake.store.clone()
    }

    /// Gives what was done since the start.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let published = self.published.lock();
        Summary {
            samples: self.intake.accepted(),
            series: self.intake.samples.series_count() as u64,
            spans: self.intake.span_count(),
            joules: published.joules.clone(),
            windows: published.windows,
        }
    }

    /// Waits for the end after `shutdown` was cancelled, writes what is in memory as chunks and closes the store.
    pub async fn join(mut self) {
        self.shutdown.cancelled().await;
        let ended = tokio::time::timeout(END / 2, async { while self.tasks.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!("collector parts did not end in time and were stopped");
            self.tasks.shutdown().await;
        }
        let closed = tokio::time::timeout(END / 2, async {
            // Not needed for safety (the journal has it all): it makes the next start quick.
            while self.intake.samples.cut(now(), Due::All).await.is_ok_and(|cut| cut > 0) {}
            if let Err(error) = self.intake.store.give_back(Keep::Nothing).await {
                tracing::warn!(%error, "free room of the store was not given back");
            }
            self.intake.store.close().await;
        });
        if closed.await.is_err() {
            tracing::warn!("the store was not closed in time; the next start replays its journal");
        }
    }
}

/// Starts the scraping of every job.
///
/// Errors: what a job's `tls_config` names cannot be used.
fn scrape_all(
    tasks: &mut JoinSet<()>,
    intake: &Intake,
    config: &Config,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    for job in config.scrape.iter().cloned().map(Arc::new) {
        let client = Client::new(&job).map_err(|reason| Error::Setting { setting: "scrape", reason })?;
        tasks.spawn(Pool::new(intake.clone(), client, job).run(shutdown.clone()));
    }
    Ok(())
}

/// Cuts chunks and drops what is too old.
async fn keep_house(intake: Intake, retention: Retention, shutdown: CancellationToken) {
    let mut cut = tokio::time::interval(CUT_EVERY);
    let mut drop_old = tokio::time::interval(DROP_EVERY);
    let mut let_go = tokio::time::interval(LET_GO_EVERY);
    let mut keep_lock = tokio::time::interval(KEEP_LOCK_EVERY);
    keep_lock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    cut.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let_go.set_missed_tick_behavior(MissedTickBehavior::Delay);
    drop_old.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let outcome = tokio::select! {
            () = shutdown.cancelled() => return,
            _ = cut.tick() => cut_all(&intake).await,
            _ = let_go.tick() => let_go_of_idle(&intake, retention.age).await,
            _ = keep_lock.tick() => keep_lock_of(&intake).await,
            _ = drop_old.tick() => retention.drop_old(&intake).await,
        };
        if let Err(error) = outcome {
            intake.metrics.store_errors.with_label_values(&[error.label()]).inc();
            tracing::error!(%error, "the store was not tidied");
        }
    }
}

/// Writes the service graph's counters into the sample store.
async fn write_graph(intake: Intake, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(GRAPH_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => {}
        }
        for (reason, count) in intake.traces.graph.unpaired() {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            intake.metrics.graph_unpaired.with_label_values(&[reason.label()]).set(count);
        }
        let samples = intake.traces.graph.samples(now());
        if samples.is_empty() {
            continue;
        }
        if let Err(error) = intake.samples("spans", samples).await {
            tracing::error!(%error, "the service graph's series were not stored");
        }
    }
}

/// Cuts every chunk that is due, a transaction at a time: appends go on in between.
async fn cut_all(intake: &Intake) -> Result<(), Error> {
    loop {
        let cut = intake.samples.cut(now(), Due::Full).await?;
        intake.metrics.chunks.inc_by(cut as u64);
        if cut == 0 {
            return Ok(());
        }
    }
}

/// Holds on to the store; while another collector has it, nothing is written.
async fn keep_lock_of(intake: &Intake) -> Result<(), Error> {
    let kept = intake.store.keep_lock().await;
    intake.samples.hold(matches!(kept, Err(Error::InUse { .. })));
    kept
}

/// Lets go of series that get no samples any more, and of rows of exemplars that are mostly gone.
async fn let_go_of_idle(intake: &Intake, retention: Duration) -> Result<(), Error> {
    let gone = intake.samples.let_go(now()).await?;
    if gone > 0 {
        intake.metrics.series.set(i64::try_from(intake.samples.series_count()).unwrap_or(i64::MAX));
    }
    if intake.exemplars.is_due().await {
        intake.exemplars.tidy(now().minus(retention).0).await?;
    }
    intake.samples.join_blocks().await
}

/// Serves routes until told to stop; open connections get the rest of the time to end.
async fn serve(listener: TcpListener, routes: Router, shutdown: CancellationToken) {
    let served = axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "a listener ended");
    }
}
