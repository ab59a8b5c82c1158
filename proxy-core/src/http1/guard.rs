//! A socket that lets only well-framed HTTP through to the codec.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

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
    /// Ends a connection whose client sends no first head: the codec's own clock runs only from there.
    patience: Option<Pin<Box<Sleep>>>,
    metrics: Arc<Metrics>,
}

impl<S> Guard<S> {
    pub(crate) fn new(socket: S, max_head: usize, patience: Duration, metrics: Arc<Metrics>) -> Self {
        let (framing, patience) = (Framing::new(max_head), Some(Box::pin(sleep(patience))));
        Self { socket, framing, passed: BytesMut::new(), refused: false, patience, metrics }
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
        if let Some(patience) = &mut this.patience
            && patience.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
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
        this.patience = None;
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_no_head_is_let_go() {
        let metrics = Arc::new(Metrics::new(&prometheus::Registry::new()).expect("an empty registry"));
        for beginning in ["", "P", "GET / HT"] {
            let (mut client, socket) = tokio::io::duplex(1024);
            let mut guard = Guard::new(socket, 8192, Duration::from_secs(60), Arc::clone(&metrics));
            client.write_all(beginning.as_bytes()).await.expect("written");

            let read = guard.read_u8().await;

            assert_eq!(read.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut), "{beginning:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_first_head_the_codec_has_its_own_clock() {
        let metrics = Arc::new(Metrics::new(&prometheus::Registry::new()).expect("an empty registry"));
        let (mut client, socket) = tokio::io::duplex(1024);
        let mut guard = Guard::new(socket, 8192, Duration::from_secs(60), metrics);
        let head = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        client.write_all(head).await.expect("written");
        let mut read = [0; 27];
        guard.read_exact(&mut read).await.expect("passed");

        let next = tokio::time::timeout(Duration::from_secs(600), guard.read_u8()).await;

        assert!(next.is_err(), "{next:?}");
    }
}
