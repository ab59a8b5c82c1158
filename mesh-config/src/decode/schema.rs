//! What a type looks like, for the completeness test and the support table.

use serde_json::Value as Json;

/// Whether a field does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// It has the effect that Istio gives it.
    Applied,
    /// It is read and checked, and has no effect; the text says why or what happens instead.
    NotApplied(&'static str),
}

/// A field of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldSchema {
    pub(crate) json: &'static str,
    /// Other spellings that are read.
    pub(crate) aliases: &'static [&'static str],
    /// Whether the object is refused without it.
    pub(crate) required: bool,
    pub(crate) schema: fn() -> Schema,
    pub(crate) support: Support,
}

/// A type.
#[derive(Clone, Debug)]
pub(crate) enum Schema {
    /// Text.
    Text,
    /// A number or bool.
    Plain(&'static str),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list.
    List(Box<Schema>),
    /// A map by name.
    Map(Box<Schema>),
    /// An object with these fields.
    Object(&'static [FieldSchema]),
    /// Whatever stands there.
    Any,
}

impl Schema {
    /// Gives the JSON of an empty value of the type.
    pub(crate) fn empty(&self) -> Json {
        match self {
            Self::Text => Json::String(String::new()),
            Self::Choice(words) => words.first().map_or(Json::Null, |word| Json::String((*word).to_owned())),
            Self::Plain("bool") => Json::Bool(false),
            Self::Plain(_) => Json::Number(0.into()),
            Self::List(_) => Json::Array(Vec::new()),
            Self::Map(_) | Self::Object(_) | Self::Any => Json::Object(serde_json::Map::new()),
        }
    }
}
