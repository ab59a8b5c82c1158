//! Heads and bodies as they are sent.

use std::io::Write as _;

use http::Version;

use crate::buffer::Buffer;
use crate::head::{BodyLength, Fields, Known};

/// Frames one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyWriter {
    /// As it is: the head said how long it is, or the connection's end will.
    Plain,
    Chunked,
    /// There is none, whatever comes.
    Nothing,
}

impl BodyWriter {
    pub(crate) const fn new(length: BodyLength) -> Self {
        match length {
            BodyLength::None => Self::Nothing,
            BodyLength::Known(_) | BodyLength::Close => Self::Plain,
            BodyLength::Open => Self::Chunked,
        }
    }

    /// Begins a piece of data.
    pub(crate) fn open(self, length: usize, output: &mut Buffer) {
        if self == Self::Chunked {
            let mut line = [0; 20];
            let mut rest = &mut line[..];
            // A number of 16 digits and two bytes fit.
            let _fits = write!(rest, "{length:x}\r\n");
            let used = 20 - rest.len();
            output.append(&line[..used]);
        }
    }

    /// Ends a piece of data.
    pub(crate) fn shut(self, output: &mut Buffer) {
        if self == Self::Chunked {
            output.append(b"\r\n");
        }
    }

    /// Ends the body.
    pub(crate) fn end(self, trailers: Option<&Fields>, output: &mut Buffer) {
        if self == Self::Chunked {
            output.append(b"0\r\n");
            trailers.iter().for_each(|trailers| fields(trailers, |_| true, output));
            output.append(b"\r\n");
        }
    }
}

/// Writes a request's head: its line, `Host`, its headers but those of the hop, and what frames its body.
pub(crate) fn request_head(
    line: (&[u8], &[u8], Option<&[u8]>),
    authority: &[u8],
    headers: &Fields,
    body: BodyLength,
    more: &[(&str, &[u8])],
    output: &mut Buffer,
) {
    let (method, path, query) = line;
    for part in [method, b" ", path] {
        output.append(part);
    }
    if let Some(query) = query {
        output.append(b"?");
        output.append(query);
    }
    output.append(b" HTTP/1.1\r\nhost: ");
    output.append(authority);
    output.append(b"\r\n");
    fields(headers, |known| known != Known::Host && known != Known::TransferEncoding, output);
    more.iter().for_each(|(name, value)| field(name.as_bytes(), value, output));
    if body == BodyLength::Open {
        output.append(b"transfer-encoding: chunked\r\n");
    }
    output.append(b"\r\n");
}

/// Writes a response's head for a client of that version.
pub(crate) fn response_head(
    status: u16,
    version: Version,
    headers: &Fields,
    body: BodyLength,
    connection: Option<&str>,
    output: &mut Buffer,
) {
    let mut line = *b"HTTP/1.1 000 ";
    if version == Version::HTTP_10 {
        line[7] = b'0';
    }
    for (at, digit) in [(9, status / 100), (10, status / 10 % 10), (11, status % 10)] {
        line[at] = b'0' + (digit % 10) as u8;
    }
    output.append(&line);
    output.append(reason(status).as_bytes());
    output.append(b"\r\n");
    fields(headers, |known| known != Known::TransferEncoding, output);
    if body == BodyLength::Open {
        output.append(b"transfer-encoding: chunked\r\n");
    }
    if let Some(connection) = connection {
        field(b"connection", connection.as_bytes(), output);
    }
    output.append(b"\r\n");
}

fn fields(headers: &Fields, wanted: impl Fn(Known) -> bool, output: &mut Buffer) {
    headers.lines(wanted, |run| output.append(run));
}

fn field(name: &[u8], value: &[u8], output: &mut Buffer) {
    for part in [name, b": ", value, b"\r\n"] {
        output.append(part);
    }
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Unknown")
}
