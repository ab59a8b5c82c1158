//! The Gateway API's conformance manifests, with the expectations of the tests they belong to: which backend answers, which
//! status is written. The suite itself needs a cluster; this is its routing without one.

mod common;

use common::{corpus, gateway};
use serde_json::Value;
use wattle_contract::route::Action;
use wattle_mesh_config::{Documents, RequestDescription, SourceText, explain, gateway_api};

fn read(folder: &std::path::Path, name: &str) -> Documents {
    let file = |path: std::path::PathBuf| SourceText {
        name: path.file_name().expect("named").to_string_lossy().into_owned(),
        text: std::fs::read_to_string(&path).expect("readable").replace("{GATEWAY_CLASS_NAME}", "istio"),
    };
    Documents::parse(&[file(folder.join("base/manifests.yaml")), file(folder.join("tests").join(name))]).0
}

/// What a request gets: the backend's Service, or a status.
fn answer(documents: &Documents, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let client = gateway("gateway-conformance-infra", &[("gateway.networking.k8s.io/gateway-name", "same-namespace")]);
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let request =
        RequestDescription::parse(&format!("{method} http://example.com{path}"), &headers).expect("a request");
    let explanation = explain(documents, &request, Some(&client));
    match explanation.route.map(|route| route.action) {
        None => "404".to_owned(),
        Some(Action::Redirect(redirect)) => redirect.status.to_string(),
        Some(Action::Direct(response)) => response.status.to_string(),
        Some(Action::Forward(clusters)) => {
            let services = clusters.iter().map(|one| {
                let host = one.cluster.as_str().rsplit('|').next().unwrap_or_default();
                let name = host.split('.').next().unwrap_or_default().trim_start_matches("infra-backend-").to_owned();
                if clusters.len() == 1 { name } else { format!("{name}={}", one.weight) }
            });
            services.collect::<Vec<_>>().join(" ")
        }
    }
}

/// A request and its answer.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const CASES: &[(&str, &[Case])] = &[
    ("httproute-simple-same-namespace.yaml", &[("GET", "/", &[], "v1")]),
    (
        "httproute-matching.yaml",
        &[
            ("GET", "/", &[], "v1"),
            ("GET", "/example", &[], "v1"),
            ("GET", "/", &[("version", "one")], "v1"),
            ("GET", "/v2", &[], "v2"),
            ("GET", "/v2/", &[], "v2"),
            ("GET", "/v2/example", &[], "v2"),
            ("GET", "/", &[("version", "two")], "v2"),
            ("GET", "/v2example", &[], "v1"),
            ("GET", "/foo/v2/example", &[], "v1"),
        ],
    ),
    (
        "httproute-header-matching.yaml",
        &[
            ("GET", "/", &[("version", "one")], "v1"),
            ("GET", "/", &[("version", "two")], "v2"),
            ("GET", "/", &[("version", "three")], "404"),
            ("GET", "/", &[("version", "two"), ("color", "orange")], "v1"),
            ("GET", "/", &[("color", "blue")], "v1"),
            ("GET", "/", &[("color", "green")], "v1"),
            ("GET", "/", &[("color", "red")], "v2"),
            ("GET", "/", &[("color", "yellow")], "v2"),
            ("GET", "/", &[("color", "purple")], "404"),
            ("GET", "/", &[], "404"),
        ],
    ),
    (
        "httproute-method-matching.yaml",
        &[
            ("POST", "/", &[], "v1"),
            ("GET", "/", &[], "v2"),
            ("HEAD", "/", &[], "404"),
            ("GET", "/path1", &[], "v1"),
            ("PUT", "/", &[("version", "one")], "v2"),
            ("POST", "/path2", &[("version", "two")], "v3"),
            ("PATCH", "/path3", &[], "v1"),
            ("DELETE", "/path4", &[("version", "three")], "v1"),
            ("PUT", "/path1", &[], "404"),
            ("DELETE", "/path4", &[], "404"),
            ("PATCH", "/path5", &[("version", "four")], "v1"),
            ("PATCH", "/", &[("version", "four")], "v2"),
            ("PUT", "/", &[("version", "four")], "v3"),
        ],
    ),
    (
        "httproute-path-match-order.yaml",
        &[
            ("GET", "/match/exact/one", &[], "v3"),
            ("GET", "/match/exact", &[], "v2"),
            ("GET", "/match", &[], "v1"),
            ("GET", "/match/prefix/one/any", &[], "v2"),
            ("GET", "/match/prefix/any", &[], "v1"),
            ("GET", "/match/any", &[], "v3"),
        ],
    ),
    (
        "httproute-query-param-matching.yaml",
        &[
            ("GET", "/?animal=whale", &[], "v1"),
            ("GET", "/?animal=dolphin", &[], "v2"),
            ("GET", "/?animal=dolphin&color=blue", &[], "v3"),
            ("GET", "/?ANIMAL=Whale", &[], "v3"),
            ("GET", "/?animal=dog", &[], "404"),
            ("GET", "/", &[], "404"),
        ],
    ),
    ("httproute-invalid-nonexistent-backendref.yaml", &[("GET", "/", &[], "500")]),
    ("httproute-weight.yaml", &[("GET", "/", &[], "v1=70 v2=30")]),
];

#[test]
fn requests_reach_the_backends_that_the_suite_expects() {
    let Some(folder) = corpus("istio/gateway-api-conformance") else { return };
    let (mut right, mut all, mut wrong) = (0, 0, Vec::new());
    for (name, cases) in CASES {
        let documents = read(&folder, name);
        for (method, path, headers, wanted) in *cases {
            let got = answer(&documents, method, path, headers);
            all += 1;
            if got == *wanted {
                right += 1
            } else {
                wrong.push(format!("{name}: {method} {path} {headers:?}: {got}, not {wanted}"))
            }
        }
    }
    println!("gateway-api-conformance: {right}/{all} requests");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Finds a condition of an object's status, anywhere below.
fn condition(statuses: &[Value], kind: &str, name: &str, wanted: &str) -> String {
    fn find(value: &Value, wanted: &str, found: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| find(item, wanted, found)),
            Value::Object(fields) if fields.get("type").is_some_and(|kind| kind == wanted) => {
                found.push(format!(
                    "{} {}",
                    fields["status"].as_str().unwrap_or(""),
                    fields["reason"].as_str().unwrap_or("")
                ));
            }
            Value::Object(fields) => fields.values().for_each(|value| find(value, wanted, found)),
            _ => {}
        }
    }
    let object = statuses.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let mut found = Vec::new();
    find(object.map_or(&Value::Null, |object| &object["status"]), wanted, &mut found);
    found.join(", ")
}

#[test]
fn the_status_is_what_the_suite_expects() {
    let Some(folder) = corpus("istio/gateway-api-conformance") else { return };

    let missing = gateway_api::statuses(&read(&folder, "httproute-invalid-nonexistent-backendref.yaml"));
    let granted = gateway_api::statuses(&read(&folder, "httproute-reference-grant.yaml"));
    let kinds = gateway_api::statuses(&read(&folder, "gateway-invalid-route-kind.yaml"));

    assert_eq!(
        condition(&missing, "HTTPRoute", "invalid-nonexistent-backend-ref", "ResolvedRefs"),
        "False BackendNotFound"
    );
    assert_eq!(condition(&missing, "HTTPRoute", "invalid-nonexistent-backend-ref", "Accepted"), "True Accepted");
    assert_eq!(condition(&granted, "HTTPRoute", "reference-grant", "ResolvedRefs"), "True ResolvedRefs");
    let invalid = condition(&kinds, "Gateway", "gateway-only-invalid-route-kind", "ResolvedRefs");
    assert!(invalid.contains("False InvalidRouteKinds"), "{invalid}");
}
