//! Remote read (`POST /api/v1/read`): samples of series, as a Prometheus or vmctl asks for them.
//!
//! Answers with samples (`SAMPLES`), which every client takes; streamed chunks are not offered.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use promql_parser::label::{MatchOp, Matcher, Matchers};
use prost::Message;
use regex::Regex;

use super::Api;
use crate::query::promql::is_absent;
use crate::store::read::Points;
use crate::store::samples::Samples;

#[derive(Clone, PartialEq, Message)]
struct ReadRequest {
    #[prost(message, repeated, tag = "1")]
    queries: Vec<Query>,
}

#[derive(Clone, PartialEq, Message)]
struct Query {
    #[prost(int64, tag = "1")]
    start: i64,
    #[prost(int64, tag = "2")]
    end: i64,
    #[prost(message, repeated, tag = "3")]
    matchers: Vec<LabelMatcher>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelMatcher {
    /// 0 equal, 1 not equal, 2 matches, 3 does not match.
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct ReadResponse {
    #[prost(message, repeated, tag = "1")]
    results: Vec<QueryResult>,
}

#[derive(Clone, PartialEq, Message)]
struct QueryResult {
    #[prost(message, repeated, tag = "1")]
    series: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// Answers a read request.
pub(super) async fn read(State(api): State<Api>, body: Bytes) -> Response {
    let bad = |reason: String| (StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response();
    let plain = match snap::raw::Decoder::new().decompress_vec(&body) {
        Ok(plain) => plain,
        Err(error) => return bad(format!("the body is no snappy block: {error}")),
    };
    let request = match ReadRequest::decode(plain.as_slice()) {
        Ok(request) => request,
        Err(error) => return bad(format!("the body is no read request: {error}")),
    };
    let Ok(_permit) = api.running.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let (mut results, mut left) = (Vec::new(), api.limits.max_samples);
    for query in &request.queries {
        let matchers = match matchers(&query.matchers) {
            Ok(matchers) => matchers,
            Err(reason) => return bad(reason),
        };
        match series(&api.intake.samples, &matchers, query, &mut left).await {
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

/// Reads what one query asks for; `None` where there is more than is `left`.
async fn series(
    samples: &Samples,
    matchers: &Matchers,
    query: &Query,
    left: &mut usize,
) -> Result<Option<Vec<TimeSeries>>, crate::Error> {
    let mut found = samples.find(matchers, query.start, query.end).await?;
    // The protocol wants series in the order of their labels.
    found.sort_by(|a, b| a.labels.cmp(&b.labels));
    let (mut series, mut points) = (Vec::new(), Points::default());
    for part in found.chunks(Samples::at_once()) {
        for (found, packed) in part.iter().zip(samples.packed(part, query.start, query.end).await?) {
            packed.unpack(query.start, query.end, &mut points)?;
            let there = points.times.iter().zip(&points.values).filter(|(_, value)| !is_absent(**value));
            let samples: Vec<Sample> = there.map(|(&timestamp, &value)| Sample { value, timestamp }).collect();
            if samples.is_empty() {
                continue;
            }
            let Some(rest) = left.checked_sub(samples.len()) else { return Ok(None) };
            *left = rest;
            let label = |(name, value): (&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
            series.push(TimeSeries { labels: found.labels.iter().map(label).collect(), samples });
        }
    }
    Ok(Some(series))
}
