//! Requests that turn their connection into something else, such as a WebSocket.

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use crate::carrier::Life;
use crate::resilience::limits::Held;
use crate::telemetry::{Flag, Record};

/// Puts back the two headers that ask for the upgrade, which concern every hop here.
pub(crate) fn ask(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Carries bytes both ways once both sides have switched; the record ends with them.
///
/// The connection's own task ends with the switch, so a drain waits for this one and cuts it like any request.
pub(crate) fn carry(life: &Life, downstream: OnUpgrade, upstream: OnUpgrade, mut record: Box<Record>, held: Vec<Held>) {
    let cut = life.cut.clone();
    life.tasks.spawn(async move {
        tokio::select! {
            () = both_ways(downstream, upstream, &mut record) => record.finish(),
            () = cut.cancelled() => {}
        }
        drop((record, held));
    });
}

async fn both_ways(downstream: OnUpgrade, upstream: OnUpgrade, record: &mut Record) {
    match tokio::try_join!(downstream, upstream) {
        Ok((downstream, upstream)) => {
            let (mut downstream, mut upstream) = (TokioIo::new(downstream), TokioIo::new(upstream));
            if let Ok((received, sent)) = copy_bidirectional(&mut downstream, &mut upstream).await {
                record.request_bytes.fetch_add(received, std::sync::atomic::Ordering::Relaxed);
                record.response_bytes += sent;
            }
        }
        Err(error) => {
            tracing::debug!(%error, "an upgrade did not happen");
            record.flag(Flag::UpstreamReset);
        }
    }
}
