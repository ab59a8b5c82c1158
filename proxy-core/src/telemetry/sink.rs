//! Where the records of one workload go.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use wattle_contract::WorkloadIdentity;
use wattle_contract::route::{CustomTag, PercentMillionths};

use super::{AccessLog, Exporter, Party, Record, Series, ServiceLabels, span};
use crate::dice::Dice;
use crate::metrics::Metrics;

/// Clients of one workload that are told apart; anybody may name any number.
const PARTIES: usize = 4096;

/// What a table's telemetry asks for; changes with the table.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) sampling: PercentMillionths,
    pub(crate) spans: bool,
    pub(crate) propagate: bool,
    pub(crate) access_log: bool,
    pub(crate) custom_tags: Vec<(String, CustomTag)>,
}

/// Takes the records of one workload.
#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) identity: WorkloadIdentity,
    pub(crate) party: Arc<Party>,
    pub(crate) unknown: Arc<Party>,
    pub(crate) no_service: Arc<ServiceLabels>,
    pub(crate) options: ArcSwap<Options>,
    pub(crate) series: Series,
    pub(crate) dice: Arc<Dice>,
    pub(crate) metrics: Arc<Metrics>,
    /// Parties that clients' proxies named, by what they wrote.
    parties: Mutex<HashMap<Box<[u8]>, Arc<Party>>>,
    active: AtomicU64,
    cutting: AtomicBool,
    exporter: Option<Exporter>,
    access_log: Option<AccessLog>,
}

impl Sink {
    pub(crate) fn new(
        identity: WorkloadIdentity,
        options: Options,
        metrics: Arc<Metrics>,
        dice: Arc<Dice>,
        max_series: usize,
        threads: usize,
    ) -> Self {
        Self {
            party: Arc::new(Party::of_workload(&identity)),
            unknown: Party::unknown(),
            no_service: ServiceLabels::new("", ""),
            options: ArcSwap::from_pointee(options),
            series: Series::new(max_series, threads),
            dice,
            metrics,
            parties: Mutex::default(),
            active: AtomicU64::new(0),
            cutting: AtomicBool::new(false),
            exporter: None,
            access_log: None,
            identity,
        }
    }

    #[must_use]
    pub(crate) fn with_outputs(mut self, exporter: Option<Exporter>, access_log: Option<AccessLog>) -> Self {
        (self.exporter, self.access_log) = (exporter, access_log);
        self
    }

    /// Gives the party that a client's proxy named; the same one for the same words, as long as there is room.
    pub(crate) fn party(&self, written: &[u8]) -> Arc<Party> {
        let mut parties = self.parties.lock();
        if let Some(party) = parties.get(written) {
            return Arc::clone(party);
        }
        if parties.len() >= PARTIES {
            return Arc::clone(&self.unknown);
        }
        let party = Party::from_header(written);
        parties.insert(written.into(), Arc::clone(&party));
        party
    }

    /// Gives the requests in flight.
    pub(crate) fn active(&self) -> u64 {
        self.active.load(Ordering::Acquire)
    }

    /// Says that requests which end unfinished from now on are cut by the proxy.
    pub(crate) fn cut(&self) {
        self.cutting.store(true, Ordering::Release);
    }

    /// Says whether an unfinished request was cut by the proxy, and counts it.
    pub(crate) fn cut_one(&self) -> bool {
        let cutting = self.cutting.load(Ordering::Acquire);
        if cutting {
            self.metrics.drain_cut.inc();
        }
        cutting
    }

    pub(crate) fn begin(&self) {
        self.active.fetch_add(1, Ordering::AcqRel);
        self.metrics.active_requests.inc();
    }

    /// Tells one finished record to everyone who wants to know.
    pub(crate) fn tell(&self, record: &Record) {
        let options = self.options.load();
        self.metrics.requests.inc();
        if record.is_error() {
            self.metrics.request_errors.inc();
        }
        let elapsed = record.started.elapsed();
        if !self.series.observe(record, elapsed) {
            self.metrics.series_overflow.inc();
        }
        if let (Some(exporter), Some(context), true) = (&self.exporter, &record.span, options.spans)
            && context.sampled
        {
            exporter.send(span::build(&self.identity, record, context));
        }
        if let (Some(log), true) = (&self.access_log, options.access_log) {
            log.write(record, elapsed);
        }
        self.metrics.active_requests.dec();
        self.active.fetch_sub(1, Ordering::AcqRel);
    }
}
