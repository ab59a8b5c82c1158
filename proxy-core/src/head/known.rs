//! Header names that the proxy itself looks at, told apart once when a head is read.

/// A header name by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Known {
    Other,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    KeepAlive,
    ProxyConnection,
    Te,
    Trailer,
    Upgrade,
    Expect,
    ContentType,
    UserAgent,
    Cookie,
    Origin,
    Location,
    RequestId,
    ForwardedFor,
    ForwardedProto,
    Traceparent,
    B3,
    B3Trace,
    B3Span,
    B3Parent,
    B3Sampled,
    B3Flags,
    GrpcStatus,
    GrpcMessage,
    GrpcTimeout,
    Peer,
    AttemptCount,
    PreflightMethod,
    Http2Settings,
}

use Known as K;

/// Names, in lower case, in the order of [`Known`].
const NAMES: [(&str, Known); 33] = [
    ("", K::Other),
    ("host", K::Host),
    ("content-length", K::ContentLength),
    ("transfer-encoding", K::TransferEncoding),
    ("connection", K::Connection),
    ("keep-alive", K::KeepAlive),
    ("proxy-connection", K::ProxyConnection),
    ("te", K::Te),
    ("trailer", K::Trailer),
    ("upgrade", K::Upgrade),
    ("expect", K::Expect),
    ("content-type", K::ContentType),
    ("user-agent", K::UserAgent),
    ("cookie", K::Cookie),
    ("origin", K::Origin),
    ("location", K::Location),
    ("x-request-id", K::RequestId),
    ("x-forwarded-for", K::ForwardedFor),
    ("x-forwarded-proto", K::ForwardedProto),
    ("traceparent", K::Traceparent),
    ("b3", K::B3),
    ("x-b3-traceid", K::B3Trace),
    ("x-b3-spanid", K::B3Span),
    ("x-b3-parentspanid", K::B3Parent),
    ("x-b3-sampled", K::B3Sampled),
    ("x-b3-flags", K::B3Flags),
    ("grpc-status", K::GrpcStatus),
    ("grpc-message", K::GrpcMessage),
    ("grpc-timeout", K::GrpcTimeout),
    ("x-wattle-peer", K::Peer),
    ("x-envoy-attempt-count", K::AttemptCount),
    ("access-control-request-method", K::PreflightMethod),
    ("http2-settings", K::Http2Settings),
];

impl Known {
    /// Tells a name; any case.
    pub(crate) fn of(name: &[u8]) -> Self {
        let candidates: &[Self] = match name.len() {
            2 => &[K::Te, K::B3],
            4 => &[K::Host],
            6 => &[K::Cookie, K::Expect, K::Origin],
            7 => &[K::Upgrade, K::Trailer],
            8 => &[K::Location],
            10 => &[K::Connection, K::UserAgent, K::KeepAlive, K::B3Flags],
            11 => &[K::Traceparent, K::GrpcStatus, K::B3Span],
            12 => &[K::ContentType, K::RequestId, K::GrpcTimeout, K::GrpcMessage, K::B3Trace, K::B3Sampled],
            13 => &[K::Peer],
            14 => &[K::ContentLength, K::Http2Settings],
            15 => &[K::ForwardedFor],
            16 => &[K::ProxyConnection],
            17 => &[K::TransferEncoding, K::ForwardedProto, K::B3Parent],
            21 => &[K::AttemptCount],
            29 => &[K::PreflightMethod],
            _ => return K::Other,
        };
        let first = name[0].to_ascii_lowercase();
        for known in candidates {
            let text = known.text().as_bytes();
            if text[0] == first && name.eq_ignore_ascii_case(text) {
                return *known;
            }
        }
        K::Other
    }

    /// Gives the name in lower case.
    pub(crate) const fn text(self) -> &'static str {
        NAMES[self as usize].0
    }

    /// Gives the bit that stands for it.
    pub(super) const fn bit(self) -> u64 {
        1 << self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_told_in_any_case_and_others_are_not() {
        for (index, (name, known)) in NAMES.iter().enumerate() {
            assert_eq!(*known as usize, index);
            assert_eq!(Known::of(name.to_uppercase().as_bytes()), *known, "{name}");
        }
        for other in ["hos", "hosts", "x-b3", "content-lengtH2", "x-request-ix"] {
            assert_eq!(Known::of(other.as_bytes()), Known::Other);
        }
    }
}
