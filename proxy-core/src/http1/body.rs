//! The body of a message as it comes: data where it stands in the input, framing taken out.

use super::chunk::Chunk;
use super::{Refusal, trailers};
use crate::buffer::Buffer;
use crate::head::{BodyLength, Fields};

/// Reads one body.
#[derive(Debug)]
pub(crate) struct BodyReader {
    framing: Framing,
    /// Lines after the last chunk, as they came.
    lines: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Ended,
    Length(u64),
    Chunked(Chunk),
    Close,
}

/// What comes next of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Data stands at the front of the input.
    Data,
    /// More has to be read first.
    More,
    /// There is no more.
    End,
}

impl BodyReader {
    pub(crate) const fn new(length: BodyLength) -> Self {
        let framing = match length {
            BodyLength::None => Framing::Ended,
            BodyLength::Known(length) => Framing::Length(length),
            BodyLength::Open => Framing::Chunked(Chunk::START),
            BodyLength::Close => Framing::Close,
        };
        Self { framing, lines: Vec::new() }
    }

    /// Says what comes next, taking framing off the front of the input.
    pub(crate) fn piece(&mut self, input: &mut Buffer) -> Result<Piece, Refusal> {
        let some = if input.is_empty() { Piece::More } else { Piece::Data };
        match &mut self.framing {
            Framing::Ended | Framing::Length(0) => {
                self.framing = Framing::Ended;
                Ok(Piece::End)
            }
            Framing::Length(_) | Framing::Close => Ok(some),
            Framing::Chunked(chunk) => {
                let taken = chunk.frame(input.data(), &mut self.lines)?;
                input.consume(taken);
                match *chunk {
                    Chunk::Done => {
                        self.framing = Framing::Ended;
                        Ok(Piece::End)
                    }
                    Chunk::Data(_) if !input.is_empty() => Ok(Piece::Data),
                    _ => Ok(Piece::More),
                }
            }
        }
    }

    /// Gives the data at the front of the input, after [`Piece::Data`].
    pub(crate) fn data<'a>(&self, input: &'a Buffer) -> &'a [u8] {
        let left = match self.framing {
            Framing::Length(left) | Framing::Chunked(Chunk::Data(left)) => left,
            Framing::Close => u64::MAX,
            Framing::Ended | Framing::Chunked(_) => 0,
        };
        &input.data()[..input.len().min(usize::try_from(left).unwrap_or(usize::MAX))]
    }

    /// Takes data off the front of the input.
    pub(crate) fn consume(&mut self, input: &mut Buffer, count: usize) {
        input.consume(count);
        self.moved(count as u64);
    }

    /// Says that data was moved past the input.
    pub(crate) fn moved(&mut self, count: u64) {
        match &mut self.framing {
            Framing::Length(left) => *left -= count,
            Framing::Chunked(chunk) => chunk.took(count),
            Framing::Ended | Framing::Close => {}
        }
    }

    /// Says how much plain data is still to come, where the head said it.
    pub(crate) const fn left(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(left) => Some(left),
            _ => None,
        }
    }

    /// Takes the end of the connection: whether that is the end of the body.
    pub(crate) fn close(&mut self) -> bool {
        let fine = matches!(self.framing, Framing::Close | Framing::Ended);
        if fine {
            self.framing = Framing::Ended;
        }
        fine
    }

    pub(crate) const fn has_ended(&self) -> bool {
        matches!(self.framing, Framing::Ended | Framing::Length(0))
    }

    /// Gives the trailers of a body that ended.
    pub(crate) fn trailers(&mut self) -> Result<Option<Fields>, Refusal> {
        // Without any, the blank line alone is there.
        if self.lines.len() <= 2 {
            return Ok(None);
        }
        trailers(&std::mem::take(&mut self.lines)).map(Some)
    }
}
