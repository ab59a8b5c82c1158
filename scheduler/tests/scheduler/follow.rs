//! Following a collector in another process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wattle_scheduler::steer::Steering;
use wattle_scheduler::{Steerer, follow_snapshots_every, follow_steering};

use crate::world::snapshot;

/// Answers: not yet, the first snapshot, not modified, broken, cut short, then the second one for good.
#[derive(Default)]
struct Collector {
    calls: AtomicUsize,
    not_modified: AtomicUsize,
}

async fn answer(State(collector): State<Arc<Collector>>, headers: HeaderMap) -> Response {
    let tag = headers.get(header::IF_NONE_MATCH).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    let version = match collector.calls.fetch_add(1, Ordering::SeqCst) {
        0 => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        1 | 2 => 7,
        3 => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        4 => return "{\"version\":8,".into_response(),
        _ => 8,
    };
    let etag = format!("\"{version}\"");
    if tag.as_deref() == Some(&etag) {
        collector.not_modified.fetch_add(1, Ordering::SeqCst);
        return StatusCode::NOT_MODIFIED.into_response();
    }
    ([(header::ETAG, etag)], serde_json::to_vec(&snapshot(version, 0)).expect("serializes")).into_response()
}

#[tokio::test]
async fn what_is_new_is_sent_and_the_last_good_one_stays() {
    let collector = Arc::new(Collector::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let uri = format!("http://{}", listener.local_addr().expect("bound")).parse().expect("a URI");
    let routes = Router::new().route("/api/v1/snapshot", get(answer)).with_state(Arc::clone(&collector));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let (sender, mut receiver) = watch::channel(None);
    let shutdown = CancellationToken::new();
    let following = tokio::spawn(follow_snapshots_every(Duration::from_millis(1), uri, sender, shutdown.clone()));

    receiver.changed().await.expect("followed");
    assert_eq!(receiver.borrow_and_update().as_ref().map(|snapshot| snapshot.version), Some(7));

    receiver.changed().await.expect("followed");
    assert_eq!(receiver.borrow_and_update().as_ref().map(|snapshot| snapshot.version), Some(8));
    assert!(collector.not_modified.load(Ordering::SeqCst) >= 1);

    shutdown.cancel();
    following.await.expect("ends");
}

#[tokio::test]
async fn weights_are_followed_and_end_when_their_source_is_gone_for_too_long() {
    let weights =
        Steering { version: 3, services: [("search".into(), [("new".into(), 100), ("old".into(), 25)].into())].into() };
    let (told, is_gone) = (weights.clone(), Arc::new(AtomicBool::new(false)));
    let gone = Arc::clone(&is_gone);
    let answer = move || {
        let (body, gone) = (serde_json::to_vec(&told).expect("serializes"), gone.load(Ordering::SeqCst));
        async move {
            match gone {
                true => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
                false => ([(header::ETAG, "\"a\"")], body).into_response(),
            }
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let uri = format!("http://{}", listener.local_addr().expect("bound")).parse().expect("a URI");
    let scheduler = Steerer::new(&uri, None).expect("plain HTTP needs no files");
    let routes = Router::new().route("/steering", get(answer));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let (sender, mut receiver) = watch::channel(Arc::default());
    let (shutdown, often) = (CancellationToken::new(), Duration::from_millis(1));
    let following =
        tokio::spawn(follow_steering(often, Duration::from_millis(20), scheduler, sender, shutdown.clone()));

    receiver.changed().await.expect("followed");
    assert_eq!(**receiver.borrow_and_update(), weights);

    is_gone.store(true, Ordering::SeqCst);
    receiver.wait_for(|weights| weights.services.is_empty()).await.expect("told");

    shutdown.cancel();
    following.await.expect("ends");
}
