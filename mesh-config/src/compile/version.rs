//! The version of a table: a hash of its content, without writing the content out.

use serde::Serialize;
use serde::ser::{self, Serializer};
/// Gives the hash of a value as 32 hexadecimal digits: equal content, equal hash.
///
/// Two lanes of folded multiplication, as in wyhash (Wang Yi, public domain): not for secrets, but a hundred times cheaper
/// than writing the table out, which a recompilation after a small change would spend most of its time on.
pub(crate) fn hash_of<T: Serialize>(value: &T) -> String {
    let mut feed = Feed { lanes: [FIRST, SECOND] };
    // Feeding a hash cannot fail, and the types of a table have no serializers that do.
    let _ = value.serialize(&mut feed);
    format!("{:016x}{:016x}", feed.lanes[0], feed.lanes[1])
}

/// Constants of wyhash: odd, with as many ones as zeroes.
const FIRST: u64 = 0xa076_1d64_78bd_642f;
const SECOND: u64 = 0xe703_7ed1_a0b4_28db;

/// A serializer that feeds a hash. Every value begins with its sort, every text and list with its length, so that
/// different values never look alike.
struct Feed {
    lanes: [u64; 2],
}

impl Feed {
    fn mix(&mut self, word: u64) {
        let fold = |lane: u64, word: u64, factor: u64| {
            let (low, high) = (lane ^ word).carrying_mul(factor, 0);
            low ^ high
        };
        // The rotations keep a lane that a word turns to zero from staying there.
        self.lanes[0] = fold(self.lanes[0].rotate_left(29).wrapping_add(FIRST), word, SECOND);
        self.lanes[1] = fold(self.lanes[1].rotate_left(43).wrapping_add(SECOND), word, FIRST);
    }

    fn put(&mut self, sort: u8, bytes: &[u8]) {
        self.mix(u64::from(sort) | (bytes.len() as u64) << 8);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn length(&mut self, sort: u8, length: usize) {
        self.mix(u64::from(sort) | (length as u64) << 8);
    }
}

/// Why a value could not be hashed: never happens.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Never(String);

impl ser::Error for Never {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

macro_rules! numbers {
    ($($method:ident: $ty:ty = $sort:literal;)*) => { $(
        fn $method(self, value: $ty) -> Result<(), Never> {
            self.put($sort, &value.to_le_bytes());
            Ok(())
        }
    )* };
}

impl Serializer for &mut Feed {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers! {
        serialize_i8: i8 = b'a';
        serialize_i16: i16 = b'b';
        serialize_i32: i32 = b'c';
        serialize_i64: i64 = b'd';
        serialize_u8: u8 = b'e';
        serialize_u16: u16 = b'f';
        serialize_u32: u32 = b'g';
        serialize_u64: u64 = b'h';
        serialize_f32: f32 = b'i';
        serialize_f64: f64 = b'j';
    }

    fn serialize_bool(self, value: bool) -> Result<(), Never> {
        self.put(b'k', &[u8::from(value)]);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Never> {
        self.put(b'l', &u32::from(value).to_le_bytes());
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), Never> {
        self.put(b'm', text.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Never> {
        self.put(b'n', bytes);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Never> {
        self.put(b'o', &[]);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Never> {
        self.put(b'p', &[]);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Never> {
        self.put(b'q', &[]);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Never> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _name: &'static str, index: u32, _variant: &'static str) -> Result<(), Never> {
        self.put(b'r', &index.to_le_bytes());
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        self.put(b's', &index.to_le_bytes());
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Never> {
        self.length(b't', length.unwrap_or(usize::MAX));
        Ok(self)
    }

    fn serialize_tuple(self, length: usize) -> Result<Self, Never> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _name: &'static str, length: usize) -> Result<Self, Never> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        length: usize,
    ) -> Result<Self, Never> {
        self.put(b'u', &index.to_le_bytes());
        self.serialize_seq(Some(length))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, Never> {
        self.length(b'v', length.unwrap_or(usize::MAX));
        Ok(self)
    }

    fn serialize_struct(self, _name: &'static str, length: usize) -> Result<Self, Never> {
        self.length(b'w', length);
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        _variant: &'static str,
        length: usize,
    ) -> Result<Self, Never> {
        self.put(b'x', &index.to_le_bytes());
        self.serialize_struct(name, length)
    }
}

macro_rules! parts {
    ($($trait:ident { $($method:ident $(<$key:ident>)?),* })*) => { $(
        impl ser::$trait for &mut Feed {
            type Ok = ();
            type Error = Never;
            $( parts!(@ $method $($key)?); )*

            fn end(self) -> Result<(), Never> {
                self.put(b'z', &[]);
                Ok(())
            }
        }
    )* };
    (@ $method:ident) => {
        fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
            value.serialize(&mut **self)
        }
    };
    (@ $method:ident named) => {
        fn $method<T: Serialize + ?Sized>(&mut self, _name: &'static str, value: &T) -> Result<(), Never> {
            value.serialize(&mut **self)
        }
    };
}

parts! {
    SerializeSeq { serialize_element }
    SerializeTuple { serialize_element }
    SerializeTupleStruct { serialize_field }
    SerializeTupleVariant { serialize_field }
    SerializeMap { serialize_key, serialize_value }
    SerializeStruct { serialize_field<named> }
    SerializeStructVariant { serialize_field<named> }
}

#[cfg(test)]
mod tests {
    use super::hash_of;

    #[test]
    fn different_values_have_different_hashes() {
        let hashes = [
            hash_of(&("ab", "c")),
            hash_of(&("a", "bc")),
            hash_of(&vec!["a"]),
            hash_of(&Some("a")),
            hash_of(&"a"),
            hash_of(&vec![vec![1_u8], vec![]]),
            hash_of(&vec![vec![], vec![1_u8]]),
        ];

        for (index, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..index].contains(hash), "{index}");
        }
        assert_eq!(hash_of(&("ab", "c")), hashes[0]);
    }
}
