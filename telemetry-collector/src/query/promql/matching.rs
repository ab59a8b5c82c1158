//! Which series of two vectors belong together.

use promql_parser::parser::{BinModifier, LabelModifier};
use wattle_contract::{Labels, METRIC_NAME};

use super::series::{kept, without};

/// How two sides are matched.
pub(super) struct Matching<'a> {
    modifier: Option<&'a LabelModifier>,
}

impl<'a> Matching<'a> {
    pub(super) fn of(modifier: Option<&'a BinModifier>) -> Self {
        Self { modifier: modifier.and_then(|modifier| modifier.matching.as_ref()) }
    }

    /// Gives the labels that must be the same on both sides.
    pub(super) fn signature(&self, labels: &Labels) -> Labels {
        match self.modifier {
            None => without(labels, &[METRIC_NAME]),
            Some(LabelModifier::Include(names)) => kept(labels, |name| names.labels.iter().any(|other| other == name)),
            Some(LabelModifier::Exclude(names)) => {
                kept(labels, |name| name != METRIC_NAME && !names.labels.iter().any(|other| other == name))
            }
        }
    }

    /// Gives the labels of a one-to-one result.
    pub(super) fn result(&self, labels: &Labels) -> Labels {
        match self.modifier {
            Some(LabelModifier::Include(names)) => kept(labels, |name| names.labels.iter().any(|other| other == name)),
            Some(LabelModifier::Exclude(names)) => kept(labels, |name| !names.labels.iter().any(|other| other == name)),
            None => labels.clone(),
        }
    }
}

/// Gives labels of the many side with some of the one side's; those that the one side lacks go.
pub(super) fn included(many: &Labels, one: &Labels, names: &[String]) -> Labels {
    let mut pairs: Vec<(String, String)> = many
        .iter()
        .filter(|(name, _)| !names.iter().any(|other| other == name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    pairs.extend(names.iter().filter_map(|name| one.get(name).map(|value| (name.clone(), value.to_owned()))));
    Labels::new(pairs)
}
