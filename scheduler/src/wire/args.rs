//! `ExtenderArgs`: a pod and the nodes it may go to.
//!
//! Names are not collected: each is turned into the number of its node as it is read, straight from the body.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Error, Name};
use crate::names::Names;

/// The body of filter and prioritize calls.
#[derive(Debug)]
pub struct ExtenderArgs<'a> {
    /// The pod as it came; `None` when it is absent or null.
    pub pod: Option<&'a RawValue>,
    /// The nodes that are left.
    pub candidates: Candidates<'a>,
}

/// The nodes of a call, each once, in the order they were sent.
#[derive(Debug, Default)]
pub struct Candidates<'a> {
    /// Number of each: below the count of known names it is one of those, from there on it is one of `unknown`.
    pub numbers: Vec<u32>,
    /// Names that nothing is known of.
    pub unknown: Vec<Name<'a>>,
    /// The objects as they came, one a number, where whole nodes were sent (`nodeCacheCapable: false`).
    pub objects: Option<Vec<&'a RawValue>>,
    /// Entries left out: names given before, and empty ones.
    pub left_out: usize,
    known: usize,
}

impl<'a> ExtenderArgs<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// The body is not JSON, is cut off, has another shape, or names no candidates.
    pub fn parse(body: &'a [u8], names: &Names) -> Result<Self, Error> {
        let malformed = |source| Error::Malformed { expected: "ExtenderArgs", source };
        let mut reader = serde_json::Deserializer::from_slice(body);
        let raw = Fields { names }.deserialize(&mut reader).map_err(malformed)?;
        reader.end().map_err(malformed)?;
        let candidates = raw.names.or(raw.nodes).ok_or(Error::NoCandidates)?;
        Ok(Self { pod: raw.pod, candidates: candidates.distinct() })
    }
}

impl<'a> Candidates<'a> {
    /// Gives how many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Gives the name of a number; empty where it was not given out.
    #[must_use]
    pub fn name<'b>(&'b self, number: u32, names: &'b Names) -> &'b str {
        let number = number as usize;
        let known = || names.name(number).map(wattle_contract::NodeName::as_str);
        match number.checked_sub(self.known) {
            Some(at) => self.unknown.get(at).map_or("", Name::as_str),
            None => known().unwrap_or_default(),
        }
    }

    fn add(&mut self, name: impl Into<Name<'a>> + AsRef<str>, names: &Names, seen: &mut [u64]) -> bool {
        let number = match names.find(name.as_ref()) {
            Some(number) => {
                let (word, bit) = (number / 64, 1 << (number % 64));
                if seen[word] & bit != 0 {
                    self.left_out += 1;
                    return false;
                }
                seen[word] |= bit;
                number
            }
            None if name.as_ref().is_empty() => {
                self.left_out += 1;
                return false;
            }
            None => {
                self.unknown.push(name.into());
                self.known + self.unknown.len() - 1
            }
        };
        self.numbers.push(u32::try_from(number).unwrap_or(u32::MAX));
        true
    }

    /// Leaves out unknown names that were given before; of known ones that was seen to as they were read.
    fn distinct(mut self) -> Self {
        let mut seen = HashSet::with_capacity(self.unknown.len());
        let first: Vec<bool> = self.unknown.iter().map(|name| seen.insert(name.as_str())).collect();
        drop(seen);
        if first.iter().all(|is_first| *is_first) {
            return self;
        }
        let known = self.known;
        let is_kept = |number: u32| (number as usize).checked_sub(known).is_none_or(|at| first[at]);
        if let Some(objects) = &mut self.objects {
            let mut numbers = self.numbers.iter();
            objects.retain(|_| numbers.next().is_some_and(|number| is_kept(*number)));
        }
        let before = self.numbers.len();
        self.numbers.retain(|number| is_kept(*number));
        self.left_out += before - self.numbers.len();
        self
    }
}

#[derive(Default)]
struct RawArgs<'a> {
    pod: Option<&'a RawValue>,
    names: Option<Candidates<'a>>,
    nodes: Option<Candidates<'a>>,
}

struct Fields<'n> {
    names: &'n Names,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = RawArgs<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawArgs<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = RawArgs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with Pod and NodeNames or Nodes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawArgs<'de>, A::Error> {
        let mut args = RawArgs::default();
        while let Some(key) = map.next_key::<Name<'de>>()? {
            match key.as_str() {
                key if key.eq_ignore_ascii_case("pod") => args.pod = map.next_value()?,
                key if key.eq_ignore_ascii_case("nodenames") => args.names = map.next_value_seed(Listed(self.names))?,
                key if key.eq_ignore_ascii_case("nodes") => {
                    let nodes: Option<Nodes<'de>> = map.next_value()?;
                    args.nodes = nodes.map(|nodes| nodes.numbered(self.names));
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(args)
    }
}

/// `NodeNames`: a list of names, or null.
struct Listed<'n>(&'n Names);

impl<'de> DeserializeSeed<'de> for Listed<'_> {
    type Value = Option<Candidates<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Listed<'_> {
    type Value = Option<Candidates<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names or null")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Self::Value, A::Error> {
        let mut seen = vec![0; self.0.len().div_ceil(64)];
        let mut found = Candidates { known: self.0.len(), ..Candidates::default() };
        while names.next_element_seed(One { names: self.0, found: &mut found, seen: &mut seen })?.is_some() {}
        Ok(Some(found))
    }
}

/// One name of the list.
struct One<'s, 'a> {
    names: &'s Names,
    found: &'s mut Candidates<'a>,
    seen: &'s mut [u64],
}

impl<'de> DeserializeSeed<'de> for One<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for One<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<(), E> {
        self.found.add(name, self.names, self.seen);
        Ok(())
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<(), E> {
        self.found.add(name.to_owned(), self.names, self.seen);
        Ok(())
    }
}

/// `Nodes`: whole objects, of which only the name is read.
struct Nodes<'a>(Vec<(Name<'a>, &'a RawValue)>);

impl<'a> Nodes<'a> {
    fn numbered(self, names: &Names) -> Candidates<'a> {
        let mut seen = vec![0; names.len().div_ceil(64)];
        let mut found = Candidates { known: names.len(), ..Candidates::default() };
        let mut objects = Vec::with_capacity(self.0.len());
        for (name, object) in self.0 {
            if found.add(name, names, &mut seen) {
                objects.push(object);
            }
        }
        found.objects = Some(objects);
        found
    }
}

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
            (head.metadata.name, raw)
        };
        Ok(Self(items.into_iter().map(node).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattle_contract::NodeName;

    fn names() -> Names {
        Names::new(["a", "b"].map(NodeName::from))
    }

    fn given<'a>(args: &'a ExtenderArgs<'_>, names: &'a Names) -> Vec<&'a str> {
        args.candidates.numbers.iter().map(|number| args.candidates.name(*number, names)).collect()
    }

    #[test]
    fn names_become_numbers_and_keys_match_in_any_case() {
        let body = br#"{"pod":{"a":1},"nodeNames":["x","b","\u0061","b","","x","y"],"Nodes":null,"Extra":[1,{}]}"#;
        let names = names();

        let args = ExtenderArgs::parse(body, &names).expect("well-formed");

        assert_eq!(given(&args, &names), ["x", "b", "a", "y"]);
        assert_eq!(args.candidates.numbers[1..3], [1, 0]);
        assert_eq!(args.candidates.left_out, 3);
        assert_eq!(args.pod.map(RawValue::get), Some(r#"{"a":1}"#));
    }

    #[test]
    fn nodes_keep_their_bytes() {
        let body = br#"{"Pod":{},"Nodes":{"metadata":{},"items":[{"metadata":{"name":"n1"},"x":1.50},{"y":2},
            {"metadata":{"name":"a"}},{"metadata":{"name":"n1"}}]},"NodeNames":null}"#;
        let names = names();

        let args = ExtenderArgs::parse(body, &names).expect("well-formed");

        assert_eq!(given(&args, &names), ["n1", "a"]);
        assert_eq!(args.candidates.left_out, 2);
        let objects = args.candidates.objects.expect("whole nodes");
        assert_eq!(objects[0].get(), r#"{"metadata":{"name":"n1"},"x":1.50}"#);
        assert_eq!(objects.len(), 2);
    }

    #[test]
    fn what_is_not_a_call_is_refused_with_a_word() {
        for (body, word) in [
            ("", "malformed"),
            ("<html>", "malformed"),
            ("null", "malformed"),
            ("[1]", "malformed"),
            (r#"{"NodeNames":[1]}"#, "malformed"),
            (r#"{"NodeNames":"a"}"#, "malformed"),
            (r#"{"NodeNames":["a"]} x"#, "malformed"),
            (r#"{"Pod":{},"NodeNames":["a","#, "malformed"),
            ("{}", "no_candidates"),
            (r#"{"Nodes":null,"NodeNames":null}"#, "no_candidates"),
        ] {
            assert_eq!(ExtenderArgs::parse(body.as_bytes(), &names()).expect_err(body).label(), word, "{body}");
        }
    }
}
