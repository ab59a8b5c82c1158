//! Codec of a block: ids as they are (they do not compress), everything else by column through zstd.
//!
//! Spans are sorted by trace and start, so that times are small differences and a parent is mostly a small distance. A
//! zstd stream over columns of small numbers is a quarter of one over the same spans as protobuf.

use std::collections::HashMap;

use super::block::{Block, Record, SpanId};
use super::words::Words;
use crate::store::varint::{put, take, unzigzag, zigzag};

/// First byte of a block; another layout gets another one.
const VERSION: u8 = 1;
/// Most bytes a block may unpack to.
const LIMIT: usize = 512 << 20;
/// Most spans of a block.
const SPANS: usize = 1 << 24;
/// Beyond 3, zstd gains a few per cent for twice the time (measured on the bench's spans).
const LEVEL: i32 = 3;
/// Columns of small numbers, one a field.
const COLUMNS: usize = 11;

/// Writes a block; its spans come out sorted by trace and start.
pub(crate) fn encode(block: &Block) -> std::io::Result<Vec<u8>> {
    let mut order: Vec<&Record> = block.records.iter().collect();
    order.sort_by_key(|record| (record.trace, record.start, record.id));
    let base = order.iter().map(|record| record.start).min().unwrap_or(0);
    let mut ids = Vec::with_capacity(order.len() * 12);
    let mut columns: [Vec<u8>; COLUMNS] = Default::default();
    let mut strangers = Vec::new();
    let mut traces = 0_u64;
    for trace in order.chunk_by(|one, next| one.trace == next.trace) {
        traces += 1;
        ids.extend_from_slice(&trace[0].trace);
        put(&mut columns[0], trace.len() as u64);
        let places: HashMap<SpanId, usize> = trace.iter().enumerate().map(|(at, record)| (record.id, at)).collect();
        let mut start = base;
        for (at, record) in trace.iter().enumerate() {
            put(&mut columns[1], parent_code(record, at, &places, &mut strangers));
            put(&mut columns[2], zigzag(record.start.wrapping_sub(start).cast_signed()));
            start = record.start;
            put_record(&mut columns, record, block.list(record));
        }
    }
    let mut plain = Vec::new();
    put(&mut plain, base);
    for column in columns.iter().chain([&strangers]) {
        put(&mut plain, column.len() as u64);
        plain.extend_from_slice(column);
    }
    for words in [&block.texts, &block.pairs, &block.resources, &block.scopes, &block.rests] {
        put_words(&mut plain, words);
    }
    let mut out = vec![VERSION];
    put(&mut out, order.len() as u64);
    put(&mut out, traces);
    out.extend_from_slice(&ids);
    order.iter().for_each(|record| out.extend_from_slice(&record.id));
    out.extend_from_slice(&zstd::bulk::compress(&plain, LEVEL)?);
    Ok(out)
}

fn put_record(columns: &mut [Vec<u8>; COLUMNS], record: &Record, list: &[u32]) {
    put(&mut columns[3], zigzag(record.length));
    put(&mut columns[4], u64::from(record.name));
    columns[5].push(record.kind << 2 | record.status);
    put(&mut columns[6], u64::from(record.message));
    put(&mut columns[7], u64::from(record.resource));
    put(&mut columns[8], u64::from(record.scope));
    put(&mut columns[9], u64::from(record.rest));
    put(&mut columns[10], list.len() as u64);
    let mut before = 0;
    for &pair in list {
        put(&mut columns[10], zigzag(i64::from(pair) - before));
        before = i64::from(pair);
    }
}

/// 0: none; 1: an id that is not in the trace, written apart; from 2 on: how far away in the trace.
fn parent_code(record: &Record, at: usize, places: &HashMap<SpanId, usize>, strangers: &mut Vec<u8>) -> u64 {
    if record.parent == [0; 8] {
        return 0;
    }
    match places.get(&record.parent) {
        Some(&parent) => 2 + zigzag(at as i64 - parent as i64),
        None => {
            strangers.extend_from_slice(&record.parent);
            1
        }
    }
}

fn put_words(out: &mut Vec<u8>, words: &Words) {
    put(out, words.len() as u64);
    words.iter().for_each(|word| put(out, word.len() as u64));
    words.iter().for_each(|word| out.extend_from_slice(word));
}

/// Reads a block; `None` where the bytes are not one.
pub(crate) fn decode(body: &[u8]) -> Option<Block> {
    let (&version, mut input) = body.split_first()?;
    if version != VERSION {
        return None;
    }
    let spans = usize::try_from(take(&mut input)?).ok().filter(|spans| *spans <= SPANS)?;
    let traces = usize::try_from(take(&mut input)?).ok().filter(|traces| *traces <= spans)?;
    let (trace_ids, input) = input.split_at_checked(traces * 16)?;
    let (span_ids, packed) = input.split_at_checked(spans * 8)?;
    let size = usize::try_from(zstd::zstd_safe::get_frame_content_size(packed).ok()??).ok()?;
    let plain = zstd::bulk::decompress(packed, Some(size).filter(|size| *size <= LIMIT)?).ok()?;

    let input = &mut plain.as_slice();
    let base = take(input)?;
    let mut columns: [&[u8]; COLUMNS] = Default::default();
    for column in &mut columns {
        *column = take_part(input)?;
    }
    let mut strangers = take_part(input)?;
    let mut block = Block {
        records: Vec::with_capacity(spans),
        texts: take_words(input)?,
        pairs: take_words(input)?,
        resources: take_words(input)?,
        scopes: take_words(input)?,
        rests: take_words(input)?,
        ..Block::default()
    };
    for number in 0..block.resources.len() {
        let resource = block.resource(number as u32).resource;
        block.name_resource(resource.as_ref());
    }
    for trace in trace_ids.chunks_exact(16) {
        let first = block.records.len();
        let count = usize::try_from(take(&mut columns[0])?).ok()?;
        let ids = span_ids.get(first * 8..first.checked_add(count)?.checked_mul(8)?)?;
        let mut start = base;
        for (at, id) in ids.chunks_exact(8).enumerate() {
            let parent = take_parent(take(&mut columns[1])?, at, ids, &mut strangers)?;
            start = start.wrapping_add(unzigzag(take(&mut columns[2])?).cast_unsigned());
            let record = take_record(&mut columns, &mut block.lists)?;
            let (trace, id) = (trace.try_into().ok()?, id.try_into().ok()?);
            block.records.push(Record { trace, id, parent, start, ..record });
        }
    }
    (block.records.len() == spans).then_some(block)
}

fn take_record(columns: &mut [&[u8]; COLUMNS], lists: &mut Vec<u32>) -> Option<Record> {
    let small = |column: &mut &[u8]| take(column).and_then(|number| u32::try_from(number).ok());
    let length = unzigzag(take(&mut columns[3])?);
    let name = small(&mut columns[4])?;
    let (&mixed, rest) = columns[5].split_first()?;
    columns[5] = rest;
    let (message, resource) = (small(&mut columns[6])?, small(&mut columns[7])?);
    let (scope, rest) = (small(&mut columns[8])?, small(&mut columns[9])?);
    let (list, list_length) = (u32::try_from(lists.len()).ok()?, small(&mut columns[10])?);
    let mut pair = 0_i64;
    for _ in 0..list_length {
        pair = pair.checked_add(unzigzag(take(&mut columns[10])?))?;
        lists.push(u32::try_from(pair).ok()?);
    }
    let (trace, id, parent) = ([0; 16], [0; 8], [0; 8]);
    let (kind, status) = (mixed >> 2, mixed & 3);
    Some(Record {
        trace,
        id,
        parent,
        start: 0,
        length,
        name,
        kind,
        status,
        message,
        resource,
        scope,
        list,
        list_length,
        rest,
    })
}

fn take_parent(code: u64, at: usize, ids: &[u8], strangers: &mut &[u8]) -> Option<SpanId> {
    match code {
        0 => Some([0; 8]),
        1 => {
            let (id, rest) = strangers.split_first_chunk::<8>()?;
            *strangers = rest;
            Some(*id)
        }
        code => {
            let place = usize::try_from((at as i64).checked_sub(unzigzag(code - 2))?).ok()?.checked_mul(8)?;
            ids.get(place..place.checked_add(8)?)?.try_into().ok()
        }
    }
}

fn take_part<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take(input)?).ok()?;
    let (part, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(part)
}

fn take_words(input: &mut &[u8]) -> Option<Words> {
    let count = usize::try_from(take(input)?).ok().filter(|count| *count <= input.len())?;
    let mut lengths = Vec::with_capacity(count);
    for _ in 0..count {
        lengths.push(usize::try_from(take(input)?).ok()?);
    }
    let mut words = Words::default();
    for length in lengths {
        let (word, rest) = input.split_at_checked(length)?;
        words.push(word);
        *input = rest;
    }
    Some(words)
}

#[cfg(test)]
mod tests;
