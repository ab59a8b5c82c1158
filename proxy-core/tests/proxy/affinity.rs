//! Consistent hashing: who comes again meets the same endpoint.

use std::time::Duration;

use http::Request;
use wattle_contract::route::{Balancer, HashKey, HashTable};

use crate::kit::{Behaviour, Bench, Upstream, ask};
use crate::table::{HOST, cluster, everything, table};

async fn bench(key: HashKey, hashed: HashTable) -> (Bench, Vec<Upstream>) {
    let mut upstreams = Vec::new();
    for _ in 0..4 {
        upstreams.push(Upstream::start(Behaviour::Answer(200)).await);
    }
    let addresses: Vec<_> = upstreams.iter().map(|upstream| upstream.address).collect();
    let mut svc = cluster("svc", &addresses);
    svc.balancer = Balancer::ConsistentHash { key, table: hashed };
    (Bench::start(table("1", vec![everything("svc")], vec![svc])).await, upstreams)
}

#[tokio::test]
async fn one_header_value_meets_one_endpoint_and_many_meet_all() {
    for hashed in [HashTable::Ring { minimum_size: 1024 }, HashTable::Maglev { size: 1021 }] {
        let (bench, upstreams) = bench(HashKey::Header("x-user".to_owned()), hashed).await;
        let request = |user: usize| Request::get("/").header("host", HOST).header("x-user", user.to_string());

        for _ in 0..20 {
            ask(bench.outbound, request(7)).await;
        }
        assert_eq!(upstreams.iter().filter(|upstream| upstream.hits() > 0).count(), 1);
        for user in 0..100 {
            ask(bench.outbound, request(user)).await;
        }
        assert!(upstreams.iter().all(|upstream| upstream.hits() > 0));
    }
}

#[tokio::test]
async fn a_cookie_is_made_once_and_binds() {
    let attributes = vec![("SameSite".to_owned(), "Lax".to_owned())];
    let key = HashKey::Cookie {
        name: "who".to_owned(),
        path: "/".to_owned(),
        ttl: Some(Duration::from_secs(60)),
        attributes,
    };
    let (bench, upstreams) = bench(key, HashTable::Ring { minimum_size: 1024 }).await;

    let first = bench.get("/").await;
    let made = first.headers["set-cookie"].to_str().unwrap().to_owned();
    let pair = made.split(';').next().unwrap().to_owned();
    for _ in 0..20 {
        let again =
            ask(bench.outbound, Request::get("/").header("host", HOST).header("cookie", format!("a=b; {pair}"))).await;
        assert!(!again.headers.contains_key("set-cookie"));
    }

    assert!(made.ends_with("; Max-Age=60; Path=/; SameSite=Lax; HttpOnly"), "{made}");
    assert_eq!(upstreams.iter().filter(|upstream| upstream.hits() > 0).count(), 1);
}
