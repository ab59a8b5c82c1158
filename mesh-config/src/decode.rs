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

/// Length of a path before an item or field of it was entered.
struct Back(usize);

/// Reads a field; what does not fit leaves it as it is.
pub(crate) fn set<T: Decode>(field: &mut T, value: &Node, cursor: &mut Cursor<'_>) {
    if let Some(value) = T::decode(value, cursor) {
        *field = value;
    }
}

/// Prints a field, unless it is absent.
pub(crate) fn put<T: Decode>(object: &mut serde_json::Map<String, Json>, name: &str, field: &T) {
    if let Some(value) = field.encode() {
        object.insert(name.to_owned(), value);
    }
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

    /// Goes into an item of a list, and gives what leads back.
    fn enter_item(&mut self, index: usize) -> Back {
        let back = Back(self.path.len());
        self.path.push_str(&format!("[{index}]"));
        back
    }

    fn enter(&mut self, key: &str) -> Back {
        let back = Back(self.path.len());
        push_key(&mut self.path, key);
        back
    }

    fn leave(&mut self, back: &Back) {
        self.path.truncate(back.0);
    }

    /// Reads an object by its declaration: `set` is called for every field that is there. Says whether it is an object.
    pub(crate) fn object(
        &mut self,
        node: &Node,
        fields: &[FieldSchema],
        groups: &[&[&str]],
        set: &mut dyn FnMut(&str, &Node, &mut Cursor<'_>),
    ) -> bool {
        let Some(entries) = self.mapping(node) else { return false };
        for (key, value) in entries {
            let name = key.text().unwrap_or_default();
            match fields.iter().find(|field| field.json == name || field.aliases.contains(&name)) {
                None => self.unknown(name, fields),
                Some(_) if value.is_null() => {}
                Some(field) => {
                    let back = self.enter(name);
                    set(field.json, value, self);
                    self.leave(&back);
                }
            }
        }
        let is_there = |name: &str| entries.iter().any(|(key, value)| key.text() == Some(name) && !value.is_null());
        for field in fields.iter().filter(|field| field.required && !is_there(field.json)) {
            self.missing(field.json);
        }
        groups.iter().for_each(|group| self.one_of(entries, group));
        true
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
        let mut decoded = Self::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let back = cursor.enter_item(index);
            // A broken item keeps its place, so that indices in later messages are those of the file.
            let value = if item.is_null() { None } else { T::decode(item, cursor) };
            decoded.push(value.unwrap_or_default());
            cursor.leave(&back);
        }
        Some(decoded)
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
            let back = cursor.enter(name);
            let item = if value.is_null() { None } else { T::decode(value, cursor) };
            map.insert(name.to_owned(), item.unwrap_or_default());
            cursor.leave(&back);
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
