//! Search: which traces have a span that is as asked for.
//!
//! Search rows say which blocks to unpack, newest first; what a row cannot rule out is looked at span by span, so the
//! answer is exact for every attribute, listed or not. Listed ones are only quicker.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::ScopeSpans;
use prost::Message;
use tokio::time::Instant;

use super::Traces;
use super::block::{Block, Record, TraceId, searchable, split_pair};
use super::rows::{SearchRow, hash, hash_pair, holds, text_of};
use super::tables::Partition;
use crate::Error;

/// How long a search may look; what was found until then is the answer.
const LOOK: Duration = Duration::from_secs(10);

/// What a span must be like for its trace to be found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceQuery {
    pub(crate) service: Option<String>,
    pub(crate) operation: Option<String>,
    pub(crate) kind: Option<u8>,
    /// Attributes of the span, its resource or its scope, as text; `error` and `span.kind` are known too.
    pub(crate) tags: Vec<(String, String)>,
    /// Duration in nanoseconds.
    pub(crate) shortest: Option<u64>,
    pub(crate) longest: Option<u64>,
    /// Earliest and latest start in nanoseconds.
    pub(crate) since: u64,
    pub(crate) until: u64,
    /// Most traces; those with the newest matching span are given.
    pub(crate) limit: usize,
}

impl Traces {
    /// Gives the ids of the newest traces that match, newest first.
    pub(crate) async fn search(&self, query: &TraceQuery) -> Result<Vec<TraceId>, Error> {
        let deadline = Instant::now() + LOOK;
        let mut found = Found::new(query.limit);
        self.in_head(|block| look_through(block, query, &mut found));
        let mut candidates = self.candidates(query).await?;
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.newest));
        for candidate in candidates {
            if found.is_enough(candidate.newest) {
                break;
            }
            if Instant::now() > deadline {
                tracing::warn!("a search for traces ended before all was looked through; narrow its time or service");
                break;
            }
            if let Some(block) = self.block(candidate.partition, candidate.block).await? {
                let query = query.clone();
                let looking = tokio::task::spawn_blocking(move || {
                    look_through(&block, &query, &mut found);
                    found
                });
                found = looking.await.map_err(|error| Error::row("a search", error))?;
            }
        }
        Ok(found.newest())
    }

    /// Gives the blocks that may hold what is asked for.
    async fn candidates(&self, query: &TraceQuery) -> Result<Vec<Candidate>, Error> {
        let span = (micros(query.since), micros(query.until));
        let service = query.service.as_deref().map(searchable);
        let partitions = self.partitions.read().clone();
        let mut newest: HashMap<(i64, i64), i64> = HashMap::new();
        for partition in partitions {
            let rows = match self.store.search_rows(partition.id, service.as_deref(), span).await {
                Err(_) if !self.has(partition.id) => continue,
                rows => rows?,
            };
            for (block, row) in rows.into_iter().filter(|(_, row)| may_match(row, query, &partition)) {
                let last = newest.entry((partition.id, block)).or_insert(row.last_us);
                *last = row.last_us.max(*last);
            }
        }
        let candidate = |((partition, block), newest): ((i64, i64), i64)| Candidate { partition, block, newest };
        Ok(newest.into_iter().map(candidate).collect())
    }

    /// Gives the keys of attributes that were seen lately, of spans and of resources.
    pub(crate) async fn tags(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        self.warm().await;
        let (mut of_spans, mut of_resources) = (BTreeSet::new(), BTreeSet::new());
        self.in_recent(|block| {
            of_spans.extend(block.pairs.iter().filter_map(split_pair).map(|(key, _)| key.to_owned()));
            for number in 0..block.resources.len() {
                let attributes = block.resource(number as u32).resource.unwrap_or_default().attributes;
                of_resources.extend(attributes.into_iter().map(|attribute| attribute.key));
            }
        });
        (of_spans, of_resources)
    }

    /// Gives the values of an attribute that were seen lately, at most `limit`.
    pub(crate) async fn tag_values(&self, key: &str, limit: usize) -> BTreeSet<String> {
        self.warm().await;
        let mut values = BTreeSet::new();
        self.in_recent(|block| {
            let own = block.pairs.iter().filter_map(split_pair).filter(|(other, _)| *other == key);
            let own = own.filter_map(|(_, value)| text_of(&AnyValue::decode(value).ok()?));
            values.extend(own.take(limit.saturating_sub(values.len())));
            for number in 0..block.resources.len() {
                let attributes = block.resource(number as u32).resource.unwrap_or_default().attributes;
                let of_key = attributes.into_iter().filter(|attribute| attribute.key == key);
                values.extend(of_key.filter_map(|attribute| text_of(&attribute.value?)));
            }
        });
        while values.len() > limit {
            values.pop_last();
        }
        values
    }

    /// Unpacks the newest block: after a start there would be nothing in memory.
    async fn warm(&self) {
        let Some(newest) = self.partitions.read().last().map(|partition| partition.id) else { return };
        let block = async {
            let id = self.store.newest_block(newest).await?;
            self.block(newest, id).await
        };
        if let Err(error) = block.await {
            tracing::warn!(%error, "the newest block of spans was not read");
        }
    }

    /// Looks at the blocks that are in memory.
    fn in_recent(&self, mut look: impl FnMut(&Block)) {
        self.in_head(&mut look);
        let cached: Vec<Arc<Block>> = self.cache.lock().iter().map(|(_, block)| block.clone()).collect();
        cached.iter().for_each(|block| look(block));
    }
}

struct Candidate {
    partition: i64,
    block: i64,
    newest: i64,
}

/// Traces that match, with the newest start of a matching span in microseconds.
struct Found {
    traces: HashMap<TraceId, i64>,
    limit: usize,
}

impl Found {
    fn new(limit: usize) -> Self {
        Self { traces: HashMap::new(), limit }
    }

    fn add(&mut self, trace: TraceId, start: i64) {
        let newest = self.traces.entry(trace).or_insert(start);
        *newest = start.max(*newest);
    }

    /// Tells whether nothing that started at or before a time can be among the newest.
    fn is_enough(&self, start: i64) -> bool {
        self.limit == 0 || self.traces.values().filter(|newest| **newest > start).count() >= self.limit
    }

    fn newest(self) -> Vec<TraceId> {
        let mut traces: Vec<(i64, TraceId)> = self.traces.into_iter().map(|(trace, start)| (start, trace)).collect();
        traces.sort_unstable_by(|a, b| b.cmp(a));
        traces.into_iter().take(self.limit).map(|(_, trace)| trace).collect()
    }
}

/// Tells what a search row does not rule out.
fn may_match(row: &SearchRow, query: &TraceQuery, partition: &Partition) -> bool {
    if query.shortest.is_some_and(|shortest| row.longest_us < micros(shortest)) {
        return false;
    }
    if query.operation.as_ref().is_some_and(|operation| !holds(&row.operations, hash(operation.as_bytes()))) {
        return false;
    }
    let Some(attributes) = &row.attributes else { return true };
    let mut listed = query.tags.iter().filter(|(key, _)| partition.attributes.contains(key));
    // A number that a sender wrote in another way than the question is found by looking.
    listed.all(|(key, value)| value.parse::<f64>().is_ok() || holds(attributes, hash_pair(key, value)))
}

/// Adds the traces of a block that match.
fn look_through(block: &Block, query: &TraceQuery, found: &mut Found) {
    let tags: Vec<Tag> = query.tags.iter().map(|(key, value)| Tag::of(block, key, value)).collect();
    let name = query.operation.as_deref();
    let names: HashSet<u32> = match name {
        Some(name) => (0..block.texts.len() as u32).filter(|&text| block.texts.text(text) == name).collect(),
        None => HashSet::new(),
    };
    let service = query.service.as_deref();
    for record in &block.records {
        let duration = record.duration();
        let is_match = (query.since..=query.until).contains(&record.start)
            && service.is_none_or(|service| block.service(record) == service)
            && (name.is_none() || names.contains(&record.name))
            && query.kind.is_none_or(|kind| record.kind == kind)
            && query.shortest.is_none_or(|shortest| duration >= shortest)
            && query.longest.is_none_or(|longest| duration <= longest)
            && tags.iter().all(|tag| tag.is_on(block, record));
        if is_match {
            found.add(record.trace, micros(record.start));
        }
    }
}

/// Where in a block a wanted attribute is.
#[derive(Default)]
struct Tag {
    pairs: HashSet<u32>,
    resources: HashSet<u32>,
    scopes: HashSet<u32>,
    is_error: Option<bool>,
    kind: Option<u8>,
}

/// Kinds of span in the words of Jaeger, by OpenTelemetry's number.
pub(crate) const KINDS: [&str; 6] = ["", "internal", "server", "client", "producer", "consumer"];

impl Tag {
    fn of(block: &Block, key: &str, value: &str) -> Self {
        let mut tag = Self::default();
        let is_wanted = |attribute: &KeyValue| {
            attribute.key == key
                && attribute.value.as_ref().and_then(text_of).is_some_and(|text| is_alike(&text, value))
        };
        for (number, word) in block.pairs.iter().enumerate() {
            let is_key = split_pair(word).is_some_and(|(other, _)| other == key);
            if is_key && super::block::read_pair(word).is_some_and(|attribute| is_wanted(&attribute)) {
                tag.pairs.insert(number as u32);
            }
        }
        for number in 0..block.resources.len() as u32 {
            let attributes = block.resource(number).resource.unwrap_or_default().attributes;
            if attributes.iter().any(is_wanted) {
                tag.resources.insert(number);
            }
        }
        for (number, word) in block.scopes.iter().enumerate() {
            let scope = ScopeSpans::decode(word).unwrap_or_default().scope.unwrap_or_default();
            let named = (key == "otel.scope.name" || key == "otel.library.name") && scope.name == value;
            if named || scope.attributes.iter().any(is_wanted) {
                tag.scopes.insert(number as u32);
            }
        }
        match key {
            "error" => tag.is_error = value.parse().ok(),
            "otel.status_code" => tag.is_error = (value.eq_ignore_ascii_case("error")).then_some(true),
            "span.kind" => tag.kind = KINDS.iter().position(|kind| *kind == value).map(|kind| kind as u8),
            _ => {}
        }
        tag
    }

    fn is_on(&self, block: &Block, record: &Record) -> bool {
        self.is_error.is_some_and(|is_error| is_error == (record.status == 2))
            || self.kind.is_some_and(|kind| kind == record.kind)
            || self.resources.contains(&record.resource)
            || self.scopes.contains(&record.scope)
            || (!self.pairs.is_empty() && block.list(record).iter().any(|pair| self.pairs.contains(pair)))
    }
}

/// Compares as text, and numbers as numbers: `200` is `200.0`.
fn is_alike(one: &str, other: &str) -> bool {
    one == other || one.parse::<f64>().ok().zip(other.parse::<f64>().ok()).is_some_and(|(one, other)| one == other)
}

fn micros(nanos: u64) -> i64 {
    super::rows::micros(nanos)
}
