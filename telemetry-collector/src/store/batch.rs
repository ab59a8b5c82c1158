//! What a receiver hands to the store: samples of series it remembers, and of label sets that it does not.

use wattle_contract::{Labels, Sample};

use super::head::SeriesRef;

/// Which series a sample is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// One that the store knows.
    Known(SeriesRef),
    /// A label set of the batch, by its place in [`Batch::labels`].
    Named(u32),
}

/// One sample of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) series: Which,
    pub(crate) time: i64,
    pub(crate) value: f64,
}

/// Samples that are taken or refused together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) rows: Vec<Row>,
    /// Label sets that rows refer to; the store may know them all the same.
    pub(crate) labels: Vec<Labels>,
    /// Samples of any age are taken, however new those of their series are.
    pub(crate) is_backfill: bool,
}

impl Batch {
    /// Adds a label set; gives how rows refer to it.
    pub(crate) fn name(&mut self, labels: Labels) -> Which {
        self.labels.push(labels);
        Which::Named(u32::try_from(self.labels.len() - 1).unwrap_or(u32::MAX))
    }

    pub(crate) fn push(&mut self, series: Which, time: i64, value: f64) {
        self.rows.push(Row { series, time, value });
    }
}

impl From<Vec<Sample>> for Batch {
    fn from(samples: Vec<Sample>) -> Self {
        let mut batch = Self::default();
        let mut last: Option<Which> = None;
        for sample in samples {
            // Samples of one series mostly stand together.
            let series = match last {
                Some(last) if batch.labels.last() == Some(&sample.labels) => last,
                _ => batch.name(sample.labels),
            };
            last = Some(series);
            batch.push(series, sample.timestamp.0, sample.value);
        }
        batch
    }
}
