//! How the last scrape of each target went.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The last scrape of a target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    /// When it began. Units: milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) took: Duration,
    /// Why it failed; `None` when it did not.
    pub(crate) error: Option<String>,
    /// The metrics that the target describes.
    pub(crate) described: Arc<[Arc<str>]>,
}

/// Job and address of a target to its last scrape; targets that were not scraped yet are missing.
pub(crate) type Statuses = HashMap<(String, String), Status>;
