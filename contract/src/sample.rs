//! One measured value of one series, as Prometheus means it.

use std::sync::Arc;

use crate::Timestamp;

/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// The identity of a series: label names and values, sorted by name, each name once, the metric's name among them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Labels {
    /// Sorts the pairs and takes them; of a name given twice the last value stays. An empty value means no label.
    #[must_use]
    pub fn new<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<Arc<str>>,
        V: Into<Arc<str>>,
    {
        let mut pairs: Vec<(Arc<str>, Arc<str>)> = pairs.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
        if pairs.is_sorted_by(|one, next| one.0 < next.0) && pairs.iter().all(|(_, value)| !value.is_empty()) {
            return Self(pairs.into());
        }
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let mut unique: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            if unique.last().is_some_and(|last| last.0 == pair.0) {
                unique.pop();
            }
            unique.push(pair);
        }
        unique.retain(|(_, value)| !value.is_empty());
        Self(unique.into())
    }

    /// Gives the value of a label; `None` when the series does not have it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pair(name).map(|(_, value)| value.as_ref())
    }

    /// Gives a label with its shared texts; `None` when the series does not have it.
    #[must_use]
    pub fn pair(&self, name: &str) -> Option<&(Arc<str>, Arc<str>)> {
        self.0.binary_search_by(|(n, _)| n.as_ref().cmp(name)).ok().map(|at| &self.0[at])
    }

    /// Gives the metric's name; empty when the series has none.
    #[must_use]
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// Walks the pairs in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_ref(), v.as_ref()))
    }

    /// Gives the shared pairs, for stores that keep them interned.
    #[must_use]
    pub fn pairs(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.0
    }
}

/// One value at one point in time of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The series.
    pub labels: Labels,
    /// When it was measured.
    pub timestamp: Timestamp,
    /// The value in the metric's base unit; NaN and the infinities are values here, as in Prometheus.
    pub value: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_unique_and_never_empty() {
        let labels = Labels::new([("b", "1"), (METRIC_NAME, "up"), ("a", "x"), ("b", "2"), ("c", "")]);

        assert_eq!(labels.iter().collect::<Vec<_>>(), [(METRIC_NAME, "up"), ("a", "x"), ("b", "2")]);
        assert_eq!(labels.metric_name(), "up");
        assert_eq!(labels.get("c"), None);
    }
}
