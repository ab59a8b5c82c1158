//! A stand-in for the API server: lists, watches that break, a version that is too old.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path as InPath, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Resources by what a list of them is called and the version of their API.
const KINDS: [(&str, &str, &str); 6] = [
    ("nodes", "NodeList", "v1"),
    ("pods", "PodList", "v1"),
    ("services", "ServiceList", "v1"),
    ("endpoints", "EndpointsList", "v1"),
    ("endpointslices", "EndpointSliceList", "discovery.k8s.io/v1"),
    ("horizontalpodautoscalers", "HorizontalPodAutoscalerList", "autoscaling/v2"),
];

#[derive(Default)]
struct Shared {
    objects: Mutex<BTreeMap<String, Vec<Value>>>,
    /// Sends lines to the watches on a resource; dropping them breaks the watches.
    watches: Mutex<BTreeMap<String, Vec<mpsc::UnboundedSender<Value>>>>,
}

/// The stand-in.
pub(crate) struct Cluster {
    shared: Arc<Shared>,
    address: String,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let shared = Arc::<Shared>::default();
        let routes = Router::new()
            .route("/api/v1/{resource}", get(answer))
            .route("/apis/discovery.k8s.io/v1/{resource}", get(answer))
            .route("/apis/autoscaling/v2/{resource}", get(answer))
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { shared, address }
    }

    /// Writes a kubeconfig that leads here.
    pub(crate) fn kubeconfig(&self, dir: &Path) -> PathBuf {
        let path = dir.join("kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": format!("http://{}", self.address)}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}],
        });
        std::fs::write(&path, config.to_string()).expect("written");
        path
    }

    /// Sets what lists show.
    pub(crate) fn set(&self, resource: &str, objects: Vec<Value>) {
        self.shared.objects.lock().insert(resource.to_owned(), objects);
    }

    /// Sends an event to the newest watch, once there is one.
    pub(crate) async fn say(&self, resource: &str, kind: &str, object: Value) {
        loop {
            if let Some(watches) = self.shared.watches.lock().get_mut(resource) {
                watches.retain(|watch| watch.send(json!({"type": kind, "object": object})).is_ok());
                if !watches.is_empty() {
                    return;
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Breaks the watches.
    pub(crate) fn hang_up(&self, resource: &str) {
        self.shared.watches.lock().remove(resource);
    }

    /// Says that the version watched from is too old.
    pub(crate) async fn expire(&self, resource: &str) {
        let gone = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410,
            "reason": "Expired", "message": "too old resource version"});
        self.say(resource, "ERROR", gone).await;
    }

    /// A small cluster with everything that a role looks at.
    pub(crate) fn fill(&self) {
        let meta = |name: &str| {
            json!({"name": name, "namespace": "shop", "uid": format!("uid-{name}"),
            "resourceVersion": "1", "labels": {"app.kubernetes.io/name": "front", "empty": ""},
            "annotations": {"prometheus.io/scrape": "true"}})
        };
        let node = |name: &str, ip: &str| {
            json!({"kind": "Node", "apiVersion": "v1",
            "metadata": {"name": name, "uid": name, "resourceVersion": "1",
                "labels": {"topology.kubernetes.io/zone": "z-1"}, "annotations": {"a/b": "c"}},
            "spec": {"providerID": format!("cloud://{name}")},
            "status": {"addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": ip}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}})
        };
        self.set("nodes", vec![node("n-1", "10.0.0.1"), node("n-2", "fd00::2")]);
        let mut front = json!({"kind": "Pod", "apiVersion": "v1", "metadata": meta("front-1"),
            "spec": {"nodeName": "n-1", "containers": [
                {"name": "web", "image": "web:1", "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"},
                    {"name": "metrics", "containerPort": 9102, "protocol": "TCP"}]},
                {"name": "side", "image": "side:2"}],
                "initContainers": [{"name": "init", "image": "init:1"}]},
            "status": {"phase": "Running", "podIP": "10.1.0.1", "hostIP": "10.0.0.1",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"name": "web", "containerID": "containerd://abc", "image": "web:1", "imageID": "",
                    "ready": true, "restartCount": 0}]}});
        front["metadata"]["ownerReferences"] = json!([{"kind": "ReplicaSet", "name": "front", "uid": "r",
            "apiVersion": "apps/v1", "controller": true}]);
        let waiting = json!({"kind": "Pod", "apiVersion": "v1", "metadata": meta("front-2"),
            "spec": {"containers": [{"name": "web", "image": "web:1"}]}, "status": {"phase": "Pending"}});
        let bare = pod("bare", "10.1.0.3", &json!({}));
        self.set("pods", vec![front, waiting, bare]);
        let service = |name: &str, spec: Value| json!({"kind": "Service", "apiVersion": "v1", "metadata": meta(name), "spec": spec});
        self.set("services", vec![
            service("front", json!({"type": "ClusterIP", "clusterIP": "10.2.0.1", "ports": [
                {"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"},
                {"name": "metrics", "port": 9102, "protocol": "TCP"}]})),
            service("far", json!({"type": "ExternalName", "externalName": "example.org", "ports": [{"port": 443, "protocol": "TCP"}]})),
        ]);
        let target = json!({"kind": "Pod", "name": "front-1", "namespace": "shop"});
        self.set("endpoints", vec![json!({"kind": "Endpoints", "apiVersion": "v1", "metadata": meta("front"), "subsets": [
            {"addresses": [{"ip": "10.1.0.1", "nodeName": "n-1", "targetRef": target}, {"ip": "10.9.0.1", "hostname": "h"}],
             "notReadyAddresses": [{"ip": "10.1.0.9"}],
             "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}]})]);
        let mut slice = json!({"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": meta("front-x"),
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "http"}],
            "endpoints": [
                {"addresses": ["10.1.0.1"], "conditions": {"ready": true, "serving": true, "terminating": false},
                 "nodeName": "n-1", "zone": "z-1", "targetRef": target},
                {"addresses": ["10.9.0.1"], "hostname": "h", "conditions": {"ready": false}},
                {"addresses": ["10.9.0.2"]}]});
        slice["metadata"]["labels"]["kubernetes.io/service-name"] = "front".into();
        self.set("endpointslices", vec![slice]);
    }
}

/// A running pod of one container without ports.
pub(crate) fn pod(name: &str, ip: &str, annotations: &Value) -> Value {
    json!({"kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": "2",
            "annotations": annotations},
        "spec": {"nodeName": "n-1", "containers": [{"name": "c", "image": "i"}]},
        "status": {"phase": "Running", "podIP": ip}})
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    InPath(resource): InPath<String>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Response {
    let is_watch = asked.get("watch").is_some_and(|watch| watch == "true" || watch == "1");
    if asked.contains_key("sendInitialEvents") {
        // As an API server without streaming lists: the client lists instead.
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 422,
            "reason": "Invalid", "message": "sendInitialEvents is forbidden for watch"});
        return (axum::http::StatusCode::UNPROCESSABLE_ENTITY, axum::Json(status)).into_response();
    }
    if is_watch {
        let (sender, events) = mpsc::unbounded_channel();
        shared.watches.lock().entry(resource).or_default().push(sender);
        let lines = futures_util::stream::unfold(events, |mut events| async {
            let event: Value = events.recv().await?;
            Some((Ok::<_, Infallible>(Bytes::from(format!("{event}\n"))), events))
        });
        let body = Body::from_stream(lines);
        return ([("content-type", "application/json")], body).into_response();
    }
    let (_, kind, version) = KINDS.iter().find(|(name, ..)| *name == resource).expect("a resource");
    let items = shared.objects.lock().get(&resource).cloned().unwrap_or_default();
    axum::Json(json!({"kind": kind, "apiVersion": version, "metadata": {"resourceVersion": "100"}, "items": items}))
        .into_response()
}
