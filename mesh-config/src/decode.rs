//! From trees to typed resources: strict, with the path of everything that does not fit.
//!
//! A resource is declared once with [`message!`](crate::decode::macros): the declaration gives the Rust type, its
//! decoder, its printer and its schema, from which the completeness test and the support table are made.

pub(crate) mod macros;
mod scalar;
mod schema;

use std::collections::BTreeMap;

use serde_json::Value as Json;

pub(crate) use macros::{choices, message};
pub(crate) use scalar::{IntOrString, Raw, Time, to_json};
pub(crate) use schema::{FieldSchema, Schema, Support};

use crate::finding::{Problem, RuleId, rules};
use crate::yaml::{Node, Value, push_key};

/// A type that can be read from a tree, printed and described.
pub(crate) trait Decode: Sized + Default {
    /// Reads the node; what does not fit is reported to the cursor.
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self>;

    /// Prints the value as JSON; `None` when it is absent.
    fn encode(&self) -> Option<Json>;

    /// Describes the type.
    fn schema() -> Schema;
}

/// Where decoding is, and what was found so far.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    path: String,
    /// Whether unknown fields are errors; Kubernetes' own kinds are read for a few fields only.
    strict: bool,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(path: &str, strict: bool, problems: &'a mut Vec<Problem>) -> Self {
        Self { path: path.to_owned(), strict, problems }
    }

    /// Goes into a field for the length of a call.
    pub(crate) fn within<T>(&mut self, key: &str, visit: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        push_key(&mut self.path, key);
        let result = visit(self);
        self.path.truncate(length);
        result
    }

    fn item<T>(&mut self, index: usize, visit: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        self.path.push_str(&format!("[{index}]"));
        let result = visit(self);
        self.path.truncate(length);
        result
    }

    /// Reports a value that the schema refuses.
    pub(crate) fn refuse(&mut self, message: impl Into<String>) {
        self.report(rules::SCHEMA, message, "");
    }

    pub(crate) fn report(&mut self, rule: RuleId, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem::new(rule, self.path.clone(), message).remedy(remedy));
    }

    /// Reports a field that is needed and missing.
    pub(crate) fn missing(&mut self, key: &str) {
        self.within(key, |cursor| cursor.refuse("Required value"));
    }

    /// Gives the entries of a mapping.
    pub(crate) fn mapping<'n>(&mut self, node: &'n Node) -> Option<&'n [(Node, Node)]> {
        match &node.value {
            Value::Mapping(entries) => Some(entries),
            _ => {
                self.wrong_type("an object", node);
                None
            }
        }
    }

    pub(crate) fn wrong_type(&mut self, wanted: &str, node: &Node) {
        let found = match &node.value {
            Value::Scalar { text, .. } => format!("{text:?}"),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "an object".to_owned(),
        };
        self.refuse(format!("Invalid value: wanted {wanted}, found {found}"));
    }

    /// Reports a field that does not exist, with the nearest one that does.
    pub(crate) fn unknown(&mut self, key: &str, fields: &[FieldSchema]) {
        if !self.strict {
            return;
        }
        let nearest = fields.iter().map(|field| (strsim::jaro_winkler(field.json, key), field.json));
        let nearest = nearest.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.8);
        let remedy = match nearest {
            Some((_, name)) => format!("did you mean {name:?}?"),
            None => {
                let names: Vec<_> = fields.iter().map(|field| field.json).collect();
                format!("the fields here are: {}", names.join(", "))
            }
        };
        self.within(key, |cursor| {
            cursor.report(rules::UNKNOWN_FIELD, format!("{:?} is not a field here", key), remedy);
        });
    }

    /// Reports fields that exclude each other.
    pub(crate) fn one_of(&mut self, entries: &[(Node, Node)], group: &[&str]) {
        let mut given =
            group.iter().filter(|name| entries.iter().any(|(key, value)| key.text() == Some(name) && !value.is_null()));
        if let (Some(first), Some(second)) = (given.next(), given.next()) {
            self.refuse(format!("Invalid value: at most one of {first:?} and {second:?} may be set"));
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        T::decode(node, cursor).map(Some)
    }

    fn encode(&self) -> Option<Json> {
        // An object that is there says something even when it is empty: `tls: {}` is not the same as no `tls`.
        self.as_ref().map(|value| value.encode().unwrap_or_else(|| T::schema().empty()))
    }

    fn schema() -> Schema {
        T::schema()
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        let Value::Sequence(items) = &node.value else {
            cursor.wrong_type("a list", node);
            return None;
        };
        let decoded = items.iter().enumerate().map(|(index, item)| {
            cursor.item(index, |cursor| if item.is_null() { Some(T::default()) } else { T::decode(item, cursor) })
        });
        // A broken item keeps its place, so that indices in later messages are those of the file.
        Some(decoded.map(Option::unwrap_or_default).collect())
    }

    fn encode(&self) -> Option<Json> {
        if self.is_empty() {
            return None;
        }
        Some(Json::Array(self.iter().map(|item| item.encode().unwrap_or_else(|| T::schema().empty())).collect()))
    }

    fn schema() -> Schema {
        Schema::List(Box::new(T::schema()))
    }
}

impl<T: Decode> Decode for BTreeMap<String, T> {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        let mut map = Self::new();
        for (key, value) in cursor.mapping(node)? {
            let name = key.text().unwrap_or_default();
            let item = cursor.within(name, |cursor| if value.is_null() { None } else { T::decode(value, cursor) });
            map.insert(name.to_owned(), item.unwrap_or_default());
        }
        Some(map)
    }

    fn encode(&self) -> Option<Json> {
        if self.is_empty() {
            return None;
        }
        let entries =
            self.iter().map(|(key, value)| (key.clone(), value.encode().unwrap_or_else(|| T::schema().empty())));
        Some(Json::Object(entries.collect()))
    }

    fn schema() -> Schema {
        Schema::Map(Box::new(T::schema()))
    }
}
