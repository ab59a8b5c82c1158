//! The one writer: whatever waits while a commit is under way goes into the next one together.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use wattle_contract::{Labels, METRIC_NAME, Timestamp};

use super::{Inner, Limits, LiveBlock, window_of};
use crate::Error;
use crate::store::batch::{Batch, Which};
use crate::store::chunk::Point;
use crate::store::head::{Fit, Group, Head, OUT_OF_ORDER_MS, SeriesRef};
use crate::store::journal::{self, Entry};
use crate::store::label_block;
use crate::store::outcome::{Appended, Reason};
use crate::store::rows::BlockRow;

/// How far ahead of the wall clock a sample may be; clocks of machines differ by less.
pub(crate) const AHEAD_MS: i64 = 600_000;
/// What the labels of one series may be in bytes.
const LABELS_BYTES: usize = 64 << 10;
/// Samples of one commit beyond which no further request joins it: keeps the wait of the first one short.
const FUSED: usize = 200_000;

/// A batch that waits for its commit.
pub(super) struct Job {
    pub(super) batch: Batch,
    pub(super) now: Timestamp,
    pub(super) reply: oneshot::Sender<Result<Appended, Error>>,
    pub(super) _room: OwnedSemaphorePermit,
}

pub(super) struct Writer {
    pub(super) last_seq: i64,
    pub(super) last_id: i64,
    /// The last commit failed: it may be in the store all the same.
    pub(super) uncertain: bool,
    pub(super) encoder: journal::Encoder,
}

/// Commits what comes until nobody can send any more.
pub(super) async fn run(inner: Arc<Inner>, mut queue: mpsc::UnboundedReceiver<Job>) {
    while let Some(first) = queue.recv().await {
        let mut size = first.batch.rows.len();
        let mut jobs = vec![first];
        while size < FUSED {
            let Ok(next) = queue.try_recv() else { break };
            size += next.batch.rows.len();
            jobs.push(next);
        }
        let outcome = inner.commit(&jobs).await;
        match outcome {
            Ok(outcomes) => {
                for (job, outcome) in jobs.into_iter().zip(outcomes) {
                    drop(job.reply.send(Ok(outcome)));
                }
            }
            Err(error) => {
                for job in jobs {
                    drop(job.reply.send(Err(error.clone())));
                }
            }
        }
    }
}

/// What a commit will do.
#[derive(Default)]
struct Plan {
    entries: Vec<Entry>,
    /// Series of each entry: one in the head, or one to be created by its place in `created`.
    targets: Vec<Target>,
    created: Vec<Labels>,
    ids: HashMap<Labels, u32, foldhash::fast::RandomState>,
    /// Series to be created, by metric.
    of_metric: HashMap<String, u64, foldhash::fast::RandomState>,
    limits: Limits,
}

/// Which times are taken.
#[derive(Clone, Copy)]
struct Bounds {
    newest: i64,
    /// How far behind the newest of its series a sample may be.
    reach: i64,
}

#[derive(Clone, Copy)]
enum Target {
    Known(SeriesRef),
    Created(u32),
    Refused(Reason),
}

impl Inner {
    async fn commit(&self, jobs: &[Job]) -> Result<Vec<Appended>, Error> {
        let mut writer = self.writer.lock().await;
        let now = jobs[0].now;
        if writer.uncertain {
            self.catch_up(&mut writer, now).await?;
        }
        let mut plan = Plan { limits: *self.limits.lock(), ..Plan::default() };
        let mut outcomes = Vec::with_capacity(jobs.len());
        let mut named = Vec::with_capacity(jobs.len());
        {
            let head = self.head.read();
            for job in jobs {
                let (outcome, targets) = plan.add(&head, job, writer.last_id);
                outcomes.push(outcome);
                named.push(targets);
            }
        }
        if plan.entries.is_empty() {
            return Ok(outcomes);
        }
        let seq = writer.last_seq + 1;
        let block = plan.block(writer.last_id + 1)?;
        let row = |error| Error::row("a new journal row", error);
        let body = writer.encoder.encode(&plan.entries).map_err(row)?;
        writer.uncertain = true;
        self.store.append_journal(block.as_ref(), seq, &body).await?;
        writer.uncertain = false;
        writer.last_seq = seq;
        let refs = self.create(&plan.created, writer.last_id, block.as_ref());
        writer.last_id += plan.created.len() as i64;
        self.take(&plan, &refs, seq, now.0);
        for (outcome, targets) in outcomes.iter_mut().zip(named) {
            outcome.refs = targets
                .into_iter()
                .map(|target| match target {
                    Target::Known(at) => Some(at),
                    Target::Created(at) => refs.get(at as usize).copied(),
                    Target::Refused(_) => None,
                })
                .collect();
        }
        Ok(outcomes)
    }

    /// Puts new series into the head; their ids follow `last_id`.
    fn create(&self, created: &[Labels], last_id: i64, block: Option<&BlockRow>) -> Vec<SeriesRef> {
        let Some(block) = block else { return Vec::new() };
        let live = LiveBlock { active: created.len(), has_gone: false, newest: block.start };
        self.catalogue.lock().live.insert(block.first_id, live);
        let mut head = self.head.write();
        let ids = last_id + 1..;
        created.iter().zip(ids).map(|(labels, id)| head.insert(id, labels, || Group::stored(0, i64::MIN))).collect()
    }

    fn take(&self, plan: &Plan, refs: &[SeriesRef], seq: i64, now: i64) {
        let mut windows = BTreeSet::new();
        let mut last = None;
        let mut head = self.head.write();
        for (entry, target) in plan.entries.iter().zip(&plan.targets) {
            let at = match target {
                Target::Known(at) => *at,
                Target::Created(created) => refs[*created as usize],
                Target::Refused(_) => continue,
            };
            head.push(at, (entry.time, entry.value), seq, now);
            let window = window_of(entry.time, self.window_ms);
            if last != Some(window) {
                windows.insert(window);
                last = Some(window);
            }
        }
        drop(head);
        self.dirty.lock().extend(windows);
    }

    /// Takes over what a failed commit left in the store: a connection can break after the commit was done.
    async fn catch_up(&self, writer: &mut Writer, now: Timestamp) -> Result<(), Error> {
        for block in self.store.blocks_after(writer.last_id).await? {
            let series = block.decode()?;
            let labels: Vec<Labels> = series.all().map(|(_, labels)| labels).collect();
            drop(self.create(&labels, block.first_id - 1, Some(&block)));
            writer.last_id = block.last_id;
        }
        while let Some((seq, entries)) = self.store.next_journal(writer.last_seq).await? {
            let mut plan = Plan::default();
            {
                let head = self.head.read();
                for entry in entries {
                    if let Some(at) = head.by_id(entry.series) {
                        plan.entries.push(entry);
                        plan.targets.push(Target::Known(at));
                    }
                }
            }
            writer.last_seq = seq;
            self.take(&plan, &[], seq, now.0);
        }
        writer.uncertain = false;
        Ok(())
    }
}

impl Plan {
    /// Places the samples of a batch; gives what becomes of it and where its label sets are.
    fn add(&mut self, head: &Head, job: &Job, last_id: i64) -> (Appended, Vec<Target>) {
        let mut outcome = Appended::default();
        let bounds = Bounds {
            newest: job.now.0.saturating_add(AHEAD_MS),
            reach: if job.batch.is_backfill { i64::MAX } else { OUT_OF_ORDER_MS },
        };
        let before = self.created.len();
        let named = self.targets(head, &job.batch.labels);
        outcome.created = self.created.len() - before;
        self.entries.reserve(job.batch.rows.len());
        self.targets.reserve(job.batch.rows.len());
        for row in &job.batch.rows {
            let (target, labels) = match row.series {
                Which::Known(at) => (Target::Known(at), None),
                Which::Named(at) => (named[at as usize], Some(&job.batch.labels[at as usize])),
            };
            let reason = match self.place(head, target, (row.time, row.value), bounds, last_id) {
                Ok(is_there) => {
                    outcome.accepted += usize::from(is_there);
                    outcome.gone += usize::from(!is_there);
                    continue;
                }
                Err(reason) => reason,
            };
            let found = || match target {
                Target::Known(at) => head.get(at).map(|series| head.labels(series)).unwrap_or_default(),
                _ => Labels::default(),
            };
            outcome.reject(reason, || labels.cloned().unwrap_or_else(found));
        }
        (outcome, named)
    }

    /// Finds the series of label sets. New ones are numbered metric by metric, else as they came: neighbours share a pack,
    /// and queries ask for a metric at a time.
    fn targets(&mut self, head: &Head, sets: &[Labels]) -> Vec<Target> {
        let mut unknown: Vec<usize> = Vec::new();
        let mut targets = Vec::with_capacity(sets.len());
        for (at, labels) in sets.iter().enumerate() {
            let known = head.find(labels);
            if known.is_none() {
                unknown.push(at);
            }
            targets.push(known.map_or(Target::Refused(Reason::NoName), Target::Known));
        }
        unknown.sort_by_key(|&at| sets[at].metric_name());
        for at in unknown {
            targets[at] = self.target(head, &sets[at]);
        }
        targets
    }

    /// Finds or creates a series that is not in the head.
    fn target(&mut self, head: &Head, labels: &Labels) -> Target {
        if let Some(&at) = self.ids.get(labels) {
            return Target::Created(at);
        }
        if labels.metric_name().is_empty() {
            return Target::Refused(Reason::NoName);
        }
        let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > LABELS_BYTES {
            return Target::Refused(Reason::LabelsTooLong);
        }
        if self.limits.series > 0 && (head.len() + self.created.len()) as u64 >= self.limits.series {
            return Target::Refused(Reason::TooManySeries);
        }
        if self.limits.of_metric > 0 {
            let metric = labels.metric_name();
            let more = self.of_metric.entry_ref(metric).or_insert(0);
            if head.index().count(METRIC_NAME, metric) + *more >= self.limits.of_metric {
                return Target::Refused(Reason::TooManyOfMetric);
            }
            *more += 1;
        }
        let at = u32::try_from(self.created.len()).unwrap_or(u32::MAX);
        self.created.push(labels.clone());
        self.ids.insert(labels.clone(), at);
        Target::Created(at)
    }

    /// Gives whether the series is there; it may be gone since the receiver looked.
    fn place(
        &mut self,
        head: &Head,
        target: Target,
        point: Point,
        bounds: Bounds,
        last_id: i64,
    ) -> Result<bool, Reason> {
        if point.0 > bounds.newest {
            return Err(Reason::TooNew);
        }
        let id = match target {
            Target::Refused(reason) => return Err(reason),
            Target::Created(at) => last_id + 1 + i64::from(at),
            Target::Known(at) => {
                let Some(series) = head.get(at) else { return Ok(false) };
                match head.fit(series, point, bounds.reach) {
                    Fit::Conflict => return Err(Reason::Conflict),
                    Fit::TooOld => return Err(Reason::TooOld),
                    Fit::Same => return Ok(true),
                    Fit::New => at.id,
                }
            }
        };
        self.entries.push(Entry { series: id, time: point.0, value: point.1 });
        self.targets.push(target);
        Ok(true)
    }

    /// Gives the row of the series to be created.
    fn block(&self, first_id: i64) -> Result<Option<BlockRow>, Error> {
        if self.created.is_empty() {
            return Ok(None);
        }
        let series = (first_id..).zip(&self.created);
        let body = label_block::encode(series).map_err(|error| Error::row("a new block of series", error))?;
        let start = self.entries.iter().map(|entry| entry.time).min().unwrap_or(0);
        let count = self.created.len() as i64;
        Ok(Some(BlockRow { first_id, last_id: first_id + count - 1, count, start, end: None, body }))
    }
}
