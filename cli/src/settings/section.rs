//! One declaration makes a section's struct, its defaults, its documentation and its reader.

use std::collections::BTreeMap;

use serde_json::Value;

use super::problem::Problem;

/// What the documentation says of one key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Section it belongs to.
    pub section: &'static str,
    /// Name inside the section.
    pub name: &'static str,
    /// What kind of value it takes.
    pub kind: &'static str,
    /// Default as one would write it; empty means none.
    pub default: &'static str,
    /// Values that are accepted; empty means every value of the kind.
    pub range: &'static str,
    /// One sentence or two.
    pub doc: &'static str,
}

/// A value that a layer gave, and where.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// The value.
    pub value: Value,
    /// Where it stands: `wattle.yaml:12`, `WATTLE__COLLECTOR__LISTEN`, `--listen`.
    pub origin: String,
}

/// All values given, by `section.key`; a later layer has replaced an earlier one.
pub(crate) type Layers = BTreeMap<String, Given>;

/// Reads one key: what a layer gave, or the default.
pub(crate) fn read_key<T: super::Setting>(
    key: &Key,
    layers: &Layers,
    in_range: fn(&T) -> bool,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let path = format!("{}.{}", key.section, key.name);
    let default = Given { value: Value::from(key.default), origin: "default".to_owned() };
    let given = layers.get(&path).unwrap_or(&default);
    match T::read(&given.value) {
        Ok(value) if in_range(&value) => Some(value),
        Ok(_) => {
            problems.push(Problem::new(&given.origin, &path, format!("{} is outside {}", given.value, key.range)));
            None
        }
        Err(what) => {
            problems.push(Problem::new(&given.origin, &path, format!("{what}; expected: {}", key.kind)));
            None
        }
    }
}

/// Declares a section: `name: Type = "default", "range text", check;` with a doc comment each.
macro_rules! section {
    ($(#[doc = $about:literal])* $name:ident = $section:literal {
        $($(#[doc = $doc:literal])+ $key:ident : $type:ty = $default:literal $(, $range:literal, $check:expr)?;)+
    }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name {
            $($(#[doc = $doc])+ pub $key: $type,)+
        }

        impl $name {
            /// What the documentation says of each key.
            pub(crate) const KEYS: &'static [$crate::settings::Key] = &[
                $($crate::settings::Key {
                    section: $section,
                    name: stringify!($key),
                    kind: <$type as $crate::settings::Setting>::KIND,
                    default: $default,
                    range: concat!("" $(, $range)?),
                    doc: concat!($($doc),+),
                }),+
            ];

            /// Reads the section; every problem is added to the list, `None` when there was one.
            pub(crate) fn read(
                layers: &$crate::settings::Layers,
                problems: &mut Vec<$crate::settings::Problem>,
            ) -> Option<Self> {
                let mut keys = Self::KEYS.iter();
                $(let $key = {
                    let key = keys.next().expect("KEYS holds one entry a field, in the same order");
                    #[allow(unused_mut, unused_assignments, reason = "a key without a range keeps the first check")]
                    let mut check: fn(&$type) -> bool = |_| true;
                    $(check = $check;)?
                    $crate::settings::read_key::<$type>(key, layers, check, problems)
                };)+
                Some(Self { $($key: $key?),+ })
            }
        }
    };
}

pub(crate) use section;
