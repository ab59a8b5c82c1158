//! Headers that concern one hop only, and those that every hop adds.

use crate::dice::Dice;
use crate::head::{Fields, Known, Span};
use crate::telemetry::hex;

/// Takes out what concerns one hop only, and what `Connection` names (RFC 9110, 7.6.1).
pub(crate) fn strip_hop_by_hop(headers: &mut Fields) {
    if headers.contains(Known::Connection) {
        strip_named(headers);
    }
    // gRPC needs `te: trailers` on every hop; anything else in it is for this hop alone.
    if headers.contains(Known::Te) {
        let trailers = headers
            .text(Known::Te)
            .is_some_and(|te| te.split(',').any(|word| word.trim().eq_ignore_ascii_case("trailers")));
        headers.remove(Known::Te);
        if trailers {
            headers.add(Known::Te, b"trailers");
        }
    }
    for known in [
        Known::Connection,
        Known::KeepAlive,
        Known::ProxyConnection,
        Known::TransferEncoding,
        Known::Upgrade,
        Known::Http2Settings,
    ] {
        headers.remove(known);
    }
    // The word is given by this hop, when the body is wanted.
    if headers.get(Known::Expect).is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue")) {
        headers.remove(Known::Expect);
    }
}

#[cold]
fn strip_named(headers: &mut Fields) {
    let named: Vec<Vec<u8>> = headers
        .all(Known::Connection)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(|name| name.trim_ascii().to_vec())
        .collect();
    for name in named {
        let known = Known::of(&name);
        // `Connection: host` and its like would take away what the message needs.
        if !matches!(known, Known::Host | Known::ContentLength | Known::Te) {
            headers.remove_text(known, &name);
        }
    }
}

/// Takes out of a response what concerns this hop only.
pub(crate) fn strip_response(headers: &mut Fields) {
    strip_hop_by_hop(headers);
    headers.remove(Known::Peer);
}

/// Gives the request's id, made here when it has none.
pub(crate) fn request_id(headers: &mut Fields, dice: &Dice) -> Span {
    if let (Some(span), Some(_)) = (headers.span(Known::RequestId), headers.text(Known::RequestId)) {
        return span;
    }
    // A version 4 UUID (RFC 9562, 5.4).
    let (high, low) = (dice.roll(), dice.roll());
    let mut id = [b'-'; 36];
    hex(high >> 32, &mut id[..8]);
    hex(high >> 16, &mut id[9..13]);
    hex(high & 0xfff | 0x4000, &mut id[14..18]);
    hex((low >> 48) & 0x3fff | 0x8000, &mut id[19..23]);
    hex(low, &mut id[24..]);
    headers.set(Known::RequestId, &id);
    headers.span(Known::RequestId).unwrap_or_default()
}

/// Says for whom a gateway forwards: the peer's address is put behind what was there.
pub(crate) fn forwarded_for(headers: &mut Fields, peer: &str, scheme: &str) {
    if headers.contains(Known::ForwardedFor) {
        let chain: Vec<_> = headers.all(Known::ForwardedFor).map(String::from_utf8_lossy).collect();
        let text = format!("{},{peer}", chain.join(","));
        headers.set(Known::ForwardedFor, text.as_bytes());
    } else {
        headers.add(Known::ForwardedFor, peer.as_bytes());
    }
    headers.set(Known::ForwardedProto, scheme.as_bytes());
}

/// Says which scheme the client used, unless a proxy before said it.
pub(crate) fn forwarded_proto(headers: &mut Fields, scheme: &str) {
    if !headers.contains(Known::ForwardedProto) {
        headers.add(Known::ForwardedProto, scheme.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_named_in_connection_go_but_not_those_the_message_needs() {
        let mut headers: Fields = [
            ("connection", "x-secret, host, te, Content-Length, keep-alive"),
            ("X-Secret", "1"),
            ("host", "a"),
            ("te", "trailers, gzip"),
            ("content-length", "3"),
            ("keep-alive", "timeout=5"),
            ("x-kept", "1"),
        ]
        .into_iter()
        .collect();

        strip_hop_by_hop(&mut headers);

        let mut left: Vec<_> = headers.iter().map(|(name, value)| [name, b"=", value].concat()).collect();
        left.sort();
        assert_eq!(left, [&b"content-length=3"[..], b"host=a", b"te=trailers", b"x-kept=1"]);
    }

    #[test]
    fn an_id_is_made_once_and_kept() {
        let mut headers = Fields::default();

        let made = request_id(&mut headers, &Dice::new(1));

        assert_eq!(headers.str(made).as_bytes()[14], b'4');
        assert_eq!((request_id(&mut headers, &Dice::new(2)), headers.len()), (made, 1));
    }
}
