//! One HTTP/1.1 connection: its socket, what came and was not looked at, what is to go out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::buffer::Buffer;
use crate::io::Io;

/// A connection with its two queues.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) io: Io,
    pub(crate) input: Buffer,
    pub(crate) output: Buffer,
}

impl Wire {
    pub(crate) fn new(io: Io) -> Self {
        Self { io, input: Buffer::default(), output: Buffer::default() }
    }

    /// Reads once; `Ok(0)` is the end of the stream.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.poll_fill(cx, &mut self.io)
    }

    /// Writes what is to go out.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, self.output.data()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.consume(count);
        }
        // Records of TLS may wait below; a socket has nothing to flush.
        if self.io.clear().is_none() {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is to go out and, behind it, as much of `data` as the socket takes.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let before = self.output.len();
            let count = if before == 0 {
                ready!(Pin::new(&mut self.io).poll_write(cx, data))?
            } else {
                let slices = [io::IoSlice::new(self.output.data()), io::IoSlice::new(data)];
                ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &slices))?
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.consume(count.min(before));
            if count > before {
                return Poll::Ready(Ok(count - before));
            }
        }
    }
}
