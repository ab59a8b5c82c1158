//! Series in the proportions of a mesh with energy meters, and how their values move.
//!
//! Half are request counters and buckets of Istio (26 labels), a fifth sums and joules with one to six decimals, a
//! twentieth gauges with noise to the last bit, a tenth ratios of three decimals, the rest does not change.

/// One series.
pub(crate) struct Series {
    labels: Vec<u8>,
    kind: Kind,
    value: f64,
    random: u64,
}

#[derive(Clone, Copy)]
enum Kind {
    Bucket { rate: u64 },
    Joules { scale: f64, rate: u64 },
    Noise,
    Ratio,
    Constant,
}

const BOUNDS: [&str; 20] = [
    "0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "30000", "60000",
    "300000", "600000", "1800000", "3600000", "+Inf",
];

impl Series {
    /// Makes one of `all`.
    pub(crate) fn new(number: usize, all: usize) -> Self {
        let random = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (labels, kind) = match number * 20 / all.max(1) {
            0..=9 => mesh(number),
            10..=13 => meter(number, random),
            14 => named("node_load_gauge", number, Kind::Noise),
            15 | 16 => named("kepler_node_cpu_usage_ratio", number, Kind::Ratio),
            _ => named("kube_pod_info", number, Kind::Constant),
        };
        let value = match kind {
            Kind::Noise | Kind::Ratio | Kind::Constant => 1.0,
            Kind::Bucket { .. } | Kind::Joules { .. } => (random % 1_000_000) as f64,
        };
        let mut encoded = Vec::with_capacity(1_200);
        for (name, value) in &labels {
            let mut label = Vec::with_capacity(name.len() + value.len() + 8);
            put_bytes(&mut label, 1, name.as_bytes());
            put_bytes(&mut label, 2, value.as_bytes());
            put_bytes(&mut encoded, 1, &label);
        }
        Self { labels: encoded, kind, value, random }
    }

    /// Writes the series with its next sample as a `prometheus.TimeSeries`.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, step: i64, time: i64) {
        self.advance();
        let late = if self.random.is_multiple_of(97) && step > 0 { (self.random >> 32) % 7 } else { 3 };
        let mut sample = Vec::with_capacity(24);
        sample.push(1 << 3 | 1);
        sample.extend_from_slice(&self.value.to_bits().to_le_bytes());
        sample.push(2 << 3);
        put_varint(&mut sample, (time + late as i64 - 3).cast_unsigned());
        let mut series = Vec::with_capacity(self.labels.len() + 32);
        series.extend_from_slice(&self.labels);
        put_bytes(&mut series, 2, &sample);
        put_bytes(out, 1, &series);
    }

    fn advance(&mut self) {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let random = self.random >> 16;
        match self.kind {
            Kind::Bucket { rate } => self.value += (random % (rate + 1)) as f64,
            Kind::Joules { scale, rate } => {
                self.value = ((self.value * scale).round() + (rate + random % (rate / 8 + 1)) as f64) / scale;
            }
            Kind::Noise => self.value = random as f64 / (1_u64 << 44) as f64,
            Kind::Ratio => self.value = (random % 1_000) as f64 / 1_000.0,
            Kind::Constant => {}
        }
    }
}

type Labels = Vec<(String, String)>;

/// A histogram of an edge: 20 buckets and a counter, each in a series.
fn mesh(number: usize) -> (Labels, Kind) {
    let (edge, part) = (number / 21, number % 21);
    let (from, to) = (edge % 40, edge / 40 % 40);
    let name = if part == 20 { "istio_requests_total" } else { "istio_request_duration_milliseconds_bucket" };
    let mut labels: Labels = [
        ("__name__", name.to_owned()),
        ("app", format!("service-{to}")),
        ("connection_security_policy", "mutual_tls".to_owned()),
        ("destination_app", format!("service-{to}")),
        ("destination_canonical_revision", "v1".to_owned()),
        ("destination_canonical_service", format!("service-{to}")),
        ("destination_cluster", "Kubernetes".to_owned()),
        ("destination_principal", format!("spiffe://cluster.local/ns/shop/sa/service-{to}")),
        ("destination_service", format!("service-{to}.shop.svc.cluster.local")),
        ("destination_service_name", format!("service-{to}")),
        ("destination_service_namespace", "shop".to_owned()),
        ("destination_version", "v1".to_owned()),
        ("destination_workload", format!("service-{to}")),
        ("destination_workload_namespace", "shop".to_owned()),
        ("instance", format!("10.{}.{}.{}:15090", edge / 65536, edge / 256 % 256, edge % 256)),
        ("job", "istio-proxies".to_owned()),
        ("namespace", "shop".to_owned()),
        ("pod", format!("service-{to}-7d4b9c6f58-{edge:05}")),
        ("reporter", "destination".to_owned()),
        ("request_protocol", "http".to_owned()),
        ("response_code", "200".to_owned()),
        ("response_flags", "-".to_owned()),
        ("source_app", format!("service-{from}")),
        ("source_canonical_service", format!("service-{from}")),
        ("source_principal", format!("spiffe://cluster.local/ns/shop/sa/service-{from}")),
        ("source_workload", format!("service-{from}")),
        ("source_workload_namespace", "shop".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    if let Some(bound) = BOUNDS.get(part) {
        labels.insert(16, ("le".to_owned(), (*bound).to_owned()));
    }
    (labels, Kind::Bucket { rate: (part as u64).min(12) * (1 + edge as u64 % 9) })
}

fn meter(number: usize, random: u64) -> (Labels, Kind) {
    let labels = [
        ("__name__", "kepler_container_cpu_joules_total".to_owned()),
        ("container_id", format!("{random:016x}{:016x}", random.rotate_left(17))),
        ("container_name", format!("app-{}", number % 30)),
        ("instance", format!("node-{}:28282", number % 50)),
        ("job", "kepler".to_owned()),
        ("node_name", format!("node-{}", number % 50)),
        ("pod_id", format!("{:08x}-1b2c-4d5e-8f90-{:012x}", number / 2, random >> 16)),
        ("runtime", "containerd".to_owned()),
        ("state", "running".to_owned()),
        ("zone", if number.is_multiple_of(2) { "package" } else { "dram" }.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    let scale = [1e1, 1e2, 1e3, 1e6][number % 4];
    (labels, Kind::Joules { scale, rate: 20 + random % 4_000 })
}

fn named(metric: &str, number: usize, kind: Kind) -> (Labels, Kind) {
    let labels = [
        ("__name__", metric.to_owned()),
        ("instance", format!("node-{}:9100", number % 200)),
        ("job", "node".to_owned()),
        ("namespace", format!("team-{}", number % 12)),
        ("node", format!("node-{}", number % 200)),
        ("pod", format!("worker-{number}")),
        ("uid", format!("{:08x}-0000-4000-8000-{number:012x}", number.wrapping_mul(2_654_435_761) & 0xffff_ffff)),
    ];
    (labels.map(|(name, value)| (name.to_owned(), value)).to_vec(), kind)
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
