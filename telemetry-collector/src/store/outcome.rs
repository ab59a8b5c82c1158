//! What becomes of a batch: what was taken, what was not and why.

use wattle_contract::Labels;

use super::head::SeriesRef;

/// Why a sample was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    Conflict,
    TooOld,
    TooNew,
    LabelsTooLong,
    NoName,
    Histogram,
    TooManySeries,
    TooManyOfMetric,
}

impl Reason {
    /// Every one, so that every counter exists from the start.
    pub(crate) const ALL: [Self; 8] = [
        Self::Conflict,
        Self::TooOld,
        Self::TooNew,
        Self::LabelsTooLong,
        Self::NoName,
        Self::Histogram,
        Self::TooManySeries,
        Self::TooManyOfMetric,
    ];

    /// Gives the fixed word for metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::TooOld => "too_old",
            Self::TooNew => "too_new",
            Self::LabelsTooLong => "labels_too_long",
            Self::NoName => "no_name",
            Self::Histogram => "native_histogram",
            Self::TooManySeries => "too_many_series",
            Self::TooManyOfMetric => "too_many_series_of_metric",
        }
    }

    /// Says it to a person.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Conflict => "another value is stored at the same time",
            Self::TooOld => "more than 1 h older than the newest sample of its series",
            Self::TooNew => "more than 10 min ahead of the collector's clock",
            Self::LabelsTooLong => "labels longer than 64 KiB",
            Self::NoName => "no metric name",
            Self::Histogram => "native histograms are not stored",
            Self::TooManySeries => "there are as many active series as `series_limit` allows",
            Self::TooManyOfMetric => "the metric has as many active series as `metric_series_limit` allows",
        }
    }
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Appended {
    /// Samples acknowledged, identical duplicates included.
    pub(crate) accepted: usize,
    /// Samples not taken, by reason.
    pub(crate) rejected: Vec<(Reason, usize)>,
    /// The first of them.
    pub(crate) first: Option<(Reason, Labels)>,
    /// Series that were new.
    pub(crate) created: usize,
    /// Samples whose series is not remembered any more: the receiver has to name it again.
    pub(crate) gone: usize,
    /// Where the label sets of the batch are now; `None` for those that were refused.
    pub(crate) refs: Vec<Option<SeriesRef>>,
}

impl Appended {
    /// Counts a sample that was not taken.
    pub(crate) fn reject(&mut self, reason: Reason, labels: impl FnOnce() -> Labels) {
        match self.rejected.iter_mut().find(|(other, _)| *other == reason) {
            Some((_, count)) => *count += 1,
            None => self.rejected.push((reason, 1)),
        }
        self.first.get_or_insert_with(|| (reason, labels()));
    }
}

/// Writes a series for people; cut short where it is endless.
pub(crate) fn describe(labels: &Labels) -> String {
    const MOST: usize = 1_000;
    let mut text = labels.metric_name().to_owned();
    text.push('{');
    let mut separator = "";
    for (name, value) in labels.iter().filter(|(name, _)| *name != wattle_contract::METRIC_NAME) {
        text.push_str(separator);
        text.push_str(&format!("{name}={value:?}"));
        separator = ",";
    }
    text.push('}');
    if text.len() > MOST {
        text = text.chars().take(MOST).chain("…".chars()).collect();
    }
    text
}
