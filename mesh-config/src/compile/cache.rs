//! What was compiled before and still holds: a change of one resource compiles what it touches, and two proxies share what
//! they see alike.
//!
//! Everything kept holds the resources that it was made of, and is used only for these very resources.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use wattle_contract::route::{Cluster, VirtualHost};

use crate::registry::Service;
use crate::resource::Resource;

/// Entries beyond which what nobody else holds any more is thrown away.
const SWEEP_ABOVE: usize = 4096;

/// What was compiled before.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    clusters: Mutex<HashMap<usize, Vec<Clusters>>>,
    hosts: Mutex<HashMap<(usize, u16, String), Host>>,
}

/// The clusters of a service under some DestinationRules, and their hash.
#[derive(Clone, Debug)]
pub(super) struct Clusters {
    pub(super) service: Arc<Service>,
    pub(super) rules: Vec<Arc<Resource>>,
    pub(super) clusters: Arc<[Arc<Cluster>]>,
    pub(super) hash: Arc<str>,
}

/// The virtual host of a service's port for the clients of a namespace.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) service: Arc<Service>,
    pub(super) owner: Option<Arc<Resource>>,
    /// The resources that limit the owner's routes.
    pub(super) limits: Vec<Arc<Resource>>,
    /// The registry's shape, on which destinations depend.
    pub(super) shape: String,
    pub(super) host: Arc<VirtualHost>,
    pub(super) hash: Arc<str>,
}

/// Gives the identity of a service; it is not reused while the cache holds the service.
fn id(service: &Arc<Service>) -> usize {
    Arc::as_ptr(service).addr()
}

impl Cache {
    pub(super) fn clusters(&self, service: &Arc<Service>, rules: &[Arc<Resource>]) -> Option<Clusters> {
        let kept = self.clusters.lock();
        let same = |one: &&Clusters| {
            one.rules.len() == rules.len() && one.rules.iter().zip(rules).all(|(one, other)| Arc::ptr_eq(one, other))
        };
        kept.get(&id(service))?.iter().find(same).cloned()
    }

    pub(super) fn keep_clusters(&self, made: Clusters) {
        let mut kept = self.clusters.lock();
        if kept.len() > SWEEP_ABOVE {
            // Held here alone: the registry has a newer one.
            kept.retain(|_, all| all.first().is_some_and(|one| Arc::strong_count(&one.service) > all.len() + 1));
        }
        let all = kept.entry(id(&made.service)).or_default();
        all.retain(|one| one.rules.iter().all(|rule| Arc::strong_count(rule) > 1));
        all.push(made);
    }

    /// Gives a virtual host and its hash, if what it was made of still holds.
    pub(super) fn host(
        &self,
        service: &Arc<Service>,
        port: u16,
        namespace: &str,
        holds: impl Fn(&Host) -> bool,
    ) -> Option<(Arc<VirtualHost>, Arc<str>)> {
        let kept = self.hosts.lock();
        let made = kept.get(&(id(service), port, namespace.to_owned())).filter(|made| holds(made))?;
        Some((made.host.clone(), made.hash.clone()))
    }

    pub(super) fn keep_host(&self, port: u16, namespace: &str, made: Host) {
        let mut kept = self.hosts.lock();
        if kept.len() > SWEEP_ABOVE * 4 {
            kept.clear();
        }
        kept.insert((id(&made.service), port, namespace.to_owned()), made);
    }
}
