//! The ways in: what arrives is parsed once, and journalled before it is acknowledged.

pub(crate) mod exposition;
mod exposition_text;
pub(crate) mod grpc;
pub(crate) mod intake;
mod known;
pub(crate) mod otlp;
pub(crate) mod remote_write;
pub(crate) mod scrape;
mod scrape_body;
mod wire;
pub(crate) mod zipkin;
