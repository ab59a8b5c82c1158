//! From text to trees, within limits: a hostile file costs bounded time and memory.
//!
//! A file is cut at its `---` lines first, so that one broken document leaves the others readable.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::{Node, Value};

/// Bytes of one file that are read. A file of 10,000 resources has about 10 MiB.
pub const MAX_FILE_BYTES: usize = 32 << 20;
/// Nesting of one document; the deepest field of any resource lies at 14.
const MAX_DEPTH: usize = 64;
/// Nodes that aliases may add to one document.
const MAX_ALIAS_NODES: usize = 100_000;

/// Why a document could not be read.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) message: String,
    pub(crate) remedy: &'static str,
}

/// Cuts a file into its documents; each comes with the number of lines before it.
pub(crate) fn parts(text: &str) -> Result<Vec<(u32, &str)>, Fault> {
    if text.len() > MAX_FILE_BYTES {
        let message =
            format!("the file has {} MiB, more than the {} MiB that are read", text.len() >> 20, MAX_FILE_BYTES >> 20);
        return Err(Fault { line: 1, column: 1, message, remedy: "split it into several files" });
    }
    Ok(split(text.strip_prefix('\u{feff}').unwrap_or(text)))
}

/// Cuts a text at its `---` lines; each part comes with the number of lines before it.
fn split(text: &str) -> Vec<(u32, &str)> {
    let mut parts = Vec::new();
    let (mut start, mut start_line, mut offset, mut only_directives) = (0, 0, 0, true);
    for (number, line) in (0_u32..).zip(text.split_inclusive('\n')) {
        let marker =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marker && !only_directives {
            parts.push((start_line, &text[start..offset]));
            (start, start_line) = (offset, number);
        }
        // What stands before the first marker may be nothing but directives (`%YAML`), which belong to what follows.
        only_directives &= !marker && (line.trim().is_empty() || line.starts_with(['%', '#']));
        offset += line.len();
    }
    parts.push((start_line, &text[start..]));
    parts
}

/// Reads one document; `None` when it is empty.
pub(crate) fn document(text: &str, first_line: u32) -> Result<Option<Node>, Fault> {
    let mut builder = Builder { first_line, stack: Vec::new(), anchors: Vec::new(), alias_nodes: 0, root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| scan_fault(&error, first_line))?;
        builder.take(event, span)?;
    }
    Ok(builder.root.filter(|root| !root.is_null()))
}

fn scan_fault(error: &ScanError, first_line: u32) -> Fault {
    let info = error.info();
    let remedy = if info.contains("tab") { "indent with spaces: YAML forbids tabs" } else { "" };
    Fault {
        line: first_line + u32::try_from(error.marker().line()).unwrap_or(u32::MAX - first_line),
        column: u32::try_from(error.marker().col() + 1).unwrap_or(u32::MAX),
        message: format!("this is not YAML: {info}"),
        remedy,
    }
}

/// A collection that is not closed yet.
struct Open {
    node: Node,
    key: Option<Node>,
    anchor: usize,
}

struct Builder {
    first_line: u32,
    stack: Vec<Open>,
    anchors: Vec<(usize, Node, usize)>,
    alias_nodes: usize,
    root: Option<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let line = self.first_line + u32::try_from(span.start.line()).unwrap_or(0);
        let column = u32::try_from(span.start.col() + 1).unwrap_or(u32::MAX);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let text_tag = tag.is_some_and(|tag| tag.suffix == "str");
                let plain = style == ScalarStyle::Plain && !text_tag;
                let node = Node { value: Value::Scalar { text: text.into(), plain }, line, column };
                self.finish(node, anchor)
            }
            Event::SequenceStart(anchor, _) => self.open(Value::Sequence(Vec::new()), anchor, line, column),
            Event::MappingStart(anchor, _) => self.open(Value::Mapping(Vec::new()), anchor, line, column),
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(open) => self.finish(open.node, open.anchor),
                None => Ok(()),
            },
            Event::Alias(anchor) => self.alias(anchor, line, column),
            _ => Ok(()),
        }
    }

    fn open(&mut self, value: Value, anchor: usize, line: u32, column: u32) -> Result<(), Fault> {
        if self.stack.len() >= MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(Fault { line, column, message, remedy: "no resource needs this: check the indentation" });
        }
        self.stack.push(Open { node: Node { value, line, column }, key: None, anchor });
        Ok(())
    }

    fn alias(&mut self, anchor: usize, line: u32, column: u32) -> Result<(), Fault> {
        let Some((_, node, size)) = self.anchors.iter().find(|(id, ..)| *id == anchor) else {
            let message = "an alias inside its own anchor".to_owned();
            return Err(Fault { line, column, message, remedy: "write the value out" });
        };
        self.alias_nodes += size;
        if self.alias_nodes > MAX_ALIAS_NODES {
            let message = format!("aliases make the document larger than {MAX_ALIAS_NODES} nodes");
            return Err(Fault { line, column, message, remedy: "write the values out" });
        }
        if self.stack.len() + depth(node) > MAX_DEPTH {
            let message = format!("aliases nest the document deeper than {MAX_DEPTH} levels");
            return Err(Fault { line, column, message, remedy: "write the values out" });
        }
        let node = Node { value: node.value.clone(), line, column };
        self.finish(node, 0)
    }

    fn finish(&mut self, mut node: Node, anchor: usize) -> Result<(), Fault> {
        if let Some(address) = address_read_as_pair(&node) {
            node.value = Value::Scalar { text: address.into(), plain: true };
        }
        if anchor != 0 {
            let size = count(&node);
            self.alias_nodes += size;
            if self.alias_nodes > MAX_ALIAS_NODES {
                let (line, column) = (node.line, node.column);
                let message = format!("anchors hold more than {MAX_ALIAS_NODES} nodes");
                return Err(Fault { line, column, message, remedy: "write the values out" });
            }
            self.anchors.retain(|(id, ..)| *id != anchor);
            self.anchors.push((anchor, node.clone(), size));
        }
        let Some(parent) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut parent.node.value {
            Value::Sequence(items) => items.push(node),
            Value::Mapping(entries) => match parent.key.take() {
                None => parent.key = Some(node),
                Some(key) => return insert(entries, key, node),
            },
            Value::Scalar { .. } => {}
        }
        Ok(())
    }
}

/// Gives the address that was meant by `[001:db8::]`: YAML 1.2 reads a pair, the parsers of Kubernetes an address.
fn address_read_as_pair(node: &Node) -> Option<String> {
    let Value::Mapping(entries) = &node.value else { return None };
    let [(key, value)] = entries.as_slice() else { return None };
    let address = format!("{}:", key.text()?);
    (value.is_null() && address.parse::<std::net::Ipv6Addr>().is_ok()).then_some(address)
}

/// Puts a pair into a mapping. A merge key (`<<`) adds what is not there yet; any other key may stand once.
fn insert(entries: &mut Vec<(Node, Node)>, key: Node, value: Node) -> Result<(), Fault> {
    let Some(name) = key.text() else {
        let (line, column) = (key.line, key.column);
        return Err(Fault {
            line,
            column,
            message: "a list or mapping as key".to_owned(),
            remedy: "use a text as key",
        });
    };
    if name == "<<" && matches!(key.value, Value::Scalar { plain: true, .. }) {
        merge(entries, value);
        return Ok(());
    }
    if let Some((first, _)) = entries.iter().find(|(other, _)| other.text() == Some(name)) {
        let message = format!("key {name:?} stands twice in one mapping, first in line {}", first.line);
        return Err(Fault { line: key.line, column: key.column, message, remedy: "remove one of the two" });
    }
    entries.push((key, value));
    Ok(())
}

fn merge(entries: &mut Vec<(Node, Node)>, value: Node) {
    match value.value {
        Value::Mapping(others) => {
            for (key, value) in others {
                if !entries.iter().any(|(other, _)| other.text() == key.text()) {
                    entries.push((key, value));
                }
            }
        }
        Value::Sequence(items) => items.into_iter().for_each(|item| merge(entries, item)),
        Value::Scalar { .. } => {}
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar { .. } => 0,
        Value::Sequence(items) => items.iter().map(count).sum(),
        Value::Mapping(entries) => entries.iter().map(|(_, value)| 1 + count(value)).sum(),
    }
}

fn depth(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar { .. } => 0,
        Value::Sequence(items) => items.iter().map(depth).max().unwrap_or(0),
        Value::Mapping(entries) => entries.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
    }
}
