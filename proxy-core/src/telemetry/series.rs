//! Istio's standard metrics of one workload: a series is made when a request first needs it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Flags, Party, Protocol, Record, Reporter, ServiceLabels};

/// Upper bounds of Envoy's default histogram buckets; the last bucket is everything.
pub(crate) const BOUNDS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1000.0,
    2500.0,
    5000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

/// The labels by which series of one workload differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) reporter: Reporter,
    pub(crate) peer: Arc<Party>,
    pub(crate) service: Arc<ServiceLabels>,
    pub(crate) protocol: Protocol,
    pub(crate) code: u16,
    pub(crate) grpc: Option<u32>,
    pub(crate) flags: Flags,
}

/// The numbers of one series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cells {
    pub(crate) duration_ms: Histogram,
    pub(crate) request_bytes: Histogram,
    pub(crate) response_bytes: Histogram,
}

/// A histogram over [`BOUNDS`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    /// Observations by bucket, not cumulative.
    pub(crate) buckets: [u64; BOUNDS.len()],
    pub(crate) count: u64,
    pub(crate) sum: f64,
}

/// All series of one workload, bounded.
#[derive(Debug)]
pub(crate) struct Series {
    most: usize,
    cells: Mutex<HashMap<Key, Cells>>,
}

impl Series {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, cells: Mutex::default() }
    }

    /// Counts one request; says whether there was room for its series.
    pub(crate) fn observe(&self, record: &Record) -> bool {
        let key = Key {
            reporter: record.reporter,
            peer: Arc::clone(&record.peer),
            service: Arc::clone(&record.service),
            protocol: record.protocol,
            code: record.status,
            grpc: record.grpc_status,
            flags: record.flags,
        };
        let mut cells = self.cells.lock();
        if cells.len() >= self.most && !cells.contains_key(&key) {
            return false;
        }
        let cell = cells.entry(key).or_default();
        cell.duration_ms.observe(record.elapsed_ms());
        cell.request_bytes.observe(record.bytes_in() as f64);
        cell.response_bytes.observe(record.response_bytes as f64);
        true
    }

    /// Gives a copy of everything, for a scrape.
    pub(crate) fn snapshot(&self) -> Vec<(Key, Cells)> {
        self.cells.lock().iter().map(|(key, cells)| (key.clone(), cells.clone())).collect()
    }
}

impl Histogram {
    pub(crate) fn observe(&mut self, value: f64) {
        if let Some(bucket) = BOUNDS.iter().position(|bound| value <= *bound) {
            self.buckets[bucket] += 1;
        }
        self.count += 1;
        self.sum += value;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (bucket, more) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += more;
        }
        self.count += other.count;
        self.sum += other.sum;
    }
}
