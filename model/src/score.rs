//! Errors of predictions, and quantiles.

/// Gives the mean absolute error; `None` without pairs.
#[must_use]
pub fn mae(pairs: &[(f64, f64)]) -> Option<f64> {
    mean(pairs.iter().map(|(truth, guess)| (truth - guess).abs()))
}

/// Gives the mean absolute percentage error over pairs of (measured, predicted); `None` without pairs.
///
/// Units: percent. A measured zero is left out: it has no percentage.
#[must_use]
pub fn mape(pairs: &[(f64, f64)]) -> Option<f64> {
    mean(pairs.iter().filter(|(truth, _)| *truth != 0.0).map(|(truth, guess)| 100.0 * ((truth - guess) / truth).abs()))
}

/// Gives the coefficient of determination; `None` without variation.
#[must_use]
pub fn r2(pairs: &[(f64, f64)]) -> Option<f64> {
    let centre = mean(pairs.iter().map(|pair| pair.0))?;
    let total: f64 = pairs.iter().map(|pair| (pair.0 - centre).powi(2)).sum();
    let left: f64 = pairs.iter().map(|pair| (pair.0 - pair.1).powi(2)).sum();
    (total > 0.0).then(|| 1.0 - left / total)
}

/// Gives the mean; `None` of nothing.
#[must_use]
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.into_iter().fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// Gives the quantile `q` by linear interpolation between the order statistics; `None` of nothing.
///
/// Range: `q` in 0..=1; values must be finite.
#[must_use]
pub fn quantile(mut values: Vec<f64>, q: f64) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let place = q.clamp(0.0, 1.0) * (values.len() - 1) as f64;
    let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

/// Gives the conformal quantile: the ceil((n + 1) * coverage)-th smallest value, the largest when there are too few.
///
/// Source: Lei et al., "Distribution-free predictive inference for regression", JASA 2018, algorithm 2.
#[must_use]
pub fn conformal_quantile(mut values: Vec<f64>, coverage: f64) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let rank = ((values.len() + 1) as f64 * coverage).ceil() as usize;
    Some(values[rank.clamp(1, values.len()) - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_agree_with_their_definitions() {
        let pairs = [(100.0, 90.0), (50.0, 55.0), (0.0, 1.0)];

        assert_eq!(mae(&pairs), Some(16.0 / 3.0));
        assert_eq!(mape(&pairs), Some(10.0));
        assert_eq!(mape(&[]), None);
        assert_eq!(r2(&[(1.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(quantile(vec![3.0, 1.0, 2.0], 0.25), Some(1.5));
        assert_eq!(conformal_quantile((1..=9).map(f64::from).collect(), 0.9), Some(9.0));
        assert_eq!(conformal_quantile((1..=19).map(f64::from).collect(), 0.9), Some(18.0));
    }
}
