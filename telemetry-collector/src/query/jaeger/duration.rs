//! Durations as Go writes them: `1.5ms`, `2m3s`.

const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3_600e9)];

/// Reads a duration as nanoseconds.
pub(in crate::query) fn parse(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(0);
    }
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == &rest[..end])?;
        sum += number * unit;
        rest = &rest[end..];
    }
    (!text.trim().is_empty() && sum < u64::MAX as f64).then_some(sum as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        assert_eq!(parse("1.5ms"), Some(1_500_000));
        assert_eq!(parse("2m3s"), Some(123_000_000_000));
        assert_eq!(parse("300us"), Some(300_000));
        assert_eq!(parse("0"), Some(0));
        for nonsense in ["", "5", "ms", "1 s", "-1s", "1x", "1..2s"] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }
}
