//! Services, Deployments and autoscalers: port names, ports, users.

use std::sync::Arc;

use wattle_contract::route::Protocol;

use super::{Analysis, reference};
use crate::decode::IntOrString;
use crate::finding::{Problem, RuleId};
use crate::kinds::kubernetes::{AutoscalerSpec, PodSpec, ServiceSpec};
use crate::kinds::{Deployment, Pod};
use crate::registry::{Workload, labels_match, protocol};
use crate::resource::Resource;

const PORT_NAME: RuleId = RuleId::info("IST0118", "port-name");
const PROTOCOLS: RuleId = RuleId::error("IST0177", "conflicting-protocols");
const CONTAINER_PORT: RuleId = RuleId::warning("WAT0121", "container-port-not-declared");
const UID: RuleId = RuleId::error("IST0144", "proxy-user");
const TARGET: RuleId = reference("scale-target-not-found");
const NO_REQUEST: RuleId = RuleId::warning("WAT0122", "scale-target-without-request");

/// Analyses workloads.
pub(super) fn analyse(analysis: &mut Analysis<'_>) {
    let documents = analysis.documents;
    for (resource, service) in documents.of::<ServiceSpec>() {
        ports(analysis, resource, service);
    }
    for (resource, deployment) in documents.of::<Deployment>() {
        users(analysis, resource, &deployment.0.template.spec, "spec.template.spec");
    }
    for (resource, pod) in documents.of::<Pod>() {
        users(analysis, resource, &pod.spec, "spec");
    }
    for (resource, autoscaler) in documents.of::<AutoscalerSpec>() {
        scaling(analysis, resource, autoscaler);
    }
}

fn ports(analysis: &mut Analysis<'_>, resource: &Arc<Resource>, service: &ServiceSpec) {
    let managed = resource.meta.labels.contains_key("gateway.istio.io/managed");
    let system = matches!(resource.namespace(), "kube-system" | "kube-public")
        || resource.namespace() == analysis.documents.settings().root_namespace;
    let tcp = |kind: &str| kind.is_empty() || kind == "TCP";
    for (index, port) in service.ports.iter().enumerate().filter(|(_, port)| tcp(&port.protocol)) {
        let path = format!("spec.ports[{index}]");
        let undeclared = protocol(&port.app_protocol, &port.name) == Protocol::Auto;
        if undeclared && port.app_protocol.is_empty() && !managed && !system {
            let message = match port.name.as_str() {
                "" => format!("port {} has no name", port.port),
                name => format!("the name {name:?} of port {} begins with no protocol", port.port),
            };
            let problem = Problem::new(PORT_NAME, format!("{path}.name"), message);
            let effect = "what it speaks is guessed from the first bytes; server-first protocols stall";
            analysis.tell(
                resource,
                problem.effect(effect).remedy("name it PROTOCOL-something (http-, grpc-, tcp-), or set appProtocol"),
            );
        }
        let twin = service.ports[..index].iter().find(|other| {
            tcp(&other.protocol)
                && other.target_port == port.target_port
                && other.target_port != IntOrString::Absent
                && protocol(&other.app_protocol, &other.name) != protocol(&port.app_protocol, &port.name)
        });
        if let Some(twin) = twin {
            let message = format!(
                "ports {} and {} lead to one port of the pod and say different protocols",
                twin.port, port.port
            );
            let problem = Problem::new(PROTOCOLS, path.clone(), message);
            analysis.tell(
                resource,
                problem.effect("the proxy follows one of them").remedy("say the same protocol for both"),
            );
        }
        container_port(analysis, resource, service, &port.target_port, port.port, &path);
    }
}

/// Tells of a target port that no pod behind the Service declares, when all of them declare some.
fn container_port(
    analysis: &mut Analysis<'_>,
    resource: &Arc<Resource>,
    service: &ServiceSpec,
    target: &IntOrString,
    port: u32,
    path: &str,
) {
    if service.selector.is_empty() {
        return;
    }
    let registry = analysis.documents.registry();
    let behind: Vec<&Workload> = registry
        .workloads_in(resource.namespace())
        .filter(|pod| labels_match(&service.selector, &pod.labels))
        .collect();
    let declares_some = |pod: &&&Workload| pod.spec.containers.iter().any(|container| !container.ports.is_empty());
    if behind.is_empty() || !behind.iter().all(|pod| declares_some(&pod)) {
        return;
    }
    let declared = |pod: &Workload| {
        pod.spec.containers.iter().flat_map(|container| &container.ports).any(|one| match target {
            IntOrString::Absent => one.container_port == port,
            IntOrString::Number(number) => one.container_port == *number,
            IntOrString::Name(name) => one.name == *name,
        })
    };
    if behind.iter().any(|pod| declared(pod)) {
        return;
    }
    let name = match target {
        IntOrString::Absent => port.to_string(),
        IntOrString::Number(number) => number.to_string(),
        IntOrString::Name(name) => name.clone(),
    };
    let ports: Vec<String> = behind[0]
        .spec
        .containers
        .iter()
        .flat_map(|container| &container.ports)
        .map(|port| port.container_port.to_string())
        .collect();
    let message =
        format!("no pod behind the Service declares port {name}; {} declares {}", behind[0].owner, ports.join(", "));
    let problem = Problem::new(CONTAINER_PORT, format!("{path}.targetPort"), message);
    analysis
        .tell(resource, problem.effect("connections are likely refused").remedy("correct targetPort or containerPort"));
}

fn users(analysis: &mut Analysis<'_>, resource: &Arc<Resource>, spec: &PodSpec, path: &str) {
    let whole = spec.security_context.as_ref().and_then(|context| context.run_as_user);
    if whole == Some(1337) {
        let problem = Problem::new(UID, format!("{path}.securityContext.runAsUser"), "user 1337 is the proxy's");
        analysis.tell(resource, problem.effect("the application's traffic is not captured").remedy("use another user"));
    }
    for (index, container) in
        spec.containers.iter().enumerate().filter(|(_, container)| container.name != "istio-proxy")
    {
        if container.security_context.as_ref().and_then(|context| context.run_as_user) == Some(1337) {
            let problem = Problem::new(
                UID,
                format!("{path}.containers[{index}].securityContext.runAsUser"),
                "user 1337 is the proxy's",
            );
            analysis
                .tell(resource, problem.effect("the application's traffic is not captured").remedy("use another user"));
        }
    }
}

fn scaling(analysis: &mut Analysis<'_>, resource: &Arc<Resource>, autoscaler: &AutoscalerSpec) {
    let target = &autoscaler.scale_target_ref;
    if target.kind != "Deployment" {
        return;
    }
    let mut deployments = analysis.documents.of::<Deployment>();
    let found = deployments.find(|(other, _)| other.namespace() == resource.namespace() && other.name() == target.name);
    let Some((_, deployment)) = found else {
        let problem = Problem::new(TARGET, "spec.scaleTargetRef", format!("there is no Deployment {}", target.name));
        analysis.tell(resource, problem.effect("nothing is scaled").remedy("correct the name or the namespace"));
        return;
    };
    for (index, metric) in autoscaler.metrics.iter().enumerate() {
        let utilization = metric.0["type"] == "Resource" && metric.0["resource"]["target"]["type"] == "Utilization";
        let Some(name) = metric.0["resource"]["name"].as_str().filter(|_| utilization) else { continue };
        let containers = &deployment.0.template.spec.containers;
        let missing = containers.iter().find(|container| {
            !container.resources.as_ref().is_some_and(|resources| resources.requests.contains_key(name))
        });
        if let Some(container) = missing {
            let message = format!("container {} of {} requests no {name}", container.name, target.name);
            let problem = Problem::new(NO_REQUEST, format!("spec.metrics[{index}].resource"), message);
            analysis.tell(
                resource,
                problem.effect("utilisation cannot be computed: nothing is scaled").remedy("set resources.requests"),
            );
        }
    }
}
