//! Requests that leave a workload, by port and host.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use wattle_contract::route::{DomainMatch, PortRoutes, Protocol, Route, VirtualHost};

use super::cache::Host;
use super::matching::Site;
use super::scope::Scope;
use super::virtual_services::{Entry, MESH, Owners};
use super::{Context, l4, routes};
use crate::hosts;
use crate::registry::{Port, Service};

/// Port of requests to hosts that are no service.
const HTTP_PORT: u16 = 80;

/// What is gathered for one port.
#[derive(Default)]
struct Gathered {
    protocols: BTreeSet<u8>,
    /// Hosts with their hashes, where these are known.
    hosts: Vec<(Arc<VirtualHost>, Option<Arc<str>>)>,
    l4: Vec<wattle_contract::route::L4Route>,
}

/// Compiles the outbound ports of a workload.
pub(super) fn ports(context: &Context<'_>, scope: &Scope) -> (Vec<PortRoutes>, Vec<Arc<str>>) {
    let owners = Owners::build(context);
    let mut ports: BTreeMap<u16, Gathered> = BTreeMap::new();
    let mut served = BTreeSet::new();
    for (service, shown) in &scope.services {
        for port in &service.ports {
            // An egress listener on a port of its own shows the service there.
            let listen = shown.as_ref().map_or_else(
                || vec![port.number],
                |shown| {
                    shown.iter().copied().filter(|shown| *shown == port.number || service.ports.len() == 1).collect()
                },
            );
            for number in listen {
                let gathered = ports.entry(number).or_default();
                gathered.add(context, &owners, service, port, number);
            }
        }
        served.insert(service.host.as_str());
    }
    for (host, entry) in owners.hosts() {
        let has_service = served.contains(host) || served.iter().any(|served| hosts::within(served, host));
        if !has_service && !entry.http.is_empty() {
            ports.entry(HTTP_PORT).or_default().add_host(context, host, entry);
        }
    }
    let mut hashes = Vec::new();
    let finished = ports.into_iter().map(|(port, gathered)| gathered.finish(port, &mut hashes));
    (finished.collect(), hashes)
}

impl Gathered {
    fn add(&mut self, context: &Context<'_>, owners: &Owners<'_>, service: &Arc<Service>, port: &Port, number: u16) {
        let owner = owners.of(&service.host);
        self.protocols.insert(rank(port.protocol));
        if matches!(port.protocol, Protocol::Tcp | Protocol::Tls | Protocol::Auto) {
            self.l4.extend(l4::of_service(context, owner, service, port, number));
        }
        if !matches!(port.protocol, Protocol::Tcp | Protocol::Tls) {
            self.add_http(context, owner, service, port, number);
        }
    }

    fn add_http(
        &mut self,
        context: &Context<'_>,
        owner: Option<&Entry>,
        service: &Arc<Service>,
        port: &Port,
        number: u16,
    ) {
        let cache = context.documents.cache();
        let shape = context.registry.shape();
        let resource = owner.map(|entry| &entry.resource);
        let limits = resource.map(|owner| context.plan.route_limits.resources(owner)).unwrap_or_default();
        // A rule that asks who the client is, or stands in several resources, is compiled each time.
        let stable = owner.is_none_or(Entry::is_alike_for_all) && number == port.number;
        let holds = |kept: &Host| {
            let same_owner = match (&kept.owner, resource) {
                (Some(one), Some(other)) => Arc::ptr_eq(one, other),
                (None, None) => true,
                _ => false,
            };
            same_owner
                && kept.limits.len() == limits.len()
                && kept.limits.iter().zip(&limits).all(|(one, other)| Arc::ptr_eq(one, other))
                && kept.shape == shape
        };
        if let Some((host, hash)) = stable.then(|| cache.host(service, number, context.namespace(), holds)).flatten() {
            self.hosts.push((host, Some(hash)));
            return;
        }
        let routes = routes_of(context, owner, service, port, number);
        let mut domains: Vec<DomainMatch> = match service.host.strip_prefix('*') {
            Some(suffix) => vec![DomainMatch::Suffix(suffix.to_owned())],
            None => hosts::variants(&service.host, context.namespace(), context.settings)
                .into_iter()
                .map(DomainMatch::Exact)
                .collect(),
        };
        let ips = service.addresses.iter().filter(|address| !address.contains('/'));
        domains.extend(ips.map(|address| DomainMatch::Exact(address.clone())));
        let name = format!("{}:{number}", service.host);
        let host = Arc::new(VirtualHost { name, domains, routes, https_redirect: false });
        let hash: Arc<str> = super::hash_of(&host).into();
        if stable {
            let (service, owner) = (service.clone(), resource.cloned());
            let (shape, host, hash) = (shape.to_owned(), host.clone(), hash.clone());
            let made = Host { service, owner, limits, shape, host, hash };
            cache.keep_host(number, context.namespace(), made);
        }
        self.hosts.push((host, Some(hash)));
    }

    /// Adds a host that a VirtualService names and no service serves.
    fn add_host(&mut self, context: &Context<'_>, host: &str, entry: &Entry) {
        let site = site(HTTP_PORT, entry);
        let names = match host.strip_prefix('*') {
            Some("") => vec![DomainMatch::Any],
            Some(suffix) => vec![DomainMatch::Suffix(suffix.to_owned())],
            None => hosts::variants(host, context.namespace(), context.settings)
                .into_iter()
                .map(DomainMatch::Exact)
                .collect(),
        };
        self.protocols.insert(rank(Protocol::Http));
        let routes = routes::of_entry(context, site, entry);
        let name = format!("{host}:{HTTP_PORT}");
        self.hosts.push((Arc::new(VirtualHost { name, domains: names, routes, https_redirect: false }), None));
    }

    fn finish(self, port: u16, hashes: &mut Vec<Arc<str>>) -> PortRoutes {
        let hosts = settle(self.hosts, hashes);
        hashes.push(super::hash_of(&(port, &self.l4)).into());
        let protocol = match self.protocols.len() {
            1 => self.protocols.first().map_or(Protocol::Auto, |rank| unrank(*rank)),
            _ if self.protocols.iter().all(|rank| *rank <= 1) => Protocol::Http,
            _ => Protocol::Auto,
        };
        PortRoutes { port, protocol, hosts, l4: self.l4 }
    }
}

/// Leaves every domain to the first host that has it, and gives the hosts that have any, with their hashes.
fn settle(hosts: Vec<(Arc<VirtualHost>, Option<Arc<str>>)>, hashes: &mut Vec<Arc<str>>) -> Vec<Arc<VirtualHost>> {
    let domains = || hosts.iter().flat_map(|(host, _)| &host.domains);
    // The domains are only looked at: copies of them would be a good part of a recompilation.
    let mut taken: HashSet<&DomainMatch> = HashSet::with_capacity(domains().count());
    let free: Vec<bool> = domains().map(|domain| taken.insert(domain)).collect();
    let mut free = free.into_iter();
    let mut settled = Vec::with_capacity(hosts.len());
    for (mut host, hash) in hosts {
        let own: Vec<bool> = free.by_ref().take(host.domains.len()).collect();
        if own.iter().all(|free| *free) {
            hashes.push(hash.unwrap_or_else(|| super::hash_of(&host).into()));
        } else {
            let mut own = own.into_iter();
            Arc::make_mut(&mut host).domains.retain(|_| own.next() == Some(true));
            if host.domains.is_empty() {
                continue;
            }
            hashes.push(super::hash_of(&host).into());
        }
        settled.push(host);
    }
    settled
}

fn site(port: u16, entry: &Entry) -> Site<'_> {
    Site { port, gateway: MESH, namespace: entry.resource.namespace(), by_elements: entry.by_elements }
}

fn routes_of(context: &Context<'_>, owner: Option<&Entry>, service: &Service, port: &Port, number: u16) -> Vec<Route> {
    match owner.filter(|entry| !entry.http.is_empty()) {
        Some(entry) => routes::of_entry(context, site(number, entry), entry),
        None => vec![routes::default_route(service, port.number)],
    }
}

const fn rank(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Http => 0,
        Protocol::Http2 => 1,
        Protocol::Https => 2,
        Protocol::Tls => 3,
        Protocol::Tcp => 4,
        Protocol::Auto => 5,
    }
}

const fn unrank(rank: u8) -> Protocol {
    match rank {
        0 => Protocol::Http,
        1 => Protocol::Http2,
        2 => Protocol::Https,
        3 => Protocol::Tls,
        4 => Protocol::Tcp,
        _ => Protocol::Auto,
    }
}
