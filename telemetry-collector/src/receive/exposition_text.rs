//! Characters, names and quoted texts of an exposition.

use std::borrow::Cow;

/// A place in one line.
pub(super) struct Cursor<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(line: &'a str) -> Self {
        Self { line, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn eat(&mut self, expected: char) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    pub(super) fn blanks(&mut self) {
        self.at = self.line.len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    /// Takes a name: letters, digits, `_`, and `:` in metric names; empty when there is none.
    pub(super) fn name(&mut self, colons: bool) -> &'a str {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let fits = |at: usize| match bytes[at] {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => true,
            b':' => colons,
            b'0'..=b'9' => at > 0,
            _ => false,
        };
        let end = (0..bytes.len()).find(|&at| !fits(at)).unwrap_or(bytes.len());
        self.at += end;
        &rest[..end]
    }

    /// Takes a text in double quotes.
    pub(super) fn quoted(&mut self) -> Result<Cow<'a, str>, &'static str> {
        if !self.eat('"') {
            return Err("expected a text in double quotes");
        }
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let mut at = 0;
        while at < bytes.len() && bytes[at] != b'"' {
            at += if bytes[at] == b'\\' { 2 } else { 1 };
        }
        if at >= bytes.len() {
            return Err("a text in double quotes does not end");
        }
        self.at += at + 1;
        unescape(&rest[..at]).ok_or("unknown escape in a text")
    }
}

/// Undoes `\\`, `\n` and `\"`; borrows when there is nothing to undo.
pub(super) fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            plain.push(char);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some('\\') => plain.push('\\'),
            Some('"') => plain.push('"'),
            // As Prometheus does: an unknown escape stands for itself.
            Some(other) => plain.extend(['\\', other]),
            None => return None,
        }
    }
    Some(Cow::Owned(plain))
}
