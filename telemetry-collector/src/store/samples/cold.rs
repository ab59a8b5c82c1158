//! Series that are not in memory any more: looked for in the store, where a query reaches back to them.

use std::collections::BTreeMap;

use promql_parser::label::Matchers;
use wattle_contract::Labels;

use super::Inner;
use crate::Error;

/// Gives the matching series that are not in memory and may have samples in a span of time.
pub(super) async fn find(
    inner: &Inner,
    matchers: &Matchers,
    start: i64,
    end: i64,
) -> Result<BTreeMap<i64, Labels>, Error> {
    let mut found = BTreeMap::new();
    if inner.catalogue.lock().cold_to.is_none_or(|cold_to| cold_to < start) {
        return Ok(found);
    }
    let one = std::slice::from_ref(&matchers.matchers);
    let groups = if matchers.or_matchers.is_empty() { one } else { &matchers.or_matchers };
    for row in inner.store.blocks_between(start, end).await? {
        let is_all_active = inner.catalogue.lock().live.get(&row.first_id).is_some_and(|live| !live.has_gone);
        if is_all_active {
            continue;
        }
        let block = row.decode()?;
        let matching: Vec<(i64, Labels)> = groups.iter().flat_map(|group| block.select(group)).collect();
        let head = inner.head.read();
        found.extend(matching.into_iter().filter(|(id, _)| head.by_id(*id).is_none()));
    }
    Ok(found)
}
