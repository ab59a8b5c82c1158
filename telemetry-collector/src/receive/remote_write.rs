//! `POST /api/v1/write`: Prometheus remote write 1.0.
//!
//! Snappy over protobuf. The good part of a batch is kept; when something was not, the answer is 400 with the first
//! rejected series named, as senders log it and do not repeat it. Native histograms, exemplars and metadata in a request
//! are skipped.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use prost::Message;
use wattle_contract::{Labels, Sample, Timestamp};

use super::intake::Intake;
use crate::store::outcome::Appended;

/// Largest request accepted, unpacked.
const UNPACKED_LIMIT: usize = 64 << 20;

/// `prometheus.WriteRequest` of <https://prometheus.io/docs/specs/prw/remote_write_spec/>.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
}

/// `prometheus.TimeSeries`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Value>,
}

/// `prometheus.Label`.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Label {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

/// `prometheus.Sample`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Value {
    #[prost(double, tag = "1")]
    pub(crate) value: f64,
    #[prost(int64, tag = "2")]
    pub(crate) timestamp: i64,
}

/// Answers `POST /api/v1/write`.
pub(crate) async fn write(State(intake): State<Intake>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let request = match decode(&headers, &body) {
        Ok(request) => request,
        Err((status, message)) => return (status, message),
    };
    let mut batch = Vec::new();
    for series in request.timeseries {
        let labels = Labels::new(series.labels.into_iter().map(|label| (label.name, label.value)));
        batch.extend(series.samples.iter().map(|value| Sample {
            labels: labels.clone(),
            timestamp: Timestamp(value.timestamp),
            value: value.value,
        }));
    }
    match intake.samples("remote_write", batch).await {
        Ok(Appended { first: None, .. }) => (StatusCode::NO_CONTENT, String::new()),
        Ok(Appended { first: Some((reason, labels)), accepted, rejected, .. }) => {
            let count: usize = rejected.iter().map(|(_, count)| count).sum();
            let series = crate::store::outcome::describe(&labels);
            let message =
                format!("{accepted} samples stored, {count} rejected; the first: {series}: {}", reason.message());
            (StatusCode::BAD_REQUEST, message)
        }
        Err(error) => {
            tracing::error!(%error, "remote write was not stored");
            (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        }
    }
}

fn decode(headers: &HeaderMap, body: &[u8]) -> Result<WriteRequest, (StatusCode, String)> {
    let bad = |message: String| (StatusCode::BAD_REQUEST, message);
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    if text(header::CONTENT_TYPE).contains("io.prometheus.write.v2") {
        let message = "remote write 2.0 is not supported: send 1.0 (prometheus.WriteRequest)";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, message.to_owned()));
    }
    let length = snap::raw::decompress_len(body).map_err(|error| bad(format!("body is not snappy: {error}")))?;
    if length > UNPACKED_LIMIT {
        return Err(bad(format!("body of {length} bytes unpacked is longer than {UNPACKED_LIMIT}")));
    }
    let plain =
        snap::raw::Decoder::new().decompress_vec(body).map_err(|error| bad(format!("body is not snappy: {error}")))?;
    WriteRequest::decode(plain.as_slice()).map_err(|error| bad(format!("body is no prometheus.WriteRequest: {error}")))
}
