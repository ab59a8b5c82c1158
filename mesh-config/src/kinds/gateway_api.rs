//! The Kubernetes Gateway API, standard channel and the experimental fields that Istio translates.

use std::collections::BTreeMap;

use crate::decode::{Raw, Time, message};

message! {
    /// GatewayClass: who serves the Gateways of a class.
    struct GatewayClass {
        controller_name: String = "controllerName" required;
        parameters_ref: Option<Raw> = "parametersRef" unapplied "classes have no parameters here";
        description: String = "description";
    }

    /// Gateway: ports at the edge.
    struct Gateway {
        gateway_class_name: String = "gatewayClassName" required;
        listeners: Vec<Listener> = "listeners" required;
        addresses: Vec<GatewayAddress> = "addresses";
        infrastructure: Option<Raw> = "infrastructure" unapplied "no infrastructure is created";
        allowed_listeners: Option<Raw> = "allowedListeners" unapplied "ListenerSets are not read";
        tls: Option<GatewayTls> = "tls";
        default_scope: String = "defaultScope" unapplied "routes name their Gateways";
    }

    /// TLS of all listeners.
    struct GatewayTls {
        backend: Option<Raw> = "backend" unapplied "use a DestinationRule with tls.mode MUTUAL";
        frontend: Option<Frontend> = "frontend";
    }

    /// How clients are checked.
    struct Frontend {
        default: Option<FrontendDefault> = "default";
        per_port: Vec<Raw> = "perPort" unapplied "the default holds for every port";
    }

    /// How clients are checked on every port.
    struct FrontendDefault {
        validation: Option<FrontendValidation> = "validation";
    }

    /// Certificates that clients must have.
    struct FrontendValidation {
        ca_certificate_refs: Vec<Reference> = "caCertificateRefs";
        mode: String = "mode";
    }

    /// An address of a Gateway.
    struct GatewayAddress {
        kind: String = "type";
        value: String = "value";
    }

    /// A port of a Gateway.
    struct Listener {
        name: String = "name" required;
        hostname: String = "hostname";
        port: u32 = "port" required;
        protocol: String = "protocol" required;
        tls: Option<ListenerTls> = "tls";
        allowed_routes: Option<AllowedRoutes> = "allowedRoutes";
    }

    /// TLS of a listener.
    struct ListenerTls {
        mode: String = "mode";
        certificate_refs: Vec<Reference> = "certificateRefs";
        frontend_validation: Option<Raw> = "frontendValidation" unapplied "client certificates are not asked for by Gateway API listeners";
        options: BTreeMap<String, String> = "options";
    }

    /// Who may attach routes to a listener.
    struct AllowedRoutes {
        namespaces: Option<RouteNamespaces> = "namespaces";
        kinds: Vec<RouteGroupKind> = "kinds";
    }

    /// From which namespaces.
    struct RouteNamespaces {
        from: String = "from";
        selector: Option<NamespaceSelector> = "selector";
    }

    /// Labels of namespaces.
    struct NamespaceSelector {
        match_labels: BTreeMap<String, String> = "matchLabels";
        match_expressions: Vec<MatchExpression> = "matchExpressions";
    }

    /// One condition on labels.
    struct MatchExpression {
        key: String = "key" required;
        operator: String = "operator" required;
        values: Vec<String> = "values";
    }

    /// A kind of route.
    struct RouteGroupKind {
        group: Option<String> = "group";
        kind: String = "kind" required;
    }

    /// A reference to an object, with defaults that depend on where it stands.
    struct Reference {
        group: Option<String> = "group";
        kind: String = "kind";
        name: String = "name" required;
        namespace: String = "namespace";
        section_name: String = "sectionName";
        port: u32 = "port";
    }

    /// HTTPRoute.
    struct HttpRoute {
        parent_refs: Vec<Reference> = "parentRefs";
        hostnames: Vec<String> = "hostnames";
        rules: Vec<HttpRule> = "rules";
        use_default_gateways: String = "useDefaultGateways" unapplied "routes name their Gateways";
    }

    /// A rule of an HTTPRoute.
    struct HttpRule {
        name: String = "name";
        matches: Vec<HttpMatch> = "matches";
        filters: Vec<Filter> = "filters";
        backend_refs: Vec<BackendRef> = "backendRefs";
        timeouts: Option<Timeouts> = "timeouts";
        retry: Option<Retry> = "retry";
        session_persistence: Option<Raw> = "sessionPersistence" unapplied "use a DestinationRule with consistentHash";
    }

    /// Conditions on an HTTP request.
    struct HttpMatch {
        path: Option<PathMatch> = "path";
        headers: Vec<NamedMatch> = "headers";
        query_params: Vec<NamedMatch> = "queryParams";
        method: String = "method";
    }

    /// A condition on the path.
    struct PathMatch {
        kind: String = "type";
        value: Option<String> = "value";
    }

    /// A condition on a header or query parameter.
    struct NamedMatch {
        kind: String = "type";
        name: String = "name" required;
        value: String = "value" required;
    }

    /// A change to the request or response.
    struct Filter {
        kind: String = "type" required;
        request_header_modifier: Option<HeaderModifier> = "requestHeaderModifier";
        response_header_modifier: Option<HeaderModifier> = "responseHeaderModifier";
        request_mirror: Option<MirrorFilter> = "requestMirror";
        request_redirect: Option<RedirectFilter> = "requestRedirect";
        url_rewrite: Option<RewriteFilter> = "urlRewrite";
        cors: Option<CorsFilter> = "cors";
        external_auth: Option<ExternalAuth> = "externalAuth" unapplied "use an AuthorizationPolicy with action CUSTOM";
        extension_ref: Option<Reference> = "extensionRef";
    }

    /// Changes to headers.
    struct HeaderModifier {
        set: Vec<NamedValue> = "set";
        add: Vec<NamedValue> = "add";
        remove: Vec<String> = "remove";
    }

    /// A header.
    struct NamedValue {
        name: String = "name" required;
        value: String = "value" required;
    }

    /// A copy of the request.
    struct MirrorFilter {
        backend_ref: Option<Reference> = "backendRef" required;
        percent: Option<i32> = "percent";
        fraction: Option<Fraction> = "fraction";
    }
    one_of ["percent", "fraction"]

    /// A share.
    struct Fraction {
        numerator: i32 = "numerator" required;
        denominator: Option<i32> = "denominator";
    }

    /// A redirect.
    struct RedirectFilter {
        scheme: String = "scheme";
        hostname: String = "hostname";
        path: Option<PathModifier> = "path";
        port: u32 = "port";
        status_code: u32 = "statusCode";
    }

    /// A rewrite.
    struct RewriteFilter {
        hostname: String = "hostname";
        path: Option<PathModifier> = "path";
    }

    /// A change to the path.
    struct PathModifier {
        kind: String = "type" required;
        replace_full_path: Option<String> = "replaceFullPath";
        replace_prefix_match: Option<String> = "replacePrefixMatch";
    }
    one_of ["replaceFullPath", "replacePrefixMatch"]

    /// Cross-origin policy.
    struct CorsFilter {
        allow_origins: Vec<String> = "allowOrigins";
        allow_credentials: Option<bool> = "allowCredentials";
        allow_methods: Vec<String> = "allowMethods";
        allow_headers: Vec<String> = "allowHeaders";
        expose_headers: Vec<String> = "exposeHeaders";
        max_age: u32 = "maxAge";
    }

    /// A question to another server.
    struct ExternalAuth {
        protocol: String = "protocol" required;
        backend_ref: Option<Reference> = "backendRef";
        grpc: Option<Raw> = "grpc";
        http: Option<ExternalAuthHttp> = "http";
        forward_body: Option<Raw> = "forwardBody";
    }

    /// The question as HTTP.
    struct ExternalAuthHttp {
        path: String = "path";
        allowed_headers: Vec<String> = "allowedHeaders";
        allowed_response_headers: Vec<String> = "allowedResponseHeaders";
    }

    /// A destination.
    struct BackendRef {
        group: Option<String> = "group";
        kind: Option<String> = "kind";
        name: String = "name" required;
        namespace: String = "namespace";
        port: u32 = "port";
        weight: Option<i32> = "weight";
        filters: Vec<Filter> = "filters";
    }

    /// Bounds of a rule.
    struct Timeouts {
        request: Option<Time> = "request";
        backend_request: Option<Time> = "backendRequest";
    }

    /// Further tries.
    struct Retry {
        codes: Vec<u32> = "codes";
        attempts: Option<i32> = "attempts";
        backoff: Option<Time> = "backoff";
    }

    /// GRPCRoute.
    struct GrpcRoute {
        parent_refs: Vec<Reference> = "parentRefs";
        hostnames: Vec<String> = "hostnames";
        rules: Vec<GrpcRule> = "rules";
        use_default_gateways: String = "useDefaultGateways" unapplied "routes name their Gateways";
    }

    /// A rule of a GRPCRoute.
    struct GrpcRule {
        name: String = "name";
        matches: Vec<GrpcMatch> = "matches";
        filters: Vec<Filter> = "filters";
        backend_refs: Vec<BackendRef> = "backendRefs";
        session_persistence: Option<Raw> = "sessionPersistence" unapplied "use a DestinationRule with consistentHash";
    }

    /// Conditions on a call.
    struct GrpcMatch {
        method: Option<GrpcMethod> = "method";
        headers: Vec<NamedMatch> = "headers";
    }

    /// A condition on service and method.
    struct GrpcMethod {
        kind: String = "type";
        service: String = "service";
        method: String = "method";
    }

    /// TLSRoute.
    struct TlsRoute {
        parent_refs: Vec<Reference> = "parentRefs";
        hostnames: Vec<String> = "hostnames";
        rules: Vec<L4Rule> = "rules" required;
        use_default_gateways: String = "useDefaultGateways" unapplied "routes name their Gateways";
    }

    /// TCPRoute.
    struct TcpRoute {
        parent_refs: Vec<Reference> = "parentRefs";
        rules: Vec<L4Rule> = "rules" required;
        use_default_gateways: String = "useDefaultGateways" unapplied "routes name their Gateways";
    }

    /// A rule of a TLSRoute or TCPRoute.
    struct L4Rule {
        name: String = "name";
        backend_refs: Vec<BackendRef> = "backendRefs";
    }

    /// ReferenceGrant: which objects of other namespaces may refer to which here.
    struct ReferenceGrant {
        from: Vec<GrantFrom> = "from" required;
        to: Vec<GrantTo> = "to" required;
    }

    /// Who may refer.
    struct GrantFrom {
        group: String = "group";
        kind: String = "kind" required;
        namespace: String = "namespace" required;
    }

    /// To what.
    struct GrantTo {
        group: String = "group";
        kind: String = "kind" required;
        name: String = "name";
    }

    /// BackendTLSPolicy: TLS towards a backend.
    struct BackendTlsPolicy {
        target_refs: Vec<Reference> = "targetRefs" required;
        validation: Option<BackendValidation> = "validation" required;
        options: BTreeMap<String, String> = "options";
    }

    /// How the backend is checked.
    struct BackendValidation {
        ca_certificate_refs: Vec<Reference> = "caCertificateRefs" unapplied "the system's certificates are trusted: use a DestinationRule with caCertificates for others";
        well_known_ca_certificates: String = "wellKnownCACertificates";
        hostname: String = "hostname" required;
        subject_alt_names: Vec<SubjectAltName> = "subjectAltNames";
    }

    /// A name in a certificate.
    struct SubjectAltName {
        kind: String = "type" required;
        hostname: String = "hostname";
        uri: String = "uri";
    }
}
