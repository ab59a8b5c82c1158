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
                    required: $crate::decode::macros::required!($($flag $($why)?)?),
                    schema: <$ty as $crate::decode::Decode>::schema,
                    support: $crate::decode::macros::support!($($flag $($why)?)?),
                }, )*
            ];
        }

        // There are some two hundred of these: what does not depend on the types stands in functions that exist once.
        impl $crate::decode::Decode for $name {
            fn decode(node: &$crate::yaml::Node, cursor: &mut $crate::decode::Cursor<'_>) -> Option<Self> {
                #[allow(unused_mut, reason = "an object may have no fields")]
                let mut result = Self::default();
                let groups: &[&[&str]] = &[$( &[$($group),*] ),*];
                let is_object = cursor.object(node, Self::FIELDS, groups, &mut |field, value, cursor| match field {
                    $( $json => $crate::decode::set(&mut result.$field, value, cursor), )*
                    _ => { let _ = (value, cursor); }
                });
                is_object.then_some(result)
            }

            fn encode(&self) -> Option<serde_json::Value> {
                #[allow(unused_mut, reason = "an object may have no fields")]
                let mut object = serde_json::Map::new();
                $( $crate::decode::put(&mut object, $json, &self.$field); )*
                (!object.is_empty()).then_some(serde_json::Value::Object(object))
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

/// Whether a field must be there.
macro_rules! required {
    (required) => {
        true
    };
    ($($other:tt)*) => {
        false
    };
}

/// Declares an enumeration of upper-case words; the first is what an absent field means.
macro_rules! choices {
    ($(
        $(#[$doc:meta])*
        enum $name:ident { $( $variant:ident = $word:literal $(| $alias:literal)* ),* $(,)? }
    )*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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
