//! The sections and their keys: the one place where a setting is declared.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::lists::{MachineList, PowerCapList, ScrapeJobs};
use super::section::section;

section! {
    /// Things that concern every role.
    General = "general" {
        /// Folder for the embedded database, the model and what the demo writes.
        data: PathBuf = "./wattle-data";
        /// Address of every role's own metrics and health (`/metrics`, `/livez`, `/readyz`).
        listen: SocketAddr = "127.0.0.1:9464";
        /// Which messages are logged, in the syntax of tracing's EnvFilter.
        log: String = "info";
        /// Whether log lines are JSON objects.
        log_json: bool = "false";
        /// How long a role may take to end once it was asked to.
        shutdown: Duration = "8s", "100ms to 5m", |d| (100..=300_000).contains(&d.as_millis());
    }
}

section! {
    /// The collector role.
    Collector = "collector" {
        /// Address of the read API: Prometheus's HTTP API, the snapshot, remote write.
        listen: SocketAddr = "127.0.0.1:9090";
        /// Address of OTLP over gRPC.
        otlp_grpc: SocketAddr = "127.0.0.1:4317";
        /// Address of OTLP over HTTP.
        otlp_http: SocketAddr = "127.0.0.1:4318";
        /// Address that Zipkin's spans are posted to.
        zipkin: SocketAddr = "127.0.0.1:9411";
        /// Address of Jaeger's query API over HTTP, and of what Grafana and Kiali ask of Tempo.
        jaeger_http: SocketAddr = "127.0.0.1:16686";
        /// Address of Jaeger's query API over gRPC.
        jaeger_grpc: SocketAddr = "127.0.0.1:16685";
        /// Attributes of spans and resources that trace searches are quick for, with commas between; others are searched too.
        search_attributes: String = "http.method,http.request.method,http.status_code,http.response.status_code,\
            http.route,http.target,rpc.method,rpc.service,db.system,db.system.name,db.name,db.namespace,\
            messaging.system,peer.service,error.type,component,response_flags,upstream_cluster,\
            istio.canonical_service,istio.namespace,istio.mesh_id,service.namespace,k8s.namespace.name,k8s.pod.name,\
            k8s.node.name,k8s.deployment.name,host.name";
        /// Where measurements are kept: `sqlite://FILE` or `postgres://…`; empty means `sqlite://DATA/wattle.db`.
        store: Option<String> = "";
        /// Length of a measurement window, the row that the model learns from.
        window: Duration = "15s", "1s to 1h", |d| (1..=3_600).contains(&d.as_secs());
        /// How long after its end a window is closed, so that late samples still count.
        window_lag: Duration = "5s", "0s to 10m", |d| d.as_secs() <= 600;
        /// How long measurements are kept.
        retention: Duration = "15d", "1h to 3650d", |d| (3_600..=315_360_000).contains(&d.as_secs());
        /// What the store may take in bytes; beyond, the oldest measurements are dropped, whatever their age. 0 for any size.
        retention_bytes: u64 = "0", "0, or 67108864 and above", |n| *n == 0 || *n >= 67_108_864;
        /// Series that may be active at the same time; samples of more are rejected. 0 for any number.
        series_limit: u64 = "0";
        /// Series that one metric may have active at the same time. 0 for any number.
        metric_series_limit: u64 = "0";
        /// Exemplars that are kept in all, at most 100 of each series; the oldest go first. 0 for none.
        exemplar_limit: u64 = "100000", "0 to 10000000", |n| *n <= 10_000_000;
        /// Files of recording and alerting rules, as Prometheus reads them.
        rules: Vec<PathBuf> = "";
        /// Whether series are made, every 15 s, that dashboards of the other generation of Kepler ask for (label `kepler_alias`),
        /// and `wattle_kepler_attributed_ratio`, the part of a node's active power that has an owner.
        kepler_aliases: bool = "false";
        /// Interval of rule groups that name none.
        rule_interval: Duration = "1m", "1s to 1d", |d| (1..=86_400).contains(&d.as_secs());
        /// Alertmanager that alerts are sent to, such as `http://alertmanager:9093`; empty sends them nowhere.
        alertmanager: Option<String> = "";
        /// How long a query may run, its wait for others included.
        query_timeout: Duration = "60s", "1s to 1h", |d| (1..=3_600).contains(&d.as_secs());
        /// Queries at the same time; more of them wait.
        query_concurrency: u64 = "4", "1 to 1000", |n| (1..=1_000).contains(n);
        /// Values that one query may hold at once (8 bytes each); all queries together may hold twice as many.
        query_samples: u64 = "50000000", "1000 to 10000000000", |n| (1_000..=10_000_000_000).contains(n);
        /// Series that one selector may match.
        query_series: u64 = "200000", "1 to 100000000", |n| (1..=100_000_000).contains(n);
        /// From how long on a query is logged as slow.
        query_slow: Duration = "10s", "1ms to 1h", |d| (1..=3_600_000).contains(&d.as_millis());
        /// Whether a slow query is logged with its text; without, its fingerprint tells which are the same.
        query_slow_text: bool = "false";
        /// What is scraped: a list of jobs in the words of Prometheus's `scrape_configs`, or short ones: `{name, interval,
        /// timeout, path, honor_labels, targets: [{address, labels}]}`. See docs/collector.md.
        scrape: ScrapeJobs = "";
        /// Prometheus configurations whose `scrape_configs` are scraped too.
        scrape_config_files: Vec<PathBuf> = "";
        /// Whether nodes, pods and autoscalers are watched in Kubernetes, for what the measurements do not tell: sizes of
        /// nodes, requests and limits, owners, bounds of autoscalers.
        kubernetes: bool = "false";
        /// What is known of the nodes' hardware: a list of `{node, class, cores, tdp_watts, idle_watts, …}`.
        machines: MachineList = "";
    }
}

section! {
    /// The proxy role.
    Proxy = "proxy" {
        /// Address for requests that leave the workload.
        listen: SocketAddr = "127.0.0.1:15001";
        /// Address for requests that arrive at the workload.
        inbound: SocketAddr = "127.0.0.1:15006";
        /// Port of the workload that `inbound` stands for, as its Service names it.
        inbound_port: u64 = "8080", "1 to 65535", |p| (1..=65_535).contains(p);
        /// Where the workload itself listens.
        application: SocketAddr = "127.0.0.1:8080";
        /// Address of the admin interface.
        admin: SocketAddr = "127.0.0.1:15000";
        /// Address of the data plane's metrics (`/stats/prometheus`).
        metrics: SocketAddr = "127.0.0.1:15090";
        /// Address of the readiness check.
        health: SocketAddr = "127.0.0.1:15021";
        /// Files and folders of mesh resources (YAML), read again when they change.
        mesh: Vec<PathBuf> = "";
        /// Scheduler whose weights (`scheduler.steer`) shift requests among endpoints, such as `http://127.0.0.1:8888`; empty is none.
        steering: Option<String> = "";
        /// Authorities that the certificate of that scheduler must be signed by (PEM); needed where its address is `https://`.
        steering_ca: Option<PathBuf> = "";
        /// Certificate to show to that scheduler (PEM), where it asks for one.
        steering_certificate: Option<PathBuf> = "";
        /// Key of that certificate (PEM).
        steering_key: Option<PathBuf> = "";
        /// Where spans go, by OTLP over gRPC; empty sends none.
        otlp: Option<String> = "http://127.0.0.1:4317";
        /// Share of the requests that are traced where no Telemetry resource says.
        trace_sampling: f64 = "0.01", "0 to 1", |s| (0.0..=1.0).contains(s);
        /// How long requests in flight may take to finish when the proxy ends.
        drain: Duration = "5s", "0s to 10m", |d| d.as_secs() <= 600;
        /// Threads that carry traffic; 0 is one for each core.
        threads: u64 = "0", "0 to 1024", |n| *n <= 1_024;
        /// How long a client's connection may wait for its next request.
        idle_timeout: Duration = "1h", "1s to 30d", |d| (1..=2_592_000).contains(&d.as_secs());
        /// Name of the workload it speaks for.
        workload: String = "wattle";
        /// Namespace of that workload.
        namespace: String = "default";
        /// Labels of that workload, as `name=value` with commas between.
        labels: String = "app=wattle";
        /// Service account of that workload.
        service_account: String = "default";
        /// Name of the pod; empty outside Kubernetes.
        pod: String = "";
        /// Name of the node; empty means unknown.
        node: String = "";
    }
}

section! {
    /// The scheduler role.
    Scheduler = "scheduler" {
        /// Address of the extender webhook.
        listen: SocketAddr = "127.0.0.1:8888";
        /// Collector to follow when it runs elsewhere.
        collector: String = "http://127.0.0.1:9090";
        /// Database that decisions are recorded in when the role runs apart (`postgres://…`, `sqlite://FILE`); empty records none.
        store: Option<String> = "";
        /// Highest score of a node; kube-scheduler expects 10.
        top_score: u64 = "10", "1 to 1000", |s| (1..=1_000).contains(s);
        /// Weight of predicted power where a pod does not say.
        weight_energy: f64 = "1", "0 to 100", |w| (0.0..=100.0).contains(w);
        /// Weight of predicted latency where a pod does not say.
        weight_latency: f64 = "0.25", "0 to 100", |w| (0.0..=100.0).contains(w);
        /// Weight of traffic that leaves the node, as a share of the latency weight.
        weight_affinity: f64 = "0.4", "0 to 100", |w| (0.0..=100.0).contains(w);
        /// Weight of a latency that nears or breaks the pod's own objective.
        weight_slo: f64 = "2", "0 to 100", |w| (0.0..=100.0).contains(w);
        /// Weight of crowding: requests that wait for each other, and memory that ends.
        weight_headroom: f64 = "6", "0 to 100", |w| (0.0..=100.0).contains(w);
        /// Weight of neighbours that already run slower there than elsewhere.
        weight_neighbours: f64 = "0.25", "0 to 100", |w| (0.0..=100.0).contains(w);
        /// What becomes of nodes without pods: `on` they stay, `off` they are switched off, so a pod costs its share of all of its node's power.
        empty_nodes: String = "on", "on or off", |e| e == "on" || e == "off";
        /// Limits on power: a list of `{label, value, watts}`; without `value` each value of the label has the limit of its own.
        power_caps: PowerCapList = "";
        /// Hourly carbon intensities by zone: a file, or an `http://` address; empty counts watts alike everywhere.
        carbon: Option<String> = "";
        /// The node label whose values are the zones of `carbon`.
        carbon_label: String = "topology.kubernetes.io/zone";
        /// Time between two readings of `carbon`.
        carbon_every: Duration = "5m", "1s to 1d", |d| (1..=86_400).contains(&d.as_secs());
        /// Processor use of a pod without request and measurement, in millicores.
        default_pod_cpu: u64 = "100", "1 to 100000", |m| (1..=100_000).contains(m);
        /// Measurements older than this are not trusted.
        stale_after: Duration = "2m", "1s to 1h", |d| (1..=3_600).contains(&d.as_secs());
        /// How long an answer may take before a neutral one is given; keep it well under kube-scheduler's httpTimeout.
        deadline: Duration = "200ms", "1ms to 30s", |d| (1..=30_000).contains(&d.as_millis());
        /// How long a placed pod counts as load that is not measured yet.
        assumed_ttl: Duration = "5m", "1s to 1h", |d| (1..=3_600).contains(&d.as_secs());
        /// Longest request that is read, in bytes.
        max_body_bytes: u64 = "104857600", "1024 to 1073741824", |b| (1_024..=1_073_741_824).contains(b);
        /// Whether the bind verb is answered; leave it off, kube-scheduler binds better itself.
        bind: bool = "false";
        /// Whether nodes and pods are watched in Kubernetes: `true` inside a cluster.
        kubernetes: bool = "false";
        /// Whether a pod that was placed gets a Kubernetes Event that says why; needs `kubernetes`.
        events: bool = "true";
        /// Events a minute at most.
        events_per_minute: u64 = "300", "1 to 60000", |n| (1..=60_000).contains(n);
        /// Whether endpoint weights for the data plane are made of the same predictions.
        steer: bool = "false";
        /// Most that one node's endpoints may get over another's of the same service.
        steer_ratio: f64 = "4", "1 to 100", |r| (1.0..=100.0).contains(r);
        /// Certificate for HTTPS (PEM); empty serves plain HTTP.
        tls_certificate: Option<PathBuf> = "";
        /// Key of that certificate (PEM).
        tls_key: Option<PathBuf> = "";
        /// Certificates that clients must be signed by (PEM); empty asks for none.
        tls_client_ca: Option<PathBuf> = "";
    }
}

section! {
    /// Learning.
    Model = "model" {
        /// The artifact; empty means `DATA/model.wattle`.
        path: Option<PathBuf> = "";
        /// Windows that must have been measured before the first training; `up` trains, the roles alone do not.
        train_after: u64 = "240", "8 to 1000000", |n| (8..=1_000_000).contains(n);
        /// Time between trainings once there is a model.
        retrain_every: Duration = "1h", "10s to 30d", |d| (10..=2_592_000).contains(&d.as_secs());
        /// How far back the training looks.
        lookback: Duration = "7d", "1m to 365d", |d| (60..=31_536_000).contains(&d.as_secs());
        /// How often a changed artifact is looked for.
        reload_every: Duration = "5s", "100ms to 1h", |d| (100..=3_600_000).contains(&d.as_millis());
        /// Seed of everything random in training.
        seed: u64 = "1";
    }
}

section! {
    /// The demo.
    Demo = "demo" {
        /// Requests a second that the load generator sends on average.
        rate: f64 = "32", "1 to 2000", |r| (1.0..=2_000.0).contains(r);
        /// Time between two placements.
        place_every: Duration = "6s", "500ms to 10m", |d| (500..=600_000).contains(&d.as_millis());
        /// Seed of everything random in the demo.
        seed: u64 = "1";
        /// Where power comes from: `simulated`, or `rapl` for this machine's own counters.
        energy: String = "simulated", "simulated or rapl", |e| e == "simulated" || e == "rapl";
        /// Folder of the RAPL counters.
        powercap: PathBuf = "/sys/class/powercap";
    }
}
