//! The `__meta_kubernetes_…` labels that several roles share.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;
use kube::core::ObjectMeta;

use super::super::relabel::Labelled;

/// Puts a label, unless it has no value.
pub(super) fn put(labels: &mut Labelled, name: &str, value: impl Into<String>) {
    let value = value.into();
    if !value.is_empty() {
        labels.insert(format!("__meta_kubernetes_{name}"), value);
    }
}

/// Puts an object's labels and annotations; each also as present, because it may be empty.
pub(super) fn put_metadata(labels: &mut Labelled, kind: &str, metadata: &ObjectMeta) {
    for (word, of) in [("label", &metadata.labels), ("annotation", &metadata.annotations)] {
        for (name, value) in of.iter().flatten() {
            let name = sanitized(name);
            put(labels, &format!("{kind}_{word}_{name}"), value.clone());
            put(labels, &format!("{kind}_{word}present_{name}"), "true");
        }
    }
}

/// Gives a name that may be part of a label's name.
fn sanitized(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

/// Gives host and port as they are written in an address.
pub(super) fn address(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Services and pods by namespace and name, for the roles that join them.
pub(super) struct Around {
    pub(super) services: BTreeMap<(String, String), Arc<Service>>,
    pub(super) pods: BTreeMap<(String, String), Arc<Pod>>,
}

impl Around {
    pub(super) fn of(services: &[Arc<Service>], pods: &[Arc<Pod>]) -> Self {
        Self { services: by_name(services), pods: by_name(pods) }
    }
}

fn by_name<K: ResourceExt>(objects: &[Arc<K>]) -> BTreeMap<(String, String), Arc<K>> {
    objects.iter().map(|object| ((object.namespace().unwrap_or_default(), object.name_any()), object.clone())).collect()
}
