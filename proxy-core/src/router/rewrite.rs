//! Rewriting of path and authority.

use http::HeaderValue;
use regex::Regex;
use wattle_contract::route;

/// A rewrite, compiled.
#[derive(Debug)]
pub(crate) struct Rewrite {
    path: Option<String>,
    regex: Option<(Regex, String)>,
    pub(crate) authority: Option<HeaderValue>,
}

impl Rewrite {
    pub(crate) fn compile(rewrite: &route::Rewrite) -> Result<Self, String> {
        let regex = rewrite.regex.as_ref().map(|(pattern, text)| {
            let regex = Regex::new(pattern).map_err(|e| format!("expression {pattern:?} cannot be compiled: {e}"))?;
            Ok::<_, String>((regex, substitution(text)))
        });
        let authority = rewrite.authority.as_ref().map(|authority| {
            HeaderValue::from_str(authority).map_err(|_| format!("authority {authority:?} cannot be sent"))
        });
        Ok(Self { path: rewrite.path.clone(), regex: regex.transpose()?, authority: authority.transpose()? })
    }

    /// Gives the new path; `None` when it stays.
    pub(crate) fn path(&self, path: &str, prefix_len: Option<usize>) -> Option<String> {
        if let Some((regex, text)) = &self.regex {
            return Some(regex.replace_all(path, text.as_str()).into_owned());
        }
        self.path.as_ref().map(|new| rewrite_path(path, prefix_len, new))
    }
}

/// Puts new text in place of a matched prefix, or of the whole path when the match was not by prefix.
pub(crate) fn rewrite_path(path: &str, prefix_len: Option<usize>, new: &str) -> String {
    let rest = prefix_len.and_then(|len| path.get(len..)).unwrap_or_default();
    format!("{new}{rest}")
}

/// Turns RE2's `\1` into the `${1}` of the regex crate, `\\` into `\`, and keeps `$` literal.
fn substitution(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some(digit) if digit.is_ascii_digit() => out.push_str(&format!("${{{digit}}}")),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            '$' => out.push_str("$$"),
            other => out.push(other),
        }
    }
    out
}
