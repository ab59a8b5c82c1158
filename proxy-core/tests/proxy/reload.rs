//! A new table is taken whole or not at all (law 15), and connections do not notice.

use std::sync::Arc;

use http::Request;
use wattle_contract::route::{InboundTls, JwtKeys, JwtRule, PathMatch};

use crate::kit::{Behaviour, Bench, Upstream, ask, get, series};
use crate::table::{cluster, everything, inbound_table, table};

#[tokio::test]
async fn a_table_that_asks_for_what_is_missing_is_refused_and_the_last_good_one_stays() {
    let upstream = Upstream::start(Behaviour::Answer(200)).await;
    let good = table("good", vec![everything("svc")], vec![cluster("svc", &[upstream.address])]);
    let bench = Bench::start(good.clone()).await;

    let mut strict = inbound_table();
    strict.inbound[0].tls = InboundTls::Strict;
    let mut regex = good.clone();
    Arc::make_mut(&mut regex.outbound[0].hosts[0]).routes[0].matches =
        vec![wattle_contract::route::HttpMatch { path: Some(PathMatch::Regex("(".to_owned())), ..Default::default() }];
    let mut tokens = good.clone();
    tokens.authentication = vec![JwtRule {
        name: "shop/tokens".to_owned(),
        issuer: "https://issuer.example".to_owned(),
        audiences: Vec::new(),
        keys: JwtKeys::Inline("{\"keys\":[]}".to_owned()),
        locations: Vec::new(),
        forward: false,
        payload_header: None,
        claim_headers: Vec::new(),
        space_delimited_claims: Vec::new(),
    }];
    let mut twice = good;
    let host = twice.outbound[0].hosts[0].clone();
    twice.outbound[0].hosts.push(host);
    for (refused, reason) in
        [(strict, "STRICT"), (regex, "expression"), (tokens, "tokens are not verified"), (twice, "taken by another")]
    {
        bench.table.send(Arc::new(refused)).unwrap();
        let dump = loop {
            let dump = ask(bench.admin, Request::get("/config_dump").header("host", "admin")).await.text();
            if dump.contains(reason) {
                break dump;
            }
        };

        assert!(dump.contains("\"version\":\"good\""), "{dump}");
        assert_eq!(bench.get("/").await.status, 200);
    }
    let metrics = bench.metrics_after(4).await;
    assert_eq!(series(&metrics, "wattle_proxy_reloads_total", &["refused"]), Some(4.0));
}

#[tokio::test]
async fn a_workload_whose_first_table_is_refused_is_not_ready_and_answers_503() {
    let mut strict = inbound_table();
    strict.inbound[0].tls = InboundTls::Strict;
    let bench = Bench::start(strict).await;

    assert_eq!(bench.get("/").await.status, 503);
    assert_eq!(get(bench.inbound, "/").await.status, 503);
    assert_eq!(ask(bench.admin, Request::get("/ready").header("host", "admin")).await.status, 503);

    bench.table.send(Arc::new(inbound_table())).unwrap();
    while ask(bench.admin, Request::get("/ready").header("host", "admin")).await.status != 200 {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_lose_nothing() {
    let (one, other) = (Upstream::start(Behaviour::Answer(200)).await, Upstream::start(Behaviour::Answer(200)).await);
    let make = |version: usize| {
        let addresses = if version.is_multiple_of(2) { vec![one.address] } else { vec![one.address, other.address] };
        table(&version.to_string(), vec![everything("svc")], vec![cluster("svc", &addresses)])
    };
    let bench = Bench::start(make(0)).await;

    let load = futures_util::future::join_all((0..8).map(|_| {
        let outbound = bench.outbound;
        tokio::spawn(async move {
            for _ in 0..100 {
                assert_eq!(get(outbound, "/").await.status, 200);
            }
        })
    }));
    let reloads = async {
        for version in 1..200 {
            bench.table.send(Arc::new(make(version))).unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (done, ()) = tokio::join!(load, reloads);

    assert!(done.into_iter().all(|task| task.is_ok()));
    assert_eq!(one.hits() + other.hits(), 800);
}
