//! OTLP: traces over gRPC, and over HTTP as protobuf or JSON.

use std::io::Read;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;

use super::intake::Intake;

/// Largest request accepted, unpacked.
const LIMIT: usize = 16 << 20;

struct Receiver {
    intake: Intake,
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        match self.intake.spans(request.get_ref()).await {
            Ok(_) => Ok(tonic::Response::new(ExportTraceServiceResponse::default())),
            Err(error) => {
                tracing::error!(%error, "spans were not stored");
                Err(tonic::Status::unavailable(error.to_string()))
            }
        }
    }
}

/// Serves OTLP over gRPC until told to stop.
pub(crate) async fn serve_grpc(intake: Intake, listener: TcpListener, shutdown: CancellationToken) {
    let service = TraceServiceServer::new(Receiver { intake })
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(LIMIT);
    let served = tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), shutdown.cancelled())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the OTLP gRPC listener ended");
    }
}

/// Gives the routes of OTLP over HTTP.
pub(crate) fn http_routes(intake: Intake) -> Router {
    Router::new().route("/v1/traces", post(traces)).layer(DefaultBodyLimit::max(LIMIT)).with_state(intake)
}

async fn traces(State(intake): State<Intake>, headers: HeaderMap, body: Bytes) -> Response {
    let is_json = content_type(&headers).starts_with("application/json");
    let request = match decode(&headers, &body, is_json) {
        Ok(request) => request,
        Err((status, message)) => return (status, message).into_response(),
    };
    match intake.spans(&request).await {
        Ok(_) if is_json => ([(header::CONTENT_TYPE, "application/json")], "{}").into_response(),
        Ok(_) => {
            let body = ExportTraceServiceResponse::default().encode_to_vec();
            ([(header::CONTENT_TYPE, "application/x-protobuf")], body).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "spans were not stored");
            (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response()
        }
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("")
}

fn decode(headers: &HeaderMap, body: &[u8], is_json: bool) -> Result<ExportTraceServiceRequest, (StatusCode, String)> {
    let bad = |message: String| (StatusCode::BAD_REQUEST, message);
    let mut plain = Vec::new();
    let body = match headers.get(header::CONTENT_ENCODING).map(header::HeaderValue::as_bytes) {
        Some(b"gzip") => {
            let mut reader = flate2::read::GzDecoder::new(body).take(LIMIT as u64 + 1);
            reader.read_to_end(&mut plain).map_err(|error| bad(format!("body is not gzip: {error}")))?;
            if plain.len() > LIMIT {
                return Err((StatusCode::PAYLOAD_TOO_LARGE, format!("body is longer than {LIMIT} bytes unpacked")));
            }
            plain.as_slice()
        }
        None | Some(b"identity") => body,
        Some(_) => return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-encoding is not gzip".to_owned())),
    };
    if is_json {
        serde_json::from_slice(body).map_err(|error| bad(format!("body is no OTLP JSON: {error}")))
    } else if content_type(headers).starts_with("application/x-protobuf") {
        ExportTraceServiceRequest::decode(body).map_err(|error| bad(format!("body is no OTLP protobuf: {error}")))
    } else {
        let message = "content-type is neither application/x-protobuf nor application/json";
        Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, message.to_owned()))
    }
}
