//! What an expression yields, for every step of a query at once.

use wattle_contract::Labels;

use crate::receive::scrape::STALE;

/// Stands where a series has no value at a step. A stale marker's bits: no sample and no result has them otherwise.
pub(crate) const ABSENT: f64 = f64::from_bits(STALE);

/// Tells [`ABSENT`], a stale marker, from any other NaN.
pub(crate) const fn is_absent(value: f64) -> bool {
    value.to_bits() == STALE
}

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

/// One series of a result: a value or [`ABSENT`] at each step.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    /// The metric's name is to go when the query is done.
    pub(crate) drop_name: bool,
    pub(crate) values: Vec<f64>,
}

impl Series {
    pub(crate) const fn new(labels: Labels, values: Vec<f64>) -> Self {
        Self { labels, drop_name: false, values }
    }

    /// Tells whether no step has a value.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.iter().all(|&value| is_absent(value))
    }

    /// Changes every value there is.
    pub(crate) fn change(&mut self, function: impl Fn(f64) -> f64) {
        for value in &mut self.values {
            if !is_absent(*value) {
                *value = function(*value);
            }
        }
    }

    /// Changes every value there is by a number that goes with its step; the function may give [`ABSENT`].
    pub(crate) fn change_by(&mut self, numbers: &[f64], function: impl Fn(f64, f64) -> f64) {
        for (value, &number) in self.values.iter_mut().zip(numbers) {
            if !is_absent(*value) {
                *value = function(*value, number);
            }
        }
    }
}

/// What an expression yields.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A number at each step.
    Scalar(Vec<f64>),
    /// Series with a value or none at each step.
    Vector(Vec<Series>),
    /// Series with their points: only a range selector or subquery, asked for as it is.
    Matrix(Vec<(Labels, Vec<(i64, f64)>)>),
    /// A text.
    Text(String),
}
