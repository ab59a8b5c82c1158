//! Bytes on their way, in memory that is borrowed from the thread only while there are any.
//!
//! Blocks are initialised once and used again, so reading into one costs no clearing. A thread keeps a few; the rest goes
//! back to the allocator, and an empty buffer holds none.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// Bytes of one block: a typical head with a small body, and few enough to stay in the cache.
pub(crate) const BLOCK: usize = 16 * 1024;
/// Blocks a thread keeps for the next connection (512 KiB).
const KEPT: usize = 32;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A queue of bytes.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    block: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// Gives what is in it.
    pub(crate) fn data(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }

    /// Says how much is in it.
    pub(crate) const fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Drops bytes from the front.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end, "more was taken than there was");
        self.release();
    }

    /// Gives the memory back when it is empty: the next to need some finds it in the cache.
    fn release(&mut self) {
        if self.is_empty() && !self.block.is_empty() {
            (self.start, self.end) = (0, 0);
            give(std::mem::take(&mut self.block));
        }
    }

    /// Adds bytes at the end.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.block[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Reads once. `Ok(0)` is the end of the stream.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        if self.block.len() - self.end < BLOCK / 4 {
            self.reserve(BLOCK / 4);
        }
        let mut into = ReadBuf::new(&mut self.block[self.end..]);
        let read = Pin::new(from).poll_read(cx, &mut into);
        let count = into.filled().len();
        self.end += count;
        // Who waits holds no memory meanwhile.
        self.release();
        read.map_ok(|()| count)
    }

    fn reserve(&mut self, more: usize) {
        if self.block.len() - self.end >= more {
            return;
        }
        let needed = self.len() + more;
        if needed <= self.block.len() {
            self.block.copy_within(self.start..self.end, 0);
        } else {
            let mut larger = if needed <= BLOCK {
                FREE.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; BLOCK].into_boxed_slice())
            } else {
                vec![0; needed.next_power_of_two()].into_boxed_slice()
            };
            larger[..self.end - self.start].copy_from_slice(&self.block[self.start..self.end]);
            give(std::mem::replace(&mut self.block, larger));
        }
        (self.start, self.end) = (0, self.end - self.start);
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        give(std::mem::take(&mut self.block));
    }
}

fn give(block: Box<[u8]>) {
    if block.len() != BLOCK {
        return;
    }
    // A thread that is ending keeps nothing.
    let _ended = FREE.try_with(|free| {
        let mut free = free.borrow_mut();
        if free.len() < KEPT {
            free.push(block);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_the_order_they_went_in_whatever_the_sizes() {
        let (mut buffer, mut expected, mut got) = (Buffer::default(), Vec::new(), Vec::new());

        for step in 0..200_usize {
            let piece: Vec<u8> = (0..step * 97 % 5000).map(|n| (n + step) as u8).collect();
            buffer.append(&piece);
            expected.extend(piece);
            let taken = (step * 61 % 4000).min(buffer.len());
            got.extend_from_slice(&buffer.data()[..taken]);
            buffer.consume(taken);
        }
        got.extend_from_slice(buffer.data());

        assert_eq!(got, expected);
    }

    #[test]
    fn an_empty_buffer_holds_no_memory() {
        let mut buffer = Buffer::default();
        buffer.append(b"abc");
        buffer.consume(3);

        assert!(buffer.block.is_empty());
    }
}
