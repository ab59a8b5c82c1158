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

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

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

/// A pack taken apart: its times decoded once for all series that share them.
#[derive(Debug)]
pub(crate) struct Opened {
    pack: Arc<Pack>,
    rows: Vec<Row>,
    series: Vec<Place>,
}

#[derive(Debug)]
struct Row {
    times: Vec<i64>,
    /// Each is later than the one before.
    is_ordered: bool,
}

/// Where the values of a series are.
#[derive(Debug)]
struct Place {
    slot: u8,
    row: usize,
    values: Range<usize>,
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
        let mut decompressor = Self::decompressor().map_err(|_| BadPack { length: body.len() })?;
        Self::from_stored_with(&mut decompressor, body)
    }

    /// Reads stored bytes with what [`Self::decompressor`] gave: making one costs as much as a small pack does.
    pub(crate) fn from_stored_with(
        decompressor: &mut zstd::bulk::Decompressor<'_>,
        body: &[u8],
    ) -> Result<Self, BadPack> {
        let bad = || BadPack { length: body.len() };
        let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten().ok_or_else(bad)?;
        let size = usize::try_from(size).ok().filter(|&size| size <= LIMIT).ok_or_else(bad)?;
        Ok(Self { plain: decompressor.decompress(body, size).map_err(|_| bad())? })
    }

    /// Gives what unpacks stored bytes.
    pub(crate) fn decompressor() -> std::io::Result<zstd::bulk::Decompressor<'static>> {
        zstd::bulk::Decompressor::new()
    }

    /// Takes the pack apart; anything that is no pack is an error, but values are looked at when they are read.
    pub(crate) fn open(self: &Arc<Self>) -> Result<Opened, BadPack> {
        self.try_open().ok_or(BadPack { length: self.plain.len() })
    }

    fn try_open(self: &Arc<Self>) -> Option<Opened> {
        let (rows, directory, values) = self.directory()?;
        let row = |(count, mut times): (usize, &[u8])| {
            let times = chunk::take_times(&mut times, count)?;
            Some(Row { is_ordered: times.is_sorted_by(|one, next| one < next), times })
        };
        let rows = rows.into_iter().map(row).collect::<Option<_>>()?;
        let mut at = self.plain.len() - values.len();
        let mut place = |(slot, row, length): (u8, usize, usize)| {
            let end = at.checked_add(length).filter(|&end| end <= self.plain.len())?;
            let values = std::mem::replace(&mut at, end)..end;
            Some(Place { slot, row, values })
        };
        let series = directory.into_iter().map(&mut place).collect::<Option<_>>()?;
        Some(Opened { pack: self.clone(), rows, series })
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

impl Opened {
    /// Appends the points of one series between two times, both included, in the order in which they lie here; none when
    /// it has none here. What is the end of `times` already is not appended again: the same pack, met twice.
    ///
    /// Gives whether all that is in `times` now is in order, as it was before; errors: its values do not decode.
    pub(crate) fn append(
        &self,
        slot: u8,
        span: RangeInclusive<i64>,
        times: &mut Vec<i64>,
        values: &mut Vec<f64>,
    ) -> Result<bool, BadPack> {
        let Some(place) = self.series.iter().find(|place| place.slot == slot) else { return Ok(true) };
        let row = &self.rows[place.row];
        let bytes = &self.pack.plain[place.values.clone()];
        let bad = BadPack { length: self.pack.plain.len() };
        if !row.is_ordered {
            let all = row.times.iter().zip(chunk::take_values(bytes, row.times.len()).ok_or(bad)?);
            all.filter(|(time, _)| span.contains(time)).for_each(|(&time, value)| {
                times.push(time);
                values.push(value);
            });
            return Ok(false);
        }
        let from = row.times.partition_point(|time| time < span.start());
        let inside = &row.times[from..row.times.partition_point(|time| time <= span.end())];
        if inside.is_empty() || times.ends_with(inside) {
            return Ok(true);
        }
        let before = values.len();
        chunk::values_into(bytes, row.times.len(), values).ok_or(bad)?;
        values.truncate(before + from + inside.len());
        values.drain(before..before + from);
        let is_ordered = times.last().is_none_or(|last| *last < inside[0]);
        times.extend_from_slice(inside);
        Ok(is_ordered)
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

            let pack = Arc::new(Pack::from_stored(&stored(&Pack::new(&series))).expect("its own encoding"));
            let opened = pack.open().expect("its own encoding");

            let back = pack.all().expect("its own encoding");
            prop_assert_eq!(back.len(), series.len());
            for (back, expected) in back.iter().zip(&series) {
                prop_assert_eq!(back.0, expected.0);
                let bits = |points: &[Point]| points.iter().map(|p| (p.0, p.1.to_bits())).collect::<Vec<_>>();
                prop_assert_eq!(bits(&back.1), bits(&expected.1));
                prop_assert_eq!(bits(&pack.one(back.0).expect("its own encoding")), bits(&expected.1));
                for (start, end) in [(i64::MIN, i64::MAX), (-(1 << 62), 1 << 61)] {
                    let (mut times, mut values) = (vec![i64::MIN], vec![0.0]);
                    let is_ordered = opened.append(back.0, start..=end, &mut times, &mut values).expect("its own encoding");
                    let inside: Vec<Point> =
                        expected.1.iter().copied().filter(|point| (start..=end).contains(&point.0)).collect();
                    prop_assert!(!is_ordered || times.is_sorted_by(|one, next| one < next));
                    let found: Vec<Point> = times.into_iter().zip(values).skip(1).collect();
                    prop_assert_eq!(bits(&found), bits(&inside));
                }
            }
        }

        #[test]
        fn garbage_is_refused_or_read_but_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Pack::from_stored(&bytes);
            let pack = Pack { plain: bytes };
            let _ = pack.all();
            let _ = pack.one(0);
            if let Ok(opened) = Arc::new(pack).open() {
                let _ = opened.append(0, 0..=i64::MAX, &mut Vec::new(), &mut Vec::new());
            }
        }
    }

    #[test]
    fn points_of_a_span_follow_those_before_and_the_same_pack_met_twice_is_one() {
        let points: Vec<Point> = (0..120).map(|at| (at * 15, at as f64)).collect();
        let pack = Arc::new(Pack::new(&[(5, points.clone())]));
        let opened = pack.open().expect("its own encoding");
        let (mut times, mut values) = (vec![1], vec![0.5]);

        assert_eq!(opened.append(5, 30..=60, &mut times, &mut values), Ok(true));
        assert_eq!(
            (times.as_slice(), values.as_slice()),
            ([1, 30, 45, 60].as_slice(), [0.5, 2.0, 3.0, 4.0].as_slice())
        );
        assert_eq!(opened.append(5, 30..=60, &mut times, &mut values), Ok(true));
        assert_eq!(opened.append(4, 30..=60, &mut times, &mut values), Ok(true));
        assert_eq!((times.len(), values.len()), (4, 4));
        assert_eq!(opened.append(5, 30..=90, &mut times, &mut values), Ok(false), "some are there already");
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
