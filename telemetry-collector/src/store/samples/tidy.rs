//! Keeping house: full tails become packs, idle series leave the memory, small blocks are put together.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wattle_contract::{Labels, Timestamp};

use super::{LiveBlock, Samples};
use crate::Error;
use crate::store::chunk::Point;
use crate::store::head::{Group, Head, SeriesRef};
use crate::store::label_block;
use crate::store::pack::{LONGEST, Pack, SLOTS};
use crate::store::rows::{BlockRow, PackRow};

/// Samples in a chunk: where the codecs of the reference were measured.
const CHUNK: usize = 120;
/// Groups of one transaction: keeps the pause that appends see short.
const GROUPS_AT_ONCE: usize = 64;
/// After this long, a group that gets no more samples is cut too, so that the journal can be shortened.
const OPEN_MS: i64 = 45 * 60_000;
/// A series without a sample for this long leaves the memory, and a group without any is cut for it; longer than anything looks back by default.
const IDLE_MS: i64 = 20 * 60_000;
/// Blocks of fewer series are put together.
const SMALL_BLOCK: i64 = 1_024;
/// Until one has this many.
const LARGE_BLOCK: i64 = 16_384;

/// Which groups to cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Those with a chunk full of samples, or with samples that have waited long.
    Full,
    /// All.
    All,
}

/// Groups to be cut in one transaction.
struct Cut {
    rows: Vec<PackRow>,
    /// Group, what stays of it in memory, its newest time, and that of what was cut with it and does not stay.
    kept: Vec<(i64, Arc<Pack>, i64, i64)>,
    keep_from: i64,
}

impl Samples {
    /// Cuts packs of the groups that are due, and shortens the journal; gives how many packs were cut.
    pub(crate) async fn cut(&self, now: Timestamp, due: Due) -> Result<usize, Error> {
        let inner = &self.inner;
        let writer = inner.writer.lock().await;
        let failed = |error| Error::row("a new pack", error);
        let cut = plan(&inner.head.read(), writer.last_seq + 1, now, due).map_err(failed)?;
        if cut.rows.is_empty() {
            return Ok(0);
        }
        inner.store.write_packs(&cut.rows, writer.last_seq, cut.keep_from).await?;
        let mut head = inner.head.write();
        for (group, pack, end, older_to) in cut.kept {
            head.cut(group, pack, (end, older_to), writer.last_seq);
        }
        Ok(cut.rows.len())
    }

    /// Drops what is from before a time, and lets go of series that get no samples any more.
    pub(crate) async fn forget(&self, before: Timestamp) -> Result<(), Error> {
        self.inner.store.drop_packs(before).await?;
        let mut catalogue = self.inner.catalogue.lock();
        catalogue.cold_to = catalogue.cold_to.filter(|&cold_to| cold_to >= before.0);
        Ok(())
    }

    /// Lets go of series that had no sample for long: they stay in the store, and are looked for there.
    pub(crate) async fn let_go(&self, now: Timestamp) -> Result<usize, Error> {
        let inner = &self.inner;
        let _writer = inner.writer.lock().await;
        let before = now.0.saturating_sub(IDLE_MS);
        let idle: Vec<(SeriesRef, i64)> = {
            let head = inner.head.read();
            head.all()
                .filter(|(_, series)| series.tail.is_empty() && series.newest < before)
                .map(|(at, series)| (at, series.newest))
                .collect()
        };
        if idle.is_empty() {
            return Ok(0);
        }
        let closing: Vec<(i64, i64)> = {
            let mut catalogue = inner.catalogue.lock();
            for &(at, newest) in &idle {
                // What came before the start is not known to the millisecond.
                let newest = if newest == i64::MIN { now.0 } else { newest };
                catalogue.cold_to = Some(catalogue.cold_to.map_or(newest, |cold_to| cold_to.max(newest)));
                if let Some((_, block)) = catalogue.live.range_mut(..=at.id).next_back() {
                    block.active = block.active.saturating_sub(1);
                    block.has_gone = true;
                    block.newest = block.newest.max(newest);
                }
            }
            catalogue.live.iter().filter(|(_, block)| block.active == 0).map(|(&id, b)| (id, b.newest)).collect()
        };
        // Found in the store from here on, and gone from memory after: never neither.
        inner.store.close_blocks(&closing).await?;
        let gone: Vec<SeriesRef> = idle.into_iter().map(|(at, _)| at).collect();
        let empty = inner.head.write().remove(&gone);
        inner.generation.fetch_add(1, Ordering::Release);
        {
            let mut catalogue = inner.catalogue.lock();
            for (first_id, _) in &closing {
                catalogue.live.remove(first_id);
            }
        }
        inner.store.drop_groups(&empty).await?;
        Ok(gone.len())
    }

    /// Puts small blocks of series together.
    pub(crate) async fn join_blocks(&self) -> Result<(), Error> {
        let inner = &self.inner;
        let writer = inner.writer.lock().await;
        let mut run: Vec<BlockRow> = Vec::new();
        for row in inner.store.small_blocks(SMALL_BLOCK, writer.last_id).await? {
            let count: i64 = run.iter().map(|row| row.count).sum();
            let fits = run.last().is_none_or(|last| {
                last.end.is_none() == row.end.is_none() && last.last_id + 1 == row.first_id && count < LARGE_BLOCK
            });
            if !fits {
                self.join_run(std::mem::take(&mut run)).await?;
            }
            run.push(row);
        }
        self.join_run(run).await
    }

    async fn join_run(&self, run: Vec<BlockRow>) -> Result<(), Error> {
        let ([first, .., last], count) = (run.as_slice(), run.iter().map(|row| row.count).sum()) else { return Ok(()) };
        let mut series: Vec<(i64, Labels)> = Vec::new();
        for row in &run {
            series.extend(row.decode()?.all());
        }
        let body = label_block::encode(series.iter().map(|(id, labels)| (*id, labels)))
            .map_err(|error| Error::row("a new block of series", error))?;
        let joined = BlockRow {
            first_id: first.first_id,
            last_id: last.last_id,
            count,
            start: run.iter().map(|row| row.start).min().unwrap_or(0),
            end: run.iter().filter_map(|row| row.end).max(),
            body,
        };
        self.inner.store.replace_blocks(&joined).await?;
        if joined.end.is_none() {
            let mut catalogue = self.inner.catalogue.lock();
            let parts: Vec<LiveBlock> = run.iter().filter_map(|row| catalogue.live.remove(&row.first_id)).collect();
            let live = LiveBlock {
                active: parts.iter().map(|part| part.active).sum(),
                has_gone: parts.iter().any(|part| part.has_gone),
                newest: parts.iter().map(|part| part.newest).max().unwrap_or(i64::MIN),
            };
            catalogue.live.insert(joined.first_id, live);
        }
        Ok(())
    }
}

fn plan(head: &Head, mut keep_from: i64, now: Timestamp, due: Due) -> std::io::Result<Cut> {
    let mut compressor = Pack::compressor()?;
    let (mut rows, mut kept) = (Vec::new(), Vec::new());
    for (id, group) in head.groups().filter(|(_, group)| group.longest > 0) {
        if kept.len() >= GROUPS_AT_ONCE || !is_due(id, group, now, due) {
            keep_from = keep_from.min(group.open_seq);
            continue;
        }
        let mut tails = head.tails(group);
        let end = tails.iter().filter_map(|(_, points)| points.last()).map(|point| point.0).max().unwrap_or(0);
        let mut older_to = i64::MIN;
        // One request may bring far more of one series than are cut otherwise.
        while tails.iter().any(|(_, points)| points.len() > LONGEST) {
            let part: Vec<(u8, Vec<Point>)> = tails
                .iter_mut()
                .map(|(slot, points)| (*slot, points.drain(..points.len().min(LONGEST)).collect()))
                .collect();
            tails.retain(|(_, points)| !points.is_empty());
            rows.push(row(id, &part, &Pack::new(&part), &mut compressor)?);
            older_to = older_to.max(rows.last().map_or(i64::MIN, |row| row.end));
        }
        let pack = Pack::new(&tails);
        rows.push(row(id, &tails, &pack, &mut compressor)?);
        kept.push((id, Arc::new(pack), end, older_to));
    }
    Ok(Cut { rows, kept, keep_from })
}

fn row(
    group: i64,
    series: &[(u8, Vec<Point>)],
    pack: &Pack,
    compressor: &mut zstd::bulk::Compressor<'_>,
) -> std::io::Result<PackRow> {
    let times = || series.iter().flat_map(|(_, points)| points.first().into_iter().chain(points.last())).map(|p| p.0);
    Ok(PackRow {
        group,
        start: times().min().unwrap_or(0),
        end: times().max().unwrap_or(0),
        count: series.iter().map(|(_, points)| points.len() as i64).sum(),
        body: pack.to_stored(compressor)?,
    })
}

fn is_due(id: i64, group: &Group, now: Timestamp, due: Due) -> bool {
    // The first pack of a group is shorter, each group's by another amount: else all would be due at once, for ever.
    let first = CHUNK / 2 + usize::try_from(id.rem_euclid(61)).unwrap_or(0);
    let full = if group.cut_seq == 0 { first } else { CHUNK };
    let is_quiet = now.0.saturating_sub(group.touched) > IDLE_MS;
    due == Due::All || group.longest >= full || is_quiet || now.0.saturating_sub(group.opened) > OPEN_MS
}

const _: () = assert!(SLOTS == 64, "the statement for the last id multiplies by it");
