//! What trees add to the layers below, and only where they have seen enough.

use serde::{Deserialize, Serialize};

/// A correction learnt on what the layers below leave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Residual {}

impl Residual {
    /// Gives the correction for a feature row.
    #[must_use]
    pub fn at(&self, _values: &[f64]) -> f64 {
        0.0
    }
}
