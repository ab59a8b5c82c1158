//! Selectors that several kinds share.

use std::collections::BTreeMap;

use crate::decode::message;

message! {
    /// Istio's `WorkloadSelector`.
    struct WorkloadSelector {
        match_labels: BTreeMap<String, String> = "matchLabels";
    }

    /// Istio's `PolicyTargetReference`.
    struct PolicyTargetReference {
        group: String = "group";
        kind: String = "kind" required;
        name: String = "name" required;
        namespace: String = "namespace";
    }
}
