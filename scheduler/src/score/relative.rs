//! A quantity compared with the best candidate's: 0 is the best, 1 as bad as counts.
//!
//! The scale does not stretch to the worst candidate. Otherwise a node that is a twentieth slower would weigh as much
//! against another as one that draws four times the power, and one bad candidate would make all others look alike.

/// One candidate's part of the cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    /// Range: 0..=1.
    pub(super) value: f64,
    pub(super) is_known: bool,
}

/// How a quantity is measured against the best.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scale {
    /// By difference, in the quantity's own unit; `whole` of it counts in full.
    Difference { whole: f64 },
    /// By difference, in units of the middle candidate: for what adds up over nodes. Values up to `floor` are alike.
    Middle { whole: f64, floor: f64 },
    /// By ratio: for what does not add up. Values up to `floor` are alike.
    Ratio { whole: f64, floor: f64 },
}

impl Scale {
    pub(super) fn scaled(self, value: f64) -> f64 {
        match self {
            Self::Difference { .. } => value,
            Self::Middle { floor, .. } => value.max(floor),
            Self::Ratio { floor, .. } => value.max(floor).ln(),
        }
    }

    /// Gives what counts in full, of scaled values.
    fn whole(self, values: impl Iterator<Item = f64>) -> f64 {
        match self {
            Self::Difference { whole } => whole,
            Self::Ratio { whole, .. } => whole.ln(),
            Self::Middle { whole, floor } => {
                let mut values: Vec<f64> = values.collect();
                let middle = values.len().saturating_sub(1) / 2;
                let middle =
                    if values.is_empty() { floor } else { *values.select_nth_unstable_by(middle, f64::total_cmp).1 };
                whole * middle
            }
        }
    }
}

/// Scaled values of all candidates that are known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compared {
    whole: f64,
    least: f64,
}

impl Compared {
    pub(super) fn new(scale: Scale, scaled: impl Iterator<Item = Option<f64>> + Clone) -> Self {
        let least = scaled.clone().flatten().fold(f64::INFINITY, f64::min);
        Self { whole: scale.whole(scaled.flatten()), least }
    }

    /// formula: min(1, (x - least) / whole), of scaled values. Unknown values are left out of the least and the middle and
    /// get one half; where nobody knows, the part is zero for all.
    pub(super) fn part(&self, scaled: Option<f64>) -> Part {
        match scaled {
            Some(value) => Part { value: ((value - self.least) / self.whole).clamp(0.0, 1.0), is_known: true },
            None => Part { value: if self.least.is_finite() { 0.5 } else { 0.0 }, is_known: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(values: &[Option<f64>], scale: Scale) -> Vec<Part> {
        let scaled = values.iter().map(|value| value.map(|value| scale.scaled(value)));
        let compared = Compared::new(scale, scaled.clone());
        scaled.map(|value| compared.part(value)).collect()
    }

    const RATIO: Scale = Scale::Ratio { whole: 8.0, floor: 0.01 };
    const MIDDLE: Scale = Scale::Middle { whole: 4.0, floor: 0.01 };

    #[test]
    fn unknown_is_left_out_and_small_differences_stay_small() {
        let known = parts(&[Some(10.0), None, Some(81.0)], RATIO);
        assert_eq!(known.iter().map(|p| p.value).collect::<Vec<_>>(), [0.0, 0.5, 1.0]);

        for scale in [RATIO, MIDDLE] {
            let near = parts(&[Some(100.0), Some(101.0)], scale);
            assert!(near[1].value < 0.01, "{near:?}");

            let nobody = parts(&[None, None], scale);
            assert!(nobody.iter().all(|p| p.value == 0.0 && !p.is_known));

            let nothing = parts(&[Some(0.0), Some(0.005)], scale);
            assert!(nothing.iter().all(|p| p.value == 0.0 && p.is_known));
        }
    }

    #[test]
    fn one_that_is_far_off_does_not_make_the_others_alike() {
        let with = parts(&[Some(3.0), Some(6.0), Some(300.0)], RATIO);
        assert!((with[1].value - 1.0 / 3.0).abs() < 1e-9, "twice is a third of eight times: {with:?}");

        let with = parts(&[Some(3.0), Some(6.0), Some(300.0)], MIDDLE);
        assert_eq!((with[1].value, with[2].value), (0.125, 1.0));
    }
}
