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
#[path = "exposition_tests.rs"]
mod tests;
