//! Labels of results: names that go, and series that become the same.

use std::collections::HashMap;

use wattle_contract::{Labels, METRIC_NAME};

use super::QueryError;
use super::value::{Series, is_absent};

/// What Prometheus says of two series with the same labels.
const SAME: &str = "vector cannot contain metrics with the same labelset";

/// Drops the name of a series that is marked so.
pub(super) fn without_name_if_due(series: Series) -> Series {
    if series.drop_name { without_name(series) } else { series }
}

/// Drops the name of a series.
pub(super) fn without_name(mut series: Series) -> Series {
    if series.labels.get(METRIC_NAME).is_some() {
        series.labels = without(&series.labels, &[METRIC_NAME]);
    }
    series.drop_name = false;
    series
}

/// Gives labels without some of them.
pub(super) fn without(labels: &Labels, names: &[&str]) -> Labels {
    if !names.iter().any(|name| labels.get(name).is_some()) {
        return labels.clone();
    }
    kept(labels, |name| !names.contains(&name))
}

/// Gives the labels whose names are wanted.
pub(super) fn kept(labels: &Labels, wanted: impl Fn(&str) -> bool) -> Labels {
    Labels::new(labels.pairs().iter().filter(|(name, _)| wanted(name)).cloned())
}

/// Joins series with the same labels; two values at the same step are an error.
pub(super) fn unique(series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    let mut places: HashMap<Labels, usize> = HashMap::with_capacity(series.len());
    let mut joined: Vec<Series> = Vec::with_capacity(series.len());
    for one in series {
        let Some(&at) = places.get(&one.labels) else {
            places.insert(one.labels.clone(), joined.len());
            joined.push(one);
            continue;
        };
        for (mine, other) in joined[at].values.iter_mut().zip(one.values) {
            match (is_absent(*mine), is_absent(other)) {
                (false, false) => return Err(QueryError::Execution(SAME.to_owned())),
                (true, false) => *mine = other,
                _ => {}
            }
        }
    }
    Ok(joined)
}

/// Refuses series with the same labels, whatever their steps.
pub(super) fn refuse_same(series: &[Series]) -> Result<(), QueryError> {
    let mut seen = std::collections::HashSet::with_capacity(series.len());
    if series.iter().all(|one| seen.insert(&one.labels)) { Ok(()) } else { Err(QueryError::Execution(SAME.to_owned())) }
}
