//! What trees add to the layers below, and only where they have seen enough.
//!
//! Trust is taken at what was measured, once a node: a prediction for more load keeps it, so that the correction still
//! rises with load and never fades on the way up.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::boost::{BoostOptions, Boosted, Targets};
use crate::features::{NODE_COLUMNS, NodeFeatures, node_schema};
use crate::support::Support;

/// Fewest rows that trees are grown on.
pub const LEAST_ROWS: usize = 60;
/// Training rows that new ones are compared with: enough for six columns, and 15 kB.
const KEPT: usize = 600;
/// Rows in a row (in time) that are not compared with each other.
const BLOCK: usize = 30;

/// A correction learnt on what the layers below leave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Residual {
    trees: Boosted,
    support: Support,
    /// Columns that were known in every training row, and so can be compared by.
    columns: Vec<usize>,
}

impl Residual {
    /// Grows trees on what is left; `None` with fewer than [`LEAST_ROWS`] rows.
    ///
    /// # Errors
    /// Those of [`Boosted::fit`].
    pub fn fit(rows: &[&NodeFeatures], left: &Targets<'_>, seed: u64) -> Result<Option<Self>, Error> {
        if rows.len() < LEAST_ROWS {
            return Ok(None);
        }
        let x = Array2::from_shape_fn((rows.len(), NODE_COLUMNS), |(row, column)| rows[row].values()[column]);
        let options =
            BoostOptions { trees: 60, leaves: 8, depth: 4, l2: 5.0, row_share: 0.8, seed, ..BoostOptions::default() };
        let trees = Boosted::fit(x.view(), left, &node_schema().monotone(), &options)?;
        let columns: Vec<usize> =
            (0..NODE_COLUMNS).filter(|c| x.column(*c).iter().all(|value| value.is_finite())).collect();
        let known: Vec<Vec<f64>> = rows.iter().map(|row| columns.iter().map(|c| row.values()[*c]).collect()).collect();
        let blocks: Vec<usize> = (0..rows.len()).map(|at| at / BLOCK).collect();
        Ok(Some(Self { trees, support: Support::fit(&known, &blocks, KEPT), columns }))
    }

    /// Gives how far the trees are to be trusted for a node as it was measured. Range: 0..=1.
    #[must_use]
    pub fn trust(&self, measured: &NodeFeatures) -> f64 {
        self.support.trust(&self.columns.iter().map(|c| measured.values()[*c]).collect::<Vec<_>>())
    }

    /// Gives the correction, not yet times the trust; it never falls with utilisation.
    #[must_use]
    pub fn at(&self, features: &NodeFeatures) -> f64 {
        self.trees.at(features.values())
    }

    /// Gives the trees, for reports.
    #[must_use]
    pub const fn trees(&self) -> &Boosted {
        &self.trees
    }

    /// Tells whether every walk through the trees ends inside them.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.trees.base.is_finite()
            && self.trees.trees.iter().all(|tree| tree.is_sound(NODE_COLUMNS))
            && self.columns.iter().all(|column| *column < NODE_COLUMNS)
    }
}
