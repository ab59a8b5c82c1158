//! What can go wrong in the collector, as a caller can tell it apart.

use std::sync::Arc;

/// What can go wrong in the collector.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store's address is of no known kind.
    #[error("store {url:?} is neither sqlite://PATH nor postgres://USER@HOST/DATABASE")]
    StoreUrl {
        /// The address, without credentials.
        url: String,
    },
    /// The store cannot be opened or reached.
    #[error("cannot open store {store}: {source}; check that it exists, is running and may be read and written")]
    Open {
        /// The store, without credentials.
        store: String,
        /// What the driver said.
        source: Arc<sqlx::Error>,
    },
    /// The file is there and is not a database of ours.
    #[error(
        "store {store} is not readable as a database ({reason}): nothing was changed; restore it from a backup, or move \
         it away to start with an empty one"
    )]
    Corrupt {
        /// The store.
        store: String,
        /// What was found.
        reason: String,
    },
    /// A newer wattle wrote the store.
    #[error(
        "store {store} has schema version {found}, this binary knows up to {known}: run the newer wattle that wrote it, \
         or use another store"
    )]
    NewerSchema {
        /// The store.
        store: String,
        /// Version found in the store.
        found: i64,
        /// Newest version this binary knows.
        known: i64,
    },
    /// Bringing the schema up to date failed.
    #[error("cannot bring the schema of store {store} up to date: {source}")]
    Migrate {
        /// The store.
        store: String,
        /// What the migration said.
        source: Arc<sqlx::migrate::MigrateError>,
    },
    /// Another collector writes to the store.
    #[error("store {store} is in use by another collector: stop it, or give this one another store")]
    InUse {
        /// The store.
        store: String,
    },
    /// One operation on the store failed.
    #[error("{operation} failed in the store: {source}")]
    Store {
        /// What was tried.
        operation: &'static str,
        /// What the driver said.
        source: Arc<sqlx::Error>,
    },
    /// A row does not hold what it should.
    #[error("{what} in the store does not decode: {reason}")]
    Row {
        /// Which kind of row.
        what: &'static str,
        /// What was found.
        reason: String,
    },
    /// More is waiting for the store than may wait.
    #[error("the collector is behind: too much is waiting for the store; send again later")]
    Busy,
    /// A setting is out of its range.
    #[error("collector setting {setting}: {reason}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A metric of ours could not be registered.
    #[error("cannot register the collector's metrics: {0}")]
    Metrics(Arc<prometheus::Error>),
}

impl Error {
    /// Gives the fixed word for metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::StoreUrl { .. } => "store_url",
            Self::Open { .. } => "open",
            Self::Corrupt { .. } => "corrupt",
            Self::NewerSchema { .. } => "newer_schema",
            Self::Migrate { .. } => "migrate",
            Self::InUse { .. } => "in_use",
            Self::Store { .. } => "store",
            Self::Row { .. } => "row",
            Self::Busy => "busy",
            Self::Setting { .. } => "setting",
            Self::Metrics(_) => "metrics",
        }
    }

    /// Makes an error of the driver ours, naming what was tried.
    pub(crate) fn store(operation: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Store { operation, source: Arc::new(source) }
    }

    /// Makes a row that does not decode an error.
    pub(crate) fn row(what: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Row { what, reason: reason.to_string() }
    }
}

impl From<prometheus::Error> for Error {
    fn from(error: prometheus::Error) -> Self {
        Self::Metrics(Arc::new(error))
    }
}
