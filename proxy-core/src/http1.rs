//! HTTP/1.1, own codec: strict where proxies differ, since what one reads otherwise than the next can be played off.
//!
//! ```text
//! Wire (socket, input, output) ── read ──► Head text, BodyReader
//!                              ◄─ write ── Head text, BodyWriter
//! ```
//!
//! Of five proxies that were watched the strictest answer counts: see the table in `docs/proxy.md`.

mod body;
mod chunk;
mod parse;
mod wire;
mod write;

pub(crate) use body::{BodyReader, Piece};
pub(crate) use parse::{Refusal, head_end, is_authority, request, response, trailers};
pub(crate) use wire::Wire;
pub(crate) use write::{BodyWriter, request_head, response_head};
