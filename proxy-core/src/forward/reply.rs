//! Answers that the proxy gives itself.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::body::{Body, full};
use crate::telemetry::{Flag, Protocol, Record};

/// An answer without an upstream.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) flag: Option<Flag>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    /// A gRPC status to answer with, in place of the one the HTTP status stands for.
    pub(crate) grpc: Option<u32>,
}

impl Reply {
    pub(crate) fn new(status: StatusCode, flag: Flag, body: impl Into<Bytes>) -> Self {
        Self { flag: Some(flag), body: body.into(), ..Self::plain(status) }
    }

    pub(crate) fn plain(status: StatusCode) -> Self {
        Self { status, flag: None, headers: Vec::new(), body: Bytes::new(), grpc: None }
    }

    pub(crate) fn refused(reason: &str) -> Self {
        let mut reply =
            Self::new(StatusCode::BAD_REQUEST, Flag::DownstreamProtocol, format!("bad request: {reason}\n"));
        reply.headers.push((CONNECTION, HeaderValue::from_static("close")));
        reply
    }

    /// Envoy's words for a policy that refuses.
    pub(crate) fn denied() -> Self {
        Self { body: Bytes::from_static(b"RBAC: access denied"), ..Self::plain(StatusCode::FORBIDDEN) }
    }

    pub(crate) fn no_healthy_upstream() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Flag::NoHealthyUpstream, "no healthy upstream")
    }

    pub(crate) fn overflow() -> Self {
        let text = "upstream connect error or disconnect/reset before headers. reset reason: overflow";
        let mut reply = Self::new(StatusCode::SERVICE_UNAVAILABLE, Flag::Overflow, text);
        reply.headers.push((HeaderName::from_static("x-envoy-overloaded"), HeaderValue::from_static("true")));
        reply
    }

    pub(crate) fn unasked_upgrade() -> Self {
        Self::new(StatusCode::BAD_GATEWAY, Flag::UpstreamProtocol, "the upstream switched protocols unasked")
    }

    pub(crate) fn timeout() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, Flag::UpstreamTimeout, "upstream request timeout")
    }

    /// Writes the answer and what the record has to say of it. A gRPC client gets its status in the head alone.
    pub(crate) fn give(self, record: &mut Record) -> Response<Body> {
        if let Some(flag) = self.flag {
            record.flag(flag);
        }
        let failed = self.status.as_u16() >= 400;
        let mut response = if self.grpc.is_some() || (record.protocol == Protocol::Grpc && failed) {
            grpc(self.grpc.unwrap_or_else(|| grpc_code(self.status)), &self.body, record)
        } else {
            let mut response = Response::new(full(self.body.clone()));
            *response.status_mut() = self.status;
            if !self.body.is_empty() {
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            }
            record.response_bytes = self.body.len() as u64;
            response
        };
        response.headers_mut().extend(self.headers);
        record.status = response.status().as_u16();
        record.finish();
        response
    }
}

/// The gRPC status of an HTTP status (the gRPC project's "HTTP to gRPC status code mapping").
const fn grpc_code(status: StatusCode) -> u32 {
    match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

/// An answer that has nothing but its status, all of it in the head.
fn grpc(code: u32, message: &Bytes, record: &mut Record) -> Response<Body> {
    record.grpc_status = Some(code);
    let mut response = Response::new(crate::body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(code));
    if let Ok(message) = HeaderValue::from_maybe_shared(message.clone()) {
        headers.insert("grpc-message", message);
    }
    response
}
