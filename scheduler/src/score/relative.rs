//! A quantity compared with the other candidates': 0 is the lowest, 1 the highest.

/// One candidate's part of the cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    /// Range: 0..=1.
    pub(super) value: f64,
    pub(super) is_known: bool,
}

/// The share of the highest value below which a difference does not reach the whole range.
///
/// Otherwise two nodes that differ by a thousandth would be told apart as much as two that differ by half.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeastSpan(pub(super) f64);

/// formula: (x - min) / max(max - min, least span · max |x|). Unknown values are left out of the min and max and get
/// one half; where nobody knows, the part is zero for all.
pub(super) fn against_others(values: &[Option<f64>], least: LeastSpan) -> Vec<Part> {
    let known = values.iter().flatten().copied();
    let (min, max, largest) = known.fold((f64::INFINITY, f64::NEG_INFINITY, 0.0_f64), |(min, max, largest), x| {
        (min.min(x), max.max(x), largest.max(x.abs()))
    });
    let span = (max - min).max(least.0 * largest);
    let unknown = Part { value: if min <= max { 0.5 } else { 0.0 }, is_known: false };
    let part = |value: &Option<f64>| match value {
        Some(x) if span > 0.0 => Part { value: ((x - min) / span).clamp(0.0, 1.0), is_known: true },
        Some(_) => Part { value: 0.0, is_known: true },
        None => unknown,
    };
    values.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_left_out_and_small_differences_stay_small() {
        let parts = against_others(&[Some(10.0), None, Some(20.0)], LeastSpan(0.05));
        assert_eq!(parts.iter().map(|p| p.value).collect::<Vec<_>>(), [0.0, 0.5, 1.0]);

        let parts = against_others(&[Some(100.0), Some(101.0)], LeastSpan(0.05));
        assert!(parts[1].value < 0.25, "{parts:?}");

        let parts = against_others(&[None, None], LeastSpan(0.05));
        assert!(parts.iter().all(|p| p.value == 0.0 && !p.is_known));
    }
}
