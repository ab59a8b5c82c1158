//! Codec of a pack: the chunks of up to 64 neighbouring series, which mostly came in one request and share their times.
//!
//! ```text
//! count of time rows · each: count, length, times        series of one target are scraped together: mostly one row
//! count of series · each: slot, time row, length of its values
//! the values of each series
//! ```
//!
//! What is stored is zstd over that: buckets of one histogram move alike, and small numbers leave most bits of a byte
//! unused. One row in the database for some 7,000 samples, not 120, also makes its overhead vanish.

use super::chunk::{self, Point};
use super::varint;

/// Series of a pack.
pub(crate) const SLOTS: usize = 64;
/// Higher levels gained less than 2 % on the benchmark's data and cost twice the time.
const LEVEL: i32 = 3;
/// What one pack may grow to when it is read back: 64 series of the longest chunk, nine bytes a value and time.
const LIMIT: usize = 128 << 20;
/// Most samples of one series in a pack.
pub(crate) const LONGEST: usize = 1 << 16;

/// A pack as it is in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pack {
    plain: Vec<u8>,
}

/// Tells that bytes are not a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("pack of {length} bytes does not decode")]
pub(crate) struct BadPack {
    length: usize,
}

impl Pack {
    /// Encodes the points of series, each by its slot; they must be in order of slot.
    pub(crate) fn new(series: &[(u8, Vec<Point>)]) -> Self {
        let mut rows: Vec<&[Point]> = Vec::new();
        let mut directory = Vec::with_capacity(series.len() * 4);
        let mut values = Vec::with_capacity(series.iter().map(|(_, points)| points.len() * 2 + 8).sum());
        varint::put(&mut directory, series.len() as u64);
        for (slot, points) in series {
            let row = rows.iter().position(|row| is_same_times(row, points)).unwrap_or_else(|| {
                rows.push(points);
                rows.len() - 1
            });
            let before = values.len();
            chunk::put_values(&mut values, points.iter().map(|point| point.1));
            directory.push(*slot);
            varint::put(&mut directory, row as u64);
            varint::put(&mut directory, (values.len() - before) as u64);
        }
        let mut plain = Vec::with_capacity(values.len() + directory.len() + 64);
        varint::put(&mut plain, rows.len() as u64);
        for row in rows {
            let mut times = Vec::with_capacity(row.len() + 16);
            chunk::put_times(&mut times, row.iter().map(|point| point.0));
            varint::put(&mut plain, row.len() as u64);
            varint::put(&mut plain, times.len() as u64);
            plain.extend_from_slice(&times);
        }
        plain.extend_from_slice(&directory);
        plain.extend_from_slice(&values);
        plain.shrink_to_fit();
        Self { plain }
    }

    /// Takes bytes as they are in memory.
    pub(crate) const fn from_plain(plain: Vec<u8>) -> Self {
        Self { plain }
    }

    /// Gives the bytes that are stored.
    pub(crate) fn to_stored(&self, compressor: &mut zstd::bulk::Compressor<'_>) -> std::io::Result<Vec<u8>> {
        compressor.compress(&self.plain)
    }

    /// Gives what compresses packs; making one costs more than a pack does.
    pub(crate) fn compressor() -> std::io::Result<zstd::bulk::Compressor<'static>> {
        zstd::bulk::Compressor::new(LEVEL)
    }

    /// Reads stored bytes.
    pub(crate) fn from_stored(body: &[u8]) -> Result<Self, BadPack> {
        let bad = || BadPack { length: body.len() };
        let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten().ok_or_else(bad)?;
        let size = usize::try_from(size).ok().filter(|&size| size <= LIMIT).ok_or_else(bad)?;
        Ok(Self { plain: zstd::bulk::decompress(body, size).map_err(|_| bad())? })
    }

    /// Gives the points of one series, none when it has none here; anything that is no pack is an error.
    pub(crate) fn one(&self, slot: u8) -> Result<Vec<Point>, BadPack> {
        let points = self.try_one(slot).ok_or(BadPack { length: self.plain.len() })?;
        Ok(points.unwrap_or_default())
    }

    fn try_one(&self, wanted: u8) -> Option<Option<Vec<Point>>> {
        let (rows, directory, mut input) = self.directory()?;
        for (slot, row, length) in directory {
            let (values, rest) = input.split_at_checked(length)?;
            input = rest;
            if slot == wanted {
                return points(rows[row], values).map(Some);
            }
        }
        Some(None)
    }

    /// Gives the points of every series by slot; anything that is no pack is an error.
    pub(crate) fn all(&self) -> Result<Vec<(u8, Vec<Point>)>, BadPack> {
        self.try_all().ok_or(BadPack { length: self.plain.len() })
    }

    fn try_all(&self) -> Option<Vec<(u8, Vec<Point>)>> {
        let (rows, directory, mut input) = self.directory()?;
        let mut found = Vec::with_capacity(directory.len());
        for (slot, row, length) in directory {
            let (values, rest) = input.split_at_checked(length)?;
            input = rest;
            found.push((slot, points(rows[row], values)?));
        }
        input.is_empty().then_some(found)
    }

    /// Reads what stands before the values: the time rows, and each series' slot, row and length.
    #[expect(clippy::type_complexity, reason = "taken apart where it is asked for")]
    fn directory(&self) -> Option<(Vec<(usize, &[u8])>, Vec<(u8, usize, usize)>, &[u8])> {
        let mut input = self.plain.as_slice();
        let number = |input: &mut &[u8]| usize::try_from(varint::take(input)?).ok();
        let count = number(&mut input).filter(|&count| count <= SLOTS)?;
        let mut rows = Vec::with_capacity(count);
        for _ in 0..count {
            let samples = number(&mut input).filter(|&samples| samples <= LONGEST)?;
            let length = number(&mut input)?;
            let (times, rest) = input.split_at_checked(length)?;
            input = rest;
            rows.push((samples, times));
        }
        let count = number(&mut input).filter(|&count| count <= SLOTS)?;
        let mut directory = Vec::with_capacity(count);
        for _ in 0..count {
            let (&slot, rest) = input.split_first()?;
            input = rest;
            let row = number(&mut input).filter(|&row| row < rows.len())?;
            directory.push((slot, row, number(&mut input)?));
        }
        Some((rows, directory, input))
    }
}

fn points((count, mut times): (usize, &[u8]), values: &[u8]) -> Option<Vec<Point>> {
    let times = chunk::take_times(&mut times, count)?;
    Some(times.into_iter().zip(chunk::take_values(values, count)?).collect())
}

fn is_same_times(one: &[Point], other: &[Point]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.0 == other.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stored(pack: &Pack) -> Vec<u8> {
        pack.to_stored(&mut Pack::compressor().expect("zstd")).expect("compresses")
    }

    proptest! {
        #[test]
        fn any_bits_of_any_series_come_back(
            series in prop::collection::vec(prop::collection::vec((any::<i64>(), any::<u64>()), 0..40), 0..20),
        ) {
            let series: Vec<(u8, Vec<Point>)> = series
                .into_iter()
                .enumerate()
                .map(|(slot, points)| {
                    (slot as u8 * 3, points.into_iter().map(|(time, bits)| (time, f64::from_bits(bits))).collect())
                })
                .collect();

            let pack = Pack::from_stored(&stored(&Pack::new(&series))).expect("its own encoding");

            let back = pack.all().expect("its own encoding");
            prop_assert_eq!(back.len(), series.len());
            for (back, expected) in back.iter().zip(&series) {
                prop_assert_eq!(back.0, expected.0);
                let bits = |points: &[Point]| points.iter().map(|p| (p.0, p.1.to_bits())).collect::<Vec<_>>();
                prop_assert_eq!(bits(&back.1), bits(&expected.1));
                prop_assert_eq!(bits(&pack.one(back.0).expect("its own encoding")), bits(&expected.1));
            }
        }

        #[test]
        fn garbage_is_refused_or_read_but_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Pack::from_stored(&bytes);
            let pack = Pack { plain: bytes };
            let _ = pack.all();
            let _ = pack.one(0);
        }
    }

    #[test]
    fn an_hour_of_a_histogram_takes_a_tenth_of_a_byte_a_sample() {
        let series: Vec<(u8, Vec<Point>)> = (0..20)
            .map(|bucket| (bucket, (0..120).map(|at| (at * 15_000, (at * 7 * i64::from(bucket)) as f64)).collect()))
            .collect();

        let bytes = stored(&Pack::new(&series)).len();

        assert!(bytes < 20 * 120 / 10, "{bytes} bytes");
    }
}
