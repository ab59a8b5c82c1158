//! Moving a body from one side to the other.

use std::task::{Context, Poll, ready};

use super::{Fault, Next, Stream};

/// Which side cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    From(Fault),
    To(Fault),
}

/// Moves what there is; ready when the body has ended on both sides. `see` is told every piece.
pub(crate) fn poll_pump(
    cx: &mut Context<'_>,
    from: &mut Stream,
    to: &mut Stream,
    see: &mut dyn FnMut(&[u8]),
    end: &mut dyn FnMut(Option<&crate::head::Fields>),
) -> Poll<Result<(), Broken>> {
    if to.is_finished() {
        return to.poll_flush(cx).map_err(Broken::To);
    }
    loop {
        match from.poll_piece(cx) {
            Poll::Pending => {
                // What is there goes out while more is waited for.
                if let Poll::Ready(Err(fault)) = to.poll_flush(cx) {
                    return Poll::Ready(Err(Broken::To(fault)));
                }
                return Poll::Pending;
            }
            Poll::Ready(Err(fault)) => return Poll::Ready(Err(Broken::From(fault))),
            Poll::Ready(Ok(Next::Data)) => {
                let taken = ready!(to.poll_write(cx, from.data())).map_err(Broken::To)?;
                see(&from.data()[..taken]);
                from.consume(taken);
            }
            Poll::Ready(Ok(Next::End)) => {
                let trailers = from.trailers().map_err(Broken::From)?;
                end(trailers.as_ref());
                to.finish(trailers.as_ref()).map_err(Broken::To)?;
                return to.poll_flush(cx).map_err(Broken::To);
            }
        }
    }
}
