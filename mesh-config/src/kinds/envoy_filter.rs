//! EnvoyFilter: patches to Envoy's own configuration; read, reported, not applied.

use std::collections::BTreeMap;

use super::shared::PolicyTargetReference;
use super::sidecar::WorkloadSelector;
use crate::decode::{Raw, choices, message};

message! {
    /// Istio's `EnvoyFilter`.
    struct EnvoyFilter {
        workload_selector: Option<WorkloadSelector> = "workloadSelector" unapplied "the proxy is not Envoy";
        target_refs: Vec<PolicyTargetReference> = "targetRefs" unapplied "the proxy is not Envoy";
        config_patches: Vec<EnvoyFilterEnvoyConfigObjectPatch> = "configPatches" unapplied "the proxy is not Envoy";
        priority: i32 = "priority" unapplied "the proxy is not Envoy";
    }

    /// Istio's `EnvoyFilter.ProxyMatch`.
    struct EnvoyFilterProxyMatch {
        proxy_version: String = "proxyVersion";
        metadata: BTreeMap<String, String> = "metadata";
    }

    /// Istio's `EnvoyFilter.ClusterMatch`.
    struct EnvoyFilterClusterMatch {
        port_number: u32 = "portNumber";
        service: String = "service";
        subset: String = "subset";
        name: String = "name";
    }

    /// Istio's `EnvoyFilter.RouteConfigurationMatch`.
    struct EnvoyFilterRouteConfigurationMatch {
        port_number: u32 = "portNumber";
        port_name: String = "portName";
        gateway: String = "gateway";
        vhost: Option<EnvoyFilterRouteConfigurationMatchVirtualHostMatch> = "vhost";
        name: String = "name";
    }

    /// Istio's `EnvoyFilter.RouteConfigurationMatch.RouteMatch`.
    struct EnvoyFilterRouteConfigurationMatchRouteMatch {
        name: String = "name";
        action: EnvoyFilterRouteConfigurationMatchRouteMatchAction = "action";
    }

    /// Istio's `EnvoyFilter.RouteConfigurationMatch.VirtualHostMatch`.
    struct EnvoyFilterRouteConfigurationMatchVirtualHostMatch {
        name: String = "name";
        domain_name: String = "domainName";
        route: Option<EnvoyFilterRouteConfigurationMatchRouteMatch> = "route";
    }

    /// Istio's `EnvoyFilter.ListenerMatch`.
    struct EnvoyFilterListenerMatch {
        port_number: u32 = "portNumber";
        port_name: String = "portName";
        filter_chain: Option<EnvoyFilterListenerMatchFilterChainMatch> = "filterChain";
        listener_filter: String = "listenerFilter";
        name: String = "name";
    }

    /// Istio's `EnvoyFilter.ListenerMatch.FilterChainMatch`.
    struct EnvoyFilterListenerMatchFilterChainMatch {
        name: String = "name";
        sni: String = "sni";
        transport_protocol: String = "transportProtocol";
        application_protocols: String = "applicationProtocols";
        filter: Option<EnvoyFilterListenerMatchFilterMatch> = "filter";
        destination_port: u32 = "destinationPort";
    }

    /// Istio's `EnvoyFilter.ListenerMatch.FilterMatch`.
    struct EnvoyFilterListenerMatchFilterMatch {
        name: String = "name";
        sub_filter: Option<EnvoyFilterListenerMatchSubFilterMatch> = "subFilter";
    }

    /// Istio's `EnvoyFilter.ListenerMatch.SubFilterMatch`.
    struct EnvoyFilterListenerMatchSubFilterMatch {
        name: String = "name";
    }

    /// Istio's `EnvoyFilter.WaypointMatch`.
    struct EnvoyFilterWaypointMatch {
        port_number: u32 = "portNumber";
        route: Option<EnvoyFilterWaypointMatchRouteMatch> = "route";
        filter: Option<EnvoyFilterWaypointMatchFilterMatch> = "filter";
    }

    /// Istio's `EnvoyFilter.WaypointMatch.RouteMatch`.
    struct EnvoyFilterWaypointMatchRouteMatch {
        name: String = "name";
    }

    /// Istio's `EnvoyFilter.WaypointMatch.FilterMatch`.
    struct EnvoyFilterWaypointMatchFilterMatch {
        name: String = "name";
        sub_filter: Option<EnvoyFilterWaypointMatchFilterMatchSubFilterMatch> = "subFilter";
    }

    /// Istio's `EnvoyFilter.WaypointMatch.FilterMatch.SubFilterMatch`.
    struct EnvoyFilterWaypointMatchFilterMatchSubFilterMatch {
        name: String = "name";
    }

    /// Istio's `EnvoyFilter.Patch`.
    struct EnvoyFilterPatch {
        operation: EnvoyFilterPatchOperation = "operation";
        value: Raw = "value";
        filter_class: EnvoyFilterPatchFilterClass = "filterClass";
    }

    /// Istio's `EnvoyFilter.EnvoyConfigObjectMatch`.
    struct EnvoyFilterEnvoyConfigObjectMatch {
        context: EnvoyFilterPatchContext = "context";
        proxy: Option<EnvoyFilterProxyMatch> = "proxy";
        listener: Option<EnvoyFilterListenerMatch> = "listener";
        route_configuration: Option<EnvoyFilterRouteConfigurationMatch> = "routeConfiguration";
        cluster: Option<EnvoyFilterClusterMatch> = "cluster";
        waypoint: Option<EnvoyFilterWaypointMatch> = "waypoint";
    }
    one_of ["listener", "routeConfiguration", "cluster", "waypoint"]

    /// Istio's `EnvoyFilter.EnvoyConfigObjectPatch`.
    struct EnvoyFilterEnvoyConfigObjectPatch {
        apply_to: EnvoyFilterApplyTo = "applyTo";
        matches: Option<EnvoyFilterEnvoyConfigObjectMatch> = "match";
        patch: Option<EnvoyFilterPatch> = "patch";
    }
}

choices! {
    /// Istio's `EnvoyFilter.ApplyTo`.
    enum EnvoyFilterApplyTo { Invalid = "INVALID", Listener = "LISTENER", FilterChain = "FILTER_CHAIN", NetworkFilter = "NETWORK_FILTER", HttpFilter = "HTTP_FILTER", RouteConfiguration = "ROUTE_CONFIGURATION", VirtualHost = "VIRTUAL_HOST", HttpRoute = "HTTP_ROUTE", Cluster = "CLUSTER", ExtensionConfig = "EXTENSION_CONFIG", Bootstrap = "BOOTSTRAP", ListenerFilter = "LISTENER_FILTER" }

    /// Istio's `EnvoyFilter.PatchContext`.
    enum EnvoyFilterPatchContext { Any = "ANY", SidecarInbound = "SIDECAR_INBOUND", SidecarOutbound = "SIDECAR_OUTBOUND", Gateway = "GATEWAY", Waypoint = "WAYPOINT" }

    /// Istio's `EnvoyFilter.RouteConfigurationMatch.RouteMatch.Action`.
    enum EnvoyFilterRouteConfigurationMatchRouteMatchAction { Any = "ANY", Route = "ROUTE", Redirect = "REDIRECT", DirectResponse = "DIRECT_RESPONSE" }

    /// Istio's `EnvoyFilter.Patch.Operation`.
    enum EnvoyFilterPatchOperation { Invalid = "INVALID", Merge = "MERGE", Add = "ADD", Remove = "REMOVE", InsertBefore = "INSERT_BEFORE", InsertAfter = "INSERT_AFTER", InsertFirst = "INSERT_FIRST", Replace = "REPLACE", MergeAndReplaceList = "MERGE_AND_REPLACE_LIST" }

    /// Istio's `EnvoyFilter.Patch.FilterClass`.
    enum EnvoyFilterPatchFilterClass { Unspecified = "UNSPECIFIED", Authn = "AUTHN", Authz = "AUTHZ", Stats = "STATS" }
}
