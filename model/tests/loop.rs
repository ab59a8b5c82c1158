//! The whole way from windows to predictions, on machines that nobody told the model about.

use wattle_contract::{
    ClusterSnapshot, EnergySource, LatencyBracket, MachineFacts, Millicores, Milliseconds, NodeName, NodeWindow,
    PodKey, PodPlacement, PodRequest, PodResources, ServiceName, ServiceWindow, Timestamp, Watts, Window,
};
use wattle_model::{Artifact, Dataset, Error, Predictor, TrainOptions, train};

/// Three machines: idle watts, watts above idle at full load, exponent of the curve, cores.
const MACHINES: [(f64, f64, f64, f64); 3] =
    [(60.0, 180.0, 0.7, 16.0), (110.0, 90.0, 1.6, 8.0), (45.0, 300.0, 1.0, 32.0)];

fn noise(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as f64 / (1_u64 << 31) as f64 - 0.5
}

fn bracket(ms: f64) -> LatencyBracket {
    let edges = [0.0, 0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0];
    let at = edges.iter().rposition(|edge| *edge <= ms).unwrap_or(0);
    let milliseconds = |value: f64| Milliseconds::new(value).expect("finite");
    LatencyBracket {
        low: milliseconds(edges[at]),
        estimate: milliseconds(ms),
        high: edges.get(at + 1).map(|edge| milliseconds(*edge)),
    }
}

fn windows(count: i64) -> Vec<Window> {
    let mut seed = 7;
    (0..count)
        .map(|at| {
            let mut nodes = Vec::new();
            let mut services = Vec::new();
            for (number, (idle, span, bend, cores)) in MACHINES.into_iter().enumerate() {
                let name = NodeName::from(format!("node-{number}"));
                let u =
                    (0.375 + 0.3 * (at as f64 / 9.0 + number as f64).sin() + 0.05 * noise(&mut seed)).clamp(0.05, 0.7);
                let watts = (idle + span * f64::powf(u, bend)) * (1.0 + 0.02 * noise(&mut seed));
                nodes.push(NodeWindow {
                    node: name.clone(),
                    machine: MachineFacts {
                        cpu_capacity_millicores: Millicores::new(cores * 1000.0),
                        ..MachineFacts::default()
                    },
                    power_watts: Watts::new(watts),
                    energy_joules: None,
                    energy_source: Some(EnergySource::Simulated),
                    cpu_used_millicores: Millicores::new(u * cores * 1000.0),
                    memory_used_bytes: None,
                    requests_per_second: Some(100.0 * u),
                    pods: Some(4),
                });
                for (service, base) in [("search", 4.0), ("user", 0.8)] {
                    let p95 = base * (1.0 + u * u / (1.0 - u)) * (1.0 + 0.2 * noise(&mut seed));
                    services.push(ServiceWindow {
                        service: format!("{service}.hotel.svc.cluster.local").into(),
                        node: name.clone(),
                        requests_per_second: 50.0 * u,
                        error_ratio: 0.0,
                        p50_ms: Some(bracket(p95 / 3.0)),
                        p95_ms: Some(bracket(p95)),
                        cpu_used_millicores: Millicores::new(100.0 * u),
                        power_watts: None,
                    });
                }
            }
            Window { start: Timestamp(at * 5000), end: Timestamp((at + 1) * 5000), nodes, services, edges: Vec::new() }
        })
        .collect()
}

fn snapshot(window: Window) -> ClusterSnapshot {
    let placements = (0..6)
        .map(|at| PodPlacement {
            workload: Some("search".into()),
            ..PodPlacement::new(PodKey::new("hotel", &format!("search-{at}")), "node-0".into())
        })
        .collect();
    ClusterSnapshot { placements, ..ClusterSnapshot::of(1, window) }
}

#[test]
fn three_unlike_machines_are_learnt_from_sixty_windows() {
    let data = Dataset::from_windows(&windows(60));

    let mut steps = Vec::new();
    let trained = train(&data, &TrainOptions::default(), &mut |progress| steps.push(progress)).expect("a model");

    let scores = &trained.evaluation;
    println!("{scores:#?}");
    let (ours, baseline) = (scores.power_mape.expect("scored"), scores.power_mape_baseline.expect("scored"));
    assert!(ours < 2.0 && ours < 0.2 * baseline, "{ours} against {baseline}");
    assert!(scores.latency_mape < scores.latency_mape_baseline);
    assert!(scores.worse_than_baseline().is_none());
    assert!(
        steps.windows(2).all(|pair| pair[0].done <= pair[1].done)
            && steps.last().is_some_and(|last| last.done == last.total)
    );
}

#[test]
fn predictions_rise_with_load_and_unknown_stays_none() {
    let windows = windows(60);
    let trained = train(&Dataset::from_windows(&windows), &TrainOptions::default(), &mut |_| ()).expect("a model");
    let mut window = windows[59].clone();
    let mut stranger = window.nodes[0].clone();
    stranger.node = "stranger".into();
    window.nodes.push(stranger);
    window.nodes[1].cpu_used_millicores = None;
    window.nodes[2].machine.cpu_capacity_millicores = None;
    let search = ServiceName::from("search.hotel.svc.cluster.local");

    let predictions = Predictor::new(&trained.artifact).expect("a predictor").compile(&snapshot(window));

    assert!(predictions.node(&"node-1".into()).is_none() && predictions.node(&"node-2".into()).is_none());
    let stranger = predictions.node(&"stranger".into()).expect("its latency can be told");
    assert_eq!(stranger.added_watts(Millicores::new(500.0).expect("finite")), None);
    let node = predictions.node(&"node-0".into()).expect("measured");
    assert!(node.p95(Some(&"nobody".into()), Millicores::ZERO).is_none());
    let mut last = (0.0, 0.0);
    for step in 0..80 {
        let extra = Millicores::new(f64::from(step) * 250.0).expect("finite");
        let watts = node.added_watts(extra).expect("measured");
        let p95 = node.p95(Some(&search), extra).expect("measured");
        assert!(watts.low <= watts.mid && watts.mid <= watts.high && p95.low <= p95.mid && p95.mid <= p95.high);
        assert!(last.0 <= watts.mid.get() && last.1 <= p95.mid.get());
        last = (watts.mid.get(), p95.mid.get());
    }
    assert!(last.0 > 100.0, "overload is never cheap: {} W", last.0);
}

#[test]
fn a_pod_is_taken_for_what_its_like_use_else_for_its_request() {
    let windows = windows(60);
    let trained = train(&Dataset::from_windows(&windows), &TrainOptions::default(), &mut |_| ()).expect("a model");
    let used: f64 = windows[59]
        .services
        .iter()
        .filter(|s| s.service.as_str().starts_with("search"))
        .filter_map(|s| s.cpu_used_millicores)
        .map(Millicores::get)
        .sum();
    let pod = |workload: Option<&str>, service: Option<&str>| PodRequest {
        pod: PodKey::new("hotel", "new"),
        uid: String::new(),
        workload: workload.map(Into::into),
        service: service.map(Into::into),
        cpu_request_millicores: Millicores::new(1000.0),
        memory_request_bytes: None,
        objective: wattle_contract::Objective::Balanced,
        slo_p95_ms: None,
        weight_energy: None,
        weight_latency: None,
    };

    let predictions = Predictor::new(&trained.artifact).expect("a predictor").compile(&snapshot(windows[59].clone()));

    let per_pod = Millicores::new(used / 6.0);
    assert_eq!(predictions.pod_cpu(&pod(Some("search"), None)), per_pod);
    assert_eq!(predictions.pod_cpu(&pod(None, Some("search.hotel.svc.cluster.local"))), per_pod);
    assert_eq!(predictions.pod_cpu(&pod(Some("other"), None)), Millicores::new(1000.0));

    // Twenty pods ask for 20 cores where so much of them is used: what else asks is taken for as much of its request.
    let on_first = |at: usize, cpu: f64| PodPlacement {
        resources: PodResources { cpu_request_millicores: Millicores::new(cpu), ..PodResources::default() },
        ..PodPlacement::new(PodKey::new("shop", &format!("p-{at}")), "node-0".into())
    };
    let asked = |pods: usize, cpu: f64| {
        let placements = (0..pods).map(|at| on_first(at, cpu)).collect();
        let snapshot = ClusterSnapshot { placements, ..ClusterSnapshot::of(1, windows[59].clone()) };
        let predictor = Predictor::new(&trained.artifact).expect("a predictor");
        predictor.compile(&snapshot).pod_cpu(&pod(Some("other"), None)).map_or(0.0, f64::from)
    };
    let used = windows[59].nodes[0].cpu_used_millicores.map_or(0.0, f64::from);
    assert!((asked(20, 1_000.0) - used / 20.0).abs() < 1e-9, "{used} of 20 cores");
    assert_eq!(asked(19, 1_000.0), 1_000.0, "too few to tell");
    assert_eq!(asked(20, 10.0), 1_000.0, "never more than asked for");
    assert_eq!(asked(20, 1e6), 200.0, "never less than a fifth");

    let joules = predictions.joules_per_request(&"node-0".into(), &"search.hotel.svc.cluster.local".into());
    assert!(joules.is_some_and(|joules| joules.mid.get() > 0.0));
}

#[test]
fn the_same_rows_give_the_same_bytes_and_they_come_back() {
    let data = Dataset::from_windows(&windows(40));
    let mut shuffled = windows(40);
    shuffled.reverse();

    let first = train(&data, &TrainOptions::default(), &mut |_| ()).expect("a model").artifact;
    let second =
        train(&Dataset::from_windows(&shuffled), &TrainOptions::default(), &mut |_| ()).expect("a model").artifact;

    let bytes = first.to_bytes().expect("bytes");
    assert!(bytes == second.to_bytes().expect("bytes"), "two trainings differ");
    assert!(Artifact::from_bytes(&bytes).expect("the same model") == first, "reading changed the model");
    assert_eq!(Predictor::new(&first).expect("a predictor").id(), first.id().expect("an id"));
}

#[test]
fn a_file_that_does_not_fit_is_refused_whole() {
    let data = Dataset::from_windows(&windows(40));
    let artifact = train(&data, &TrainOptions::default(), &mut |_| ()).expect("a model").artifact;
    let bytes = artifact.to_bytes().expect("bytes");

    for end in [0, 3, 8, 15, 40, bytes.len() / 2, bytes.len() - 1] {
        let refused = Artifact::from_bytes(&bytes[..end]).expect_err("cut short");
        assert!(matches!(refused, Error::Truncated { .. } | Error::Foreign), "{end}: {refused}");
    }
    for at in [20, bytes.len() / 2, bytes.len() - 1] {
        let mut tampered = bytes.clone();
        tampered[at] ^= 1;
        assert!(matches!(Artifact::from_bytes(&tampered), Err(Error::Checksum { .. })));
    }
    let mut newer = bytes.clone();
    newer[8] = 9;
    assert!(matches!(Artifact::from_bytes(&newer), Err(Error::Version { major: 9, .. })));
    assert!(matches!(Artifact::from_bytes(b"PK\x03\x04 something else entirely"), Err(Error::Foreign)));
    let mut longer = bytes;
    longer.push(0);
    assert!(matches!(Artifact::from_bytes(&longer), Err(Error::Malformed(_))));
    let mut other = artifact.clone();
    other.node_schema_hash = "00".repeat(32);
    assert!(matches!(Artifact::from_bytes(&other.to_bytes().expect("bytes")), Err(Error::Schema { .. })));
    let mut nan = artifact;
    nan.baseline.watts = Some(f64::NAN);
    nan.power.as_mut().expect("power").margin = f64::NAN;
    assert!(Artifact::from_bytes(&nan.to_bytes().expect("bytes")).is_err());
}

#[test]
fn the_report_is_one_page_that_loads_nothing() {
    let data = Dataset::from_windows(&windows(60));
    let artifact = train(&data, &TrainOptions::default(), &mut |_| ()).expect("a model").artifact;

    let page = wattle_model::report::html(&artifact, &data.split(0.25).1, &data).expect("a page");

    assert_eq!(page.matches("<svg").count(), 8 - page.matches("No trees were kept").count());
    assert!(!page.contains("http") && !page.contains("NaN") && page.ends_with("</html>"));
    assert!(wattle_model::report::show(&artifact).contains("node-1"));
}
