//! An exchange over HTTP/1.1.

use std::task::{Context, Poll, ready};

use http::Version;

use super::splice::Pipe;
use super::{Answering, Fault, Next};
use crate::head::{BodyLength, Fields, Response};
use crate::http1::{BodyReader, BodyWriter, Piece, Refusal, Wire, head_end, response, response_head};
use crate::io::Io;

/// A piece up to this size is copied behind what waits, so that both go out by one call; a longer one is sent from where
/// it stands.
const COPIED: usize = 4096;
/// What waits is sent when there is this much of it.
const ENOUGH: usize = 16 * 1024;
/// Bytes of a response's head, and of all that go before the final one (Envoy's default is 60 KiB).
const MAX_HEAD: usize = 64 * 1024;

/// A connection and where its exchange stands.
#[derive(Debug)]
pub(crate) struct Http1 {
    pub(crate) wire: Wire,
    pub(crate) reader: BodyReader,
    pub(crate) writer: BodyWriter,
    /// What is left to send of a chunk whose size was sent.
    open: usize,
    pub(crate) finished: bool,
    /// How much of the input was searched for the end of a head.
    searched: usize,
    interim: usize,
    /// Whether a byte came since the exchange began.
    pub(crate) heard: bool,
    /// Where a long body is on its way without being looked at.
    pub(super) pipe: Option<Pipe>,
    /// Version of the client.
    pub(crate) version: Version,
    /// Whether the client waits for `100 Continue`.
    pub(crate) expects: bool,
}

impl Http1 {
    pub(crate) fn new(io: Io) -> Self {
        Self {
            wire: Wire::new(io),
            reader: BodyReader::new(BodyLength::None),
            writer: BodyWriter::Nothing,
            open: 0,
            finished: true,
            searched: 0,
            interim: 0,
            heard: false,
            pipe: None,
            version: Version::HTTP_11,
            expects: false,
        }
    }

    /// Begins to read a body and to write one.
    pub(crate) fn begin(&mut self, incoming: BodyLength, outgoing: BodyLength) {
        self.reader = BodyReader::new(incoming);
        self.write(outgoing);
        (self.searched, self.interim, self.heard) = (0, 0, false);
    }

    fn write(&mut self, outgoing: BodyLength) {
        self.writer = BodyWriter::new(outgoing);
        (self.open, self.finished) = (0, false);
    }

    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next, Fault>> {
        loop {
            match self.reader.piece(&mut self.wire.input).map_err(|Refusal(reason)| Fault::Malformed(reason))? {
                Piece::Data => return Poll::Ready(Ok(Next::Data)),
                Piece::End => return Poll::Ready(Ok(Next::End)),
                Piece::More => {}
            }
            if std::mem::take(&mut self.expects) {
                self.wire.output.append(b"HTTP/1.1 100 Continue\r\n\r\n");
                if let Poll::Ready(Err(_)) = self.wire.poll_flush(cx) {
                    return Poll::Ready(Err(Fault::Closed));
                }
            }
            let count = ready!(self.wire.poll_fill(cx)).map_err(|_| Fault::Closed)?;
            if count == 0 {
                return Poll::Ready(if self.reader.close() { Ok(Next::End) } else { Err(Fault::Closed) });
            }
        }
    }

    pub(super) fn data(&self) -> &[u8] {
        self.reader.data(&self.wire.input)
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.reader.consume(&mut self.wire.input, count);
    }

    pub(super) fn trailers(&mut self) -> Result<Option<Fields>, Fault> {
        self.reader.trailers().map_err(|Refusal(reason)| Fault::Malformed(reason))
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Fault>> {
        if self.writer == BodyWriter::Nothing {
            return Poll::Ready(Ok(data.len()));
        }
        if self.wire.output.len() >= ENOUGH {
            ready!(self.wire.poll_flush(cx)).map_err(|_| Fault::Closed)?;
        }
        if self.open == 0 {
            self.writer.open(data.len(), &mut self.wire.output);
            self.open = data.len();
        }
        let data = &data[..data.len().min(self.open)];
        let taken = if data.len() <= COPIED {
            self.wire.output.append(data);
            data.len()
        } else {
            ready!(self.wire.poll_send(cx, data)).map_err(|_| Fault::Closed)?
        };
        self.open -= taken;
        if self.open == 0 {
            self.writer.shut(&mut self.wire.output);
        }
        Poll::Ready(Ok(taken))
    }

    pub(super) fn finish(&mut self, trailers: Option<&Fields>) {
        if !self.finished {
            self.writer.end(trailers, &mut self.wire.output);
            self.finished = true;
        }
    }

    pub(super) fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        method: &str,
        into: &mut Response,
    ) -> Poll<Result<(), Fault>> {
        loop {
            let data = self.wire.input.data();
            let malformed = |Refusal(reason)| Fault::Malformed(reason);
            if let Some(end) = head_end(data, self.searched).map_err(malformed)? {
                if end + self.interim > MAX_HEAD {
                    return Poll::Ready(Err(Fault::Malformed("response_head_too_large")));
                }
                into.clear();
                response(&data[..end], method, into).map_err(malformed)?;
                self.wire.input.consume(end);
                self.searched = 0;
                // Interim answers concern this hop: the client was told to go on already (RFC 9110, 15.2).
                if into.status < 200 && into.status != 101 {
                    self.interim += end;
                    continue;
                }
                self.reader = BodyReader::new(into.body);
                return Poll::Ready(Ok(()));
            }
            // The last three bytes may be the beginning of the end.
            self.searched = data.len().saturating_sub(3);
            if data.len() + self.interim > MAX_HEAD {
                return Poll::Ready(Err(Fault::Malformed("response_head_too_large")));
            }
            let silent = if self.heard { Fault::Closed } else { Fault::Silent };
            let count = ready!(self.wire.poll_fill(cx)).map_err(|_| silent)?;
            if count == 0 {
                return Poll::Ready(Err(silent));
            }
            self.heard = true;
        }
    }

    pub(super) fn respond(&mut self, answering: Answering, fields: &Fields) {
        let connection = if answering.status == 101 {
            Some("upgrade")
        } else if answering.close {
            Some("close")
        } else if self.version == Version::HTTP_10 {
            Some("keep-alive")
        } else {
            None
        };
        let Answering { status, body, head_only, .. } = answering;
        self.expects = false;
        response_head(status, self.version, fields, body, connection, &mut self.wire.output);
        self.write(if head_only { BodyLength::None } else { body });
    }

    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The next request may be here already; its sender will find out that the connection ended.
        if !self.wire.input.is_empty() {
            return Poll::Pending;
        }
        match ready!(self.wire.poll_fill(cx)) {
            Ok(1..) => Poll::Pending,
            Ok(0) | Err(_) => Poll::Ready(()),
        }
    }
}
