//! The part of TraceQL that searches by attributes: `{ a = b && … } && { … } | select(…)`.
//!
//! Comparisons of attributes and of name, status, kind and duration, joined by `&&`; spansets joined by `&&`. Anything
//! else is refused by name.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use regex::Regex;

use crate::query::jaeger::parse_duration;
use crate::store::traces::{KINDS, TraceQuery, service_of, text_of};

/// Longest question that is read.
const LENGTH: usize = 16 << 10;

/// A question.
#[derive(Debug)]
pub(super) struct TraceQl {
    /// A trace matches when each set has a span on which all its conditions hold.
    sets: Vec<Vec<Condition>>,
    /// What is to be shown of the spans.
    pub(super) select: Vec<String>,
}

#[derive(Debug)]
struct Condition {
    field: String,
    operator: &'static str,
    value: String,
    regex: Option<Regex>,
}

const OPERATORS: [&str; 8] = ["!=", "=~", "!~", ">=", "<=", "=", ">", "<"];

impl TraceQl {
    /// Reads a question.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LENGTH {
            return Err(format!("a query of {} bytes is longer than {LENGTH}", text.len()));
        }
        let mut input = Input(text.trim());
        let mut sets = Vec::new();
        loop {
            input.expect("{")?;
            sets.push(input.conditions()?);
            if !input.take("&&") {
                break;
            }
        }
        let mut select = Vec::new();
        if input.take("|") {
            input.expect("select")?;
            input.expect("(")?;
            let end = input.0.find(')').ok_or("select( has no end")?;
            select = input.0[..end].split(',').map(|field| field.trim().to_owned()).collect();
            input.0 = input.0[end + 1..].trim_start();
        }
        if input.0.is_empty() { Ok(Self { sets, select }) } else { Err(format!("not supported from {:?} on", input.0)) }
    }

    /// Gives what the store can look for: the equalities of the set that has most.
    pub(super) fn candidates(&self) -> TraceQuery {
        let most = self.sets.iter().max_by_key(|set| set.iter().filter(|one| one.operator == "=").count());
        let mut query = TraceQuery::default();
        for condition in most.into_iter().flatten() {
            let value = condition.value.clone();
            match (condition.key(), condition.operator) {
                ("service.name", "=") => query.service = Some(value),
                ("name", "=") => query.operation = Some(value),
                ("status", "=") => query.tags.push(("error".to_owned(), (value == "error").to_string())),
                ("kind", "=") => query.kind = KINDS.iter().position(|kind| *kind == value).map(|kind| kind as u8),
                ("duration", ">" | ">=") => query.shortest = parse_duration(&value),
                ("duration", "<" | "<=") => query.longest = parse_duration(&value),
                (key, "=") => query.tags.push((key.to_owned(), value)),
                _ => {}
            }
        }
        query
    }

    /// Tells whether the candidates are the answer.
    pub(super) fn is_exact(&self) -> bool {
        let filled = self.sets.iter().filter(|set| !set.is_empty()).count();
        let is_simple = |one: &Condition| one.operator == "=" && one.key() != "status";
        filled <= 1 && self.sets.iter().flatten().all(is_simple)
    }

    /// Gives the spans of a trace that match, with their service; none when the trace does not.
    pub(super) fn matching<'a>(&self, trace: &'a [ResourceSpans]) -> Vec<(&'a ResourceSpans, &'a Span)> {
        let all = || {
            trace.iter().flat_map(|resource| {
                resource.scope_spans.iter().flat_map(move |scope| scope.spans.iter().map(move |span| (resource, span)))
            })
        };
        let matches = |set: &Vec<Condition>, (resource, span): (&ResourceSpans, &Span)| {
            set.iter().all(|condition| condition.holds(resource, span))
        };
        if !self.sets.iter().all(|set| all().any(|pair| matches(set, pair))) {
            return Vec::new();
        }
        let shown = self.sets.iter().find(|set| !set.is_empty()).or(self.sets.first());
        shown.map(|set| all().filter(|pair| matches(set, *pair)).collect()).unwrap_or_default()
    }
}

impl Condition {
    fn new(field: &str, operator: &'static str, value: String) -> Result<Self, String> {
        let regex = match operator {
            "=~" | "!~" => {
                let pattern = regex::RegexBuilder::new(&format!("^(?:{value})$")).size_limit(1 << 20).build();
                Some(pattern.map_err(|error| format!("{value:?} is no regular expression: {error}"))?)
            }
            _ => None,
        };
        let condition = Self { field: field.to_owned(), operator, value, regex };
        if condition.key() == "duration" && parse_duration(&condition.value).is_none() {
            return Err(format!("{:?} is no duration such as 10ms", condition.value));
        }
        Ok(condition)
    }

    fn key(&self) -> &str {
        ["resource.", "span.", "."].iter().find_map(|scope| self.field.strip_prefix(scope)).unwrap_or(&self.field)
    }

    fn holds(&self, resource: &ResourceSpans, span: &Span) -> bool {
        if self.key() == "duration" {
            let is = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) as f64;
            return self.compares(is, parse_duration(&self.value).unwrap_or(0) as f64);
        }
        let values = field(&self.field, resource, span);
        if values.is_empty() {
            // In TraceQL what is not there is unequal to everything.
            return matches!(self.operator, "!=" | "!~");
        }
        values.iter().any(|is| match (self.operator, &self.regex) {
            ("=~", Some(regex)) => regex.is_match(is),
            ("!~", Some(regex)) => !regex.is_match(is),
            _ => match (is.parse(), self.value.parse()) {
                (Ok(is), Ok(wanted)) => self.compares(is, wanted),
                _ if self.operator == "=" => *is == self.value,
                _ if self.operator == "!=" => *is != self.value,
                _ => false,
            },
        })
    }

    fn compares(&self, is: f64, wanted: f64) -> bool {
        match self.operator {
            "=" => is == wanted,
            "!=" => is != wanted,
            ">" => is > wanted,
            ">=" => is >= wanted,
            "<" => is < wanted,
            "<=" => is <= wanted,
            _ => false,
        }
    }
}

/// Gives the values of a field of a span, as text.
pub(super) fn field(field: &str, resource: &ResourceSpans, span: &Span) -> Vec<String> {
    let status = span.status.as_ref().map_or(0, |status| status.code);
    match field {
        "name" => return vec![span.name.clone()],
        "status" => return vec![["unset", "ok", "error"].get(status as usize).copied().unwrap_or("unset").to_owned()],
        "kind" => {
            let kind = usize::try_from(span.kind).ok().and_then(|kind| KINDS.get(kind)).copied().unwrap_or("");
            return vec![if kind.is_empty() { "unspecified" } else { kind }.to_owned()];
        }
        _ => {}
    }
    let of_resource = resource.resource.as_ref().map_or(&[][..], |resource| resource.attributes.as_slice());
    let places: Vec<(&[KeyValue], &str)> = if let Some(key) = field.strip_prefix("resource.") {
        vec![(of_resource, key)]
    } else if let Some(key) = field.strip_prefix("span.") {
        vec![(&span.attributes, key)]
    } else {
        let key = field.strip_prefix('.').unwrap_or(field);
        vec![(&span.attributes, key), (of_resource, key)]
    };
    let mut values: Vec<String> = Vec::new();
    for (attributes, key) in places {
        let own = attributes.iter().filter(|attribute| attribute.key == key);
        values.extend(own.filter_map(|attribute| text_of(attribute.value.as_ref()?)));
    }
    if values.is_empty() && field.ends_with("service.name") && !field.starts_with("span.") {
        values.push(service_of(resource.resource.as_ref()));
    }
    values
}

struct Input<'a>(&'a str);

impl<'a> Input<'a> {
    fn take(&mut self, token: &str) -> bool {
        let rest = self.0.strip_prefix(token);
        self.0 = rest.map_or(self.0, str::trim_start);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(format!("expected {token:?} before {:?}", self.0)) }
    }

    fn conditions(&mut self) -> Result<Vec<Condition>, String> {
        let mut conditions = Vec::new();
        while !self.take("}") {
            if !conditions.is_empty() {
                self.expect("&&")?;
            }
            let end = self.0.find(|c: char| c.is_whitespace() || "=!<>~&|{}()".contains(c)).unwrap_or(self.0.len());
            let field = &self.0[..end];
            if field.is_empty() {
                return Err(format!("expected a field before {:?}", self.0));
            }
            self.0 = self.0[end..].trim_start();
            let operator = OPERATORS.iter().find(|operator| self.0.starts_with(**operator)).copied();
            let operator = operator.ok_or_else(|| format!("expected a comparison after {field:?}"))?;
            self.0 = self.0[operator.len()..].trim_start();
            let value = self.value()?;
            conditions.push(Condition::new(field, operator, value)?);
        }
        Ok(conditions)
    }

    fn value(&mut self) -> Result<String, String> {
        let quote = self.0.chars().next().filter(|c| *c == '"' || *c == '`');
        let Some(quote) = quote else {
            let end = self.0.find(|c: char| c.is_whitespace() || "&|{}()".contains(c)).unwrap_or(self.0.len());
            let value = self.0[..end].to_owned();
            self.0 = self.0[end..].trim_start();
            return if value.is_empty() { Err(format!("expected a value before {:?}", self.0)) } else { Ok(value) };
        };
        let mut value = String::new();
        let mut characters = self.0.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            if character == quote {
                self.0 = self.0[at + 1..].trim_start();
                return Ok(value);
            }
            let is_escape = character == '\\' && quote == '"';
            let plain = if is_escape { characters.next().map(|(_, character)| character) } else { Some(character) };
            value.extend(plain.map(|plain| if is_escape && plain == 'n' { '\n' } else { plain }));
        }
        Err("a text has no end".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_that_kiali_sends_is_read() {
        let text = r#"{ .service.name = "front.hotel" && .http.status_code=503 && duration>10ms} && {} | select(status, .node_id, resource.hostname)"#;

        let query = TraceQl::parse(text).expect("read");

        assert_eq!(query.select, ["status", ".node_id", "resource.hostname"]);
        let wanted = query.candidates();
        assert_eq!(wanted.service.as_deref(), Some("front.hotel"));
        assert_eq!(wanted.tags, [("http.status_code".to_owned(), "503".to_owned())]);
        assert_eq!(wanted.shortest, Some(10_000_000));
        assert!(TraceQl::parse("{}").is_ok_and(|query| query.is_exact()));
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for text in [
            "",
            "{",
            "{ a",
            "{ a = }",
            "{ a = \"b }",
            "{ a = b || c = d }",
            "{} | rate()",
            "{} >> {}",
            "{ a =~ \"(\" }",
            "{ duration > x }",
        ] {
            assert!(TraceQl::parse(text).is_err(), "{text}");
        }
    }
}
