//! Reading what a selector asks for, a series at a time: the next batch is fetched while this one is computed.

use std::sync::Arc;

use promql_parser::label::{MatchOp, Matcher, Matchers};
use promql_parser::parser::VectorSelector;
use tokio::runtime::Handle;
use wattle_contract::{Labels, METRIC_NAME};

use super::QueryError;
use crate::store::read::{Found, Packed, Points};
use crate::store::samples::Samples;

/// Reads from the store on a query's own thread.
pub(super) struct Source {
    samples: Arc<Samples>,
    runtime: Handle,
    most_series: usize,
}

/// Takes a series and its points.
type Take<'a> = dyn FnMut(&Labels, &mut Points) -> Result<(), QueryError> + 'a;

/// A batch that is being read.
type Reading = tokio::task::JoinHandle<Result<Vec<Packed>, crate::Error>>;

impl Source {
    pub(super) const fn new(samples: Arc<Samples>, runtime: Handle, most_series: usize) -> Self {
        Self { samples, runtime, most_series }
    }

    /// Hands over every series that matches and has points between two times, both included.
    pub(super) fn each(
        &self,
        selector: &VectorSelector,
        start: i64,
        end: i64,
        take: &mut Take<'_>,
    ) -> Result<(), QueryError> {
        let found = self.runtime.block_on(self.samples.find(&matchers(selector), start, end))?;
        if found.len() > self.most_series {
            return Err(QueryError::Execution(format!(
                "{selector} selects {} series, more than a selector may (limit {})",
                found.len(),
                self.most_series
            )));
        }
        let parts: Vec<Arc<[Found]>> = found.chunks(Samples::at_once()).map(Arc::from).collect();
        let mut ahead = parts.first().map(|part| self.read(part, start, end));
        let mut points = Points::default();
        for (at, part) in parts.iter().enumerate() {
            let Some(reading) = ahead.take() else { break };
            ahead = parts.get(at + 1).map(|part| self.read(part, start, end));
            let ended = |_| QueryError::Execution("the store closed while the query ran".to_owned());
            let packed = self.runtime.block_on(reading).map_err(ended)??;
            for (found, packed) in part.iter().zip(packed) {
                packed.unpack(start, end, &mut points)?;
                if !points.times.is_empty() {
                    take(&found.labels, &mut points)?;
                }
            }
        }
        Ok(())
    }

    fn read(&self, part: &Arc<[Found]>, start: i64, end: i64) -> Reading {
        let (samples, part) = (self.samples.clone(), part.clone());
        self.runtime.spawn(async move { samples.packed(&part, start, end).await })
    }
}

/// Gives the matchers of a selector, that of its name included.
pub(crate) fn matchers(selector: &VectorSelector) -> Matchers {
    let mut matchers = selector.matchers.clone();
    if let Some(name) = &selector.name {
        let named = Matcher::new(MatchOp::Equal, METRIC_NAME, name);
        for group in &mut matchers.or_matchers {
            group.push(named.clone());
        }
        matchers.matchers.push(named);
    }
    matchers
}

/// Tells whether all series of a selector have the same metric name.
pub(super) fn has_one_name(selector: &VectorSelector) -> bool {
    let names = |matchers: &[Matcher]| matchers.iter().any(|m| m.name == METRIC_NAME && matches!(m.op, MatchOp::Equal));
    selector.name.is_some() || (selector.matchers.or_matchers.is_empty() && names(&selector.matchers.matchers))
}
