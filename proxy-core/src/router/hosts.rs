//! The virtual host of an authority: the most specific domain, whatever the order they were written in.

use std::collections::HashMap;
use std::sync::Arc;

use wattle_contract::route::{DomainMatch, VirtualHost};

use super::Route;
use super::index::Index;

/// The virtual hosts of a port.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    exact: HashMap<String, Arc<Host>>,
    /// By ending, with its dot.
    suffix: HashMap<String, Arc<Host>>,
    any: Option<Arc<Host>>,
}

/// The routes of some authorities.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) routes: Vec<Arc<Route>>,
    pub(crate) index: Index,
    pub(crate) https_redirect: bool,
}

impl Hosts {
    /// Compiles virtual hosts; what is wrong with them is added to `reasons`.
    pub(crate) fn compile(hosts: &[Arc<VirtualHost>], reasons: &mut Vec<String>) -> Self {
        let mut compiled = Self::default();
        for host in hosts {
            let routes: Vec<_> = host.routes.iter().filter_map(|route| keep(Route::compile(route), reasons)).collect();
            let entry = Arc::new(Host {
                name: host.name.clone(),
                index: Index::new(&routes),
                routes,
                https_redirect: host.https_redirect,
            });
            for domain in &host.domains {
                if compiled.insert(domain, &entry) {
                    reasons.push(format!("virtual host {:?}: domain {domain:?} is taken by another one", host.name));
                }
            }
        }
        compiled
    }

    /// Gives the virtual host that answers to an authority, which may carry a port.
    pub(crate) fn find(&self, authority: &str) -> Option<&Arc<Host>> {
        let host = without_port(authority).to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        self.exact.get(host).or_else(|| self.ending(host)).or(self.any.as_ref())
    }

    /// Tries endings from the longest: the first dot leaves most.
    fn ending(&self, host: &str) -> Option<&Arc<Host>> {
        if self.suffix.is_empty() {
            return None;
        }
        let dots = host.bytes().enumerate().filter(|(at, byte)| *byte == b'.' && *at > 0);
        dots.map(|(at, _)| at).find_map(|at| self.suffix.get(&host[at..]))
    }

    /// Says whether the domain was taken already.
    fn insert(&mut self, domain: &DomainMatch, host: &Arc<Host>) -> bool {
        match domain {
            DomainMatch::Exact(name) => self.exact.insert(name.to_ascii_lowercase(), Arc::clone(host)),
            DomainMatch::Suffix(name) => self.suffix.insert(name.to_ascii_lowercase(), Arc::clone(host)),
            DomainMatch::Any => self.any.replace(Arc::clone(host)),
        }
        .is_some_and(|earlier| !Arc::ptr_eq(&earlier, host))
    }
}

fn keep<T>(result: Result<T, String>, reasons: &mut Vec<String>) -> Option<T> {
    result.map_err(|reason| reasons.push(reason)).ok()
}

/// Gives an authority without its port; an IPv6 address keeps its brackets.
pub(crate) fn without_port(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(at)
            if !authority[at..].contains(']') && (authority.starts_with('[') || !authority[..at].contains(':')) =>
        {
            &authority[..at]
        }
        _ => authority,
    }
}
