//! Where trees have seen enough to be trusted.
//!
//! Formula: `trust = clamp((far - d) / (far - near), 0, 1)`, `d` the mean distance of a row to its five nearest training rows in
//! standardised columns, `near` = 2 and `far` = 3 standard deviations. On Kepler counters, with folds cut by time inside
//! the training rows, trees were better than the linear layer below 3 and worse above.

use serde::{Deserialize, Serialize};

const NEIGHBOURS: usize = 5;
const NEAR: f64 = 2.0;
const FAR: f64 = 3.0;
/// Most training rows that are kept: 2,000 rows of 4 columns are 30 kB.
const KEPT: usize = 2000;

/// Training rows to measure distances to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Support {
    centre: Vec<f64>,
    width: Vec<f64>,
    rows: Vec<Vec<f32>>,
}

impl Support {
    /// Remembers rows, evenly thinned; columns must be finite, constant ones do not count.
    #[must_use]
    pub fn fit(rows: &[Vec<f64>]) -> Self {
        let columns = rows.first().map_or(0, Vec::len);
        let count = rows.len().max(1) as f64;
        let centre: Vec<f64> = (0..columns).map(|c| rows.iter().map(|row| row[c]).sum::<f64>() / count).collect();
        let width: Vec<f64> = (0..columns)
            .map(|c| (rows.iter().map(|row| (row[c] - centre[c]).powi(2)).sum::<f64>() / count).sqrt())
            .collect();
        let step = rows.len().div_ceil(KEPT).max(1);
        let mut support = Self { centre, width, rows: Vec::new() };
        support.rows =
            rows.iter().step_by(step).map(|row| support.standard(row).iter().map(|v| *v as f32).collect()).collect();
        support
    }

    fn standard(&self, row: &[f64]) -> Vec<f64> {
        let parts = row.iter().zip(&self.centre).zip(&self.width);
        parts
            .map(
                |((value, centre), width)| {
                    if *width > 1e-9 * (1.0 + centre.abs()) { (value - centre) / width } else { 0.0 }
                },
            )
            .collect()
    }

    /// Gives the mean distance to the nearest training rows, in standard deviations; infinite without rows.
    #[must_use]
    pub fn distance(&self, row: &[f64]) -> f64 {
        let row = self.standard(row);
        let mut nearest = [f64::INFINITY; NEIGHBOURS];
        for known in &self.rows {
            let distance: f64 = known.iter().zip(&row).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
            if distance < nearest[NEIGHBOURS - 1] {
                nearest[NEIGHBOURS - 1] = distance;
                nearest.sort_unstable_by(f64::total_cmp);
            }
        }
        nearest.iter().map(|squared| squared.sqrt()).sum::<f64>() / NEIGHBOURS as f64
    }

    /// Gives how far trees are to be trusted. Range: 0..=1; 0 without rows or for a row that is not finite.
    #[must_use]
    pub fn trust(&self, row: &[f64]) -> f64 {
        let distance = self.distance(row);
        if distance.is_finite() { ((FAR - distance) / (FAR - NEAR)).clamp(0.0, 1.0) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_is_whole_among_the_rows_and_gone_far_away() {
        let rows: Vec<Vec<f64>> = (0..100).map(|at| vec![f64::from(at % 10), f64::from(at / 10), 7.0]).collect();

        let support = Support::fit(&rows);

        assert_eq!(support.trust(&[4.5, 4.5, 7.0]), 1.0);
        assert_eq!(support.trust(&[40.0, 4.5, 7.0]), 0.0);
        assert_eq!(support.trust(&[f64::NAN, 4.5, 7.0]), 0.0);
        assert_eq!(Support::fit(&[]).trust(&[]), 0.0);
    }
}
