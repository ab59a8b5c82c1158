//! Gaussian process regression on data sheets: nearby machines draw alike, and trends go on in straight lines.
//!
//! Formula: `f(x) = mean + k(x, X) (k(X, X) + noise I)^-1 (Y - mean)`, `k(a, b) = exp(-|a - b| / reach) + 0.05 a.b / d`. Shape: Y is
//! machines x levels, all levels share one factorisation. Source: Rasmussen and Williams, 2006, algorithm 2.1.

use ndarray::Array2;

/// Distance over which machines are alike, and the share of a machine that its sheet does not tell; both were chosen
/// by cross-validation over the training machines of SPEC-A, where 2 to 8 and 0.003 to 0.03 were equal within 0.1 %.
const REACH: f64 = 4.0;
const NOISE: f64 = 0.01;
/// Weight of the straight line, where targets have no trend taken off.
pub(super) const TREND: f64 = 0.05;

/// A fitted process.
#[derive(Debug)]
pub(super) struct Kriging {
    places: Vec<Vec<f64>>,
    centre: Vec<f64>,
    mean: Vec<f64>,
    weights: Array2<f64>,
    trend: f64,
}

impl Kriging {
    /// Fits; `places` and `targets` have a row a machine.
    pub(super) fn fit(places: &[Vec<f64>], targets: &[Vec<f64>], trend: f64) -> Self {
        let count = places.len();
        let average = |rows: &[Vec<f64>]| -> Vec<f64> {
            let columns = rows.first().map_or(0, Vec::len);
            (0..columns).map(|c| rows.iter().map(|row| row[c]).sum::<f64>() / count.max(1) as f64).collect()
        };
        let (centre, mean) = (average(places), average(targets));
        let places: Vec<Vec<f64>> = places.iter().map(|place| less(place, &centre)).collect();
        let mut lower = Array2::from_shape_fn((count, count), |(i, j)| kernel(&places[i], &places[j], trend));
        for at in 0..count {
            lower[[at, at]] += NOISE;
        }
        factor(&mut lower);
        let mut weights = Array2::from_shape_fn((count, mean.len()), |(row, level)| targets[row][level] - mean[level]);
        solve(&lower, &mut weights);
        Self { places, centre, mean, weights, trend }
    }

    /// Predicts all levels at a place.
    pub(super) fn at(&self, place: &[f64]) -> Vec<f64> {
        let place = less(place, &self.centre);
        let mut levels = self.mean.clone();
        for (known, weights) in self.places.iter().zip(self.weights.rows()) {
            let alike = kernel(known, &place, self.trend);
            for (level, weight) in levels.iter_mut().zip(weights) {
                *level += alike * weight;
            }
        }
        levels
    }
}

fn less(place: &[f64], centre: &[f64]) -> Vec<f64> {
    place.iter().zip(centre).map(|(value, centre)| value - centre).collect()
}

fn kernel(a: &[f64], b: &[f64], trend: f64) -> f64 {
    let (apart, along) =
        a.iter().zip(b).fold((0.0, 0.0), |(apart, along), (a, b)| (apart + (a - b) * (a - b), along + a * b));
    (-apart.sqrt() / REACH).exp() + trend * along / a.len().max(1) as f64
}

/// Replaces a positive definite matrix by its lower Cholesky factor.
fn factor(matrix: &mut Array2<f64>) {
    for j in 0..matrix.nrows() {
        for i in j..matrix.nrows() {
            let known: f64 = (0..j).map(|k| matrix[[i, k]] * matrix[[j, k]]).sum();
            let rest = matrix[[i, j]] - known;
            matrix[[i, j]] = if i == j { rest.max(1e-12).sqrt() } else { rest / matrix[[j, j]] };
        }
    }
}

/// Solves `L L' x = b` in place, for every column of b.
fn solve(lower: &Array2<f64>, b: &mut Array2<f64>) {
    let count = lower.nrows();
    for column in 0..b.ncols() {
        for i in 0..count {
            let known: f64 = (0..i).map(|k| lower[[i, k]] * b[[k, column]]).sum();
            b[[i, column]] = (b[[i, column]] - known) / lower[[i, i]];
        }
        for i in (0..count).rev() {
            let known: f64 = (i + 1..count).map(|k| lower[[k, i]] * b[[k, column]]).sum();
            b[[i, column]] = (b[[i, column]] - known) / lower[[i, i]];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_places_are_met_and_far_ones_follow_the_trend() {
        let places: Vec<Vec<f64>> = (0..30).map(|at| vec![f64::from(at) / 3.0]).collect();
        let targets: Vec<Vec<f64>> = places.iter().map(|place| vec![2.0 * place[0] + 1.0]).collect();

        let process = Kriging::fit(&places, &targets, TREND);

        assert!((process.at(&[5.0])[0] - 11.0).abs() < 0.05);
        assert!(process.at(&[12.0])[0] > 21.0);
    }
}
