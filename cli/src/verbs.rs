//! The verbs: each does one thing and ends.

pub(crate) mod check;
pub(crate) mod consolidate;
pub(crate) mod doctor;
pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod import;
pub(crate) mod migrate;
pub(crate) mod replay;
pub(crate) mod rows;
pub(crate) mod store;
pub(crate) mod train;
