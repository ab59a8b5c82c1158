//! Parameters of a question to Jaeger's HTTP API.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use wattle_contract::Timestamp;

use super::{Failure, Params};
use crate::query::spans::bad;
use crate::store::traces::TraceQuery;

/// Traces that are given when no number is asked for, and at most.
const LIMIT: usize = 20;
pub(super) const MOST: usize = 1_500;
/// How far back is looked when no start is asked for: two days, as Jaeger has it.
const BACK_MS: i64 = 2 * 86_400_000;

/// Gives what to search for.
pub(super) fn query(params: &Params, now: Timestamp) -> Result<TraceQuery, Failure> {
    let Some(service) = params.get("service") else {
        return Err((StatusCode::BAD_REQUEST, "parameter 'service' is required".to_owned()));
    };
    let nanos = |micros: i64| u64::try_from(micros).unwrap_or(0).saturating_mul(1_000);
    let until = params.number("end")?.unwrap_or(now.0.saturating_mul(1_000));
    let since = params.number("start")?.unwrap_or(until.saturating_sub(BACK_MS * 1_000));
    let (shortest, longest) = (duration(params, "minDuration")?, duration(params, "maxDuration")?);
    if let Some((shortest, longest)) = shortest.zip(longest).filter(|(shortest, longest)| shortest > longest) {
        let message = format!("'minDuration' ({shortest} ns) is longer than 'maxDuration' ({longest} ns)");
        return Err((StatusCode::BAD_REQUEST, message));
    }
    let limit = params.number::<i64>("limit")?.map_or(LIMIT, |limit| usize::try_from(limit).unwrap_or(0));
    Ok(TraceQuery {
        service: Some(service.to_owned()),
        operation: params.get("operation").filter(|name| *name != "all").map(str::to_owned),
        kind: None,
        tags: tags(params)?,
        shortest,
        longest,
        since: nanos(since),
        until: nanos(until),
        limit: limit.min(MOST),
    })
}

fn duration(params: &Params, name: &str) -> Result<Option<u64>, Failure> {
    let parse = |text: &str| super::parse_duration(text).ok_or_else(|| bad(name, text, "is no duration such as 1.5ms"));
    params.get(name).map(parse).transpose()
}

fn tags(params: &Params) -> Result<Vec<(String, String)>, Failure> {
    let mut tags = Vec::new();
    for text in params.all("tags") {
        let map: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|_| bad("tags", text, "is no JSON object"))?;
        let plain = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        tags.extend(map.into_iter().map(|(key, value)| (key, plain(value))));
    }
    for text in params.all("tag") {
        let (key, value) = text.split_once(':').ok_or_else(|| bad("tag", text, "is not key:value"))?;
        tags.push((key.to_owned(), value.to_owned()));
    }
    Ok(tags)
}
