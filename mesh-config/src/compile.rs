//! From resources to the [`RouteTable`] of one proxy.
//!
//! Everything that Istio decides when it builds configuration is decided here: which resources a workload sees, which
//! VirtualService owns a host, which block of which policy holds, which defaults fill the gaps.

mod actions;
mod cache;
mod clusters;
mod delegates;
mod destination_rules;
mod effective;
mod gateways;
mod health_checks;
mod inbound;
mod l4;
mod matching;
mod opaque;
mod outbound;
mod peers;
mod policies;
mod rate_limits;
mod retries;
mod routes;
mod scope;
mod telemetry;
mod tls;
mod tokens;
mod version;
mod virtual_services;

use std::sync::Arc;

use wattle_contract::route::{JwtRule, RateLimit, RouteTable};
use wattle_contract::{ProxyMode, WorkloadIdentity};

use crate::documents::Documents;
use crate::finding::Finding;
use crate::gateway_api::Translation;
use crate::registry::Registry;
use crate::resource::Resource;
use crate::settings::MeshSettings;

pub(crate) use actions::is_host;
pub(crate) use cache::Cache;
pub(crate) use delegates::find as find_delegate;
pub(crate) use destination_rules::DestinationRules;
pub(crate) use health_checks::HealthChecks;
pub(crate) use matching::claim_path;
pub(crate) use opaque::{http_fields, reached};
pub(crate) use peers::PeerModes;
pub(crate) use policies::{applies, rule as policy_rule};
pub(crate) use rate_limits::{RouteLimits, is_of_routes, limit_key};
pub(crate) use retries::{DEFAULT_RETRY_ON, grpc_status, retry_on};
pub(crate) use scope::Scope;
pub(crate) use version::hash_of;
pub(crate) use virtual_services::{Entry as VirtualServiceEntry, HttpEntry, VirtualServices, gateway_name};

/// What is prepared once for all proxies.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) virtual_services: VirtualServices,
    pub(crate) destination_rules: DestinationRules,
    pub(crate) peer_modes: PeerModes,
    pub(crate) gateway_api: Translation,
    pub(crate) route_limits: RouteLimits,
    pub(crate) health_checks: HealthChecks,
}

impl Plan {
    pub(crate) fn build(documents: &Documents) -> Self {
        let gateway_api = Translation::build(documents);
        Self {
            virtual_services: VirtualServices::build(documents),
            destination_rules: DestinationRules::build(documents),
            peer_modes: PeerModes::build(documents),
            gateway_api,
            route_limits: RouteLimits::build(documents),
            health_checks: HealthChecks::build(documents),
        }
    }
}

/// What every step of a compilation looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) documents: &'a Documents,
    pub(crate) registry: &'a Registry,
    pub(crate) plan: &'a Plan,
    pub(crate) settings: &'a MeshSettings,
    pub(crate) client: &'a WorkloadIdentity,
}

impl<'a> Context<'a> {
    pub(crate) fn new(documents: &'a Documents, client: &'a WorkloadIdentity) -> Self {
        Self {
            documents,
            registry: documents.registry(),
            plan: documents.plan(),
            settings: documents.settings(),
            client,
        }
    }

    pub(crate) fn namespace(&self) -> &'a str {
        self.client.namespace.as_str()
    }

    /// Gives every VirtualService, written or translated, each group oldest first.
    pub(crate) fn virtual_services(&self) -> impl Iterator<Item = &'a VirtualServiceEntry> {
        self.plan
            .virtual_services
            .entries
            .iter()
            .chain(self.plan.gateway_api.services.iter().map(|translated| &translated.entry))
    }
}

/// Compiles what the proxy of one workload does.
///
/// # Errors
///
/// Gives the findings that forbid it when any resource is refused: a configuration is taken whole or not at all.
pub fn compile(documents: &Documents, workload: &WorkloadIdentity) -> Result<RouteTable, Vec<Finding>> {
    let errors = documents.errors();
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(table(documents, workload))
}

/// Compiles without regard to refused resources, for explanations.
pub(crate) fn table(documents: &Documents, workload: &WorkloadIdentity) -> RouteTable {
    let context = Context::new(documents, workload);
    let (mut table, parts) = match workload.mode {
        ProxyMode::Sidecar => {
            let scope = Scope::of(&context);
            let (clusters, cluster_hashes) = clusters::of_scope(&context, &scope);
            let (outbound, host_hashes) = outbound::ports(&context, &scope);
            let inbound = inbound::ports(&context, &scope);
            let outbound_policy = scope.outbound_policy;
            (
                RouteTable { outbound, inbound, clusters, outbound_policy, ..RouteTable::default() },
                (cluster_hashes, host_hashes),
            )
        }
        ProxyMode::Gateway => {
            let scope = Scope::everything(&context);
            let gateways = gateways::listeners(&context);
            let (clusters, cluster_hashes) = clusters::of_scope(&context, &scope);
            (RouteTable { gateways, clusters, ..RouteTable::default() }, (cluster_hashes, Vec::new()))
        }
    };
    let opaque = match workload.mode {
        ProxyMode::Sidecar => opaque::of_inbound(&table.inbound),
        ProxyMode::Gateway => opaque::of_listeners(&table.gateways),
    };
    table.policies = policies::of_workload(&context, &opaque);
    table.authentication = tokens::of_workload(&context);
    table.rate_limits = rate_limits::of_workload(&context);
    table.telemetry = telemetry::of_workload(&context);
    // The large parts have hashes already: what is kept from before need not be hashed again.
    let protocols: Vec<_> = table.outbound.iter().map(|port| (port.port, port.protocol)).collect();
    let rest = (&table.inbound, &table.gateways, &table.policies, &table.telemetry, table.outbound_policy);
    let arriving = (&table.authentication, &table.rate_limits);
    table.version = hash_of(&(parts, protocols, rest, arriving));
    table
}

/// Gives what a workload asks of the requests that come to it, for explanations.
pub(crate) fn arriving(documents: &Documents, workload: &WorkloadIdentity) -> (Vec<JwtRule>, Vec<Arc<RateLimit>>) {
    let context = Context::new(documents, workload);
    (tokens::of_workload(&context), rate_limits::of_workload(&context))
}

/// Gives the DestinationRules and the HealthCheck that hold for a host, for explanations.
pub(crate) fn resources_of(
    documents: &Documents,
    workload: &WorkloadIdentity,
    host: &str,
    namespace: &str,
) -> Vec<Arc<Resource>> {
    let context = Context::new(documents, workload);
    let mut resources = context.plan.destination_rules.of(&context, host, namespace).resources;
    resources.extend(context.plan.health_checks.of(&context, host, namespace));
    resources
}

/// Gives the policies of a workload, for explanations.
pub(crate) fn policies_of(
    documents: &Documents,
    workload: &WorkloadIdentity,
) -> Vec<wattle_contract::route::AuthorizationPolicy> {
    let context = Context::new(documents, workload);
    policies::of_workload(&context, &opaque_ports(&context))
}

/// Gives the ports of a workload that carry bytes, of which HTTP's fields say nothing.
pub(crate) fn opaque_ports(context: &Context<'_>) -> Vec<u16> {
    match context.client.mode {
        ProxyMode::Sidecar => opaque::of_inbound(&inbound::ports(context, &Scope::of(context))),
        ProxyMode::Gateway => opaque::of_listeners(&gateways::listeners(context)),
    }
}
