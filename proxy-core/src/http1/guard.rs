//! A socket that lets only well-framed HTTP through to the codec.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::framing::{Framing, Refusal};
use crate::metrics::Metrics;

/// What a refused message becomes: neither a head nor a chunk begins with a zero byte, so the codec refuses it too.
const BROKEN: &[u8] = b"\0\r\n\r\n";

/// Sits between a socket and the codec.
#[derive(Debug)]
pub(crate) struct Guard<S> {
    socket: S,
    framing: Framing,
    passed: BytesMut,
    refused: bool,
    metrics: Arc<Metrics>,
}

impl<S> Guard<S> {
    pub(crate) fn new(socket: S, max_head: usize, metrics: Arc<Metrics>) -> Self {
        Self { socket, framing: Framing::new(max_head), passed: BytesMut::new(), refused: false, metrics }
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.refused {
            return;
        }
        if let Err(Refusal(reason)) = self.framing.feed(bytes, &mut self.passed) {
            self.refused = true;
            self.metrics.rejected.with_label_values(&[reason]).inc();
            self.passed.extend_from_slice(BROKEN);
        }
    }

    fn give(&mut self, into: &mut ReadBuf<'_>) {
        let count = self.passed.len().min(into.remaining());
        into.put_slice(&self.passed[..count]);
        self.passed.advance(count);
        if self.passed.is_empty() {
            // An idle connection holds no buffer.
            self.passed = BytesMut::new();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.passed.is_empty() {
            // The codec's own buffer is used to read into; what may not pass yet is taken out of it again.
            let before = into.filled().len();
            ready!(Pin::new(&mut this.socket).poll_read(cx, into))?;
            let read = into.filled().len() - before;
            if read == 0 {
                this.framing.rest(&mut this.passed);
                break;
            }
            this.take(&into.filled()[before..]);
            into.set_filled(before);
        }
        this.give(into);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.framing.answered(bytes);
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = slices.iter().find(|slice| !slice.is_empty()) {
            self.framing.answered(first);
        }
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
