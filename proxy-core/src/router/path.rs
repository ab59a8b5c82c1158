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
    // `%6%31` decodes to `%61`, which the upstream would decode to `a`: go on until nothing changes. Each round that
    // changes something shortens the text or removes a backslash, so this ends.
    let mut text = decode_unreserved(path);
    loop {
        let next = decode_unreserved(&text);
        if next == text {
            return Cow::Owned(remove_dot_segments(&text));
        }
        text = next;
    }
}

fn is_normal(path: &str) -> bool {
    path.starts_with('/') && !path.contains("/.") && !path.contains('%') && !path.contains('\\')
}

fn decode_unreserved(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let decoded = rest.as_bytes().get(1..3).filter(|_| first == '%').and_then(decode);
        match decoded.filter(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte)) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &rest[3..];
            }
            None => {
                out.push(if first == '\\' { '/' } else { first });
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

fn decode(hex: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(hex[0])? << 4 | digit(hex[1])?)
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

    proptest::proptest! {
        #[test]
        fn normalising_twice_changes_nothing_more(path in "/[a-c./%2eE5f631\\\\é]{0,24}") {
            let once = normalise(&path).into_owned();
            proptest::prop_assert_eq!(normalise(&once).into_owned(), once.clone());
            proptest::prop_assert!(!once.split('/').any(|segment| segment == ".." || segment == "."));
        }
    }
}
