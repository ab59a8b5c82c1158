//! What policies with fields of HTTP mean on TCP ports: both directions fail closed.

mod common;

use common::{documents, identity, table};
use wattle_contract::route::{Operation, PolicyAction, Rule, StringMatch};
use wattle_mesh_config::{RequestDescription, analyse, explain};

const WORKLOAD: &str = r"
apiVersion: v1
kind: Service
metadata: {name: store, namespace: n}
spec:
  selector: {app: store}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp-data, port: 6379}]
---
apiVersion: v1
kind: Pod
metadata: {name: store-1, namespace: n, labels: {app: store}}
spec: {containers: [{name: app}]}
";

fn policy(action: &str, rule: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p, namespace: n}}\nspec: {{selector: {{matchLabels: {{app: store}}}}, action: {action}, rules: [{rule}]}}\n"
    )
}

fn rules(action: &str, rule: &str) -> Vec<Rule> {
    let table = table(&[WORKLOAD, &policy(action, rule)], &identity("n", "store", &[("app", "store")]));
    table.policies[0].rules.clone()
}

fn findings(action: &str, rule: &str) -> Vec<String> {
    let found = analyse(&documents(&[WORKLOAD, &policy(action, rule)]));
    found.iter().filter(|finding| finding.code == "WAT0123").map(|finding| finding.path.clone()).collect()
}

const WRITES: &str = "{from: [{source: {namespaces: [a], requestPrincipals: ['*']}}], to: [{operation: {methods: [POST]}}], when: [{key: 'request.headers[x]', values: [y]}, {key: source.ip, values: [10.0.0.1]}]}";

#[test]
fn an_allowing_rule_has_no_say_on_tcp_ports() {
    let rules = rules("ALLOW", WRITES);

    assert_eq!(rules.len(), 1);
    assert_eq!(rules[0].to[0].not_ports, [6379]);
    assert_eq!(rules[0].to[0].methods.any_of, [StringMatch::Exact("POST".to_owned())]);
    assert_eq!(findings("ALLOW", WRITES), ["spec.rules[0].from[0].source.requestPrincipals"]);
}

#[test]
fn a_denying_rule_loses_the_fields_of_http_on_tcp_ports() {
    let rules = rules("DENY", WRITES);

    assert_eq!(rules.len(), 2);
    assert_eq!((rules[0].to[0].not_ports.as_slice(), rules[0].when.len()), (&[6379][..], 2));
    assert_eq!(rules[1].to, [Operation { ports: vec![6379], ..Operation::default() }]);
    assert!(rules[1].from[0].request_principals.is_empty() && !rules[1].from[0].namespaces.is_empty());
    assert_eq!(rules[1].when.len(), 1);
    assert_eq!(rules[1].when[0].key, "source.ip");
    assert_eq!(findings("DENY", WRITES).len(), 1);
}

#[test]
fn rules_that_never_reach_a_tcp_port_stay_as_they_are() {
    let by_operation = "{to: [{operation: {methods: [POST], ports: ['8080']}}]}";
    let by_condition = "{to: [{operation: {methods: [POST]}}], when: [{key: destination.port, values: ['8080']}]}";
    let without_http = "{from: [{source: {namespaces: [a]}}]}";
    for rule in [by_operation, by_condition, without_http] {
        for action in ["ALLOW", "DENY"] {
            let rules = rules(action, rule);
            assert_eq!(rules.len(), 1, "{rule}");
            assert!(rules[0].to.iter().all(|to| to.not_ports.is_empty()), "{rule}");
            assert!(findings(action, rule).is_empty(), "{rule}");
        }
    }
}

#[test]
fn ports_that_a_denying_rule_names_stay_named() {
    let rules = rules("DENY", "{to: [{operation: {paths: [/x], ports: ['8080']}}, {operation: {ports: ['6379']}}]}");

    assert_eq!(rules[1].to, [Operation { ports: vec![6379], ..Operation::default() }]);
}

#[test]
fn a_workload_without_tcp_ports_keeps_its_rules() {
    let http_only = WORKLOAD.replace("tcp-data", "http-data");
    let texts = [http_only.as_str(), &policy("DENY", WRITES)];
    let table = table(&texts, &identity("n", "store", &[("app", "store")]));

    assert_eq!(table.policies[0].action, PolicyAction::Deny);
    assert_eq!(table.policies[0].rules.len(), 1);
    assert!(table.policies[0].rules[0].to[0].not_ports.is_empty());
}

#[test]
fn an_explanation_asks_the_policy_of_the_workloads_port() {
    let only = "{to: [{operation: {methods: [GET], ports: ['8080']}}]}";
    let documents = documents(&[WORKLOAD, &policy("ALLOW", only)]);
    let request = RequestDescription::parse("GET http://store.n/", &[]).expect("a request");

    let text = explain(&documents, &request, Some(&documents.identity("n", "store"))).to_string();

    assert!(text.contains("allowed by n/p"), "{text}");
}
