//! What cannot be learnt from is refused or left out and counted; nothing panics.

use ndarray::{Array2, array};
use wattle_contract::{MachineFacts, Millicores, NodeName, NodeWindow, Timestamp, Watts, Window};
use wattle_model::boost::{BoostOptions, Boosted, Targets};
use wattle_model::features::Monotone;
use wattle_model::{Dataset, Error, TrainOptions, no_leak, train};

fn node(name: &str, watts: f64, cpu: f64) -> NodeWindow {
    NodeWindow {
        node: NodeName::from(name),
        machine: MachineFacts {
            cpu_capacity_millicores: Millicores::new(8000.0),
            peak_watts: Watts::new(60.0),
            ..MachineFacts::default()
        },
        power_watts: Watts::new(watts),
        energy_joules: None,
        energy_source: None,
        cpu_used_millicores: Millicores::new(cpu),
        memory_used_bytes: None,
        requests_per_second: None,
        pods: None,
    }
}

fn window(at: i64, nodes: Vec<NodeWindow>) -> Window {
    Window {
        start: Timestamp(at * 5000),
        end: Timestamp(at * 5000 + 5000),
        nodes,
        services: Vec::new(),
        edges: Vec::new(),
    }
}

#[test]
fn rows_that_cannot_be_are_left_out_and_counted() {
    let mut without_capacity = node("e", 30.0, 100.0);
    without_capacity.machine.cpu_capacity_millicores = None;
    let mut without_meter = node("f", 30.0, 100.0);
    without_meter.power_watts = None;
    let mut without_cpu = node("g", 30.0, 100.0);
    without_cpu.cpu_used_millicores = None;
    let nodes = vec![
        node("good", 30.0, 100.0),
        node("good", 31.0, 100.0),
        node("a laptop of 40 kW", 40_000.0, 100.0),
        node("c", -3.0, 100.0),
        node("d", 30.0, 80_000.0),
        without_capacity,
        without_meter,
        without_cpu,
    ];
    let same_time = window(0, vec![node("good", 50.0, 100.0)]);

    let data = Dataset::from_windows(&[window(0, nodes), same_time]);

    assert_eq!(data.power.len(), 1);
    let excluded = &data.excluded;
    assert_eq!((excluded.duplicate, excluded.impossible_power, excluded.impossible_use), (2, 2, 1));
    assert_eq!((excluded.no_capacity, excluded.no_meter, excluded.no_cpu), (1, 1, 1));
}

#[test]
fn too_little_is_refused_with_what_there_was() {
    for windows in [Vec::new(), vec![window(0, vec![node("a", 30.0, 100.0)])]] {
        let refused = train(&Dataset::from_windows(&windows), &TrainOptions::default(), &mut |_| ());
        assert!(matches!(refused, Err(Error::TooLittle { least: 8, .. })));
    }
    let options = TrainOptions { holdout: 1.5, ..TrainOptions::default() };
    let refused = train(&Dataset::default(), &options, &mut |_| ()).expect_err("a share above one");
    assert_eq!(refused.to_string(), "training option holdout = 1.5 is outside its range above 0 and below 0.9");
}

#[test]
fn a_constant_cluster_is_learnt_as_constant() {
    let windows: Vec<Window> = (0..40).map(|at| window(at, vec![node("a", 30.0, 400.0)])).collect();

    let trained = train(&Dataset::from_windows(&windows), &TrainOptions::default(), &mut |_| ()).expect("a model");

    assert!(trained.evaluation.power_mape.is_some_and(|mape| mape < 1.0));
    assert_eq!(trained.evaluation.latency_mape, None);
}

#[test]
fn future_rows_among_those_to_learn_from_are_refused() {
    let windows: Vec<Window> = (0..20).map(|at| window(at, vec![node("a", 30.0, 400.0)])).collect();
    let (seen, held_out) = Dataset::from_windows(&windows).split(0.25);
    let mut leaked = seen.clone();
    leaked.power.push(held_out.power[0].clone());

    assert!(no_leak(&seen, &held_out).is_ok());
    assert!(matches!(no_leak(&leaked, &held_out), Err(Error::Leak { train_end: 80_000, test_start: 75_000 })));
}

#[test]
fn trees_refuse_infinities_and_take_unknown_constant_and_single_rows() {
    let fit = |x: Array2<f64>, y: &[f64]| {
        let options = BoostOptions { least_rows: 1, ..BoostOptions::default() };
        Boosted::fit(x.view(), &Targets::Exact(y), &vec![Monotone::Free; x.ncols()], &options)
    };

    assert!(matches!(fit(array![[1.0], [f64::INFINITY]], &[1.0, 2.0]), Err(Error::NotFinite { row: 1, .. })));
    assert!(matches!(fit(array![[1.0], [2.0]], &[1.0, f64::NAN]), Err(Error::NotFinite { row: 1, .. })));
    assert!(matches!(fit(array![[1.0], [2.0]], &[1.0]), Err(Error::Shape { expected: 2, got: 1, .. })));
    assert_eq!(fit(array![[3.0]], &[7.0]).expect("one row").at(&[9.0]), 7.0);
    assert_eq!(fit(Array2::zeros((0, 2)), &[]).expect("no row").at(&[9.0, 1.0]), 0.0);
    let unknown = fit(Array2::from_elem((50, 2), f64::NAN), &[5.0; 50]).expect("columns without a value");
    assert_eq!(unknown.at(&[f64::NAN, 1.0]), 5.0);
    let constant = fit(Array2::from_elem((4, 1), 2.0), &[1.0, 2.0, 3.0, 4.0]).expect("a constant column");
    assert_eq!(constant.at(&[2.0]), 2.5);
}
