//! RateLimit, a kind of our own: how many requests a proxy lets through. Istio has no resource for it but EnvoyFilter.

use std::collections::BTreeMap;

use super::shared::WorkloadSelector;
use super::virtual_service::StringMatch;
use crate::decode::{Time, message};

message! {
    /// Our own `RateLimit`.
    struct RateLimit {
        selector: Option<WorkloadSelector> = "selector";
        target_refs: Vec<LimitTarget> = "targetRefs";
        rules: Vec<LimitRule> = "rules" required;
    }

    /// A rule set or Gateway of the same namespace.
    struct LimitTarget {
        group: String = "group";
        kind: String = "kind" required;
        name: String = "name" required;
        section_name: String = "sectionName";
    }

    /// One limit.
    struct LimitRule {
        name: String = "name";
        matches: Vec<LimitMatch> = "match";
        per: Vec<String> = "per";
        requests: u32 = "requests" required;
        interval: Option<Time> = "interval" required;
        burst: u32 = "burst";
        max_buckets: u32 = "maxBuckets";
        status: u32 = "status";
        dry_run: bool = "dryRun";
    }

    /// Conditions on a request, written as in a VirtualService.
    struct LimitMatch {
        uri: Option<StringMatch> = "uri";
        ignore_uri_case: bool = "ignoreUriCase";
        method: Option<StringMatch> = "method";
        authority: Option<StringMatch> = "authority";
        headers: BTreeMap<String, StringMatch> = "headers";
        without_headers: BTreeMap<String, StringMatch> = "withoutHeaders";
        query_params: BTreeMap<String, StringMatch> = "queryParams";
    }
}
