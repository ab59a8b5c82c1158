//! A route table compiled for use: taken whole or not at all.

mod supported;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wattle_contract::route::{
    self, Balancer, ClientTls, Discovery, InboundPort, LocalityPolicy, PercentMillionths, Protocol, UpstreamProtocol,
};
use wattle_contract::{ClusterName, Endpoint, EndpointAddress, Health, Locality, RouteTable};

use crate::Error;
use crate::cluster::Cluster;
use crate::dice::Dice;
use crate::policy::Policies;
use crate::router::Hosts;
use crate::telemetry::Options;
use crate::tls::{Files, Originator, Terminator};

/// A compiled table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) source: Arc<RouteTable>,
    pub(crate) outbound: HashMap<u16, Hosts>,
    pub(crate) gateways: HashMap<u16, Hosts>,
    pub(crate) inbound: HashMap<u16, Inbound>,
    pub(crate) clusters: HashMap<ClusterName, Arc<Cluster>>,
    pub(crate) options: Options,
    pub(crate) policies: Policies,
    /// What ends TLS, by port of a gateway.
    pub(crate) terminators: HashMap<u16, Arc<Terminator>>,
    /// Files that were read for it.
    pub(crate) files: Files,
}

/// A port of the workload.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) cluster: Arc<Cluster>,
    /// Whether bytes are carried without looking at them.
    pub(crate) opaque: bool,
}

/// What a table is compiled with.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// Name of the workload's Kubernetes cluster.
    pub(crate) home: String,
    /// The workload's ports, and where its application listens.
    pub(crate) applications: BTreeMap<u16, SocketAddr>,
    /// Threads that carry traffic.
    pub(crate) threads: usize,
    /// Share of traced requests where the table does not say.
    pub(crate) sampling: PercentMillionths,
}

impl Table {
    /// Compiles a table; endpoints that `earlier` had keep their state.
    pub(crate) fn compile(
        source: &Arc<RouteTable>,
        earlier: Option<&Self>,
        around: &Surroundings,
        dice: &Dice,
    ) -> Result<Self, Error> {
        let mut reasons = supported::missing(source);
        let outbound: HashMap<_, _> =
            source.outbound.iter().map(|port| (port.port, Hosts::compile(&port.hosts, &mut reasons))).collect();
        let gateways: HashMap<_, _> =
            source.gateways.iter().map(|port| (port.port, Hosts::compile(&port.hosts, &mut reasons))).collect();
        let policies = Policies::compile(&source.policies, &mut reasons);
        let opaque = |port: &InboundPort| matches!(port.protocol, Protocol::Tcp | Protocol::Tls | Protocol::Https);
        let mut files = Files::default();
        let mut terminators = HashMap::new();
        for gateway in &source.gateways {
            if let Some(terminator) = Terminator::compile(gateway, &mut files, &mut reasons) {
                terminators.insert(gateway.port, terminator);
            }
        }
        let mut clusters = HashMap::new();
        for (name, spec) in &source.clusters {
            let earlier = earlier.and_then(|earlier| earlier.clusters.get(name)).map(Arc::as_ref);
            let tls = Originator::compile(spec, &mut files).unwrap_or_else(|reason| {
                reasons.push(format!("cluster {name}: {reason}"));
                None
            });
            let cluster = Cluster::new(spec, earlier, &around.home, around.threads, dice, tls);
            clusters.insert(name.clone(), Arc::new(cluster));
        }
        if !reasons.is_empty() {
            return Err(Error::RefusedTable { version: source.version.clone(), reasons });
        }
        let inbound = around.applications.iter().map(|(port, application)| {
            let described = source.inbound.iter().find(|inbound| inbound.port == *port);
            let earlier = earlier.and_then(|earlier| earlier.inbound.get(port)).map(|inbound| inbound.cluster.as_ref());
            let spec = Arc::new(inbound_cluster(*port, *application, described));
            let cluster = Cluster::new(&spec, earlier, &around.home, around.threads, dice, None);
            let opaque = described.is_some_and(opaque);
            (*port, Inbound { cluster: Arc::new(cluster), opaque })
        });
        let telemetry = &source.telemetry;
        let options = Options {
            sampling: telemetry.trace_sampling.unwrap_or(around.sampling),
            spans: !telemetry.spans_disabled,
            propagate: !telemetry.propagation_disabled,
            access_log: telemetry.access_log.as_ref().is_none_or(|log| !log.disabled),
            custom_tags: telemetry.custom_tags.clone(),
        };
        Ok(Self {
            inbound: inbound.collect(),
            source: Arc::clone(source),
            outbound,
            gateways,
            clusters,
            options,
            policies,
            terminators,
            files,
        })
    }

    /// Gives all clusters, those of the workload's own ports included.
    pub(crate) fn all_clusters(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        self.clusters.values().chain(self.inbound.values().map(|inbound| &inbound.cluster))
    }
}

/// The workload's application as a cluster of one endpoint; a port nobody described is carried too, as in Istio.
fn inbound_cluster(port: u16, application: SocketAddr, described: Option<&InboundPort>) -> route::Cluster {
    let protocol = match described.map(|port| port.protocol) {
        Some(Protocol::Http2) => UpstreamProtocol::Http2,
        _ => UpstreamProtocol::AsDownstream,
    };
    let endpoint = Endpoint {
        address: EndpointAddress::Socket(application),
        labels: BTreeMap::new(),
        workload: None,
        node: None,
        locality: Locality::default(),
        weight: 1,
        health: Health::Healthy,
        service_account: String::new(),
        mesh_tls: false,
    };
    route::Cluster {
        name: format!("inbound|{port}||").into(),
        service: described.map_or("", |port| port.service.as_str()).into(),
        namespace: String::new(),
        port,
        subset: String::new(),
        external: false,
        discovery: Discovery::Static,
        endpoints: vec![endpoint],
        balancer: Balancer::Random,
        locality: LocalityPolicy::default(),
        warmup: None,
        protocol,
        tls: ClientTls::Disable,
        limits: described.map(|port| port.limits).unwrap_or_default(),
        retry_budget: None,
        outlier: None,
        health_check: None,
        connect_timeout: Duration::from_secs(10),
        keepalive: None,
        proxy_protocol: None,
    }
}
