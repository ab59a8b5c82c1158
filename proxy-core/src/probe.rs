//! What the data plane makes of bytes, without sockets: for tests and fuzz targets that compare it with other parsers.

use std::sync::Arc;

use wattle_contract::RouteTable;

use crate::buffer::Buffer;
use crate::head::Request;
use crate::http1::{BodyReader, Piece, head_end, request};
use crate::router::{Head, Hosts, normalise};

/// A request as the codec reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// The method.
    pub method: String,
    /// Path without query, as it came.
    pub path: String,
    /// Headers in their order, as they came.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body, its framing taken out.
    pub body: Vec<u8>,
    /// How many bytes the request had.
    pub end: usize,
    /// Why it is answered with 400 although it can be read; `None` when it is sent on.
    pub refusal: Option<&'static str>,
}

/// What bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The beginning of a request.
    Partial,
    /// No request, and why, as a fixed word.
    Refused(&'static str),
    /// A request.
    Whole(Whole),
}

/// Reads one request off the front of bytes.
#[must_use]
pub fn read_request(bytes: &[u8]) -> Reading {
    let end = match head_end(bytes, 0) {
        Ok(Some(end)) => end,
        Ok(None) => return Reading::Partial,
        Err(refusal) => return Reading::Refused(refusal.0),
    };
    let mut head = Request::default();
    if let Err(refusal) = request(&bytes[..end], 100, &mut head) {
        return Reading::Refused(refusal.0);
    }
    let (mut reader, mut input, mut body) = (BodyReader::new(head.body), Buffer::default(), Vec::new());
    input.append(&bytes[end..]);
    loop {
        match reader.piece(&mut input) {
            Ok(Piece::End) => break,
            Ok(Piece::More) => return Reading::Partial,
            Ok(Piece::Data) => {
                let data = reader.data(&input);
                body.extend_from_slice(data);
                let count = data.len();
                reader.consume(&mut input, count);
            }
            Err(refusal) => return Reading::Refused(refusal.0),
        }
    }
    Reading::Whole(Whole {
        method: head.method().to_owned(),
        path: head.path().to_owned(),
        headers: head.fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
        body,
        end: bytes.len() - input.len(),
        refusal: head.refusal,
    })
}

/// Gives the name of the route that a request takes through the outbound listener.
#[must_use]
pub fn route(table: &Arc<RouteTable>, port: u16, bytes: &[u8]) -> Option<String> {
    let end = head_end(bytes, 0).ok()??;
    let mut head = Request::default();
    request(&bytes[..end], 100, &mut head).ok()?;
    let routes = table.outbound.iter().find(|routes| routes.port == port)?;
    let hosts = Hosts::compile(&routes.hosts, &mut Vec::new());
    let path = normalise(head.path());
    let view = Head {
        scheme: "http",
        method: head.method(),
        authority: head.authority(),
        path: &path,
        query: head.query(),
        headers: &head.fields,
    };
    let matched = hosts.find(head.authority())?.route(&view)?;
    Some(matched.route.name.clone())
}
