//! What Istio keeps in its mesh configuration.

/// Settings of the mesh as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshSettings {
    /// DNS domain of the cluster: Services are `NAME.NAMESPACE.svc.DOMAIN`.
    pub domain: String,
    /// Namespace whose policies hold for the whole mesh.
    pub root_namespace: String,
    /// Trust domain of SPIFFE identities.
    pub trust_domain: String,
}

impl Default for MeshSettings {
    fn default() -> Self {
        Self {
            domain: "cluster.local".to_owned(),
            root_namespace: "istio-system".to_owned(),
            trust_domain: "cluster.local".to_owned(),
        }
    }
}
