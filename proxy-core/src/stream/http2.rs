//! An exchange over one stream of HTTP/2.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::client::ResponseFuture;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Answering, Fault, Next};
use crate::head::{BodyLength, Fields, Known, Request, Response};

/// A stream and where its exchange stands.
#[derive(Debug, Default)]
pub(crate) struct Http2 {
    receive: Option<RecvStream>,
    current: Bytes,
    ended: bool,
    trailers: Option<Fields>,
    send: Option<SendStream<Bytes>>,
    pub(crate) finished: bool,
    /// Downstream: where the answer goes.
    respond: Option<SendResponse<Bytes>>,
    /// Upstream: where it comes from.
    waiting: Option<ResponseFuture>,
}

impl Http2 {
    /// Takes a client's stream.
    pub(crate) fn server(receive: RecvStream, respond: SendResponse<Bytes>) -> Self {
        Self { receive: Some(receive), respond: Some(respond), ..Self::default() }
    }

    /// Takes a stream to an upstream.
    pub(crate) fn client(waiting: ResponseFuture, send: SendStream<Bytes>, finished: bool) -> Self {
        Self { waiting: Some(waiting), send: Some(send), finished, ..Self::default() }
    }

    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next, Fault>> {
        loop {
            if !self.current.is_empty() {
                return Poll::Ready(Ok(Next::Data));
            }
            let Some(receive) = self.receive.as_mut().filter(|_| !self.ended) else {
                return Poll::Ready(Ok(Next::End));
            };
            match ready!(receive.poll_data(cx)) {
                Some(Ok(data)) => self.current = data,
                Some(Err(error)) => return Poll::Ready(Err(fault(&error))),
                None => {
                    let trailers = ready!(receive.poll_trailers(cx)).map_err(|error| fault(&error))?;
                    self.trailers = trailers.as_ref().map(to_fields);
                    self.ended = true;
                }
            }
        }
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.current
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.current.advance(count);
        if let Some(receive) = &mut self.receive {
            // It fails for a stream that is gone, which the next read says too.
            let _gone = receive.flow_control().release_capacity(count);
        }
    }

    pub(super) const fn trailers(&mut self) -> Option<Fields> {
        self.trailers.take()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.current.is_empty() && (self.ended || self.receive.as_ref().is_none_or(RecvStream::is_end_stream))
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Fault>> {
        let Some(send) = &mut self.send else { return Poll::Ready(Ok(data.len())) };
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        send.reserve_capacity(data.len());
        match ready!(send.poll_capacity(cx)) {
            Some(Ok(room)) => {
                let taken = room.min(data.len());
                let piece = Bytes::copy_from_slice(&data[..taken]);
                send.send_data(piece, false).map_err(|error| fault(&error))?;
                Poll::Ready(Ok(taken))
            }
            Some(Err(error)) => Poll::Ready(Err(fault(&error))),
            None => Poll::Ready(Err(Fault::Closed)),
        }
    }

    pub(super) fn finish(&mut self, trailers: Option<&Fields>) -> Result<(), Fault> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        let Some(send) = &mut self.send else { return Ok(()) };
        match trailers {
            Some(trailers) => send.send_trailers(to_map(trailers)),
            None => send.send_data(Bytes::new(), true),
        }
        .map_err(|error| fault(&error))
    }

    pub(super) fn poll_response(&mut self, cx: &mut Context<'_>, into: &mut Response) -> Poll<Result<(), Fault>> {
        let Some(waiting) = &mut self.waiting else { return Poll::Ready(Err(Fault::Closed)) };
        let (head, body) = ready!(std::pin::Pin::new(waiting).poll(cx)).map_err(|error| fault(&error))?.into_parts();
        self.waiting = None;
        into.clear();
        into.status = head.status.as_u16();
        copy(&head.headers, &mut into.fields);
        let length = into.fields.text(Known::ContentLength).and_then(|value| value.parse().ok());
        into.body = match length {
            _ if body.is_end_stream() => BodyLength::None,
            Some(length) => BodyLength::Known(length),
            None => BodyLength::Open,
        };
        into.keep_alive = true;
        self.receive = Some(body);
        Poll::Ready(Ok(()))
    }

    pub(super) fn respond(&mut self, answering: Answering, fields: &Fields) -> Result<(), Fault> {
        let Some(mut respond) = self.respond.take() else { return Err(Fault::Closed) };
        let mut response = http::Response::new(());
        *response.status_mut() = http::StatusCode::from_u16(answering.status).map_err(|_| Fault::Closed)?;
        *response.headers_mut() = to_map(fields);
        let ends = answering.head_only || answering.body == BodyLength::None;
        let send = respond.send_response(response, ends).map_err(|error| fault(&error))?;
        self.finished = ends;
        self.send = Some(send);
        Ok(())
    }

    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match (&mut self.respond, &mut self.send) {
            (Some(respond), _) => respond.poll_reset(cx).map(drop),
            (None, Some(send)) => send.poll_reset(cx).map(drop),
            (None, None) => Poll::Pending,
        }
    }

    /// Gives the stream up, for a reason.
    pub(crate) fn reset(&mut self, reason: Reason) {
        if let Some(send) = self.send.as_mut().filter(|_| !self.finished) {
            send.send_reset(reason);
        } else if let Some(respond) = &mut self.respond {
            respond.send_reset(reason);
        }
    }
}

fn fault(error: &h2::Error) -> Fault {
    match error.reason() {
        Some(Reason::REFUSED_STREAM) => Fault::Refused,
        Some(Reason::PROTOCOL_ERROR | Reason::FRAME_SIZE_ERROR | Reason::COMPRESSION_ERROR) if !error.is_remote() => {
            Fault::Malformed("malformed_http2")
        }
        _ => Fault::Closed,
    }
}

/// Copies headers.
pub(crate) fn to_fields(map: &HeaderMap) -> Fields {
    let mut fields = Fields::default();
    copy(map, &mut fields);
    fields
}

fn copy(map: &HeaderMap, fields: &mut Fields) {
    map.iter().for_each(|(name, value)| fields.push(name.as_str().as_bytes(), value.as_bytes()));
}

fn to_map(fields: &Fields) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(fields.len());
    for (known, name, value) in fields.numbered() {
        // HTTP/2 has no headers of the connection (RFC 9113, 8.2.2).
        if matches!(known, Known::Connection | Known::TransferEncoding | Known::KeepAlive | Known::Host) {
            continue;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    map
}

/// The head of a request for an upstream.
pub(crate) fn request_of(
    line: (&[u8], &[u8], Option<&[u8]>),
    authority: &[u8],
    fields: &Fields,
    more: &[(&str, &[u8])],
) -> Option<http::Request<()>> {
    let (method, path, query) = line;
    let mut target = path.to_vec();
    if let Some(query) = query {
        target.push(b'?');
        target.extend_from_slice(query);
    }
    let uri = http::Uri::builder()
        .scheme(http::uri::Scheme::HTTP)
        .authority(authority)
        .path_and_query(target.as_slice())
        .build()
        .ok()?;
    let mut request = http::Request::new(());
    *request.version_mut() = http::Version::HTTP_2;
    *request.method_mut() = http::Method::from_bytes(method).ok()?;
    *request.uri_mut() = uri;
    *request.headers_mut() = to_map(fields);
    for (name, value) in more {
        let (name, value) = (HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value).ok()?);
        request.headers_mut().insert(name, value);
    }
    Some(request)
}

/// Takes the head of a client's request.
pub(crate) fn take(head: &http::request::Parts, ended: bool, into: &mut Request) {
    into.clear();
    into.version = http::Version::HTTP_2;
    copy(&head.headers, &mut into.fields);
    into.method = into.fields.store(head.method.as_str().as_bytes());
    let path = if head.uri.path().is_empty() { "/" } else { head.uri.path() };
    into.path = into.fields.store(path.as_bytes());
    into.query = head.uri.query().map(|query| into.fields.store(query.as_bytes()));
    let length = into.fields.text(Known::ContentLength).and_then(|value| value.parse().ok());
    into.body = match length {
        _ if ended => BodyLength::None,
        Some(length) => BodyLength::Known(length),
        None => BodyLength::Open,
    };
    into.refusal = authority(head, into).err();
}

fn authority(head: &http::request::Parts, into: &mut Request) -> Result<(), &'static str> {
    if head.method == http::Method::CONNECT {
        return Err("connect_not_configured");
    }
    if !head.uri.path().is_ascii() || !head.uri.query().unwrap_or_default().is_ascii() {
        return Err("malformed_target");
    }
    if into.fields.contains(Known::TransferEncoding) {
        return Err("transfer_encoding_in_wrong_version");
    }
    if into.fields.all(Known::ContentLength).count() > 1 {
        return Err("several_content_lengths");
    }
    if into.fields.all(Known::Host).count() > 1 {
        return Err("several_hosts");
    }
    let host = into.fields.span(Known::Host);
    let written = head.uri.authority().map(|authority| into.fields.store(authority.as_str().as_bytes()));
    into.authority = match (written, host) {
        (Some(written), Some(host)) if !into.fields.slice(written).eq_ignore_ascii_case(into.fields.slice(host)) => {
            return Err("two_authorities");
        }
        (Some(authority), _) | (None, Some(authority)) => authority,
        (None, None) => return Err("no_host"),
    };
    if crate::http1::is_authority(into.fields.slice(into.authority)) { Ok(()) } else { Err("malformed_host") }
}
