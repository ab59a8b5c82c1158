//! Where trees have seen enough to be trusted.
//!
//! Formula: `d` is the mean distance of a row to its twenty nearest training rows (as many as a leaf holds at least) in
//! standardised columns. What distance is usual, the training rows tell themselves: `near` and `far` are the 95th and
//! 99th percentile of their own `d`, each measured to rows of other groups (other blocks of time, other machines) only.
//! `trust = clamp((far - d) / (far - near), 0, 1)`.
//!
//! A workload that is new as a whole shows as a run of rows that are one by one only a little unusual; [`Support::run`]
//! judges the run: one row in twenty beyond `near` is what training rows have among themselves.

use serde::{Deserialize, Serialize};

use crate::score::quantile;

const NEIGHBOURS: usize = 20;
/// Share of a run beyond `near` up to which trees are trusted, and from which they are not at all. With one in twenty
/// expected, a run of twenty has more than two with probability 0.08 and more than five with 0.0003.
const USUAL: f64 = 0.10;
const NEW: f64 = 0.30;

/// Training rows to measure distances to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Support {
    centre: Vec<f64>,
    width: Vec<f64>,
    rows: Vec<Vec<f32>>,
    near: f64,
    far: f64,
}

impl Support {
    /// Remembers at most `most` rows, evenly thinned; columns must be finite, constant ones do not count.
    ///
    /// Shape: `groups` names for each row the rows that it is not to be compared with.
    #[must_use]
    pub fn fit(rows: &[Vec<f64>], groups: &[usize], most: usize) -> Self {
        let columns = rows.first().map_or(0, Vec::len);
        let count = rows.len().max(1) as f64;
        let centre: Vec<f64> = (0..columns).map(|c| rows.iter().map(|row| row[c]).sum::<f64>() / count).collect();
        let width: Vec<f64> = (0..columns)
            .map(|c| (rows.iter().map(|row| (row[c] - centre[c]).powi(2)).sum::<f64>() / count).sqrt())
            .collect();
        let step = rows.len().div_ceil(most.max(1)).max(1);
        let mut support = Self { centre, width, ..Self::default() };
        let kept: Vec<usize> = (0..rows.len()).step_by(step).collect();
        support.rows = kept.iter().map(|at| support.standard(&rows[*at]).iter().map(|v| *v as f32).collect()).collect();
        let own = kept.iter().map(|at| {
            let elsewhere = kept.iter().zip(&support.rows).filter(|(other, _)| groups.get(**other) != groups.get(*at));
            nearest(&support.standard(&rows[*at]), elsewhere.map(|(_, row)| row))
        });
        let own: Vec<f64> = own.filter(|distance| distance.is_finite()).collect();
        support.near = quantile(own.clone(), 0.95).unwrap_or(0.0);
        support.far = quantile(own, 0.99).unwrap_or(0.0).max(1.05 * support.near);
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

    /// Gives the mean distance to the nearest training rows, in standard deviations; infinite with too few rows.
    #[must_use]
    pub fn distance(&self, row: &[f64]) -> f64 {
        nearest(&self.standard(row), self.rows.iter())
    }

    /// Gives how far trees are to be trusted. Range: 0..=1; 0 without rows or for a row that is not finite.
    #[must_use]
    pub fn trust(&self, row: &[f64]) -> f64 {
        let distance = self.distance(row);
        if distance <= self.near {
            1.0
        } else if distance < self.far {
            (self.far - distance) / (self.far - self.near)
        } else {
            0.0
        }
    }

    /// Tells whether a row is no farther from the training rows than nineteen in twenty of themselves.
    #[must_use]
    pub fn is_usual(&self, row: &[f64]) -> bool {
        self.distance(row) <= self.near
    }

    /// Gives how far trees are to be trusted after a run of rows of which some were usual. Range: 0..=1.
    #[must_use]
    pub fn run(usual: &[bool]) -> f64 {
        let strange = usual.iter().filter(|usual| !**usual).count() as f64 / usual.len().max(1) as f64;
        ((NEW - strange) / (NEW - USUAL)).clamp(0.0, 1.0)
    }
}

fn nearest<'a>(row: &[f64], known: impl Iterator<Item = &'a Vec<f32>>) -> f64 {
    let mut nearest = [f64::INFINITY; NEIGHBOURS];
    for known in known {
        let distance: f64 = known.iter().zip(row).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
        if distance < nearest[NEIGHBOURS - 1] {
            let place = nearest.partition_point(|known| *known <= distance);
            nearest.copy_within(place..NEIGHBOURS - 1, place + 1);
            nearest[place] = distance;
        }
    }
    nearest.iter().map(|squared| squared.sqrt()).sum::<f64>() / NEIGHBOURS as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_is_whole_among_the_rows_and_gone_far_away() {
        let rows: Vec<Vec<f64>> = (0..100).map(|at| vec![f64::from(at % 10), f64::from(at / 10), 7.0]).collect();
        let groups: Vec<usize> = (0..100).map(|at| at / 20).collect();

        let support = Support::fit(&rows, &groups, 100);

        assert_eq!(support.trust(&[4.5, 4.5, 7.0]), 1.0);
        assert!(support.is_usual(&[4.5, 4.5, 7.0]));
        assert_eq!(support.trust(&[40.0, 4.5, 7.0]), 0.0);
        assert_eq!(support.trust(&[f64::NAN, 4.5, 7.0]), 0.0);
        assert_eq!(Support::fit(&[], &[], 100).trust(&[]), 0.0);
    }

    #[test]
    fn a_run_of_strange_rows_ends_trust() {
        let run = |strange: usize| Support::run(&(0..20).map(|at| at >= strange).collect::<Vec<_>>());

        assert_eq!((run(0), run(2), run(6)), (1.0, 1.0, 0.0));
        assert!(run(4) > 0.4 && run(4) < 0.6);
    }
}
