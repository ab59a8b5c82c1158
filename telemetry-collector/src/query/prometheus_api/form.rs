//! Parameters of a request, from the query string and a posted form.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use axum::response::Response;
use http_body_util::BodyExt;

use crate::query::promql::QueryError;

/// Largest form accepted, in bytes.
const FORM_LIMIT: usize = 1 << 20;

/// Parameters in order; a name may come more than once.
pub(super) struct Form(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let mut parameters = request.uri().query().map(pairs).unwrap_or_default();
        let is_form = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
        if request.method() == Method::POST && is_form {
            let body = http_body_util::Limited::new(request.into_body(), FORM_LIMIT);
            let error = "error parsing form values: the form is longer than 1 MiB or was cut short";
            let refused = |_| super::refused(&QueryError::BadData(error.to_owned()));
            let body = body.collect().await.map_err(refused)?;
            parameters.extend(pairs(&String::from_utf8_lossy(&body.to_bytes())));
        }
        Ok(Self(parameters))
    }
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(n, v)| (decoded(n), decoded(v))).collect()
}

/// Undoes percent-encoding and `+`.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |offset: usize| bytes.get(at + offset).and_then(|&byte| char::from(byte).to_digit(16));
        match (bytes[at], hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => plain.push(b' '),
            (byte, ..) => plain.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

impl Form {
    /// Gives the first value of a parameter; empty counts as missing.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, value)| other == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Gives every value of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, QueryError> {
        self.get(name).ok_or_else(|| bad(name, "missing"))
    }

    /// Gives a time in milliseconds: seconds since 1970 or RFC 3339.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, QueryError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let parsed = match text.parse::<f64>() {
            Ok(seconds) if seconds.abs() < 9e12 => Some((seconds * 1000.0).round() as i64),
            Ok(_) => None,
            Err(_) => rfc3339(text),
        };
        parsed.map(Some).ok_or_else(|| bad(name, &format!("cannot parse {text:?} to a valid timestamp")))
    }

    pub(super) fn required_time(&self, name: &str) -> Result<i64, QueryError> {
        self.time(name)?.ok_or_else(|| bad(name, "cannot parse \"\" to a valid timestamp"))
    }

    /// Gives a span of time: seconds or Prometheus's `5m`.
    pub(super) fn duration(&self, name: &str) -> Result<Option<Duration>, QueryError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let parsed = match text.parse::<f64>() {
            Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            Err(_) => promql_parser::util::parse_duration(text).ok(),
        };
        parsed.map(Some).ok_or_else(|| bad(name, &format!("cannot parse {text:?} to a valid duration")))
    }

    /// Gives the step of a range query in milliseconds, above zero.
    pub(super) fn step(&self, name: &str) -> Result<i64, QueryError> {
        let span = self.duration(name)?.ok_or_else(|| bad(name, "cannot parse \"\" to a valid duration"))?;
        match i64::try_from(span.as_millis()) {
            Ok(step) if step > 0 => Ok(step),
            _ => {
                Err(bad(name, "zero or negative query resolution step widths are not accepted. Try a positive integer"))
            }
        }
    }

    /// Gives how many entries to answer with at most.
    pub(super) fn limit(&self) -> Result<usize, QueryError> {
        match self.get("limit") {
            None => Ok(usize::MAX),
            Some(text) => match text.parse() {
                Ok(0) => Ok(usize::MAX),
                Ok(limit) => Ok(limit),
                Err(_) => Err(bad("limit", &format!("cannot parse {text:?} to a number"))),
            },
        }
    }
}

fn bad(name: &str, reason: &str) -> QueryError {
    QueryError::BadData(format!("invalid parameter \"{name}\": {reason}"))
}

/// Reads `2015-07-01T20:10:51.781Z` and the like.
fn rfc3339(text: &str) -> Option<i64> {
    let time: k8s_openapi::jiff::Timestamp = text.parse().ok()?;
    Some(time.as_millisecond())
}
