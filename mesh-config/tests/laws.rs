//! What holds for every configuration.

mod common;

use common::identity;
use proptest::prelude::*;
use serde_json::{Value, json};
use wattle_mesh_config::{Documents, RequestDescription, SourceText, compile, explain};

fn source(index: usize, object: &Value) -> SourceText {
    SourceText { name: format!("{index}.json"), text: object.to_string() }
}

fn string_match() -> impl Strategy<Value = Value> {
    prop_oneof![
        "/[a-c]{0,3}".prop_map(|text| json!({ "exact": text })),
        "/[a-c]{0,3}".prop_map(|text| json!({ "prefix": text })),
        Just(json!({ "regex": "/[a-b]+" })),
    ]
}

fn rule() -> impl Strategy<Value = Value> {
    let matches = proptest::collection::vec(string_match(), 0..3);
    let weights = proptest::collection::vec((0_u8..3, 1_i32..100), 1..4);
    (matches, weights, 0_i32..4, 1_u64..5000).prop_map(|(matches, weights, attempts, timeout)| {
        let matches: Vec<Value> = matches.into_iter().map(|uri| json!({ "uri": uri })).collect();
        let route: Vec<Value> = weights
            .into_iter()
            .map(|(service, weight)| json!({ "destination": { "host": format!("s{service}") }, "weight": weight }))
            .collect();
        let mut rule =
            json!({ "route": route, "timeout": format!("{timeout}ms"), "retries": { "attempts": attempts } });
        if !matches.is_empty() {
            rule["match"] = json!(matches);
        }
        rule
    })
}

fn mesh() -> impl Strategy<Value = Vec<Value>> {
    let services = (0..3_u8)
        .map(|index| {
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": { "name": format!("s{index}"), "namespace": "n" },
                "spec": { "ports": [{ "name": "http", "port": 80 }] },
            })
        })
        .collect::<Vec<_>>();
    let rules = proptest::collection::vec((proptest::collection::vec(rule(), 1..4), 0_u8..3), 0..4);
    (rules, 0_i32..100).prop_map(move |(rules, limit)| {
        let mut objects = services.clone();
        for (index, (http, service)) in rules.into_iter().enumerate() {
            objects.push(json!({
                "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
                "metadata": { "name": format!("v{index}"), "namespace": "n" },
                "spec": { "hosts": [format!("s{service}")], "http": http },
            }));
        }
        objects.push(json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": { "name": "d", "namespace": "n" },
            "spec": { "host": "s0", "trafficPolicy": { "connectionPool": { "tcp": { "maxConnections": limit } } } },
        }));
        objects
    })
}

/// A mesh with more kinds: what holds for workloads, and a gateway.
fn wide_mesh() -> impl Strategy<Value = Vec<Value>> {
    let actions = prop_oneof![Just("ALLOW"), Just("DENY"), Just("AUDIT")];
    let policies = proptest::collection::vec((actions, "/[a-c]{1,2}"), 0..4);
    let limits = proptest::collection::vec((1_u32..9, any::<bool>()), 0..3);
    (mesh(), policies, limits, any::<bool>()).prop_map(|(mut objects, policies, limits, strict)| {
        for (index, (action, path)) in policies.into_iter().enumerate() {
            objects.push(json!({
                "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
                "metadata": { "name": format!("p{index}"), "namespace": "n" },
                "spec": { "action": action, "rules": [{ "to": [{ "operation": { "paths": [path] } }] }] },
            }));
        }
        for (index, (requests, of_route)) in limits.into_iter().enumerate() {
            let mut spec = json!({ "rules": [{ "requests": requests, "interval": "1s" }] });
            if of_route {
                spec["targetRefs"] = json!([{ "kind": "VirtualService", "name": "v0" }]);
            }
            objects.push(json!({
                "apiVersion": "wattle.dev/v1alpha1", "kind": "RateLimit",
                "metadata": { "name": format!("l{index}"), "namespace": "n" }, "spec": spec,
            }));
        }
        if strict {
            objects.push(json!({
                "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
                "metadata": { "name": "strict", "namespace": "n" }, "spec": { "mtls": { "mode": "STRICT" } },
            }));
        }
        objects.push(json!({
            "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": { "name": "edge", "namespace": "n" },
            "spec": { "selector": { "istio": "edge" }, "servers": [{ "hosts": ["*"], "port": { "number": 80, "name": "http", "protocol": "HTTP" } }] },
        }));
        objects.push(json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": { "name": "public", "namespace": "n" },
            "spec": { "hosts": ["shop.example.com"], "gateways": ["edge"], "http": [{ "route": [{ "destination": { "host": "s1" } }] }] },
        }));
        objects
    })
}

fn files(objects: &[Value]) -> Vec<SourceText> {
    objects.iter().enumerate().map(|(index, object)| source(index, object)).collect()
}

proptest! {
    // Each case compiles some eighty tables.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_chain_of_changes_compiles_as_if_read_anew(before in wide_mesh(), after in wide_mesh(), gone in 0_usize..6) {
        // What was compiled before is used again only where it still holds.
        let clients = [identity("n", "w", &[]), identity("other", "w", &[]), common::gateway("n", &[("istio", "edge")])];
        let (mut current, _) = Documents::parse(&files(&before));
        for client in &clients {
            let _ = compile(&current, client);
        }
        let mut now = files(&before);
        for (index, file) in files(&after).into_iter().enumerate().take(now.len()) {
            current = current.update(std::slice::from_ref(&file), &[]).0;
            now[index] = file;
            // Two objects of one name are an error while the change is half done.
            for client in &clients {
                let fresh = compile(&Documents::parse(&now).0, client);
                prop_assert_eq!(compile(&current, client).ok(), fresh.ok());
            }
        }
        let gone = now.remove(gone % now.len());
        current = current.update(&[], &[&gone.name]).0;
        for client in &clients {
            prop_assert_eq!(compile(&current, client).ok(), compile(&Documents::parse(&now).0, client).ok());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sidecars_and_gateways_do_not_depend_on_the_order_of_files(objects in wide_mesh(), seed in any::<u64>()) {
        let given = files(&objects);
        let mut shuffled = given.clone();
        shuffled.sort_by_key(|file| file.name.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)));
        for client in [identity("n", "w", &[]), common::gateway("n", &[("istio", "edge")])] {
            let one = compile(&Documents::parse(&given).0, &client).expect("no errors");
            let other = compile(&Documents::parse(&shuffled).0, &client).expect("no errors");

            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn the_order_of_files_does_not_matter(objects in mesh(), seed in any::<u64>()) {
        let files: Vec<SourceText> = objects.iter().enumerate().map(|(index, object)| source(index, object)).collect();
        let mut shuffled = files.clone();
        // Any permutation: sort by a hash of seed and name.
        shuffled.sort_by_key(|file| file.name.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)));
        let client = identity("n", "w", &[]);

        let one = compile(&Documents::parse(&files).0, &client).expect("no errors");
        let other = compile(&Documents::parse(&shuffled).0, &client).expect("no errors");

        prop_assert_eq!(one, other);
    }

    #[test]
    fn the_best_route_is_unique(objects in mesh(), path in "/[a-d]{0,4}") {
        // Law 9: of all rules one takes the request, and it is the first in the order of the file that matches.
        let files: Vec<SourceText> = objects.iter().enumerate().map(|(index, object)| source(index, object)).collect();
        let (documents, _) = Documents::parse(&files);
        let table = compile(&documents, &identity("n", "w", &[])).expect("no errors");
        let mut domains: Vec<_> = table.outbound.iter().flat_map(|port| port.hosts.iter().map(move |host| (port.port, host)))
            .flat_map(|(port, host)| host.domains.iter().map(move |domain| (port, domain.clone()))).collect();
        let all = domains.len();
        domains.sort();
        domains.dedup();
        prop_assert_eq!(domains.len(), all, "one domain leads to one virtual host");

        let request = RequestDescription::parse(&format!("GET http://s0{path}"), &[]).expect("a request");
        let explanation = explain(&documents, &request, None);
        let again = explain(&documents, &request, None);

        prop_assert_eq!(&explanation, &again);
        if let Some(route) = &explanation.route {
            let after = explanation.others.iter().filter(|other| other.reason.starts_with("it comes after")).count();
            let before = explanation.others.len() - after;
            let rules = table.outbound[0].hosts.iter().find(|host| host.name == "s0.n.svc.cluster.local:80").expect("served");
            prop_assert_eq!(&rules.routes[before].name, &route.name);
        }
    }

    #[test]
    fn a_configuration_is_taken_whole_or_not_at_all(objects in mesh(), broken in "[a-z]{1,8}") {
        // Law 15.
        let mut files: Vec<SourceText> = objects.iter().enumerate().map(|(index, object)| source(index, object)).collect();
        let client = identity("n", "w", &[]);
        let (good, _) = Documents::parse(&files);
        prop_assert!(compile(&good, &client).is_ok());
        files.push(source(files.len(), &json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": { "name": "x" },
            "spec": { "hosts": ["s0"], "http": [{ "x-".to_owned() + &broken: 1, "route": [{ "destination": { "host": "s0" } }] }] },
        })));

        let (bad, findings) = Documents::parse(&files);

        prop_assert!(findings.iter().any(|finding| finding.rule == "unknown-field"));
        prop_assert!(compile(&bad, &client).is_err());
        let (mended, _) = bad.update(&[], &[&files[files.len() - 1].name]);
        prop_assert_eq!(compile(&mended, &client).expect("mended"), compile(&good, &client).expect("good"));
    }

    #[test]
    fn what_is_printed_reads_the_same(objects in mesh()) {
        let files: Vec<SourceText> = objects.iter().enumerate().map(|(index, object)| source(index, object)).collect();
        let once = Documents::parse(&files).0.normal_form();
        let again: Vec<SourceText> = once.iter().enumerate().map(|(index, object)| source(index, object)).collect();

        let (documents, findings) = Documents::parse(&again);

        prop_assert!(findings.is_empty(), "{:?}", findings);
        prop_assert_eq!(documents.normal_form(), once);
    }

    #[test]
    fn nothing_that_is_read_makes_a_panic(text in "\\PC{0,200}", yaml in "[a-z:\\- \\n\\[\\]{}&*'\"0-9]{0,200}") {
        for text in [text, yaml] {
            let (documents, _) = Documents::parse(&[SourceText { name: "a".to_owned(), text }]);
            let _ = compile(&documents, &identity("n", "w", &[]));
        }
    }
}

#[test]
fn every_valid_resource_of_the_corpora_prints_and_reads_the_same() {
    let Some(folder) = common::corpus("istio/validation") else { return };
    let mut count = 0;
    for entry in std::fs::read_dir(folder)
        .expect("readable")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains("-valid"))
    {
        let text = std::fs::read_to_string(entry.path()).expect("text");
        let once = Documents::parse(&[SourceText { name: "a".to_owned(), text }]).0.normal_form();
        for object in &once {
            let again = Documents::parse(&[source(0, object)]).0.normal_form();
            assert_eq!(again, std::slice::from_ref(object));
            count += 1;
        }
    }
    println!("round trip: {count} resources");
}
