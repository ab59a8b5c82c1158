//! Texts, numbers, times.

use std::time::Duration;

use serde_json::Value as Json;

use super::{Cursor, Decode, Schema};
use crate::yaml::{Node, Value};

impl Cursor<'_> {
    /// Reports a word that an enumeration does not have.
    pub(crate) fn unsupported(&mut self, node: &Node, words: &[&str]) {
        let text = node.text().unwrap_or("a list or object");
        let nearest = words.iter().max_by(|a, b| {
            strsim::jaro_winkler(a, &text.to_uppercase()).total_cmp(&strsim::jaro_winkler(b, &text.to_uppercase()))
        });
        let remedy = nearest.map_or_else(String::new, |word| format!("the nearest word is {word}"));
        let message = format!("Unsupported value: {text:?}: supported values: {}", words.join(", "));
        self.report(crate::finding::rules::SCHEMA, message, remedy);
    }
}

/// Says whether an unquoted text is something else than a text in YAML.
fn reads_as_other(text: &str) -> bool {
    matches!(text, "true" | "false" | "True" | "False" | "TRUE" | "FALSE") || is_number(text)
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
        && digits.parse::<f64>().is_ok()
}

impl Decode for String {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar { text, plain: true } if reads_as_other(text) && cursor.strict => {
                cursor.wrong_type("a text (write it in quotes)", node);
                None
            }
            Value::Scalar { text, .. } => Some(text.as_ref().to_owned()),
            _ => {
                cursor.wrong_type("a text", node);
                None
            }
        }
    }

    fn encode(&self) -> Option<Json> {
        (!self.is_empty()).then(|| Json::String(self.clone()))
    }

    fn schema() -> Schema {
        Schema::Text
    }
}

impl Decode for bool {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar { text, plain: true } if matches!(&**text, "true" | "True" | "TRUE") => Some(true),
            Value::Scalar { text, plain: true } if matches!(&**text, "false" | "False" | "FALSE") => Some(false),
            _ => {
                cursor.wrong_type("true or false", node);
                None
            }
        }
    }

    fn encode(&self) -> Option<Json> {
        self.then_some(Json::Bool(true))
    }

    fn schema() -> Schema {
        Schema::Plain("bool")
    }
}

macro_rules! integer {
    ($($ty:ident),*) => { $(
        impl Decode for $ty {
            fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
                let text = match &node.value {
                    Value::Scalar { text, plain: true } if is_number(text) => text,
                    _ => {
                        cursor.wrong_type("a whole number", node);
                        return None;
                    }
                };
                // `1e3` and `80.0` are whole numbers too.
                let number = text.parse::<i128>().ok().or_else(|| {
                    let number = text.parse::<f64>().ok().filter(|number| number.fract() == 0.0)?;
                    #[expect(clippy::cast_possible_truncation, reason = "a whole number; what is too large saturates and is refused below")]
                    Some(number as i128)
                });
                let Some(number) = number else {
                    cursor.wrong_type("a whole number", node);
                    return None;
                };
                let result = Self::try_from(number).ok();
                if result.is_none() {
                    let bound = if number < i128::from(Self::MIN) {
                        format!("greater than or equal to {}", Self::MIN)
                    } else {
                        format!("less than or equal to {}", Self::MAX)
                    };
                    let path = cursor.path.clone();
                    cursor.refuse(format!("Invalid value: {number}: {path} in body should be {bound}"));
                }
                result
            }

            fn encode(&self) -> Option<Json> {
                (*self != 0).then(|| Json::Number((*self).into()))
            }

            fn schema() -> Schema {
                Schema::Plain(stringify!($ty))
            }
        }
    )* };
}

integer!(i32, u32, i64, u64);

impl Decode for f64 {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar { text, plain: true } if is_number(text) => text.parse().ok(),
            _ => {
                cursor.wrong_type("a number", node);
                None
            }
        }
    }

    fn encode(&self) -> Option<Json> {
        if *self == 0.0 {
            return None;
        }
        serde_json::Number::from_f64(*self).map(Json::Number)
    }

    fn schema() -> Schema {
        Schema::Plain("f64")
    }
}

/// A span of time as Istio writes it: `1.5s`, `100ms`, `1h30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Time(pub(crate) Duration);

impl Time {
    /// Reads Go's notation, without sign.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut seconds = 0.0_f64;
        if rest == "0" {
            return Some(Self::default());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let number: f64 = rest[..digits].parse().ok()?;
            let unit = &rest[digits..];
            let length = unit.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.len());
            seconds += number
                * match &unit[..length] {
                    "h" => 3600.0,
                    "m" => 60.0,
                    "s" => 1.0,
                    "ms" => 1e-3,
                    "us" | "µs" => 1e-6,
                    "ns" => 1e-9,
                    _ => return None,
                };
            rest = &unit[length..];
        }
        // Rounded to whole nanoseconds so that 0.1 s is 100 ms exactly.
        if text.is_empty() || seconds > 315_576_000_000.0 {
            return None;
        }
        let whole = Duration::try_from_secs_f64(seconds).ok()?;
        let nanos = (whole.as_nanos() + 50) / 100 * 100;
        let sub_hundred = seconds < 1e-6;
        Some(Self(if sub_hundred { whole } else { Duration::from_nanos(u64::try_from(nanos).ok()?) }))
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}s", self.0.as_secs_f64())
    }
}

impl Decode for Time {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        let time = node.text().and_then(Self::parse);
        if time.is_none() {
            cursor.wrong_type("a duration such as \"2s\", \"1.5s\" or \"100ms\"", node);
        }
        time
    }

    fn encode(&self) -> Option<Json> {
        Some(Json::String(self.to_string()))
    }

    fn schema() -> Schema {
        Schema::Text
    }
}

/// A port by number or name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum IntOrString {
    /// Not given.
    #[default]
    Absent,
    /// A number.
    Number(u32),
    /// A name.
    Name(String),
}

impl Decode for IntOrString {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar { text, plain: true } if is_number(text) => u32::decode(node, cursor).map(Self::Number),
            Value::Scalar { text, .. } => Some(Self::Name(text.as_ref().to_owned())),
            _ => {
                cursor.wrong_type("a number or a name", node);
                None
            }
        }
    }

    fn encode(&self) -> Option<Json> {
        match self {
            Self::Absent => None,
            Self::Number(number) => Some(Json::Number((*number).into())),
            Self::Name(name) => Some(Json::String(name.clone())),
        }
    }

    fn schema() -> Schema {
        Schema::Text
    }
}

/// Whatever stands there, as JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Raw(pub(crate) Json);

impl Decode for Raw {
    fn decode(node: &Node, _cursor: &mut Cursor<'_>) -> Option<Self> {
        Some(Self(to_json(node)))
    }

    fn encode(&self) -> Option<Json> {
        (!self.0.is_null()).then(|| self.0.clone())
    }

    fn schema() -> Schema {
        Schema::Any
    }
}

/// Gives a tree as JSON, with unquoted numbers and bools as such.
pub(crate) fn to_json(node: &Node) -> Json {
    match &node.value {
        Value::Scalar { .. } if node.is_null() => Json::Null,
        Value::Scalar { text, plain } => match &**text {
            "true" if *plain => Json::Bool(true),
            "false" if *plain => Json::Bool(false),
            text if *plain && is_number(text) => {
                serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.to_owned()))
            }
            text => Json::String(text.to_owned()),
        },
        Value::Sequence(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Mapping(entries) => Json::Object(
            entries.iter().map(|(key, value)| (key.text().unwrap_or_default().to_owned(), to_json(value))).collect(),
        ),
    }
}
