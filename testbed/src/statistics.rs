//! Means and paired differences with their intervals.

/// A mean and the half-width of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Half-width of the interval; 0 for a single value.
    pub half: f64,
}

/// Two-sided 95 % points of Student's t for 1 to 30 degrees of freedom.
const T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// Gives the mean of values and its interval.
#[must_use]
pub fn mean(values: &[f64]) -> Mean {
    let n = values.len() as f64;
    if values.is_empty() {
        return Mean { mean: 0.0, half: 0.0 };
    }
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return Mean { mean, half: 0.0 };
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let t = T.get(values.len() - 2).copied().unwrap_or(1.96);
    Mean { mean, half: t * (variance / n).sqrt() }
}

/// Gives the mean of the differences `theirs - base` as shares of `base`, pair by pair. Units: percent.
#[must_use]
pub fn paired(base: &[f64], theirs: &[f64]) -> Mean {
    let differences: Vec<f64> = base
        .iter()
        .zip(theirs)
        .filter(|(base, _)| **base != 0.0)
        .map(|(base, theirs)| 100.0 * (theirs - base) / base)
        .collect();
    mean(&differences)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_students() {
        let Mean { mean, half } = mean(&[9.0, 10.0, 11.0]);

        assert_eq!(mean, 10.0);
        assert!((half - 4.303 / 3.0_f64.sqrt()).abs() < 1e-9);
        assert_eq!(paired(&[10.0, 20.0], &[11.0, 22.0]), Mean { mean: 10.0, half: 0.0 });
    }
}
