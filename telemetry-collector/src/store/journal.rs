//! Codec of a journal row: the samples of one group commit as compressed bytes.
//!
//! Samples refer to their series by id; a batch mostly shares one time, so times are deltas. zstd takes the rest out.

use super::varint;

/// The compression level that the measurements of the reference were taken at; higher ones cost more than they save.
const LEVEL: i32 = 1;
/// What one row may grow to when it is read back: far above the largest accepted request.
const LIMIT: usize = 512 << 20;

/// One sample of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Id of the series.
    pub(crate) series: i64,
    /// Time in milliseconds.
    pub(crate) time: i64,
    /// The value, stale markers included.
    pub(crate) value: f64,
}

/// Encodes batches; keeps what compresses them, which costs more to make than a row.
pub(crate) struct Encoder {
    compressor: zstd::bulk::Compressor<'static>,
    plain: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { compressor: zstd::bulk::Compressor::new(LEVEL)?, plain: Vec::new() })
    }

    /// Encodes a batch.
    pub(crate) fn encode(&mut self, entries: &[Entry]) -> std::io::Result<Vec<u8>> {
        let plain = &mut self.plain;
        plain.clear();
        varint::put(plain, entries.len() as u64);
        let (mut series, mut time) = (0_i64, 0_i64);
        for entry in entries {
            varint::put(plain, varint::zigzag(entry.series.wrapping_sub(series)));
            varint::put(plain, varint::zigzag(entry.time.wrapping_sub(time)));
            (series, time) = (entry.series, entry.time);
        }
        for entry in entries {
            plain.extend_from_slice(&entry.value.to_bits().to_be_bytes());
        }
        self.compressor.compress(plain)
    }
}

/// Decodes a row; `None` when it is not one.
pub(crate) fn decode(body: &[u8]) -> Option<Vec<Entry>> {
    let size = zstd::zstd_safe::get_frame_content_size(body).ok()??;
    let plain = zstd::bulk::decompress(body, usize::try_from(size).ok().filter(|&size| size <= LIMIT)?).ok()?;
    let mut input = plain.as_slice();
    let count = usize::try_from(varint::take(&mut input)?).ok()?;
    if count > input.len() {
        return None;
    }
    let mut entries = Vec::with_capacity(count);
    let (mut series, mut time) = (0_i64, 0_i64);
    for _ in 0..count {
        series = series.wrapping_add(varint::unzigzag(varint::take(&mut input)?));
        time = time.wrapping_add(varint::unzigzag(varint::take(&mut input)?));
        entries.push(Entry { series, time, value: 0.0 });
    }
    if input.len() != count * 8 {
        return None;
    }
    for (entry, bits) in entries.iter_mut().zip(input.chunks_exact(8)) {
        entry.value = f64::from_bits(u64::from_be_bytes(bits.try_into().ok()?));
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_batch_comes_back(rows in prop::collection::vec((any::<i64>(), any::<i64>(), any::<u64>()), 0..100)) {
            let batch: Vec<Entry> = rows
                .into_iter()
                .map(|(series, time, bits)| Entry { series, time, value: f64::from_bits(bits) })
                .collect();

            let back = decode(&Encoder::new().expect("zstd").encode(&batch).expect("compresses")).expect("its own encoding");

            prop_assert_eq!(back.len(), batch.len());
            for (a, b) in back.iter().zip(&batch) {
                prop_assert_eq!((a.series, a.time, a.value.to_bits()), (b.series, b.time, b.value.to_bits()));
            }
        }

        #[test]
        fn garbage_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&bytes).is_none());
        }
    }
}
