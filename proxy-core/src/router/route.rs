//! One route, compiled: its conditions and what it does.

use std::sync::Arc;
use std::time::Duration;

use wattle_contract::route::{self, Fault, HttpMatch, Mirror, RetryPolicy};

use super::condition::{Path, Text};
use super::rewrite::Rewrite;
use super::{Action, Cors, HeaderOps};
use crate::head::{Fields, Name, visible};

/// What of a request is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) scheme: &'a str,
    pub(crate) method: &'a str,
    pub(crate) authority: &'a str,
    /// Normalised, without query.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: &'a Fields,
}

/// One rule, compiled.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) name: String,
    matches: Vec<Conditions>,
    pub(crate) action: Action,
    pub(crate) rewrite: Option<Rewrite>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: Option<RetryPolicy>,
    pub(crate) fault: Option<Fault>,
    pub(crate) mirrors: Vec<Mirror>,
    pub(crate) cors: Option<Cors>,
    pub(crate) request_headers: HeaderOps,
    pub(crate) response_headers: HeaderOps,
}

/// A route that matched, and what rewriting needs to know of how.
#[derive(Clone, Debug)]
pub(crate) struct Matched {
    pub(crate) route: Arc<Route>,
    /// Length of the path's matched prefix; `None` when the match was not by prefix.
    pub(crate) prefix_len: Option<usize>,
}

#[derive(Debug)]
struct Conditions {
    path: Option<Path>,
    ignore_path_case: bool,
    scheme: Option<Text>,
    method: Option<Text>,
    authority: Option<Text>,
    headers: Vec<(Name, Text, bool)>,
    query: Vec<(String, Text)>,
}

impl Route {
    pub(crate) fn compile(route: &route::Route) -> Result<Arc<Self>, String> {
        let compiled = || -> Result<Self, String> {
            // A route with a fault ignores its timeout and retries, as Istio documents it.
            let plain = route.fault.is_none();
            Ok(Self {
                name: route.name.clone(),
                matches: route.matches.iter().map(Conditions::compile).collect::<Result<_, _>>()?,
                action: Action::compile(&route.action)?,
                rewrite: route.rewrite.as_ref().map(Rewrite::compile).transpose()?,
                timeout: route.timeout.filter(|timeout| plain && !timeout.is_zero()),
                retries: route.retries.clone().filter(|retries| plain && retries.attempts > 0),
                fault: route.fault.clone(),
                mirrors: route.mirrors.clone(),
                cors: route.cors.as_ref().map(Cors::compile).transpose()?,
                request_headers: HeaderOps::compile(&route.request_headers)?,
                response_headers: HeaderOps::compile(&route.response_headers)?,
            })
        };
        compiled().map(Arc::new).map_err(|reason| format!("route {:?}: {reason}", route.name))
    }

    /// Gives the first segments, with both slashes, of the paths that may match; `None` when any may.
    pub(super) fn segments(&self) -> Option<Vec<&str>> {
        if self.matches.is_empty() {
            return None;
        }
        fn path(conditions: &Conditions) -> Option<&Path> {
            conditions.path.as_ref().filter(|_| !conditions.ignore_path_case)
        }
        self.matches.iter().map(|conditions| path(conditions).and_then(Path::segment)).collect()
    }

    /// Says whether a request matches: `None` when not, else the length of the matched path prefix, where it was one.
    pub(crate) fn matches(&self, head: &Head<'_>) -> Option<Option<usize>> {
        if self.matches.is_empty() {
            return Some(Some(0));
        }
        let held = self.matches.iter().find(|conditions| conditions.hold(head))?;
        Some(held.path.as_ref().map_or(Some(0), Path::prefix_len))
    }
}

impl super::Host {
    /// Gives the first route that matches.
    pub(crate) fn route(&self, head: &Head<'_>) -> Option<Matched> {
        self.index.candidates(head.path).find_map(|at| {
            let route = &self.routes[at];
            let prefix_len = route.matches(head)?;
            Some(Matched { route: Arc::clone(route), prefix_len })
        })
    }
}

impl Conditions {
    fn compile(conditions: &HttpMatch) -> Result<Self, String> {
        let text = |text: &Option<_>| text.as_ref().map(Text::compile).transpose();
        Ok(Self {
            path: conditions.path.as_ref().map(Path::compile).transpose()?,
            ignore_path_case: conditions.ignore_path_case,
            scheme: text(&conditions.scheme)?,
            method: text(&conditions.method)?,
            authority: text(&conditions.authority)?,
            headers: conditions
                .headers
                .iter()
                .map(|header| {
                    let name = Name::new(&header.name).ok_or_else(|| format!("{:?} is no header name", header.name))?;
                    Ok((name, Text::compile(&header.value)?, header.invert))
                })
                .collect::<Result<_, String>>()?,
            query: conditions
                .query
                .iter()
                .map(|query| Ok((query.name.clone(), Text::compile(&query.value)?)))
                .collect::<Result<_, String>>()?,
        })
    }

    fn hold(&self, head: &Head<'_>) -> bool {
        let path = self.path.as_ref().is_none_or(|path| path.holds(head.path, self.ignore_path_case));
        path && self.method.as_ref().is_none_or(|method| method.holds(head.method))
            && self.scheme.as_ref().is_none_or(|scheme| scheme.holds(head.scheme))
            && self.authority.as_ref().is_none_or(|authority| authority.holds_ignoring_case(head.authority))
            && self.headers.iter().all(|(name, value, invert)| header_holds(head.headers, name, value) != *invert)
            && self.query.iter().all(|(name, value)| query_holds(head.query, name, value))
    }
}

/// Several values of one name are looked at as one, joined by commas; what is not text matches only presence.
fn header_holds(headers: &Fields, name: &Name, value: &Text) -> bool {
    let mut values = headers.named(name);
    let Some(first) = values.next() else { return false };
    if matches!(value, Text::Present) {
        return true;
    }
    let Some(first) = visible(first) else { return false };
    let Some(second) = values.next() else { return value.holds(first) };
    let mut joined = first.to_owned();
    for next in std::iter::once(second).chain(values) {
        let Some(next) = visible(next) else { return false };
        joined.push(',');
        joined.push_str(next);
    }
    value.holds(&joined)
}

fn query_holds(query: Option<&str>, name: &str, value: &Text) -> bool {
    let pairs = query.unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.into_iter().find(|(key, _)| *key == name).is_some_and(|(_, found)| value.holds(found))
}
