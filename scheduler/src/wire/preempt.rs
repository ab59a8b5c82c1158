//! `ExtenderPreemptionArgs`: which pods would have to go from which node.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::{Error, Name};

/// The body of a preempt call, in the order it was sent.
#[derive(Debug, Default)]
pub struct PreemptArgs<'a> {
    /// Node and its victims. Whole victim pods are reduced to their unique ids, which is all the answer carries.
    pub victims: Vec<(Name<'a>, Victims<'a>)>,
}

/// The pods that would have to leave one node.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Victims<'a> {
    /// Unique ids of the pods.
    pub uids: Vec<Name<'a>>,
    /// How many pod disruption budgets that would break.
    pub broken_budgets: i64,
}

impl<'a> PreemptArgs<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// The body is not JSON, is cut off or has another shape.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        serde_json::from_slice(body).map_err(|source| Error::Malformed { expected: "ExtenderPreemptionArgs", source })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for PreemptArgs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = PreemptArgs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with NodeNameToVictims or NodeNameToMetaVictims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PreemptArgs<'de>, A::Error> {
                let mut args = PreemptArgs::default();
                while let Some(key) = map.next_key::<Name<'de>>()? {
                    let key = key.as_str();
                    if key.eq_ignore_ascii_case("nodenametovictims")
                        || key.eq_ignore_ascii_case("nodenametometavictims")
                    {
                        if let Some(VictimsByNode(victims)) = map.next_value()? {
                            args.victims.extend(victims);
                        }
                    } else {
                        map.next_value::<de::IgnoredAny>()?;
                    }
                }
                Ok(args)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

struct VictimsByNode<'a>(Vec<(Name<'a>, Victims<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for VictimsByNode<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = VictimsByNode<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object from node to victims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<VictimsByNode<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some((node, raw)) = map.next_entry::<Name<'de>, Option<RawVictims<'de>>>()? {
                    pairs.push((node, raw.unwrap_or_default().into()));
                }
                Ok(VictimsByNode(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// Either form: a victim is a whole Pod (`metadata.uid`) or a MetaPod (`UID`).
#[derive(Default, serde::Deserialize)]
struct RawVictims<'a> {
    #[serde(borrow, rename = "Pods", default)]
    pods: Option<Vec<RawVictim<'a>>>,
    #[serde(rename = "NumPDBViolations", default)]
    broken_budgets: i64,
}

#[derive(serde::Deserialize)]
struct RawVictim<'a> {
    #[serde(borrow, rename = "UID", default)]
    uid: Name<'a>,
    #[serde(borrow, default)]
    metadata: RawMetadata<'a>,
}

#[derive(Default, serde::Deserialize)]
struct RawMetadata<'a> {
    #[serde(borrow, default)]
    uid: Name<'a>,
}

impl<'a> From<RawVictims<'a>> for Victims<'a> {
    fn from(raw: RawVictims<'a>) -> Self {
        let uid = |victim: RawVictim<'a>| if victim.uid.as_str().is_empty() { victim.metadata.uid } else { victim.uid };
        Self { uids: raw.pods.unwrap_or_default().into_iter().map(uid).collect(), broken_budgets: raw.broken_budgets }
    }
}
