//! `ExtenderBindingArgs`: put this pod on this node.

use serde::Deserialize;

use super::Error;

/// The body of a bind call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BindArgs {
    /// Name of the pod.
    #[serde(alias = "podName", alias = "podname")]
    pub pod_name: String,
    /// Namespace of the pod.
    #[serde(alias = "podNamespace", alias = "podnamespace")]
    pub pod_namespace: String,
    /// Unique id of the pod.
    #[serde(rename = "PodUID", alias = "podUID", alias = "poduid")]
    pub pod_uid: String,
    /// The chosen node.
    #[serde(alias = "node")]
    pub node: String,
}

impl BindArgs {
    /// Reads a body.
    ///
    /// # Errors
    /// The body is not JSON or one of the four names is missing.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(body).map_err(|source| Error::Malformed { expected: "ExtenderBindingArgs", source })
    }
}
