//! What becomes of a batch: what was taken, what was not and why.

use wattle_contract::Labels;

/// Why a sample was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    Conflict,
    TooOld,
    TooNew,
    LabelsTooLong,
    NoName,
}

impl Reason {
    /// Every one, so that every counter exists from the start.
    pub(crate) const ALL: [Self; 5] = [Self::Conflict, Self::TooOld, Self::TooNew, Self::LabelsTooLong, Self::NoName];

    /// Gives the fixed word for metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::TooOld => "too_old",
            Self::TooNew => "too_new",
            Self::LabelsTooLong => "labels_too_long",
            Self::NoName => "no_name",
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
}

impl Appended {
    /// Counts a sample that was not taken.
    pub(crate) fn reject(&mut self, reason: Reason, labels: &Labels) {
        match self.rejected.iter_mut().find(|(other, _)| *other == reason) {
            Some((_, count)) => *count += 1,
            None => self.rejected.push((reason, 1)),
        }
        self.first.get_or_insert_with(|| (reason, labels.clone()));
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
