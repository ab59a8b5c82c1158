//! ProxyConfig: settings of the proxy process.

use std::collections::BTreeMap;

use super::shared::WorkloadSelector;
use crate::decode::message;

message! {
    /// Istio's `ProxyConfig`.
    struct ProxyConfig {
        selector: Option<WorkloadSelector> = "selector" unapplied "set the proxy's own settings instead";
        concurrency: Option<i32> = "concurrency" unapplied "set the proxy's own settings instead";
        environment_variables: BTreeMap<String, String> = "environmentVariables" unapplied "set the proxy's own settings instead";
        image: Option<ProxyImage> = "image" unapplied "set the proxy's own settings instead";
    }

    /// Istio's `ProxyImage`.
    struct ProxyImage {
        image_type: String = "imageType";
    }
}
