//! The declaration of a resource's fields.

/// Declares objects: the Rust type, its decoder, its printer and its schema from one list of fields.
///
/// ```text
/// message! {
///     /// Doc.
///     pub(crate) struct Route {
///         hosts: Vec<String> = "hosts" required;
///         jwks: String = "jwksUri" | "jwks_uri";
///         percent: i32 = "percent" unapplied "use percentage";
///     }
///     one_of ["exact", "prefix"]
/// }
/// ```
macro_rules! message {
    ($(
        $(#[$doc:meta])*
        struct $name:ident {
            $( $field:ident : $ty:ty = $json:literal $(| $alias:literal)* $($flag:ident $($why:literal)?)? ; )*
        }
        $( one_of [ $($group:literal),* ] )*
    )*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct $name {
            $( pub(crate) $field: $ty, )*
        }

        impl $name {
            const FIELDS: &'static [$crate::decode::FieldSchema] = &[
                $( $crate::decode::FieldSchema {
                    json: $json,
                    aliases: &[$($alias),*],
                    schema: <$ty as $crate::decode::Decode>::schema,
                    support: $crate::decode::macros::support!($($flag $($why)?)?),
                }, )*
            ];
        }

        impl $crate::decode::Decode for $name {
            fn decode(node: &$crate::yaml::Node, cursor: &mut $crate::decode::Cursor<'_>) -> Option<Self> {
                let entries = cursor.mapping(node)?;
                #[allow(unused_mut, reason = "an object may have no fields")]
                let mut result = Self::default();
                for (key, value) in entries {
                    match key.text().unwrap_or_default() {
                        $( $json $(| $alias)* => {
                            if !value.is_null()
                                && let Some(value) = cursor.within(
                                    key.text().unwrap_or_default(),
                                    |cursor| $crate::decode::Decode::decode(value, cursor),
                                )
                            {
                                result.$field = value;
                            }
                        } )*
                        other => cursor.unknown(other, Self::FIELDS),
                    }
                }
                $( $crate::decode::macros::required!(cursor, entries, $json, $($flag $($why)?)?); )*
                $( cursor.one_of(entries, &[$($group),*]); )*
                Some(result)
            }

            fn encode(&self) -> Option<serde_json::Value> {
                #[allow(unused_mut, reason = "an object may have no fields")]
                let mut object = serde_json::Map::new();
                $( if let Some(value) = $crate::decode::Decode::encode(&self.$field) {
                    object.insert($json.to_owned(), value);
                } )*
                Some(serde_json::Value::Object(object)).filter(|_| *self != Self::default())
            }

            fn schema() -> $crate::decode::Schema {
                $crate::decode::Schema::Object(Self::FIELDS)
            }
        }
    )* };
}

/// Whether a flagged field is applied.
macro_rules! support {
    (unapplied $why:literal) => {
        $crate::decode::Support::NotApplied($why)
    };
    ($($other:tt)*) => {
        $crate::decode::Support::Applied
    };
}

/// Checks that a field flagged as required is there.
macro_rules! required {
    ($cursor:ident, $entries:ident, $json:literal, required) => {
        if !$entries.iter().any(|(key, value)| key.text() == Some($json) && !value.is_null()) {
            $cursor.missing($json);
        }
    };
    ($($other:tt)*) => {};
}

/// Declares an enumeration of upper-case words; the first is what an absent field means.
macro_rules! choices {
    ($(
        $(#[$doc:meta])*
        enum $name:ident { $( $variant:ident = $word:literal $(| $alias:literal)* ),* $(,)? }
    )*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum $name { #[allow(dead_code, reason = "some words are read and mean nothing more")] #[default] Absent, $( $variant ),* }

        impl $crate::decode::Decode for $name {
            fn decode(node: &$crate::yaml::Node, cursor: &mut $crate::decode::Cursor<'_>) -> Option<Self> {
                match node.text() {
                    $( Some($word $(| $alias)*) => Some(Self::$variant), )*
                    _ => {
                        cursor.unsupported(node, &[$($word),*]);
                        None
                    }
                }
            }

            fn encode(&self) -> Option<serde_json::Value> {
                match self {
                    Self::Absent => None,
                    $( Self::$variant => Some(serde_json::Value::String($word.to_owned())), )*
                }
            }

            fn schema() -> $crate::decode::Schema {
                $crate::decode::Schema::Choice(&[$($word),*])
            }
        }
    )* };
}

pub(crate) use {choices, message, required, support};
