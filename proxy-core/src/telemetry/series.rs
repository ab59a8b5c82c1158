//! Istio's standard metrics of one workload: a series is made when a request first needs it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::{Flags, Party, Protocol, Record, Reporter, ServiceLabels};
use crate::threads::PerThread;

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

/// The labels by which series of one workload differ. Names are told apart by where they are kept: a scrape sums what
/// turns out to be called alike.
#[derive(Clone, Debug)]
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
    made: AtomicUsize,
    cells: PerThread<Mutex<HashMap<Key, Box<Cells>>>>,
}

impl Key {
    fn parts(&self) -> (usize, usize, u16, Option<u32>, Flags, Reporter, Protocol) {
        let (peer, service) = (Arc::as_ptr(&self.peer).addr(), Arc::as_ptr(&self.service).addr());
        (peer, service, self.code, self.grpc, self.flags, self.reporter, self.protocol)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl Series {
    pub(crate) fn new(most: usize, threads: usize) -> Self {
        Self { most, made: AtomicUsize::new(0), cells: PerThread::new(threads) }
    }

    /// Counts one request; says whether there was room for its series.
    pub(crate) fn observe(&self, record: &Record, elapsed: Duration) -> bool {
        let key = Key {
            reporter: record.reporter,
            peer: Arc::clone(&record.peer),
            service: Arc::clone(&record.service),
            protocol: record.protocol,
            code: record.status,
            grpc: record.grpc_status,
            flags: record.flags,
        };
        let mut cells = self.cells.mine().lock();
        let cell = match cells.entry(key) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(_) if self.made.load(Ordering::Relaxed) >= self.most => return false,
            Entry::Vacant(place) => {
                self.made.fetch_add(1, Ordering::Relaxed);
                place.insert(Box::default())
            }
        };
        cell.duration_ms.observe(elapsed.as_secs_f64() * 1e3);
        cell.request_bytes.observe(record.request_bytes as f64);
        cell.response_bytes.observe(record.response_bytes as f64);
        true
    }

    /// Gives a copy of everything, for a scrape.
    pub(crate) fn snapshot(&self) -> Vec<(Key, Cells)> {
        let all = |cells: &Mutex<HashMap<Key, Box<Cells>>>| -> Vec<_> {
            cells.lock().iter().map(|(key, cells)| (key.clone(), cells.as_ref().clone())).collect()
        };
        self.cells.iter().flat_map(all).collect()
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
