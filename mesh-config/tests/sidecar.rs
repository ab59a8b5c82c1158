//! What the proxy beside a workload does.

mod common;

use common::{cluster, documents, identity, sources, table};
use wattle_contract::route::{Action, Balancer, ClientTls, DomainMatch, Protocol};
use wattle_mesh_config::{Documents, SourceText, compile};

const SERVICE: &str = r"
apiVersion: v1
kind: Service
metadata: {name: search, namespace: hotel}
spec:
  selector: {app: search}
  ports: [{name: http, port: 8082, targetPort: web}]
---
apiVersion: v1
kind: Pod
metadata:
  name: search-v1-abc-1
  namespace: hotel
  labels: {app: search, version: v1}
  ownerReferences: [{kind: ReplicaSet, name: search-v1-abc, controller: true}]
spec:
  nodeName: node-a
  serviceAccountName: search
  containers: [{name: app, ports: [{name: web, containerPort: 9001}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: search-v2-abc-1, namespace: hotel, labels: {app: search, version: v2}}
spec: {nodeName: node-b}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: search-1, namespace: hotel, labels: {kubernetes.io/service-name: search}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1], targetRef: {kind: Pod, name: search-v1-abc-1}}]
ports: [{name: http, port: 9001}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: search-2, namespace: hotel, labels: {kubernetes.io/service-name: search}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1], conditions: {ready: true}, nodeName: node-b, targetRef: {kind: Pod, name: search-v2-abc-1}}]
ports: [{name: http, port: 9002}]
";

const CANARY: &str = r"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: search, namespace: hotel}
spec:
  hosts: [search]
  http:
  - timeout: 2s
    route:
    - {destination: {host: search, subset: v1}, weight: 90}
    - {destination: {host: search, subset: v2}, weight: 10}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: search, namespace: hotel}
spec:
  host: search
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 7}, http: {maxRetries: 3}}
    loadBalancer: {simple: ROUND_ROBIN}
  subsets:
  - {name: v1, labels: {version: v1}}
  - name: v2
    labels: {version: v2}
    trafficPolicy:
      connectionPool: {http: {http2MaxRequests: 5}}
      portLevelSettings:
      - {port: {number: 9999}, loadBalancer: {simple: RANDOM}}
";

#[test]
fn a_canary_is_split_by_weight_over_subsets() {
    let table = table(&[SERVICE, CANARY], &identity("hotel", "frontend", &[("app", "frontend")]));

    let port = &table.outbound[0];
    assert_eq!((port.port, port.protocol), (8082, Protocol::Http));
    let host = &port.hosts[0];
    assert!(host.domains.contains(&DomainMatch::Exact("search".to_owned())));
    assert!(host.domains.contains(&DomainMatch::Exact("search.hotel.svc.cluster.local".to_owned())));
    let Action::Forward(destinations) = &host.routes[0].action else { panic!("no forward") };
    let shares: Vec<_> = destinations.iter().map(|one| (one.cluster.as_str(), one.weight)).collect();
    assert_eq!(
        shares,
        [
            ("outbound|8082|v1|search.hotel.svc.cluster.local", 90),
            ("outbound|8082|v2|search.hotel.svc.cluster.local", 10)
        ]
    );
    let retries = host.routes[0].retries.as_ref().expect("Istio's default");
    assert_eq!(retries.attempts, 2);
    assert!(retries.on.connect_failure && !retries.on.gateway_error);
    let v1 = cluster(&table, "outbound|8082|v1|search.hotel.svc.cluster.local");
    assert_eq!(v1.endpoints.len(), 1);
    assert_eq!(v1.endpoints[0].workload.as_ref().expect("owned").as_str(), "search-v1");
    assert_eq!(v1.endpoints[0].node.as_ref().expect("placed").as_str(), "node-a");
    assert_eq!(v1.endpoints[0].service_account, "search");
    assert_eq!(v1.tls, ClientTls::Auto);
}

#[test]
fn a_subset_replaces_whole_blocks_of_the_top_level() {
    let table = table(&[SERVICE, CANARY], &identity("hotel", "frontend", &[]));

    let v1 = cluster(&table, "outbound|8082|v1|search.hotel.svc.cluster.local");
    let v2 = cluster(&table, "outbound|8082|v2|search.hotel.svc.cluster.local");

    assert_eq!((v1.limits.max_connections, v1.limits.max_retries), (Some(7), Some(3)));
    assert_eq!((v2.limits.max_connections, v2.limits.max_requests), (None, Some(5)));
    assert_eq!((&v1.balancer, &v2.balancer), (&Balancer::RoundRobin, &Balancer::RoundRobin));
}

#[test]
fn the_own_service_is_an_inbound_port() {
    let table = table(&[SERVICE], &identity("hotel", "search-v1", &[("app", "search"), ("version", "v1")]));

    assert_eq!(table.inbound.len(), 1);
    assert_eq!(table.inbound[0].port, 9001);
    assert_eq!(table.inbound[0].service, "search.hotel.svc.cluster.local");
}

#[test]
fn other_namespaces_do_not_get_the_bare_name() {
    let table = table(&[SERVICE], &identity("elsewhere", "x", &[]));

    let domains = &table.outbound[0].hosts[0].domains;
    assert!(!domains.contains(&DomainMatch::Exact("search".to_owned())));
    assert!(domains.contains(&DomainMatch::Exact("search.hotel".to_owned())));
}

#[test]
fn a_broken_document_is_told_with_its_place_and_nothing_is_compiled() {
    let text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a, namespace: b}\nspec:\n  hosts: [a]\n  http:\n  - rout: []\n";
    let source = SourceText { name: "mesh/a.yaml".to_owned(), text: text.to_owned() };

    let (documents, findings) = Documents::parse(&[source]);

    let finding = findings.iter().find(|finding| finding.rule == "unknown-field").expect("told");
    assert_eq!((finding.file.as_str(), finding.line, finding.column), ("mesh/a.yaml", 7, 5));
    assert_eq!(finding.path, "spec.http[0].rout");
    assert_eq!(finding.remedy, "did you mean \"route\"?");
    assert!(compile(&documents, &identity("b", "x", &[])).is_err());
}

#[test]
fn the_version_follows_the_content() {
    let identity = identity("hotel", "frontend", &[]);

    let files = sources(&[SERVICE, CANARY]);
    let turned: Vec<_> = files.iter().rev().cloned().collect();
    let one = compile(&Documents::parse(&files).0, &identity).expect("no errors");
    let same = compile(&Documents::parse(&turned).0, &identity).expect("no errors");
    let other = table(&[SERVICE], &identity);

    assert_eq!(one.version, same.version);
    assert_ne!(one.version, other.version);
    assert!(documents(&[SERVICE]).len() == 5);
}
