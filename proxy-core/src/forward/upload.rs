//! The request's body on its way up: counted, copied to mirrors, and kept up to a bound so that it can be sent again.
//!
//! The body is never waited for: each piece goes to the upstream as it comes. Beyond the bound what was kept is let go,
//! and the request can be sent once only.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::head::Fields;
use crate::stream::{Broken, Stream, poll_pump};

/// A piece of a body, for a mirror.
#[derive(Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    Trailers(Fields),
    End,
}

/// The body of one request.
#[derive(Debug)]
pub(crate) struct Upload {
    state: State,
    /// What was read, while all of it is kept.
    kept: Vec<u8>,
    bound: usize,
    gone: bool,
    /// How much of what is kept this try has sent.
    sent: usize,
    /// Trailers, once the body was read whole.
    trailers: Option<Option<Fields>>,
    pub(crate) bytes: u64,
    copies: Vec<mpsc::Sender<Piece>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Going,
    /// The upstream has it all.
    Done,
    /// The upstream takes no more; it may still answer.
    Refused,
}

impl Upload {
    /// Begins. `bound` is how many bytes are kept; 0 keeps none.
    pub(crate) const fn new(bound: usize) -> Self {
        Self {
            state: State::Going,
            kept: Vec::new(),
            bound,
            gone: false,
            sent: 0,
            trailers: None,
            bytes: 0,
            copies: Vec::new(),
        }
    }

    /// Begins another try.
    pub(crate) const fn again(&mut self) {
        (self.state, self.sent) = (State::Going, 0);
    }

    /// Says whether the request can be sent (again) from its beginning.
    pub(crate) const fn is_whole(&self) -> bool {
        !self.gone
    }

    /// Says whether there is nothing more to send.
    pub(crate) fn is_over(&self) -> bool {
        self.state != State::Going
    }

    /// Says whether the upstream has it all.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Sends a copy of every piece from now on to a mirror, which is cut when it cannot keep up.
    pub(crate) fn copy_to(&mut self, copy: mpsc::Sender<Piece>) {
        self.copies.push(copy);
    }

    /// Sends what there is. An error is of the client's making.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        down: &mut Stream,
        up: &mut Stream,
    ) -> Poll<Result<(), crate::stream::Fault>> {
        if self.is_over() {
            return Poll::Ready(Ok(()));
        }
        match ready!(self.pump(cx, down, up)) {
            Ok(()) => self.state = State::Done,
            Err(Broken::To(_)) => self.state = State::Refused,
            Err(Broken::From(fault)) => {
                (self.gone, self.copies) = (true, Vec::new());
                return Poll::Ready(Err(fault));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn pump(&mut self, cx: &mut Context<'_>, down: &mut Stream, up: &mut Stream) -> Poll<Result<(), Broken>> {
        while self.sent < self.kept.len() {
            self.sent += ready!(up.poll_write(cx, &self.kept[self.sent..])).map_err(Broken::To)?;
        }
        if let Some(trailers) = &self.trailers {
            up.finish(trailers.as_ref()).map_err(Broken::To)?;
            return up.poll_flush(cx).map_err(Broken::To);
        }
        let Self { kept, bound, gone, sent, bytes, copies, trailers, .. } = self;
        let mut see = |data: &[u8]| {
            *bytes += data.len() as u64;
            if !copies.is_empty() {
                let data = Bytes::copy_from_slice(data);
                copies.retain(|copy| copy.try_send(Piece::Data(data.clone())).is_ok());
            }
            if *gone || kept.len() + data.len() > *bound {
                (*gone, *kept, *sent) = (true, Vec::new(), 0);
            } else {
                kept.extend_from_slice(data);
                *sent = kept.len();
            }
        };
        let mut end = |ended: Option<&Fields>| {
            *trailers = Some(ended.cloned());
        };
        let pumped = poll_pump(cx, down, up, &mut see, &mut end);
        if let Some(ended) = &self.trailers {
            for copy in self.copies.drain(..) {
                if let Some(trailers) = ended {
                    drop(copy.try_send(Piece::Trailers(trailers.clone())));
                }
                // A copy that ends without this was cut.
                drop(copy.try_send(Piece::End));
            }
        }
        pumped
    }
}
