//! HTTP/1.1 as this proxy takes it: stricter than the codec behind it.
//!
//! hyper drops a `Content-Length` beside a `Transfer-Encoding` before anyone can object, and takes bare line feeds. A
//! [`Guard`] sits between it and the socket, follows where each message begins and ends, and lets only what has one
//! reading pass; what has not is replaced by bytes that hyper answers with 400, and the connection ends.

mod chunk;
mod framing;
mod guard;

pub(crate) use guard::Guard;
