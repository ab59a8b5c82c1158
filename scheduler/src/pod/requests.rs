//! What a pod asks for in all, summed as kube-scheduler sums it.
//!
//! formula: max(sum of containers and sidecars, greatest init container with the sidecars started before it), replaced
//! by the pod-level request where there is one, plus the runtime class's overhead.
//! Source: k8s.io/component-helpers/resource `PodRequests`.

use std::collections::BTreeMap;

use wattle_contract::{Bytes, Millicores};

use super::Ignored;
use super::json::{ContainerJson, QuantityText, SpecJson};
use super::quantity::{Rounded, parse_quantity};

pub(super) struct Requests {
    pub(super) cpu: Option<Millicores>,
    pub(super) memory: Option<Bytes>,
}

pub(super) fn sum(spec: &SpecJson<'_>, ignored: &mut Vec<Ignored>) -> Requests {
    let cpu = total(spec, "cpu", Rounded::Milli, ignored);
    #[expect(clippy::cast_precision_loss, reason = "a count of millicores beyond 2^53 is no machine's")]
    let cpu = cpu.and_then(|milli| Millicores::new(milli as f64));
    Requests { cpu, memory: total(spec, "memory", Rounded::Unit, ignored).map(Bytes) }
}

fn total(spec: &SpecJson<'_>, resource: &'static str, to: Rounded, ignored: &mut Vec<Ignored>) -> Option<u64> {
    let mut asked = |requests: &BTreeMap<String, QuantityText>| {
        let text = &requests.get(resource)?.0;
        let quantity = parse_quantity(text, to);
        if quantity.is_none() {
            ignored.push(Ignored::new(resource, text));
        }
        quantity
    };

    let mut running = None;
    for container in &spec.containers {
        running = add(running, asked(&container.resources.requests));
    }
    let mut sidecars = None;
    let mut starting = None;
    for container in &spec.init_containers {
        let own = asked(&container.resources.requests);
        let needed = add(sidecars, own);
        if is_sidecar(container) {
            sidecars = needed;
        }
        starting = starting.max(needed);
    }
    let of_containers = add(running, sidecars).max(starting);
    let of_pod = spec.resources.as_ref().and_then(|resources| asked(&resources.requests));
    let base = of_pod.or(of_containers)?;
    add(Some(base), asked(&spec.overhead))
}

fn is_sidecar(container: &ContainerJson<'_>) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

const fn add(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (Some(known), None) | (None, Some(known)) => Some(known),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(spec: &str) -> Option<f64> {
        let spec: SpecJson<'_> = serde_json::from_str(spec).expect("a pod's spec");
        sum(&spec, &mut Vec::new()).cpu.map(f64::from)
    }

    #[test]
    fn init_containers_run_one_by_one_and_sidecars_stay() {
        let container = |cpu: &str, more: &str| format!(r#"{{"resources":{{"requests":{{"cpu":"{cpu}"}}}}{more}}}"#);
        let always = r#","restartPolicy":"Always""#;
        let spec = |init: &[String], more: &str| {
            format!(r#"{{"containers":[{}],"initContainers":[{}]{more}}}"#, container("1", ""), init.join(","))
        };

        assert_eq!(cpu(&spec(&[container("500m", ""), container("3", "")], "")), Some(3000.0));
        assert_eq!(cpu(&spec(&[container("200m", always), container("500m", "")], "")), Some(1200.0));
        assert_eq!(cpu(&spec(&[container("200m", always), container("2", "")], "")), Some(2200.0));
        assert_eq!(cpu(&spec(&[container("3", "")], r#","overhead":{"cpu":"100m"}"#)), Some(3100.0));
        assert_eq!(cpu(&spec(&[], r#","resources":{"requests":{"cpu":"4"}}"#)), Some(4000.0));
        assert_eq!(cpu(r#"{"containers":[{}],"overhead":{"cpu":"1"}}"#), None);
    }
}
