//! Escaped bytes in quoted texts: the parser reads each as a character of its own, Prometheus as a byte of UTF-8.

use std::borrow::Cow;

use super::QueryError;

/// Replaces escaped bytes above 127 (`\xc3\xa4`, `\303\244`) by the characters they make.
///
/// Errors: they make none.
pub(super) fn resolve(query: &str) -> Result<Cow<'_, str>, QueryError> {
    if !query.contains('\\') {
        return Ok(Cow::Borrowed(query));
    }
    let bytes = query.as_bytes();
    let (mut out, mut at, mut quote) = (Vec::with_capacity(bytes.len()), 0, None);
    while let Some(&byte) = bytes.get(at) {
        if byte == b'\\' && matches!(quote, Some(b'"' | b'\'')) {
            match high_byte(&bytes[at + 1..]) {
                Some((byte, length)) => {
                    out.push(byte);
                    at += 1 + length;
                }
                None => {
                    out.extend(&bytes[at..bytes.len().min(at + 2)]);
                    at += 2;
                }
            }
            continue;
        }
        match quote {
            None if matches!(byte, b'"' | b'\'' | b'`') => quote = Some(byte),
            Some(open) if open == byte => quote = None,
            _ => {}
        }
        out.push(byte);
        at += 1;
    }
    let resolved = String::from_utf8(out);
    resolved.map(Cow::Owned).map_err(|_| QueryError::BadData("a quoted text of the query is no valid UTF-8".to_owned()))
}

/// Reads what follows a backslash: a byte above 127 and how long its escape is.
fn high_byte(rest: &[u8]) -> Option<(u8, usize)> {
    let (digits, radix, length) = match rest {
        [b'x', digits @ ..] => (digits.get(..2)?, 16, 3),
        digits => (digits.get(..3)?, 8, 3),
    };
    let value = u8::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()?;
    (value > 127 && digits.iter().all(u8::is_ascii_hexdigit)).then_some((value, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_bytes_become_characters_or_are_refused() {
        assert_eq!(resolve(r#"{a="\xc3\xa4\303\244\x41\n"}"#).expect("UTF-8"), r#"{a="ää\x41\n"}"#);
        assert_eq!(resolve(r"{a=`\xff`}").expect("raw"), r"{a=`\xff`}");
        assert!(resolve(r#"label_replace(a, "\xff", "", "", "")"#).is_err());
        assert!(resolve(r#""\"#).is_ok());
    }
}
