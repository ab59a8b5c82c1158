//! Laws of the router.

use std::sync::Arc;

use proptest::prelude::*;
use wattle_contract::route::{self, DomainMatch, HeaderOperations, HttpMatch, PathMatch, RouteSource, VirtualHost};

use super::*;
use crate::dice::Dice;
use crate::head::Fields;

fn rule(name: &str, path: Option<PathMatch>, weights: &[u32]) -> route::Route {
    let cluster = |(index, weight): (usize, &u32)| route::WeightedCluster {
        cluster: format!("c{index}").into(),
        weight: *weight,
        request_headers: HeaderOperations::default(),
        response_headers: HeaderOperations::default(),
    };
    route::Route {
        name: name.to_owned(),
        source: RouteSource::default(),
        matches: path.map(|path| HttpMatch { path: Some(path), ..HttpMatch::default() }).into_iter().collect(),
        action: route::Action::Forward(weights.iter().enumerate().map(cluster).collect()),
        rewrite: None,
        timeout: None,
        retries: None,
        fault: None,
        mirrors: Vec::new(),
        cors: None,
        request_headers: HeaderOperations::default(),
        response_headers: HeaderOperations::default(),
        rate_limits: Vec::new(),
    }
}

fn host(name: &str, domains: Vec<DomainMatch>) -> VirtualHost {
    VirtualHost { name: name.to_owned(), domains, routes: vec![rule(name, None, &[1])], https_redirect: false }
}

fn compile(hosts: &[VirtualHost]) -> Hosts {
    let mut reasons = Vec::new();
    let hosts: Vec<Arc<VirtualHost>> = hosts.iter().cloned().map(Arc::new).collect();
    let hosts = Hosts::compile(&hosts, &mut reasons);
    assert!(reasons.is_empty(), "{reasons:?}");
    hosts
}

fn found<'a>(hosts: &'a Hosts, authority: &str) -> Option<&'a str> {
    hosts.find(authority).map(|host| host.name.as_str())
}

fn domain() -> impl Strategy<Value = DomainMatch> {
    prop_oneof![
        "[ab]{1,2}(\\.[ab]{1,2}){0,2}".prop_map(DomainMatch::Exact),
        "(\\.[ab]{1,2}){1,2}".prop_map(DomainMatch::Suffix),
        Just(DomainMatch::Any),
    ]
}

proptest! {
    #[test]
    fn the_host_found_does_not_depend_on_the_order_of_hosts(
        domains in prop::collection::btree_set(domain(), 1..8),
        authority in "[abAB]{1,2}(\\.[abAB]{1,2}){0,3}(:80)?",
        seed: u64,
    ) {
        let hosts: Vec<_> = domains.iter().map(|domain| host(&format!("{domain:?}"), vec![domain.clone()])).collect();
        let mut shuffled = hosts.clone();
        let dice = Dice::new(seed);
        shuffled.sort_by_cached_key(|_| dice.roll());

        let (one, other) = (compile(&hosts), compile(&shuffled));

        prop_assert_eq!(found(&one, &authority), found(&other, &authority));
        prop_assert_eq!(found(&one, &authority).map(str::to_owned), slow(&domains, &authority));
    }

    #[test]
    fn a_draw_never_gives_a_destination_without_weight_and_reaches_all_others(
        weights in prop::collection::vec(0_u32..20, 2..6),
        seed: u64,
    ) {
        prop_assume!(weights.iter().any(|weight| *weight > 0));
        let Ok(route) = Route::compile(&rule("r", None, &weights)) else { panic!("weights are fine") };
        let Action::Forward(split) = &route.action else { panic!("it forwards") };
        let dice = Dice::new(seed);

        let mut drawn = std::collections::BTreeSet::new();
        for _ in 0..weights.iter().sum::<u32>() * 30 {
            drawn.insert(split.draw(&dice).cluster.to_string());
        }

        let expected = weights.iter().enumerate().filter(|(_, weight)| **weight > 0).map(|(index, _)| format!("c{index}"));
        prop_assert_eq!(drawn, expected.collect());
    }
}

/// The rule in words: exact, else the longest ending, else any.
fn slow(domains: &std::collections::BTreeSet<DomainMatch>, authority: &str) -> Option<String> {
    let host = authority.split(':').next().unwrap_or_default().to_lowercase();
    let rank = |domain: &&DomainMatch| match domain {
        DomainMatch::Exact(name) => (*name == host).then_some((2, 0)),
        DomainMatch::Suffix(name) => {
            (host.ends_with(name.as_str()) && host.len() > name.len()).then_some((1, name.len()))
        }
        DomainMatch::Any => Some((0, 0)),
    };
    let best = domains.iter().filter(|domain| rank(domain).is_some()).max_by_key(rank)?;
    Some(format!("{best:?}"))
}

#[test]
fn authorities_are_compared_without_port_case_or_trailing_dot() {
    let hosts = compile(&[
        host("exact", vec![DomainMatch::Exact("Svc.Example".to_owned())]),
        host("six", vec![DomainMatch::Exact("[::1]".to_owned())]),
    ]);

    for authority in ["svc.example", "SVC.example:8080", "svc.example."] {
        assert_eq!(found(&hosts, authority), Some("exact"), "{authority}");
    }
    assert_eq!((found(&hosts, "[::1]:80"), found(&hosts, "[::1]")), (Some("six"), Some("six")));
    assert_eq!(found(&hosts, "other.example"), None);
}

#[test]
fn the_first_route_that_matches_wins() {
    let mut given = host("h", vec![DomainMatch::Any]);
    given.routes = vec![
        rule("elements", Some(PathMatch::PathElements("/chat/".to_owned())), &[1]),
        rule("prefix", Some(PathMatch::Prefix("/chat".to_owned())), &[1]),
        rule("regex", Some(PathMatch::Regex("/re/[0-9]+|/x".to_owned())), &[1]),
    ];
    let (hosts, headers) = (compile(&[given]), Fields::default());
    let host = hosts.find("h").expect("any host");
    let route = |path| {
        let head = Head { scheme: "http", method: "GET", authority: "h", path, query: None, headers: &headers };
        host.route(&head).map(|matched| (matched.route.name.clone(), matched.prefix_len))
    };

    assert_eq!(route("/chat"), Some(("elements".to_owned(), Some(5))));
    assert_eq!(route("/chat/a"), Some(("elements".to_owned(), Some(5))));
    assert_eq!(route("/chatty"), Some(("prefix".to_owned(), Some(5))));
    assert_eq!(route("/re/42"), Some(("regex".to_owned(), None)));
    assert_eq!((route("/re/42/x"), route("/xy")), (None, None));
}

#[test]
fn a_domain_that_two_hosts_claim_is_a_reason_to_refuse() {
    let mut reasons = Vec::new();

    let hosts = ["a", "b"].map(|name| Arc::new(host(name, vec![DomainMatch::Any])));
    Hosts::compile(&hosts, &mut reasons);

    assert_eq!(reasons.len(), 1);
}

fn path() -> impl Strategy<Value = Option<PathMatch>> {
    let text = "/[ab]{0,1}(/[ab]{0,1}){0,2}";
    prop_oneof![
        Just(None),
        text.prop_map(|path| Some(PathMatch::Exact(path))),
        text.prop_map(|path| Some(PathMatch::Prefix(path))),
        text.prop_map(|path| Some(PathMatch::PathElements(path))),
        Just(Some(PathMatch::Regex("/a.*".to_owned()))),
    ]
}

proptest! {
    #[test]
    fn the_index_finds_the_first_route_that_matches(
        paths in prop::collection::vec(path(), 1..12),
        asked in "/[ab]{0,2}(/[ab]{0,2}){0,3}",
    ) {
        let mut given = host("h", vec![DomainMatch::Any]);
        given.routes = paths.into_iter().enumerate().map(|(at, path)| rule(&at.to_string(), path, &[1])).collect();
        let (hosts, headers) = (compile(&[given]), Fields::default());
        let found = hosts.find("h").expect("any host");
        let head = Head { scheme: "http", method: "GET", authority: "h", path: &asked, query: None, headers: &headers };

        let first = found.routes.iter().find(|route| route.matches(&head).is_some());

        prop_assert_eq!(found.route(&head).map(|matched| matched.route.name.clone()), first.map(|route| route.name.clone()));
    }
}
