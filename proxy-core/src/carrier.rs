//! What the connections of one workload share.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wattle_contract::RouteTable;

use crate::Error;
use crate::dice::Dice;
use crate::metrics::Metrics;
use crate::table::{Surroundings, Table};
use crate::telemetry::Sink;

/// Carries the traffic of one workload by the table it was given last.
#[derive(Debug)]
pub(crate) struct Carrier {
    pub(crate) sink: Arc<Sink>,
    pub(crate) dice: Arc<Dice>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) bounds: Bounds,
    /// What this workload says of itself to the other proxy.
    pub(crate) peer_header: Option<String>,
    pub(crate) life: Life,
    around: Surroundings,
    table: ArcSwapOption<Table>,
    refusal: Mutex<Option<Refusal>>,
}

/// A table that was not taken.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Refusal {
    pub(crate) version: String,
    pub(crate) reason: String,
}

/// Bounds that every request has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) header_timeout: std::time::Duration,
    pub(crate) idle_timeout: std::time::Duration,
    pub(crate) max_head_bytes: usize,
    pub(crate) max_headers: usize,
    pub(crate) retry_buffer_bytes: usize,
}

/// The tasks of one workload and what ends them.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    /// What a drain waits for.
    pub(crate) tasks: TaskTracker,
    /// Ends accepting and keep-alive.
    pub(crate) drain: CancellationToken,
    /// Ends everything.
    pub(crate) cut: CancellationToken,
}

impl Life {
    pub(crate) fn new(drain: CancellationToken) -> Self {
        Self { tasks: TaskTracker::new(), drain, cut: CancellationToken::new() }
    }
}

impl Carrier {
    pub(crate) fn new(
        sink: Arc<Sink>,
        metrics: Arc<Metrics>,
        bounds: Bounds,
        around: Surroundings,
        life: Life,
    ) -> Self {
        Self {
            life,
            dice: Arc::clone(&sink.dice),
            peer_header: sink.party.to_header(),
            table: ArcSwapOption::empty(),
            refusal: Mutex::new(None),
            sink,
            metrics,
            bounds,
            around,
        }
    }

    /// Gives the table in force; `None` until one was accepted.
    pub(crate) fn table(&self) -> Option<Arc<Table>> {
        self.table.load_full()
    }

    /// Gives the last table that was refused, unless another was taken since.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.refusal.lock().clone()
    }

    /// Takes a table whole, or keeps the last good one and says why. Connections are not touched.
    pub(crate) fn reload(&self, source: &Arc<RouteTable>) -> Result<(), Error> {
        let earlier = self.table.load_full();
        let compiled = Table::compile(source, earlier.as_deref(), &self.around, &self.dice);
        let result = if compiled.is_ok() { "taken" } else { "refused" };
        self.metrics.reloads.with_label_values(&[result]).inc();
        match compiled {
            Ok(table) => {
                self.sink.options.store(Arc::new(table.options.clone()));
                self.table.store(Some(Arc::new(table)));
                *self.refusal.lock() = None;
                Ok(())
            }
            Err(error) => {
                let refusal = Refusal { version: source.version.clone(), reason: error.to_string() };
                *self.refusal.lock() = Some(refusal);
                Err(error)
            }
        }
    }

    /// Takes the table in force anew when a certificate that it names has changed; what is wrong with the new one is said
    /// as of a new table, and the old one stays.
    pub(crate) fn refresh(&self) -> Option<Result<(), Error>> {
        let table = self.table()?;
        table.files.have_changed().then(|| self.reload(&table.source))
    }

    /// Closes upstream connections that were idle for too long.
    pub(crate) fn prune(&self, now: Instant) {
        if let Some(table) = self.table() {
            table.all_clusters().for_each(|cluster| cluster.prune(now));
        }
    }
}
