//! What trees minimise.

use serde::{Deserialize, Serialize};

use super::grow::Grown;
use crate::dataset::Bracket;
use crate::features::Monotone;
use crate::latency::moved;
use crate::{Error, score};

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The square of the error; of a bracket, the square of the distance to it.
    Squared,
    /// `q` times the error below, `1 - q` times the error above: the prediction is the quantile `q`. Range: 0..1.
    Pinball(f64),
}

/// What is to be predicted.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// Numbers.
    Exact(&'a [f64]),
    /// Brackets; only with [`Loss::Squared`].
    Brackets(&'a [Bracket]),
}

impl Targets<'_> {
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Exact(values) => values.len(),
            Self::Brackets(brackets) => brackets.len(),
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let bad = match self {
            Self::Exact(values) => values.iter().position(|value| !value.is_finite()).map(|row| (row, values[row])),
            Self::Brackets(brackets) => {
                brackets.iter().position(|bracket| !bracket.mid.is_finite()).map(|row| (row, brackets[row].mid))
            }
        };
        bad.map_or(Ok(()), |(row, value)| Err(Error::NotFinite { column: "target".to_owned(), row, value }))
    }

    fn middle(&self, row: usize) -> f64 {
        match self {
            Self::Exact(values) => values[row],
            Self::Brackets(brackets) => brackets[row].mid,
        }
    }
}

/// Gives the best constant.
pub(super) fn start(targets: &Targets<'_>, loss: Loss) -> f64 {
    let values = (0..targets.len()).map(|row| targets.middle(row));
    match loss {
        Loss::Squared => score::mean(values),
        Loss::Pinball(q) => score::quantile(values.collect(), q),
    }
    .unwrap_or(0.0)
}

/// Writes the gradient of the loss by the prediction.
pub(super) fn gradient(targets: &Targets<'_>, loss: Loss, predicted: &[f64], gradient: &mut [f32]) {
    match (targets, loss) {
        (Targets::Exact(values), Loss::Squared) => {
            for ((gradient, value), predicted) in gradient.iter_mut().zip(*values).zip(predicted) {
                *gradient = (predicted - value) as f32;
            }
        }
        (Targets::Brackets(brackets), Loss::Squared) => {
            for ((gradient, bracket), predicted) in gradient.iter_mut().zip(*brackets).zip(predicted) {
                *gradient = (predicted - moved(*bracket, *predicted)) as f32;
            }
        }
        (_, Loss::Pinball(q)) => {
            for (row, (gradient, predicted)) in gradient.iter_mut().zip(predicted).enumerate() {
                *gradient = if targets.middle(row) > *predicted { -q as f32 } else { (1.0 - q) as f32 };
            }
        }
    }
}

/// Replaces gradient steps by quantiles of what is left, where the loss needs it, and restores the monotone columns.
pub(super) fn renew(targets: &Targets<'_>, loss: Loss, predicted: &[f64], grown: &mut Grown, monotone: &[Monotone]) {
    let Loss::Pinball(q) = loss else { return };
    for (leaf, rows) in &grown.leaves {
        let left = rows.iter().map(|row| targets.middle(*row as usize) - predicted[*row as usize]).collect();
        if let Some(value) = score::quantile(left, q) {
            grown.tree.set(*leaf, value);
        }
    }
    grown.tree.restore(monotone);
}
