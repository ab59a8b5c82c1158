//! Columns cut into at most 255 bins, so that a split is a scan over bins and not over rows.

use ndarray::ArrayView2;

/// The bin of an unknown value.
pub(super) const UNKNOWN: u8 = 255;
/// Rows from which cuts are chosen, evenly spaced: more do not move the quantiles.
const SAMPLE: usize = 50_000;

/// A matrix of bins, row by row.
#[derive(Debug)]
pub(super) struct Binned {
    cells: Vec<u8>,
    columns: usize,
    /// For each column its cuts: bin b holds values above cut b - 1 and up to cut b.
    pub(super) cuts: Vec<Vec<f64>>,
}

impl Binned {
    pub(super) fn new(x: ArrayView2<'_, f64>, most: usize) -> Self {
        let (rows, columns) = x.dim();
        let cuts: Vec<Vec<f64>> = x
            .columns()
            .into_iter()
            .map(|column| {
                let step = rows.div_ceil(SAMPLE).max(1);
                choose(column.iter().step_by(step).copied().filter(|value| value.is_finite()).collect(), most)
            })
            .collect();
        let mut cells = Vec::with_capacity(rows * columns);
        for row in x.rows() {
            cells.extend(row.iter().zip(&cuts).map(|(value, cuts)| bin(*value, cuts)));
        }
        Self { cells, columns, cuts }
    }

    pub(super) fn row(&self, row: usize) -> &[u8] {
        &self.cells[row * self.columns..(row + 1) * self.columns]
    }
}

fn bin(value: f64, cuts: &[f64]) -> u8 {
    if value.is_nan() {
        return UNKNOWN;
    }
    // A search without a branch on the data: the halves are as likely.
    let (mut base, mut size) = (0, cuts.len());
    while size > 0 {
        let half = size / 2;
        let right = cuts[base + half] < value;
        base += if right { half + 1 } else { 0 };
        size = if right { size - half - 1 } else { half };
    }
    base as u8
}

/// Chooses cuts between neighbouring values: every one when there are few, else at even quantiles.
fn choose(mut values: Vec<f64>, most: usize) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let mut distinct = values.clone();
    distinct.dedup();
    if distinct.len() > most {
        let count = values.len();
        distinct = (0..=most).map(|at| values[(at * (count - 1)) / most]).collect();
        distinct.dedup();
    }
    let mut cuts: Vec<f64> = distinct.windows(2).map(|pair| pair[0] + (pair[1] - pair[0]) / 2.0).collect();
    cuts.truncate(most - 1);
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bin_is_the_number_of_cuts_below() {
        for count in 0..40_u32 {
            let cuts: Vec<f64> = (0..count).map(f64::from).collect();
            for tenth in -10..420_i32 {
                let value = f64::from(tenth) / 10.0;
                assert_eq!(
                    usize::from(bin(value, &cuts)),
                    cuts.iter().filter(|cut| **cut < value).count(),
                    "{value} {count}"
                );
            }
        }
        assert_eq!(bin(f64::NAN, &[1.0]), UNKNOWN);
    }

    #[test]
    fn few_values_get_a_bin_each_and_a_constant_none() {
        assert_eq!(choose(vec![3.0, 1.0, 3.0, 2.0], 255), [1.5, 2.5]);
        assert!(choose(vec![5.0; 10], 255).is_empty());
        assert!(choose(Vec::new(), 255).is_empty());
        assert!(choose((0..10_000).map(f64::from).collect(), 255).len() <= 254);
    }
}
