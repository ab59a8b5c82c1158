//! Gradient-boosted regression trees on histograms, small and reproducible.
//!
//! Each round grows one tree, best leaf first, on the gradient of the loss, and adds it times the learning rate. What
//! differs from the textbook: monotone columns are held by bounds that every leaf inherits, so a prediction cannot
//! turn against them; an unknown value (NaN) goes to the side that was learnt for it; leaves of the pinball loss are
//! quantiles of what is left, not gradient steps; a target may be a bracket. Everything random comes from one seed, and
//! one thread does the work, so the same rows give the same bits on every machine.
//!
//! Source: Friedman, "Greedy function approximation", 2001; histograms with subtraction as in LightGBM (Ke et al.,
//! 2017). Brackets as targets are needed beside squared and pinball loss, monotone columns and a stable file; other crates were
//! not compared.

mod bins;
mod grow;
mod loss;
mod random;
mod tree;

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::features::Monotone;
use bins::Binned;
use grow::{Grower, Limits};

pub use loss::{Loss, Targets};
pub use random::Random;
pub use tree::Tree;

/// How trees are grown.
#[derive(Clone, Debug, PartialEq)]
pub struct BoostOptions {
    /// Rounds. Range: 1..=2000.
    pub trees: usize,
    /// Share of each tree that is added. Range: above 0, at most 1.
    pub learning_rate: f64,
    /// Most leaves a tree. Range: 2..=4096.
    pub leaves: usize,
    /// Most splits from root to leaf. Range: 1..=32.
    pub depth: usize,
    /// Fewest rows a leaf. Range: 1 and above.
    pub least_rows: usize,
    /// Rows with gradient zero that every leaf is counted with. Range: 0 and above.
    pub l2: f64,
    /// Share of the rows that each tree sees. Range: above 0, at most 1.
    pub row_share: f64,
    /// Share of the columns that each split may choose from. Range: above 0, at most 1.
    pub column_share: f64,
    /// Most bins a column. Range: 2..=255.
    pub bins: usize,
    /// What is minimised.
    pub loss: Loss,
    /// Seed of rows and columns.
    pub seed: u64,
}

impl Default for BoostOptions {
    fn default() -> Self {
        Self {
            trees: 100,
            learning_rate: 0.1,
            leaves: 31,
            depth: 16,
            least_rows: 20,
            l2: 0.0,
            row_share: 1.0,
            column_share: 1.0,
            bins: 255,
            loss: Loss::Squared,
            seed: 1,
        }
    }
}

/// A sum of trees.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Boosted {
    /// What is predicted before any tree.
    pub base: f64,
    /// The trees, already times the learning rate.
    pub trees: Vec<Tree>,
}

impl Boosted {
    /// Grows trees.
    ///
    /// Shape: `x` n x d, NaN where unknown; `targets` n; `monotone` d.
    ///
    /// # Errors
    /// [`Error::Option`] for an option out of range, [`Error::Shape`] when lengths differ, [`Error::NotFinite`] for an
    /// infinity in a column or anything but a number in a target.
    pub fn fit(
        x: ArrayView2<'_, f64>,
        targets: &Targets<'_>,
        monotone: &[Monotone],
        options: &BoostOptions,
    ) -> Result<Self, Error> {
        check(x, targets, monotone, options)?;
        let (rows, columns) = x.dim();
        let mut model = Self { base: loss::start(targets, options.loss), trees: Vec::new() };
        if rows < 2 * options.least_rows || columns == 0 {
            return Ok(model);
        }
        let binned = Binned::new(x, options.bins);
        let mut grower = Grower::new(&binned, monotone, Limits::of(options));
        let mut random = Random::new(options.seed);
        let mut predicted = vec![model.base; rows];
        let mut gradient = vec![0.0_f32; rows];
        let all: Vec<u32> = (0..rows as u32).collect();
        for _ in 0..options.trees {
            loss::gradient(targets, options.loss, &predicted, &mut gradient);
            let seen = random.share(&all, options.row_share);
            let mut grown = grower.grow(seen, &gradient, &mut random);
            if grown.tree.is_leaf() {
                if options.row_share < 1.0 || options.column_share < 1.0 {
                    continue;
                }
                break;
            }
            loss::renew(targets, options.loss, &predicted, &mut grown, monotone);
            grown.tree.scale(options.learning_rate);
            if options.row_share < 1.0 {
                for (row, value) in predicted.iter_mut().enumerate() {
                    *value += grown.tree.of_bins(binned.row(row));
                }
            } else {
                grown.spread(&mut predicted);
            }
            model.trees.push(grown.tree.without_bins());
        }
        Ok(model)
    }

    /// Grows a forest: the mean of trees that each see a random share of the rows and were grown for themselves.
    ///
    /// The learning rate is not used; with `row_share` 1 every tree sees all rows and only columns differ.
    ///
    /// # Errors
    /// As [`Self::fit`].
    pub fn forest(
        x: ArrayView2<'_, f64>,
        targets: &Targets<'_>,
        monotone: &[Monotone],
        options: &BoostOptions,
    ) -> Result<Self, Error> {
        check(x, targets, monotone, options)?;
        let rows = x.nrows();
        let mut model = Self { base: loss::start(targets, options.loss), trees: Vec::new() };
        if rows < 2 * options.least_rows || x.ncols() == 0 {
            return Ok(model);
        }
        let binned = Binned::new(x, options.bins);
        let mut grower = Grower::new(&binned, monotone, Limits::of(options));
        let mut random = Random::new(options.seed);
        let predicted = vec![model.base; rows];
        let mut gradient = vec![0.0_f32; rows];
        loss::gradient(targets, options.loss, &predicted, &mut gradient);
        let all: Vec<u32> = (0..rows as u32).collect();
        for _ in 0..options.trees {
            let seen = random.share(&all, options.row_share);
            let mut grown = grower.grow(seen, &gradient, &mut random);
            loss::renew(targets, options.loss, &predicted, &mut grown, monotone);
            grown.tree.scale(1.0 / options.trees as f64);
            model.trees.push(grown.tree.without_bins());
        }
        Ok(model)
    }

    /// Predicts for a row of d values, NaN where unknown.
    #[must_use]
    pub fn at(&self, row: &[f64]) -> f64 {
        self.base + self.trees.iter().map(|tree| tree.at(row)).sum::<f64>()
    }

    /// Splits a prediction into what each column added; the parts and the first value sum to the prediction.
    #[must_use]
    pub fn explain(&self, row: &[f64]) -> (f64, Vec<f64>) {
        let mut parts = vec![0.0; row.len()];
        let start = self.trees.iter().map(|tree| tree.explain(row, &mut parts)).sum::<f64>();
        (self.base + start, parts)
    }
}

fn check(
    x: ArrayView2<'_, f64>,
    targets: &Targets<'_>,
    monotone: &[Monotone],
    options: &BoostOptions,
) -> Result<(), Error> {
    let (rows, columns) = x.dim();
    let within = |option, value: f64, ok: bool, range| {
        if ok { Ok(()) } else { Err(Error::Option { option, value: value.to_string(), range }) }
    };
    within("trees", options.trees as f64, (1..=2000).contains(&options.trees), "1..=2000")?;
    within(
        "learning_rate",
        options.learning_rate,
        options.learning_rate > 0.0 && options.learning_rate <= 1.0,
        "above 0, at most 1",
    )?;
    within("leaves", options.leaves as f64, (2..=4096).contains(&options.leaves), "2..=4096")?;
    within("depth", options.depth as f64, (1..=32).contains(&options.depth), "1..=32")?;
    within("least_rows", options.least_rows as f64, options.least_rows >= 1, "1 and above")?;
    within("l2", options.l2, options.l2 >= 0.0 && options.l2.is_finite(), "0 and above")?;
    within("row_share", options.row_share, options.row_share > 0.0 && options.row_share <= 1.0, "above 0, at most 1")?;
    within(
        "column_share",
        options.column_share,
        options.column_share > 0.0 && options.column_share <= 1.0,
        "above 0, at most 1",
    )?;
    within("bins", options.bins as f64, (2..=255).contains(&options.bins), "2..=255")?;
    let shape = |what, expected, got| if expected == got { Ok(()) } else { Err(Error::Shape { what, expected, got }) };
    shape("targets", rows, targets.len())?;
    shape("monotone columns", columns, monotone.len())?;
    shape("columns that fit a tree", columns.min(1 << 15), columns)?;
    if let Some(((row, column), value)) = x.indexed_iter().find(|(_, value)| value.is_infinite()) {
        return Err(Error::NotFinite { column: format!("{column}"), row, value: *value });
    }
    targets.check()
}
