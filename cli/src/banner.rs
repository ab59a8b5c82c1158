//! What a person sees first: one line per listener.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// Writes the listeners as lines: what, address.
pub(crate) fn listeners(bound: &[(String, SocketAddr)]) -> String {
    let width = bound.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, address) in bound {
        writeln!(text, "  {name:width$}  {address}").expect("writing to a String cannot fail");
    }
    text
}
