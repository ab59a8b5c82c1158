//! Artifacts of earlier formats still load and still predict what they predicted.
//!
//! `WATTLE_UPDATE_GOLDEN=1 cargo test -p wattle-model --test golden` writes the file of the newest format anew; the files of
//! earlier formats are never written again.

use std::path::PathBuf;

use wattle_contract::{ClusterSnapshot, MachineFacts, Millicores, NodeWindow, Timestamp, Watts, Window};
use wattle_model::artifact::{MAJOR, MINOR};
use wattle_model::{Artifact, Dataset, Predictor, TrainOptions, train};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn window(at: i64) -> Window {
    let u = 0.1 + 0.05 * (at * 7 % 13) as f64;
    let node = NodeWindow {
        node: "node-1".into(),
        machine: MachineFacts { cpu_capacity_millicores: Millicores::new(16_000.0), ..MachineFacts::default() },
        power_watts: Watts::new(80.0 + 120.0 * u + (at % 3) as f64),
        energy_joules: None,
        energy_source: None,
        cpu_used_millicores: Millicores::new(u * 16_000.0),
        memory_used_bytes: None,
        requests_per_second: Some(100.0),
        pods: Some(3),
    };
    Window {
        start: Timestamp(at * 5000),
        end: Timestamp(at * 5000 + 5000),
        nodes: vec![node],
        services: Vec::new(),
        edges: Vec::new(),
    }
}

fn watts(artifact: &Artifact) -> Vec<f64> {
    let snapshot = ClusterSnapshot { taken: Timestamp(0), ..ClusterSnapshot::of(1, window(1)) };
    let predictions = Predictor::new(artifact).expect("a predictor").compile(&snapshot);
    let node = predictions.node(&"node-1".into()).expect("a prediction");
    [0.0, 1000.0, 5000.0]
        .iter()
        .map(|extra| node.watts(Millicores::new(*extra).expect("finite")).expect("watts").mid.get())
        .collect()
}

#[test]
fn every_earlier_format_still_loads_and_predicts_the_same() {
    let newest = folder().join(format!("format-{MAJOR}.{MINOR}.wattle"));
    if std::env::var_os("WATTLE_UPDATE_GOLDEN").is_some() {
        let windows: Vec<Window> = (0..120).map(window).collect();
        let artifact =
            train(&Dataset::from_windows(&windows), &TrainOptions::default(), &mut |_| ()).expect("a model").artifact;
        std::fs::create_dir_all(folder()).expect("a folder");
        std::fs::write(&newest, artifact.to_bytes().expect("bytes")).expect("written");
        std::fs::write(newest.with_extension("json"), serde_json::to_vec(&watts(&artifact)).expect("numbers"))
            .expect("written");
    }

    let files: Vec<PathBuf> =
        std::fs::read_dir(folder()).expect("golden files").map(|entry| entry.expect("an entry").path()).collect();

    assert!(files.contains(&newest), "the newest format has no golden file");
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "wattle")) {
        let artifact = Artifact::from_bytes(&std::fs::read(file).expect("readable"))
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let expected: Vec<f64> =
            serde_json::from_slice(&std::fs::read(file.with_extension("json")).expect("readable")).expect("numbers");
        for (now, then) in watts(&artifact).iter().zip(&expected) {
            assert!((now - then).abs() < 1e-3, "{}: {now} W, was {then} W", file.display());
        }
    }
}
