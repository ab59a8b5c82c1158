//! Remote read as a client: a server is asked for its samples, a part of the time after the other.
//!
//! Samples, not chunks: every server answers so. How long a part is follows from the answers: half of it where a server
//! says that it is too much, twice as much after a small one.

use promql_parser::label::{MatchOp, Matchers};
use prost::Message;
use wattle_contract::{Labels, METRIC_NAME, Timestamp};

use super::{BATCH, Import, ImportError, Imported};
use crate::query::prometheus_api::remote_read::wire::{LabelMatcher, Query, ReadRequest, ReadResponse, SAMPLES};
use crate::query::prometheus_api::selector;
use crate::rules::rfc3339;

/// Length of the first part. Units: milliseconds.
const FIRST: i64 = 3_600_000;
/// Longest and shortest part.
const LONGEST: i64 = 24 * 3_600_000;
const SHORTEST: i64 = 1_000;
/// After an answer of fewer samples the next part is twice as long.
const FEW: usize = 1_000_000;
/// Largest answer unpacked: Prometheus stops at 50 million samples (`--storage.remote.read-sample-limit`), far beyond it.
const LIMIT: usize = 512 << 20;

/// What a server is asked for.
#[derive(Clone, Debug)]
pub struct RemoteRead {
    queries: Vec<Vec<LabelMatcher>>,
    start: i64,
    end: i64,
}

/// Why a server did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// What was tried and what it met.
    pub reason: String,
    /// It was too much at once: a shorter time may do.
    pub is_too_much: bool,
}

impl RemoteRead {
    /// Asks for the series that one of the selectors matches, or for all where there is none, from one time to before
    /// another.
    ///
    /// Errors: a selector is none.
    pub fn new(selectors: &[String], (start, end): (Timestamp, Timestamp)) -> Result<Self, ImportError> {
        let mut queries = Vec::new();
        for text in selectors {
            let read = selector(text, "match")
                .map_err(|error| ImportError::Selector { selector: text.clone(), reason: error.to_string() })?;
            queries.extend(matchers(&read));
        }
        if queries.is_empty() {
            queries.push(vec![LabelMatcher { kind: 1, name: METRIC_NAME.to_owned(), value: String::new() }]);
        }
        Ok(Self { queries, start: start.0, end: end.0 })
    }

    fn request(&self, start: i64, end: i64) -> Result<Vec<u8>, String> {
        let query = |matchers: &Vec<LabelMatcher>| Query { start, end, matchers: matchers.clone() };
        let queries = self.queries.iter().map(query).collect();
        let plain = ReadRequest { queries, accepted_response_types: vec![SAMPLES] }.encode_to_vec();
        snap::raw::Encoder::new().compress_vec(&plain).map_err(|error| error.to_string())
    }
}

/// Reads a server's samples and stores them, whatever their age. `ask` sends the body of a read request and gives that of
/// the answer; `progress` is told up to which time it is done.
///
/// Errors: the store is in use or fails, or the server does not answer with samples.
pub async fn import_remote(
    store_url: &str,
    asked: &RemoteRead,
    mut ask: impl AsyncFnMut(Vec<u8>) -> Result<bytes::Bytes, Unanswered>,
    mut progress: impl FnMut(Timestamp),
) -> Result<Imported, ImportError> {
    let mut import = Import::into(store_url).await?;
    let (mut from, mut length) = (asked.start, FIRST);
    while from < asked.end {
        // Both ends are included.
        let to = from.saturating_add(length).min(asked.end) - 1;
        let answer = match asked.request(from, to) {
            Ok(request) => ask(request).await.and_then(|body| unpack(&body)),
            Err(reason) => Err(Unanswered { reason, is_too_much: false }),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(unanswered) if unanswered.is_too_much && length > SHORTEST => {
                length = (length / 2).max(SHORTEST);
                continue;
            }
            Err(Unanswered { reason, .. }) => {
                return Err(ImportError::Unanswered { from: rfc3339(Timestamp(from)), reason });
            }
        };
        let count = import.answer(answer, (from, to)).await?;
        if count < FEW {
            length = (length * 2).min(LONGEST);
        }
        from = to + 1;
        progress(Timestamp(from));
    }
    Ok(import.end().await?)
}

impl Import {
    /// Stores an answer; gives how many samples it had.
    async fn answer(&mut self, answer: ReadResponse, (start, end): (i64, i64)) -> Result<usize, ImportError> {
        let mut count = 0;
        for series in answer.results.into_iter().flat_map(|result| result.series) {
            count += series.samples.len() + series.histograms.len();
            let labels = Labels::new(series.labels.into_iter().map(|label| (label.name, label.value)));
            if !series.histograms.is_empty() {
                self.done.rejected += series.histograms.len() as u64;
                let first =
                    || format!("{}: native histograms are not stored", crate::store::outcome::describe(&labels));
                self.done.first.get_or_insert_with(first);
            }
            // Servers may answer with whole chunks.
            let mut inside = series.samples.iter().filter(|one| (start..=end).contains(&one.timestamp)).peekable();
            if inside.peek().is_none() {
                continue;
            }
            let which = self.batch.name(labels);
            inside.for_each(|sample| self.batch.push(which, sample.timestamp, sample.value));
            if self.batch.rows.len() >= BATCH {
                self.flush().await?;
            }
        }
        self.flush().await?;
        Ok(count)
    }
}

fn unpack(body: &[u8]) -> Result<ReadResponse, Unanswered> {
    let failed = |error: &dyn std::fmt::Display| Unanswered {
        reason: format!("the answer is no read response ({error}); is this the address of remote read?"),
        is_too_much: false,
    };
    let length = snap::raw::decompress_len(body).map_err(|error| failed(&error))?;
    if length > LIMIT {
        return Err(Unanswered {
            reason: format!("the answer is {length} bytes, more than {LIMIT}"),
            is_too_much: true,
        });
    }
    let plain = snap::raw::Decoder::new().decompress_vec(body).map_err(|error| failed(&error))?;
    ReadResponse::decode(plain.as_slice()).map_err(|error| failed(&error))
}

/// Gives the matchers of each alternative.
fn matchers(read: &Matchers) -> Vec<Vec<LabelMatcher>> {
    let groups = if read.or_matchers.is_empty() { std::slice::from_ref(&read.matchers) } else { &read.or_matchers };
    let kind = |op: &MatchOp| match op {
        MatchOp::Equal => 0,
        MatchOp::NotEqual => 1,
        MatchOp::Re(_) => 2,
        MatchOp::NotRe(_) => 3,
    };
    let groups = groups.iter().map(|group| {
        let one = |matcher: &promql_parser::label::Matcher| LabelMatcher {
            kind: kind(&matcher.op),
            name: matcher.name.clone(),
            value: matcher.value.clone(),
        };
        group.iter().map(one).collect()
    });
    groups.collect()
}

#[cfg(test)]
mod tests;
