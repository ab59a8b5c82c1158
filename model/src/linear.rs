//! The linear layer: least squares pulled toward a prior, with parts that physics keeps from being negative.
//!
//! Formula: minimise `|y - X b|^2 + sum_j pull_j (b_j - prior_j)^2` subject to `b_j >= 0` where asked. The normal
//! equations are solved by cyclic coordinate descent, which for this convex problem ends in the one minimum. Where
//! nothing is bounded, [`ridge`] solves the same thing in closed form with linfa's least squares on rows augmented by
//! `sqrt(pull)`; a test holds the two against each other. linfa's own elastic net is not used: it centres the target but
//! not the columns, and its ridge does not meet its stopping rule.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_linear::LinearRegression;
use ndarray::{Array1, Array2, ArrayView2};

use crate::Error;

/// One coefficient's terms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// Where the coefficient is drawn to when the data say little.
    pub prior: f64,
    /// How strongly, in squared units of the column: as many rows at column value 1.
    pub pull: f64,
    /// Whether the coefficient may be negative.
    pub free: bool,
}

/// Rounds of coordinate descent after which the last step is taken as the answer.
const ROUNDS: usize = 20_000;

/// Fits coefficients under [`Term`]s.
///
/// Shape: `x` n x d, `y` n, `terms` d. The caller adds a column of ones where it wants an intercept.
#[must_use]
pub fn bounded(x: ArrayView2<'_, f64>, y: &[f64], terms: &[Term]) -> Vec<f64> {
    let target = Array1::from(y.to_vec());
    let gram = x.t().dot(&x);
    let moment = x.t().dot(&target);
    descend(&gram, &moment, terms)
}

fn descend(gram: &Array2<f64>, moment: &Array1<f64>, terms: &[Term]) -> Vec<f64> {
    let mut b: Vec<f64> = terms.iter().map(|term| term.prior).collect();
    let scale = terms.iter().enumerate().map(|(j, term)| gram[[j, j]] + term.pull).fold(0.0, f64::max);
    if scale <= 0.0 {
        return b;
    }
    for _ in 0..ROUNDS {
        let (mut step, mut size) = (0.0_f64, 0.0_f64);
        for (j, term) in terms.iter().enumerate() {
            let curvature = gram[[j, j]] + term.pull;
            if curvature <= scale * 1e-14 {
                continue;
            }
            let mut slope = moment[j] + term.pull * term.prior;
            for (k, value) in b.iter().enumerate() {
                if k != j {
                    slope -= gram[[j, k]] * value;
                }
            }
            let next = if term.free { slope / curvature } else { (slope / curvature).max(0.0) };
            step = step.max((next - b[j]).abs() * curvature.sqrt());
            size = size.max(next.abs() * curvature.sqrt());
            b[j] = next;
        }
        if step <= size * 1e-12 {
            break;
        }
    }
    b
}

/// Fits ridge regression in closed form, the intercept not penalised.
///
/// Formula: `minimise |y - a - X b|^2 + penalty |b|^2`. Shape: `x` n x d, `y` n; gives (a, b).
///
/// # Errors
/// [`Error::Linear`] when the augmented system has no unique solution (only without a penalty).
pub fn ridge(x: ArrayView2<'_, f64>, y: &[f64], penalty: f64) -> Result<(f64, Vec<f64>), Error> {
    let (n, d) = x.dim();
    if n == 0 {
        return Ok((0.0, vec![0.0; d]));
    }
    let centres: Vec<f64> = x.columns().into_iter().map(|column| column.sum() / n as f64).collect();
    let middle = y.iter().sum::<f64>() / n as f64;
    let mut rows = Array2::zeros((n + d, d));
    let mut targets = Array1::zeros(n + d);
    for ((i, j), value) in x.indexed_iter() {
        rows[[i, j]] = value - centres[j];
    }
    for j in 0..d {
        rows[[n + j, j]] = penalty.max(1e-9).sqrt();
    }
    for (target, value) in targets.iter_mut().zip(y) {
        *target = value - middle;
    }
    let fitted = LinearRegression::new().with_intercept(false).fit(&DatasetBase::new(rows, targets))?;
    let b = fitted.params().to_vec();
    let shift: f64 = centres.iter().zip(&b).map(|(centre, b)| centre * b).sum();
    Ok((middle - shift, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn descent_agrees_with_the_closed_form() {
        let x = array![[1.0, 2.0], [2.0, 1.5], [3.0, 3.5], [4.0, 1.0], [5.0, 2.5]];
        let y = [3.1, 3.9, 7.2, 5.8, 8.4];

        let (a, b) = ridge(x.view(), &y, 0.5).expect("a unique solution");
        let with_ones = Array2::from_shape_fn((5, 3), |(i, j)| if j == 0 { 1.0 } else { x[[i, j - 1]] });
        let term = Term { prior: 0.0, pull: 0.5, free: true };
        let descended = bounded(with_ones.view(), &y, &[Term { pull: 0.0, ..term }, term, term]);

        for (closed, descended) in [a, b[0], b[1]].iter().zip(descended) {
            assert!((closed - descended).abs() < 1e-8, "{closed} {descended}");
        }
    }

    #[test]
    fn a_bounded_coefficient_is_never_negative_and_no_data_means_the_prior() {
        let x = array![[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]];
        let falling = [3.0, 2.0, 1.0];
        let bound = Term { prior: 0.0, pull: 0.0, free: false };

        let b = bounded(x.view(), &falling, &[Term { free: true, ..bound }, bound]);
        let none = bounded(Array2::zeros((0, 1)).view(), &[], &[Term { prior: 7.0, pull: 1.0, free: true }]);

        assert_eq!(b[1], 0.0);
        assert!((b[0] - 2.0).abs() < 1e-9);
        assert_eq!(none, [7.0]);
    }
}
