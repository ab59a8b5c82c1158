//! PeerAuthentication: whether mesh mTLS is demanded.

use std::collections::BTreeMap;

use super::shared::WorkloadSelector;
use crate::decode::{choices, message};

message! {
    /// Istio's `PeerAuthentication`.
    struct PeerAuthentication {
        selector: Option<WorkloadSelector> = "selector";
        mtls: Option<MutualTls> = "mtls";
        port_level_mtls: BTreeMap<String, MutualTls> = "portLevelMtls";
    }

    /// Istio's `PeerAuthentication.MutualTLS`.
    struct MutualTls {
        mode: MutualTlsMode = "mode";
    }
}

choices! {
    /// Istio's `PeerAuthentication.MutualTLS.Mode`.
    enum MutualTlsMode { Unset = "UNSET", Disable = "DISABLE", Permissive = "PERMISSIVE", Strict = "STRICT" }
}
