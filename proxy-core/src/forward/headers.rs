//! Headers that concern one hop only, and those that every hop adds.

use http::header::{CONNECTION, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dice::Dice;
use crate::telemetry::PEER_HEADER;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Takes out what concerns one hop only, and what `Connection` names (RFC 9110, 7.6.1).
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // `Connection: host` and its like would take away what the message needs.
    let needed = [HOST, http::header::CONTENT_LENGTH, TE];
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .filter(|name| !needed.contains(name))
        .collect();
    for name in named {
        headers.remove(name);
    }
    // gRPC needs `te: trailers` on every hop; anything else in it is for this hop alone.
    let trailers = headers
        .get(TE)
        .and_then(|te| te.to_str().ok())
        .is_some_and(|te| te.split(',').any(|word| word.trim() == "trailers"));
    for name in [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Keeps `Trailer` out of what hyper would frame wrongly for a body that has none.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    let trailer = headers.get(TRAILER).cloned();
    strip_hop_by_hop(headers);
    if let Some(trailer) = trailer {
        headers.insert(TRAILER, trailer);
    }
    headers.remove(PEER_HEADER);
}

/// Gives the request's id, made here when it has none.
pub(crate) fn request_id(headers: &mut HeaderMap, dice: &Dice) -> String {
    if let Some(id) = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()) {
        return id.to_owned();
    }
    // A version 4 UUID (RFC 9562, 5.4).
    let (high, low) = (dice.roll(), dice.roll());
    let id = format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        (low >> 48) & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    );
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    id
}

/// Says for whom a gateway forwards: the peer's address is put behind what was there.
pub(crate) fn forwarded_for(headers: &mut HeaderMap, peer: std::net::IpAddr) {
    let chain: Vec<_> = headers.get_all(&FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let text = if chain.is_empty() { peer.to_string() } else { format!("{},{peer}", chain.join(",")) };
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(FORWARDED_FOR, value);
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
}

/// Says which scheme the client used, unless a proxy before said it.
pub(crate) fn forwarded_proto(headers: &mut HeaderMap) {
    headers.entry(FORWARDED_PROTO).or_insert_with(|| HeaderValue::from_static("http"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_named_in_connection_go_but_not_those_the_message_needs() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "x-secret, host, te, Content-Length, keep-alive"),
            ("x-secret", "1"),
            ("host", "a"),
            ("te", "trailers, gzip"),
            ("content-length", "3"),
            ("keep-alive", "timeout=5"),
            ("x-kept", "1"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }

        strip_hop_by_hop(&mut headers);

        let mut left: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
        left.sort();
        assert_eq!(left, ["content-length=3", "host=a", "te=trailers", "x-kept=1"]);
    }
}
