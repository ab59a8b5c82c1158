//! DestinationRule: subsets of a host and how traffic to it is carried.

use std::collections::BTreeMap;

use super::shared::WorkloadSelector;
use super::virtual_service::PortSelector;
use crate::decode::{Time, choices, message};

message! {
    /// Istio's `DestinationRule`.
    struct DestinationRule {
        host: String = "host" required;
        traffic_policy: Option<TrafficPolicy> = "trafficPolicy";
        subsets: Vec<Subset> = "subsets";
        export_to: Vec<String> = "exportTo";
        workload_selector: Option<WorkloadSelector> = "workloadSelector";
    }

    /// Istio's `TrafficPolicy`.
    struct TrafficPolicy {
        load_balancer: Option<LoadBalancer> = "loadBalancer";
        connection_pool: Option<ConnectionPool> = "connectionPool";
        outlier_detection: Option<OutlierDetection> = "outlierDetection";
        tls: Option<ClientTlsSettings> = "tls";
        port_level_settings: Vec<PortTrafficPolicy> = "portLevelSettings";
        tunnel: Option<TunnelSettings> = "tunnel" unapplied "no tunnel is opened: point a ServiceEntry at the proxy instead";
        proxy_protocol: Option<ProxyProtocol> = "proxyProtocol";
        retry_budget: Option<RetryBudget> = "retryBudget";
    }

    /// Istio's `TrafficPolicy.PortTrafficPolicy`.
    struct PortTrafficPolicy {
        port: Option<PortSelector> = "port";
        load_balancer: Option<LoadBalancer> = "loadBalancer";
        connection_pool: Option<ConnectionPool> = "connectionPool";
        outlier_detection: Option<OutlierDetection> = "outlierDetection";
        tls: Option<ClientTlsSettings> = "tls";
    }

    /// Istio's `TrafficPolicy.TunnelSettings`.
    struct TunnelSettings {
        protocol: String = "protocol" unapplied "no tunnel is opened";
        target_host: String = "targetHost" unapplied "no tunnel is opened";
        target_port: u32 = "targetPort" unapplied "no tunnel is opened";
    }

    /// Istio's `TrafficPolicy.ProxyProtocol`.
    struct ProxyProtocol {
        version: ProxyProtocolVersion = "version";
    }

    /// Istio's `TrafficPolicy.RetryBudget`.
    struct RetryBudget {
        percent: Option<f64> = "percent";
        min_retry_concurrency: u32 = "minRetryConcurrency";
        budget_interval: Option<Time> = "budgetInterval";
    }

    /// Istio's `Subset`.
    struct Subset {
        name: String = "name" required;
        labels: BTreeMap<String, String> = "labels";
        traffic_policy: Option<TrafficPolicy> = "trafficPolicy";
    }

    /// Istio's `LoadBalancerSettings`.
    struct LoadBalancer {
        simple: SimpleLb = "simple";
        consistent_hash: Option<ConsistentHash> = "consistentHash";
        locality_lb_setting: Option<LocalityLoadBalancerSetting> = "localityLbSetting";
        zone_aware_lb_setting: Option<ZoneAwareLoadBalancerSetting> = "zoneAwareLbSetting" unapplied "use localityLbSetting";
        warmup_duration_secs: Option<Time> = "warmupDurationSecs";
        warmup: Option<WarmupConfiguration> = "warmup";
    }
    one_of ["simple", "consistentHash"]

    /// Istio's `LoadBalancerSettings.ConsistentHashLB`.
    struct ConsistentHash {
        http_header_name: Option<String> = "httpHeaderName";
        http_cookie: Option<HttpCookie> = "httpCookie";
        use_source_ip: Option<bool> = "useSourceIp";
        http_query_parameter_name: Option<String> = "httpQueryParameterName";
        ring_hash: Option<RingHash> = "ringHash";
        maglev: Option<MagLev> = "maglev";
        minimum_ring_size: u64 = "minimumRingSize";
    }
    one_of ["httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"]
    one_of ["ringHash", "maglev"]

    /// Istio's `LoadBalancerSettings.ConsistentHashLB.RingHash`.
    struct RingHash {
        minimum_ring_size: u64 = "minimumRingSize";
    }

    /// Istio's `LoadBalancerSettings.ConsistentHashLB.MagLev`.
    struct MagLev {
        table_size: u64 = "tableSize";
    }

    /// Istio's `LoadBalancerSettings.ConsistentHashLB.HTTPCookie`.
    struct HttpCookie {
        name: String = "name" required;
        path: String = "path";
        ttl: Option<Time> = "ttl";
        attributes: Vec<CookieAttribute> = "attributes";
    }

    /// Istio's `LoadBalancerSettings.ConsistentHashLB.HTTPCookie.Attribute`.
    struct CookieAttribute {
        name: String = "name" required;
        value: String = "value";
    }

    /// Istio's `WarmupConfiguration`.
    struct WarmupConfiguration {
        duration: Option<Time> = "duration" required;
        minimum_percent: Option<f64> = "minimumPercent";
        aggression: Option<f64> = "aggression";
    }

    /// Istio's `ConnectionPoolSettings`.
    struct ConnectionPool {
        tcp: Option<TcpSettings> = "tcp";
        http: Option<HttpSettings> = "http";
    }

    /// Istio's `ConnectionPoolSettings.TCPSettings`.
    struct TcpSettings {
        max_connections: i32 = "maxConnections";
        connect_timeout: Option<Time> = "connectTimeout";
        tcp_keepalive: Option<TcpKeepalive> = "tcpKeepalive";
        max_connection_duration: Option<Time> = "maxConnectionDuration";
        idle_timeout: Option<Time> = "idleTimeout";
    }

    /// Istio's `ConnectionPoolSettings.TCPSettings.TcpKeepalive`.
    struct TcpKeepalive {
        probes: u32 = "probes";
        time: Option<Time> = "time";
        interval: Option<Time> = "interval";
    }

    /// Istio's `ConnectionPoolSettings.HTTPSettings`.
    struct HttpSettings {
        http1_max_pending_requests: i32 = "http1MaxPendingRequests";
        http2_max_requests: i32 = "http2MaxRequests";
        max_requests_per_connection: i32 = "maxRequestsPerConnection";
        max_retries: i32 = "maxRetries";
        idle_timeout: Option<Time> = "idleTimeout";
        h2_upgrade_policy: H2UpgradePolicy = "h2UpgradePolicy";
        use_client_protocol: bool = "useClientProtocol";
        max_concurrent_streams: i32 = "maxConcurrentStreams";
        http2_keep_alive: Option<ConnectionKeepalive> = "http2KeepAlive" unapplied "the kernel's tcpKeepalive finds dead peers";
    }

    /// Istio's `ConnectionPoolSettings.HTTPSettings.ConnectionKeepalive`.
    struct ConnectionKeepalive {
        interval: Option<Time> = "interval" unapplied "the kernel's tcpKeepalive finds dead peers";
        timeout: Option<Time> = "timeout" unapplied "the kernel's tcpKeepalive finds dead peers";
    }

    /// Istio's `OutlierDetection`.
    struct OutlierDetection {
        consecutive_errors: i32 = "consecutiveErrors" unapplied "ignored by istiod too: use consecutive5xxErrors or consecutiveGatewayErrors";
        split_external_local_origin_errors: bool = "splitExternalLocalOriginErrors";
        consecutive_local_origin_failures: Option<u32> = "consecutiveLocalOriginFailures";
        consecutive_gateway_errors: Option<u32> = "consecutiveGatewayErrors";
        consecutive5xx_errors: Option<u32> = "consecutive5xxErrors";
        interval: Option<Time> = "interval";
        base_ejection_time: Option<Time> = "baseEjectionTime";
        max_ejection_percent: i32 = "maxEjectionPercent";
        min_health_percent: i32 = "minHealthPercent";
        outlier_detection_http_error_codes: Vec<u32> = "outlierDetectionHttpErrorCodes";
    }

    /// Istio's `ClientTLSSettings`.
    struct ClientTlsSettings {
        mode: ClientTlsMode = "mode";
        client_certificate: String = "clientCertificate";
        private_key: String = "privateKey";
        ca_certificates: String = "caCertificates";
        credential_name: String = "credentialName";
        subject_alt_names: Vec<String> = "subjectAltNames";
        sni: String = "sni";
        insecure_skip_verify: Option<bool> = "insecureSkipVerify";
        ca_crl: String = "caCrl";
    }

    /// Istio's `LocalityLoadBalancerSetting`.
    struct LocalityLoadBalancerSetting {
        distribute: Vec<Distribute> = "distribute";
        failover: Vec<Failover> = "failover";
        failover_priority: Vec<String> = "failoverPriority";
        enabled: Option<bool> = "enabled";
    }

    /// Istio's `LocalityLoadBalancerSetting.Distribute`.
    struct Distribute {
        from: String = "from";
        to: BTreeMap<String, u32> = "to";
    }

    /// Istio's `LocalityLoadBalancerSetting.Failover`.
    struct Failover {
        from: String = "from";
        to: String = "to";
    }

    /// Istio's `ZoneAwareLoadBalancerSetting`.
    struct ZoneAwareLoadBalancerSetting {
        enabled: Option<bool> = "enabled" unapplied "use localityLbSetting";
        failover: Vec<ZoneFailover> = "failover" unapplied "use localityLbSetting";
        failover_priority: Vec<String> = "failoverPriority" unapplied "use localityLbSetting";
        min_cluster_size: Option<u64> = "minClusterSize" unapplied "use localityLbSetting";
    }

    /// Istio's `ZoneAwareLoadBalancerSetting.Failover`.
    struct ZoneFailover {
        from: String = "from" unapplied "use localityLbSetting";
        to: String = "to" unapplied "use localityLbSetting";
    }
}

choices! {
    /// Istio's `TrafficPolicy.ProxyProtocol.VERSION`.
    enum ProxyProtocolVersion { V1 = "V1", V2 = "V2" }

    /// Istio's `LoadBalancerSettings.SimpleLB`.
    enum SimpleLb { Unspecified = "UNSPECIFIED", LeastConn = "LEAST_CONN", Random = "RANDOM", Passthrough = "PASSTHROUGH", RoundRobin = "ROUND_ROBIN", LeastRequest = "LEAST_REQUEST" }

    /// Istio's `ConnectionPoolSettings.HTTPSettings.H2UpgradePolicy`.
    enum H2UpgradePolicy { Default = "DEFAULT", DoNotUpgrade = "DO_NOT_UPGRADE", Upgrade = "UPGRADE" }

    /// Istio's `ClientTLSSettings.TLSmode`.
    enum ClientTlsMode { Disable = "DISABLE", Simple = "SIMPLE", Mutual = "MUTUAL", IstioMutual = "ISTIO_MUTUAL" }
}
