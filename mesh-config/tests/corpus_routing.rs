//! Envoy's own routing cases, answered by the explanation of the same routes written as a VirtualService.

mod common;

use std::fmt::Write;

use common::corpus;
use serde_json::Value;
use wattle_mesh_config::{Documents, RequestDescription, SourceText, explain};

/// Writes Envoy's header conditions as those of a VirtualService.
fn headers(route: &serde_json::Map<String, Value>) -> String {
    let mut text = String::new();
    for header in route["match"]["headers"].as_array().into_iter().flatten() {
        let matcher = &header["string_match"];
        let value = if let Some(exact) = matcher["exact"].as_str() {
            format!("{{exact: {exact:?}}}")
        } else if let Some(regex) = matcher["safe_regex"]["regex"].as_str() {
            format!("{{regex: '{regex}'}}")
        } else {
            "{}".to_owned()
        };
        let _ = write!(text, "{}: {value}, ", header["name"].as_str().expect("named"));
    }
    if route["match"].get("grpc").is_some() {
        text.push_str("content-type: {regex: 'application/grpc([+].*)?'}, ");
    }
    text
}

#[test]
fn headers_route_as_envoy_routes_them() {
    let Some(folder) = corpus("istio/envoy-router-check") else { return };
    let yaml = std::fs::read_to_string(folder.join("HeaderMatchedRouting.yaml")).expect("readable");
    let table: Value = wattle_mesh_config::yaml_to_json(&yaml).expect("YAML");
    let mut service = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: check}\nspec:\n  hosts: [www.lyft.com]\n  http:\n".to_owned();
    let mut names = Vec::new();
    for route in table["virtual_hosts"][0]["routes"].as_array().expect("routes") {
        let route = route.as_object().expect("a route");
        let cluster = route["route"]["cluster"].as_str().expect("a cluster");
        names.push(cluster.to_owned());
        let host = cluster.replace('_', "-");
        let _ = writeln!(
            service,
            "  - match: [{{uri: {{prefix: {}}}, headers: {{{}}}}}]\n    route: [{{destination: {{host: {host}.example.com, port: {{number: 80}}}}}}]",
            route["match"]["prefix"].as_str().expect("a prefix"),
            headers(route)
        );
    }
    let (documents, findings) = Documents::parse(&[SourceText { name: "check.yaml".to_owned(), text: service }]);
    assert!(findings.is_empty(), "{findings:#?}");

    let text = std::fs::read_to_string(folder.join("HeaderMatchedRouting.golden.proto.json")).expect("readable");
    let cases: Value = serde_json::from_str(&text).expect("JSON");
    let (mut right, mut wrong) = (0, Vec::new());
    let cases = cases["tests"].as_array().expect("cases");
    for case in cases {
        let given: Vec<(String, String)> = case["input"]["additional_headers"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|header| {
                (header["key"].as_str().expect("key").to_owned(), header["value"].as_str().expect("value").to_owned())
            })
            .collect();
        let request = RequestDescription::parse("GET http://www.lyft.com/", &given).expect("a request");
        let explanation = explain(&documents, &request, None);
        let wanted = case["validate"]["cluster_name"].as_str().expect("a cluster").replace('_', "-");
        let got = explanation.destinations.first().map(|one| one.cluster.clone()).unwrap_or_default();
        if got == format!("outbound|80||{wanted}.example.com") {
            right += 1
        } else {
            wrong.push(format!("{}: {got}, not {wanted}", case["test_name"]))
        }
    }
    println!("envoy-router-check: {right}/{}", cases.len());
    assert!(wrong.is_empty(), "{wrong:?}");
}
