//! What is written beside a block: trace keys, a search row a service, and operations.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use prost::Message;

use super::block::{Block, TraceId, searchable, split_pair};
use super::tables::Operation;
use crate::graph::edge::Rollups;
use crate::store::varint::{put, take};

/// Most hashes in a set: a service with more distinct values is searched by unpacking.
const SET: usize = 4_096;

/// Everything that one transaction writes of a block.
#[derive(Debug)]
pub(crate) struct Cut {
    /// Number of the last journal row whose spans are in it.
    pub(crate) id: i64,
    pub(crate) spans: i64,
    pub(crate) body: Vec<u8>,
    pub(crate) keys: Vec<i64>,
    pub(crate) search: Vec<SearchRow>,
    /// Operations that the partition does not know yet.
    pub(crate) operations: Vec<Operation>,
    pub(crate) rollups: Rollups,
}

/// What is known of a service's spans in a block without unpacking it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SearchRow {
    pub(crate) service: String,
    /// Earliest and latest start.
    pub(crate) first_us: i64,
    pub(crate) last_us: i64,
    pub(crate) longest_us: i64,
    pub(crate) spans: i64,
    /// Hashes of operations.
    pub(crate) operations: Vec<u8>,
    /// Hashes of listed attributes with their values; `None` where there were too many.
    pub(crate) attributes: Option<Vec<u8>>,
}

#[derive(Default)]
struct Gathered {
    row: SearchRow,
    operations: BTreeSet<u32>,
    attributes: BTreeSet<u32>,
}

/// Gives the half of a trace's id that finds it: all of a 64-bit id, and chance in every kind of 128-bit one.
pub(crate) fn trace_key(trace: &TraceId) -> i64 {
    let (_, low) = trace.split_at(8);
    i64::from_be_bytes(low.try_into().unwrap_or_default())
}

/// Gives the trace keys of a block, each once, in order.
pub(crate) fn trace_keys(block: &Block) -> Vec<i64> {
    let mut keys: Vec<i64> = block.records.iter().map(|record| trace_key(&record.trace)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Gives the search rows of a block, by service.
pub(crate) fn search_rows(block: &Block, listed: &[String]) -> Vec<SearchRow> {
    let hashes = Hashes::of(block, listed);
    let mut services: BTreeMap<&str, Gathered> = BTreeMap::new();
    for record in &block.records {
        let (start, long) = (micros(record.start), micros(record.duration()));
        let gathered = services.entry(block.service(record)).or_insert_with(|| Gathered {
            row: SearchRow { first_us: i64::MAX, last_us: i64::MIN, ..SearchRow::default() },
            ..Gathered::default()
        });
        let row = &mut gathered.row;
        (row.first_us, row.last_us) = (row.first_us.min(start), row.last_us.max(start));
        (row.longest_us, row.spans) = (row.longest_us.max(long), row.spans + 1);
        gathered.operations.insert(hashes.texts[record.name as usize]);
        if gathered.attributes.len() <= SET {
            let own = block.list(record).iter().filter_map(|&pair| hashes.pairs[pair as usize]);
            gathered.attributes.extend(own);
            gathered.attributes.extend(&hashes.resources[record.resource as usize]);
        }
    }
    let finish = |(service, gathered): (&str, Gathered)| SearchRow {
        service: service.to_owned(),
        operations: pack(&gathered.operations),
        attributes: (gathered.attributes.len() <= SET).then(|| pack(&gathered.attributes)),
        ..gathered.row
    };
    services.into_iter().map(finish).collect()
}

/// Gives the operations of a block that are not known yet, at most `most` of a service.
pub(crate) fn operations(block: &Block, known: &HashSet<Operation>, most: usize) -> Vec<Operation> {
    let mut seen: HashSet<(u32, u32, u8)> = HashSet::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    known.iter().for_each(|(service, ..)| *counts.entry(service).or_default() += 1);
    let mut found = Vec::new();
    for record in &block.records {
        if !seen.insert((record.resource, record.name, record.kind)) {
            continue;
        }
        let service = block.service(record);
        let operation = (service.to_owned(), searchable(block.name(record)), record.kind);
        let count = counts.entry(service).or_default();
        if *count < most && !known.contains(&operation) && !found.contains(&operation) {
            *count += 1;
            found.push(operation);
        }
    }
    found
}

/// Hashes of a block's words, each made once.
struct Hashes {
    texts: Vec<u32>,
    pairs: Vec<Option<u32>>,
    resources: Vec<Vec<u32>>,
}

impl Hashes {
    fn of(block: &Block, listed: &[String]) -> Self {
        let is_listed = |key: &str| listed.iter().any(|name| name == key);
        let pair = |word: &[u8]| {
            let (key, value) = split_pair(word).filter(|(key, _)| is_listed(key))?;
            Some(hash_pair(key, &text_of(&AnyValue::decode(value).ok()?)?))
        };
        let resource = |number: usize| {
            let attributes = block.resource(number as u32).resource.unwrap_or_default().attributes;
            let listed = attributes.into_iter().filter(|attribute| is_listed(&attribute.key));
            listed.filter_map(|a| Some(hash_pair(&a.key, &text_of(&a.value?)?))).collect()
        };
        Self {
            texts: block.texts.iter().map(hash).collect(),
            pairs: block.pairs.iter().map(pair).collect(),
            resources: (0..block.resources.len()).map(resource).collect(),
        }
    }
}

/// Gives a value as people write it in a search; `None` for lists and maps.
pub(crate) fn text_of(value: &AnyValue) -> Option<String> {
    match value.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text.clone()),
        any_value::Value::BoolValue(truth) => Some(truth.to_string()),
        any_value::Value::IntValue(number) => Some(number.to_string()),
        any_value::Value::DoubleValue(number) => Some(number.to_string()),
        _ => None,
    }
}

/// FNV-1a of 64 bits, folded: stored, so it must never change.
///
/// Source: <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>.
pub(crate) fn hash(bytes: &[u8]) -> u32 {
    fold(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// Hashes an attribute with its value.
pub(crate) fn hash_pair(key: &str, value: &str) -> u32 {
    fold(key.as_bytes().iter().chain([&0]).chain(value.as_bytes()).fold(0xcbf2_9ce4_8422_2325, step))
}

const fn step(sum: u64, byte: &u8) -> u64 {
    (sum ^ *byte as u64).wrapping_mul(0x0000_0100_0000_01b3)
}

const fn fold(sum: u64) -> u32 {
    (sum ^ sum >> 32) as u32
}

fn pack(set: &BTreeSet<u32>) -> Vec<u8> {
    let mut out = Vec::with_capacity(set.len() * 4);
    let mut before = 0;
    for &hash in set {
        put(&mut out, u64::from(hash - before));
        before = hash;
    }
    out
}

/// Tells whether a packed set holds a hash.
pub(crate) fn holds(mut set: &[u8], wanted: u32) -> bool {
    let mut hash = 0_u64;
    while let Some(more) = take(&mut set) {
        hash += more;
        if hash >= u64::from(wanted) {
            return hash == u64::from(wanted);
        }
    }
    false
}

pub(crate) fn micros(nanos: u64) -> i64 {
    i64::try_from(nanos / 1_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_set_holds_what_was_put_in_and_nothing_else() {
        let set: BTreeSet<u32> = [0, 7, 8, u32::MAX].into();
        let packed = pack(&set);

        assert!(set.iter().all(|&hash| holds(&packed, hash)));
        assert!(![1, 6, 9, u32::MAX - 1].iter().any(|&hash| holds(&packed, hash)));
        assert!(!holds(&[], 0));
    }

    #[test]
    fn hashes_are_what_they_were_when_they_were_stored() {
        assert_eq!(hash(b""), 0x4fd0_bfc1);
        assert_eq!(hash(b"a"), 0x2962_30c0);
        assert_ne!(hash_pair("a", "bc"), hash_pair("ab", "c"));
    }
}
