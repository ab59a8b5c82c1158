//! Which routes of a host a path can take: those of its first segment, and those that any path may take, in their order.

use std::collections::HashMap;
use std::sync::Arc;

use super::Route;
use super::condition::segment;

/// Positions of routes, in ascending order.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_segment: HashMap<Box<str>, Vec<usize>>,
    any: Vec<usize>,
}

impl Index {
    /// Lays out routes.
    pub(crate) fn new(routes: &[Arc<Route>]) -> Self {
        let mut index = Self::default();
        for (at, route) in routes.iter().enumerate() {
            let Some(segments) = route.segments() else {
                index.any.push(at);
                continue;
            };
            for segment in segments {
                let list = index.by_segment.entry(segment.into()).or_default();
                if list.last() != Some(&at) {
                    list.push(at);
                }
            }
        }
        index
    }

    /// Gives the positions of the routes that a path may take.
    pub(crate) fn candidates(&self, path: &str) -> impl Iterator<Item = usize> {
        let own = segment(path).and_then(|segment| self.by_segment.get(segment)).map_or(&[][..], Vec::as_slice);
        let (mut own, mut any) = (own.iter().copied().peekable(), self.any.iter().copied().peekable());
        std::iter::from_fn(move || match (own.peek(), any.peek()) {
            (Some(one), Some(other)) if one < other => own.next(),
            (Some(_), None) => own.next(),
            _ => any.next(),
        })
    }
}
