//! TLS on both sides: what a table says of certificates and names becomes rustls's configurations when the table is taken.
//!
//! Files are read then, and looked at again while the table is in force: a certificate that was renewed is used by the
//! next connection. What cannot be read or is not spoken here is a reason to refuse the table.

mod client;
mod files;
mod server;
mod verify;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub(crate) use client::Originator;
pub(crate) use files::Files;
pub(crate) use server::Terminator;

/// Gives the cryptography that is used.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
