//! Long cleartext bodies, moved by the kernel from socket to socket through a pipe: no byte is copied here.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::{Broken, Fault, Http1, Stream};
use crate::http1::BodyWriter;

/// Shorter rests are copied: two more calls for each piece cost more than the copy saves.
const WORTH: u64 = 64 * 1024;
/// Bytes a pipe may hold: a system's default bound for users without privileges.
const PIPE: usize = 1 << 20;
/// Pipes a thread keeps.
const KEPT: usize = 4;

thread_local! {
    static FREE: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

/// A pipe in use.
#[derive(Debug)]
pub(super) struct Pipe {
    ends: Option<Ends>,
    held: usize,
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let kept = FREE.with_borrow_mut(Vec::pop);
        let ends = match kept {
            Some(ends) => ends,
            None => {
                let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
                // A smaller pipe does too.
                let _size = fcntl_setpipe_size(&write, PIPE);
                Ends { read, write }
            }
        };
        Ok(Self { ends: Some(ends), held: 0 })
    }

    fn fill(&mut self, from: &TcpStream, most: u64) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let most = usize::try_from(most).unwrap_or(PIPE).min(PIPE);
        let moved = from.try_io(Interest::READABLE, || {
            Ok(splice(from, None, &ends.write, None, most, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)?)
        })?;
        self.held += moved;
        Ok(moved)
    }

    fn empty(&mut self, to: &TcpStream, more: bool) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let mut flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        flags.set(SpliceFlags::MORE, more);
        let moved = to.try_io(Interest::WRITABLE, || Ok(splice(&ends.read, None, to, None, self.held, flags)?))?;
        self.held -= moved;
        Ok(moved)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if let Some(ends) = self.ends.take().filter(|_| self.held == 0) {
            // A thread that is ending keeps nothing.
            let _ended = FREE.try_with(|free| {
                let mut free = free.borrow_mut();
                if free.len() < KEPT {
                    free.push(ends);
                }
            });
        }
    }
}

/// Moves what may be moved without looking at it; says how much. Ready when the rest has to be pumped.
pub(crate) fn poll_splice(
    cx: &mut Context<'_>,
    from: &mut Stream,
    to: &mut Stream,
    moved: &mut u64,
) -> Poll<Result<(), Broken>> {
    let (Stream::Http1(from), Stream::Http1(to)) = (from, to) else { return Poll::Ready(Ok(())) };
    if from.pipe.is_none() {
        let long = from.reader.left().is_some_and(|left| left >= WORTH);
        if !long || !from.wire.input.is_empty() || to.writer != BodyWriter::Plain || to.finished {
            return Poll::Ready(Ok(()));
        }
        if from.wire.io.clear().is_none() || to.wire.io.clear().is_none() {
            return Poll::Ready(Ok(()));
        }
        ready!(to.wire.poll_flush(cx)).map_err(|_| Broken::To(Fault::Closed))?;
        from.pipe = Pipe::new().ok();
    }
    ready!(run(cx, from, to, moved))?;
    from.pipe = None;
    Poll::Ready(Ok(()))
}

fn run(cx: &mut Context<'_>, from: &mut Http1, to: &mut Http1, moved: &mut u64) -> Poll<Result<(), Broken>> {
    let (Some(source), Some(target)) = (from.wire.io.clear(), to.wire.io.clear()) else {
        return Poll::Ready(Ok(()));
    };
    let Some(pipe) = &mut from.pipe else { return Poll::Ready(Ok(())) };
    loop {
        let left = from.reader.left().unwrap_or_default();
        let result = if pipe.held > 0 {
            ready!(target.poll_write_ready(cx)).map_err(|_| Broken::To(Fault::Closed))?;
            let count = pipe.empty(target, left > 0);
            count.map(|count| *moved += count as u64).map_err(|error| (error, Broken::To(Fault::Closed)))
        } else if left == 0 {
            return Poll::Ready(Ok(()));
        } else {
            ready!(source.poll_read_ready(cx)).map_err(|_| Broken::From(Fault::Closed))?;
            match pipe.fill(source, left) {
                Ok(0) => return Poll::Ready(Err(Broken::From(Fault::Closed))),
                Ok(count) => {
                    from.reader.moved(count as u64);
                    Ok(())
                }
                Err(error) => Err((error, Broken::From(Fault::Closed))),
            }
        };
        match result {
            Ok(()) => {}
            // The socket is not ready after all: the next look registers for it.
            Err((error, _)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err((_, broken)) => return Poll::Ready(Err(broken)),
        }
    }
}
