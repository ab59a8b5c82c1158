//! Samples in, samples out: the journal, the head and the chunks as one thing.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use promql_parser::label::Matchers;
use wattle_contract::{Labels, Sample, Timestamp};

use super::Store;
use super::chunk::{self, Point};
use super::head::{Fit, Head, Series, sort_unique};
use super::journal::{self, Entry};
use super::outcome::{Appended, Reason};
use super::series::{ChunkRow, NewSeries, labels_to_json};
use crate::Error;

/// How far ahead of the wall clock a sample may be; clocks of machines differ by less.
const AHEAD_MS: i64 = 600_000;
/// What the labels of one series may be in bytes.
const LABELS_BYTES: usize = 64 << 10;
/// Samples in a chunk: where the codecs of the reference were measured.
const CHUNK: usize = 120;
/// Most samples in a chunk: one write request may bring far more of one series than are cut otherwise.
const LONGEST_CHUNK: usize = 1 << 16;
/// Chunks of one transaction: keeps the pause that appends see short.
const CHUNKS_AT_ONCE: usize = 4_000;
/// After this long, a series that gets no more samples is cut too, so that the journal can be shortened.
const OPEN_MS: i64 = 20 * 60_000;

/// A series and its points in a span of time.
#[derive(Clone, Debug)]
pub(crate) struct Selected {
    pub(crate) labels: Labels,
    pub(crate) points: Vec<Point>,
}

struct Writer {
    last_seq: i64,
    last_id: i64,
    /// The last commit failed: it may be in the store all the same.
    uncertain: bool,
}

/// The time series of a store.
pub(crate) struct Samples {
    store: Arc<Store>,
    head: RwLock<Head>,
    /// Held for a whole append: the order of journal numbers is the order of the head.
    writer: tokio::sync::Mutex<Writer>,
    window_ms: i64,
    /// Starts of windows that got samples since they were last computed.
    dirty: Mutex<BTreeSet<i64>>,
}

impl Samples {
    /// Loads the series and replays the journal into the head.
    pub(crate) async fn open(store: Arc<Store>, window_ms: i64, now: Timestamp) -> Result<Self, Error> {
        let mut head = Head::default();
        let mut last_id = 0;
        for row in store.load_series().await? {
            last_id = row.id;
            let cut_to = if row.cut_seq > 0 { now.0.saturating_add(AHEAD_MS) } else { i64::MIN };
            head.insert(Series::stored(row.id, row.labels, row.cut_seq, cut_to));
        }
        let last_seq = store.last_seq().await?;
        let mut dirty = BTreeSet::new();
        let mut seq = 0;
        while let Some((next, entries)) = store.next_journal(seq).await? {
            seq = next;
            for entry in entries {
                // An id that the journal names is not given again.
                last_id = last_id.max(entry.series);
                // Retention may drop a series before the last row that names it.
                let Some(series) = head.by_id(entry.series) else { continue };
                if next > series.cut_seq {
                    series.push((entry.time, entry.value), next, now.0);
                    dirty.insert(window_of(entry.time, window_ms));
                }
            }
        }
        let writer = tokio::sync::Mutex::new(Writer { last_seq, last_id, uncertain: false });
        Ok(Self { store, head: RwLock::new(head), writer, window_ms, dirty: Mutex::new(dirty) })
    }

    /// Journals a batch and takes it into the head: what is accepted here survives the end of the process.
    ///
    /// Runs to its end even when the caller goes away in the middle: journal and head never part.
    pub(crate) async fn append(self: &Arc<Self>, batch: Vec<Sample>, now: Timestamp) -> Result<Appended, Error> {
        let this = self.clone();
        let task = tokio::spawn(async move { this.append_here(&batch, now).await });
        task.await.unwrap_or_else(|error| Err(Error::row("a new journal row", error)))
    }

    async fn append_here(&self, batch: &[Sample], now: Timestamp) -> Result<Appended, Error> {
        let mut writer = self.writer.lock().await;
        if writer.uncertain {
            self.catch_up(&mut writer, now).await?;
        }
        let mut outcome = Appended::default();
        let mut entries = Vec::with_capacity(batch.len());
        let mut created = std::collections::HashMap::new();
        {
            let head = self.head.read();
            for sample in batch {
                match place(&head, sample, now) {
                    Ok((Some(id), Fit::New)) => entries.push(entry(id, sample)),
                    Ok((Some(_), _)) => {}
                    Ok((None, _)) => {
                        let next = writer.last_id + 1 + created.len() as i64;
                        entries.push(entry(*created.entry(&sample.labels).or_insert(next), sample));
                    }
                    Err(reason) => {
                        outcome.reject(reason, &sample.labels);
                        continue;
                    }
                }
                outcome.accepted += 1;
            }
        }
        if entries.is_empty() {
            return Ok(outcome);
        }
        let seq = writer.last_seq + 1;
        let mut new: Vec<NewSeries> =
            created.iter().map(|(labels, &id)| NewSeries { id, labels: labels_to_json(labels) }).collect();
        new.sort_by_key(|series| series.id);
        let body = journal::encode(&entries).map_err(|error| Error::row("a new journal row", error))?;
        writer.uncertain = true;
        self.store.append_journal(&new, seq, &body).await?;
        writer.uncertain = false;
        writer.last_seq = seq;
        writer.last_id += new.len() as i64;
        outcome.created = new.len();
        self.take(created.into_iter().map(|(labels, id)| (id, labels.clone())).collect(), &entries, seq, now);
        Ok(outcome)
    }

    /// Takes over what a failed commit left in the store: a connection can break after the commit was done.
    async fn catch_up(&self, writer: &mut Writer, now: Timestamp) -> Result<(), Error> {
        let created: Vec<(i64, Labels)> = self
            .store
            .load_series()
            .await?
            .into_iter()
            .filter(|series| series.id > writer.last_id)
            .map(|series| (series.id, series.labels))
            .collect();
        let row = self.store.next_journal(writer.last_seq).await?;
        writer.last_id = created.last().map_or(writer.last_id, |series| series.0);
        if let Some((seq, entries)) = row {
            writer.last_seq = seq;
            self.take(created, &entries, seq, now);
        }
        writer.uncertain = false;
        Ok(())
    }

    fn take(&self, mut created: Vec<(i64, Labels)>, entries: &[Entry], seq: i64, now: Timestamp) {
        created.sort_by_key(|series| series.0);
        let mut head = self.head.write();
        for (id, labels) in created {
            head.insert(Series::new(id, labels));
        }
        let mut windows = BTreeSet::new();
        let mut last = None;
        for entry in entries {
            if let Some(series) = head.by_id(entry.series) {
                series.push((entry.time, entry.value), seq, now.0);
            }
            let window = window_of(entry.time, self.window_ms);
            if last != Some(window) {
                windows.insert(window);
                last = Some(window);
            }
        }
        drop(head);
        self.dirty.lock().extend(windows);
    }

    /// Gives the matching series and their points between two times, both included; stops beyond `limit` points.
    pub(crate) async fn select(
        &self,
        matchers: &Matchers,
        start: i64,
        end: i64,
        limit: usize,
    ) -> Result<Option<Vec<Selected>>, Error> {
        let mut found = Vec::new();
        let mut older = Vec::new();
        let mut count = 0_usize;
        {
            let head = self.head.read();
            for series in head.select(matchers) {
                let points = series.between(start, end);
                count = count.saturating_add(points.len() + 1);
                if count > limit {
                    return Ok(None);
                }
                if series.reaches_into_chunks(start) {
                    older.push((series.id, found.len()));
                }
                found.push(Selected { labels: series.labels.clone(), points });
            }
        }
        for part in older.chunks(500) {
            let ids: Vec<i64> = part.iter().map(|(id, _)| *id).collect();
            let places: std::collections::HashMap<i64, usize> = part.iter().copied().collect();
            for (id, body) in self.store.chunks(&ids, start, end).await? {
                let points = chunk::decode(&body).map_err(|error| Error::row("a chunk", error))?;
                let Some(&at) = places.get(&id) else { continue };
                let before = found[at].points.len();
                found[at].points.extend(points.into_iter().filter(|point| (start..=end).contains(&point.0)));
                count = count.saturating_add(found[at].points.len() - before);
                if count > limit {
                    return Ok(None);
                }
            }
            for &(_, at) in part {
                sort_unique(&mut found[at].points);
            }
        }
        found.retain(|series| !series.points.is_empty());
        Ok(Some(found))
    }

    /// Cuts chunks of the series that are due, and shortens the journal; gives how many were cut.
    pub(crate) async fn cut(&self, now: Timestamp, due: Due) -> Result<usize, Error> {
        let writer = self.writer.lock().await;
        let mut rows = Vec::new();
        let mut keep_from = writer.last_seq + 1;
        {
            let head = self.head.read();
            for series in head.series.iter().filter(|series| !series.open.is_empty()) {
                if rows.len() < CHUNKS_AT_ONCE && is_due(series, now, due) {
                    rows.extend(series.open.chunks(LONGEST_CHUNK).map(|part| ChunkRow {
                        series: series.id,
                        start: part[0].0,
                        end: part[part.len() - 1].0,
                        count: part.len() as i64,
                        body: chunk::encode(part),
                        cut_seq: writer.last_seq,
                    }));
                } else {
                    keep_from = keep_from.min(series.open_seq);
                }
            }
        }
        if rows.is_empty() {
            return Ok(0);
        }
        self.store.write_chunks(&rows, keep_from).await?;
        let mut head = self.head.write();
        for parts in rows.chunk_by(|one, next| one.series == next.series) {
            if let Some(series) = head.by_id(parts[0].series) {
                series.cut(parts[0].cut_seq);
            }
        }
        Ok(rows.len())
    }

    /// Forgets series whose newest sample is older than a time, here and in the store.
    pub(crate) async fn forget(&self, before: Timestamp) -> Result<(), Error> {
        let _writer = self.writer.lock().await;
        self.store.drop_chunks(before).await?;
        let idle = self.idle(before);
        let gone = if idle.is_empty() { HashSet::new() } else { self.store.drop_series(&idle).await? };
        if !gone.is_empty() {
            self.head.write().remove(|series| gone.contains(&series.id));
        }
        Ok(())
    }

    fn idle(&self, before: Timestamp) -> HashSet<i64> {
        let head = self.head.read();
        head.series.iter().filter(|s| s.open.is_empty() && s.newest < before.0).map(|s| s.id).collect()
    }

    /// Gives the starts of windows that got samples and end at or before a time, and marks them done.
    pub(crate) fn take_dirty(&self, until: Timestamp) -> Vec<i64> {
        let mut dirty = self.dirty.lock();
        let later = dirty.split_off(&until.0.saturating_sub(self.window_ms).saturating_add(1));
        std::mem::replace(&mut *dirty, later).into_iter().collect()
    }

    /// Marks a window as one to compute again.
    pub(crate) fn mark_dirty(&self, start: i64) {
        self.dirty.lock().insert(start);
    }

    /// Reads the labels of matching series, or of the whole head.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Head) -> T) -> T {
        look(&self.head.read())
    }

    /// Gives the store beneath.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Counts the series in memory.
    pub(crate) fn series_count(&self) -> usize {
        self.head.read().series.len()
    }
}

/// Which series to cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Those with a chunk full of samples, or with samples that have waited long.
    Full,
    /// All.
    All,
}

fn is_due(series: &Series, now: Timestamp, due: Due) -> bool {
    // The first chunk of a series is shorter, each series' by another amount: else all would be due at once, for ever.
    let first = CHUNK / 2 + usize::try_from(series.id.rem_euclid(61)).unwrap_or(0);
    let full = if series.cut_seq == 0 { first } else { CHUNK };
    due == Due::All || series.open.len() >= full || now.0.saturating_sub(series.opened) > OPEN_MS
}

/// Gives the start of the window that a time is in.
const fn window_of(time: i64, window_ms: i64) -> i64 {
    time.saturating_sub(time.rem_euclid(window_ms))
}

fn entry(series: i64, sample: &Sample) -> Entry {
    Entry { series, time: sample.timestamp.0, value: sample.value }
}

fn place(head: &Head, sample: &Sample, now: Timestamp) -> Result<(Option<i64>, Fit), Reason> {
    if sample.timestamp.0 > now.0.saturating_add(AHEAD_MS) {
        return Err(Reason::TooNew);
    }
    let Some(position) = head.position(&sample.labels) else {
        if sample.labels.metric_name().is_empty() {
            return Err(Reason::NoName);
        }
        let bytes: usize = sample.labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        return if bytes > LABELS_BYTES { Err(Reason::LabelsTooLong) } else { Ok((None, Fit::New)) };
    };
    let series = &head.series[position as usize];
    match series.fit((sample.timestamp.0, sample.value)) {
        Fit::Conflict => Err(Reason::Conflict),
        Fit::TooOld => Err(Reason::TooOld),
        fit => Ok((Some(series.id), fit)),
    }
}

#[cfg(test)]
mod tests;
