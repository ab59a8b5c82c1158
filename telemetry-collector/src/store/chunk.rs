//! Codec of a chunk: samples of one series as bytes, exact to the last bit.
//!
//! Times are deltas of deltas with runs of zero counted. Values are, where every one of them is exactly a decimal of at
//! most six places (counters, joules in microjoules, seconds), deltas of integers or deltas of those, whichever is
//! shorter; otherwise the XOR with the bits of the value before, without its leading and trailing zero bytes. Decimals
//! halve what XOR alone needs on such data.

use super::varint;

/// Places of the decimals of a form; with [`PLAIN`] the numbers are deltas, without it deltas of deltas.
const PLACES: u8 = 6;
const PLAIN: u8 = 16;
const XOR: u8 = 7;
/// Most points of a chunk.
const MOST: usize = 1 << 20;
/// Above this, integers stand further apart than one in an f64.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Ten to the power of the places.
const SCALES: [f64; PLACES as usize + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

/// A stored value: its time in milliseconds and its number, NaN payloads (stale markers) included.
pub(crate) type Point = (i64, f64);

/// Tells that bytes are not a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("chunk of {length} bytes does not decode")]
pub(crate) struct BadChunk {
    length: usize,
}

/// Encodes points; they need not be in order of time.
pub(crate) fn encode(points: &[Point]) -> Vec<u8> {
    let mut out = Vec::with_capacity(points.len() * 3 + 16);
    varint::put(&mut out, points.len() as u64);
    put_times(&mut out, points.iter().map(|point| point.0));
    put_values(&mut out, points.iter().map(|point| point.1));
    out
}

/// Decodes what [`encode`] wrote; anything else is an error, never a panic.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Point>, BadChunk> {
    let try_decode = || {
        let mut input = bytes;
        let count = usize::try_from(varint::take(&mut input)?).ok()?;
        if count > MOST {
            return None;
        }
        let times = take_times(&mut input, count)?;
        let values = take_values(input, count)?;
        Some(times.into_iter().zip(values).collect())
    };
    try_decode().ok_or(BadChunk { length: bytes.len() })
}

/// Writes times.
pub(super) fn put_times(out: &mut Vec<u8>, times: impl Iterator<Item = i64>) {
    let mut deltas = Runs::default();
    let (mut last, mut last_delta) = (0_i64, 0_i64);
    for time in times {
        let delta = time.wrapping_sub(last);
        deltas.put(out, delta.wrapping_sub(last_delta));
        (last, last_delta) = (time, delta);
    }
    deltas.finish(out);
}

/// Takes times off the front.
pub(super) fn take_times(input: &mut &[u8], count: usize) -> Option<Vec<i64>> {
    take_numbers(input, count, true)
}

/// Writes values and how they are written.
pub(super) fn put_values(out: &mut Vec<u8>, values: impl Iterator<Item = f64> + Clone) {
    let Some((places, integers)) = decimals(values.clone()) else {
        out.push(XOR);
        let mut last = 0_u64;
        for value in values {
            put_xor(out, value.to_bits() ^ last);
            last = value.to_bits();
        }
        return;
    };
    let (mut plain, mut twice) = (0_u64, 0_u64);
    let (mut last, mut last_delta) = (0_i64, 0_i64);
    for (at, &integer) in integers.iter().enumerate() {
        let delta = integer - last;
        // The first two are the same number or near it in either form.
        if at > 1 {
            plain += u64::from(64 - varint::zigzag(delta).leading_zeros());
            twice += u64::from(64 - varint::zigzag(delta - last_delta).leading_zeros());
        }
        (last, last_delta) = (integer, delta);
    }
    let is_plain = plain < twice;
    out.push(if is_plain { PLAIN | places } else { places });
    let (mut runs, mut last, mut last_delta) = (Runs::default(), 0_i64, 0_i64);
    for integer in integers {
        let delta = integer - last;
        runs.put(out, if is_plain { delta } else { delta - last_delta });
        (last, last_delta) = (integer, delta);
    }
    runs.finish(out);
}

/// Reads values that take the whole of the input.
pub(super) fn take_values(input: &[u8], count: usize) -> Option<Vec<f64>> {
    let mut values = Vec::new();
    values_into(input, count, &mut values)?;
    Some(values)
}

/// Appends values that take the whole of the input; where they do not, what was appended is of no use.
pub(super) fn values_into(input: &[u8], count: usize, out: &mut Vec<f64>) -> Option<()> {
    let (&form, mut rest) = input.split_first()?;
    if form == XOR {
        // A value takes a byte at least.
        out.reserve(count.min(rest.len()));
        let mut last = 0_u64;
        for _ in 0..count {
            last ^= take_xor(&mut rest)?;
            out.push(f64::from_bits(last));
        }
    } else {
        let scale = *SCALES.get(usize::from(form & !PLAIN))?;
        out.reserve(count.min(MOST));
        #[expect(clippy::cast_precision_loss, reason = "encode() checked that the division restores the bits")]
        each_number(&mut rest, count, form & PLAIN == 0, |integer| out.push(integer as f64 / scale))?;
    }
    rest.is_empty().then_some(())
}

/// Gives the fewest places at which every value is an integer that comes back to the bit, and the integers.
fn decimals(values: impl Iterator<Item = f64> + Clone) -> Option<(u8, Vec<i64>)> {
    let mut places = 0;
    for value in values.clone() {
        while integer(value, SCALES[usize::from(places)]).is_none() {
            places += 1;
            if places > PLACES {
                return None;
            }
        }
    }
    // What is exact at few places mostly is at more; where it is not, no form of decimals holds all.
    let scale = SCALES[usize::from(places)];
    values.map(|value| integer(value, scale)).collect::<Option<Vec<i64>>>().map(|integers| (places, integers))
}

fn integer(value: f64, scale: f64) -> Option<i64> {
    let scaled = value * scale;
    // Neither too large nor NaN.
    if !(-EXACT..EXACT).contains(&scaled) {
        return None;
    }
    // Any rounding will do: what counts is whether the division restores the bits.
    #[expect(clippy::cast_possible_truncation, reason = "an integer below two to the power of 53")]
    let integer = (scaled + 0.5_f64.copysign(scaled)) as i64;
    #[expect(clippy::cast_precision_loss, reason = "below two to the power of 53")]
    let back = integer as f64 / scale;
    (back.to_bits() == value.to_bits()).then_some(integer)
}

/// Writes signed numbers; a run of zeros is a zero and its length.
#[derive(Default)]
struct Runs {
    zeros: u64,
}

impl Runs {
    fn put(&mut self, out: &mut Vec<u8>, number: i64) {
        if number == 0 {
            self.zeros += 1;
        } else {
            self.finish(out);
            varint::put(out, varint::zigzag(number));
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.zeros > 0 {
            varint::put(out, 0);
            varint::put(out, self.zeros);
            self.zeros = 0;
        }
    }
}

fn take_numbers(input: &mut &[u8], count: usize, is_twice: bool) -> Option<Vec<i64>> {
    let mut numbers = Vec::with_capacity(count.min(MOST));
    each_number(input, count, is_twice, |number| numbers.push(number))?;
    Some(numbers)
}

#[inline]
fn each_number(input: &mut &[u8], count: usize, is_twice: bool, mut take: impl FnMut(i64)) -> Option<()> {
    let (mut last, mut delta, mut left) = (0_i64, 0_i64, count);
    while left > 0 {
        let (change, repeat) = match varint::take(input)? {
            0 => (0, usize::try_from(varint::take(input)?).ok()?),
            coded => (varint::unzigzag(coded), 1),
        };
        // A run may stand for many numbers, but not for more than are asked for.
        if repeat == 0 || repeat > left {
            return None;
        }
        left -= repeat;
        for _ in 0..repeat {
            delta = if is_twice { delta.wrapping_add(change) } else { change };
            last = last.wrapping_add(delta);
            take(last);
        }
    }
    Some(())
}

/// Writes one byte of (leading zero bytes, length) and the bytes between the zeros.
fn put_xor(out: &mut Vec<u8>, bits: u64) {
    let leading = (bits.leading_zeros() / 8) as usize;
    let trailing = if bits == 0 { 0 } else { (bits.trailing_zeros() / 8) as usize };
    let length = 8 - leading - trailing;
    #[expect(clippy::cast_possible_truncation, reason = "both are at most 8")]
    out.push((leading << 4 | length) as u8);
    out.extend_from_slice(&bits.to_be_bytes()[leading..leading + length]);
}

fn take_xor(input: &mut &[u8]) -> Option<u64> {
    let (&head, rest) = input.split_first()?;
    let (leading, length) = (usize::from(head >> 4), usize::from(head & 15));
    if leading + length > 8 || rest.len() < length {
        return None;
    }
    let mut bytes = [0; 8];
    bytes[leading..leading + length].copy_from_slice(&rest[..length]);
    *input = &rest[length..];
    Some(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bits(points: &[Point]) -> Vec<(i64, u64)> {
        points.iter().map(|&(time, value)| (time, value.to_bits())).collect()
    }

    proptest! {
        #[test]
        fn any_bits_come_back(points in prop::collection::vec((any::<i64>(), any::<u64>()), 0..200)) {
            let points: Vec<Point> = points.into_iter().map(|(time, value)| (time, f64::from_bits(value))).collect();

            let back = decode(&encode(&points)).expect("its own encoding");

            prop_assert_eq!(bits(&back), bits(&points));
        }

        #[test]
        fn decimals_come_back(values in prop::collection::vec(-1_000_000_000_000_i64..1_000_000_000_000, 1..130)) {
            let points: Vec<Point> =
                values.iter().enumerate().map(|(at, v)| (at as i64 * 15_000, *v as f64 / 1e6)).collect();

            prop_assert_eq!(bits(&decode(&encode(&points)).expect("its own encoding")), bits(&points));
        }

        #[test]
        fn garbage_is_refused_or_decoded_but_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn a_counter_of_joules_needs_few_bytes() {
        let points: Vec<Point> = (0..120).map(|at| (at * 15_000, (at * 900_000 + at % 7) as f64 / 1e6)).collect();

        assert!(encode(&points).len() < 120 * 3, "{} bytes", encode(&points).len());
    }

    #[test]
    fn negative_zero_and_stale_markers_keep_their_bits() {
        let points = [(1, -0.0), (2, f64::from_bits(0x7ff0_0000_0000_0002)), (3, f64::INFINITY)];

        assert_eq!(bits(&decode(&encode(&points)).expect("its own encoding")), bits(&points));
    }
}
