//! What is too old, or beyond what the store may take, is dropped: the oldest first, of everything alike.

use std::time::Duration;

use wattle_contract::Timestamp;

use crate::Error;
use crate::config::Config;
use crate::receive::intake::{Intake, now};
use crate::store::size::Keep;

/// Parts of the stored time of which the oldest goes at once, where the store is too large.
const PARTS: u32 = 48;
/// What is newer than this stays, however small the store is to be: the scheduler decides by it.
const NEWEST: Duration = Duration::from_secs(2 * 3_600);

/// How long, and how much, is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retention {
    pub(super) age: Duration,
    /// Zero for any size.
    bytes: u64,
}

impl Retention {
    pub(super) const fn of(config: &Config) -> Self {
        Self { age: config.retention, bytes: config.retention_bytes }
    }

    /// Drops what is too old, then the oldest until the store is small enough; gives free room back.
    pub(super) async fn drop_old(self, intake: &Intake) -> Result<(), Error> {
        self.drop_to_fit(intake, now()).await?;
        intake.store.give_back(Keep::Some).await?;
        let bytes = intake.store.bytes().await?;
        intake.metrics.store_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        Ok(())
    }

    async fn drop_to_fit(self, intake: &Intake, now: Timestamp) -> Result<(), Error> {
        let mut before = now.minus(self.age);
        drop_before(intake, before).await?;
        if self.bytes == 0 {
            return Ok(());
        }
        let (mut bytes, newest) = (intake.store.bytes().await?, now.minus(NEWEST));
        while bytes > self.bytes {
            let oldest = intake.store.oldest_pack().await?.into_iter().chain(intake.traces.oldest()).min();
            // Packs end all the time, so a step forward always is one.
            let Some(oldest) = oldest.map(|oldest| oldest.max(before)).filter(|&oldest| oldest < newest) else {
                tracing::warn!(
                    bytes,
                    most = self.bytes,
                    "the store is larger than it may be with its last two hours alone"
                );
                return Ok(());
            };
            before = oldest.plus(now.since(oldest) / PARTS).plus(Duration::from_secs(1)).min(newest);
            drop_before(intake, before).await?;
            let after = intake.store.bytes().await?;
            tracing::info!(
                before_ms = before.0,
                bytes = after,
                was = bytes,
                "dropped the oldest, as the store is too large"
            );
            bytes = after;
        }
        Ok(())
    }
}

async fn drop_before(intake: &Intake, before: Timestamp) -> Result<(), Error> {
    intake.store.drop_before(before).await?;
    intake.traces.drop_before(before).await?;
    intake.exemplars.tidy(before.0).await?;
    intake.samples.forget(before).await
}

#[cfg(test)]
mod tests {
    use wattle_contract::{Labels, METRIC_NAME, Sample};

    use super::*;
    use crate::store::batch::Batch;
    use crate::store::samples::Due;

    /// Fills a store with days of samples that do not compress.
    async fn filled(intake: &Intake, days: i64) {
        let mut noise = 1_u64;
        for hour in 0..24 * days {
            let start = now().0 - (24 * days - hour) * 3_600_000;
            let mut batch: Batch = Vec::<Sample>::new().into();
            batch.is_backfill = true;
            for series in 0..20 {
                let which = batch.name(Labels::new([(METRIC_NAME.to_owned(), format!("m{series}"))]));
                for at in 0..60 {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    batch.push(which, start + at * 60_000, f64::from_bits(noise >> 12 | 0x3ff0_0000_0000_0000));
                }
            }
            intake.samples.append(batch, now()).await.expect("journalled");
            while intake.samples.cut(now(), Due::All).await.expect("cut") > 0 {}
        }
    }

    #[tokio::test]
    async fn the_oldest_goes_until_the_store_is_small_enough_and_the_newest_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let intake = Intake::of_a_new_store(dir.path()).await;
        filled(&intake, 10).await;
        let before = intake.store.bytes().await.expect("measured");
        let retention = Retention { age: Duration::from_secs(30 * 86_400), bytes: before / 2 };

        retention.drop_old(&intake).await.expect("dropped");

        let after = intake.store.bytes().await.expect("measured");
        assert!(after <= before / 2 && after > before / 3, "{before} became {after}");
        let oldest = intake.store.oldest_pack().await.expect("read").expect("a pack");
        let days = now().since(oldest).as_secs_f64() / 86_400.0;
        assert!((3.0..7.0).contains(&days), "{days} days are left");
        assert_eq!(intake.metrics.store_bytes.get().unsigned_abs(), after);
        // However small it is to be, it is of use.
        let retention = Retention { bytes: 1, ..retention };
        retention.drop_old(&intake).await.expect("dropped");
        let oldest = intake.store.oldest_pack().await.expect("read").expect("a pack");
        assert!(now().since(oldest) < NEWEST + Duration::from_secs(3_600));
        intake.store.give_back(Keep::Nothing).await.expect("given back");
        let file = std::fs::metadata(dir.path().join("new.db")).expect("a file").len();
        assert!(intake.store.bytes().await.expect("measured") <= before / 4 && file < 4 * before, "{file}");
    }
}
