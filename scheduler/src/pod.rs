//! From a Kubernetes Pod, as it travels in a request, to a [`PodRequest`].
//!
//! Only what a placement needs is decoded. What cannot be used (an absurd annotation, an unreadable quantity) is left
//! out and reported beside the request, never guessed.

mod hints;
mod json;
mod owner;
mod requests;

use wattle_contract::{PodKey, PodRequest, ServiceName};

pub use hints::{OBJECTIVE, SLO_P95_MS, WEIGHT_ENERGY, WEIGHT_LATENCY};
pub use wattle_contract::{Rounded, parse_quantity};

use json::PodJson;

/// A pod that was read, and what of it could not be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The pod.
    pub request: PodRequest,
    /// The parts that were left out.
    pub ignored: Vec<Ignored>,
}

/// A part of a pod that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Which part: an annotation's name or a resource's.
    pub what: &'static str,
    /// Its text, shortened.
    pub value: String,
}

impl Ignored {
    fn new(what: &'static str, value: &str) -> Self {
        Self { what, value: value.chars().take(64).collect() }
    }
}

/// Longest name that Kubernetes allows anything to have (RFC 1123 subdomain). Units: bytes.
pub const LONGEST_NAME: usize = 253;

/// Reads a Pod object.
///
/// # Errors
/// The text is not a Pod: not an object, or one of the fields that are read has another type.
pub fn read(pod: &str, cluster_domain: &str) -> Result<Reading, serde_json::Error> {
    if !pod.trim_start().starts_with('{') {
        return Err(serde::de::Error::custom("expected a Pod object"));
    }
    let pod: PodJson<'_> = serde_json::from_str(pod)?;
    let names = [&pod.metadata.name, &pod.metadata.namespace, &pod.metadata.uid];
    if names.iter().any(|name| name.len() > LONGEST_NAME) {
        return Err(serde::de::Error::custom("a name of the pod is longer than any that Kubernetes allows"));
    }
    let mut ignored = Vec::new();
    let hints = hints::read(&pod.metadata.annotations, &mut ignored);
    let requests = requests::sum(&pod.spec, &mut ignored);
    let namespace = if pod.metadata.namespace.is_empty() { "default" } else { &pod.metadata.namespace };
    let service =
        owner::service(&pod.metadata).map(|name| ServiceName::from(format!("{name}.{namespace}.svc.{cluster_domain}")));
    let request = PodRequest {
        pod: PodKey::new(namespace, &pod.metadata.name),
        uid: pod.metadata.uid.to_string(),
        workload: owner::workload(&pod.metadata).filter(|name| name.as_str().len() <= LONGEST_NAME),
        service,
        cpu_request_millicores: requests.cpu,
        memory_request_bytes: requests.memory,
        objective: hints.objective,
        slo_p95_ms: hints.slo_p95_ms,
        weight_energy: hints.weight_energy,
        weight_latency: hints.weight_latency,
    };
    Ok(Reading { request, ignored })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattle_contract::{Bytes, Millicores, Objective};

    const POD: &str = r#"{
        "metadata": {
            "name": "search-7d9c5b8f4d-x2x4z", "namespace": "hotel", "uid": "u-1",
            "labels": {"app": "search", "pod-template-hash": "7d9c5b8f4d"},
            "annotations": {"wattle.dev/objective": "energy", "wattle.dev/slo-p95-ms": "25", "wattle.dev/weight-energy": "-3"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "search-7d9c5b8f4d", "controller": true}]
        },
        "spec": {
            "containers": [
                {"name": "a", "resources": {"requests": {"cpu": "250m", "memory": "64Mi"}}},
                {"name": "b", "resources": {"requests": {"cpu": "1.5"}}},
                {"name": "c"}
            ],
            "overhead": {"cpu": "50m"}
        }
    }"#;

    #[test]
    fn a_pod_is_read_with_its_owner_service_requests_and_wishes() {
        let reading = read(POD, "cluster.local").expect("a pod");

        let pod = reading.request;
        assert_eq!(pod.pod.to_string(), "hotel/search-7d9c5b8f4d-x2x4z");
        assert_eq!(pod.workload, Some("search".into()));
        assert_eq!(pod.service, Some("search.hotel.svc.cluster.local".into()));
        assert_eq!(pod.cpu_request_millicores, Millicores::new(1800.0));
        assert_eq!(pod.memory_request_bytes, Some(Bytes(64 << 20)));
        assert_eq!(pod.objective, Objective::Energy);
        assert_eq!(pod.slo_p95_ms.map(f64::from), Some(25.0));
        assert_eq!(pod.weight_energy, None);
        assert_eq!(reading.ignored, [Ignored { what: WEIGHT_ENERGY, value: "-3".to_owned() }]);
    }

    #[test]
    fn a_pod_without_requests_labels_or_owner_is_read_as_unknown() {
        let pod = read(r#"{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","resources":{}}]}}"#, "x")
            .expect("a pod")
            .request;

        assert_eq!(pod.pod, PodKey::new("default", "p"));
        assert_eq!((pod.workload, pod.service), (None, None));
        assert_eq!((pod.cpu_request_millicores, pod.memory_request_bytes), (None, None));
        assert_eq!(pod.objective, Objective::Balanced);
    }

    #[test]
    fn what_is_not_a_pod_is_an_error() {
        for text in ["null", "[]", "3", r#"{"metadata":{"name":7}}"#, r#"{"spec":{"containers":{}}}"#] {
            assert!(read(text, "cluster.local").is_err(), "{text}");
        }
    }
}
