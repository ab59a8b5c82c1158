//! Chunked bodies (RFC 9112, 7.1), with no liberty taken.

use super::Refusal;

/// Bytes of one chunk's extensions. Nobody uses them; a long one is an attack (CVE-2023-39326 and its kin).
const EXTENSION: u32 = 1024;
/// Bytes of all trailers.
const TRAILERS: u32 = 8192;

/// Where in a chunked body the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Size { value: u64, digits: u8 },
    Extension { size: u64, length: u32 },
    SizeEnd { size: u64 },
    Data(u64),
    DataCr,
    DataLf,
    Trailer { line: u32, total: u32 },
    TrailerEnd { line: u32, total: u32 },
    Done,
}

impl Chunk {
    pub(super) const START: Self = Self::Size { value: 0, digits: 0 };

    /// Takes what frames data; stops at data and at the end. Says how many bytes it took. Trailers are kept in `lines`.
    pub(super) fn frame(&mut self, bytes: &[u8], lines: &mut Vec<u8>) -> Result<usize, Refusal> {
        for (at, byte) in bytes.iter().enumerate() {
            match *self {
                Self::Data(_) | Self::Done => return Ok(at),
                Self::Trailer { .. } | Self::TrailerEnd { .. } => lines.push(*byte),
                _ => {}
            }
            *self = self.step(*byte)?;
        }
        Ok(bytes.len())
    }

    /// Says that data was taken.
    pub(super) fn took(&mut self, count: u64) {
        if let Self::Data(left) = *self {
            *self = if left <= count { Self::DataCr } else { Self::Data(left - count) };
        }
    }

    fn step(self, byte: u8) -> Result<Self, Refusal> {
        match (self, byte) {
            (Self::Size { value, digits }, _) if byte.is_ascii_hexdigit() && digits < 16 => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                Ok(Self::Size { value: value << 4 | u64::from(digit), digits: digits + 1 })
            }
            (Self::Size { value, digits: 1.. }, b'\r') => Ok(Self::SizeEnd { size: value }),
            (Self::Size { value, digits: 1.. }, b';') => Ok(Self::Extension { size: value, length: 0 }),
            (Self::Size { .. }, _) => Err(Refusal("malformed_chunk_size")),
            (Self::Extension { size, .. }, b'\r') => Ok(Self::SizeEnd { size }),
            (Self::Extension { size, length }, _) if length < EXTENSION && (byte == b'\t' || byte >= b' ') => {
                Ok(Self::Extension { size, length: length + 1 })
            }
            (Self::Extension { .. }, _) => Err(Refusal("malformed_chunk_extension")),
            (Self::SizeEnd { size: 0 }, b'\n') => Ok(Self::Trailer { line: 0, total: 0 }),
            (Self::SizeEnd { size }, b'\n') => Ok(Self::Data(size)),
            (Self::DataCr, b'\r') => Ok(Self::DataLf),
            (Self::DataLf, b'\n') => Ok(Self::START),
            (Self::SizeEnd { .. } | Self::DataCr | Self::DataLf, _) => Err(Refusal("malformed_chunk_end")),
            (Self::Trailer { line, total }, b'\r') => Ok(Self::TrailerEnd { line, total }),
            (Self::Trailer { line, total }, _) if total < TRAILERS && (byte == b'\t' || byte >= b' ') => {
                Ok(Self::Trailer { line: line + 1, total: total + 1 })
            }
            (Self::TrailerEnd { line: 0, .. }, b'\n') => Ok(Self::Done),
            (Self::TrailerEnd { total, .. }, b'\n') => Ok(Self::Trailer { line: 0, total }),
            (Self::Trailer { .. } | Self::TrailerEnd { .. }, _) => Err(Refusal("malformed_trailers")),
            (Self::Data(_) | Self::Done, _) => Ok(self),
        }
    }
}
