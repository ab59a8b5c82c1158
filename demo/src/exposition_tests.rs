use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn one_pod() -> NodeEnergy {
    let zone = |name: &str| Zone {
        name: name.to_owned(),
        path: "simulated/x".to_owned(),
        active_joules: 15673.45915,
        idle_joules: 338.721851,
        active_watts: 286.5584948844227,
        idle_watts: 0.0,
    };
    let processor = |core: &str| Processor {
        processor: core.to_owned(),
        physical: "0".to_owned(),
        core: core.to_owned(),
        vendor: "GenuineIntel".to_owned(),
        model: "Intel(R) Xeon(R) Processor @ 2.50GHz".to_owned(),
    };
    let pod = PodEnergy {
        namespace: "hotel".to_owned(),
        name: "search-7d9f-0".to_owned(),
        id: "4a4ea16a-854b-5b67-9da5-f145ace9c4e2".to_owned(),
        container: "search".to_owned(),
        container_id: "0edda1".to_owned(),
        ended: false,
        seconds: 3.1789,
        zones: vec![("psys".to_owned(), 1.25, 0.5), ("dram".to_owned(), 0.25, 0.125)],
    };
    NodeEnergy {
        node: "node-b".to_owned(),
        revision: "simulated",
        usage_ratio: 1.0,
        processors: vec![processor("1"), processor("0")],
        zones: vec![zone("psys"), zone("package")],
        pods: vec![pod],
    }
}

/// Metric name to its help, type and label names.
type Shape = BTreeMap<String, (String, String, BTreeSet<String>)>;

/// Gives all metrics, and their names in their order.
fn shape(text: &str) -> (Shape, Vec<String>) {
    let (mut metrics, mut order) = (Shape::new(), Vec::new());
    for line in text.lines() {
        let (comment, rest) = (line.get(..7).unwrap_or(""), line.get(7..).unwrap_or(""));
        match comment {
            "# HELP " => {
                let (name, help) = rest.split_once(' ').expect("a help text");
                order.push(name.to_owned());
                metrics.entry(name.to_owned()).or_default().0 = help.to_owned();
            }
            "# TYPE " => {
                let (name, kind) = rest.split_once(' ').expect("a type");
                metrics.entry(name.to_owned()).or_default().1 = kind.to_owned();
            }
            _ => {
                let Some((name, labels)) = line.split_once('{') else { continue };
                let labels = labels.split_once('}').expect("closed labels").0;
                let names =
                    labels.split("\",").filter_map(|pair| pair.split_once('=')).map(|(name, _)| name.to_owned());
                metrics.entry(name.to_owned()).or_default().2.extend(names);
            }
        }
    }
    (metrics, order)
}

#[test]
fn names_types_helps_labels_and_order_are_those_of_a_captured_kepler() {
    let Some(captured) = crate::corpus::read("kepler/kepler-v0.11-node-b-scaled-t03.prom") else { return };
    // Per-process series and those of the Go runtime are not exported here.
    let is_shared = |name: &String| name.starts_with("kepler_") && !name.starts_with("kepler_process_");

    let (ours, our_order) = shape(&render(&one_pod()));
    let (mut theirs, mut their_order) = shape(&captured);

    theirs.retain(|name, _| is_shared(name));
    their_order.retain(is_shared);
    assert_eq!(ours, theirs);
    assert_eq!(our_order, their_order);
}

#[test]
fn series_stand_in_the_order_of_their_labels_with_values_as_kepler_writes_them() {
    let text = render(&one_pod());

    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("kepler_node_cpu_joules_total")).collect();
    assert_eq!(
        lines,
        [
            r#"kepler_node_cpu_joules_total{node_name="node-b",path="simulated/x",zone="package"} 16012.181001"#,
            r#"kepler_node_cpu_joules_total{node_name="node-b",path="simulated/x",zone="psys"} 16012.181001"#,
        ]
    );
    assert!(text.contains(r#",state="running"} 3.17"#));
    assert!(text.contains(r#"kepler_node_cpu_usage_ratio{node_name="node-b"} 1"#));
}

#[test]
fn numbers_are_written_as_go_writes_them() {
    let cases = [
        (0.0, "0"),
        (1.0, "1"),
        (286.5584948844227, "286.5584948844227"),
        (5.6358e-05, "5.6358e-05"),
        (0.0001, "0.0001"),
        (100_000.5, "100000.5"),
        (1_444_140.0, "1.44414e+06"),
        (9.223372036854776e18, "9.223372036854776e+18"),
    ];
    for (value, expected) in cases {
        assert_eq!(number(value), expected);
    }
}

#[test]
fn label_values_are_escaped() {
    let mut text = String::new();
    family(&mut text, "m", "h", "gauge", vec![(labels([("l", "a\"b\\c\nd")]), 1.0)]);
    assert!(text.ends_with("m{l=\"a\\\"b\\\\c\\nd\"} 1\n"), "{text}");
}
