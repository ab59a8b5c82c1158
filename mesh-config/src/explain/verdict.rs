//! What the authorization policies of the workload behind a cluster say of a request.

use wattle_contract::route::{
    AuthorizationPolicy, Cluster, Condition, InboundTls, Operation, PolicyAction, Rule, Source, StringMatch, Values,
};
use wattle_contract::{EndpointAddress, ProxyMode, WorkloadIdentity};

use super::{RequestDescription, arriving, evaluate};
use crate::compile;
use crate::documents::Documents;
use crate::registry::{Target, labels_match};

/// Gives the verdict in one sentence, and what is asked beside: tokens and limits.
pub(super) fn of_cluster(
    documents: &Documents,
    client: &WorkloadIdentity,
    cluster: &Cluster,
    request: &RequestDescription,
) -> (String, Vec<String>) {
    let endpoint = cluster.endpoints.first();
    let service = documents.registry().service(cluster.service.as_str(), &cluster.namespace);
    let labels = endpoint.map(|endpoint| endpoint.labels.clone()).or_else(|| {
        let selector = &service?.selector;
        let mut pods = documents.registry().workloads_in(&cluster.namespace);
        pods.find(|pod| !selector.is_empty() && labels_match(selector, &pod.labels)).map(|pod| pod.labels.clone())
    });
    let Some(labels) = labels.filter(|_| !cluster.external) else {
        return ("outside the mesh: no policy".to_owned(), Vec::new());
    };
    let mut server = documents.identity(&cluster.namespace, "server");
    server.labels = labels;
    server.mode = ProxyMode::Sidecar;
    let policies = compile::policies_of(documents, &server);
    // Policies speak of the workload's port, requests of the service's.
    let at_workload = endpoint.and_then(|endpoint| match &endpoint.address {
        EndpointAddress::Socket(address) => Some(address.port()),
        EndpointAddress::Dns(_, port) => Some(*port),
        EndpointAddress::Unix(_) => None,
    });
    let target = service.and_then(|service| service.ports.iter().find(|port| port.number == cluster.port));
    let by_number = target.and_then(|port| match port.target {
        Target::Number(number) => Some(number),
        Target::Name(_) => None,
    });
    let port = at_workload.or(by_number).unwrap_or(request.port);
    let (tokens, limits) = compile::arriving(documents, &server);
    let verdict = decide(&policies, Some(client), &RequestDescription { port, ..request.clone() });
    let mut lines = arriving::lines(&tokens, &limits, request);
    let root = &documents.settings().root_namespace;
    let (mode, by) = documents.plan().peer_modes.mode(root, &cluster.namespace, &server.labels, port);
    if let Some(resource) = by {
        let (line, _) = resource.locate("spec.mtls");
        let mode = match mode {
            InboundTls::Disable => "refused (DISABLE)",
            InboundTls::Permissive => "taken beside cleartext (PERMISSIVE)",
            InboundTls::Strict => "demanded (STRICT)",
        };
        lines.push(format!("mesh mTLS is {mode} by {} {}:{line}", resource.object(), resource.file()));
    }
    (verdict, lines)
}

/// Decides by policies; a client outside the mesh has no identity.
pub(super) fn decide(
    policies: &[AuthorizationPolicy],
    client: Option<&WorkloadIdentity>,
    request: &RequestDescription,
) -> String {
    let enforced: Vec<_> = policies.iter().filter(|policy| !policy.dry_run).collect();
    let hit = |policy: &&&AuthorizationPolicy| policy.rules.iter().any(|rule| fits(rule, client, request));
    if let Some(policy) = enforced.iter().filter(|policy| matches!(policy.action, PolicyAction::Custom(_))).find(hit) {
        return format!("asked of the provider of {}", policy.name);
    }
    if let Some(policy) = enforced.iter().filter(|policy| policy.action == PolicyAction::Deny).find(hit) {
        return format!("refused by {} (DENY)", policy.name);
    }
    let allowing: Vec<_> = enforced.iter().filter(|policy| policy.action == PolicyAction::Allow).collect();
    match allowing.iter().find(|policy| hit(policy)) {
        Some(policy) if client.is_none() => format!("allowed by {}", policy.name),
        Some(policy) => format!("allowed by {} (given mesh mTLS with the client's identity)", policy.name),
        None if allowing.is_empty() => "allowed: no ALLOW policy holds for the workload".to_owned(),
        None => {
            let names: Vec<&str> = allowing.iter().map(|policy| policy.name.as_str()).collect();
            format!("refused: none of the ALLOW policies matches ({})", names.join(", "))
        }
    }
}

fn fits(rule: &Rule, client: Option<&WorkloadIdentity>, request: &RequestDescription) -> bool {
    (rule.from.is_empty() || rule.from.iter().any(|source| source_fits(source, client)))
        && (rule.to.is_empty() || rule.to.iter().any(|operation| operation_fits(operation, request)))
        && rule.when.iter().all(|condition| condition_fits(condition, client, request))
}

/// Matches one value; a value that is not known matches nothing that is wanted.
fn values_fit(values: &Values, given: Option<&str>) -> bool {
    let one = |wanted: &StringMatch| given.is_some_and(|given| !given.is_empty() && evaluate::text_fits(wanted, given));
    (values.any_of.is_empty() || values.any_of.iter().any(one)) && !values.none_of.iter().any(one)
}

fn source_fits(source: &Source, client: Option<&WorkloadIdentity>) -> bool {
    let account = client.map(|client| format!("{}/{}", client.namespace, client.service_account));
    let principal = client.map(WorkloadIdentity::principal);
    // No token and no address is known here: what asks for them does not match.
    values_fit(&source.principals, principal.as_deref())
        && values_fit(&source.namespaces, client.map(|client| client.namespace.as_str()))
        && values_fit(&source.service_accounts, account.as_deref())
        && values_fit(&source.trust_domains, client.map(|client| client.trust_domain.as_str()))
        && values_fit(&source.request_principals, None)
        && source.ip_blocks.is_empty()
        && source.remote_ip_blocks.is_empty()
}

fn operation_fits(operation: &Operation, request: &RequestDescription) -> bool {
    let port = request.port;
    let host = request.host.to_lowercase();
    values_fit(&operation.hosts, Some(&host))
        && (operation.ports.is_empty() || operation.ports.contains(&port))
        && !operation.not_ports.contains(&port)
        && values_fit(&operation.methods, Some(&request.method))
        && values_fit(&operation.paths, Some(&request.path))
}

fn condition_fits(condition: &Condition, client: Option<&WorkloadIdentity>, request: &RequestDescription) -> bool {
    let principal = client.map(WorkloadIdentity::principal);
    let header = condition.key.strip_prefix("request.headers[").and_then(|rest| rest.strip_suffix(']'));
    let given = match (header, condition.key.as_str()) {
        (Some(name), _) => {
            request.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
        }
        (None, "source.namespace") => client.map(|client| client.namespace.as_str()),
        (None, "source.principal") => principal.as_deref(),
        _ => None,
    };
    values_fit(&condition.values, given)
}
