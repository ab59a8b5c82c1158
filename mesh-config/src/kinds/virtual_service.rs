//! VirtualService: routes to the hosts that it names.

use std::collections::BTreeMap;

use crate::decode::{Time, choices, message};

message! {
    /// Istio's `VirtualService`.
    struct VirtualService {
        hosts: Vec<String> = "hosts";
        gateways: Vec<String> = "gateways";
        http: Vec<HttpRoute> = "http";
        tls: Vec<TlsRoute> = "tls";
        tcp: Vec<TcpRoute> = "tcp";
        export_to: Vec<String> = "exportTo";
    }

    /// Istio's `Destination`.
    struct Destination {
        host: String = "host" required;
        subset: String = "subset";
        port: Option<PortSelector> = "port";
    }

    /// Istio's `HTTPRoute`.
    struct HttpRoute {
        name: String = "name";
        matches: Vec<HttpMatchRequest> = "match";
        route: Vec<HttpRouteDestination> = "route";
        redirect: Option<HttpRedirect> = "redirect";
        direct_response: Option<HttpDirectResponse> = "directResponse";
        delegate: Option<Delegate> = "delegate";
        rewrite: Option<HttpRewrite> = "rewrite";
        timeout: Option<Time> = "timeout";
        retries: Option<HttpRetry> = "retries";
        fault: Option<HttpFaultInjection> = "fault";
        mirror: Option<Destination> = "mirror";
        mirrors: Vec<HttpMirrorPolicy> = "mirrors";
        mirror_percent: Option<u32> = "mirrorPercent" | "mirror_percent";
        mirror_percentage: Option<Percent> = "mirrorPercentage";
        cors_policy: Option<CorsPolicy> = "corsPolicy";
        headers: Option<Headers> = "headers";
    }

    /// Istio's `Delegate`.
    struct Delegate {
        name: String = "name";
        namespace: String = "namespace";
    }

    /// Istio's `Headers`.
    struct Headers {
        request: Option<HeaderOperations> = "request";
        response: Option<HeaderOperations> = "response";
    }

    /// Istio's `Headers.HeaderOperations`.
    struct HeaderOperations {
        set: BTreeMap<String, String> = "set";
        add: BTreeMap<String, String> = "add";
        remove: Vec<String> = "remove";
    }

    /// Istio's `TLSRoute`.
    struct TlsRoute {
        matches: Vec<TlsMatchAttributes> = "match" required;
        route: Vec<RouteDestination> = "route";
    }

    /// Istio's `TCPRoute`.
    struct TcpRoute {
        matches: Vec<L4MatchAttributes> = "match";
        route: Vec<RouteDestination> = "route";
    }

    /// Istio's `HTTPMatchRequest`.
    struct HttpMatchRequest {
        name: String = "name";
        uri: Option<StringMatch> = "uri";
        scheme: Option<StringMatch> = "scheme";
        method: Option<StringMatch> = "method";
        authority: Option<StringMatch> = "authority";
        headers: BTreeMap<String, StringMatch> = "headers";
        port: u32 = "port";
        source_labels: BTreeMap<String, String> = "sourceLabels";
        gateways: Vec<String> = "gateways";
        query_params: BTreeMap<String, StringMatch> = "queryParams";
        ignore_uri_case: bool = "ignoreUriCase";
        without_headers: BTreeMap<String, StringMatch> = "withoutHeaders";
        source_namespace: String = "sourceNamespace";
        stat_prefix: String = "statPrefix" unapplied "metrics carry the route name instead";
    }

    /// Istio's `HTTPRouteDestination`.
    struct HttpRouteDestination {
        destination: Option<Destination> = "destination" required;
        weight: i32 = "weight";
        headers: Option<Headers> = "headers";
    }

    /// Istio's `RouteDestination`.
    struct RouteDestination {
        destination: Option<Destination> = "destination" required;
        weight: i32 = "weight";
    }

    /// Istio's `L4MatchAttributes`.
    struct L4MatchAttributes {
        destination_subnets: Vec<String> = "destinationSubnets";
        port: u32 = "port";
        source_subnet: String = "sourceSubnet";
        source_labels: BTreeMap<String, String> = "sourceLabels";
        gateways: Vec<String> = "gateways";
        source_namespace: String = "sourceNamespace";
    }

    /// Istio's `TLSMatchAttributes`.
    struct TlsMatchAttributes {
        sni_hosts: Vec<String> = "sniHosts" required;
        destination_subnets: Vec<String> = "destinationSubnets";
        port: u32 = "port";
        source_labels: BTreeMap<String, String> = "sourceLabels";
        gateways: Vec<String> = "gateways";
        source_namespace: String = "sourceNamespace";
    }

    /// Istio's `HTTPRedirect`.
    struct HttpRedirect {
        uri: String = "uri";
        authority: String = "authority";
        port: Option<u32> = "port";
        derive_port: RedirectPortSelection = "derivePort";
        scheme: String = "scheme";
        redirect_code: u32 = "redirectCode";
        prefix_rewrite: String = "prefixRewrite";
    }
    one_of ["port", "derivePort"]

    /// Istio's `HTTPDirectResponse`.
    struct HttpDirectResponse {
        status: u32 = "status" required;
        body: Option<HttpBody> = "body";
    }

    /// Istio's `HTTPBody`.
    struct HttpBody {
        string: Option<String> = "string";
        bytes: Option<String> = "bytes";
    }
    one_of ["string", "bytes"]

    /// Istio's `HTTPRewrite`.
    struct HttpRewrite {
        uri: String = "uri";
        authority: String = "authority";
        uri_regex_rewrite: Option<RegexRewrite> = "uriRegexRewrite";
    }

    /// Istio's `RegexRewrite`.
    struct RegexRewrite {
        matches: String = "match";
        rewrite: String = "rewrite";
    }

    /// Istio's `StringMatch`.
    struct StringMatch {
        exact: Option<String> = "exact";
        prefix: Option<String> = "prefix";
        regex: Option<String> = "regex";
    }
    one_of ["exact", "prefix", "regex"]

    /// Istio's `HTTPRetry`.
    struct HttpRetry {
        attempts: i32 = "attempts";
        per_try_timeout: Option<Time> = "perTryTimeout";
        retry_on: String = "retryOn";
        retry_remote_localities: Option<bool> = "retryRemoteLocalities";
        retry_ignore_previous_hosts: Option<bool> = "retryIgnorePreviousHosts";
        backoff: Option<Time> = "backoff";
    }

    /// Istio's `CorsPolicy`.
    struct CorsPolicy {
        allow_origin: Vec<String> = "allowOrigin";
        allow_origins: Vec<StringMatch> = "allowOrigins";
        allow_methods: Vec<String> = "allowMethods";
        allow_headers: Vec<String> = "allowHeaders";
        expose_headers: Vec<String> = "exposeHeaders";
        max_age: Option<Time> = "maxAge";
        allow_credentials: Option<bool> = "allowCredentials";
        unmatched_preflights: UnmatchedPreflights = "unmatchedPreflights";
    }

    /// Istio's `HTTPFaultInjection`.
    struct HttpFaultInjection {
        delay: Option<FaultDelay> = "delay";
        abort: Option<FaultAbort> = "abort";
    }

    /// Istio's `HTTPFaultInjection.Delay`.
    struct FaultDelay {
        percent: i32 = "percent";
        fixed_delay: Option<Time> = "fixedDelay";
        exponential_delay: Option<Time> = "exponentialDelay" unapplied "hidden in Istio too: use fixedDelay";
        percentage: Option<Percent> = "percentage";
    }
    one_of ["fixedDelay", "exponentialDelay"]

    /// Istio's `HTTPFaultInjection.Abort`.
    struct FaultAbort {
        http_status: Option<i32> = "httpStatus";
        grpc_status: Option<String> = "grpcStatus";
        http2_error: Option<String> = "http2Error" unapplied "hidden in Istio too: use httpStatus or grpcStatus";
        percentage: Option<Percent> = "percentage";
    }
    one_of ["httpStatus", "grpcStatus", "http2Error"]

    /// Istio's `HTTPMirrorPolicy`.
    struct HttpMirrorPolicy {
        destination: Option<Destination> = "destination" required;
        percentage: Option<Percent> = "percentage";
    }

    /// Istio's `PortSelector`.
    struct PortSelector {
        number: u32 = "number";
    }

    /// Istio's `Percent`.
    struct Percent {
        value: f64 = "value";
    }
}

choices! {
    /// Istio's `HTTPRedirect.RedirectPortSelection`.
    enum RedirectPortSelection { FromProtocolDefault = "FROM_PROTOCOL_DEFAULT", FromRequestPort = "FROM_REQUEST_PORT" }

    /// Istio's `CorsPolicy.UnmatchedPreflights`.
    enum UnmatchedPreflights { Unspecified = "UNSPECIFIED", Forward = "FORWARD", Ignore = "IGNORE" }
}
