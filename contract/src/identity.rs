//! Who a proxy speaks for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Namespace, NodeName, WorkloadName};

/// The workload whose traffic a proxy carries: decides which resources apply to it and labels its telemetry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadIdentity {
    /// Sidecar or gateway.
    pub mode: ProxyMode,
    /// Namespace of the pod.
    pub namespace: Namespace,
    /// What owns the pod (`source_workload`, `destination_workload`).
    pub workload: WorkloadName,
    /// The pod's name; empty outside Kubernetes.
    pub pod: String,
    /// The node the pod runs on, where known.
    pub node: Option<NodeName>,
    /// Service account, for the SPIFFE identity.
    pub service_account: String,
    /// The pod's labels (`app`, `version`, selectors).
    pub labels: BTreeMap<String, String>,
    /// Name of the Kubernetes cluster (`source_cluster`, `destination_cluster`).
    pub cluster: String,
    /// Trust domain of the SPIFFE identity.
    pub trust_domain: String,
}

impl WorkloadIdentity {
    /// Gives the canonical service name as Istio derives it: two labels, then `app`, then the workload.
    #[must_use]
    pub fn canonical_service(&self) -> &str {
        ["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"]
            .iter()
            .find_map(|label| self.labels.get(*label))
            .map_or(self.workload.as_str(), String::as_str)
    }

    /// Gives the canonical revision as Istio derives it: two labels, then `version`, then `latest`.
    #[must_use]
    pub fn canonical_revision(&self) -> &str {
        ["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"]
            .iter()
            .find_map(|label| self.labels.get(*label))
            .map_or("latest", String::as_str)
    }

    /// Gives the principal without the scheme: `trust-domain/ns/NAMESPACE/sa/ACCOUNT`.
    #[must_use]
    pub fn principal(&self) -> String {
        format!("{}/ns/{}/sa/{}", self.trust_domain, self.namespace, self.service_account)
    }
}

/// How a proxy is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyMode {
    /// Beside one workload: the resources of gateway `mesh` apply.
    Sidecar,
    /// At the edge: the resources bound to Gateway servers apply.
    Gateway,
}
