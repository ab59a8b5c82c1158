//! Prometheus's XOR chunk: times as deltas of deltas, values as the bits in which they differ from the one before.
//!
//! Source: Prometheus `tsdb/docs/format/chunks.md`; Pelkonen et al., "Gorilla", VLDB 2015, with other widths.

/// Samples of one chunk, as Prometheus cuts them.
pub(super) const SAMPLES: usize = 120;
/// The most that the five bits for it can say.
const LEADING: u32 = 31;

/// Encodes points in order of time; at most 65,535.
pub(super) fn encode(points: &[(i64, f64)]) -> Vec<u8> {
    let count = u16::try_from(points.len()).unwrap_or(u16::MAX);
    let mut bits = Bits { bytes: count.to_be_bytes().to_vec(), free: 0 };
    let (mut time, mut delta, mut value) = (0_i64, 0_i64, 0_u64);
    let mut window = None;
    for (at, &(next, number)) in points.iter().take(usize::from(count)).enumerate() {
        let number = number.to_bits();
        match at {
            0 => {
                bits.varint(next.cast_unsigned() << 1 ^ (next >> 63).cast_unsigned());
                bits.push(number, 64);
            }
            1 => {
                delta = next.wrapping_sub(time);
                bits.varint(delta.cast_unsigned());
                bits.value(value ^ number, &mut window);
            }
            _ => {
                let new = next.wrapping_sub(time);
                bits.time(new.wrapping_sub(delta));
                delta = new;
                bits.value(value ^ number, &mut window);
            }
        }
        (time, value) = (next, number);
    }
    bits.bytes
}

struct Bits {
    bytes: Vec<u8>,
    /// Bits of the last byte that are not taken yet.
    free: u32,
}

impl Bits {
    /// Adds the lowest `count` bits, highest first.
    fn push(&mut self, bits: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = left.min(self.free);
            let part = (bits >> (left - taken)) & ((1 << taken) - 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= (part << (self.free - taken)) as u8;
            }
            self.free -= taken;
            left -= taken;
        }
    }

    /// Adds a number, seven bits a byte, lowest first.
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.push(number & 0x7f | 0x80, 8);
            number >>= 7;
        }
        self.push(number, 8);
    }

    /// Adds the difference of two deltas.
    fn time(&mut self, difference: i64) {
        let fits = |bits: u32| (-((1_i64 << (bits - 1)) - 1)..=1_i64 << (bits - 1)).contains(&difference);
        let bits = difference.cast_unsigned();
        match difference {
            0 => self.push(0, 1),
            _ if fits(14) => {
                self.push(0b10, 2);
                self.push(bits, 14);
            }
            _ if fits(17) => {
                self.push(0b110, 3);
                self.push(bits, 17);
            }
            _ if fits(20) => {
                self.push(0b1110, 4);
                self.push(bits, 20);
            }
            _ => {
                self.push(0b1111, 4);
                self.push(bits, 64);
            }
        }
    }

    /// Adds the difference of two values; `window` is how many zeros stood before and behind the last one written.
    fn value(&mut self, difference: u64, window: &mut Option<(u32, u32)>) {
        if difference == 0 {
            return self.push(0, 1);
        }
        let (leading, trailing) = (difference.leading_zeros().min(LEADING), difference.trailing_zeros());
        if let Some((before, behind)) = window.filter(|(before, behind)| leading >= *before && trailing >= *behind) {
            self.push(0b10, 2);
            return self.push(difference >> behind, 64 - before - behind);
        }
        *window = Some((leading, trailing));
        let meaningful = 64 - leading - trailing;
        self.push(0b11, 2);
        self.push(leading.into(), 5);
        // 64 does not fit into six bits and is written as 0, which never occurs.
        self.push(meaningful.into(), 6);
        self.push(difference >> trailing, meaningful);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a chunk back, by the description of the format.
    fn decode(bytes: &[u8]) -> Vec<(i64, u64)> {
        let mut at = 16;
        let mut take = |count: u32| {
            (0..count).fold(0_u64, |bits, _| {
                let bit = bytes[at / 8] >> (7 - at % 8) & 1;
                at += 1;
                bits << 1 | u64::from(bit)
            })
        };
        let varint = |take: &mut dyn FnMut(u32) -> u64| {
            let (mut number, mut shift) = (0, 0);
            loop {
                let byte = take(8);
                number |= (byte & 0x7f) << shift;
                if byte < 0x80 {
                    return number;
                }
                shift += 7;
            }
        };
        let count = u16::from_be_bytes([bytes[0], bytes[1]]);
        let (mut points, mut delta, mut window) = (Vec::<(i64, u64)>::new(), 0_i64, (0, 0));
        for at in 0..count {
            let Some(&(time, value)) = points.last() else {
                let zigzag = varint(&mut take);
                points.push(((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()), take(64)));
                continue;
            };
            if at == 1 {
                delta = varint(&mut take).cast_signed();
            } else {
                let mut size = 0;
                while size < 4 && take(1) == 1 {
                    size += 1;
                }
                let width = [0, 14, 17, 20, 64][size];
                let bits = take(width);
                let is_negative = width > 0 && width < 64 && bits > 1 << (width - 1);
                let difference = if is_negative { bits.cast_signed() - (1 << width) } else { bits.cast_signed() };
                delta = delta.wrapping_add(difference);
            }
            let mut difference = 0;
            if take(1) == 1 {
                if take(1) == 1 {
                    let leading = take(5) as u32;
                    let meaningful = match take(6) as u32 {
                        0 => 64,
                        some => some,
                    };
                    window = (leading, 64 - leading - meaningful);
                }
                difference = take(64 - window.0 - window.1) << window.1;
            }
            points.push((time.wrapping_add(delta), value ^ difference));
        }
        points
    }

    proptest! {
        #[test]
        fn any_points_come_back(
            points in prop::collection::vec((prop_oneof![-70_000..70_000_i64, any::<i64>()], any::<u64>()), 0..130),
        ) {
            let mut time = 0_i64;
            let points: Vec<(i64, f64)> = points.into_iter().map(|(step, bits)| {
                time = time.wrapping_add(step);
                (time, f64::from_bits(bits))
            }).collect();

            let back = decode(&encode(&points));

            prop_assert_eq!(back, points.iter().map(|(time, value)| (*time, value.to_bits())).collect::<Vec<_>>());
        }
    }
}
