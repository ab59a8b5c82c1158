//! Traces: a journal, the newest spans in memory, and compressed blocks in partitions of time.
//!
//! ```text
//! requests ─► queue ─► one journal row a group (acknowledged) ─► open block ─► sealed ─► row + search rows + roll-ups
//! ```
//!
//! One task owns the way in. A group of requests is one row and one commit, so that acknowledgement costs little; when
//! some thousand spans are together, or have waited, they become a block: sorted by trace, every word once, compressed
//! by column, with one search row a service. The journal is shortened in the same transaction, and what the spans add to
//! the service graph is written in it too: after a kill -9 nothing is lost and nothing counted twice.

pub(crate) mod block;
pub(crate) mod codec;
mod partition;
pub(crate) mod rows;
mod search;
mod tables;
mod words;
mod writer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::Store;
use crate::Error;
use crate::graph::spans::SpanGraph;
use block::{Block, TraceId};
use tables::Partition;

pub(crate) use block::service_of;
#[cfg(test)]
pub(crate) use block::text;
pub(crate) use rows::text_of;
pub(crate) use search::{KINDS, TraceQuery};
pub(crate) use writer::Writer;

/// Bytes of requests that may wait for their commit: beyond it senders are told to come again.
const WAITING: usize = 64 << 20;
/// Unit in which waiting bytes are counted.
const UNIT: usize = 1 << 10;
/// Blocks kept unpacked.
const CACHE: usize = 24;

/// Attributes that people and Kiali search by.
pub(crate) const SEARCH_ATTRIBUTES: &str = "\
    http.method http.request.method http.status_code http.response.status_code http.route http.target rpc.method \
    rpc.service db.system db.system.name db.name db.namespace messaging.system peer.service error.type \
    component response_flags upstream_cluster istio.canonical_service istio.namespace istio.mesh_id \
    service.namespace k8s.namespace.name k8s.pod.name k8s.node.name k8s.deployment.name host.name";

/// How spans are kept.
#[derive(Clone, Debug)]
pub(crate) struct Keeping {
    /// How long.
    pub(crate) retention: Duration,
    /// Attributes whose values are in the search rows.
    pub(crate) attributes: Vec<String>,
    /// Spans of a block.
    pub(crate) block_spans: usize,
    /// Longest time until spans are in a block.
    pub(crate) block_age: Duration,
}

impl Default for Keeping {
    fn default() -> Self {
        let attributes = SEARCH_ATTRIBUTES.split_whitespace().map(str::to_owned).collect();
        let (retention, block_age) = (Duration::from_secs(15 * 86_400), Duration::from_secs(20));
        Self { retention, attributes, block_spans: 16_384, block_age }
    }
}

/// A request on its way into the journal.
struct Pending {
    /// As protobuf.
    body: Bytes,
    request: ExportTraceServiceRequest,
    spans: usize,
    done: oneshot::Sender<Result<(), Error>>,
    _waiting: OwnedSemaphorePermit,
}

/// A block that gets no more spans and is being written.
#[derive(Debug)]
struct Sealed {
    id: i64,
    block: Block,
    rollups: crate::graph::edge::Rollups,
}

#[derive(Debug, Default)]
struct Head {
    open: Block,
    /// When the first span of the open block arrived.
    opened_ms: i64,
    sealed: VecDeque<Arc<Sealed>>,
}

/// Operations and their kind by service, each with the newest partition that has it.
type Operations = BTreeMap<String, BTreeMap<(String, u8), i64>>;
/// Partition and number of a block, and the block.
type Cached = ((i64, i64), Arc<Block>);

/// The traces of a store.
pub(crate) struct Traces {
    store: Arc<Store>,
    keeping: Keeping,
    head: RwLock<Head>,
    partitions: RwLock<Vec<Partition>>,
    /// Operations by service, and the newest partition that has them.
    operations: RwLock<Operations>,
    cache: Mutex<VecDeque<Cached>>,
    queue: mpsc::Sender<Pending>,
    waiting: Arc<Semaphore>,
    pub(crate) graph: Arc<SpanGraph>,
}

impl Traces {
    /// Takes the valid spans of a request; what returns is acknowledged.
    ///
    /// Errors: too much is waiting ([`Error::Busy`]), or the store did not take it.
    pub(crate) async fn append(&self, body: Bytes, request: ExportTraceServiceRequest) -> Result<usize, Error> {
        let spans = count_valid(&request);
        if spans == 0 {
            return Ok(0);
        }
        let units = u32::try_from(body.len() / UNIT + 1).unwrap_or(u32::MAX);
        let waiting = self.waiting.clone().try_acquire_many_owned(units).map_err(|_| Error::Busy)?;
        let (done, outcome) = oneshot::channel();
        let pending = Pending { body, request, spans, done, _waiting: waiting };
        self.queue.send(pending).await.map_err(|_| Error::Busy)?;
        outcome.await.unwrap_or(Err(Error::Busy))?;
        Ok(spans)
    }

    /// Reads traces whole, in the order asked for; what is not there is left out.
    pub(crate) async fn traces(&self, wanted: &[TraceId]) -> Result<Vec<(TraceId, Vec<ResourceSpans>)>, Error> {
        let mut found: BTreeMap<TraceId, Vec<ResourceSpans>> = BTreeMap::new();
        let partitions = self.partitions.read().clone();
        for partition in partitions {
            let blocks = match self.store.blocks_of(partition.id, wanted).await {
                Err(_) if !self.has(partition.id) => continue,
                blocks => blocks?,
            };
            for id in blocks {
                if let Some(block) = self.block(partition.id, id).await? {
                    collect(&block, wanted, &mut found);
                }
            }
        }
        {
            let head = self.head.read();
            head.sealed.iter().for_each(|sealed| collect(&sealed.block, wanted, &mut found));
            collect(&head.open, wanted, &mut found);
        }
        found.values_mut().for_each(drop_twins);
        let found = wanted.iter().filter_map(|id| found.remove(id).map(|spans| (*id, spans)));
        Ok(found.collect())
    }

    /// Tells whether a partition is still there: retention may have dropped it while it was read.
    fn has(&self, partition: i64) -> bool {
        self.partitions.read().iter().any(|other| other.id == partition)
    }

    /// Gives a block, unpacked; `None` when it is gone.
    async fn block(&self, partition: i64, id: i64) -> Result<Option<Arc<Block>>, Error> {
        {
            let mut cache = self.cache.lock();
            if let Some(at) = cache.iter().position(|(key, _)| *key == (partition, id)) {
                let entry = cache.remove(at);
                let block = entry.as_ref().map(|(_, block)| block.clone());
                cache.extend(entry);
                return Ok(block);
            }
        }
        let body = match self.store.block_body(partition, id).await {
            Err(_) if !self.has(partition) => None,
            body => body?,
        };
        let Some(body) = body else { return Ok(None) };
        let unpacking = tokio::task::spawn_blocking(move || codec::decode(&body));
        let block = unpacking.await.ok().flatten().map(Arc::new);
        let block = block.ok_or_else(|| Error::row("a block of spans", format!("id {id}")))?;
        let mut cache = self.cache.lock();
        while cache.len() >= CACHE {
            cache.pop_front();
        }
        cache.push_back(((partition, id), block.clone()));
        Ok(Some(block))
    }

    /// Gives the services, in order.
    pub(crate) fn services(&self) -> Vec<String> {
        let mut services: BTreeSet<String> = self.operations.read().keys().cloned().collect();
        self.in_head(|block| services.extend(block.services_seen().map(str::to_owned)));
        services.into_iter().collect()
    }

    /// Gives the operations of a service with their kind of span, in order.
    pub(crate) fn operations(&self, service: &str) -> Vec<(String, u8)> {
        let known = self.operations.read();
        let mut found: BTreeSet<(String, u8)> =
            known.get(service).into_iter().flat_map(|operations| operations.keys().cloned()).collect();
        drop(known);
        self.in_head(|block| {
            let own = block.records.iter().filter(|record| block.service(record) == service);
            let seen: BTreeSet<(u32, u8)> = own.map(|record| (record.name, record.kind)).collect();
            found.extend(seen.into_iter().map(|(name, kind)| (block::searchable(block.texts.text(name)), kind)));
        });
        found.into_iter().collect()
    }

    fn in_head(&self, mut look: impl FnMut(&Block)) {
        let head = self.head.read();
        head.sealed.iter().for_each(|sealed| look(&sealed.block));
        look(&head.open);
    }

    /// Adds what spans in memory say of the service graph to roll-ups of one step.
    pub(crate) fn rollups_in_memory(&self, step: i64, mut add: impl FnMut(i64, &crate::graph::edge::Table)) {
        let sealed: Vec<Arc<Sealed>> = self.head.read().sealed.iter().cloned().collect();
        for ((_, of_step, start), table) in sealed.iter().flat_map(|sealed| &sealed.rollups) {
            if *of_step == step {
                add(*start, table);
            }
        }
        self.graph.pending(|rollups| {
            for ((_, of_step, start), table) in rollups {
                if *of_step == step {
                    add(*start, table);
                }
            }
        });
    }
}

impl std::fmt::Debug for Traces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traces").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Block {
    /// Gives the services that have spans here.
    fn services_seen(&self) -> impl Iterator<Item = &str> {
        let used: BTreeSet<u32> = self.records.iter().map(|record| record.resource).collect();
        used.into_iter().filter_map(|resource| self.services.get(resource as usize).map(AsRef::as_ref))
    }
}

/// Counts the spans that can be kept.
pub(crate) fn count_valid(request: &ExportTraceServiceRequest) -> usize {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans).filter(|span| block::ids(span).is_some()).count()
}

/// Counts all spans.
pub(crate) fn count_all(request: &ExportTraceServiceRequest) -> usize {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.map(|scope| scope.spans.len()).sum()
}

fn collect(block: &Block, wanted: &[TraceId], found: &mut BTreeMap<TraceId, Vec<ResourceSpans>>) {
    let here: BTreeSet<TraceId> =
        block.records.iter().map(|record| record.trace).filter(|trace| wanted.contains(trace)).collect();
    for trace in here {
        found.entry(trace).or_default().extend(block.trace(&trace));
    }
}

/// A sender that got no answer sends again: spans that are alike in every field are one.
fn drop_twins(trace: &mut Vec<ResourceSpans>) {
    let mut seen: std::collections::HashMap<(Vec<u8>, i32, u64), Vec<Vec<u8>>> = std::collections::HashMap::new();
    for resource in trace.iter_mut() {
        for scope in &mut resource.scope_spans {
            scope.spans.retain(|span| {
                let alike = seen.entry((span.span_id.clone(), span.kind, span.start_time_unix_nano)).or_default();
                let bytes = prost::Message::encode_to_vec(span);
                let is_new = !alike.contains(&bytes);
                if is_new {
                    alike.push(bytes);
                }
                is_new
            });
        }
        resource.scope_spans.retain(|scope| !scope.spans.is_empty());
    }
    trace.retain(|resource| !resource.scope_spans.is_empty());
}
