//! One exchange on one connection, of either side and either protocol: what the forwarding core reads and writes.
//!
//! ```text
//! downstream Stream ── poll_pump ──► upstream Stream      (request)
//! downstream Stream ◄── poll_pump ── upstream Stream      (response)
//! ```

mod http1;
mod http2;
mod pump;
mod splice;

pub(crate) use http1::Http1;
pub(crate) use http2::{Http2, request_of, take};
pub(crate) use pump::{Broken, poll_pump};
pub(crate) use splice::poll_splice;

use std::task::{Context, Poll};

use crate::head::{BodyLength, Fields, Response};

/// Why a side of an exchange cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It ended or was reset.
    Closed,
    /// Not one byte came before the end.
    Silent,
    /// The peer did not look at the request.
    Refused,
    /// What came is not HTTP as it is taken here.
    Malformed(&'static str),
}

/// What comes next of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// There is data to be looked at.
    Data,
    /// The body ended.
    End,
}

/// One side of one exchange.
#[derive(Debug)]
pub(crate) enum Stream {
    Http1(Box<Http1>),
    Http2(Box<Http2>),
}

/// What a response says beside its headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answering {
    pub(crate) status: u16,
    pub(crate) body: BodyLength,
    /// Whether the client's connection is to end with it.
    pub(crate) close: bool,
    /// Whether the client asked for the head alone.
    pub(crate) head_only: bool,
}

impl Stream {
    /// Waits for data of the body that comes in.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next, Fault>> {
        match self {
            Self::Http1(stream) => stream.poll_piece(cx),
            Self::Http2(stream) => stream.poll_piece(cx),
        }
    }

    /// Gives the data that came.
    pub(crate) fn data(&self) -> &[u8] {
        match self {
            Self::Http1(stream) => stream.data(),
            Self::Http2(stream) => stream.data(),
        }
    }

    pub(crate) fn consume(&mut self, count: usize) {
        match self {
            Self::Http1(stream) => stream.consume(count),
            Self::Http2(stream) => stream.consume(count),
        }
    }

    /// Gives the trailers of a body that ended.
    pub(crate) fn trailers(&mut self) -> Result<Option<Fields>, Fault> {
        match self {
            Self::Http1(stream) => stream.trailers(),
            Self::Http2(stream) => Ok(stream.trailers()),
        }
    }

    /// Says whether everything that was to come came.
    pub(crate) fn has_ended(&self) -> bool {
        match self {
            Self::Http1(stream) => stream.reader.has_ended(),
            Self::Http2(stream) => stream.has_ended(),
        }
    }

    /// Sends data of the body that goes out; says how much was taken.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Fault>> {
        match self {
            Self::Http1(stream) => stream.poll_write(cx, data),
            Self::Http2(stream) => stream.poll_write(cx, data),
        }
    }

    /// Ends the body that goes out.
    pub(crate) fn finish(&mut self, trailers: Option<&Fields>) -> Result<(), Fault> {
        match self {
            Self::Http1(stream) => {
                stream.finish(trailers);
                Ok(())
            }
            Self::Http2(stream) => stream.finish(trailers),
        }
    }

    /// Says whether the body that goes out was ended.
    pub(crate) const fn is_finished(&self) -> bool {
        match self {
            Self::Http1(stream) => stream.finished,
            Self::Http2(stream) => stream.finished,
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        match self {
            Self::Http1(stream) => stream.wire.poll_flush(cx).map_err(|_| Fault::Closed),
            Self::Http2(_) => Poll::Ready(Ok(())),
        }
    }

    /// Waits for the head of the response (upstream).
    pub(crate) fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        method: &str,
        into: &mut Response,
    ) -> Poll<Result<(), Fault>> {
        match self {
            Self::Http1(stream) => stream.poll_response(cx, method, into),
            Self::Http2(stream) => stream.poll_response(cx, into),
        }
    }

    /// Sends the head of the response (downstream).
    pub(crate) fn respond(&mut self, answering: Answering, fields: &Fields) -> Result<(), Fault> {
        match self {
            Self::Http1(stream) => {
                stream.respond(answering, fields);
                Ok(())
            }
            Self::Http2(stream) => stream.respond(answering, fields),
        }
    }

    /// Waits for the client to go away while nothing else is expected of it (downstream).
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Http1(stream) => stream.poll_gone(cx),
            Self::Http2(stream) => stream.poll_gone(cx),
        }
    }
}
