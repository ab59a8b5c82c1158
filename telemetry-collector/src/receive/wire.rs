//! Protocol buffers, walked where they lie: nothing is copied until somebody wants it.
//!
//! Encoding: <https://protobuf.dev/programming-guides/encoding/>.

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// Tells that bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed protocol buffers")]
pub(super) struct Malformed;

/// Walks the fields of a message.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) const fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// Gives what is not walked yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Gives the next field and its number; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = varint(&mut self.rest)?;
        let field = match key & 7 {
            0 => Field::Varint(varint(&mut self.rest)?),
            1 => Field::Fixed64(u64::from_le_bytes(self.take()?)),
            2 => {
                let length = usize::try_from(varint(&mut self.rest)?).map_err(|_| Malformed)?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
                self.rest = rest;
                Field::Bytes(bytes)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.take()?)),
            _ => return Err(Malformed),
        };
        Ok(Some((key >> 3, field)))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (&bytes, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }
}

/// Takes a number off the front.
#[inline]
pub(super) fn varint(input: &mut &[u8]) -> Result<u64, Malformed> {
    // Lengths and keys: mostly one byte.
    if let Some((&first, rest)) = input.split_first().filter(|(first, _)| **first < 0x80) {
        *input = rest;
        return Ok(u64::from(first));
    }
    let mut number = 0_u64;
    for (at, &byte) in input.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            *input = &input[at + 1..];
            return Ok(number);
        }
    }
    Err(Malformed)
}

/// Gives a text.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_of_every_kind_are_walked() {
        let message = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x19, 1, 0, 0, 0, 0, 0, 0, 0, 0x25, 2, 0, 0, 0];
        let mut fields = Fields::new(&message);

        assert_eq!(fields.next(), Ok(Some((1, Field::Varint(150)))));
        assert_eq!(fields.next(), Ok(Some((2, Field::Bytes(b"hi")))));
        assert_eq!(fields.next(), Ok(Some((3, Field::Fixed64(1)))));
        assert_eq!(fields.next(), Ok(Some((4, Field::Fixed32(2)))));
        assert_eq!(fields.next(), Ok(None));
    }

    proptest! {
        #[test]
        fn garbage_ends(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut fields = Fields::new(&bytes);
            while let Ok(Some(_)) = fields.next() {}
        }
    }
}
