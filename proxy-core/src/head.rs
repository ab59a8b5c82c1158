//! Heads of messages: one piece of text, and where in it each part stands.
//!
//! A head is copied once, as it came, and never taken apart: looking a header up gives a slice, removing one marks it,
//! adding one appends. What is sent on is written from the same text.

mod fields;
mod known;
mod message;

pub(crate) use fields::{Fields, Name, Span, visible};
pub(crate) use known::Known;
pub(crate) use message::{BodyLength, Request, Response, grpc_status};
