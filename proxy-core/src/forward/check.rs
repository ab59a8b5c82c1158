//! What a head must look like before it is looked up: strict, since proxies that read a message differently can be played
//! off against each other.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Method, Version};

/// Why a request is refused, as a fixed word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) &'static str);

/// Checks the framing and gives the authority that the request is for.
pub(crate) fn authority(head: &Parts) -> Result<String, Refusal> {
    framing(head)?;
    if head.method == Method::CONNECT {
        return Err(Refusal("connect_not_configured"));
    }
    if !head.uri.path().is_ascii() || !head.uri.query().unwrap_or_default().is_ascii() {
        return Err(Refusal("malformed_target"));
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return Err(Refusal("several_hosts")),
        (Some(host), None) => Some(host.to_str().map_err(|_| Refusal("malformed_host"))?),
        (None, None) => None,
    };
    let written = head.uri.authority().map(Authority::as_str);
    let authority = match (written, host) {
        (Some(written), Some(host)) if !written.eq_ignore_ascii_case(host) => return Err(Refusal("two_authorities")),
        (Some(authority), _) | (None, Some(authority)) => authority,
        (None, None) => return Err(Refusal("no_host")),
    };
    if authority.contains('@') || authority.is_empty() || authority.parse::<Authority>().is_err() {
        return Err(Refusal("malformed_host"));
    }
    Ok(authority.to_owned())
}

/// Refuses what lets two parsers see different ends of a message (RFC 9112, 6.3 and 11.2).
fn framing(head: &Parts) -> Result<(), Refusal> {
    let encodings: Vec<_> = head.headers.get_all(TRANSFER_ENCODING).iter().collect();
    let lengths = head.headers.get_all(CONTENT_LENGTH).iter().count();
    if lengths > 1 {
        return Err(Refusal("several_content_lengths"));
    }
    let [encoding] = encodings.as_slice() else {
        return if encodings.is_empty() { Ok(()) } else { Err(Refusal("several_transfer_encodings")) };
    };
    if head.version != Version::HTTP_11 {
        return Err(Refusal("transfer_encoding_in_wrong_version"));
    }
    if lengths > 0 {
        return Err(Refusal("length_and_transfer_encoding"));
    }
    if !encoding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(Refusal("unknown_transfer_encoding"));
    }
    Ok(())
}

/// Gives the port of an authority, or the default of cleartext HTTP.
pub(crate) fn port_of(authority: &str) -> u16 {
    authority.parse::<Authority>().ok().and_then(|authority| authority.port_u16()).unwrap_or(80)
}

/// Says whether the client wants another protocol on this connection.
pub(crate) fn upgrade(headers: &HeaderMap) -> bool {
    let connection = headers.get_all(http::header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let asked = connection.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case("upgrade"));
    // h2c by upgrade is obsolete (RFC 9113): it is answered as plain HTTP/1.1.
    let protocol = headers.get(http::header::UPGRADE).and_then(|value| value.to_str().ok());
    asked && protocol.is_some_and(|protocol| !protocol.eq_ignore_ascii_case("h2c"))
}
