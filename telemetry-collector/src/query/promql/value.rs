//! What an expression yields, for every step of a query at once.

use wattle_contract::Labels;

/// The times a query is evaluated at. Units: milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) start: i64,
    /// Above zero.
    pub(crate) step: i64,
    /// At least one.
    pub(crate) count: usize,
}

impl Grid {
    /// Gives the times in order.
    pub(crate) fn times(self) -> impl ExactSizeIterator<Item = i64> {
        (0..self.count).map(move |at| self.at(at))
    }

    /// Gives the time of a step.
    pub(crate) fn at(self, step: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(i64::try_from(step).unwrap_or(i64::MAX)))
    }

    /// Gives the time of the last step.
    pub(crate) fn end(self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }
}

/// One series of a result: a value or none at each step.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    /// The metric's name is to go when the query is done.
    pub(crate) drop_name: bool,
    pub(crate) values: Vec<Option<f64>>,
}

impl Series {
    pub(crate) const fn new(labels: Labels, values: Vec<Option<f64>>) -> Self {
        Self { labels, drop_name: false, values }
    }

    /// Tells whether no step has a value.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.iter().all(Option::is_none)
    }
}

/// What an expression yields.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A number at each step.
    Scalar(Vec<f64>),
    /// Series with a value or none at each step.
    Vector(Vec<Series>),
    /// Series with their points: only a range selector, asked for as it is.
    Matrix(Vec<(Labels, Vec<(i64, f64)>)>),
    /// A text.
    Text(String),
}
