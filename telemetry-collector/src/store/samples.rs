//! Samples in, samples out: the journal, the head and the packs as one thing.

mod cold;
mod replay;
mod tidy;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use promql_parser::label::Matchers;
use tokio::sync::{Semaphore, mpsc, oneshot};
use wattle_contract::Timestamp;

use super::Store;
use super::batch::Batch;
use super::head::Head;
use super::outcome::Appended;
use crate::Error;

pub(crate) use super::read::Selected;
pub(crate) use cold::Cold;
pub(crate) use tidy::Due;
pub(crate) use write::AHEAD_MS;
use write::{Job, Writer};

/// Samples that may wait for a commit: beyond, senders are told to come again.
const WAITING: usize = 4 << 20;

/// How many series may be active; zero for any number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// In all.
    pub(crate) series: u64,
    /// Of one metric.
    pub(crate) of_metric: u64,
}

/// A block of series that has active ones.
struct LiveBlock {
    active: usize,
    /// Some were active and are not any more.
    has_gone: bool,
    newest: i64,
}

/// What the store holds beside the head.
#[derive(Default)]
struct Catalogue {
    /// By first id.
    live: BTreeMap<i64, LiveBlock>,
    /// Newest time that a sample of a series may have that is not in the head.
    cold_to: Option<i64>,
}

struct Inner {
    store: Arc<Store>,
    head: RwLock<Head>,
    writer: tokio::sync::Mutex<Writer>,
    catalogue: Mutex<Catalogue>,
    blocks: cold::Blocks,
    limits: Mutex<Limits>,
    window_ms: i64,
    /// Starts of windows that got samples since they were last computed.
    dirty: Mutex<BTreeSet<i64>>,
    /// Another collector has the store: nothing may be written.
    is_held: std::sync::atomic::AtomicBool,
    /// Counts removals: who remembers series looks again after one.
    generation: std::sync::atomic::AtomicU64,
}

/// The time series of a store.
pub(crate) struct Samples {
    inner: Arc<Inner>,
    jobs: mpsc::UnboundedSender<Job>,
    waiting: Arc<Semaphore>,
}

impl Samples {
    /// Loads the active series and replays the journal into the head.
    pub(crate) async fn open(store: Arc<Store>, window_ms: i64, now: Timestamp) -> Result<Self, Error> {
        let inner = Arc::new(replay::open(store, window_ms, now).await?);
        let (jobs, queue) = mpsc::unbounded_channel();
        tokio::spawn(write::run(inner.clone(), queue));
        Ok(Self { inner, jobs, waiting: Arc::new(Semaphore::new(WAITING)) })
    }

    /// Sets whether writing is held back, because another collector has the store.
    pub(crate) fn hold(&self, is_held: bool) {
        self.inner.is_held.store(is_held, std::sync::atomic::Ordering::Release);
    }

    /// Sets how many series may be active; those that are stay.
    pub(crate) fn limit(&self, limits: Limits) {
        *self.inner.limits.lock() = limits;
    }

    /// Journals a batch and takes it into the head: what is accepted here survives the end of the process.
    ///
    /// Runs to its end even when the caller goes away in the middle: journal and head never part.
    pub(crate) async fn append(&self, batch: impl Into<Batch>, now: Timestamp) -> Result<Appended, Error> {
        if self.inner.is_held.load(std::sync::atomic::Ordering::Acquire) {
            return Err(Error::InUse { store: self.inner.store.name().to_owned() });
        }
        let batch = batch.into();
        let size = u32::try_from(batch.rows.len().min(WAITING)).unwrap_or(u32::MAX);
        let Ok(room) = self.waiting.clone().try_acquire_many_owned(size) else { return Err(Error::Busy) };
        let (reply, outcome) = oneshot::channel();
        let gone = |_| Error::row("a new journal row", "the writer has ended");
        self.jobs.send(Job { batch, now, reply, _room: room }).map_err(|_| gone(()))?;
        outcome.await.unwrap_or_else(|_| Err(gone(())))
    }

    /// Gives the matching series that are not in memory and may have samples in a span of time.
    pub(super) async fn find_cold(&self, matchers: &Matchers, start: i64, end: i64) -> Result<Vec<Cold>, Error> {
        cold::find(&self.inner, matchers, start, end).await
    }

    /// Gives the starts of windows that got samples and end at or before a time, and marks them done.
    pub(crate) fn take_dirty(&self, until: Timestamp) -> Vec<i64> {
        let mut dirty = self.inner.dirty.lock();
        let later = dirty.split_off(&until.0.saturating_sub(self.inner.window_ms).saturating_add(1));
        std::mem::replace(&mut *dirty, later).into_iter().collect()
    }

    /// Marks a window as one to compute again.
    pub(crate) fn mark_dirty(&self, start: i64) {
        self.inner.dirty.lock().insert(start);
    }

    /// Reads the labels of matching series, or of the whole head.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Head) -> T) -> T {
        look(&self.inner.head.read())
    }

    /// Gives a number that changes when series leave the memory.
    pub(crate) fn generation(&self) -> u64 {
        self.inner.generation.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Gives the store beneath.
    pub(super) fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Counts the series in memory.
    pub(crate) fn series_count(&self) -> usize {
        self.inner.head.read().len()
    }
}

/// Gives the start of the window that a time is in.
const fn window_of(time: i64, window_ms: i64) -> i64 {
    time.saturating_sub(time.rem_euclid(window_ms))
}

#[cfg(test)]
mod tests;
