//! Heads and trailers, read where they stand and copied once.

use std::mem::MaybeUninit;

use http::Version;

use crate::head::{BodyLength, Fields, Known, Request, Response, Span};

/// More headers than any setting allows.
const HEADERS: usize = 256;

/// Why what came is not taken, as a fixed word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) &'static str);

impl Refusal {
    pub(crate) const TOO_LARGE: Self = Self("head_too_large");
    pub(crate) const TOO_MANY: Self = Self("too_many_headers");

    /// Gives the status that tells the client.
    pub(crate) const fn status(self) -> u16 {
        match self.0.as_bytes() {
            b"head_too_large" | b"too_many_headers" => 431,
            _ => 400,
        }
    }
}

/// Finds the end of a head. Lines end in CR LF and nothing else.
pub(crate) fn head_end(bytes: &[u8], from: usize) -> Result<Option<usize>, Refusal> {
    let mut at = from;
    while let Some(found) = memchr::memchr(b'\n', &bytes[at..]) {
        let end = at + found;
        if end == 0 || bytes[end - 1] != b'\r' {
            return Err(Refusal("bare_line_feed"));
        }
        if end >= 3 && bytes[end - 2] == b'\n' {
            return Ok(Some(end + 1));
        }
        at = end + 1;
    }
    Ok(None)
}

/// Reads a whole request head into `into`.
pub(crate) fn request(head: &[u8], max_headers: usize, into: &mut Request) -> Result<(), Refusal> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    complete(parsed.parse_with_uninit_headers(head, &mut headers))?;
    if parsed.headers.len() > max_headers {
        return Err(Refusal::TOO_MANY);
    }
    let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
    into.version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    into.fields.store(head);
    into.method = span(head, method.as_bytes());
    for header in parsed.headers.iter() {
        into.fields.place(span(head, header.name.as_bytes()), span(head, header.value));
    }
    let written = aim(head, method, target, into)?;
    into.body = framing(&into.fields, into.version)?;
    into.refusal = authority(method, written, into).err();
    connection(into);
    Ok(())
}

/// Reads a whole response head into `into`. `method` is that of the request.
pub(crate) fn response(head: &[u8], method: &str, into: &mut Response) -> Result<(), Refusal> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    complete(config.parse_response_with_uninit_headers(&mut parsed, head, &mut headers))?;
    into.status = parsed.code.filter(|code| (100..=999).contains(code)).ok_or(Refusal("malformed_status"))?;
    into.fields.store(head);
    for header in parsed.headers.iter() {
        into.fields.place(span(head, header.name.as_bytes()), span(head, header.value));
    }
    let version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    into.body = match framing(&into.fields, version)? {
        _ if into.status < 200 || into.status == 304 || method == "HEAD" => BodyLength::None,
        BodyLength::Known(1..) | BodyLength::Open if into.status == 204 => return Err(Refusal("body_without_content")),
        _ if into.status == 204 => BodyLength::None,
        // Nothing says how long it is: the connection's end does (RFC 9112, 6.3).
        BodyLength::None if !into.fields.contains(Known::ContentLength) => BodyLength::Close,
        length => length,
    };
    let (close, keep) = words(&into.fields);
    into.keep_alive = !close && (version == Version::HTTP_11 || keep) && into.body != BodyLength::Close;
    Ok(())
}

/// Reads the lines after the last chunk. Names that frame or route a message mean nothing there.
pub(crate) fn trailers(lines: &[u8]) -> Result<Fields, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut fields = Fields::default();
    let Ok(httparse::Status::Complete((_, parsed))) = httparse::parse_headers(lines, &mut headers) else {
        return Err(Refusal("malformed_trailers"));
    };
    for header in parsed {
        let known = Known::of(header.name.as_bytes());
        let framing = matches!(
            known,
            Known::Host
                | Known::ContentLength
                | Known::TransferEncoding
                | Known::Connection
                | Known::Te
                | Known::Trailer
        );
        if !framing {
            fields.push(header.name.as_bytes(), header.value);
        }
    }
    Ok(fields)
}

fn complete(parsed: Result<httparse::Status<usize>, httparse::Error>) -> Result<(), Refusal> {
    match parsed {
        Ok(httparse::Status::Complete(_)) => Ok(()),
        Err(httparse::Error::TooManyHeaders) => Err(Refusal::TOO_MANY),
        Ok(httparse::Status::Partial) | Err(_) => Err(Refusal("malformed_head")),
    }
}

/// Where a part of the head stands in it.
fn span(head: &[u8], part: &[u8]) -> Span {
    if part.is_empty() {
        return Span::default();
    }
    Span::new(part.as_ptr().addr() - head.as_ptr().addr(), part.len())
}

/// Reads the target; gives the authority that is written in it.
fn aim(head: &[u8], method: &str, target: &str, into: &mut Request) -> Result<Option<Span>, Refusal> {
    // A fragment is never sent, and everything beyond ASCII is percent-encoded (RFC 3986).
    if target.bytes().any(|byte| byte == b'#' || !byte.is_ascii_graphic()) {
        return Err(Refusal("malformed_target"));
    }
    if method == "CONNECT" {
        into.path = into.fields.store(b"/");
        return Ok(Some(span(head, target.as_bytes())));
    }
    let (written, rest) = match target.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("http://") => {
            let rest = &target[7..];
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            (Some(span(head, &rest.as_bytes()[..end])), &rest[end..])
        }
        _ if target.starts_with('/') || (target == "*" && method == "OPTIONS") => (None, target),
        _ => return Err(Refusal("malformed_target")),
    };
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    into.path = if path.is_empty() { into.fields.store(b"/") } else { span(head, path.as_bytes()) };
    into.query = query.map(|query| span(head, query.as_bytes()));
    Ok(written)
}

/// Says where a message ends, if there is but one reading of it (RFC 9112, 6.3 and 11.2).
fn framing(fields: &Fields, version: Version) -> Result<BodyLength, Refusal> {
    let (mut lengths, mut encodings) = (fields.all(Known::ContentLength), fields.all(Known::TransferEncoding));
    match (lengths.next(), encodings.next()) {
        (None, None) => Ok(BodyLength::None),
        (Some(_), Some(_)) => Err(Refusal("length_and_transfer_encoding")),
        (Some(length), None) => {
            if lengths.next().is_some() {
                return Err(Refusal("several_content_lengths"));
            }
            number(length).map(|length| if length == 0 { BodyLength::None } else { BodyLength::Known(length) })
        }
        (None, Some(encoding)) => {
            if encodings.next().is_some() {
                return Err(Refusal("several_transfer_encodings"));
            }
            if version != Version::HTTP_11 {
                return Err(Refusal("transfer_encoding_in_wrong_version"));
            }
            if !encoding.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal("unknown_transfer_encoding"));
            }
            Ok(BodyLength::Open)
        }
    }
}

fn number(value: &[u8]) -> Result<u64, Refusal> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|value| value.parse().ok());
    number.ok_or(Refusal("malformed_content_length"))
}

/// Finds the one authority that the request is for.
fn authority(method: &str, written: Option<Span>, into: &mut Request) -> Result<(), &'static str> {
    if method == "CONNECT" {
        return Err("connect_not_configured");
    }
    let mut hosts = into.fields.all(Known::Host);
    if hosts.next().is_some() && hosts.next().is_some() {
        return Err("several_hosts");
    }
    let host = into.fields.span(Known::Host);
    into.authority = match (written, host) {
        (Some(written), Some(host)) if !into.fields.slice(written).eq_ignore_ascii_case(into.fields.slice(host)) => {
            return Err("two_authorities");
        }
        (Some(authority), _) | (None, Some(authority)) => authority,
        (None, None) => return Err("no_host"),
    };
    if is_authority(into.fields.slice(into.authority)) { Ok(()) } else { Err("malformed_host") }
}

/// Says whether text is a host with or without a port, and no user.
pub(crate) fn is_authority(text: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if text.is_empty() || text.contains(&b'@') {
        return false;
    }
    if text.iter().all(plain) {
        return true;
    }
    let port = match text.iter().rposition(|byte| *byte == b':') {
        Some(at) if !text[at..].contains(&b']') => &text[at + 1..],
        _ => &[],
    };
    if port.len() > 5 || !port.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let host = &text[..text.len() - port.len()];
    host.strip_suffix(b":").is_some_and(|host| !host.is_empty() && host.iter().all(plain))
        || http::uri::Authority::try_from(text).is_ok()
}

/// Reads what the client wants of its connection.
fn connection(into: &mut Request) {
    let (close, keep) = words(&into.fields);
    into.keep_alive = !close && (into.version == Version::HTTP_11 || keep);
    into.expects = into.version == Version::HTTP_11
        && into.fields.get(Known::Expect).is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
    if let Some(protocol) = into.fields.span(Known::Upgrade) {
        let asked = into.fields.all(Known::Connection).any(|value| lists(value, b"upgrade"));
        // h2c by upgrade is obsolete (RFC 9113): it is answered as plain HTTP/1.1.
        let fine = into.body == BodyLength::None && !into.fields.slice(protocol).eq_ignore_ascii_case(b"h2c");
        into.upgrade = (asked && fine).then_some(protocol);
    }
}

/// Says whether `Connection` holds `close`, and `keep-alive`.
fn words(fields: &Fields) -> (bool, bool) {
    if !fields.contains(Known::Connection) {
        return (false, false);
    }
    let any = |word| fields.all(Known::Connection).any(|value| lists(value, word));
    (any(b"close"), any(b"keep-alive"))
}

fn lists(list: &[u8], word: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests;
