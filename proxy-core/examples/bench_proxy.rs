//! A proxy over one upstream, for `bench/proxy/run`: the tables are made here, everything else is the data plane as it is.
//!
//!     bench_proxy MODE LISTEN UPSTREAM [LOG] [ROUTES] [THREADS]
//!
//! MODE is h1, h2h1, h2h2 or mesh; mesh has ROUTES routes with a split, tries, timeouts, a policy, trace ids and a JSON log.

#![expect(clippy::print_stderr, reason = "a program of the bench: it says where its admin is")]

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wattle_contract::route::{
    Action, AuthorizationPolicy, Balancer, ClientTls, Cluster, Condition, Discovery, DomainMatch, GatewayListener,
    HeaderMatch, HeaderOperations, HttpMatch, Limits, LocalityPolicy, Operation, PathMatch, PolicyAction, Protocol,
    RetryOn, RetryPolicy, Route, RouteSource, Rule, StringMatch, UpstreamProtocol, Values, VirtualHost,
    WeightedCluster,
};
use wattle_contract::{Endpoint, EndpointAddress, Health, Locality, ProxyMode, RouteTable, WorkloadIdentity};
use wattle_proxy::{AccessLogTarget, Config, Listeners, Proxy, Workload};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [mode, listen, upstream, rest @ ..] = words.as_slice() else {
        eprintln!("usage: bench_proxy MODE LISTEN UPSTREAM [LOG] [ROUTES] [THREADS]");
        return ExitCode::from(2);
    };
    let (Ok(listen), Ok(upstream)) = (listen.parse(), upstream.parse()) else {
        eprintln!("LISTEN and UPSTREAM are addresses such as 127.0.0.1:8080");
        return ExitCode::from(2);
    };
    let number = |at: usize, default| rest.get(at).and_then(|word| word.parse().ok()).unwrap_or(default);
    let (routes, threads) = (number(1, 100), number(2, 1));
    let log = rest.first().filter(|log| !log.is_empty());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(table(mode, routes, upstream), listen, log.cloned(), threads));
    ExitCode::SUCCESS
}

async fn run(table: RouteTable, listen: SocketAddr, log: Option<String>, threads: usize) {
    let port = || TcpListener::bind("127.0.0.1:0");
    let listeners =
        Listeners { admin: port().await.expect("a port"), metrics: port().await.expect("a port"), health: None };
    let access_log = match log {
        Some(path) => AccessLogTarget::Writer(Box::new(std::fs::File::create(path).expect("a log"))),
        None => AccessLogTarget::Off,
    };
    eprintln!("admin {}", listeners.admin.local_addr().expect("bound"));
    let config = Config { threads, access_log, ..Config::default() };
    let stop = CancellationToken::new();
    let proxy = Proxy::start(config, listeners, &Registry::new(), stop.clone()).await.expect("starts");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("set");
    socket.set_reuseport(true).expect("set");
    socket.bind(listen).expect("LISTEN is free");
    let gateway = wattle_proxy::GatewayListener { port: 80, listener: socket.listen(4096).expect("listens") };
    let (_sender, table) = watch::channel(Arc::new(table));
    let identity = WorkloadIdentity {
        mode: ProxyMode::Gateway,
        namespace: "bench".into(),
        workload: "bench".into(),
        pod: String::new(),
        node: None,
        service_account: String::new(),
        labels: std::collections::BTreeMap::new(),
        cluster: "bench".to_owned(),
        trust_domain: "cluster.local".to_owned(),
    };
    let _handle = proxy.add(Workload { identity, table, outbound: None, inbound: Vec::new(), gateway: vec![gateway] });
    tokio::signal::ctrl_c().await.expect("signals");
    stop.cancel();
    proxy.join().await;
}

fn table(mode: &str, routes: usize, upstream: SocketAddr) -> RouteTable {
    let protocol = if mode == "h2h2" { UpstreamProtocol::Http2 } else { UpstreamProtocol::Http1 };
    let mut clusters = vec![cluster("up", upstream, protocol)];
    let mut rules = Vec::new();
    let mut policies = Vec::new();
    if mode == "mesh" {
        for n in 0..routes {
            let (one, two) = (format!("s{n:03}v1"), format!("s{n:03}v2"));
            rules.push(mesh_route(n, &one, &two));
            clusters.extend([one, two].map(|name| cluster(&name, upstream, protocol)));
        }
        policies = vec![policy()];
    }
    rules.push(route("rest".to_owned(), Vec::new(), vec![("up", 1)]));
    let host =
        VirtualHost { name: "all".to_owned(), domains: vec![DomainMatch::Any], routes: rules, https_redirect: false };
    RouteTable {
        version: "bench".to_owned(),
        gateways: vec![GatewayListener {
            name: "bench".to_owned(),
            bind: None,
            port: 80,
            protocol: Protocol::Http,
            tls: Vec::new(),
            hosts: vec![Arc::new(host)],
            l4: Vec::new(),
            health_check: None,
        }],
        clusters: clusters.into_iter().map(|cluster| (cluster.name.clone(), Arc::new(cluster))).collect(),
        policies,
        ..RouteTable::default()
    }
}

fn mesh_route(n: usize, one: &str, two: &str) -> Route {
    let headers =
        vec![HeaderMatch { name: "x-env".to_owned(), value: StringMatch::Exact("prod".to_owned()), invert: false }];
    let matches =
        vec![HttpMatch { path: Some(PathMatch::Prefix(format!("/svc{n:03}/"))), headers, ..HttpMatch::default() }];
    let mut route = route(format!("r{n:03}"), matches, vec![(one, 90), (two, 10)]);
    route.timeout = Some(Duration::from_secs(15));
    let on = RetryOn {
        connect_failure: true,
        refused_stream: true,
        grpc: [1, 14].into(),
        statuses: [503].into(),
        ..RetryOn::default()
    };
    route.retries = Some(RetryPolicy {
        attempts: 2,
        per_try_timeout: Some(Duration::from_secs(5)),
        on,
        backoff: Duration::from_millis(25),
        ignore_previous_hosts: true,
        remote_localities: false,
    });
    route
}

/// Everybody may everything but `/admin`, which wants a role.
fn policy() -> AuthorizationPolicy {
    let paths = |prefix: &str| Operation {
        paths: Values { any_of: vec![StringMatch::Prefix(prefix.to_owned())], none_of: Vec::new() },
        ..Operation::default()
    };
    let role = Values { any_of: vec![StringMatch::Exact("admin".to_owned())], none_of: Vec::new() };
    AuthorizationPolicy {
        name: "bench/roles".to_owned(),
        action: PolicyAction::Allow,
        rules: vec![
            Rule {
                to: vec![paths("/admin")],
                when: vec![Condition { key: "request.headers[x-role]".to_owned(), values: role }],
                ..Rule::default()
            },
            Rule { to: vec![paths("/")], ..Rule::default() },
        ],
        dry_run: false,
    }
}

fn route(name: String, matches: Vec<HttpMatch>, to: Vec<(&str, u32)>) -> Route {
    let to = to.into_iter().map(|(cluster, weight)| WeightedCluster {
        cluster: cluster.into(),
        weight,
        request_headers: HeaderOperations::default(),
        response_headers: HeaderOperations::default(),
    });
    Route {
        name,
        source: RouteSource::default(),
        matches,
        action: Action::Forward(to.collect()),
        rewrite: None,
        timeout: None,
        retries: None,
        fault: None,
        mirrors: Vec::new(),
        cors: None,
        rate_limits: Vec::new(),
        request_headers: HeaderOperations::default(),
        response_headers: HeaderOperations::default(),
    }
}

fn cluster(name: &str, upstream: SocketAddr, protocol: UpstreamProtocol) -> Cluster {
    let endpoint = Endpoint {
        address: EndpointAddress::Socket(upstream),
        labels: std::collections::BTreeMap::new(),
        workload: None,
        node: None,
        locality: Locality::default(),
        weight: 1,
        health: Health::Healthy,
        service_account: String::new(),
        mesh_tls: false,
    };
    Cluster {
        service: format!("{name}.bench.svc.cluster.local").as_str().into(),
        name: name.into(),
        namespace: "bench".to_owned(),
        port: 80,
        subset: String::new(),
        external: false,
        discovery: Discovery::Static,
        endpoints: vec![endpoint],
        balancer: Balancer::LeastRequest,
        locality: LocalityPolicy::default(),
        warmup: None,
        protocol,
        tls: ClientTls::Disable,
        limits: Limits::default(),
        retry_budget: None,
        outlier: None,
        health_check: None,
        connect_timeout: Duration::from_secs(2),
        keepalive: None,
        proxy_protocol: None,
    }
}
