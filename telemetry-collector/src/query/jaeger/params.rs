//! Parameters of a question to Jaeger's HTTP API.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use wattle_contract::Timestamp;

use super::{Failure, duration};
use crate::store::traces::TraceQuery;

/// Traces that are given when no number is asked for, and at most.
const LIMIT: usize = 20;
pub(super) const MOST: usize = 1_500;
/// How far back is looked when no start is asked for: two days, as Jaeger has it.
const BACK_MS: i64 = 2 * 86_400_000;

/// Parameters in order; a name may come more than once.
pub(super) struct Params(pub(super) Vec<(String, String)>);

impl Params {
    /// Gives the first value of a parameter; empty counts as missing.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Gives every value of a parameter that is not empty.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(other, value)| other == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Failure> {
        let parse = |text: &str| text.parse().map_err(|_| bad(name, text, "is no whole number"));
        self.get(name).map(parse).transpose()
    }

    fn duration(&self, name: &str) -> Result<Option<u64>, Failure> {
        let parse = |text: &str| duration::parse(text).ok_or_else(|| bad(name, text, "is no duration such as 1.5ms"));
        self.get(name).map(parse).transpose()
    }

    /// Gives what to search for.
    pub(super) fn query(&self, now: Timestamp) -> Result<TraceQuery, Failure> {
        let Some(service) = self.get("service") else {
            return Err((StatusCode::BAD_REQUEST, "parameter 'service' is required".to_owned()));
        };
        let nanos = |micros: i64| u64::try_from(micros).unwrap_or(0).saturating_mul(1_000);
        let until = self.number("end")?.unwrap_or(now.0.saturating_mul(1_000));
        let since = self.number("start")?.unwrap_or(until.saturating_sub(BACK_MS * 1_000));
        let (shortest, longest) = (self.duration("minDuration")?, self.duration("maxDuration")?);
        if let Some((shortest, longest)) = shortest.zip(longest).filter(|(shortest, longest)| shortest > longest) {
            let message = format!("'minDuration' ({shortest} ns) is longer than 'maxDuration' ({longest} ns)");
            return Err((StatusCode::BAD_REQUEST, message));
        }
        let limit = self.number("limit")?.map_or(LIMIT, |limit| usize::try_from(limit).unwrap_or(0));
        Ok(TraceQuery {
            service: Some(service.to_owned()),
            operation: self.get("operation").filter(|name| *name != "all").map(str::to_owned),
            kind: None,
            tags: self.tags()?,
            shortest,
            longest,
            since: nanos(since),
            until: nanos(until),
            limit: limit.min(MOST),
        })
    }

    fn tags(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut tags = Vec::new();
        for text in self.all("tags") {
            let map: BTreeMap<String, serde_json::Value> =
                serde_json::from_str(text).map_err(|_| bad("tags", text, "is no JSON object"))?;
            let plain = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            tags.extend(map.into_iter().map(|(key, value)| (key, plain(value))));
        }
        for text in self.all("tag") {
            let (key, value) = text.split_once(':').ok_or_else(|| bad("tag", text, "is not key:value"))?;
            tags.push((key.to_owned(), value.to_owned()));
        }
        Ok(tags)
    }
}

/// Reads a trace's id: up to 32 hexadecimal digits.
pub(in crate::query) fn trace_id(text: &str) -> Result<[u8; 16], Failure> {
    let digits = !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = digits.then(|| u128::from_str_radix(text, 16).ok()).flatten();
    number
        .map(u128::to_be_bytes)
        .ok_or_else(|| (StatusCode::BAD_REQUEST, format!("trace id {text:?} is not 1 to 32 hexadecimal digits")))
}

fn bad(name: &str, text: &str, why: &str) -> Failure {
    (StatusCode::BAD_REQUEST, format!("parameter '{name}': {text:?} {why}"))
}
