//! Tokens, rate limits and health checks: where they hold, and what is said of them.

mod common;

use std::time::Duration;

use common::{cluster, documents, gateway, identity, sources, table};
use wattle_contract::route::{HealthCheckKind, JwtKeys, RateLimitKey, TokenLocation};
use wattle_mesh_config::{Documents, RequestDescription, Severity, SourceText, analyse, compile, diff, explain};

const SHOP: &str = "
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}, {name: http-admin, port: 9081}]}
---
apiVersion: v1
kind: Pod
metadata: {name: reviews-1, namespace: shop, labels: {app: reviews}}
spec: {serviceAccountName: reviews}
status: {podIP: 10.0.0.1}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
  - name: search
    match: [{uri: {prefix: /search}}]
    route: [{destination: {host: reviews, port: {number: 9080}}}]
  - name: rest
    route: [{destination: {host: reviews, port: {number: 9080}}}]
";

fn limit(scope: &str, rule: &str) -> String {
    format!(
        "apiVersion: wattle.dev/v1alpha1\nkind: RateLimit\nmetadata: {{name: limit, namespace: shop}}\nspec: {{{scope} rules: [{rule}]}}\n"
    )
}

fn errors(text: &str) -> Vec<(String, String)> {
    let (_, findings) = Documents::parse(&sources(&[text]));
    let errors = findings.into_iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| (finding.path, finding.message)).collect()
}

#[test]
fn a_limit_holds_where_its_selector_says_and_nowhere_else() {
    let limit = limit(
        "selector: {matchLabels: {app: reviews}},",
        "{name: users, match: [{method: {exact: POST}}], per: ['request.headers[X-User]', source.namespace], requests: 10, interval: 1m, burst: 20}",
    );

    let selected = table(&[SHOP, &limit], &identity("shop", "reviews", &[("app", "reviews")]));
    let other = table(&[SHOP, &limit], &identity("shop", "ratings", &[("app", "ratings")]));

    let [limit] = selected.rate_limits.as_slice() else { panic!("{:?}", selected.rate_limits) };
    assert_eq!(limit.name, "shop/limit/users");
    assert_eq!((limit.requests, limit.interval, limit.burst), (10, Duration::from_secs(60), 20));
    assert_eq!(limit.keys, [RateLimitKey::Header("x-user".to_owned()), RateLimitKey::SourceNamespace]);
    assert_eq!((limit.matches.len(), limit.status, limit.max_buckets), (1, 429, 10_000));
    assert!(other.rate_limits.is_empty());
    assert_ne!(selected.version, other.version);
}

#[test]
fn a_limit_on_one_rule_of_a_virtual_service_travels_with_that_route() {
    let limit = limit(
        "targetRefs: [{kind: VirtualService, name: reviews, sectionName: search}],",
        "{requests: 5, interval: 1s}",
    );

    let table = table(&[SHOP, &limit], &identity("shop", "client", &[]));

    let host = table.outbound[0].hosts.iter().find(|host| host.name.starts_with("reviews")).expect("served");
    let names: Vec<_> = host.routes.iter().map(|route| (route.name.as_str(), route.rate_limits.len())).collect();
    assert_eq!(names, [("search", 1), ("rest", 0)]);
    assert_eq!(host.routes[0].rate_limits[0].burst, 5, "a bucket holds what is gained in one interval");
    assert!(table.rate_limits.is_empty());
}

#[test]
fn a_limit_that_changes_is_compiled_again_although_its_virtual_service_stays() {
    let client = identity("shop", "client", &[]);
    let named = |text: &str| SourceText { name: "limit.yaml".to_owned(), text: text.to_owned() };
    let one = limit("targetRefs: [{kind: VirtualService, name: reviews}],", "{requests: 5, interval: 1s}");
    let (before, _) = documents(&[SHOP]).update(&[named(&one)], &[]);
    let first = compile(&before, &client).expect("good");

    let (after, _) = before.update(&[named(&one.replace("requests: 5", "requests: 6"))], &[]);
    let second = compile(&after, &client).expect("good");
    let (gone, _) = after.update(&[], &["limit.yaml"]);
    let third = compile(&gone, &client).expect("good");

    let requests = |table: &wattle_contract::RouteTable| {
        let host = table.outbound[0].hosts.iter().find(|host| host.name.starts_with("reviews")).expect("served");
        host.routes[0].rate_limits.first().map(|limit| limit.requests)
    };
    assert_eq!((requests(&first), requests(&second), requests(&third)), (Some(5), Some(6), None));
    assert_ne!(first.version, second.version);
    assert_eq!(third, table(&[SHOP], &client));
}

#[test]
fn what_a_limit_cannot_mean_is_refused_with_its_place() {
    let cases = [
        ("", "{requests: 0, interval: 1s}", "spec.rules[0].requests"),
        ("", "{requests: 1}", "spec.rules[0].interval"),
        ("", "{requests: 1, interval: 0s}", "spec.rules[0].interval"),
        ("", "{requests: 1, interval: 1s, status: 200}", "spec.rules[0].status"),
        ("", "{requests: 1, interval: 1s, per: [source.adress]}", "spec.rules[0].per[0]"),
        ("", "{requests: 1, interval: 1s, maxBuckets: 100000000}", "spec.rules[0].maxBuckets"),
        ("", "{requests: 1, interval: 1s, match: [{uri: {regex: '('}}]}", "spec.rules[0].match[0].uri.regex"),
        ("targetRefs: [{kind: Service, name: a}],", "{requests: 1, interval: 1s}", "spec.targetRefs[0].kind"),
        ("selector: {}, targetRefs: [{kind: Gateway, name: a}],", "{requests: 1, interval: 1s}", "spec"),
    ];
    for (scope, rule, path) in cases {
        let found = errors(&limit(scope, rule));
        assert!(found.iter().any(|(at, _)| at == path), "{scope} {rule}: {found:?}");
    }
    assert!(errors(&limit("", "{requests: 1, interval: 1s}")).is_empty());
}

#[test]
fn a_limit_for_what_is_not_there_is_told() {
    let wrong = limit(
        "targetRefs: [{kind: VirtualService, name: reviews, sectionName: serch}],",
        "{requests: 1, interval: 1s}",
    );
    let findings = analyse(&documents(&[SHOP, &wrong]));

    let told = findings.iter().find(|finding| finding.rule == "target-not-found").expect("told");
    assert_eq!((told.file.as_str(), told.path.as_str()), ("1.yaml", "spec.targetRefs[0].sectionName"));
    assert!(told.remedy.contains("search"), "{told:?}");
}

#[test]
fn a_health_check_reaches_every_cluster_of_its_ports() {
    let check = "apiVersion: wattle.dev/v1alpha1\nkind: HealthCheck\nmetadata: {name: reviews, namespace: shop}\nspec: {host: reviews, ports: [9080], http: {path: /healthz}, checkPort: 8081, interval: 5s}\n";

    let table = table(&[SHOP, check], &identity("other", "client", &[]));

    let asked = cluster(&table, "outbound|9080||reviews.shop.svc.cluster.local").health_check.clone().expect("asked");
    assert_eq!(asked.kind, HealthCheckKind::Http { path: "/healthz".to_owned(), host: String::new() });
    assert_eq!(
        (asked.port, asked.interval, asked.timeout),
        (Some(8081), Duration::from_secs(5), Duration::from_secs(1))
    );
    assert_eq!((asked.unhealthy_threshold, asked.healthy_threshold), (3, 1));
    assert!(cluster(&table, "outbound|9081||reviews.shop.svc.cluster.local").health_check.is_none());
    assert!(errors(&check.replace("http: {path: /healthz}, ", "")).iter().any(|(path, _)| path == "spec"));
}

const TOKENS: &str = "
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec:
  selector: {matchLabels: {app: reviews}}
  jwtRules:
  - issuer: https://z.example
    jwksUri: https://z.example/keys
    fromHeaders: [{name: X-Token, prefix: 'Token '}]
    fromCookies: [session]
    forwardOriginalToken: true
    outputPayloadToHeader: X-Payload
    outputClaimToHeaders: [{header: X-Group, claim: nested.group}]
    timeout: 2s
  - issuer: https://a.example
    audiences: [shop]
    jwks: '{\"keys\": []}'
  - issuer: https://m.example
";

#[test]
fn tokens_are_looked_for_where_istio_looks_and_rules_are_ordered_by_issuer() {
    let held = table(&[SHOP, TOKENS], &identity("shop", "reviews", &[("app", "reviews")]));
    let other = table(&[SHOP, TOKENS], &identity("shop", "ratings", &[("app", "ratings")]));

    let issuers: Vec<_> = held.authentication.iter().map(|rule| rule.issuer.as_str()).collect();
    assert_eq!(issuers, ["https://a.example", "https://m.example", "https://z.example"]);
    let [inline, discovered, remote] = held.authentication.as_slice() else { panic!("three rules") };
    assert_eq!(
        inline.locations,
        [
            TokenLocation::Header { name: "authorization".to_owned(), prefix: "Bearer ".to_owned() },
            TokenLocation::QueryParameter("access_token".to_owned()),
        ]
    );
    assert_eq!(inline.audiences, ["shop"]);
    assert_eq!(discovered.keys, JwtKeys::Discovery { timeout: Duration::from_secs(5) });
    assert_eq!(
        remote.keys,
        JwtKeys::Remote { url: "https://z.example/keys".to_owned(), timeout: Duration::from_secs(2) }
    );
    assert_eq!(
        remote.locations,
        [
            TokenLocation::Header { name: "x-token".to_owned(), prefix: "Token ".to_owned() },
            TokenLocation::Cookie("session".to_owned()),
        ]
    );
    assert_eq!(remote.payload_header.as_deref(), Some("x-payload"));
    assert_eq!(remote.claim_headers[0].claim, "nested.group");
    assert!(remote.forward && !inline.forward);
    assert!(other.authentication.is_empty());
}

#[test]
fn the_root_namespaces_tokens_hold_everywhere_beside_the_namespaces_own() {
    let root = TOKENS.replace("namespace: shop", "namespace: istio-system").replace("a.example", "root.example");

    let table = table(&[SHOP, TOKENS, &root], &identity("shop", "reviews", &[("app", "reviews")]));

    assert_eq!(table.authentication.len(), 6);
}

#[test]
fn claims_are_matched_at_gateways_and_never_by_a_sidecar() {
    let edge = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec: {selector: {istio: edge}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: claims, namespace: shop}
spec:
  hosts: [reviews.shop.svc.cluster.local]
  gateways: [edge, mesh]
  http:
  - match: [{headers: {'@request.auth.claims[realm][group]': {exact: admin}}}]
    route: [{destination: {host: reviews, port: {number: 9081}}}]
  - route: [{destination: {host: reviews, port: {number: 9080}}}]
";
    let shop = SHOP.split("---\napiVersion: networking").next().expect("services");

    let at_gateway = table(&[shop, edge], &gateway("shop", &[("istio", "edge")]));
    let on_mesh = table(&[shop, edge], &identity("shop", "client", &[]));

    let routes = &at_gateway.gateways[0].hosts[0].routes;
    assert_eq!(routes.len(), 2);
    assert_eq!(routes[0].matches[0].claims[0].path, ["realm", "group"]);
    assert!(routes[0].matches[0].headers.is_empty());
    let host = on_mesh.outbound[0].hosts.iter().find(|host| host.name.starts_with("reviews")).expect("served");
    assert_eq!(host.routes.len(), 1);
    let bad = edge.replace("claims[realm][group]", "claims[realm");
    assert!(errors(&bad).iter().any(|(_, message)| message.contains("names no claim")));
}

#[test]
fn a_policy_that_asks_for_tokens_nobody_verifies_is_told() {
    let policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\nspec: {rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}\n";
    let told = |texts: &[&str]| {
        let findings = analyse(&documents(texts));
        findings.into_iter().find(|finding| finding.rule == "no-request-authentication").map(|finding| finding.path)
    };

    assert_eq!(told(&[SHOP, policy]).as_deref(), Some("spec.rules[0].from[0].source.requestPrincipals"));
    assert_eq!(told(&[SHOP, policy, TOKENS]), None);
}

#[test]
fn an_explanation_names_tokens_and_limits_and_a_difference_too() {
    let limit =
        limit("selector: {matchLabels: {app: reviews}},", "{name: all, per: [source.ip], requests: 3, interval: 2s}");
    let documents = documents(&[SHOP, TOKENS, &limit]);
    let request = RequestDescription::parse("GET http://reviews:9080/search", &[]).expect("a request");

    let told = explain(&documents, &request, None).to_string();

    assert!(
        told.contains("tokens of https://a.example in header authorization, query parameter access_token"),
        "{told}"
    );
    assert!(
        told.contains("rate limit shop/limit/all: 3 requests in 2 s for each source.ip, bursts of 3, then 429"),
        "{told}"
    );
    let (before, _) = documents.update(&[], &["2.yaml"]);
    let changes = diff(&before, &documents);
    assert!(changes.iter().any(|change| change.what == "rate limit shop/limit/all"), "{changes:?}");
}
