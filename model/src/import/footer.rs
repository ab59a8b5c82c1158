//! What has to hold of a Parquet file's footer before it is given to the reader: its lists fit into it.
//!
//! The footer is a struct in Thrift's compact protocol. The reader believes the length that a list says it has, and counts
//! through four thousand million entries of nothing for seconds.

/// Structs, lists and maps inside each other: a schema's footer has five.
const DEEPEST: usize = 32;

/// Tells whether no list or map of a file's footer says it has more entries than bytes are left; what is no Parquet file at
/// all is left to the reader.
pub(super) fn fits(file: &[u8]) -> bool {
    let Some((rest, tail)) = file.split_last_chunk::<8>() else { return true };
    let [a, b, c, d, mark @ ..] = *tail;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    match rest.len().checked_sub(length) {
        Some(start) if mark == *b"PAR1" => Walk { input: &rest[start..] }.structure(0).is_some(),
        _ => true,
    }
}

/// What is left of a footer. Each step gives `None` for what is cut off, too deep or longer than what is left.
struct Walk<'a> {
    input: &'a [u8],
}

impl Walk<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.input.split_first()?;
        self.input = rest;
        Some(first)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.input = self.input.get(count..)?;
        Some(())
    }

    /// Takes a number of seven bits a byte.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// Takes a count of what has at least a byte each.
    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.input.len()).then_some(count)
    }

    fn structure(&mut self, depth: usize) -> Option<()> {
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            if head >> 4 == 0 {
                self.number()?;
            }
            // A field that is true or false is so by its kind.
            if !matches!(head & 15, 1 | 2) {
                self.value(head & 15, depth + 1)?;
            }
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.number().map(drop),
            7 => self.skip(8),
            8 => {
                let length = self.count()?;
                self.skip(length)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.count()? } else { usize::from(head >> 4) };
                (0..count).try_for_each(|_| self.value(head & 15, depth + 1))
            }
            11 => {
                let count = self.count()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                (0..count).try_for_each(|_| {
                    self.value(kinds >> 4, depth + 1)?;
                    self.value(kinds & 15, depth + 1)
                })
            }
            12 => self.structure(depth + 1),
            13 => self.skip(16),
            _ => None,
        }
    }
}
