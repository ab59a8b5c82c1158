//! A request body that can be sent again: what was read is kept up to a bound, what was not is still to be read.
//!
//! The body is never waited for: each piece goes to the upstream as it comes. Beyond the bound what was kept is let go,
//! and the request can be sent once only.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::body::{Body, BodyError};

/// A piece of a body, for a mirror.
#[derive(Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
}

/// The body of one request.
#[derive(Debug)]
pub(crate) struct Replay {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    inner: Incoming,
    kept: Vec<Bytes>,
    kept_bytes: usize,
    bound: usize,
    /// What was read is not all kept any more.
    gone: bool,
    /// The client broke it.
    broken: bool,
    trailers: Option<HeaderMap>,
    ended: bool,
    /// Which try may read.
    generation: u32,
    counter: Arc<AtomicU64>,
    copies: Vec<mpsc::Sender<Piece>>,
}

/// One try's view of the body.
struct Try {
    shared: Arc<Mutex<Shared>>,
    generation: u32,
    next: usize,
    trailers_sent: bool,
    hint: SizeHint,
}

impl Replay {
    /// Takes a body. `bound` is how many bytes are kept; 0 keeps none.
    pub(crate) fn new(inner: Incoming, bound: usize, counter: Arc<AtomicU64>) -> Self {
        let ended = inner.is_end_stream();
        let shared = Shared {
            inner,
            kept: Vec::new(),
            kept_bytes: 0,
            bound,
            gone: false,
            broken: false,
            trailers: None,
            ended,
            generation: 0,
            counter,
            copies: Vec::new(),
        };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Says whether the request can be sent (again) from its beginning.
    pub(crate) fn is_whole(&self) -> bool {
        !self.shared.lock().gone
    }

    /// Says whether the client broke the body off or framed it wrongly.
    pub(crate) fn is_broken(&self) -> bool {
        self.shared.lock().broken
    }

    /// Gives the body from its beginning; earlier ones end with an error when they are read further.
    pub(crate) fn replayed(&self) -> Body {
        let mut shared = self.shared.lock();
        shared.generation += 1;
        if shared.ended && shared.kept.is_empty() && shared.trailers.is_none() {
            return crate::body::empty();
        }
        let view = Try {
            shared: Arc::clone(&self.shared),
            generation: shared.generation,
            next: 0,
            trailers_sent: false,
            hint: if shared.generation == 1 { shared.inner.size_hint() } else { SizeHint::default() },
        };
        view.boxed_unsync()
    }

    /// Sends a copy of every piece from now on to a mirror, which is cut when it cannot keep up.
    pub(crate) fn copy_to(&self, copy: mpsc::Sender<Piece>) {
        self.shared.lock().copies.push(copy);
    }

    /// Says whether there is nothing to send.
    pub(crate) fn is_empty(&self) -> bool {
        let shared = self.shared.lock();
        shared.ended && shared.kept.is_empty() && shared.trailers.is_none()
    }
}

impl Shared {
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(cx)) else {
            self.ended = true;
            // A copy that ends without this was cut.
            self.copies.drain(..).for_each(|copy| drop(copy.try_send(Piece::End)));
            return Poll::Ready(None);
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                (self.gone, self.broken, self.copies) = (true, true, Vec::new());
                return Poll::Ready(Some(Err(error.into())));
            }
        };
        if let Some(data) = frame.data_ref() {
            self.counter.fetch_add(data.len() as u64, Ordering::Relaxed);
            self.copies.retain(|copy| copy.try_send(Piece::Data(data.clone())).is_ok());
            self.keep(data.clone());
        } else if let Some(trailers) = frame.trailers_ref() {
            self.copies.retain(|copy| copy.try_send(Piece::Trailers(trailers.clone())).is_ok());
            self.trailers = Some(trailers.clone());
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn keep(&mut self, data: Bytes) {
        self.kept_bytes += data.len();
        if self.gone || self.kept_bytes > self.bound {
            self.gone = true;
            self.kept = Vec::new();
        } else {
            self.kept.push(data);
        }
    }
}

impl HttpBody for Try {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let mut shared = this.shared.lock();
        if shared.generation != this.generation {
            return Poll::Ready(Some(Err("the request is sent again elsewhere".into())));
        }
        if !shared.gone
            && let Some(data) = shared.kept.get(this.next)
        {
            this.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(data.clone()))));
        }
        if shared.ended || shared.trailers.is_some() {
            let trailers = shared.trailers.clone().filter(|_| !this.trailers_sent);
            this.trailers_sent = true;
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let polled = ready!(shared.poll_inner(cx));
        match &polled {
            Some(Ok(frame)) if frame.is_data() => this.next += 1,
            Some(Ok(_)) => this.trailers_sent = true,
            _ => {}
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        let shared = self.shared.lock();
        let all = shared.gone || self.next >= shared.kept.len();
        let ended = shared.ended || (shared.inner.is_end_stream() && shared.generation == self.generation);
        all && ended && (shared.trailers.is_none() || self.trailers_sent)
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
