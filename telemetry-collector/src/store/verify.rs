//! Looking a store through, and copying it.

use std::collections::BTreeSet;
use std::path::Path;

use sqlx::Row;

use super::head::group_of;
use super::label_block::Block;
use super::pack::Pack;
use super::{Backend, Store, journal, on_pool};
use crate::Error;

/// Problems that are told one by one; beyond, they are counted.
const TOLD: usize = 100;

/// What was found when a store was looked through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Series in blocks that are whole.
    pub series: u64,
    /// Packs that are whole.
    pub packs: u64,
    /// Samples in them.
    pub samples: u64,
    /// Journal rows that are whole.
    pub journal_rows: u64,
    /// Number of problems.
    pub problems: u64,
    /// The first of them, for people.
    pub told: Vec<String>,
}

impl Verified {
    fn problem(&mut self, problem: String) {
        self.problems += 1;
        if self.told.len() < TOLD {
            self.told.push(problem);
        }
    }
}

impl Store {
    /// Reads everything about samples and tells what is not whole; changes nothing.
    ///
    /// Errors: the store cannot be read at all.
    pub async fn verify(&self) -> Result<Verified, Error> {
        let mut verified = Verified::default();
        if let Backend::Sqlite(pool) = &self.backend {
            let read = Error::store("checking the file");
            let found: Vec<String> =
                sqlx::query_scalar("pragma integrity_check(100)").fetch_all(pool).await.map_err(read)?;
            found.into_iter().filter(|line| line != "ok").for_each(|line| verified.problem(line));
        }
        let groups = self.verify_series(&mut verified).await?;
        self.verify_packs(&groups, &mut verified).await?;
        let read = || Error::store("reading the journal");
        on_pool!(self, pool => {
            let rows = sqlx::query("select seq, body from sample_journal order by seq").fetch_all(pool).await;
            for row in rows.map_err(read())? {
                let (seq, body): (i64, Vec<u8>) = (row.try_get(0).map_err(read())?, row.try_get(1).map_err(read())?);
                match journal::decode(&body) {
                    Some(_) => verified.journal_rows += 1,
                    None => verified.problem(format!("journal row {seq} does not decode")),
                }
            }
        });
        Ok(verified)
    }

    /// Gives the groups that have series.
    async fn verify_series(&self, verified: &mut Verified) -> Result<BTreeSet<i64>, Error> {
        let mut groups = BTreeSet::new();
        let mut last = i64::MIN;
        for row in self.blocks_after(i64::MIN).await? {
            let Some(block) = Block::decode(&row.body) else {
                verified.problem(format!("block of series {} to {} does not decode", row.first_id, row.last_id));
                continue;
            };
            let ids: Vec<i64> = block.all().map(|(id, _)| id).collect();
            let is_in_range = ids.iter().all(|id| (row.first_id..=row.last_id).contains(id));
            if row.first_id <= last || !is_in_range || ids.len() as i64 != row.count {
                verified
                    .problem(format!("block of series {} to {} holds others than it says", row.first_id, row.last_id));
            }
            last = row.last_id;
            verified.series += ids.len() as u64;
            groups.extend(ids.into_iter().map(group_of));
        }
        Ok(groups)
    }

    async fn verify_packs(&self, groups: &BTreeSet<i64>, verified: &mut Verified) -> Result<(), Error> {
        let read = || Error::store("reading packs");
        let numbers: Vec<i64> = on_pool!(self, pool => {
            sqlx::query_scalar("select distinct group_id from sample_pack order by group_id")
                .fetch_all(pool).await.map_err(read())?
        });
        for group in numbers {
            if !groups.contains(&group) {
                verified.problem(format!("packs of group {group} are of no series"));
            }
            for (_, body) in self.packs(&[group], i64::MIN, i64::MAX).await? {
                match Pack::from_stored(&body).and_then(|pack| pack.all()) {
                    Ok(series) => {
                        verified.packs += 1;
                        verified.samples += series.iter().map(|(_, points)| points.len() as u64).sum::<u64>();
                    }
                    Err(error) => verified.problem(format!("a pack of group {group}: {error}")),
                }
            }
        }
        Ok(())
    }

    /// Copies an SQLite store into a new file, also while a collector writes to it.
    ///
    /// Errors: the file is there already, the store is PostgreSQL's (which has `pg_dump` for it), or copying failed.
    pub async fn backup(&self, to: &Path) -> Result<(), Error> {
        let refused = |reason: String| Error::Setting { setting: "backup", reason };
        let Backend::Sqlite(pool) = &self.backend else {
            return Err(refused("a store in PostgreSQL is copied by PostgreSQL's own pg_dump".to_owned()));
        };
        if to.exists() {
            return Err(refused(format!("{} is there already and is not overwritten", to.display())));
        }
        let target = to.to_str().ok_or_else(|| refused("the path is not UTF-8".to_owned()))?;
        sqlx::query("vacuum into $1")
            .bind(target)
            .execute(pool)
            .await
            .map(drop)
            .map_err(Error::store("copying the store"))
    }
}
