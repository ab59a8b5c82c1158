//! Remote read (`POST /api/v1/read`): samples of series, as a Prometheus or vmctl asks for them.
//!
//! Answers with samples, or with a stream of chunks where the client names these first (`STREAMED_XOR_CHUNKS`). Stale
//! markers are part of both: the reading side ends series by them.

mod stream;
pub(crate) mod wire;
mod xor;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use promql_parser::label::{MatchOp, Matcher, Matchers};
use prost::Message;
use regex::Regex;

use super::Api;
use crate::query::promql::QueryError;
use crate::store::read::{Found, Points};
use crate::store::samples::Samples;
use wire::{Label, LabelMatcher, QueryResult, ReadRequest, ReadResponse, Sample, TimeSeries};

pub(crate) use stream::STREAM;

/// Start and end, both included. Units: milliseconds since 1970.
type Span = (i64, i64);

/// Answers a read request.
pub(super) async fn read(State(api): State<Api>, body: Bytes) -> Response {
    let bad = |reason: String| (StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response();
    let (is_streamed, queries) = match questions(&body) {
        Ok(read) => read,
        Err(reason) => return bad(reason),
    };
    let waiting = tokio::time::timeout(api.limits.timeout, api.running.clone().acquire_owned());
    let Ok(Ok(permit)) = waiting.await else {
        let error = QueryError::Queue { most: api.limits.max_concurrent, waited: api.limits.timeout };
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response();
    };
    if is_streamed {
        return stream::respond(api.intake.samples.clone(), queries, api.limits.timeout, permit);
    }
    let (mut results, mut left) = (Vec::new(), api.limits.max_samples);
    for (matchers, span) in &queries {
        match series(&api.intake.samples, matchers, *span, &mut left).await {
            Ok(Some(series)) => results.push(QueryResult { series }),
            Ok(None) => return bad(format!("exceeded sample limit ({})", api.limits.max_samples)),
            Err(error) => return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        }
    }
    let plain = ReadResponse { results }.encode_to_vec();
    match snap::raw::Encoder::new().compress_vec(&plain) {
        Ok(packed) => {
            ([(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")], packed)
                .into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Reads a request: whether its answer is to be a stream, and what it asks for.
fn questions(body: &[u8]) -> Result<(bool, Vec<(Matchers, Span)>), String> {
    let plain = snap::raw::Decoder::new()
        .decompress_vec(body)
        .map_err(|error| format!("the body is no snappy block: {error}"))?;
    let request =
        ReadRequest::decode(plain.as_slice()).map_err(|error| format!("the body is no read request: {error}"))?;
    let accepted = &request.accepted_response_types;
    let chosen = accepted.iter().find(|kind| [wire::SAMPLES, wire::STREAMED_XOR_CHUNKS].contains(kind));
    let chosen = match chosen {
        Some(kind) => *kind,
        None if accepted.is_empty() => wire::SAMPLES,
        None => {
            return Err(format!(
                "none of the response types {accepted:?} is known: 0 is samples, 1 a stream of chunks"
            ));
        }
    };
    let queries = request.queries.iter().map(|query| Ok((matchers(&query.matchers)?, (query.start, query.end))));
    Ok((chosen == wire::STREAMED_XOR_CHUNKS, queries.collect::<Result<_, String>>()?))
}

fn matchers(wanted: &[LabelMatcher]) -> Result<Matchers, String> {
    let mut matchers = Vec::with_capacity(wanted.len());
    for one in wanted {
        let pattern =
            || Regex::new(&format!("^(?s:{})$", one.value)).map_err(|_| format!("{:?} is no pattern", one.value));
        let op = match one.kind {
            0 => MatchOp::Equal,
            1 => MatchOp::NotEqual,
            2 => MatchOp::Re(pattern()?),
            3 => MatchOp::NotRe(pattern()?),
            other => return Err(format!("matcher type {other} is not known")),
        };
        matchers.push(Matcher::new(op, &one.name, &one.value));
    }
    Ok(Matchers::new(matchers))
}

/// Gives the series that match in the order of their labels, which the protocol wants.
async fn ordered(samples: &Samples, matchers: &Matchers, (start, end): Span) -> Result<Vec<Found>, crate::Error> {
    let mut found = samples.find(matchers, start, end).await?;
    found.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(found)
}

/// Reads what one query asks for; `None` where there is more than is `left`.
async fn series(
    samples: &Samples,
    matchers: &Matchers,
    (start, end): Span,
    left: &mut usize,
) -> Result<Option<Vec<TimeSeries>>, crate::Error> {
    let (mut series, mut points) = (Vec::new(), Points::default());
    for part in ordered(samples, matchers, (start, end)).await?.chunks(Samples::at_once()) {
        for (found, packed) in part.iter().zip(samples.packed(part, start, end).await?) {
            packed.unpack(start, end, &mut points)?;
            if points.times.is_empty() {
                continue;
            }
            let Some(rest) = left.checked_sub(points.times.len()) else { return Ok(None) };
            *left = rest;
            let pairs = points.times.iter().zip(&points.values);
            let samples: Vec<Sample> = pairs.map(|(&timestamp, &value)| Sample { value, timestamp }).collect();
            let label = |(name, value): (&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
            series.push(TimeSeries {
                labels: found.labels.iter().map(label).collect(),
                samples,
                histograms: Vec::new(),
            });
        }
    }
    Ok(Some(series))
}
