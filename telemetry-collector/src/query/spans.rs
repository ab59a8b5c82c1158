//! What Jaeger's and Tempo's APIs share: parameters, ids, traces by their ids, and what goes wrong.

use axum::http::{HeaderMap, StatusCode, header};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;

use crate::Error;
use crate::receive::intake::Intake;

/// What went wrong: the status and the message.
pub(super) type Failure = (StatusCode, String);

/// Says that the store failed.
pub(super) fn failed(error: &Error) -> Failure {
    tracing::error!(%error, "traces were not read");
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

/// Says what is wrong with a parameter.
pub(super) fn bad(name: &str, text: &str, why: &str) -> Failure {
    (StatusCode::BAD_REQUEST, format!("parameter '{name}': {text:?} {why}"))
}

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

    /// Reads a whole number.
    pub(super) fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, Failure> {
        let parse = |text: &str| text.parse().map_err(|_| bad(name, text, "is no whole number in range"));
        self.get(name).map(parse).transpose()
    }
}

/// Reads a trace's id: up to 32 hexadecimal digits.
pub(super) fn trace_id(text: &str) -> Result<[u8; 16], Failure> {
    let digits = !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = digits.then(|| u128::from_str_radix(text, 16).ok()).flatten();
    number
        .map(u128::to_be_bytes)
        .ok_or_else(|| (StatusCode::BAD_REQUEST, format!("trace id {text:?} is not 1 to 32 hexadecimal digits")))
}

/// Reads traces; those that are not there are left out.
pub(super) async fn load(intake: &Intake, ids: &[[u8; 16]]) -> Result<Vec<([u8; 16], Vec<ResourceSpans>)>, Failure> {
    intake.traces.traces(ids).await.map_err(|error| failed(&error))
}

/// Reads the trace of an id as it was asked for; 404 when it is not there.
pub(super) async fn one(intake: &Intake, id: &str) -> Result<([u8; 16], Vec<ResourceSpans>), Failure> {
    let found = load(intake, &[trace_id(id)?]).await?.into_iter().next();
    found.ok_or_else(|| (StatusCode::NOT_FOUND, "trace not found".to_owned()))
}

/// Tells whether a client wants protobuf: Tempo's do, on a path that is Jaeger's too.
pub(super) fn wants_protobuf(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    accept.contains("application/protobuf")
}

/// Writes bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
