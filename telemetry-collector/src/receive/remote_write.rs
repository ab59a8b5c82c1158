//! `POST /api/v1/write`: Prometheus remote write 1.0.
//!
//! Snappy over protobuf. The good part of a batch is kept; when something was not, the answer is 400 with the first
//! rejected series named, as senders log it and do not repeat it. Native histograms, exemplars and metadata in a request
//! are skipped.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prost::Message;
use wattle_contract::{Labels, Sample, Timestamp};

use super::intake::Intake;
use crate::store::outcome::Appended;

/// Largest request accepted, unpacked.
const UNPACKED_LIMIT: usize = 64 << 20;
/// When a sender is asked to come again after the store failed: Prometheus's longest pause between tries.
const RETRY_AFTER_S: &str = "5";

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
pub(crate) async fn write(State(intake): State<Intake>, headers: HeaderMap, body: Bytes) -> Response {
    let request = match decode(&headers, &body) {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
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
        Ok(Appended { first: None, .. }) => StatusCode::NO_CONTENT.into_response(),
        Ok(Appended { first: Some((reason, labels)), accepted, rejected, .. }) => {
            let count: usize = rejected.iter().map(|(_, count)| count).sum();
            let series = crate::store::outcome::describe(&labels);
            let message =
                format!("{accepted} samples stored, {count} rejected; the first: {series}: {}", reason.message());
            (StatusCode::BAD_REQUEST, message).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "remote write was not stored");
            let again = [(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S))];
            (StatusCode::SERVICE_UNAVAILABLE, again, error.to_string()).into_response()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_that_fails_is_told_as_503_and_when_to_come_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let intake = Intake::of_a_closed_store(dir.path()).await;
        let label = Label { name: wattle_contract::METRIC_NAME.to_owned(), value: "x".to_owned() };
        let series = TimeSeries { labels: vec![label], samples: vec![Value { value: 1.0, timestamp: 1 }] };
        let plain = WriteRequest { timeseries: vec![series] }.encode_to_vec();
        let body = snap::raw::Encoder::new().compress_vec(&plain).expect("snappy");

        let answer = write(State(intake), HeaderMap::new(), body.into()).await;

        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()[header::RETRY_AFTER], "5");
    }
}
