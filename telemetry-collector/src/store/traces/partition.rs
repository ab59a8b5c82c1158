//! Partitions: which one takes a block, and which are dropped.

use std::time::Duration;

use wattle_contract::Timestamp;

use super::Traces;
use super::tables::Partition;
use crate::Error;

/// Partitions that a retention is made of, about: what is dropped late is at most one of them.
const PARTS: u32 = 24;
const HOUR: Duration = Duration::from_secs(3_600);

impl Traces {
    /// Gives the partition that takes what arrives now, making it when there is none.
    pub(super) async fn partition(&self, now: Timestamp) -> Result<Partition, Error> {
        let (newest, fitting) = {
            let partitions = self.partitions.read();
            let fits = |one: &&Partition| {
                (one.start_ms..one.end_ms).contains(&now.0) && one.attributes == self.keeping.attributes
            };
            (partitions.last().map_or(0, |last| last.id), partitions.iter().rfind(fits).cloned())
        };
        if let Some(partition) = fitting {
            return Ok(partition);
        }
        let length = i64::try_from(length(self.keeping.retention).as_millis()).unwrap_or(i64::MAX);
        let start_ms = now.0 - now.0.rem_euclid(length);
        let attributes = self.keeping.attributes.clone();
        let partition = Partition { id: newest + 1, start_ms, end_ms: start_ms + length, attributes };
        if let Err(error) = self.store.create_partition(&partition).await {
            // A commit whose answer was lost is one all the same.
            *self.partitions.write() = self.store.span_partitions().await?;
            return match self.partitions.read().iter().find(|other| **other == partition) {
                Some(there) => Ok(there.clone()),
                None => Err(error),
            };
        }
        self.partitions.write().push(partition.clone());
        Ok(partition)
    }

    /// Gives the end of the oldest partition.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.partitions.read().iter().map(|one| Timestamp(one.end_ms)).min()
    }

    /// Drops the partitions that ended before a time.
    pub(crate) async fn drop_before(&self, before: Timestamp) -> Result<(), Error> {
        let old: Vec<i64> =
            self.partitions.read().iter().filter(|one| one.end_ms <= before.0).map(|one| one.id).collect();
        for id in old {
            // Readers look here when a table is gone: first.
            self.partitions.write().retain(|one| one.id != id);
            self.cache.lock().retain(|((partition, _), _)| *partition != id);
            if let Err(error) = self.store.drop_partition(id).await {
                *self.partitions.write() = self.store.span_partitions().await?;
                return Err(error);
            }
            let mut services = self.operations.write();
            services.values_mut().for_each(|operations| operations.retain(|_, newest| *newest != id));
            services.retain(|_, operations| !operations.is_empty());
        }
        Ok(())
    }
}

/// Gives the length of a partition: whole hours.
fn length(retention: Duration) -> Duration {
    let hours = (retention / PARTS).as_secs() / HOUR.as_secs();
    HOUR * u32::try_from(hours.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_whole_hours_and_a_small_part_of_the_retention() {
        assert_eq!(length(HOUR), HOUR);
        assert_eq!(length(HOUR * 24 * 15), HOUR * 15);
        assert_eq!(length(HOUR * 24 * 365), HOUR * 365);
    }
}
