//! Rules of a traffic policy and its blocks.

use super::check::Check;
use crate::finding::rules;
use crate::kinds::destination_rule::{
    ClientTlsMode, ClientTlsSettings, ConnectionPool, ConsistentHash, H2UpgradePolicy, LoadBalancer,
    LocalityLoadBalancerSetting, OutlierDetection, SimpleLb, TrafficPolicy,
};

/// Envoy's bound on a Maglev table.
const MAX_MAGLEV: u64 = 5_000_011;

/// Checks a policy.
pub(super) fn check(policy: &TrafficPolicy, path: &str, check: &mut Check<'_>) {
    if *policy == TrafficPolicy::default() {
        check.error(path, "traffic policy must have at least one field");
    }
    blocks(
        path,
        (
            policy.load_balancer.as_ref(),
            policy.connection_pool.as_ref(),
            policy.outlier_detection.as_ref(),
            policy.tls.as_ref(),
        ),
        check,
    );
    if policy.tunnel.is_some() && policy.proxy_protocol.is_some() {
        check.error(path, "tunnel and proxyProtocol cannot be used together");
    }
    if let Some(tunnel) = &policy.tunnel {
        if !matches!(tunnel.protocol.as_str(), "" | "CONNECT" | "POST") {
            check.error(
                format!("{path}.tunnel.protocol"),
                format!("Invalid value: {:?}: use CONNECT or POST", tunnel.protocol),
            );
        }
        if tunnel.target_host.is_empty() {
            check.error(format!("{path}.tunnel.targetHost"), "Required value");
        }
        check.port(format!("{path}.tunnel.targetPort"), tunnel.target_port);
    }
    if let Some(percent) = policy.retry_budget.as_ref().and_then(|budget| budget.percent) {
        check.percent(format!("{path}.retryBudget.percent"), percent);
    }
    for (index, settings) in policy.port_level_settings.iter().enumerate() {
        let path = format!("{path}.portLevelSettings[{index}]");
        match &settings.port {
            None => check.error(format!("{path}.port"), "Required value: portLevelSettings must have port"),
            Some(port) => check.port(format!("{path}.port.number"), port.number),
        }
        let (balancer, pool) = (settings.load_balancer.as_ref(), settings.connection_pool.as_ref());
        blocks(&path, (balancer, pool, settings.outlier_detection.as_ref(), settings.tls.as_ref()), check);
    }
}

type Blocks<'a> =
    (Option<&'a LoadBalancer>, Option<&'a ConnectionPool>, Option<&'a OutlierDetection>, Option<&'a ClientTlsSettings>);

fn blocks(path: &str, (balancer, pool, outlier, tls): Blocks<'_>, check: &mut Check<'_>) {
    if let Some(balancer) = balancer {
        load_balancer(balancer, &format!("{path}.loadBalancer"), check);
    }
    if let Some(pool) = pool {
        connection_pool(pool, &format!("{path}.connectionPool"), check);
    }
    if let Some(outlier) = outlier {
        outlier_detection(outlier, &format!("{path}.outlierDetection"), check);
    }
    if let Some(tls) = tls {
        client_tls(tls, &format!("{path}.tls"), check);
    }
}

fn load_balancer(balancer: &LoadBalancer, path: &str, check: &mut Check<'_>) {
    if balancer.simple == SimpleLb::LeastConn {
        let rule = rules::DEPRECATED_VALUE;
        check.warn(rule, format!("{path}.simple"), "LEAST_CONN is an old name of LEAST_REQUEST", "write LEAST_REQUEST");
    }
    if let Some(hash) = &balancer.consistent_hash {
        consistent_hash(hash, &format!("{path}.consistentHash"), check);
    }
    if balancer.locality_lb_setting.is_some() && balancer.zone_aware_lb_setting.is_some() {
        check.error(path, "only one of localityLbSetting or zoneAwareLbSetting can be set");
    }
    if let Some(locality) = &balancer.locality_lb_setting {
        locality_settings(locality, &format!("{path}.localityLbSetting"), check);
    }
    let weighted = matches!(
        balancer.simple,
        SimpleLb::Absent | SimpleLb::Unspecified | SimpleLb::RoundRobin | SimpleLb::LeastRequest | SimpleLb::LeastConn
    );
    if (balancer.warmup.is_some() || balancer.warmup_duration_secs.is_some())
        && !(weighted && balancer.consistent_hash.is_none())
    {
        check.advise(path, "warmup has an effect with ROUND_ROBIN and LEAST_REQUEST only");
    }
    if balancer.warmup_duration_secs.is_some() {
        let at = format!("{path}.warmupDurationSecs");
        check.warn(rules::DEPRECATED_FIELD, at, "warmupDurationSecs is deprecated", "use warmup");
    }
    if let Some(warmup) = &balancer.warmup {
        check.positive_time(format!("{path}.warmup.duration"), warmup.duration);
        if let Some(percent) = warmup.minimum_percent
            && !(0.0..=100.0).contains(&percent)
        {
            check.error(
                format!("{path}.warmup.minimumPercent"),
                format!("Invalid value: {percent}: in body should be in 0..100"),
            );
        }
        if let Some(aggression) = warmup.aggression
            && aggression < 0.0
        {
            let message = format!("Invalid value: {aggression}: in body should be greater than or equal to 0");
            check.error(format!("{path}.warmup.aggression"), message);
        }
    }
}

fn consistent_hash(hash: &ConsistentHash, path: &str, check: &mut Check<'_>) {
    let keys = [
        hash.http_header_name.is_some(),
        hash.http_cookie.is_some(),
        hash.use_source_ip.is_some(),
        hash.http_query_parameter_name.is_some(),
    ];
    if !keys.contains(&true) {
        check.error_with(
            path,
            "a consistent hash needs a key",
            "set httpHeaderName, httpCookie, useSourceIp or httpQueryParameterName",
        );
    }
    for (field, name) in
        [("httpHeaderName", &hash.http_header_name), ("httpQueryParameterName", &hash.http_query_parameter_name)]
    {
        if name.as_ref().is_some_and(String::is_empty) {
            check.error(format!("{path}.{field}"), "Invalid value: it must not be empty");
        }
    }
    if hash.minimum_ring_size != 0 {
        let at = format!("{path}.minimumRingSize");
        check.warn(rules::DEPRECATED_FIELD, at, "minimumRingSize is deprecated here", "use ringHash.minimumRingSize");
    }
    if let Some(size) = hash.maglev.as_ref().map(|maglev| maglev.table_size).filter(|size| *size != 0) {
        if size >= MAX_MAGLEV {
            check.error(
                format!("{path}.maglev.tableSize"),
                format!("Invalid value: {size}: must be less than {MAX_MAGLEV}"),
            );
        } else if !is_prime(size) {
            check.error(format!("{path}.maglev.tableSize"), format!("Invalid value: {size}: must be a prime number"));
        }
    }
}

fn is_prime(number: u64) -> bool {
    number > 1 && (2..).take_while(|divisor| divisor * divisor <= number).all(|divisor| !number.is_multiple_of(divisor))
}

fn locality_settings(settings: &LocalityLoadBalancerSetting, path: &str, check: &mut Check<'_>) {
    let given = [!settings.distribute.is_empty(), !settings.failover.is_empty()];
    if given == [true, true] {
        check.error(path, "can not simultaneously specify 'distribute' and 'failover'");
    }
    for (index, share) in settings.distribute.iter().enumerate() {
        let at = format!("{path}.distribute[{index}]");
        let total: u64 = share.to.values().map(|weight| u64::from(*weight)).sum();
        if total != 100 {
            check.error(format!("{at}.to"), format!("total locality weight {total} != 100"));
        }
        if share.to.values().any(|weight| *weight == 0) {
            check.error(format!("{at}.to"), "locality weight must not be 0");
        }
        if settings.distribute[..index]
            .iter()
            .any(|other| covers(&other.from, &share.from) || covers(&share.from, &other.from))
        {
            check.error(format!("{at}.from"), format!("locality {:?} overlaps another", share.from));
        }
        if share.from.is_empty() || share.from.split('/').count() > 3 {
            check.error(format!("{at}.from"), format!("Invalid value: {:?}: use region/zone/sub-zone", share.from));
        }
    }
    for (index, failover) in settings.failover.iter().enumerate() {
        let at = format!("{path}.failover[{index}]");
        if failover.from == failover.to {
            check.error(
                &at,
                format!("locality lb failover settings must specify different regions, both are {:?}", failover.from),
            );
        }
        for (field, region) in [("from", &failover.from), ("to", &failover.to)] {
            if region.contains('/') || region.contains('*') {
                check.error(format!("{at}.{field}"), format!("Invalid value: {region:?}: failover is between regions"));
            }
        }
    }
}

fn covers(pattern: &str, locality: &str) -> bool {
    pattern == locality || pattern.strip_suffix('*').is_some_and(|prefix| locality.starts_with(prefix))
}

fn connection_pool(pool: &ConnectionPool, path: &str, check: &mut Check<'_>) {
    if pool.tcp.is_none() && pool.http.is_none() {
        check.error(path, "must have tcp or http");
    }
    if let Some(tcp) = &pool.tcp {
        check.natural(format!("{path}.tcp.maxConnections"), tcp.max_connections);
        check.positive_time(format!("{path}.tcp.connectTimeout"), tcp.connect_timeout);
        check.positive_time(format!("{path}.tcp.maxConnectionDuration"), tcp.max_connection_duration);
        if let Some(keepalive) = &tcp.tcp_keepalive {
            check.positive_time(format!("{path}.tcp.tcpKeepalive.time"), keepalive.time);
            check.positive_time(format!("{path}.tcp.tcpKeepalive.interval"), keepalive.interval);
        }
    }
    let Some(http) = &pool.http else { return };
    let numbers = [
        ("http1MaxPendingRequests", http.http1_max_pending_requests),
        ("http2MaxRequests", http.http2_max_requests),
        ("maxRequestsPerConnection", http.max_requests_per_connection),
        ("maxRetries", http.max_retries),
        ("maxConcurrentStreams", http.max_concurrent_streams),
    ];
    for (field, number) in numbers {
        check.natural(format!("{path}.http.{field}"), number);
    }
    check.millisecond(format!("{path}.http.idleTimeout"), http.idle_timeout);
    if http.use_client_protocol && http.h2_upgrade_policy == H2UpgradePolicy::Upgrade {
        check.error(format!("{path}.http"), "use client protocol must not be true when H2UpgradePolicy is UPGRADE");
    }
    if let Some(keepalive) = &http.http2_keep_alive
        && (keepalive.interval.is_none() || keepalive.timeout.is_none())
    {
        check.error(format!("{path}.http.http2KeepAlive"), "http2KeepAlive needs interval and timeout");
    }
}

fn outlier_detection(outlier: &OutlierDetection, path: &str, check: &mut Check<'_>) {
    check.positive_time(format!("{path}.interval"), outlier.interval);
    check.positive_time(format!("{path}.baseEjectionTime"), outlier.base_ejection_time);
    check.percent(format!("{path}.maxEjectionPercent"), f64::from(outlier.max_ejection_percent));
    check.percent(format!("{path}.minHealthPercent"), f64::from(outlier.min_health_percent));
    for (index, code) in outlier.outlier_detection_http_error_codes.iter().enumerate() {
        if !(100..=599).contains(code) {
            check.error(
                format!("{path}.outlierDetectionHttpErrorCodes[{index}]"),
                format!("Invalid value: {code} is no HTTP status"),
            );
        }
    }
    if outlier.consecutive_errors != 0 {
        let message = format!(
            "consecutiveErrors is deprecated and not translated: {} consecutive 5xx count",
            outlier.consecutive5xx_errors.unwrap_or(5)
        );
        let remedy = "use consecutive5xxErrors, or consecutiveGatewayErrors for 502, 503 and 504 only";
        check.warn(rules::DEPRECATED_FIELD, format!("{path}.consecutiveErrors"), message, remedy);
    }
    if !outlier.split_external_local_origin_errors
        && outlier.consecutive_local_origin_failures.is_some_and(|count| count > 0)
    {
        let at = format!("{path}.consecutiveLocalOriginFailures");
        check.error(at, "outlier detection consecutive local origin failures is specified, but split external local origin errors is set to false");
    }
}

fn client_tls(tls: &ClientTlsSettings, path: &str, check: &mut Check<'_>) {
    let own = !tls.client_certificate.is_empty() || !tls.private_key.is_empty();
    if tls.insecure_skip_verify.unwrap_or(false)
        && tls.mode != ClientTlsMode::Simple
        && tls.mode != ClientTlsMode::Mutual
    {
        check.advise(format!("{path}.insecureSkipVerify"), "it has an effect with SIMPLE and MUTUAL only");
    }
    if !tls.credential_name.is_empty() && !matches!(tls.mode, ClientTlsMode::Simple | ClientTlsMode::Mutual) {
        check.advise(format!("{path}.credentialName"), "credentialName has an effect with SIMPLE and MUTUAL only");
    }
    if !tls.credential_name.is_empty() && matches!(tls.mode, ClientTlsMode::Simple | ClientTlsMode::Mutual) {
        let message = "the certificates to trust in the Secret are not read: the system's are trusted";
        check.warn(rules::NOT_APPLIED, format!("{path}.credentialName"), message, "name a file with caCertificates");
    }
    match tls.mode {
        ClientTlsMode::Mutual if tls.credential_name.is_empty() => {
            if tls.client_certificate.is_empty() {
                check.error(format!("{path}.clientCertificate"), "client certificate required for mutual tls");
            }
            if tls.private_key.is_empty() {
                check.error(format!("{path}.privateKey"), "private key required for mutual tls");
            }
        }
        ClientTlsMode::Mutual | ClientTlsMode::Simple
            if !tls.credential_name.is_empty() && (own || !tls.ca_certificates.is_empty()) =>
        {
            let message = "cannot specify client certificates or CA certificate if credentialName is set";
            if tls.mode == ClientTlsMode::Mutual { check.error(path, message) } else { check.advise(path, message) }
        }
        ClientTlsMode::IstioMutual if own || !tls.ca_certificates.is_empty() || !tls.credential_name.is_empty() => {
            check.advise(path, "ISTIO_MUTUAL uses the workload's own certificate: the others have no effect");
        }
        _ => {}
    }
}
