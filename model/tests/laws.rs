//! The laws of the model, on random input.

use ndarray::Array2;
use proptest::prelude::*;
use wattle_contract::{
    Bytes, ClusterSnapshot, EnergySource, LatencyBracket, MachineFacts, Millicores, Milliseconds, NodeName, NodeWindow,
    ServiceWindow, Timestamp, Watts, Window,
};
use wattle_model::boost::{BoostOptions, Boosted, Loss, Targets};
use wattle_model::features::{Monotone, extract};
use wattle_model::{Dataset, Predictor, TrainOptions, train};

/// What one node measured in one window; `None` where nothing was.
type Measured = (Option<f64>, Option<f64>, Option<u64>, Option<f64>, Option<u32>);

fn measured() -> impl Strategy<Value = Measured> {
    (
        prop::option::weighted(0.9, 0.0..8_000.0_f64),
        prop::option::weighted(0.9, prop_oneof![9 => 20.0..400.0_f64, 1 => -10.0..60_000.0_f64]),
        prop::option::of(0..64_000_000_000_u64),
        prop::option::of(0.0..5_000.0_f64),
        prop::option::of(0..200_u32),
    )
}

fn windows(rows: &[Vec<Measured>]) -> Vec<Window> {
    let node = |number: usize, (cpu, watts, memory, rate, pods): &Measured| NodeWindow {
        node: NodeName::from(format!("node-{number}")),
        machine: MachineFacts {
            cpu_capacity_millicores: Millicores::new(8_000.0),
            memory_capacity_bytes: Some(Bytes(64_000_000_000)),
            class: (number > 0).then(|| "twin".to_owned()),
            ..MachineFacts::default()
        },
        power_watts: watts.and_then(Watts::new),
        energy_joules: None,
        energy_source: Some(EnergySource::Measured),
        cpu_used_millicores: cpu.and_then(Millicores::new),
        memory_used_bytes: memory.map(Bytes),
        requests_per_second: *rate,
        pods: *pods,
    };
    let service = |number: usize, (cpu, _, _, rate, _): &Measured| {
        let ms = |value: f64| Milliseconds::new(value).expect("finite");
        let estimate = 1.0 + cpu.unwrap_or(0.0) / 500.0;
        ServiceWindow {
            service: "search.hotel".into(),
            node: NodeName::from(format!("node-{number}")),
            requests_per_second: rate.unwrap_or(0.0),
            error_ratio: 0.0,
            p50_ms: None,
            p95_ms: Some(LatencyBracket { low: ms(0.5), estimate: ms(estimate), high: Some(ms(25.0)) }),
            cpu_used_millicores: cpu.and_then(Millicores::new),
            power_watts: None,
        }
    };
    let window = |(at, nodes): (usize, &Vec<Measured>)| Window {
        start: Timestamp(at as i64 * 5000),
        end: Timestamp(at as i64 * 5000 + 5000),
        nodes: nodes.iter().enumerate().map(|(number, measured)| node(number, measured)).collect(),
        services: nodes.iter().enumerate().map(|(number, measured)| service(number, measured)).collect(),
        edges: Vec::new(),
    };
    rows.iter().enumerate().map(window).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_measured_training_does_not_panic_and_more_load_is_never_cheaper(
        rows in prop::collection::vec(prop::collection::vec(measured(), 3), 1..60),
        extras in prop::collection::vec(0.0..20_000.0_f64, 12),
    ) {
        let windows = windows(&rows);
        let Ok(trained) = train(&Dataset::from_windows(&windows), &TrainOptions::default(), &mut |_| ()) else {
            return Ok(());
        };
        let last = windows.last().cloned().expect("at least one window");
        let snapshot = ClusterSnapshot::of(1, last);
        let predictions = Predictor::new(&trained.artifact).expect("a predictor").compile(&snapshot);
        let mut extras = extras;
        extras.sort_unstable_by(f64::total_cmp);

        for node in &snapshot.window.nodes {
            let known = extract(node, Millicores::ZERO).is_some();
            let Some(prediction) = predictions.node(&node.node) else { continue };
            prop_assert!(known, "an unknown node has a prediction");
            let (mut watts, mut ms) = (0.0, 0.0);
            let level = |extra| prediction.watts(extra).map(|watts| watts.mid.get());
            for extra in extras.iter().filter_map(|extra| Millicores::new(*extra)) {
                if let Some(added) = prediction.added_watts(extra) {
                    prop_assert!(added.low <= added.mid && added.mid <= added.high && added.low.get() >= 0.0);
                    prop_assert!(added.mid.get() >= watts);
                    watts = added.mid.get();
                    // What a pod is charged is what its node draws more: nothing is counted twice or lost.
                    let more = level(extra).zip(level(Millicores::ZERO)).map(|(with, without)| with - without);
                    prop_assert!(more.is_some_and(|more| (more - watts).abs() <= 1e-6 * (1.0 + level(extra).unwrap_or(0.0))));
                }
                if let Some(p95) = prediction.p95(None, extra) {
                    prop_assert!(p95.mid.get() >= ms);
                    ms = p95.mid.get();
                }
            }
        }
    }

    #[test]
    fn training_and_serving_extract_the_same(row in measured()) {
        let windows = windows(&[vec![row]]);
        let served = extract(&windows[0].nodes[0], Millicores::ZERO);

        let data = Dataset::from_windows(&windows);

        for learnt in data.power.iter().map(|row| row.features).chain(data.latency.iter().map(|row| row.features)) {
            let served = served.expect("what was learnt from can be served");
            for (learnt, served) in learnt.values().iter().zip(served.values()) {
                prop_assert!(learnt == served || (learnt.is_nan() && served.is_nan()));
            }
        }
    }

    #[test]
    fn trees_obey_their_directions_and_explain_all_of_a_prediction(
        seed in 0..1000_u64,
        cells in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64, prop::option::of(0.0..1.0_f64), -1.0..1.0_f64), 80..200),
        median in any::<bool>(),
    ) {
        let x = Array2::from_shape_fn((cells.len(), 3), |(row, column)| match column {
            0 => cells[row].0,
            1 => cells[row].1,
            _ => cells[row].2.unwrap_or(f64::NAN),
        });
        let y: Vec<f64> = cells.iter().map(|(a, b, _, noise)| a.sin() - 2.0 * b + noise).collect();
        let loss = if median { Loss::Pinball(0.5) } else { Loss::Squared };
        let options = BoostOptions { trees: 20, least_rows: 3, row_share: 0.7, column_share: 0.7, loss, seed, ..BoostOptions::default() };
        let directions = [Monotone::Up, Monotone::Down, Monotone::Free];

        let model = Boosted::fit(x.view(), &Targets::Exact(&y), &directions, &options).expect("a model");

        let mut last = [f64::NEG_INFINITY, f64::INFINITY];
        for step in 0..50_u32 {
            let at = f64::from(step) / 50.0;
            let (up, down) = (model.at(&[at, 0.4, 0.3]), model.at(&[0.4, at, f64::NAN]));
            prop_assert!(up >= last[0] - 1e-12 && down <= last[1] + 1e-12);
            last = [up, down];
            let (start, parts) = model.explain(&[at, 0.4, 0.3]);
            prop_assert!((start + parts.iter().sum::<f64>() - up).abs() < 1e-9);
        }
        let again = Boosted::fit(x.view(), &Targets::Exact(&y), &directions, &options).expect("a model");
        prop_assert!(again == model, "the same seed gave another model");
    }
}
