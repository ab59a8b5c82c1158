//! Conditions on pieces of text, compiled.

use regex::Regex;
use wattle_contract::route::{PathMatch, StringMatch};

/// Expressions larger than this are refused (Istio's bound on RE2 expressions is 1024 bytes).
const REGEX_BYTES: usize = 1 << 20;

/// A condition on a piece of text that may be missing.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Regex(Regex),
    Present,
}

impl Text {
    pub(crate) fn compile(text: &StringMatch) -> Result<Self, String> {
        Ok(match text {
            StringMatch::Exact(text) => Self::Exact(text.clone()),
            StringMatch::Prefix(text) => Self::Prefix(text.clone()),
            StringMatch::Suffix(text) => Self::Suffix(text.clone()),
            StringMatch::Regex(pattern) => Self::Regex(whole(pattern)?),
            StringMatch::Present => Self::Present,
        })
    }

    pub(crate) fn holds(&self, value: &str) -> bool {
        match self {
            Self::Exact(text) => value == text,
            Self::Prefix(text) => value.starts_with(text.as_str()),
            Self::Suffix(text) => value.ends_with(text.as_str()),
            Self::Regex(regex) => regex.is_match(value),
            Self::Present => true,
        }
    }

    /// The same without regard to ASCII case; expressions say for themselves.
    pub(crate) fn holds_ignoring_case(&self, value: &str) -> bool {
        match self {
            Self::Exact(text) => value.eq_ignore_ascii_case(text),
            Self::Prefix(text) => starts_ignoring_case(value, text),
            Self::Suffix(text) => ends_ignoring_case(value, text),
            Self::Regex(_) | Self::Present => self.holds(value),
        }
    }
}

/// A condition on the path without its query.
#[derive(Clone, Debug)]
pub(crate) enum Path {
    Exact(String),
    Prefix(String),
    Elements(String),
    Regex(Regex),
}

impl Path {
    pub(crate) fn compile(path: &PathMatch) -> Result<Self, String> {
        Ok(match path {
            PathMatch::Exact(path) => Self::Exact(path.clone()),
            PathMatch::Prefix(path) => Self::Prefix(path.clone()),
            PathMatch::PathElements(path) => Self::Elements(path.trim_end_matches('/').to_owned()),
            PathMatch::Regex(pattern) => Self::Regex(whole(pattern)?),
        })
    }

    pub(crate) fn holds(&self, path: &str, ignore_case: bool) -> bool {
        match self {
            Self::Exact(text) if ignore_case => path.eq_ignore_ascii_case(text),
            Self::Exact(text) => path == text,
            Self::Prefix(text) => starts(path, text, ignore_case),
            Self::Elements(text) => {
                starts(path, text, ignore_case)
                    && path.get(text.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Self::Regex(regex) => regex.is_match(path),
        }
    }

    /// Gives the text that every path that holds begins with.
    pub(crate) fn literal(&self) -> Option<&str> {
        match self {
            Self::Exact(text) | Self::Prefix(text) | Self::Elements(text) => Some(text),
            Self::Regex(_) => None,
        }
    }

    /// Gives the first segment, with both slashes, that every path that holds begins with.
    pub(crate) fn segment(&self) -> Option<&str> {
        segment(self.literal()?)
    }

    /// Gives how much of a path that holds is the prefix, for rewriting; `None` when the whole path is replaced.
    pub(crate) fn prefix_len(&self) -> Option<usize> {
        match self {
            Self::Prefix(text) | Self::Elements(text) => Some(text.len()),
            Self::Exact(_) | Self::Regex(_) => None,
        }
    }
}

/// Gives the first segment of a path with both its slashes.
pub(crate) fn segment(path: &str) -> Option<&str> {
    let rest = path.strip_prefix('/')?;
    rest.find('/').map(|at| &path[..at + 2])
}

/// Compiles an expression that has to match the whole text, as RE2 full match does.
pub(crate) fn whole(pattern: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(REGEX_BYTES)
        .build()
        .map_err(|e| format!("expression {pattern:?} cannot be compiled: {}", last_line(&e)))
}

/// The regex crate draws its errors over several lines: the last one says what is wrong.
fn last_line(error: &regex::Error) -> String {
    error.to_string().lines().last().unwrap_or("unknown error").trim().to_owned()
}

fn starts(path: &str, prefix: &str, ignore_case: bool) -> bool {
    if ignore_case { starts_ignoring_case(path, prefix) } else { path.starts_with(prefix) }
}

fn starts_ignoring_case(value: &str, prefix: &str) -> bool {
    value.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

fn ends_ignoring_case(value: &str, suffix: &str) -> bool {
    let value = value.as_bytes();
    value.len() >= suffix.len() && value[value.len() - suffix.len()..].eq_ignore_ascii_case(suffix.as_bytes())
}
