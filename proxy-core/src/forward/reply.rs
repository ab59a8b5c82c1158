//! Answers that the proxy gives itself.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;

use super::Downstream;
use crate::head::{BodyLength, Fields, Known};
use crate::stream::{Answering, Fault};
use crate::telemetry::{Flag, Protocol, Record};

/// An answer without an upstream.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) flag: Option<Flag>,
    pub(crate) headers: Fields,
    pub(crate) body: Bytes,
    /// A gRPC status to answer with, in place of the one the HTTP status stands for.
    pub(crate) grpc: Option<u32>,
    /// Whether the client's connection cannot be used any more.
    pub(crate) close: bool,
    /// Whether there is nobody left to answer.
    pub(crate) gone: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, flag: Flag, body: impl Into<Bytes>) -> Self {
        Self { flag: Some(flag), body: body.into(), ..Self::plain(status) }
    }

    pub(crate) fn plain(status: u16) -> Self {
        let (headers, body) = (Fields::default(), Bytes::new());
        Self { status, flag: None, headers, body, grpc: None, close: false, gone: false }
    }

    pub(crate) fn refused(reason: &str) -> Self {
        Self { close: true, ..Self::new(400, Flag::DownstreamProtocol, format!("bad request: {reason}\n")) }
    }

    /// The client went away: nothing is said to anybody.
    pub(crate) fn gone() -> Self {
        Self { gone: true, close: true, ..Self::plain(0) }
    }

    /// Envoy's words for a policy that refuses.
    pub(crate) fn denied() -> Self {
        Self { body: Bytes::from_static(b"RBAC: access denied"), ..Self::plain(403) }
    }

    pub(crate) fn no_healthy_upstream() -> Self {
        Self::new(503, Flag::NoHealthyUpstream, "no healthy upstream")
    }

    pub(crate) fn overflow() -> Self {
        let text = "upstream connect error or disconnect/reset before headers. reset reason: overflow";
        let mut reply = Self::new(503, Flag::Overflow, text);
        reply.headers.push(b"x-envoy-overloaded", b"true");
        reply
    }

    pub(crate) fn unasked_upgrade() -> Self {
        Self::new(502, Flag::UpstreamProtocol, "the upstream switched protocols unasked")
    }

    pub(crate) fn timeout() -> Self {
        Self::new(504, Flag::UpstreamTimeout, "upstream request timeout")
    }

    /// Gives the answer and says in the record what it was; `change` may change its headers.
    pub(crate) async fn give(self, down: &mut Downstream, record: &mut Record, change: impl FnOnce(&mut Fields)) {
        if let Some(flag) = self.flag {
            record.flag(flag);
        }
        if self.gone {
            down.close = true;
            return;
        }
        let (status, mut fields, body) = self.head(record);
        change(&mut fields);
        record.status = status;
        record.response_bytes = body.len() as u64;
        // What is left of the request is not read: the connection would be out of step.
        down.close |= self.close || !down.stream.has_ended();
        let head_only = record.request.method() == "HEAD";
        let length = if body.is_empty() { BodyLength::None } else { BodyLength::Known(body.len() as u64) };
        let answering = Answering { status, body: length, close: down.close, head_only };
        if send(down, answering, &fields, &body).await.is_ok() {
            record.finish();
        } else {
            down.close = true;
        }
    }

    /// The head: a gRPC client gets its status there.
    fn head(&self, record: &mut Record) -> (u16, Fields, Bytes) {
        let mut fields = Fields::default();
        let failed = self.status >= 400;
        let grpc = self.grpc.or((record.protocol == Protocol::Grpc && failed).then(|| grpc_code(self.status)));
        let (status, body) = if let Some(code) = grpc {
            record.grpc_status = Some(code);
            fields.add(Known::ContentType, b"application/grpc");
            fields.add(Known::GrpcStatus, code.to_string().as_bytes());
            fields.add(Known::GrpcMessage, &self.body);
            (200, Bytes::new())
        } else {
            if !self.body.is_empty() {
                fields.add(Known::ContentType, b"text/plain");
            }
            (self.status, self.body.clone())
        };
        if status != 204 && status != 304 {
            fields.add(Known::ContentLength, body.len().to_string().as_bytes());
        }
        self.headers.iter().for_each(|(name, value)| fields.push(name, value));
        (status, fields, body)
    }
}

async fn send(down: &mut Downstream, answering: Answering, fields: &Fields, body: &[u8]) -> Result<(), Fault> {
    down.stream.respond(answering, fields)?;
    let mut rest = if answering.head_only { &[] } else { body };
    let stream = &mut down.stream;
    poll_fn(|cx| {
        while !rest.is_empty() {
            match stream.poll_write(cx, rest) {
                Poll::Ready(Ok(taken)) => rest = &rest[taken..],
                Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                Poll::Pending => return Poll::Pending,
            }
        }
        stream.finish(None)?;
        stream.poll_flush(cx)
    })
    .await
}

/// The gRPC status of an HTTP status (the gRPC project's "HTTP to gRPC status code mapping").
const fn grpc_code(status: u16) -> u32 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}
