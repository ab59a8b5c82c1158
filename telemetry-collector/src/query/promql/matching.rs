//! Which series of two vectors belong together.

use promql_parser::parser::{BinModifier, LabelModifier};
use wattle_contract::{Labels, METRIC_NAME};

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
        let keep = |wanted: &dyn Fn(&str) -> bool| -> Labels {
            Labels::new(labels.pairs().iter().filter(|(name, _)| wanted(name)).cloned())
        };
        match self.modifier {
            None => keep(&|name| name != METRIC_NAME),
            Some(LabelModifier::Include(names)) => keep(&|name| names.labels.iter().any(|other| other == name)),
            Some(LabelModifier::Exclude(names)) => {
                keep(&|name| name != METRIC_NAME && !names.labels.iter().any(|other| other == name))
            }
        }
    }

    /// Gives the labels of a one-to-one result.
    pub(super) fn result(&self, labels: &Labels) -> Labels {
        match self.modifier {
            Some(LabelModifier::Include(names)) => {
                let kept = labels.pairs().iter().filter(|(name, _)| names.labels.iter().any(|o| o == name.as_ref()));
                Labels::new(kept.cloned())
            }
            Some(LabelModifier::Exclude(names)) => {
                let kept = labels.pairs().iter().filter(|(name, _)| !names.labels.iter().any(|o| o == name.as_ref()));
                Labels::new(kept.cloned())
            }
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
