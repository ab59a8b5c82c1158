//! Nodes, at their kubelet.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;

use super::super::relabel::Labelled;
use super::meta::{address, put, put_metadata};

/// Kinds of addresses, the one that is taken first.
const PREFERRED: [&str; 5] = ["InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "Hostname"];

/// Gives the target of a node; none while it has no address.
pub(super) fn target(node: &Node) -> Option<Labelled> {
    let status = node.status.as_ref()?;
    let mut by_kind = BTreeMap::new();
    for found in status.addresses.iter().flatten() {
        by_kind.entry(found.type_.as_str()).or_insert(found.address.as_str());
    }
    let host = PREFERRED.iter().find_map(|kind| by_kind.get(kind))?;
    let endpoint = status.daemon_endpoints.as_ref().and_then(|endpoints| endpoints.kubelet_endpoint.as_ref());
    let mut labels = Labelled::new();
    labels.insert("__address__".to_owned(), address(host, endpoint.map_or(0, |endpoint| endpoint.port)));
    labels.insert("instance".to_owned(), node.name_any());
    put(&mut labels, "node_name", node.name_any());
    let provider = node.spec.as_ref().and_then(|spec| spec.provider_id.clone());
    put(&mut labels, "node_provider_id", provider.unwrap_or_default());
    put_metadata(&mut labels, "node", &node.metadata);
    for (kind, address) in by_kind {
        put(&mut labels, &format!("node_address_{kind}"), address);
    }
    Some(labels)
}
