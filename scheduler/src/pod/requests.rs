//! What a pod asks for in all, summed as kube-scheduler sums it ([`pod_total`]).

use std::collections::BTreeMap;

use wattle_contract::{Bytes, Millicores, Rounded, parse_quantity, pod_total};

use super::Ignored;
use super::json::{QuantityText, SpecJson};

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

    let containers: Vec<_> = spec.containers.iter().map(|container| asked(&container.resources.requests)).collect();
    let init: Vec<_> = spec
        .init_containers
        .iter()
        .map(|container| (asked(&container.resources.requests), container.restart_policy.as_deref() == Some("Always")))
        .collect();
    let of_pod = spec.resources.as_ref().and_then(|resources| asked(&resources.requests));
    pod_total(containers, init, of_pod, asked(&spec.overhead))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(spec: &str) -> Option<f64> {
        let spec: SpecJson<'_> = serde_json::from_str(spec).expect("a pod's spec");
        sum(&spec, &mut Vec::new()).cpu.map(f64::from)
    }

    #[test]
    fn every_part_that_asks_is_counted() {
        let asks = |cpu: &str| format!(r#"{{"resources":{{"requests":{{"cpu":"{cpu}"}}}}}}"#);
        let sidecar = r#"{"resources":{"requests":{"cpu":"200m"}},"restartPolicy":"Always"}"#;
        let with = |more: &str| cpu(&format!(r#"{{"containers":[{}]{more}}}"#, asks("1")));

        assert_eq!(with(&format!(r#","initContainers":[{sidecar},{}]"#, asks("2"))), Some(2200.0));
        assert_eq!(with(r#","overhead":{"cpu":"100m"}"#), Some(1100.0));
        assert_eq!(with(r#","resources":{"requests":{"cpu":"4"}}"#), Some(4000.0));
        assert_eq!(cpu(r#"{"containers":[{}],"overhead":{"cpu":"1"}}"#), None);
    }
}
