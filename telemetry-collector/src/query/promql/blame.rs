//! What is wrong with a query, and where, in Prometheus's words.
//!
//! The parser tells no positions. A query that it refuses is read again here, by Prometheus's own lexer, grammar and
//! rules of types as far as its messages need them; the first complaint is the answer.

mod grammar;
mod operand;
mod selector;
mod signatures;
#[cfg(test)]
mod tests;
mod tree;
mod types;
mod words;

/// What is wrong, and at which byte.
#[derive(Debug)]
struct Fault {
    at: usize,
    text: String,
}

/// Says what is wrong with a query that the parser refused with `reason`.
pub(super) fn explain(query: &str, reason: &str) -> String {
    let checked = grammar::read(query).and_then(|tree| types::check(&tree));
    match checked {
        Err(fault) if fault.at <= query.len() => format!("{}: parse error: {}", position(query, fault.at), fault.text),
        Err(fault) => format!("unknown position: parse error: {}", fault.text),
        Ok(()) => format!("parse error: {reason}"),
    }
}

/// Writes `LINE:COLUMN` of a byte, both from one.
fn position(query: &str, at: usize) -> String {
    let before = query.get(..at).unwrap_or(query);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    format!("{}:{}", before.matches('\n').count() + 1, at - line_start + 1)
}
