//! `POST /api/v1/write`: Prometheus remote write 1.0 and 2.0.
//!
//! Snappy or zstd over protobuf, walked in place; labels are read of new series only. The good part of a batch is kept;
//! when something was not, the answer is 400 with the first rejected series named, as senders log it and do not repeat
//! it. Native histograms are rejected.

mod unpack;
mod v1;
mod v2;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use wattle_contract::Labels;

use super::intake::{Intake, MetricMetadata};
use super::known::Key;
use super::wire::{Field, Fields, Malformed};
use crate::Error;
use crate::store::batch::{Batch, Which};
use crate::store::exemplars::{self, Exemplar};
use crate::store::head::SeriesRef;
use crate::store::outcome::{Appended, Reason};

pub(crate) use unpack::Buffers;

/// When a sender is asked to come again after the store failed: Prometheus's longest pause between tries.
const RETRY_AFTER_S: &str = "5";
/// What was written, as senders of 2.0 are told
/// (<https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/#required-written-response-headers>).
const WRITTEN: [HeaderName; 3] = [
    HeaderName::from_static("x-prometheus-remote-write-samples-written"),
    HeaderName::from_static("x-prometheus-remote-write-histograms-written"),
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written"),
];

/// Which version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A request, read.
#[derive(Default)]
struct Request {
    batch: Batch,
    /// Keys of the batch's label sets.
    keys: Vec<Key>,
    /// Metric, and what the sender says of it.
    metadata: Vec<(String, MetricMetadata)>,
    exemplars: Vec<exemplars::Of>,
    /// Native histograms, and a series that has one.
    histograms: usize,
    with_histogram: Option<Labels>,
}

impl Request {
    /// Gives how rows refer to a series; `labels` reads it if it is new.
    fn series(
        &mut self,
        key: Key,
        look: &dyn Fn(Key) -> Option<SeriesRef>,
        labels: impl FnOnce() -> Result<Labels, Malformed>,
    ) -> Result<Which, Malformed> {
        if let Some(known) = look(key) {
            return Ok(Which::Known(known));
        }
        self.keys.push(key);
        Ok(self.batch.name(labels()?))
    }
}

/// Reads bytes as requests of both versions; gives how many samples each has.
pub(crate) fn probe(message: &[u8]) -> [Option<usize>; 2] {
    let known = super::known::Known::default();
    [v1::read(message, &known), v2::read(message, &known)].map(|read| read.ok().map(|request| request.batch.rows.len()))
}

/// Answers `POST /api/v1/write`.
pub(crate) async fn write(State(intake): State<Intake>, headers: HeaderMap, body: Bytes) -> Response {
    let (version, plain) = match unpack::unpack(&headers, &body, &intake.buffers) {
        Ok(unpacked) => unpacked,
        Err(refusal) => {
            intake.metrics.refused.with_label_values(&["remote_write"]).inc();
            return refusal.into_response();
        }
    };
    drop(body);
    let answer = match take(&intake, version, &plain).await {
        Ok(outcome) => respond(&outcome, version),
        Err(Taking::Malformed) => {
            intake.metrics.refused.with_label_values(&["remote_write"]).inc();
            (StatusCode::BAD_REQUEST, "body is no write request of remote write\n").into_response()
        }
        Err(Taking::Store(error)) => {
            tracing::error!(%error, "remote write was not stored");
            let status = match error {
                Error::Busy => StatusCode::TOO_MANY_REQUESTS,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            let again = [(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S))];
            (status, again, error.to_string()).into_response()
        }
    };
    intake.buffers.give_back(plain);
    answer
}

enum Taking {
    Malformed,
    Store(Error),
}

impl From<Malformed> for Taking {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// What became of a request: of its samples, and how many exemplars were taken.
type Taken = (Appended, usize);

async fn take(intake: &Intake, version: Version, plain: &[u8]) -> Result<Taken, Taking> {
    let read = |intake: &Intake| match version {
        Version::One => v1::read(plain, &intake.known),
        Version::Two => v2::read(plain, &intake.known),
    };
    let mut request = read(intake)?;
    let mut outcome = append(intake, &mut request).await?;
    if outcome.gone > 0 {
        // Series left the memory since they were looked up. What was stored is a duplicate now.
        intake.known.purge(&intake.samples);
        request = read(intake)?;
        outcome = append(intake, &mut request).await?;
    }
    intake.count("remote_write", &outcome);
    if let Some(series) = request.with_histogram {
        outcome.reject(Reason::Histogram, || series);
        intake.metrics.rejected.with_label_values(&[Reason::Histogram.label()]).inc_by(request.histograms as u64);
    }
    intake.describe(request.metadata);
    let exemplars = intake.exemplars("remote_write", request.exemplars).await.map_err(Taking::Store)?;
    Ok((outcome, exemplars))
}

async fn append(intake: &Intake, request: &mut Request) -> Result<Appended, Taking> {
    let outcome = intake.append(std::mem::take(&mut request.batch)).await.map_err(Taking::Store)?;
    if !request.keys.is_empty() {
        let new = request.keys.iter().zip(&outcome.refs).filter_map(|(&key, &at)| Some((key, at?)));
        intake.known.remember(&intake.samples, new);
    }
    Ok(outcome)
}

fn respond((outcome, exemplars): &Taken, version: Version) -> Response {
    let mut response = match &outcome.first {
        None => StatusCode::NO_CONTENT.into_response(),
        Some((reason, labels)) => {
            let count: usize = outcome.rejected.iter().map(|(_, count)| count).sum();
            let series = crate::store::outcome::describe(labels);
            let message = format!(
                "{} samples stored, {count} rejected; the first: {series}: {}\n",
                outcome.accepted,
                reason.message()
            );
            (StatusCode::BAD_REQUEST, message).into_response()
        }
    };
    if version == Version::Two {
        for (name, count) in WRITTEN.into_iter().zip([outcome.accepted, 0, *exemplars]) {
            response.headers_mut().insert(name, HeaderValue::from(count));
        }
    }
    response
}

/// Reads the value and time of a sample; both versions write it alike.
fn sample(message: &[u8]) -> Result<(i64, f64), Malformed> {
    let (mut time, mut value) = (0, 0.0);
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Fixed64(bits)) => value = f64::from_bits(bits),
            (2, Field::Varint(number)) => time = number.cast_signed(),
            _ => {}
        }
    }
    Ok((time, value))
}

/// Reads an exemplar, whose labels each version writes in its own way.
fn exemplar<'a>(
    message: &'a [u8],
    labels: impl FnOnce(&'a [u8]) -> Result<Labels, Malformed>,
) -> Result<Exemplar, Malformed> {
    let (mut time, mut value) = (0, 0.0);
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field {
            (2, Field::Fixed64(bits)) => value = f64::from_bits(bits),
            (3, Field::Varint(number)) => time = number.cast_signed(),
            _ => {}
        }
    }
    Ok(Exemplar { time, has_time: true, value, labels: labels(message)? })
}

/// Gives the word for a metric's type: both versions number them alike.
fn kind(number: u64) -> &'static str {
    match number {
        1 => "counter",
        2 => "gauge",
        3 => "histogram",
        4 => "gaugehistogram",
        5 => "summary",
        6 => "info",
        7 => "stateset",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests;
