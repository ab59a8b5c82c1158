//! Measures reading, validating and compiling a large mesh on one core: `bench/mesh-config/run` calls it.
//!
//! Prints a JSON list of `{name, value, unit, bar, met}`. The resources are generated, always the same: a quarter each of
//! Services, EndpointSlices, VirtualServices with three routes, and DestinationRules with two subsets.

#![expect(clippy::print_stdout, reason = "it is a program that prints")]
#![expect(clippy::disallowed_methods, reason = "it measures wall time, and pauses nothing")]

use std::time::Instant;

use serde_json::{Value, json};
use wattle_contract::WorkloadIdentity;
use wattle_contract::route::Cluster;
use wattle_mesh_config::{Documents, SourceText, analyse, compile};

/// Services in one namespace, and in one file.
const PER_NAMESPACE: usize = 50;

/// The four resources of one service.
const TEMPLATE: &str = "---
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: ns-NAMESPACE}
spec:
  selector: {app: NAME}
  clusterIP: 10.SECOND.THIRD.1
  ports:
  - {name: http, port: 8080, targetPort: 8080}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: NAME-1
  namespace: ns-NAMESPACE
  labels: {kubernetes.io/service-name: NAME}
addressType: IPv4
endpoints:
- addresses: [10.SECOND.THIRD.2]
- addresses: [10.SECOND.THIRD.3]
- addresses: [10.SECOND.THIRD.4]
ports:
- {name: http, port: 8080}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: NAME
  namespace: ns-NAMESPACE
spec:
  hosts:
  - NAME
  http:
  - match:
    - uri:
        prefix: /api/v2
      headers:
        end-user:
          exact: jason
    route:
    - destination:
        host: NAME
        subset: v2
    timeout: 3s
    retries:
      attempts: 2
      perTryTimeout: 1s
      retryOn: gateway-error,connect-failure
  - match:
    - uri:
        prefix: /admin
    directResponse:
      status: 403
  - route:
    - destination:
        host: NAME
        subset: v1
      weight: 90
    - destination:
        host: NAME
        subset: v2
      weight: 10
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: NAME
  namespace: ns-NAMESPACE
spec:
  host: NAME
  trafficPolicy:
    connectionPool:
      tcp:
        maxConnections: 100
      http:
        http1MaxPendingRequests: 100
    outlierDetection:
      consecutive5xxErrors: 5
      maxEjectionPercent: 50
  subsets:
  - name: v1
    labels: {version: v1}
  - name: v2
    labels: {version: v2}
";

fn service(text: &mut String, index: usize) {
    let numbers = [("SECOND", index / 250 % 250), ("THIRD", index % 250), ("NAMESPACE", index / PER_NAMESPACE)];
    let named = TEMPLATE
        .replace("NAMESPACE", "\u{1}")
        .replace("NAME", &format!("service-{index}"))
        .replace('\u{1}', "NAMESPACE");
    text.push_str(&numbers.iter().fold(named, |text, (word, number)| text.replace(word, &number.to_string())));
}

fn sources(resources: usize) -> Vec<SourceText> {
    let services: Vec<usize> = (0..resources / 4).collect();
    services
        .chunks(PER_NAMESPACE)
        .enumerate()
        .map(|(file, indices)| {
            let mut text = String::new();
            indices.iter().for_each(|index| service(&mut text, *index));
            SourceText { name: format!("mesh/{file}.yaml"), text }
        })
        .collect()
}

/// Gives a figure of the process in bytes, such as `VmHWM`; `None` where the system does not tell.
fn memory(figure: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(figure))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib * 1024.0)
}

/// Gives the time that this thread has had a core, so that busy neighbours do not count; wall time where the system does
/// not tell.
fn spent(start: Instant) -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(|| start.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

fn seconds<T>(start: Instant, work: impl FnOnce() -> T) -> (f64, T) {
    let before = spent(start);
    let result = work();
    (spent(start) - before, result)
}

fn figure(name: &str, value: f64, unit: &str, bar: Option<f64>) -> Value {
    json!({ "name": name, "value": value, "unit": unit, "bar": bar, "met": bar.map(|bar| value <= bar) })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let start = Instant::now();
    let resources = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let files = sources(resources);
    let bytes: usize = files.iter().map(|file| file.text.len()).sum();
    let base = memory("VmRSS");
    let client: WorkloadIdentity = Documents::parse(&[]).0.identity("ns-0", "client");

    let (read, (documents, findings)) = seconds(start, || Documents::parse(&files));
    assert!(findings.is_empty(), "the generated resources have no findings: {:?}", findings.first());
    let (first, table) = seconds(start, || compile(&documents, &client).expect("no errors"));
    let clusters = table.clusters.len();
    // What a cluster with its endpoints takes: all of them once more, in memory that is not shared.
    let before = memory("VmRSS");
    let copies: Vec<Cluster> = table.clusters.values().map(|cluster| Cluster::clone(cluster)).collect();
    let after = memory("VmRSS");
    // What a second proxy's table takes, clusters shared, its routes its own.
    let second = compile(&documents, &documents.identity("ns-1", "client")).expect("no errors");
    let with_second = memory("VmRSS");
    drop((copies, second));

    // One VirtualService changes: its file is read again, the rest is kept, and the whole table is made anew.
    let mut changes = Vec::new();
    let mut current = documents.clone();
    for round in 0..7 {
        let mut changed = files[round % files.len()].clone();
        changed.text = changed.text.replacen("weight: 90", &format!("weight: {}", 80 + round), 1);
        let (spent, (next, _, _)) = seconds(start, || {
            let (next, findings) = current.update(std::slice::from_ref(&changed), &[]);
            let table = compile(&next, &client).expect("no errors");
            (next, table, findings)
        });
        changes.push(spent);
        current = next;
    }
    let peak = memory("VmHWM");
    let (analysed, findings) = seconds(start, || analyse(&documents));

    let mut figures = vec![
        figure("resources", resources as f64, "", None),
        figure("input", bytes as f64 / 1_048_576.0, "MiB", None),
        figure("read_and_validate", read, "s", None),
        figure("compile", first, "s", None),
        figure("read_validate_compile", read + first, "s", Some(1.5)),
        figure("recompile_after_one_change", median(changes) * 1000.0, "ms", Some(50.0)),
        figure("analyse", analysed, "s", None),
        figure("findings", findings.len() as f64, "", None),
        figure("clusters", clusters as f64, "", None),
    ];
    if let (Some(base), Some(before), Some(after), Some(peak)) = (base, before, after, peak) {
        figures.push(figure("peak_memory", peak / 1_048_576.0, "MiB", Some(300.0)));
        figures.push(figure("documents_and_table_memory", (before - base) / 1_048_576.0, "MiB", None));
        let each = (after - before).max(0.0) / clusters.max(1) as f64;
        figures.push(figure("bytes_per_cluster", each, "B", Some(2048.0)));
        if let Some(with_second) = with_second {
            figures.push(figure("second_proxy_memory", (with_second - after).max(0.0) / 1_048_576.0, "MiB", None));
        }
    }
    println!("{}", serde_json::to_string(&figures).expect("plain data"));
}
