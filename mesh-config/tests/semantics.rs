//! What Istio's users easily get wrong, and this compiler must not.

mod common;

use common::{cluster, documents, gateway, identity, table};
use wattle_contract::route::{Action, DomainMatch, InboundTls, OutboundPolicy, PolicyAction, RouteTable, StringMatch};
use wattle_mesh_config::{RequestDescription, diff, explain};

fn service(name: &str, namespace: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80}}]}}\n"
    )
}

fn rule(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
    )
}

/// Gives the host of the first destination of the first route of a virtual host.
fn first_destination(table: &RouteTable, host: &str) -> String {
    let hosts = table
        .outbound
        .iter()
        .flat_map(|port| &port.hosts)
        .chain(table.gateways.iter().flat_map(|listener| &listener.hosts));
    let host = hosts.into_iter().find(|one| one.name.starts_with(host)).unwrap_or_else(|| panic!("no {host}"));
    match &host.routes[0].action {
        Action::Forward(clusters) => clusters[0].cluster.as_str().rsplit('|').next().expect("a host").to_owned(),
        other => panic!("{other:?}"),
    }
}

fn to(host: &str) -> String {
    format!("[{{route: [{{destination: {{host: {host}}}}}]}}]")
}

#[test]
fn on_the_mesh_the_oldest_owns_a_host_and_nothing_is_merged() {
    let texts = [
        service("a", "n"),
        service("b", "n"),
        service("c", "n"),
        rule("younger", "n", &format!("{{hosts: [a], http: {}}}", to("c")))
            .replace("name: younger,", "name: younger, creationTimestamp: 2024-01-02T00:00:00Z,"),
        rule("older", "n", &format!("{{hosts: [a], http: {}}}", to("b")))
            .replace("name: older,", "name: older, creationTimestamp: 2024-01-01T00:00:00Z,"),
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    let table = table(&texts, &identity("n", "w", &[]));

    let host = table.outbound[0].hosts.iter().find(|host| host.name.starts_with("a.n")).expect("served");
    assert_eq!(host.routes.len(), 1);
    assert_eq!(first_destination(&table, "a.n"), "b.n.svc.cluster.local");
}

#[test]
fn an_exact_host_wins_over_a_wildcard() {
    let wildcard = rule("a-wild", "n", &format!("{{hosts: ['*.n.svc.cluster.local'], http: {}}}", to("b")));
    let exact = rule("z-exact", "n", &format!("{{hosts: [a.n.svc.cluster.local], http: {}}}", to("c")));
    let texts = [service("a", "n"), service("b", "n"), service("c", "n"), wildcard, exact];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    let table = table(&texts, &identity("n", "w", &[]));

    assert_eq!(first_destination(&table, "a.n"), "c.n.svc.cluster.local");
    assert_eq!(first_destination(&table, "c.n"), "b.n.svc.cluster.local");
}

#[test]
fn short_names_belong_to_the_namespace_of_the_rule() {
    let texts = [
        service("a", "one"),
        service("a", "two"),
        service("b", "two"),
        rule("r", "two", &format!("{{hosts: [a], http: {}}}", to("b"))),
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    let table = table(&texts, &identity("one", "w", &[]));

    assert_eq!(first_destination(&table, "a.one"), "a.one.svc.cluster.local");
    assert_eq!(first_destination(&table, "a.two"), "b.two.svc.cluster.local");
}

#[test]
fn what_is_not_exported_does_not_exist_elsewhere() {
    let texts = [
        service("a", "one"),
        service("b", "one"),
        rule("r", "one", &format!("{{hosts: [a], exportTo: ['.'], http: {}}}", to("b"))),
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    assert_eq!(first_destination(&table(&texts, &identity("one", "w", &[])), "a.one"), "b.one.svc.cluster.local");
    assert_eq!(first_destination(&table(&texts, &identity("two", "w", &[])), "a.one"), "a.one.svc.cluster.local");
}

#[test]
fn a_sidecar_shows_only_what_it_lists() {
    let sidecar = "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: default, namespace: one}\nspec: {egress: [{hosts: [./*]}], outboundTrafficPolicy: {}}\n";
    let texts = [service("a", "one"), service("b", "two"), sidecar.to_owned()];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    let table = table(&texts, &identity("one", "w", &[]));

    assert_eq!(table.clusters.len(), 1);
    assert_eq!(table.outbound_policy, OutboundPolicy::RegistryOnly, "an empty block is the strict zero value");
}

#[test]
fn a_delegate_narrows_its_root_and_keeps_its_own_settings() {
    let root = rule(
        "root",
        "n",
        "{hosts: [a], http: [{match: [{uri: {prefix: /x}}], timeout: 9s, delegate: {name: leaf, namespace: n}}]}",
    );
    let leaf = rule(
        "leaf",
        "n",
        &format!(
            "{{http: [{{match: [{{uri: {{prefix: /x/y}}}}], route: [{{destination: {{host: b}}}}]}}, {{match: [{{uri: {{prefix: /z}}}}], route: {}}}]}}",
            "[{destination: {host: b}}]"
        ),
    );
    let texts = [service("a", "n"), service("b", "n"), root, leaf];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    let table = table(&texts, &identity("n", "w", &[]));

    let host = table.outbound[0].hosts.iter().find(|host| host.name.starts_with("a.n")).expect("served");
    assert_eq!(host.routes.len(), 1, "/z lies outside the root's match");
    assert_eq!(host.routes[0].timeout.expect("the root's").as_secs(), 9);
    assert_eq!(host.routes[0].source.name, "leaf");
}

const GATEWAY: &str = "---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: infra}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ['*.example.com']}
";

#[test]
fn at_a_gateway_rules_of_one_host_are_joined_and_the_catch_all_is_last() {
    let first = rule(
        "a",
        "n",
        "{hosts: [shop.example.com], gateways: [infra/edge], http: [{route: [{destination: {host: a}}]}]}",
    );
    let second = rule(
        "b",
        "n",
        "{hosts: [shop.example.com], gateways: [infra/edge], http: [{match: [{uri: {prefix: /b}}], route: [{destination: {host: b}}]}]}",
    );
    let texts = [service("a", "n"), service("b", "n"), GATEWAY.to_owned(), first, second];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    let table = table(&texts, &gateway("infra", &[("istio", "ingressgateway")]));

    let host = &table.gateways[0].hosts[0];
    assert_eq!(host.domains, [DomainMatch::Exact("shop.example.com".to_owned())]);
    let names: Vec<&str> = host.routes.iter().map(|route| route.source.name.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
}

#[test]
fn a_rule_that_names_a_gateway_is_not_for_the_mesh() {
    let bound = rule(
        "a",
        "n",
        "{hosts: [shop.example.com], gateways: [infra/edge], http: [{route: [{destination: {host: a}}]}]}",
    );
    let texts = [service("a", "n"), GATEWAY.to_owned(), bound];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    let table = table(&texts, &identity("n", "w", &[]));

    assert!(table.outbound.iter().flat_map(|port| &port.hosts).all(|host| !host.name.starts_with("shop")));
}

#[test]
fn settings_of_a_port_inherit_nothing() {
    let policy = "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d, namespace: n}\nspec: {host: a, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}, portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}}\n";
    let texts = [service("a", "n"), policy.to_owned()];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    let table = table(&texts, &identity("n", "w", &[]));

    assert_eq!(cluster(&table, "outbound|80||a.n.svc.cluster.local").limits.max_connections, None);
}

#[test]
fn mesh_tls_follows_the_narrowest_policy() {
    let policies = "---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: root, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: own, namespace: n}
spec: {selector: {matchLabels: {app: a}}, mtls: {mode: UNSET}, portLevelMtls: {'80': {mode: DISABLE}}}
";
    let texts = [service("a", "n"), service("b", "n"), policies.to_owned()];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    assert_eq!(table(&texts, &identity("n", "a", &[("app", "a")])).inbound[0].tls, InboundTls::Disable);
    assert_eq!(table(&texts, &identity("n", "b", &[("app", "b")])).inbound[0].tls, InboundTls::Strict);
}

#[test]
fn policies_come_in_the_order_of_their_evaluation() {
    let policy = |name: &str, namespace: &str, spec: &str| {
        format!(
            "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
        )
    };
    let texts = [
        policy("allow", "n", "{rules: [{to: [{operation: {paths: ['/a/{*}/b', '/x*'], methods: [GET]}}]}]}"),
        policy("deny", "istio-system", "{action: DENY, rules: [{from: [{source: {notNamespaces: [n]}}]}]}"),
        policy("elsewhere", "m", "{}"),
        policy("other", "n", "{selector: {matchLabels: {app: z}}, action: DENY, rules: [{}]}"),
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    let table = table(&texts, &identity("n", "w", &[("app", "w")]));

    let names: Vec<(&str, &PolicyAction)> =
        table.policies.iter().map(|policy| (policy.name.as_str(), &policy.action)).collect();
    assert_eq!(names, [("istio-system/deny", &PolicyAction::Deny), ("n/allow", &PolicyAction::Allow)]);
    let paths = &table.policies[1].rules[0].to[0].paths.any_of;
    assert_eq!(paths, &[StringMatch::Regex("/a/[^/]+/b".to_owned()), StringMatch::Prefix("/x".to_owned())]);
}

#[test]
fn an_explanation_names_file_and_line_and_why_the_others_do_not_fit() {
    let rules = rule(
        "r",
        "n",
        "\n  hosts: [a]\n  http:\n  - match: [{headers: {end-user: {exact: jason}}}]\n    route: [{destination: {host: b}}]\n  - route: [{destination: {host: a}}]",
    );
    let deny = "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: n}\nspec: {action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]}\n";
    let pod = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: a-1, namespace: n, labels: {app: a}}\nspec: {}\nstatus: {podIP: 10.0.0.1}\n";
    let texts = [service("a", "n"), service("b", "n"), rules, deny.to_owned(), pod.to_owned()];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let documents = documents(&texts);

    let plain = explain(&documents, &RequestDescription::parse("POST http://a/x", &[]).expect("a request"), None);
    let jason = explain(
        &documents,
        &RequestDescription::parse("GET http://a/x", &[("End-User".to_owned(), "jason".to_owned())])
            .expect("a request"),
        None,
    );

    assert_eq!(plain.route.as_ref().map(|route| route.source.line), Some(10));
    assert!(plain.others[0].reason.contains("header end-user (absent)"), "{plain}");
    assert_eq!(plain.destinations[0].policy, "refused by n/p (DENY)");
    assert_eq!(plain.destinations[0].endpoints, Some(1));
    assert_eq!(jason.destinations[0].cluster, "outbound|80||b.n.svc.cluster.local");
    assert!(jason.to_string().contains("VirtualService n/r"), "{jason}");
}

#[test]
fn a_difference_is_told_by_what_changes_for_traffic() {
    let rules = |weight: u32| {
        rule(
            "r",
            "n",
            &format!(
                "{{hosts: [a], http: [{{route: [{{destination: {{host: a}}, weight: {weight}}}, {{destination: {{host: b}}, weight: 10}}]}}]}}"
            ),
        )
    };
    let (a, b) = (service("a", "n"), service("b", "n"));
    let (old, new) = (rules(90), rules(50));

    let changes = diff(&documents(&[&a, &b, &old]), &documents(&[&a, &b, &new]));

    let told: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert!(
        told.iter().any(|line| line.contains("route a.n.svc.cluster.local:80") && line.contains("90 becomes 50")),
        "{told:?}"
    );
    assert!(diff(&documents(&[&a, &b, &old]), &documents(&[&b, &old, &a])).is_empty());

    let only_a = rule("r", "n", "{hosts: [a], http: [{route: [{destination: {host: a}}]}]}");
    let [split] = &diff(&documents(&[&a, &b, &old]), &documents(&[&a, &b, &only_a]))[..] else { panic!("one change") };
    let clusters = ["outbound|80||a.n.svc.cluster.local", "outbound|80||b.n.svc.cluster.local"];
    let wanted = format!("{} weight 90, {} weight 10 becomes {} weight 1", clusters[0], clusters[1], clusters[0]);
    assert!(split.to_string().ends_with(&wanted), "{split}");
}
