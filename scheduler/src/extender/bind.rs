//! The bind verb, off by default: it adds a hop, and a wrong answer loses a pod for good.
//!
//! Idempotent by the pod's unique id: asked again after an answer that was lost, a pod that is already on that node is
//! bound, and one that is elsewhere is an error. No lock is held across the call to the API server.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use k8s_openapi::api::core::v1::{Binding, ObjectReference, Pod};
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use wattle_contract::PodKey;

use super::Shared;
use super::body;
use super::call::Call;
use crate::metrics::Verb;
use crate::wire::{self, BindArgs};

/// kube-scheduler waits 5 s by default and binds outside its scheduling loop.
const WITHIN: Duration = Duration::from_secs(4);

/// Why a pod was not bound.
#[derive(Debug, thiserror::Error)]
enum Unbound {
    #[error("cannot bind pod {pod} to node {node}: the API server did not answer within 4 s")]
    TooSlow { pod: PodKey, node: String },
    #[error("cannot bind pod {pod} to node {node}: {source}")]
    Refused { pod: PodKey, node: String, source: kube::Error },
    #[error("pod {pod} is already on node {on}, not on {node}")]
    Elsewhere { pod: PodKey, node: String, on: String },
}

pub(super) async fn bind(State(shared): State<Arc<Shared>>, body: Body) -> Response {
    let call = Call::begin(&shared, Verb::Bind);
    let body = match body::read(body, shared.config.max_body_bytes, call.until()).await {
        Ok(body) => body,
        Err(why) => return call.unread(why),
    };
    let args = match BindArgs::parse(&body) {
        Ok(args) => args,
        Err(error) => return call.malformed(&error),
    };
    let Some(client) = shared.kube.clone() else {
        return call.answer(StatusCode::OK, wire::bind_answer("this extender has no connection to Kubernetes"));
    };
    let pod = PodKey::new(&args.pod_namespace, &args.pod_name);
    let written = tokio::time::timeout(WITHIN, write(client, &pod, &args)).await;
    let answer = match written.unwrap_or_else(|_| Err(Unbound::TooSlow { pod: pod.clone(), node: args.node.clone() })) {
        Ok(()) => {
            shared.observe_binding(&pod, &args.node.as_str().into(), &args.pod_uid);
            wire::bind_answer("")
        }
        Err(error) => {
            shared.metrics.rejected("not_bound");
            tracing::warn!(pod.namespace = %pod.namespace, pod.name = %pod.name, node.name = args.node, %error, "a pod was not bound");
            wire::bind_answer(&error.to_string())
        }
    };
    call.answer(StatusCode::OK, answer)
}

async fn write(client: kube::Client, pod: &PodKey, args: &BindArgs) -> Result<(), Unbound> {
    let refused = |source| Unbound::Refused { pod: pod.clone(), node: args.node.clone(), source };
    let pods: Api<Pod> = Api::namespaced(client, &args.pod_namespace);
    let binding = Binding {
        metadata: ObjectMeta {
            name: Some(args.pod_name.clone()),
            namespace: Some(args.pod_namespace.clone()),
            uid: Some(args.pod_uid.clone()).filter(|uid| !uid.is_empty()),
            ..ObjectMeta::default()
        },
        target: ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(args.node.clone()),
            ..ObjectReference::default()
        },
    };
    let created: Result<serde_json::Value, _> =
        pods.create_subresource("binding", &args.pod_name, &PostParams::default(), &binding).await;
    match created {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let found = pods.get(&args.pod_name).await.map_err(refused)?;
            let is_same = args.pod_uid.is_empty() || found.metadata.uid.as_deref() == Some(&args.pod_uid);
            match found.spec.and_then(|spec| spec.node_name) {
                Some(on) if is_same && on == args.node => Ok(()),
                Some(on) if is_same => Err(Unbound::Elsewhere { pod: pod.clone(), node: args.node.clone(), on }),
                _ => Err(refused(kube::Error::Api(status))),
            }
        }
        Err(source) => Err(refused(source)),
    }
}
