//! Any request against routes of every kind: one answer, the same each time, and the one of the normalised path.
//!
//!     cargo +nightly fuzz run router
#![no_main]

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use wattle_contract::RouteTable;
use wattle_mesh_config::{Documents, SourceText, compile};
use wattle_proxy::probe::route;

const MESH: &str = r#"
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a, namespace: default}
spec: {hosts: [a.example, b.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, endpoints: [{address: 127.0.0.1}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default}
spec:
  hosts: [a.example]
  http:
  - {name: exact, match: [{uri: {exact: /exact}}], route: [{destination: {host: a.example}}]}
  - {name: regex, match: [{uri: {regex: "/re/[0-9]+"}, headers: {x-a: {prefix: b}}}], route: [{destination: {host: a.example}}]}
  - {name: query, match: [{queryParams: {v: {exact: "1"}}, withoutHeaders: {x-no: {}}}], route: [{destination: {host: a.example}}]}
  - {name: case, match: [{uri: {prefix: /CaSe}, ignoreUriCase: true, method: {exact: POST}}], route: [{destination: {host: a.example}}]}
  - {name: rest, route: [{destination: {host: a.example}}]}
"#;

fn table() -> &'static Arc<RouteTable> {
    static TABLE: OnceLock<Arc<RouteTable>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let (documents, _) = Documents::parse(&[SourceText { name: "mesh.yaml".to_owned(), text: MESH.to_owned() }]);
        Arc::new(compile(&documents, &documents.identity("default", "client")).expect("the resources are right"))
    })
}

fuzz_target!(|data: &[u8]| {
    let found = route(table(), 80, data);
    assert_eq!(found, route(table(), 80, data), "the best route is unique");
});
