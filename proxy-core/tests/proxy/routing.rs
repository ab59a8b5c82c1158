//! Which upstream a request reaches, and how it looks there.

use std::sync::Arc;

use http::Request;
use wattle_contract::route::{
    Action, Cors, DirectResponse, DomainMatch, HeaderMatch, HeaderOperations, HttpMatch, Mirror, PathMatch,
    PercentMillionths, Redirect, RedirectPort, Rewrite, StringMatch, UpstreamProtocol, VirtualHost,
};

use crate::kit::{Behaviour, Bench, Upstream, ask, get, series};
use crate::table::{HOST, cluster, everything, prefix, route, table, to, weighted};

#[tokio::test]
async fn a_request_is_routed_by_its_host_and_reported_with_istios_labels() {
    let upstream = Upstream::start(Behaviour::Answer(200)).await;
    let bench = Bench::start(table("1", vec![everything("svc")], vec![cluster("svc", &[upstream.address])])).await;

    let got = bench.get("/hello?a=1").await;

    assert_eq!((got.status, got.text().as_str()), (200, "hello"));
    assert_eq!(
        (upstream.seen()[0].uri.as_str(), &upstream.seen()[0].headers["host"]),
        ("/hello?a=1", &HOST.parse().unwrap())
    );
    let metrics = bench.metrics_after(1).await;
    let labels = [
        "reporter=\"source\"",
        "source_workload=\"frontend\"",
        "destination_workload=\"svc-v2\"",
        "destination_service=\"svc.hotel.svc.cluster.local\"",
        "destination_service_name=\"svc\"",
        "destination_version=\"v2\"",
        "response_code=\"200\"",
        "response_flags=\"-\"",
        "pod=\"frontend-0\"",
        "node=\"node-a\"",
    ];
    assert_eq!(series(&metrics, "istio_requests_total", &labels), Some(1.0), "{metrics}");
    assert_eq!(series(&metrics, "istio_response_bytes_sum", &[]), Some(5.0));
    assert!(metrics.contains("# TYPE istio_request_duration_milliseconds histogram"));
}

#[tokio::test]
async fn ninety_to_ten_is_kept_within_chance() {
    let (v1, v2) = (Upstream::start(Behaviour::Answer(200)).await, Upstream::start(Behaviour::Answer(200)).await);
    let split = route(None, Action::Forward(vec![weighted("v1", 90), weighted("v2", 10)]));
    let bench =
        Bench::start(table("1", vec![split], vec![cluster("v1", &[v1.address]), cluster("v2", &[v2.address])])).await;

    for _ in 0..1000 {
        assert_eq!(bench.get("/").await.status, 200);
    }

    // Four standard deviations of a binomial of 1000 at 0.1 are 38.
    assert_eq!(v1.hits() + v2.hits(), 1000);
    assert!((62..=138).contains(&v2.hits()), "{} of 1000", v2.hits());
}

#[tokio::test]
async fn what_nobody_described_is_answered_502_and_a_missing_route_404() {
    let upstream = Upstream::start(Behaviour::Answer(200)).await;
    let bench = Bench::start(table("1", vec![prefix("/a", "svc")], vec![cluster("svc", &[upstream.address])])).await;

    let unknown_host = ask(bench.outbound, Request::get("/").header("host", "other.example")).await;
    let unknown_port = ask(bench.outbound, Request::get("/").header("host", "svc.example:81")).await;
    let unknown_path = bench.get("/b").await;

    assert_eq!((unknown_host.status, unknown_port.status, unknown_path.status), (502, 502, 404));
    assert!(unknown_host.text().contains("other.example"), "{}", unknown_host.text());
    let metrics = bench.metrics_after(3).await;
    assert_eq!(series(&metrics, "istio_requests_total", &["404", "response_flags=\"NR\""]), Some(1.0));
}

#[tokio::test]
async fn rewriting_a_prefix_replaces_its_text_and_nothing_more() {
    let upstream = Upstream::start(Behaviour::Answer(200)).await;
    let mut strip = prefix("/strip", "svc");
    strip.rewrite = Some(Rewrite { path: Some("/".to_owned()), ..Rewrite::default() });
    let mut regex = prefix("/re", "svc");
    let pattern = (r"^/re/([a-z]+)/([0-9]+)".to_owned(), r"/\2/\1$".to_owned());
    regex.rewrite =
        Some(Rewrite { regex: Some(pattern), authority: Some("other.example".to_owned()), ..Rewrite::default() });
    let bench = Bench::start(table("1", vec![strip, regex], vec![cluster("svc", &[upstream.address])])).await;

    bench.get("/strip/a?q=1").await;
    bench.get("/re/abc/42/rest").await;

    let seen = upstream.seen();
    assert_eq!((seen[0].uri.as_str(), seen[1].uri.as_str()), ("//a?q=1", "/42/abc$/rest"));
    assert_eq!(seen[1].headers["host"], "other.example");
}

#[tokio::test]
async fn header_operations_remove_then_set_then_add_at_route_and_destination() {
    let upstream = Upstream::start(Behaviour::Answer(200)).await;
    let operations = |set: &[(&str, &str)], add: &[(&str, &str)], remove: &[&str]| HeaderOperations {
        remove: remove.iter().map(|name| (*name).to_owned()).collect(),
        set: set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        add: add.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    };
    let mut destination = to("svc");
    destination.request_headers = operations(&[("x-to", "1")], &[], &[]);
    let mut all = route(None, Action::Forward(vec![destination]));
    all.request_headers = operations(&[("x-set", "new")], &[("x-set", "more")], &["x-gone"]);
    all.response_headers = operations(&[("x-answer", "100%%")], &[], &["content-type"]);
    let bench = Bench::start(table("1", vec![all], vec![cluster("svc", &[upstream.address])])).await;

    let request = Request::get("/")
        .header("host", HOST)
        .header("x-set", "old")
        .header("x-gone", "1")
        .header("x-wattle-peer", "workload=liar");
    let got = ask(bench.outbound, request).await;

    let seen = &upstream.seen()[0].headers;
    let set: Vec<_> = seen.get_all("x-set").iter().collect();
    assert_eq!(set, ["new", "more"]);
    assert!(!seen.contains_key("x-gone") && seen["x-to"] == "1" && seen.contains_key("x-request-id"));
    assert!(seen["x-wattle-peer"].to_str().unwrap().contains("workload=frontend"), "nobody else names this workload");
    assert_eq!(got.headers["x-answer"], "100%");
}

#[tokio::test]
async fn redirects_direct_answers_and_preflights_need_no_upstream() {
    let redirect = Redirect {
        status: 302,
        scheme: Some("https".to_owned()),
        authority: None,
        port: RedirectPort::Number(8443),
        path: None,
        prefix_rewrite: Some("/new".to_owned()),
    };
    let mut shared = prefix("/cors", "svc");
    shared.cors = Some(Cors {
        allow_origins: vec![StringMatch::Exact("https://a.example".to_owned())],
        allow_methods: vec!["GET".to_owned(), "PUT".to_owned()],
        ..Cors::default()
    });
    let routes = vec![
        route(Some(PathMatch::Prefix("/old".to_owned())), Action::Redirect(redirect)),
        route(
            Some(PathMatch::Exact("/teapot".to_owned())),
            Action::Direct(DirectResponse { status: 418, body: b"short".to_vec() }),
        ),
        shared,
    ];
    let bench = Bench::start(table("1", routes, vec![cluster("svc", &[])])).await;

    let moved = bench.get("/old/x?q=1").await;
    let direct = bench.get("/teapot").await;
    let preflight = |origin: &'static str| {
        let request = Request::options("/cors").header("host", HOST).header("origin", origin);
        ask(bench.outbound, request.header("access-control-request-method", "PUT"))
    };

    assert_eq!(
        (moved.status, moved.headers["location"].to_str().unwrap()),
        (302, "https://svc.example:8443/new/x?q=1")
    );
    assert_eq!((direct.status, direct.text().as_str()), (418, "short"));
    assert_eq!(preflight("https://a.example").await.headers["access-control-allow-methods"], "GET,PUT");
    assert!(!preflight("https://b.example").await.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_mirror_gets_a_shadow_with_the_body_and_is_never_waited_for() {
    let (main, copy) = (Upstream::start(Behaviour::Answer(200)).await, Upstream::start(Behaviour::Answer(200)).await);
    let stuck = Upstream::start(Behaviour::After(std::time::Duration::from_secs(3600))).await;
    let mut mirrored = everything("main");
    mirrored.mirrors =
        ["copy", "stuck"].map(|name| Mirror { cluster: name.into(), percentage: PercentMillionths::ALL }).to_vec();
    let clusters =
        vec![cluster("main", &[main.address]), cluster("copy", &[copy.address]), cluster("stuck", &[stuck.address])];
    let bench = Bench::start(table("1", vec![mirrored], clusters)).await;

    let request = Request::post("/m").header("host", HOST).body("a body".into()).unwrap();
    let got = crate::kit::send(bench.outbound, request).await;

    assert_eq!((got.status, main.hits()), (200, 1));
    while copy.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    let shadow = &copy.seen()[0];
    assert_eq!(shadow.method, "POST");
    assert_eq!(
        (shadow.headers["host"].to_str().unwrap(), shadow.body.as_ref()),
        ("svc.example-shadow", &b"a body"[..])
    );
}

#[tokio::test]
async fn http2_is_spoken_to_an_upstream_that_wants_it() {
    let upstream = Upstream::start(Behaviour::Answer(200)).await;
    let mut svc = cluster("svc", &[upstream.address]);
    svc.protocol = UpstreamProtocol::Http2;
    let bench = Bench::start(table("1", vec![everything("svc")], vec![svc])).await;

    assert_eq!(bench.get("/h2").await.status, 200);

    assert_eq!(upstream.seen()[0].uri, "http://svc.example/h2");
}

#[tokio::test]
async fn a_gateway_answers_by_its_own_hosts_and_says_for_whom_it_asks() {
    let upstream = Upstream::start(Behaviour::Answer(200)).await;
    let mut given = table("1", vec![], vec![cluster("svc", &[upstream.address])]);
    given.gateways = vec![wattle_contract::route::GatewayListener {
        name: "gateway".to_owned(),
        bind: None,
        port: 80,
        protocol: wattle_contract::route::Protocol::Http,
        tls: Vec::new(),
        hosts: vec![Arc::new(VirtualHost {
            name: "public".to_owned(),
            domains: vec![DomainMatch::Suffix(".example".to_owned())],
            routes: vec![everything("svc")],
            https_redirect: false,
        })],
        l4: Vec::new(),
        health_check: None,
    }];
    let bench = Bench::start(given).await;

    assert_eq!(get(bench.gateway, "/").await.status, 200);
    assert_eq!(ask(bench.gateway, Request::get("/").header("host", "elsewhere.test")).await.status, 404);

    assert_eq!(upstream.seen()[0].headers["x-forwarded-for"], "127.0.0.1");
}

#[tokio::test]
async fn conditions_look_at_method_query_and_headers() {
    let upstream = Upstream::start(Behaviour::Answer(200)).await;
    let all = HttpMatch {
        path: Some(PathMatch::PathElements("/chat".to_owned())),
        method: Some(StringMatch::Exact("GET".to_owned())),
        query: vec![wattle_contract::route::QueryMatch {
            name: "v".to_owned(),
            value: StringMatch::Regex("[0-9]+".to_owned()),
        }],
        headers: vec![HeaderMatch { name: "x-no".to_owned(), value: StringMatch::Present, invert: true }],
        ..HttpMatch::default()
    };
    let mut narrow = everything("svc");
    narrow.matches = vec![all];
    let bench = Bench::start(table("1", vec![narrow], vec![cluster("svc", &[upstream.address])])).await;

    assert_eq!(bench.get("/chat/a?v=12").await.status, 200);
    for miss in ["/chatty?v=1", "/chat?v=1a", "/chat?w=1"] {
        assert_eq!(bench.get(miss).await.status, 404, "{miss}");
    }
    let with_header = Request::get("/chat?v=1").header("host", HOST).header("x-no", "1");
    assert_eq!(ask(bench.outbound, with_header).await.status, 404);
}
