//! The task that owns the way in: groups requests into commits, and turns spans into blocks.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use parking_lot::{Mutex, RwLock};
use prost::Message;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use wattle_contract::Timestamp;

use super::rows::{self, Cut};
use super::tables::Operation;
use super::{Head, Keeping, Pending, Sealed, Traces, UNIT, WAITING, codec};
use crate::Error;
use crate::graph::spans::SpanGraph;
use crate::receive::intake::now;
use crate::store::Store;

/// Requests of one commit.
const GROUP: usize = 256;
/// The journal is read again once: speed counts more than size.
const JOURNAL_LEVEL: i32 = 1;
/// Most bytes a journal row may unpack to.
const LIMIT: usize = 512 << 20;
/// Operations of a service that a partition lists; a name a request would list for ever.
const OPERATIONS: usize = 2_000;
/// Memory of a block, whatever its spans hold.
const BLOCK_BYTES: usize = 64 << 20;
/// Blocks that may wait to be written before senders must wait.
const BEHIND: usize = 4;

/// Owns the way in.
pub(crate) struct Writer {
    traces: Arc<Traces>,
    queue: mpsc::Receiver<Pending>,
    last_seq: i64,
    cutting: Option<JoinHandle<()>>,
}

impl Writer {
    /// Opens the traces of a store and replays the journal.
    pub(crate) async fn open(store: Arc<Store>, keeping: Keeping, graph: Arc<SpanGraph>) -> Result<Self, Error> {
        let partitions = store.span_partitions().await?;
        let mut operations: BTreeMap<String, BTreeMap<(String, u8), i64>> = BTreeMap::new();
        let mut last_seq = 0;
        for partition in &partitions {
            last_seq = last_seq.max(store.newest_block(partition.id).await?);
            for (service, operation, kind) in store.operations_of(partition.id).await? {
                operations.entry(service).or_default().insert((operation, kind), partition.id);
            }
        }
        let (sender, queue) = mpsc::channel(GROUP);
        let traces = Arc::new(Traces {
            store,
            keeping,
            head: RwLock::new(Head::default()),
            partitions: RwLock::new(partitions),
            operations: RwLock::new(operations),
            cache: Mutex::default(),
            queue: sender,
            waiting: Arc::new(Semaphore::new(WAITING / UNIT)),
            graph,
        });
        let mut this = Self { traces, queue, last_seq, cutting: None };
        this.replay().await?;
        Ok(this)
    }

    /// Gives what others read and append by.
    pub(crate) fn traces(&self) -> Arc<Traces> {
        self.traces.clone()
    }

    async fn replay(&mut self) -> Result<(), Error> {
        let mut seq = 0;
        while let Some((next, body)) = self.traces.store.next_spans(seq).await? {
            seq = next;
            let bad = || Error::row("a journal row of spans", format!("seq {next}"));
            let size = zstd::zstd_safe::get_frame_content_size(&body).ok().flatten();
            let size = size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= LIMIT);
            let plain = zstd::bulk::decompress(&body, size.ok_or_else(bad)?).map_err(|_| bad())?;
            let request = ExportTraceServiceRequest::decode(plain.as_slice()).map_err(|_| bad())?;
            self.last_seq = self.last_seq.max(seq);
            self.traces.take(&request, now());
            if self.seal_when_due(now()) {
                self.traces.write_sealed().await?;
            }
        }
        Ok(())
    }

    /// Works until told to stop, then writes what is in memory.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(500));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut group = Vec::with_capacity(GROUP);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                count = self.queue.recv_many(&mut group, GROUP) => {
                    if count == 0 {
                        break;
                    }
                    self.append(&mut group).await;
                }
                _ = tick.tick() => {}
            }
            self.traces.graph.expire(now());
            self.seal_when_due(now());
            self.write_behind().await;
        }
        self.queue.close();
        while self.queue.recv_many(&mut group, GROUP).await > 0 {
            self.append(&mut group).await;
        }
        self.traces.seal(self.last_seq);
        if let Some(cutting) = self.cutting.take() {
            drop(cutting.await);
        }
        if let Err(error) = self.traces.write_sealed().await {
            tracing::warn!(%error, "the last spans stay in the journal; the next start reads them again");
        }
    }

    /// Journals a group and takes it into memory; whoever waits is told.
    async fn append(&mut self, group: &mut Vec<Pending>) {
        let spans = group.iter().map(|pending| pending.spans).sum();
        // A failed commit may be in the store all the same: its number is not given again.
        self.last_seq += 1;
        let outcome = match pack(group) {
            Ok(body) => self.traces.store.append_spans(self.last_seq, spans, &body).await,
            Err(error) => Err(Error::row("a new journal row of spans", error)),
        };
        let now = now();
        for pending in group.drain(..) {
            if outcome.is_ok() {
                self.traces.take(&pending.request, now);
            }
            // A sender that went away needs no answer.
            drop(pending.done.send(outcome.clone()));
        }
    }

    fn seal_when_due(&self, now: Timestamp) -> bool {
        let keeping = &self.traces.keeping;
        let is_due = {
            let head = self.traces.head.read();
            let age = now.0.saturating_sub(head.opened_ms);
            let is_old = u128::try_from(age).is_ok_and(|age| age >= keeping.block_age.as_millis());
            let is_full = head.open.records.len() >= keeping.block_spans || head.open.bytes() >= BLOCK_BYTES;
            is_full || (is_old && !head.open.records.is_empty())
        };
        if is_due {
            self.traces.seal(self.last_seq);
        }
        is_due
    }

    /// Writes sealed blocks beside the way in; waits for it when too many are behind.
    async fn write_behind(&mut self) {
        let behind = self.traces.head.read().sealed.len();
        if behind == 0 {
            return;
        }
        if self.cutting.as_ref().is_some_and(|cutting| !cutting.is_finished()) && behind < BEHIND {
            return;
        }
        if let Some(cutting) = self.cutting.take() {
            drop(cutting.await);
        }
        let traces = self.traces.clone();
        self.cutting = Some(tokio::spawn(async move {
            if let Err(error) = traces.write_sealed().await {
                tracing::error!(%error, "spans stay in the journal: their block was not written");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }));
    }
}

impl Traces {
    /// Takes spans that are in the journal into memory.
    fn take(&self, request: &ExportTraceServiceRequest, now: Timestamp) {
        let mut head = self.head.write();
        let before = head.open.records.len();
        if before == 0 {
            head.opened_ms = now.0;
        }
        for resource in &request.resource_spans {
            head.open.push(resource);
        }
        let head = parking_lot::RwLockWriteGuard::downgrade(head);
        self.graph.observe(&head.open, before, now);
    }

    /// Ends the open block. `id` is the number of the last journal row that is in it.
    fn seal(&self, id: i64) {
        let mut head = self.head.write();
        if head.open.records.is_empty() {
            return;
        }
        let block = std::mem::take(&mut head.open);
        let mut rollups = self.graph.take_pending();
        crate::graph::critical::add(&block, &mut rollups);
        head.sealed.push_back(Arc::new(Sealed { id, block, rollups }));
    }

    /// Writes every sealed block, oldest first.
    async fn write_sealed(&self) -> Result<(), Error> {
        loop {
            let Some(sealed) = self.head.read().sealed.front().cloned() else { return Ok(()) };
            let partition = self.partition(now()).await?;
            let known = self.known_operations(partition.id);
            let attributes = partition.attributes.clone();
            let encoded = sealed.clone();
            let encoding = tokio::task::spawn_blocking(move || cut(&encoded, &attributes, &known));
            let cut = encoding.await.map_err(|error| Error::row("a new block of spans", error))?;
            let cut = cut.map_err(|error| Error::row("a new block of spans", error))?;
            self.store.write_block(partition.id, &cut).await?;
            {
                let mut services = self.operations.write();
                for (service, operation, kind) in cut.operations {
                    services.entry(service).or_default().insert((operation, kind), partition.id);
                }
            }
            self.head.write().sealed.pop_front();
        }
    }

    fn known_operations(&self, partition: i64) -> HashSet<Operation> {
        let services = self.operations.read();
        let all = services.iter().flat_map(|(service, operations)| operations.iter().map(move |one| (service, one)));
        all.filter(|(_, (_, newest))| **newest == partition)
            .map(|(service, ((name, kind), _))| (service.clone(), name.clone(), *kind))
            .collect()
    }
}

fn cut(sealed: &Sealed, attributes: &[String], known: &HashSet<Operation>) -> std::io::Result<Cut> {
    let block = &sealed.block;
    Ok(Cut {
        id: sealed.id,
        spans: block.records.len() as i64,
        body: codec::encode(block)?,
        keys: rows::trace_keys(block),
        search: rows::search_rows(block, attributes),
        operations: rows::operations(block, known, OPERATIONS),
        rollups: sealed.rollups.clone(),
    })
}

/// Protobuf messages one after the other are one message with the parts of all.
fn pack(group: &[Pending]) -> std::io::Result<Vec<u8>> {
    let plain: Vec<u8> = match group {
        [one] => return zstd::bulk::compress(&one.body, JOURNAL_LEVEL),
        _ => group.iter().flat_map(|pending| pending.body.iter().copied()).collect(),
    };
    zstd::bulk::compress(&plain, JOURNAL_LEVEL)
}
