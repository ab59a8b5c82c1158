//! The store: one type over SQLite or PostgreSQL.
//!
//! SQL is the container, packs are the content. What was received goes into a journal row in one transaction
//! (acknowledged = journalled), lives in memory as the head, and is cut later into packs: about 120 samples each of 64
//! neighbouring series. Series without samples leave the memory and are found in their blocks from then on. Traces are
//! compressed batches beside narrow search rows. Statements are the same text for both databases; what differs (opening,
//! locks, arrays, partitions) is in `store/sqlite.rs` and `store/postgres.rs`.

pub(crate) mod batch;
pub(crate) mod chunk;
mod decision;
pub(crate) mod exemplars;
pub(crate) mod head;
mod index;
pub(crate) mod journal;
mod label_block;
mod legacy;
mod open;
pub(crate) mod outcome;
pub(crate) mod pack;
mod postgres;
pub(crate) mod read;
mod retention;
mod rollup;
mod rows;
pub(crate) mod samples;
pub(crate) mod size;
mod sqlite;
mod tail;
pub(crate) mod traces;
mod varint;
mod verify;
mod window;

use std::fmt;

use crate::Error;

pub use rows::Stats;
pub use verify::Verified;

/// A connection to the database that holds everything measured and decided.
pub struct Store {
    backend: Backend,
    /// The store as people are told of it: no credentials.
    name: String,
    /// Held while a collector writes: dropped with the store.
    writer: parking_lot::Mutex<Option<WriterLock>>,
}

enum Backend {
    Sqlite(sqlx::SqlitePool),
    Postgres(sqlx::PgPool),
}

enum WriterLock {
    File(#[expect(dead_code, reason = "held for its lock, released by the operating system")] std::fs::File),
    /// The advisory lock ends with the connection.
    Session(Box<sqlx::PgConnection>),
}

/// Runs the same statements on whichever database is behind the store.
macro_rules! on_pool {
    ($store:expr, $pool:ident => $body:expr) => {
        match &$store.backend {
            crate::store::Backend::Sqlite($pool) => $body,
            crate::store::Backend::Postgres($pool) => $body,
        }
    };
}
pub(crate) use on_pool;

impl Store {
    /// Opens `sqlite://PATH` or `postgres://…` and brings its schema up to date.
    ///
    /// Errors: the address is of no known kind, the database cannot be reached, is corrupt, or is newer than this binary.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let (backend, name) = open::open(url).await?;
        Ok(Self { backend, name, writer: parking_lot::Mutex::new(None) })
    }

    /// Gives the store's name without credentials.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Claims the store for one writing collector until the store is dropped.
    pub(crate) async fn lock_for_writing(&self) -> Result<(), Error> {
        let lock = match &self.backend {
            Backend::Sqlite(pool) => sqlite::writer_lock(pool, &self.name).map(WriterLock::File)?,
            Backend::Postgres(pool) => WriterLock::Session(Box::new(postgres::writer_lock(pool, &self.name).await?)),
        };
        *self.writer.lock() = Some(lock);
        Ok(())
    }

    /// Looks whether the claim still holds, and claims again where the connection that held it is gone.
    ///
    /// Errors: another collector has the store now, or the database does not answer.
    pub(crate) async fn keep_lock(&self) -> Result<(), Error> {
        let Backend::Postgres(pool) = &self.backend else { return Ok(()) };
        let held = self.writer.lock().take();
        let Some(WriterLock::Session(mut connection)) = held else { return self.lock_for_writing().await };
        if postgres::is_alive(&mut connection).await {
            *self.writer.lock() = Some(WriterLock::Session(connection));
            return Ok(());
        }
        tracing::warn!(store = self.name, "the connection with the writer's lock is gone; taking the lock again");
        let lock = WriterLock::Session(Box::new(postgres::writer_lock(pool, &self.name).await?));
        *self.writer.lock() = Some(lock);
        Ok(())
    }

    /// Closes every connection, after what runs on them.
    pub(crate) async fn close(&self) {
        on_pool!(self, pool => pool.close().await);
        self.writer.lock().take();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("name", &self.name).finish_non_exhaustive()
    }
}
