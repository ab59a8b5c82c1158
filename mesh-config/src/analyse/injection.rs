//! Which namespaces and pods get a proxy.

use super::Analysis;
use crate::finding::{Problem, RuleId};
use crate::kinds::{Kind, NamespaceSpec, Pod};
use crate::resource::Resource;

const NOT_INJECTED: RuleId = RuleId::info("IST0102", "namespace-not-injected");
const MISSING_PROXY: RuleId = RuleId::warning("IST0103", "pod-missing-proxy");
const MULTIPLE: RuleId = RuleId::warning("IST0123", "several-injection-labels");

/// Analyses injection.
pub(super) fn analyse(analysis: &mut Analysis<'_>) {
    let documents = analysis.documents;
    for (namespace, _) in documents.of::<NamespaceSpec>() {
        let label = |name: &str| namespace.meta.labels.get(name).map(String::as_str);
        let system = namespace.name().starts_with("kube-") || namespace.name() == documents.settings().root_namespace;
        let given = [
            label("istio-injection").is_some_and(|value| value == "enabled"),
            label("istio.io/rev").is_some(),
            label("istio.io/dataplane-mode").is_some_and(|mode| mode == "ambient"),
        ];
        let disabled = label("istio-injection") == Some("disabled");
        if given.iter().filter(|given| **given).count() > 1 && !disabled {
            let problem =
                Problem::new(MULTIPLE, "metadata.labels", "several labels say how the namespace joins the mesh");
            analysis
                .tell(namespace, problem.effect("istio-injection wins over istio.io/rev").remedy("keep one of them"));
        } else if !given.contains(&true) && !disabled && !system {
            let problem = Problem::new(NOT_INJECTED, "metadata", "no label says whether the namespace joins the mesh");
            analysis.tell(
                namespace,
                problem
                    .effect("its pods get no proxy")
                    .remedy("label it istio-injection=enabled, or =disabled if so meant"),
            );
        }
    }
    for (pod, spec) in documents.of::<Pod>() {
        if wants_proxy(analysis, pod) && !spec.spec.host_network && !has_proxy(spec) {
            let problem = Problem::new(
                MISSING_PROXY,
                "spec.containers",
                "the namespace joins the mesh, and the pod has no proxy",
            );
            analysis.tell(
                pod,
                problem
                    .effect("it is outside the mesh: no mTLS, no policies")
                    .remedy("restart it, so that the proxy is injected"),
            );
        }
    }
}

fn has_proxy(pod: &Pod) -> bool {
    pod.spec.containers.iter().chain(&pod.spec.init_containers).any(|container| container.name == "istio-proxy")
}

fn wants_proxy(analysis: &Analysis<'_>, pod: &Resource) -> bool {
    let mut namespaces = analysis.documents.of_kind(Kind::Namespace).iter();
    let Some(namespace) = namespaces.find(|namespace| namespace.name() == pod.namespace()) else { return false };
    let labels = &namespace.meta.labels;
    let injected = match labels.get("istio-injection").map(String::as_str) {
        Some("enabled") => true,
        Some(_) => false,
        None => labels.contains_key("istio.io/rev"),
    };
    let own =
        pod.meta.labels.get("sidecar.istio.io/inject").or_else(|| pod.meta.annotations.get("sidecar.istio.io/inject"));
    injected && own.is_none_or(|value| value != "false")
}
