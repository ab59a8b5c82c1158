//! Laws of drift: an alarm takes the trees off exactly what it names, and never breaks another law.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use proptest::prelude::*;
use wattle_contract::{
    ClusterSnapshot, EnergySource, LatencyBracket, MachineFacts, Millicores, Milliseconds, NodeName, NodeWindow,
    ServiceWindow, Timestamp, Watts, Window,
};
use wattle_model::drift::{Alarm, DriftMonitor, PageHinkley, Stability};
use wattle_model::{Dataset, Predictor, TrainOptions, train};

const NODES: usize = 3;

/// Power falls with the number of pods on a node, which no layer but the trees can learn.
fn window(at: i64, factor: f64) -> Window {
    let ms = |value: f64| Milliseconds::new(value).expect("finite");
    let (mut nodes, mut services) = (Vec::new(), Vec::new());
    for number in 0..NODES {
        let u = 0.4 + 0.35 * (at as f64 / 5.0 + number as f64).sin();
        let pods = ((at * 7 + number as i64 * 3) % 16) as u32;
        let name = NodeName::from(format!("node-{number}"));
        nodes.push(NodeWindow {
            node: name.clone(),
            machine: MachineFacts { cpu_capacity_millicores: Millicores::new(8_000.0), ..MachineFacts::default() },
            power_watts: Watts::new(factor * (80.0 + 120.0 * u + if pods > 7 { 40.0 } else { 0.0 })),
            energy_joules: None,
            energy_source: Some(EnergySource::Simulated),
            cpu_used_millicores: Millicores::new(8_000.0 * u),
            memory_used_bytes: None,
            requests_per_second: Some(100.0 * u),
            pods: Some(pods),
        });
        let p95 = factor * 4.0 / (1.0 - u) * if pods > 7 { 2.0 } else { 1.0 };
        services.push(ServiceWindow {
            service: "search.hotel".into(),
            node: name,
            requests_per_second: 50.0 * u,
            error_ratio: 0.0,
            p50_ms: None,
            p95_ms: Some(LatencyBracket { low: ms(p95), estimate: ms(p95), high: Some(ms(p95)) }),
            cpu_used_millicores: None,
            power_watts: None,
        });
    }
    Window { start: Timestamp(at * 5_000), end: Timestamp((at + 1) * 5_000), nodes, services, edges: Vec::new() }
}

fn predictor() -> &'static Predictor {
    static PREDICTOR: OnceLock<Predictor> = OnceLock::new();
    PREDICTOR.get_or_init(|| {
        let windows: Vec<Window> = (0..300).map(|at| window(at, 1.0)).collect();
        let trained = train(&Dataset::from_windows(&windows), &TrainOptions::default(), &mut |_| ()).expect("a model");
        let artifact = trained.artifact;
        assert!(
            artifact.power.as_ref().is_some_and(|power| power.residual.is_some()),
            "power has no trees to take off"
        );
        assert!(artifact.p95.as_ref().is_some_and(|p95| p95.residual.is_some()), "p95 has no trees to take off");
        Predictor::new(&artifact).expect("a predictor")
    })
}

/// The same model after its trees were taken out by hand.
fn without_trees() -> Predictor {
    let mut artifact = predictor().artifact().clone();
    if let Some(power) = &mut artifact.power {
        power.residual = None;
    }
    if let Some(p95) = &mut artifact.p95 {
        p95.residual = None;
    }
    Predictor::new(&artifact).expect("a predictor")
}

fn snapshot(at: i64) -> ClusterSnapshot {
    let window = window(at, 1.0);
    ClusterSnapshot::of(1, window)
}

fn alarms() -> impl Strategy<Value = BTreeSet<Alarm>> {
    let node = (0..NODES).prop_map(|number| NodeName::from(format!("node-{number}")));
    let alarm = (0..5_u8, node).prop_map(|(kind, node)| match kind {
        0 => Alarm::Utilisation,
        1 | 2 => Alarm::Power(node),
        _ => Alarm::Latency(node),
    });
    prop::collection::btree_set(alarm, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn an_alarm_takes_the_trees_off_what_it_names_and_off_nothing_else(
        alarms in alarms(), at in 300..400_i64, extra in 0.0..9_000.0_f64,
    ) {
        let snapshot = snapshot(at);
        let (with, after, without) =
            (predictor().compile(&snapshot), predictor().compile_after(&snapshot, &alarms), without_trees().compile(&snapshot));
        let extra = Millicores::new(extra).expect("finite");
        let search = "search.hotel".into();

        for number in 0..NODES {
            let name = NodeName::from(format!("node-{number}"));
            let of = |predictions: &wattle_model::Predictions| {
                let node = predictions.node(&name).expect("measured");
                (node.watts(extra).map(|i| i.mid.get()), node.p95(Some(&search), extra).map(|i| i.mid.get()), node.has_drifted())
            };
            let all = alarms.contains(&Alarm::Utilisation);
            let (power, latency) =
                (all || alarms.contains(&Alarm::Power(name.clone())), all || alarms.contains(&Alarm::Latency(name.clone())));
            let (got, full, plain) = (of(&after), of(&with), of(&without));
            prop_assert_eq!(got.0, if power { plain.0 } else { full.0 });
            prop_assert_eq!(got.1, if latency { plain.1 } else { full.1 });
            prop_assert_eq!(got.2, power || latency);
        }
    }

    #[test]
    fn power_and_latency_still_never_fall_with_load(alarms in alarms(), at in 300..400_i64, extras in prop::collection::vec(0.0..20_000.0_f64, 8)) {
        let after = predictor().compile_after(&snapshot(at), &alarms);
        let mut extras = extras;
        extras.sort_unstable_by(f64::total_cmp);

        for node in after.iter() {
            let (mut watts, mut p95) = (0.0, 0.0);
            for extra in &extras {
                let extra = Millicores::new(*extra).expect("finite");
                let (w, p) = (node.added_watts(extra).expect("metered").mid.get(), node.p95(None, extra).expect("seen").mid.get());
                prop_assert!(w >= watts && p >= p95);
                (watts, p95) = (w, p);
            }
        }
    }

    #[test]
    fn the_test_takes_no_harm_from_any_residual_and_an_alarm_stays(residuals in prop::collection::vec(prop::num::f64::ANY, 0..200)) {
        let mut test = PageHinkley::default();
        let mut was = false;
        for residual in residuals {
            let is = test.observe(residual);
            prop_assert!(is || !was);
            was = is;
        }
        test.reset();
        prop_assert!(!test.is_raised());
    }

    #[test]
    fn the_index_is_finite_and_never_negative(then in prop::collection::vec(prop::num::f64::ANY, 0..100), now in prop::collection::vec(prop::num::f64::ANY, 0..100)) {
        let index = Stability::fit(&then).index(&now);
        prop_assert!(index.is_finite() && index >= 0.0);
    }
}

#[test]
fn what_is_measured_as_learnt_raises_nothing_and_a_lasting_change_is_told_by_node() {
    let mut monitor = DriftMonitor::new(predictor().artifact().clone());
    let observe = |monitor: &mut DriftMonitor, window: Window| monitor.observe(&Dataset::from_windows(&[window]));

    let quiet = (300..500).map(|at| observe(&mut monitor, window(at, 1.0))).all(|alarms| alarms.is_empty());
    assert!(quiet, "an alarm without a change");

    let mut after = BTreeSet::new();
    for at in 500..512 {
        let mut changed = window(at, 1.0);
        changed.nodes[1] = window(at, 1.5).nodes[1].clone();
        changed.services[2] = window(at, 4.0).services[2].clone();
        after = observe(&mut monitor, changed);
    }
    assert_eq!(after, BTreeSet::from([Alarm::Power("node-1".into()), Alarm::Latency("node-2".into())]));

    let high = |at: i64| {
        let mut high = window(at, 1.0);
        for node in &mut high.nodes {
            node.cpu_used_millicores = Millicores::new(7_600.0);
        }
        high
    };
    let moved = (512..700).position(|at| observe(&mut monitor, high(at)).contains(&Alarm::Utilisation));
    assert!(moved.is_some(), "another load was not noticed");
}
