//! A YAML document as a tree in which every node knows its place.
//!
//! The tree keeps scalars as they were written: whether `8080` is a number or a text is decided by the field that
//! reads it, and `"8080"` in quotes never becomes a number.

mod read;

pub(crate) use read::read;

/// A node and where it begins; line and column count from 1.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Text, and whether it was written without quotes.
    Scalar { text: Box<str>, plain: bool },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the file; no key twice.
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// Says whether the node is null or empty.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Gives a scalar's text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Gives the value under a key of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|(_, value)| value)
    }

    fn entry(&self, key: &str) -> Option<(&Self, &Self)> {
        let Value::Mapping(entries) = &self.value else { return None };
        entries.iter().find(|(name, _)| name.text() == Some(key)).map(|(name, value)| (name, value))
    }

    /// Gives the place of a path such as `spec.http[0].match`, or of its nearest ancestor that exists.
    ///
    /// Keys that are no plain words are written in brackets, as in `metadata.labels[a.b/c]`.
    pub(crate) fn locate(&self, path: &str) -> (u32, u32) {
        let mut place = (self.line, self.column);
        let mut node = self;
        for step in Steps(path) {
            match &node.value {
                Value::Sequence(items) => {
                    let Some(item) = step.parse::<usize>().ok().and_then(|index| items.get(index)) else { break };
                    place = (item.line, item.column);
                    node = item;
                }
                _ => {
                    let Some((key, value)) = node.entry(step) else { break };
                    place = (key.line, key.column);
                    node = value;
                }
            }
        }
        place
    }
}

/// The steps of a path.
struct Steps<'a>(&'a str);

impl<'a> Iterator for Steps<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.strip_prefix('.').unwrap_or(self.0);
        if rest.is_empty() {
            return None;
        }
        let (step, after) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']').unwrap_or((inner, "")),
            None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
        };
        self.0 = after;
        Some(step)
    }
}

/// Adds a key to a path, in brackets when it is no plain word.
pub(crate) fn push_key(path: &mut String, key: &str) {
    let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !plain {
        path.push('[');
        path.push_str(key);
        path.push(']');
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}
