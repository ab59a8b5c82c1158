//! The parts of a Pod that are decoded; everything else is skipped.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

#[derive(Deserialize)]
pub(super) struct PodJson<'a> {
    #[serde(borrow, default)]
    pub(super) metadata: MetadataJson<'a>,
    #[serde(borrow, default)]
    pub(super) spec: SpecJson<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MetadataJson<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) namespace: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) uid: Cow<'a, str>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(borrow, deserialize_with = "null_is_empty")]
    pub(super) owner_references: Vec<OwnerJson<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct OwnerJson<'a> {
    #[serde(borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    pub(super) controller: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SpecJson<'a> {
    #[serde(borrow, deserialize_with = "null_is_empty")]
    pub(super) containers: Vec<ContainerJson<'a>>,
    #[serde(borrow, deserialize_with = "null_is_empty")]
    pub(super) init_containers: Vec<ContainerJson<'a>>,
    pub(super) resources: Option<ResourcesJson>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) overhead: BTreeMap<String, QuantityText>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ContainerJson<'a> {
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) resources: ResourcesJson,
    #[serde(borrow)]
    pub(super) restart_policy: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ResourcesJson {
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) requests: BTreeMap<String, QuantityText>,
}

/// A quantity as text; Kubernetes also takes a plain number.
pub(super) struct QuantityText(pub(super) String);

impl<'de> Deserialize<'de> for QuantityText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = QuantityText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as \"100m\" or 2")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<QuantityText, E> {
                Ok(QuantityText(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<QuantityText, E> {
                Ok(QuantityText(number.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<QuantityText, E> {
                Ok(QuantityText(number.to_string()))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<QuantityText, E> {
                Ok(QuantityText(number.to_string()))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
