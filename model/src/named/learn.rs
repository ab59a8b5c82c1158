//! The mean of several boosted models and a forest, on rows of numbers.

use ndarray::Array2;

use crate::Error;
use crate::boost::{BoostOptions, Boosted, Targets};
use crate::features::Monotone;

/// Models that are averaged.
pub(super) struct Blend(Vec<Boosted>);

/// How a blend is made.
pub(super) struct BlendOptions {
    /// Boosted models, each with its own seed.
    pub(super) bags: u64,
    /// How each is grown.
    pub(super) boost: BoostOptions,
    /// Forests beside them, counted as one model each.
    pub(super) forest: Option<BoostOptions>,
}

impl Blend {
    pub(super) fn fit(
        rows: &[Vec<f64>],
        targets: &[f64],
        monotone: &[Monotone],
        options: &BlendOptions,
    ) -> Result<Self, Error> {
        let columns = monotone.len();
        let x = Array2::from_shape_fn((rows.len(), columns), |(row, column)| rows[row][column]);
        let targets = Targets::Exact(targets);
        let mut models = Vec::new();
        for bag in 0..options.bags {
            let boost = BoostOptions { seed: options.boost.seed + bag, ..options.boost.clone() };
            models.push(Boosted::fit(x.view(), &targets, monotone, &boost)?);
        }
        if let Some(forest) = &options.forest {
            models.push(Boosted::forest(x.view(), &targets, monotone, forest)?);
        }
        Ok(Self(models))
    }

    pub(super) fn at(&self, row: &[f64]) -> f64 {
        self.0.iter().map(|model| model.at(row)).sum::<f64>() / self.0.len().max(1) as f64
    }
}
