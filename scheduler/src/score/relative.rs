//! A quantity compared with the other candidates': 0 is the lowest, 1 the highest.

/// One candidate's part of the cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    /// Range: 0..=1.
    pub(super) value: f64,
    pub(super) is_known: bool,
}

/// The difference below which the whole range is not reached.
///
/// Otherwise two nodes that differ by a thousandth would be told apart as much as two that differ by half.
#[derive(Clone, Copy, Debug)]
pub(super) enum LeastSpan {
    /// In the quantity's own unit: compared by difference.
    Absolute(f64),
    /// As a ratio; compared by ratio, and values up to `floor` are alike. One candidate that is a hundred times dearer
    /// then does not make the others look alike.
    Ratio { least: f64, floor: f64 },
}

impl LeastSpan {
    fn scaled(self, value: f64) -> f64 {
        match self {
            Self::Absolute(_) => value,
            Self::Ratio { floor, .. } => value.max(floor).ln(),
        }
    }

    fn least(self) -> f64 {
        match self {
            Self::Absolute(least) => least,
            Self::Ratio { least, .. } => least.ln(),
        }
    }
}

/// Lowest and highest known value of all candidates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    least: LeastSpan,
    min: f64,
    max: f64,
}

impl Range {
    pub(super) fn new(least: LeastSpan) -> Self {
        Self { least, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }

    pub(super) fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            let value = self.least.scaled(value);
            self.min = self.min.min(value);
            self.max = self.max.max(value);
        }
    }

    /// formula: (x - min) / max(max - min, least span), of the values or of their logarithms. Unknown values are left out
    /// of the min and max and get one half; where nobody knows, the part is zero for all.
    pub(super) fn part(&self, value: Option<f64>) -> Part {
        let span = (self.max - self.min).max(self.least.least());
        match value {
            Some(value) if span > 0.0 => {
                let value = (self.least.scaled(value) - self.min) / span;
                Part { value: value.clamp(0.0, 1.0), is_known: true }
            }
            Some(_) => Part { value: 0.0, is_known: true },
            None => Part { value: if self.min <= self.max { 0.5 } else { 0.0 }, is_known: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(values: &[Option<f64>], least: LeastSpan) -> Vec<Part> {
        let mut range = Range::new(least);
        values.iter().for_each(|value| range.add(*value));
        values.iter().map(|value| range.part(*value)).collect()
    }

    const RATIO: LeastSpan = LeastSpan::Ratio { least: 1.05, floor: 0.01 };

    #[test]
    fn unknown_is_left_out_and_small_differences_stay_small() {
        let known = parts(&[Some(10.0), None, Some(20.0)], RATIO);
        assert_eq!(known.iter().map(|p| p.value).collect::<Vec<_>>(), [0.0, 0.5, 1.0]);

        let near = parts(&[Some(100.0), Some(101.0)], RATIO);
        assert!(near[1].value < 0.25, "{near:?}");

        let nobody = parts(&[None, None], RATIO);
        assert!(nobody.iter().all(|p| p.value == 0.0 && !p.is_known));

        let nothing = parts(&[Some(0.0), Some(0.005)], RATIO);
        assert!(nothing.iter().all(|p| p.value == 0.0 && p.is_known));
    }

    #[test]
    fn one_that_is_far_off_does_not_make_the_others_alike() {
        let by_ratio = parts(&[Some(3.0), Some(6.0), Some(300.0)], RATIO);
        let by_difference = parts(&[Some(3.0), Some(6.0), Some(300.0)], LeastSpan::Absolute(0.1));

        assert!(by_ratio[1].value > 0.14, "{by_ratio:?}");
        assert!(by_difference[1].value < 0.02, "{by_difference:?}");
    }
}
