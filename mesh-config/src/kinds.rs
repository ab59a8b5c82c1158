//! The resources that are understood: a file for each, and the table of their names and versions.

pub(crate) mod authorization_policy;
pub(crate) mod destination_rule;
pub(crate) mod envoy_filter;
pub(crate) mod gateway;
pub(crate) mod gateway_api;
pub(crate) mod health_check;
pub(crate) mod kubernetes;
pub(crate) mod peer_authentication;
pub(crate) mod proxy_config;
pub(crate) mod rate_limit;
pub(crate) mod request_authentication;
pub(crate) mod service_entry;
pub(crate) mod shared;
pub(crate) mod sidecar;
pub(crate) mod telemetry;
pub(crate) mod virtual_service;
pub(crate) mod workload_entry;
pub(crate) mod workload_group;

use crate::decode::{Cursor, Decode, Raw, Schema};
use crate::yaml::Node;

const NETWORKING: &str = "networking.istio.io";
const SECURITY: &str = "security.istio.io";
const TELEMETRY: &str = "telemetry.istio.io";
const EXTENSIONS: &str = "extensions.istio.io";
const GATEWAY_API: &str = "gateway.networking.k8s.io";
/// Kinds of our own, for what no Istio resource says.
const OWN: &str = "wattle.dev";

const V1: &[&str] = &["v1"];
const V1_AND_ALPHA1: &[&str] = &["v1", "v1alpha1"];
const V1_AND_BETAS: &[&str] = &["v1", "v1beta1", "v1alpha3"];
const V1_AND_BETA: &[&str] = &["v1", "v1beta1"];
const BETA: &[&str] = &["v1beta1"];
const ALPHA3: &[&str] = &["v1alpha3"];
const ALPHA1: &[&str] = &["v1alpha1"];
const ROUTES: &[&str] = &["v1", "v1beta1", "v1alpha3", "v1alpha2"];
const AUTOSCALING: &[&str] = &["v1", "v2", "v2beta2"];

/// Where the fields of a kind stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Under `spec`.
    Spec,
    /// Under `spec`, which must be there.
    NeededSpec,
    /// Beside `metadata`.
    Root,
}

macro_rules! kinds {
    ($( $variant:ident($ty:ty) = $group:expr, $versions:expr, $name:literal, $place:ident, $strict:literal; )*) => {
        /// A kind of resource.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Kind { $( $variant ),* }

        /// A resource's own fields.
        #[derive(Clone, Debug)]
        pub(crate) enum Spec { $( $variant(Box<$ty>) ),* }

        impl Kind {
            /// All kinds.
            pub(crate) const ALL: &[Self] = &[ $( Self::$variant ),* ];

            /// Gives the kind's name.
            pub(crate) const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name ),* }
            }

            /// Gives the kind's API group; empty for the core.
            pub(crate) const fn group(self) -> &'static str {
                match self { $( Self::$variant => $group ),* }
            }

            /// Gives the versions that are read.
            pub(crate) const fn versions(self) -> &'static [&'static str] {
                match self { $( Self::$variant => $versions ),* }
            }

            /// Says whether unknown fields are errors.
            pub(crate) const fn is_strict(self) -> bool {
                match self { $( Self::$variant => $strict ),* }
            }

            const fn place(self) -> Place {
                match self { $( Self::$variant => Place::$place ),* }
            }

            /// Describes the kind's fields.
            pub(crate) fn schema(self) -> Schema {
                match self { $( Self::$variant => <$ty as Decode>::schema() ),* }
            }

            fn decode_fields(self, node: &Node, cursor: &mut Cursor<'_>) -> Spec {
                match self { $(
                    Self::$variant => Spec::$variant(Box::new(<$ty as Decode>::decode(node, cursor).unwrap_or_default())),
                )* }
            }

            fn empty(self) -> Spec {
                match self { $( Self::$variant => Spec::$variant(Box::default()) ),* }
            }
        }

        impl Spec {
            /// Prints the fields as JSON.
            pub(crate) fn encode(&self) -> Option<serde_json::Value> {
                match self { $( Self::$variant(fields) => fields.encode() ),* }
            }
        }

        $( impl Fields for $ty {
            const KIND: Kind = Kind::$variant;

            fn of(spec: &Spec) -> Option<&Self> {
                match spec {
                    Spec::$variant(fields) => Some(fields),
                    _ => None,
                }
            }
        } )*
    };
}

/// The fields of one kind.
pub(crate) trait Fields: Sized {
    /// The kind.
    const KIND: Kind;

    /// Gives the fields when the resource is of this kind.
    fn of(spec: &Spec) -> Option<&Self>;
}

/// Fields of a kind that is read for its name only.
macro_rules! opaque {
    ($( $(#[$doc:meta])* $name:ident; )*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct $name(pub(crate) Raw);

        impl Decode for $name {
            fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
                Raw::decode(node, cursor).map(Self)
            }

            fn encode(&self) -> Option<serde_json::Value> {
                self.0.encode()
            }

            fn schema() -> Schema {
                Schema::Any
            }
        }
    )* };
}

opaque! {
    /// WasmPlugin: code for Envoy; reported, not applied.
    WasmPlugin;
    /// TrafficExtension: code for Envoy; reported, not applied.
    TrafficExtension;
    /// Namespace.
    NamespaceSpec;
    /// Node.
    NodeSpec;
    /// Secret: its values are never read, only which keys there are.
    Secret;
    /// ConfigMap.
    ConfigMap;
    /// Other workloads are read as Deployments; this is a Job.
    Job;
}

/// A Pod as a whole, with its status.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pod {
    pub(crate) spec: kubernetes::PodSpec,
    pub(crate) status: kubernetes::PodStatus,
}

impl Decode for Pod {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        let spec = node.get("spec").filter(|spec| !spec.is_null());
        let spec = spec.and_then(|spec| cursor.within("spec", |cursor| Decode::decode(spec, cursor)));
        let status = node.get("status").filter(|status| !status.is_null());
        let status = status.and_then(|status| cursor.within("status", |cursor| Decode::decode(status, cursor)));
        Some(Self { spec: spec.unwrap_or_default(), status: status.unwrap_or_default() })
    }

    fn encode(&self) -> Option<serde_json::Value> {
        let parts = [("spec", self.spec.encode()), ("status", self.status.encode())];
        let parts = parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?)));
        Some(serde_json::Value::Object(parts.collect()))
    }

    fn schema() -> Schema {
        kubernetes::PodSpec::schema()
    }
}

/// A workload controller of any of Kubernetes' three sorts.
macro_rules! workloads {
    ($($name:ident),*) => { $(
        #[doc = concat!("Kubernetes' `", stringify!($name), "`.")]
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct $name(pub(crate) kubernetes::DeploymentSpec);

        impl Decode for $name {
            fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
                Decode::decode(node, cursor).map(Self)
            }

            fn encode(&self) -> Option<serde_json::Value> {
                self.0.encode()
            }

            fn schema() -> Schema {
                kubernetes::DeploymentSpec::schema()
            }
        }
    )* };
}

workloads!(Deployment, StatefulSet, DaemonSet);

kinds! {
    VirtualService(virtual_service::VirtualService) = NETWORKING, V1_AND_BETAS, "VirtualService", Spec, true;
    DestinationRule(destination_rule::DestinationRule) = NETWORKING, V1_AND_BETAS, "DestinationRule", Spec, true;
    Gateway(gateway::Gateway) = NETWORKING, V1_AND_BETAS, "Gateway", Spec, true;
    ServiceEntry(service_entry::ServiceEntry) = NETWORKING, V1_AND_BETAS, "ServiceEntry", NeededSpec, true;
    Sidecar(sidecar::Sidecar) = NETWORKING, V1_AND_BETAS, "Sidecar", Spec, true;
    WorkloadEntry(workload_entry::WorkloadEntry) = NETWORKING, V1_AND_BETAS, "WorkloadEntry", NeededSpec, true;
    WorkloadGroup(workload_group::WorkloadGroup) = NETWORKING, V1_AND_BETAS, "WorkloadGroup", NeededSpec, true;
    ProxyConfig(proxy_config::ProxyConfig) = NETWORKING, BETA, "ProxyConfig", Spec, true;
    EnvoyFilter(envoy_filter::EnvoyFilter) = NETWORKING, ALPHA3, "EnvoyFilter", Spec, true;
    PeerAuthentication(peer_authentication::PeerAuthentication) = SECURITY, V1_AND_BETA, "PeerAuthentication", Spec, true;
    RequestAuthentication(request_authentication::RequestAuthentication) = SECURITY, V1_AND_BETA, "RequestAuthentication", Spec, true;
    AuthorizationPolicy(authorization_policy::AuthorizationPolicy) = SECURITY, V1_AND_BETA, "AuthorizationPolicy", Spec, true;
    Telemetry(telemetry::Telemetry) = TELEMETRY, V1_AND_ALPHA1, "Telemetry", Spec, true;
    WasmPlugin(WasmPlugin) = EXTENSIONS, ALPHA1, "WasmPlugin", Spec, false;
    TrafficExtension(TrafficExtension) = EXTENSIONS, ALPHA1, "TrafficExtension", Spec, false;
    Service(kubernetes::ServiceSpec) = "", V1, "Service", Spec, false;
    Pod(Pod) = "", V1, "Pod", Root, false;
    Namespace(NamespaceSpec) = "", V1, "Namespace", Spec, false;
    Node(NodeSpec) = "", V1, "Node", Spec, false;
    Secret(Secret) = "", V1, "Secret", Root, false;
    ConfigMap(ConfigMap) = "", V1, "ConfigMap", Root, false;
    EndpointSlice(kubernetes::EndpointSlice) = "discovery.k8s.io", V1_AND_BETA, "EndpointSlice", Root, false;
    Deployment(Deployment) = "apps", V1, "Deployment", Spec, false;
    StatefulSet(StatefulSet) = "apps", V1, "StatefulSet", Spec, false;
    DaemonSet(DaemonSet) = "apps", V1, "DaemonSet", Spec, false;
    Job(Job) = "batch", V1, "Job", Spec, false;
    Autoscaler(kubernetes::AutoscalerSpec) = "autoscaling", AUTOSCALING, "HorizontalPodAutoscaler", Spec, false;
    GatewayClass(gateway_api::GatewayClass) = GATEWAY_API, V1_AND_BETA, "GatewayClass", Spec, true;
    ApiGateway(gateway_api::Gateway) = GATEWAY_API, V1_AND_BETA, "Gateway", Spec, true;
    HttpRoute(gateway_api::HttpRoute) = GATEWAY_API, V1_AND_BETA, "HTTPRoute", Spec, true;
    GrpcRoute(gateway_api::GrpcRoute) = GATEWAY_API, ROUTES, "GRPCRoute", Spec, true;
    TlsRoute(gateway_api::TlsRoute) = GATEWAY_API, ROUTES, "TLSRoute", Spec, true;
    TcpRoute(gateway_api::TcpRoute) = GATEWAY_API, ROUTES, "TCPRoute", Spec, true;
    ReferenceGrant(gateway_api::ReferenceGrant) = GATEWAY_API, V1_AND_BETA, "ReferenceGrant", Spec, true;
    BackendTlsPolicy(gateway_api::BackendTlsPolicy) = GATEWAY_API, ROUTES, "BackendTLSPolicy", Spec, true;
    RateLimit(rate_limit::RateLimit) = OWN, ALPHA1, "RateLimit", NeededSpec, true;
    HealthCheck(health_check::HealthCheck) = OWN, ALPHA1, "HealthCheck", NeededSpec, true;
}

impl Kind {
    /// Finds a kind by group and name.
    pub(crate) fn find(group: &str, name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.group() == group && kind.name() == name)
    }

    /// Says whether a group belongs to the mesh, so that an unknown kind in it is a mistake.
    pub(crate) fn is_mesh_group(group: &str) -> bool {
        matches!(group, NETWORKING | SECURITY | TELEMETRY | EXTENSIONS | GATEWAY_API | OWN)
    }

    /// Says whether the kind is Istio's.
    pub(crate) fn is_istio(self) -> bool {
        self.group().ends_with(".istio.io")
    }

    /// Says whether the fields stand under `spec`, not beside `metadata`.
    pub(crate) fn is_under_spec(self) -> bool {
        self.place() != Place::Root
    }

    /// Reads the fields of a document of this kind.
    pub(crate) fn decode(self, root: &Node, cursor: &mut Cursor<'_>) -> Spec {
        if self.place() == Place::Root {
            return self.decode_fields(root, cursor);
        }
        match root.get("spec").filter(|spec| !spec.is_null()) {
            Some(spec) => cursor.within("spec", |cursor| self.decode_fields(spec, cursor)),
            None => {
                if self.place() == Place::NeededSpec {
                    cursor.missing("spec");
                }
                self.empty()
            }
        }
    }
}
