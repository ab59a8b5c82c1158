//! A request and a response as the proxy sees them, whatever protocol they came by.

use http::Version;

use super::{Fields, Known, Span};

/// How long a body is, as its head says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// There is none.
    #[default]
    None,
    /// This many bytes.
    Known(u64),
    /// It ends when it ends: chunked, or an HTTP/2 stream.
    Open,
    /// The end of the connection ends it (responses alone).
    Close,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Headers; every span below is of their text.
    pub(crate) fields: Fields,
    pub(crate) method: Span,
    /// Path without query; normalised once the request was begun.
    pub(crate) path: Span,
    pub(crate) query: Option<Span>,
    /// Host and port, from the target or the `Host` header.
    pub(crate) authority: Span,
    pub(crate) version: Version,
    pub(crate) body: BodyLength,
    /// The protocol the client wants on this connection instead.
    pub(crate) upgrade: Option<Span>,
    /// Whether the client's connection may serve another request.
    pub(crate) keep_alive: bool,
    /// Whether the client waits for a word before it sends its body.
    pub(crate) expects: bool,
    /// Why it is not taken although it could be read, as a fixed word.
    pub(crate) refusal: Option<&'static str>,
}

/// A response's head.
#[derive(Clone, Debug, Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    pub(crate) body: BodyLength,
    /// Whether the upstream's connection may serve another request.
    pub(crate) keep_alive: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            fields: Fields::default(),
            method: Span::default(),
            path: Span::default(),
            query: None,
            authority: Span::default(),
            version: Version::HTTP_11,
            body: BodyLength::None,
            upgrade: None,
            keep_alive: true,
            expects: false,
            refusal: None,
        }
    }
}

impl Request {
    /// Forgets everything but the memory.
    pub(crate) fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = Self { fields, ..Self::default() };
    }

    pub(crate) fn method(&self) -> &str {
        self.fields.str(self.method)
    }

    pub(crate) fn path(&self) -> &str {
        self.fields.str(self.path)
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.query.map(|query| self.fields.str(query))
    }

    pub(crate) fn authority(&self) -> &str {
        self.fields.str(self.authority)
    }

    /// Says whether a gRPC client asks.
    pub(crate) fn is_grpc(&self) -> bool {
        self.fields.get(Known::ContentType).is_some_and(|value| value.starts_with(b"application/grpc"))
    }
}

impl Response {
    pub(crate) fn clear(&mut self) {
        self.fields.clear();
        (self.status, self.body, self.keep_alive) = (0, BodyLength::None, false);
    }

    pub(crate) fn grpc_status(&self) -> Option<u32> {
        grpc_status(&self.fields)
    }
}

/// Reads the gRPC status from a head or from trailers.
pub(crate) fn grpc_status(fields: &Fields) -> Option<u32> {
    fields.text(Known::GrpcStatus)?.parse().ok()
}
