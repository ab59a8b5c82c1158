//! Kepler v0.11's text exposition: its metric names, help texts, labels, order and number format.

use std::fmt::Write as _;

/// All that one scrape of a node says.
#[derive(Debug, Default)]
pub(crate) struct NodeEnergy {
    pub(crate) node: String,
    /// Says what is measured: part of `kepler_build_info`.
    pub(crate) revision: &'static str,
    /// Range: 0..=1.
    pub(crate) usage_ratio: f64,
    pub(crate) processors: Vec<Processor>,
    pub(crate) zones: Vec<Zone>,
    pub(crate) pods: Vec<PodEnergy>,
}

/// One logical processor.
#[derive(Debug, Clone)]
pub(crate) struct Processor {
    pub(crate) processor: String,
    pub(crate) physical: String,
    pub(crate) core: String,
    pub(crate) vendor: String,
    pub(crate) model: String,
}

/// One meter of the node.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) active_joules: f64,
    pub(crate) idle_joules: f64,
    pub(crate) active_watts: f64,
    pub(crate) idle_watts: f64,
}

/// One pod with its one container.
#[derive(Debug)]
pub(crate) struct PodEnergy {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) container: String,
    pub(crate) container_id: String,
    pub(crate) ended: bool,
    pub(crate) seconds: f64,
    /// Zone, joules, watts.
    pub(crate) zones: Vec<(String, f64, f64)>,
}

type Labels = Vec<(&'static str, String)>;
type Series = Vec<(Labels, f64)>;

/// Writes the exposition.
pub(crate) fn render(energy: &NodeEnergy) -> String {
    let mut text = String::with_capacity(16 << 10);
    build_info(&mut text, energy);
    containers(&mut text, energy);
    node(&mut text, energy);
    pods(&mut text, energy);
    text
}

fn build_info(text: &mut String, energy: &NodeEnergy) {
    let labels = labels([
        ("arch", std::env::consts::ARCH),
        ("branch", "wattle"),
        ("goversion", "none"),
        ("revision", energy.revision),
        ("version", env!("CARGO_PKG_VERSION")),
    ]);
    let help = "A metric with a constant '1' value labeled with version information";
    family(text, "kepler_build_info", help, "gauge", vec![(labels, 1.0)]);
}

fn containers(text: &mut String, energy: &NodeEnergy) {
    let of = |pod: &PodEnergy| {
        labels([
            ("container_id", pod.container_id.as_str()),
            ("container_name", &pod.container),
            ("node_name", &energy.node),
            ("pod_id", &pod.id),
            ("runtime", "containerd"),
            ("state", state(pod)),
        ])
    };
    let (joules, watts) = by_zone(&energy.pods, of);
    let seconds = energy.pods.iter().map(|pod| (of(pod), (pod.seconds * 100.0).floor() / 100.0)).collect();
    let help = "Energy consumption of cpu at container level in joules";
    family(text, "kepler_container_cpu_joules_total", help, "counter", joules);
    let help = "Total user and system time of cpu at container level in seconds";
    family(text, "kepler_container_cpu_seconds_total", help, "counter", seconds);
    let help = "Power consumption of cpu at container level in watts";
    family(text, "kepler_container_cpu_watts", help, "gauge", watts);
}

fn pods(text: &mut String, energy: &NodeEnergy) {
    let of = |pod: &PodEnergy| {
        labels([
            ("node_name", energy.node.as_str()),
            ("pod_id", &pod.id),
            ("pod_name", &pod.name),
            ("pod_namespace", &pod.namespace),
            ("state", state(pod)),
        ])
    };
    let (joules, watts) = by_zone(&energy.pods, of);
    let help = "Energy consumption of cpu at pod level in joules";
    family(text, "kepler_pod_cpu_joules_total", help, "counter", joules);
    let help = "Power consumption of cpu at pod level in watts";
    family(text, "kepler_pod_cpu_watts", help, "gauge", watts);
}

fn node(text: &mut String, energy: &NodeEnergy) {
    let zones = |value: fn(&Zone) -> f64| -> Series {
        let of =
            |zone: &Zone| labels([("node_name", energy.node.as_str()), ("path", &zone.path), ("zone", &zone.name)]);
        energy.zones.iter().map(|zone| (of(zone), value(zone))).collect()
    };
    let help = "Energy consumption of cpu in active state at node level in joules";
    family(text, "kepler_node_cpu_active_joules_total", help, "counter", zones(|zone| micro(zone.active_joules)));
    let help = "Power consumption of cpu in active state at node level in watts";
    family(text, "kepler_node_cpu_active_watts", help, "gauge", zones(|zone| zone.active_watts));
    let help = "Energy consumption of cpu in idle state at node level in joules";
    family(text, "kepler_node_cpu_idle_joules_total", help, "counter", zones(|zone| micro(zone.idle_joules)));
    let help = "Power consumption of cpu in idle state at node level in watts";
    family(text, "kepler_node_cpu_idle_watts", help, "gauge", zones(|zone| zone.idle_watts));
    let info = energy.processors.iter().map(|processor| (processor_labels(processor), 1.0)).collect();
    family(text, "kepler_node_cpu_info", "CPU information from procfs", "gauge", info);
    let help = "Energy consumption of cpu at node level in joules";
    let total = zones(|zone| micro(zone.active_joules + zone.idle_joules));
    family(text, "kepler_node_cpu_joules_total", help, "counter", total);
    let help = "CPU usage ratio of a node (value between 0.0 and 1.0)";
    let ratio = vec![(labels([("node_name", energy.node.as_str())]), energy.usage_ratio)];
    family(text, "kepler_node_cpu_usage_ratio", help, "gauge", ratio);
    let help = "Power consumption of cpu at node level in watts";
    family(text, "kepler_node_cpu_watts", help, "gauge", zones(|zone| zone.active_watts + zone.idle_watts));
}

fn processor_labels(processor: &Processor) -> Labels {
    labels([
        ("core_id", processor.core.as_str()),
        ("model_name", &processor.model),
        ("physical_id", &processor.physical),
        ("processor", &processor.processor),
        ("vendor_id", &processor.vendor),
    ])
}

const fn state(pod: &PodEnergy) -> &'static str {
    if pod.ended { "terminated" } else { "running" }
}

/// Makes a series of joules and one of watts for each pod and zone.
fn by_zone(pods: &[PodEnergy], of: impl Fn(&PodEnergy) -> Labels) -> (Series, Series) {
    let (mut all_joules, mut all_watts) = (Series::new(), Series::new());
    for pod in pods {
        for (zone, joules, watts) in &pod.zones {
            let mut labels = of(pod);
            labels.push(("zone", zone.clone()));
            all_joules.push((labels.clone(), micro(*joules)));
            all_watts.push((labels, *watts));
        }
    }
    (all_joules, all_watts)
}

/// Rounds to the microjoule that Kepler counts in.
fn micro(joules: f64) -> f64 {
    (joules * 1e6).round() / 1e6
}

fn labels<const N: usize>(pairs: [(&'static str, &str); N]) -> Labels {
    pairs.map(|(name, value)| (name, value.to_owned())).into()
}

/// Writes one metric, series in the order of their label values; nothing when there is none.
fn family(text: &mut String, name: &str, help: &str, kind: &str, mut series: Series) {
    if series.is_empty() {
        return;
    }
    series.sort_by(|a, b| a.0.cmp(&b.0));
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in &series {
        text.push_str(name);
        let mut separator = '{';
        for (label, value) in labels {
            let value = value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
            let _ = write!(text, "{separator}{label}=\"{value}\"");
            separator = ',';
        }
        let _ = writeln!(text, "}} {}", number(*value));
    }
}

/// Writes a number as Go's `strconv.FormatFloat(value, 'g', -1, 64)` does, which Prometheus clients print with.
fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // strconv/ftoa.go: with the shortest digits, %e from a million on and below a ten-thousandth.
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
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
}
