//! A YAML document as a tree in which every node knows its place.
//!
//! The tree keeps scalars as they were written: whether `8080` is a number or a text is decided by the field that
//! reads it, and `"8080"` in quotes never becomes a number.

mod read;

pub use read::MAX_FILE_BYTES;
pub(crate) use read::{Fault, document, parts};

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
        let Value::Mapping(entries) = &self.value else { return None };
        entries.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }
}

/// Where every field of a document stands: what remains of its tree when it has been read.
///
/// Paths are kept as hashes (FNV-1a): twelve bytes a field and a hash, instead of the tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    root: (u32, u32),
    fields: Box<[(u64, u32, u32)]>,
}

impl Places {
    /// Takes the places of a tree.
    pub(crate) fn of(root: &Node) -> Self {
        let mut fields = Vec::new();
        collect(root, FNV_OFFSET, true, &mut fields);
        fields.sort_unstable();
        Self { root: (root.line, root.column), fields: fields.into_boxed_slice() }
    }

    /// Gives the place of a path such as `spec.http[0].match`, or of its nearest ancestor that exists.
    ///
    /// Keys that are no plain words are written in brackets, as in `metadata.labels[a.b/c]`.
    pub(crate) fn locate(&self, path: &str) -> (u32, u32) {
        let mut path = path;
        while !path.is_empty() {
            let hash = fnv(FNV_OFFSET, path);
            if let Ok(index) = self.fields.binary_search_by_key(&hash, |(hash, ..)| *hash) {
                let (_, line, column) = self.fields[index];
                return (line, column);
            }
            path = &path[..path.rfind(['.', '[']).unwrap_or(0)];
        }
        self.root
    }
}

/// Offset and prime of the 64-bit FNV-1a hash (Fowler, Noll, Vo).
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

fn fnv(hash: u64, text: &str) -> u64 {
    text.bytes().fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

fn collect(node: &Node, hash: u64, is_root: bool, fields: &mut Vec<(u64, u32, u32)>) {
    match &node.value {
        Value::Scalar { .. } => {}
        Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                let hash = fnv(hash, &format!("[{index}]"));
                fields.push((hash, item.line, item.column));
                collect(item, hash, false, fields);
            }
        }
        Value::Mapping(entries) => {
            for (key, value) in entries {
                let Some(name) = key.text() else { continue };
                let hash = match (is_plain(name), is_root) {
                    (true, true) => fnv(hash, name),
                    (true, false) => fnv(fnv(hash, "."), name),
                    (false, _) => fnv(fnv(fnv(hash, "["), name), "]"),
                };
                fields.push((hash, key.line, key.column));
                collect(value, hash, false, fields);
            }
        }
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

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
