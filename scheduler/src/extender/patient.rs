//! A stream that gives up: on a caller that never sends a byte, one that is silent for long, one that does not read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the first byte.
    pub(crate) first: Duration,
    /// Between two requests.
    pub(crate) idle: Duration,
    /// For the caller to take what is sent.
    pub(crate) write: Duration,
}

/// Longer than Go's client keeps an idle connection (90 s), so that it is the client that closes it.
pub(crate) const PATIENCE: Patience =
    Patience { first: Duration::from_secs(10), idle: Duration::from_secs(120), write: Duration::from_secs(10) };

/// Wraps a stream; a wait that is over is an error of kind `TimedOut`.
#[derive(Debug)]
pub(crate) struct Patient<S> {
    stream: S,
    patience: Patience,
    /// Whether a byte came.
    has_begun: bool,
    read: Wait,
    write: Wait,
}

/// A wait under way.
#[derive(Debug, Default)]
struct Wait {
    /// Kept from wait to wait, so that one costs no more than setting a time.
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl Wait {
    fn is_over(&mut self, context: &mut Context<'_>, span: Duration) -> bool {
        let until = Instant::now() + span;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if !self.is_waiting {
            timer.as_mut().reset(until);
            self.is_waiting = true;
        }
        timer.as_mut().poll(context).is_ready()
    }
}

impl<S> Patient<S> {
    pub(crate) const fn new(stream: S, patience: Patience) -> Self {
        Self {
            stream,
            patience,
            has_begun: false,
            read: Wait { timer: None, is_waiting: false },
            write: Wait { timer: None, is_waiting: false },
        }
    }

    fn written<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.write.is_waiting = false;
            return polled;
        }
        match self.write.is_over(context, self.patience.write) {
            true => Poll::Ready(Err(timed_out("the caller does not read its answer"))),
            false => Poll::Pending,
        }
    }
}

fn timed_out(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        if polled.is_ready() {
            this.has_begun = true;
            this.read.is_waiting = false;
            return polled;
        }
        let span = if this.has_begun { this.patience.idle } else { this.patience.first };
        match this.read.is_over(context, span) {
            true => Poll::Ready(Err(timed_out("the caller is silent"))),
            false => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.written(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.written(context, polled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    const SHORT: Patience = Patience {
        first: Duration::from_millis(10),
        idle: Duration::from_millis(60),
        write: Duration::from_millis(10),
    };

    #[tokio::test]
    async fn silence_ends_sooner_before_the_first_byte_than_after_it() {
        let (mut caller, served) = duplex(16);
        let mut served = Patient::new(served, SHORT);

        let began = Instant::now();
        let never = served.read_u8().await.expect_err("nothing was sent");
        assert_eq!(never.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= SHORT.first);

        caller.write_u8(7).await.expect("sent");
        served.read_u8().await.expect("received");
        let idle = Instant::now();
        served.read_u8().await.expect_err("nothing more was sent");
        assert!(idle.elapsed() >= SHORT.idle);
    }

    #[tokio::test]
    async fn a_caller_that_does_not_read_is_given_up() {
        let (caller, served) = duplex(16);
        let mut served = Patient::new(served, SHORT);

        let stuck = served.write_all(&[0; 64]).await.expect_err("nobody reads");

        assert_eq!(stuck.kind(), io::ErrorKind::TimedOut);
        drop(caller);
    }
}
