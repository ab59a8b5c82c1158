//! Backfill: an OpenMetrics file with timestamps, or what a server answers to remote read, into a store that no
//! collector has open.

mod remote;

use std::io::BufRead;
use std::sync::Arc;

use wattle_contract::{Labels, Timestamp};

use crate::Error;
use crate::receive::exposition::{Format, Item, Parser, labels_of};
use crate::receive::intake::now;
use crate::store::Store;
use crate::store::batch::Batch;
use crate::store::outcome::describe;
use crate::store::samples::{Due, Samples};

pub use remote::{RemoteRead, Unanswered, import_remote};

/// Samples of one commit.
const BATCH: usize = 100_000;
/// Samples between cuts: bounds the memory of a file of any length.
const CUT: usize = 2_000_000;

/// What became of what was to be imported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Samples stored, those that were there already included.
    pub samples: u64,
    /// Samples not taken.
    pub rejected: u64,
    /// The first of them: its series and why.
    pub first: Option<String>,
}

/// Why a file or a server's history was not taken, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read: {0}")]
    Read(#[from] std::io::Error),
    /// A line is no OpenMetrics with a time; what stood before it is stored.
    #[error("line {line}: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What was expected.
        reason: String,
    },
    /// What selects series is no selector.
    #[error("'{selector}' selects no series: {reason}")]
    Selector {
        /// As it was given.
        selector: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server did not answer; what was from before `from` is stored.
    #[error("nothing came of what is from {from} on: {reason}")]
    Unanswered {
        /// As RFC 3339 writes it.
        from: String,
        /// What was tried and what it met.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Reads samples line by line and stores them, whatever their age; `progress` is told the bytes read so far.
///
/// Errors: the store is in use, a line is not understood, or either cannot be read or written.
pub async fn import(
    store_url: &str,
    mut file: impl BufRead,
    mut progress: impl FnMut(u64),
) -> Result<Imported, ImportError> {
    let mut import = Import::into(store_url).await?;
    let (mut text, mut line, mut bytes) = (String::new(), 0, 0);
    loop {
        text.clear();
        let length = file.read_line(&mut text)?;
        if length == 0 || text.trim_end() == "# EOF" {
            break;
        }
        line += 1;
        bytes += length as u64;
        import.line(&text).map_err(|reason| ImportError::Line { line, reason })?;
        if import.batch.rows.len() >= BATCH {
            import.flush().await?;
            progress(bytes);
        }
    }
    progress(bytes);
    Ok(import.end().await?)
}

struct Import {
    store: Arc<Store>,
    samples: Samples,
    batch: Batch,
    /// Text of the newest series of the batch: samples of one series stand together.
    last: String,
    uncut: usize,
    done: Imported,
}

fn backfill() -> Batch {
    Batch { is_backfill: true, ..Batch::default() }
}

impl Import {
    async fn into(store_url: &str) -> Result<Self, Error> {
        let store = Arc::new(Store::open(store_url).await?);
        store.lock_for_writing().await?;
        store.take_over().await?;
        let samples = Samples::open(store.clone(), 15_000, now()).await?;
        Ok(Self { store, samples, batch: backfill(), last: String::new(), uncut: 0, done: Imported::default() })
    }

    async fn end(mut self) -> Result<Imported, Error> {
        self.flush().await?;
        self.cut().await?;
        self.store.close().await;
        Ok(self.done)
    }

    fn line(&mut self, text: &str) -> Result<(), String> {
        // A line is a body of its own: what it lacks is the end.
        let mut parser = Parser::new(text, Format::OpenMetrics);
        let sample = match parser.next_unchecked() {
            Some(Ok(Item::Sample(sample))) => sample,
            Some(Ok(Item::Metadata(..))) => return Ok(()),
            Some(Err(error)) if !text.trim().is_empty() && !text.starts_with('#') => {
                return Err(error.reason.to_owned());
            }
            _ => return Ok(()),
        };
        let time = sample.time.ok_or("a sample without a time")?;
        let named = u32::try_from(self.batch.labels.len()).unwrap_or(0).checked_sub(1);
        let series = match named {
            Some(at) if self.last == sample.series => crate::store::batch::Which::Named(at),
            _ => {
                sample.series.clone_into(&mut self.last);
                self.batch.name(Labels::new(labels_of(sample.series)?))
            }
        };
        self.batch.push(series, time, sample.value);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let batch = std::mem::replace(&mut self.batch, backfill());
        let count = batch.rows.len();
        if count == 0 {
            return Ok(());
        }
        let outcome = self.samples.append(batch, now()).await?;
        self.done.samples += outcome.accepted as u64;
        self.done.rejected += outcome.rejected.iter().map(|(_, count)| *count as u64).sum::<u64>();
        if let (None, Some((reason, labels))) = (&self.done.first, &outcome.first) {
            self.done.first = Some(format!("{}: {}", describe(labels), reason.message()));
        }
        self.uncut += count;
        if self.uncut >= CUT {
            self.cut().await?;
        }
        Ok(())
    }

    async fn cut(&mut self) -> Result<(), Error> {
        let now: Timestamp = now();
        while self.samples.cut(now, Due::All).await? > 0 {}
        self.uncut = 0;
        Ok(())
    }
}
