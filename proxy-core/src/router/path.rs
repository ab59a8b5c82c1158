//! Normal form of a path, so that routes and policies look at what the upstream will see.
//!
//! Istio's default (`BASE`): RFC 3986 dot segments are removed, `\` becomes `/`, percent-encoded unreserved characters
//! are decoded. Encoded slashes and repeated slashes stay: they mean something to many servers.

use std::borrow::Cow;

/// Gives the normal form; a path that has it already is not copied.
pub(crate) fn normalise(path: &str) -> Cow<'_, str> {
    if is_normal(path) {
        return Cow::Borrowed(path);
    }
    Cow::Owned(remove_dot_segments(&decode_unreserved(path)))
}

fn is_normal(path: &str) -> bool {
    path.starts_with('/') && !path.contains("/.") && !path.contains('%') && !path.contains('\\')
}

/// Decodes until nothing changes: `%6%31` becomes `%61`, which the upstream would decode to `a`. What is written is
/// looked at again at its end only, since no escape begins inside another: time grows with the length, no faster.
fn decode_unreserved(path: &str) -> String {
    let mut out = Vec::with_capacity(path.len());
    for byte in path.bytes() {
        out.push(if byte == b'\\' { b'/' } else { byte });
        while let [.., b'%', high, low] = out[..]
            && let Some(decoded) = decode(high, low).filter(|byte| is_unreserved(*byte))
        {
            out.truncate(out.len() - 3);
            out.push(decoded);
        }
    }
    String::from_utf8(out).expect("ASCII was put in place of ASCII")
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn decode(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// RFC 3986, 5.2.4, for a path that starts with a slash; empty segments count.
fn remove_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_segments_and_needless_encoding_are_removed() {
        for (given, normal) in [
            ("/x/../chat/./a", "/chat/a"),
            ("/../../etc", "/etc"),
            ("/a/%2e%2e/b", "/b"),
            ("//a/%2e%2e/b", "//b"),
            ("/a%2fb", "/a%2fb"),
            ("/a\\..\\b", "/b"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("/%61dmin", "/admin"),
            ("/%zz%4", "/%zz%4"),
            ("/%6%31dmin", "/admin"),
            ("/é/%c3", "/é/%c3"),
            ("/.hidden", "/.hidden"),
        ] {
            assert_eq!(normalise(given), normal, "{given}");
        }
    }

    #[test]
    fn encodings_in_encodings_are_undone_in_one_pass() {
        let nested = format!("/{}1", "%3".repeat(30_000));

        assert_eq!(normalise(&nested), "/1");
    }

    proptest::proptest! {
        #[test]
        fn normalising_twice_changes_nothing_more(path in "/[a-c./%2eE5f631\\\\é]{0,24}") {
            let once = normalise(&path).into_owned();
            proptest::prop_assert_eq!(normalise(&once).into_owned(), once.clone());
            proptest::prop_assert!(!once.split('/').any(|segment| segment == ".." || segment == "."));
        }
    }
}
