//! An upstream cluster at work: its endpoints, what is in flight, who is ejected.
//!
//! A reload makes a new [`Cluster`] but keeps the [`EndpointState`] of every endpoint that stays: its connections, its
//! load and its ejection.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use wattle_contract::route::{self, Balancer, UpstreamProtocol};
use wattle_contract::{Endpoint, EndpointAddress, Health};

use crate::balance::{Candidate, Picker};
use crate::dice::Dice;
use crate::resilience::limits::{Gauge, InFlight};
use crate::resilience::outlier;
use crate::telemetry::{Party, ServiceLabels};
use crate::threads::PerThread;
use crate::tls::Originator;
use crate::upstream::Pool;

/// Envoy's panic threshold where no outlier detection says otherwise.
const PANIC_PERCENT: usize = 50;

/// One cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) spec: Arc<route::Cluster>,
    pub(crate) endpoints: Vec<Arc<Member>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) service: Arc<ServiceLabels>,
    /// What begins TLS on new connections; `None` for cleartext.
    pub(crate) tls: Option<Arc<Originator>>,
    picker: Picker,
}

/// What all generations of a cluster share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) in_flight: InFlight,
    /// Told whenever a connection is given back or ends.
    pub(crate) freed: Notify,
}

/// One endpoint of one generation of a cluster.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) spec: Endpoint,
    /// Its address as logs write it.
    pub(crate) address: Box<str>,
    pub(crate) party: Arc<Party>,
    pub(crate) state: Arc<EndpointState>,
}

/// What is remembered of an address across reloads.
#[derive(Debug)]
pub(crate) struct EndpointState {
    pub(crate) requests: Gauge,
    pub(crate) outlier: Mutex<outlier::State>,
    pub(crate) connections: Gauge,
    pub(crate) pools: PerThread<Pool>,
}

impl EndpointState {
    fn new(threads: usize) -> Arc<Self> {
        let (requests, outlier, connections) = (Gauge::default(), Mutex::default(), Gauge::default());
        Arc::new(Self { requests, outlier, connections, pools: PerThread::new(threads) })
    }
}

impl Cluster {
    /// Makes a cluster.
    pub(crate) fn new(
        spec: &Arc<route::Cluster>,
        earlier: Option<&Self>,
        home: &str,
        threads: usize,
        dice: &Dice,
        tls: Option<Arc<Originator>>,
    ) -> Self {
        let name = |endpoint: &Endpoint| (format!("{:?}", endpoint.address), endpoint.weight);
        let names: Vec<_> = match &spec.balancer {
            Balancer::ConsistentHash { .. } => spec.endpoints.iter().map(name).collect(),
            _ => Vec::new(),
        };
        let picker = Picker::new(&spec.balancer, &names, dice);
        // Connections of one protocol cannot be used for another.
        let earlier = earlier.filter(|earlier| earlier.spec.protocol == spec.protocol && earlier.spec.tls == spec.tls);
        let mut known: HashMap<&EndpointAddress, &Arc<Member>> = HashMap::new();
        for member in earlier.iter().flat_map(|earlier| &earlier.endpoints) {
            known.insert(&member.spec.address, member);
        }
        let member = |endpoint: &Endpoint| {
            let before = known.get(&endpoint.address);
            let party = Party::of_endpoint(endpoint, spec, home);
            // The same words in the same place keep the same series.
            let same = before.filter(|member| *member.party == party).map(|member| Arc::clone(&member.party));
            Arc::new(Member {
                address: address(&endpoint.address).into(),
                spec: endpoint.clone(),
                party: same.unwrap_or_else(|| Arc::new(party)),
                state: before.map_or_else(|| EndpointState::new(threads), |member| Arc::clone(&member.state)),
            })
        };
        Self {
            endpoints: spec.endpoints.iter().map(member).collect(),
            shared: earlier.map_or_else(Arc::default, |earlier| Arc::clone(&earlier.shared)),
            service: service(spec, earlier),
            picker,
            tls,
            spec: Arc::clone(spec),
        }
    }

    /// Picks an endpoint, not one of `tried` while there are others; `None` when none may be used.
    pub(crate) fn pick(
        &self,
        now: Instant,
        dice: &Dice,
        hash: Option<u64>,
        tried: &[EndpointAddress],
    ) -> Option<Arc<Member>> {
        // Nothing to choose from: even an ejected endpoint is used when it is the only one, as in Envoy's panic.
        if let [only] = self.endpoints.as_slice() {
            return (only.spec.health == Health::Healthy && self.is_usable(only, now)).then(|| Arc::clone(only));
        }
        let usable: Vec<Candidate> = self.candidates(|member| !member.state.outlier.lock().is_ejected(now));
        let candidates = if self.panics(usable.len()) { self.candidates(|_| true) } else { usable };
        let fresh: Vec<Candidate> = candidates
            .iter()
            .filter(|candidate| !tried.contains(&self.endpoints[candidate.index].spec.address))
            .copied()
            .collect();
        let candidates = if fresh.is_empty() { &candidates } else { &fresh };
        let index = self.picker.pick(candidates, hash, dice)?;
        Some(Arc::clone(&self.endpoints[index]))
    }

    /// Tells the outlier rule how a try ended; says whether it ejects the endpoint.
    pub(crate) fn observe(&self, member: &Member, outcome: outlier::Outcome, now: Instant) -> bool {
        let Some(rule) = &self.spec.outlier else { return false };
        let others = self.endpoints.iter().filter(|other| !Arc::ptr_eq(&other.state, &member.state));
        let ejected = others.filter(|other| other.state.outlier.lock().is_ejected(now)).count();
        member.state.outlier.lock().observe(rule, outcome, now, ejected, self.endpoints.len())
    }

    pub(crate) fn speaks_http2(&self, downstream: http::Version) -> bool {
        match self.spec.protocol {
            UpstreamProtocol::Http2 => true,
            UpstreamProtocol::AsDownstream => downstream == http::Version::HTTP_2,
            UpstreamProtocol::Http1 | UpstreamProtocol::Tcp => false,
        }
    }

    /// Closes connections that were idle for too long.
    pub(crate) fn prune(&self, now: Instant) {
        for member in &self.endpoints {
            member.state.pools.iter().for_each(|pool| pool.prune(&self.spec.limits, now));
        }
    }

    fn candidates(&self, may: impl Fn(&Member) -> bool) -> Vec<Candidate> {
        let ready = |member: &Member| member.spec.health == Health::Healthy && may(member);
        let usable = self.endpoints.iter().enumerate().filter(|(_, member)| ready(member));
        usable
            .map(|(index, member)| Candidate {
                index,
                weight: member.spec.weight.max(1),
                load: member.state.requests.value(),
            })
            .collect()
    }

    /// Says whether the only endpoint may be used.
    fn is_usable(&self, only: &Member, now: Instant) -> bool {
        self.spec.outlier.is_none() || !only.state.outlier.lock().is_ejected(now) || self.panics(0)
    }

    /// Says whether so few endpoints are left that ejections are not heeded any more.
    fn panics(&self, usable: usize) -> bool {
        let total = self.endpoints.iter().filter(|member| member.spec.health == Health::Healthy).count();
        let threshold = self.spec.outlier.as_ref().map_or(PANIC_PERCENT, |rule| rule.min_health_percent as usize);
        usable * 100 < total * threshold
    }
}

fn service(spec: &route::Cluster, earlier: Option<&Cluster>) -> Arc<ServiceLabels> {
    let service = ServiceLabels::new(spec.service.as_str(), &spec.namespace);
    earlier.filter(|earlier| earlier.service == service).map_or(service, |earlier| Arc::clone(&earlier.service))
}

/// Gives an address as logs write it.
fn address(address: &EndpointAddress) -> String {
    match address {
        EndpointAddress::Socket(address) => address.to_string(),
        EndpointAddress::Dns(host, port) => format!("{host}:{port}"),
        EndpointAddress::Unix(path) => path.display().to_string(),
    }
}
