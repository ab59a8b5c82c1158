//! Series that are not in memory any more: looked for in the store, where a query reaches back to them.

use std::sync::Arc;

use promql_parser::label::Matchers;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use wattle_contract::Labels;

use super::Inner;
use crate::Error;
use crate::store::label_block::Block;
use crate::store::rows::BlockSpan;

/// What blocks that were read may take in memory; a series takes some hundred bytes.
const CACHED_BYTES: u64 = 32 << 20;

/// A series that is not in memory.
pub(crate) struct Cold {
    pub(crate) id: i64,
    /// As [`label_hash`](crate::store::label_block::label_hash) gives it.
    pub(crate) hash: u64,
    pub(crate) labels: Labels,
}

/// Blocks of series that were read: a dashboard asks for the same ones again and again.
pub(super) struct Blocks(Cache<BlockSpan, Arc<Block>, Bytes, foldhash::fast::RandomState>);

#[derive(Clone)]
struct Bytes;

impl Weighter<BlockSpan, Arc<Block>> for Bytes {
    fn weight(&self, _: &BlockSpan, block: &Arc<Block>) -> u64 {
        block.bytes() as u64
    }
}

impl Default for Blocks {
    fn default() -> Self {
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(64)
            .weight_capacity(CACHED_BYTES)
            .build()
            .expect("all that it needs is set");
        Self(Cache::with_options(options, Bytes, foldhash::fast::RandomState::default(), DefaultLifecycle::default()))
    }
}

/// Gives the matching series that are not in memory and may have samples in a span of time, in order of their ids.
pub(super) async fn find(inner: &Inner, matchers: &Matchers, start: i64, end: i64) -> Result<Vec<Cold>, Error> {
    let mut found: Vec<Cold> = Vec::new();
    if inner.catalogue.lock().cold_to.is_none_or(|cold_to| cold_to < start) {
        return Ok(found);
    }
    let one = std::slice::from_ref(&matchers.matchers);
    let groups = if matchers.or_matchers.is_empty() { one } else { &matchers.or_matchers };
    for block in blocks(inner, start, end).await? {
        let head = inner.head.read();
        for group in groups {
            found.extend(block.select(group, |id| head.by_id(id).is_none()));
        }
    }
    found.sort_by_key(|cold| cold.id);
    found.dedup_by_key(|cold| cold.id);
    Ok(found)
}

/// Gives the blocks that have series which are not in memory.
async fn blocks(inner: &Inner, start: i64, end: i64) -> Result<Vec<Arc<Block>>, Error> {
    let mut found = Vec::new();
    let is_all_active = |first_id: i64| inner.catalogue.lock().live.get(&first_id).is_some_and(|live| !live.has_gone);
    let mut missing = false;
    for span in inner.store.block_spans_between(start, end).await? {
        if is_all_active(span.first_id) {
            continue;
        }
        if let Some(block) = inner.blocks.0.get(&span) {
            found.push(block);
            continue;
        }
        match inner.store.block(span.first_id).await? {
            Some(row) if row.span() == span => {
                let block = Arc::new(row.decode()?);
                inner.blocks.0.insert(span, block.clone());
                found.push(block);
            }
            // Put together with others just now.
            _ => missing = true,
        }
    }
    if missing {
        found.clear();
        for row in inner.store.blocks_between(start, end).await? {
            if !is_all_active(row.first_id) {
                found.push(Arc::new(row.decode()?));
            }
        }
    }
    Ok(found)
}
