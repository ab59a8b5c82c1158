//! The proxy: workloads that come and go, and what is asked of all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wattle_contract::route::PercentMillionths;

use crate::carrier::{Bounds, Carrier, Life};
use crate::config::{AccessLogTarget, Config};
use crate::dice::Dice;
use crate::forward::Side;
use crate::metrics::Metrics;
use crate::table::Surroundings;
use crate::telemetry::{AccessLog, Exporter, Options, Sink};
use crate::threads::Threads;
use crate::workload::{Running, Workload};
use crate::{Error, admin};

/// Listeners of the proxy itself, already bound.
#[derive(Debug)]
pub struct Listeners {
    /// Administration: what it is doing, and telling it to drain.
    pub admin: TcpListener,
    /// `/stats/prometheus`.
    pub metrics: TcpListener,
    /// `/healthz/ready`.
    pub health: Option<TcpListener>,
}

/// What the proxy did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Requests that were accepted and have ended; a request that passes two workloads counts twice.
    pub requests: u64,
    /// Of those, the ones answered 5xx or not at all.
    pub errors: u64,
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    inner: Arc<Inner>,
    tasks: Vec<JoinHandle<()>>,
    outputs: Vec<JoinHandle<()>>,
    stop_outputs: CancellationToken,
}

/// A workload that is carried. Dropping it drains the workload in the background.
#[derive(Debug)]
pub struct WorkloadHandle {
    id: u64,
    inner: Arc<Inner>,
}

/// What the listeners of the proxy look at.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) registry: Registry,
    pub(crate) workloads: Mutex<BTreeMap<u64, Arc<Running>>>,
    /// Workloads whose drain is under way.
    draining: TaskTracker,
    pub(crate) drain: CancellationToken,
    next: std::sync::atomic::AtomicU64,
    dice: Arc<Dice>,
    drain_bound: Duration,
    max_series: usize,
    sampling: PercentMillionths,
    bounds: Bounds,
    exporter: Option<Exporter>,
    access_log: Option<AccessLog>,
    threads: Threads,
}

impl Proxy {
    /// Starts the proxy's own listeners; it carries nothing until a workload is added.
    ///
    /// # Errors
    /// When a setting is out of range, the registry already holds a proxy's metrics, or the collector of spans cannot be
    /// addressed.
    #[expect(clippy::unused_async, reason = "starts tasks: it has to be called inside the runtime")]
    pub async fn start(
        config: Config,
        listeners: Listeners,
        registry: &Registry,
        shutdown: CancellationToken,
    ) -> Result<Self, Error> {
        config.check()?;
        let metrics = Arc::new(Metrics::new(registry)?);
        let dice = Arc::new(Dice::new(config.seed.unwrap_or_else(rand::random)));
        let stop_outputs = CancellationToken::new();
        let mut outputs = Vec::new();
        let exporter = match &config.otlp {
            Some(uri) => {
                let stop = stop_outputs.clone();
                let (exporter, task) =
                    Exporter::start(uri, config.span_queue, Arc::clone(&metrics), Arc::clone(&dice), stop)?;
                outputs.push(task);
                Some(exporter)
            }
            None => None,
        };
        let access_log = match config.access_log {
            AccessLogTarget::Off => None,
            AccessLogTarget::Writer(writer) => {
                let (log, task) = AccessLog::start(writer, Arc::clone(&metrics), config.threads, stop_outputs.clone());
                outputs.push(task);
                Some(log)
            }
        };
        let inner = Arc::new(Inner {
            metrics,
            registry: registry.clone(),
            workloads: Mutex::default(),
            draining: TaskTracker::new(),
            drain: shutdown.child_token(),
            next: std::sync::atomic::AtomicU64::new(0),
            dice,
            drain_bound: config.drain,
            max_series: config.max_series,
            sampling: PercentMillionths::from_percent(config.trace_sampling * 100.0),
            bounds: Bounds {
                header_timeout: config.header_timeout,
                idle_timeout: config.idle_timeout,
                max_head_bytes: config.max_head_bytes,
                max_headers: config.max_headers,
                retry_buffer_bytes: config.retry_buffer_bytes,
            },
            exporter,
            access_log,
            threads: Threads::start(config.threads).map_err(Error::Threads)?,
        });
        let tasks = admin::start(&inner, listeners, &stop_outputs);
        Ok(Self { inner, tasks, outputs, stop_outputs })
    }

    /// Begins to carry a workload. Its first table is taken before this returns; one that is refused leaves the workload
    /// answering 503 until a good one comes.
    #[must_use = "dropping the handle drains the workload"]
    pub fn add(&self, workload: Workload) -> WorkloadHandle {
        let inner = &self.inner;
        let options = Options {
            sampling: inner.sampling,
            spans: true,
            propagate: true,
            access_log: true,
            custom_tags: Vec::new(),
        };
        let around = Surroundings {
            home: workload.identity.cluster.clone(),
            applications: workload.inbound.iter().map(|inbound| (inbound.port, inbound.application)).collect(),
            threads: inner.threads.handles().len(),
            sampling: inner.sampling,
        };
        let sink = Sink::new(
            workload.identity,
            options,
            Arc::clone(&inner.metrics),
            Arc::clone(&inner.dice),
            inner.max_series,
            around.threads,
        );
        let sink = Arc::new(sink.with_outputs(inner.exporter.clone(), inner.access_log.clone()));
        let life = Life::new(inner.drain.child_token());
        let carrier = Arc::new(Carrier::new(sink, Arc::clone(&inner.metrics), inner.bounds, around, life));
        let mut listeners: Vec<_> = workload.outbound.into_iter().map(|listener| (Side::Outbound, listener)).collect();
        for inbound in workload.inbound {
            listeners.push((Side::Inbound { port: inbound.port, application: inbound.application }, inbound.listener));
        }
        for gateway in workload.gateway {
            listeners.push((Side::Gateway { port: gateway.port }, gateway.listener));
        }
        let running = Running::start(carrier, workload.table, listeners, &inner.threads.handles());
        let id = inner.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        inner.workloads.lock().insert(id, Arc::new(running));
        inner.metrics.workloads.inc();
        WorkloadHandle { id, inner: Arc::clone(inner) }
    }

    /// Gives what was done so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary { requests: self.inner.metrics.requests.get(), errors: self.inner.metrics.request_errors.get() }
    }

    /// Waits for the shutdown, drains every workload, sends what is left of spans and log lines, and ends.
    pub async fn join(self) {
        self.inner.drain.cancelled().await;
        let workloads: Vec<_> = self.inner.workloads.lock().values().cloned().collect();
        let drains = workloads.iter().map(|running| running.drain(self.inner.drain_bound));
        futures_util::future::join_all(drains).await;
        self.inner.draining.close();
        self.inner.draining.wait().await;
        self.inner.threads.stop();
        self.stop_outputs.cancel();
        for task in self.outputs.into_iter().chain(self.tasks) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the proxy ended badly");
            }
        }
    }
}

impl WorkloadHandle {
    /// Takes no further requests and waits for those in flight, as long as the settings allow.
    pub async fn remove(self) {
        if let Some(running) = self.inner.take(self.id) {
            running.drain(self.inner.drain_bound).await;
        }
    }
}

impl Drop for WorkloadHandle {
    fn drop(&mut self) {
        let Some(running) = self.inner.take(self.id) else { return };
        running.begin_drain();
        if tokio::runtime::Handle::try_current().is_ok() {
            let bound = self.inner.drain_bound;
            self.inner.draining.spawn(async move { running.drain(bound).await });
        }
    }
}

impl Inner {
    fn take(&self, id: u64) -> Option<Arc<Running>> {
        // During a shutdown the workload stays listed: `join` drains it.
        if self.drain.is_cancelled() {
            return None;
        }
        let running = self.workloads.lock().remove(&id)?;
        self.metrics.workloads.dec();
        Some(running)
    }

    /// Gives the carriers of all workloads.
    pub(crate) fn carriers(&self) -> Vec<Arc<Carrier>> {
        self.workloads.lock().values().map(|running| Arc::clone(&running.carrier)).collect()
    }
}
