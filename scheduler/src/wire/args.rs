//! `ExtenderArgs`: a pod and the nodes it may go to.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Error, Name};

/// The body of filter and prioritize calls.
#[derive(Debug)]
pub struct ExtenderArgs<'a> {
    /// The pod as it came; `None` when it is absent or null.
    pub pod: Option<&'a RawValue>,
    /// The nodes that are left.
    pub candidates: Candidates<'a>,
}

/// The nodes of a call, in the form they were sent and are answered.
#[derive(Debug)]
pub enum Candidates<'a> {
    /// `NodeNames`: the extender entry has `nodeCacheCapable: true`.
    Names(Vec<Name<'a>>),
    /// `Nodes`: whole objects, which makes kube-scheduler's own resource scoring see empty nodes.
    Nodes(Vec<NodeItem<'a>>),
}

/// One whole Node object.
#[derive(Debug)]
pub struct NodeItem<'a> {
    /// Its `metadata.name`; empty when it has none.
    pub name: Name<'a>,
    /// The object as it came.
    pub raw: &'a RawValue,
}

impl<'a> ExtenderArgs<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// The body is not JSON, is cut off, has another shape, or names no candidates.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let raw: RawArgs<'a> =
            serde_json::from_slice(body).map_err(|source| Error::Malformed { expected: "ExtenderArgs", source })?;
        let candidates = match (raw.names, raw.nodes) {
            (Some(names), _) => Candidates::Names(names),
            (None, Some(nodes)) => Candidates::Nodes(nodes.0),
            (None, None) => return Err(Error::NoCandidates),
        };
        Ok(Self { pod: raw.pod, candidates })
    }
}

impl Candidates<'_> {
    /// Gives how many there are, duplicates counted.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Names(names) => names.len(),
            Self::Nodes(nodes) => nodes.len(),
        }
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives their names in the order they were sent.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Names(names) => names.iter().map(Name::as_str).collect(),
            Self::Nodes(nodes) => nodes.iter().map(|node| node.name.as_str()).collect(),
        }
    }
}

#[derive(Default)]
struct RawArgs<'a> {
    pod: Option<&'a RawValue>,
    names: Option<Vec<Name<'a>>>,
    nodes: Option<Nodes<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for RawArgs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = RawArgs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with Pod and NodeNames or Nodes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawArgs<'de>, A::Error> {
                let mut args = RawArgs::default();
                while let Some(key) = map.next_key::<Name<'de>>()? {
                    match key.as_str() {
                        key if key.eq_ignore_ascii_case("pod") => args.pod = map.next_value()?,
                        key if key.eq_ignore_ascii_case("nodenames") => args.names = map.next_value()?,
                        key if key.eq_ignore_ascii_case("nodes") => args.nodes = map.next_value()?,
                        _ => drop(map.next_value::<de::IgnoredAny>()?),
                    }
                }
                Ok(args)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

struct Nodes<'a>(Vec<NodeItem<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Nodes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct List<'a> {
            #[serde(borrow, default)]
            items: Option<Vec<&'a RawValue>>,
        }
        #[derive(Default, serde::Deserialize)]
        struct Head<'a> {
            #[serde(borrow, default)]
            metadata: Metadata<'a>,
        }
        #[derive(Default, serde::Deserialize)]
        struct Metadata<'a> {
            #[serde(borrow, default)]
            name: Name<'a>,
        }

        let items = List::deserialize(deserializer)?.items.unwrap_or_default();
        let node = |raw: &'a RawValue| {
            let head: Head<'a> = serde_json::from_str(raw.get()).unwrap_or_default();
            NodeItem { name: head.metadata.name, raw }
        };
        Ok(Self(items.into_iter().map(node).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_borrowed_and_keys_match_in_any_case() {
        let body = br#"{"pod":{"a":1},"nodeNames":["a","b"],"Nodes":null,"Extra":[1,{}]}"#;

        let args = ExtenderArgs::parse(body).expect("well-formed");

        assert_eq!(args.candidates.names(), ["a", "b"]);
        assert_eq!(args.pod.map(RawValue::get), Some(r#"{"a":1}"#));
    }

    #[test]
    fn nodes_keep_their_bytes() {
        let body = br#"{"Pod":{},"Nodes":{"metadata":{},"items":[{"metadata":{"name":"n1"},"x":1.50},{"y":2}]},"NodeNames":null}"#;

        let args = ExtenderArgs::parse(body).expect("well-formed");

        let Candidates::Nodes(nodes) = args.candidates else { panic!("expected whole nodes") };
        assert_eq!(nodes[0].raw.get(), r#"{"metadata":{"name":"n1"},"x":1.50}"#);
        assert_eq!((nodes[0].name.as_str(), nodes[1].name.as_str()), ("n1", ""));
    }

    #[test]
    fn what_is_not_a_call_is_refused_with_a_word() {
        for (body, word) in [
            ("", "malformed"),
            ("<html>", "malformed"),
            ("null", "malformed"),
            ("[1]", "malformed"),
            (r#"{"NodeNames":[1]}"#, "malformed"),
            (r#"{"NodeNames":["a"]} x"#, "malformed"),
            (r#"{"Pod":{},"NodeNames":["a","#, "malformed"),
            ("{}", "no_candidates"),
            (r#"{"Nodes":null,"NodeNames":null}"#, "no_candidates"),
        ] {
            assert_eq!(ExtenderArgs::parse(body.as_bytes()).expect_err(body).label(), word, "{body}");
        }
    }
}
