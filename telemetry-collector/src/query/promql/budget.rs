//! What queries may hold: values of one query, and of all that run at the same time.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::QueryError;

/// Values held by all running queries.
#[derive(Debug)]
pub(crate) struct Budget {
    held: AtomicUsize,
    most: usize,
}

impl Budget {
    /// A budget of values (8 bytes each) for all queries together.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { held: AtomicUsize::new(0), most })
    }
}

/// The part of one query; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    held: Cell<usize>,
    most: usize,
}

impl Share {
    pub(super) const fn new(budget: Arc<Budget>, most: usize) -> Self {
        Self { budget, held: Cell::new(0), most }
    }

    /// Takes room for values.
    ///
    /// Errors: the query, or all queries together, would hold more than they may.
    pub(super) fn take(&self, values: usize) -> Result<(), QueryError> {
        let held = self.held.get().saturating_add(values);
        if held > self.most {
            return Err(QueryError::Execution(format!(
                "query processing would load too many samples into memory in query execution (limit {})",
                self.most
            )));
        }
        let all = self.budget.held.fetch_add(values, Ordering::Relaxed).saturating_add(values);
        self.held.set(held);
        if all > self.budget.most {
            return Err(QueryError::Execution(format!(
                "query processing would load too many samples into memory with all that runs beside it (limit {} for \
                 all queries together); try again later",
                self.budget.most
            )));
        }
        Ok(())
    }

    /// Gives back room for values that are gone.
    pub(super) fn give(&self, values: usize) {
        let given = values.min(self.held.get());
        self.held.set(self.held.get() - given);
        self.budget.held.fetch_sub(given, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.held.get(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_given_back_and_never_above_the_limit() {
        let budget = Budget::new(100);
        let one = Share::new(budget.clone(), 60);
        let other = Share::new(budget.clone(), 60);

        assert!(one.take(50).is_ok());
        assert!(one.take(20).is_err_and(|error| error.to_string().contains("limit 60")));
        assert!(other.take(55).is_err_and(|error| error.to_string().contains("limit 100")));
        drop((one, other));

        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }
}
