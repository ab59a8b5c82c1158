//! What is done when an upstream fails: tries, limits, ejection, and faults that are asked for.
//!
//! Everything here is a decision over values: time and chance are arguments.

pub(crate) mod backoff;
pub(crate) mod limits;
pub(crate) mod outlier;
pub(crate) mod retry;
