//! The start: active series and the journal become the head again.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use wattle_contract::Timestamp;

use super::write::{AHEAD_MS, Writer};
use super::{Catalogue, Inner, LiveBlock, window_of};
use crate::Error;
use crate::store::Store;
use crate::store::head::{Group, Head, group_of};
use crate::store::journal::Encoder;

pub(super) async fn open(store: Arc<Store>, window_ms: i64, now: Timestamp) -> Result<Inner, Error> {
    let (mut head, mut catalogue) = (Head::default(), Catalogue::default());
    let groups = store.groups().await?;
    let newest = now.0.saturating_add(AHEAD_MS);
    for row in store.live_blocks().await? {
        for (id, labels) in row.decode()?.all() {
            head.insert(id, &labels, || {
                let (cut_seq, cut_to) = groups.get(&group_of(id)).copied().unwrap_or((0, i64::MIN));
                Group::stored(cut_seq, cut_to)
            });
        }
        let active = usize::try_from(row.count).unwrap_or(0);
        let live = LiveBlock { active, has_gone: false, newest: i64::MIN };
        catalogue.live.insert(row.first_id, live);
    }
    catalogue.cold_to = store.newest_closed().await?;
    let (last_seq, mut last_id) = store.last_numbers().await?;
    let mut dirty = BTreeSet::new();
    let mut seq = 0;
    while let Some((next, entries)) = store.next_journal(seq).await? {
        seq = next;
        for entry in entries {
            // An id that the journal names is not given again.
            last_id = last_id.max(entry.series);
            // A series that is not active any more had all its samples in packs.
            let Some(at) = head.by_id(entry.series) else { continue };
            if next > groups.get(&group_of(entry.series)).map_or(0, |group| group.0) && entry.time <= newest {
                head.push(at, (entry.time, entry.value), next, now.0);
                dirty.insert(window_of(entry.time, window_ms));
            }
        }
    }
    let encoder = Encoder::new().map_err(|error| Error::row("a new journal row", error))?;
    let writer = Writer { last_seq, last_id, uncertain: false, encoder };
    Ok(Inner {
        store,
        head: RwLock::new(head),
        writer: tokio::sync::Mutex::new(writer),
        catalogue: Mutex::new(catalogue),
        blocks: super::cold::Blocks::default(),
        limits: Mutex::default(),
        window_ms,
        dirty: Mutex::new(dirty),
        is_held: std::sync::atomic::AtomicBool::new(false),
        generation: std::sync::atomic::AtomicU64::new(0),
    })
}
