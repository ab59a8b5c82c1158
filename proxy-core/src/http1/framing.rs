//! Where messages begin and end on a connection from a client.

use bytes::{Buf, BytesMut};

use super::chunk::Chunk;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// More headers than any setting allows; beyond, the codec answers 431.
const HEADERS: usize = 512;

/// Why what came is not taken, as a fixed word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) &'static str);

/// Follows the messages of one connection.
#[derive(Debug)]
pub(super) struct Framing {
    state: State,
    pending: BytesMut,
    /// How much of `pending` was searched for the end of the head.
    searched: usize,
    max_head: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing came yet: it may be HTTP/2.
    First,
    Head,
    Length(u64),
    Chunked(Chunk),
    /// An upgrade was asked for: what follows its answer is not HTTP if that is 101.
    Upgrade,
    /// Not looked at any more.
    Opaque,
}

impl Framing {
    pub(super) fn new(max_head: usize) -> Self {
        Self { state: State::First, pending: BytesMut::new(), searched: 0, max_head }
    }

    /// Takes what came from the client and moves what may pass to `out`. Heads are held until they are whole.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<(), Refusal> {
        self.pending.extend_from_slice(bytes);
        while !self.pending.is_empty() {
            let moved = match &mut self.state {
                State::First if self.pending.starts_with(PREFACE) => {
                    self.state = State::Opaque;
                    continue;
                }
                State::First if PREFACE.starts_with(&self.pending) => return Ok(()),
                State::First | State::Head => match self.head()? {
                    Some(end) => end,
                    None => return Ok(()),
                },
                State::Length(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(self.pending.len());
                    *left -= taken as u64;
                    if *left == 0 {
                        self.state = State::Head;
                    }
                    taken
                }
                State::Chunked(chunk) => {
                    let taken = chunk.take(&self.pending)?;
                    if *chunk == Chunk::Done {
                        self.state = State::Head;
                    }
                    taken
                }
                // Nothing may follow before the answer; a client that does not wait is passed on and fails there.
                State::Upgrade | State::Opaque => self.pending.len(),
            };
            out.extend_from_slice(&self.pending[..moved]);
            self.pending.advance(moved);
        }
        Ok(())
    }

    /// Gives what is held back, when the client will send no more.
    pub(super) fn rest(&mut self, out: &mut BytesMut) {
        out.extend_from_slice(&self.pending);
        self.pending.clear();
    }

    /// Sees the beginning of what is sent to the client: the answer to an upgrade.
    pub(super) fn answered(&mut self, bytes: &[u8]) {
        if self.state == State::Upgrade && bytes.len() >= 12 {
            let switched = bytes.starts_with(b"HTTP/1.1 101");
            self.state = if switched { State::Opaque } else { State::Head };
        }
    }

    /// Finds the end of the head and what follows it; `None` while it is not whole.
    fn head(&mut self) -> Result<Option<usize>, Refusal> {
        // Empty lines before a request line are skipped (RFC 9112, 2.2).
        while self.pending.starts_with(b"\r\n") && self.searched == 0 {
            self.pending.advance(2);
        }
        let from = self.searched.saturating_sub(3);
        let end = self.pending[from..].windows(4).position(|end| end == b"\r\n\r\n").map(|at| from + at + 4);
        for at in self.searched..end.unwrap_or(self.pending.len()) {
            if self.pending[at] == b'\n' && (at == 0 || self.pending[at - 1] != b'\r') {
                return Err(Refusal("bare_line_feed"));
            }
        }
        self.searched = self.pending.len();
        let Some(end) = end else {
            if self.pending.len() > self.max_head {
                // The codec answers 431.
                self.state = State::Opaque;
                return Ok(Some(self.pending.len()));
            }
            if self.pending.len() > 1 || self.pending.first() != Some(&b'\r') {
                return Ok(None);
            }
            self.searched = 0;
            return Ok(None);
        };
        self.searched = 0;
        self.state = after(&self.pending[..end])?;
        Ok(Some(end))
    }
}

/// Reads a whole head and says what follows it.
fn after(head: &[u8]) -> Result<State, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        // The codec answers 431.
        Err(httparse::Error::TooManyHeaders) => return Ok(State::Opaque),
        Ok(httparse::Status::Partial) | Err(_) => return Err(Refusal("malformed_head")),
    }
    // A fragment is never sent, and everything beyond ASCII is percent-encoded (RFC 3986).
    if request.path.is_some_and(|target| target.bytes().any(|byte| byte == b'#' || !byte.is_ascii_graphic())) {
        return Err(Refusal("malformed_target"));
    }
    let values = |name: &'static str| {
        request.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    };
    let (lengths, encodings) = (values("content-length").count(), values("transfer-encoding").count());
    if lengths > 1 {
        return Err(Refusal("several_content_lengths"));
    }
    if encodings > 1 {
        return Err(Refusal("several_transfer_encodings"));
    }
    if lengths > 0 && encodings > 0 {
        return Err(Refusal("length_and_transfer_encoding"));
    }
    if let Some(encoding) = values("transfer-encoding").next() {
        if request.version != Some(1) {
            return Err(Refusal("transfer_encoding_in_wrong_version"));
        }
        if !encoding.eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal("unknown_transfer_encoding"));
        }
        return Ok(State::Chunked(Chunk::START));
    }
    let length = values("content-length").next().map_or(Ok(0), length)?;
    let upgrade = values("upgrade").next().is_some() && values("connection").any(|value| names(value, "upgrade"));
    Ok(match length {
        0 if upgrade => State::Upgrade,
        0 => State::Head,
        length => State::Length(length),
    })
}

fn length(value: &[u8]) -> Result<u64, Refusal> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|value| value.parse().ok());
    number.ok_or(Refusal("malformed_content_length"))
}

fn names(list: &[u8], word: &str) -> bool {
    list.split(|byte| *byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests;
