//! Windows from made-up samples: the laws of measurement.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wattle_contract::{EnergySource, Labels, METRIC_NAME, MachineFacts, Millicores, Milliseconds, Watts, Window};

use super::{Inputs, compute};
use crate::store::chunk::Point;
use crate::store::samples::Selected;

fn series(name: &str, labels: &[(&str, &str)], points: Vec<Point>) -> Selected {
    let named = labels.iter().copied().chain([(METRIC_NAME, name)]);
    Selected { labels: Labels::new(named), points }
}

fn window_of(series: &[Selected]) -> Option<Window> {
    let machines = BTreeMap::from([(
        "n1".into(),
        MachineFacts { cpu_capacity_millicores: Millicores::new(8000.0), ..MachineFacts::default() },
    )]);
    compute(&Inputs { start: 15_000, end: 30_000, series, machines: &machines }).map(|(window, _)| window)
}

fn joules(zone: &str, points: Vec<Point>) -> Selected {
    series("kepler_node_cpu_joules_total", &[("node_name", "n1"), ("zone", zone)], points)
}

#[test]
fn the_widest_zone_is_the_nodes_power() {
    let grow = |watts: f64| (0..6).map(|at| (at * 5_000, at as f64 * 5.0 * watts)).collect::<Vec<Point>>();
    let power = |zones: &[(&str, f64)]| {
        let found: Vec<Selected> = zones.iter().map(|(zone, watts)| joules(zone, grow(*watts))).collect();
        window_of(&found).expect("measured").nodes[0].power_watts.map(Watts::get)
    };

    assert_eq!(power(&[("package", 50.0), ("core", 30.0), ("dram", 6.0), ("psys", 80.0)]), Some(80.0));
    assert_eq!(power(&[("package", 50.0), ("core", 30.0), ("dram", 6.0)]), Some(56.0));
    assert_eq!(window_of(&[joules("core", grow(30.0))]), None, "a core is not its machine");
}

#[test]
fn what_was_not_measured_is_unknown_and_not_zero() {
    let ratio = series("kepler_node_cpu_usage_ratio", &[("node_name", "n1")], vec![(20_000, 0.25), (25_000, 0.75)]);

    let node = &window_of(&[ratio]).expect("heard of").nodes[0];

    assert_eq!((node.power_watts, node.energy_joules, node.energy_source), (None, None, None));
    assert_eq!(node.cpu_used_millicores.map(Millicores::get), Some(4000.0));
    assert_eq!((node.requests_per_second, node.pods), (None, None));
    assert_eq!(window_of(&[joules("psys", vec![(1_000, 5.0)])]), None);
}

#[test]
fn services_get_their_traffic_latency_and_share_of_energy() {
    let istio = [
        ("reporter", "destination"),
        ("destination_service", "search.hotel.svc.cluster.local"),
        ("destination_workload", "search"),
        ("destination_workload_namespace", "hotel"),
        ("pod", "search-0"),
        ("node", "n1"),
    ];
    let with = |more: &[(&'static str, &'static str)]| [istio.as_slice(), more].concat();
    let pod = [
        ("node_name", "n1"),
        ("pod_id", "id-1"),
        ("pod_name", "search-0"),
        ("pod_namespace", "hotel"),
        ("state", "running"),
    ];
    let container = [("node_name", "n1"), ("pod_id", "id-1"), ("state", "running")];
    let line = |rate: f64| vec![(10_000, 100.0), (20_000, 100.0 + 10.0 * rate), (25_000, 100.0 + 15.0 * rate)];
    let found = [
        joules("package", line(50.0)),
        series("istio_requests_total", &with(&[("response_code", "200")]), line(30.0)),
        series("istio_requests_total", &with(&[("response_code", "503")]), line(10.0)),
        series("istio_request_duration_milliseconds_bucket", &with(&[("le", "5")]), line(20.0)),
        series("istio_request_duration_milliseconds_bucket", &with(&[("le", "10")]), line(40.0)),
        series("istio_request_duration_milliseconds_bucket", &with(&[("le", "+Inf")]), line(40.0)),
        series("kepler_pod_cpu_joules_total", &[pod.as_slice(), &[("zone", "package")]].concat(), line(7.0)),
        series("kepler_pod_cpu_joules_total", &[pod.as_slice(), &[("zone", "core")]].concat(), line(5.0)),
        series("kepler_container_cpu_seconds_total", &container, line(0.5)),
    ];

    let window = window_of(&found).expect("measured");

    let service = &window.services[0];
    assert_eq!((service.requests_per_second, service.error_ratio), (40.0, 0.25));
    assert_eq!(service.p50_ms.map(|p50| p50.estimate.get()), Some(5.0));
    assert_eq!(service.p95_ms.and_then(|p95| p95.high).map(Milliseconds::get), Some(10.0));
    assert_eq!(service.power_watts.map(Watts::get), Some(7.0));
    assert_eq!(service.cpu_used_millicores.map(Millicores::get), Some(500.0));
    assert_eq!((window.nodes[0].pods, window.nodes[0].requests_per_second), (Some(1), Some(40.0)));
    assert_eq!(window.nodes[0].energy_source, Some(EnergySource::Measured));
}

#[test]
fn older_kepler_gives_services_the_power_of_their_containers() {
    let line = |watts: f64| vec![(10_000, 100.0), (25_000, 100.0 + 15.0 * watts)];
    let node =
        |mode, watts| series("kepler_node_package_joules_total", &[("instance", "n1"), ("mode", mode)], line(watts));
    let container = |name, pod, mode, watts| {
        let labels = [("instance", "n1"), ("pod_name", pod), ("container_namespace", "hotel"), ("mode", mode)];
        series(name, &labels, line(watts))
    };
    let istio = [
        ("reporter", "destination"),
        ("destination_service", "search.hotel.svc.cluster.local"),
        ("destination_workload_namespace", "hotel"),
        ("pod", "search-0"),
        ("node", "n1"),
    ];
    let package = "kepler_container_package_joules_total";
    let mut found = vec![
        node("dynamic", 40.0),
        node("idle", 20.0),
        container(package, "search-0", "dynamic", 9.0),
        container(package, "search-0", "dynamic", 3.0),
        container(package, "search-0", "idle", 5.0),
        container(package, "system_processes", "dynamic", 25.0),
        // Over all zones, the package among them.
        container("kepler_container_joules_total", "search-0", "dynamic", 14.0),
        series("istio_requests_total", &istio, line(10.0)),
    ];

    let window = window_of(&found).expect("measured");
    assert_eq!(window.services[0].power_watts.map(Watts::get), Some(12.0));
    assert_eq!((window.nodes[0].power_watts.map(Watts::get), window.nodes[0].pods), (Some(60.0), Some(1)));

    // Where the whole machine is metered, the sum over all zones is the container's part.
    found.push(series("kepler_node_platform_joules_total", &[("instance", "n1"), ("mode", "dynamic")], line(90.0)));
    let window = window_of(&found).expect("measured");
    assert_eq!(window.services[0].power_watts.map(Watts::get), Some(14.0));
}

#[test]
fn a_zone_that_stands_still_has_no_meter_and_is_no_power_of_zero() {
    let still = (0..6).map(|at| (at * 5_000, 0.0)).collect::<Vec<Point>>();
    let grows = (0..6).map(|at| (at * 5_000, at as f64 * 100.0)).collect::<Vec<Point>>();

    let blind = window_of(&[joules("psys", still.clone()), joules("package", still.clone())]).expect("heard of");
    assert_eq!((blind.nodes[0].power_watts, blind.nodes[0].energy_joules), (None, None));
    assert_eq!(blind.nodes[0].energy_source, None, "which says that there is no meter");

    let seeing = window_of(&[joules("psys", still), joules("package", grows)]).expect("measured");
    assert_eq!(seeing.nodes[0].power_watts.map(Watts::get), Some(20.0));
}

#[test]
fn edges_are_what_callers_report() {
    let labels = [
        ("reporter", "source"),
        ("source_canonical_service", "frontend"),
        ("source_workload_namespace", "hotel"),
        ("destination_service", "search.hotel.svc.cluster.local"),
    ];
    let line = |rate: f64| vec![(10_000, 0.0), (25_000, 15.0 * rate)];
    let found = [
        series("istio_requests_total", &labels, line(4.0)),
        series("istio_request_bytes_sum", &labels, line(100.0)),
        series("istio_response_bytes_sum", &labels, line(900.0)),
    ];

    let edges = window_of(&found).expect("measured").edges;

    assert_eq!(edges.len(), 1);
    assert_eq!(edges[0].client.as_str(), "frontend.hotel.svc.cluster.local");
    assert_eq!((edges[0].requests_per_second, edges[0].bytes_per_second), (4.0, Some(1000.0)));
}

proptest! {
    #[test]
    fn power_is_never_negative(values in prop::collection::vec(-1e12_f64..1e12, 2..20)) {
        let points: Vec<Point> = values.iter().enumerate().map(|(at, v)| (12_000 + at as i64 * 1_000, *v)).collect();

        if let Some(window) = window_of(&[joules("psys", points)]) {
            prop_assert!(window.nodes[0].power_watts.is_none_or(|power| power.get() >= 0.0));
        }
    }
}
