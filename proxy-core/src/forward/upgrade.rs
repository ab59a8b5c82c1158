//! Requests that turn their connection into something else, such as a WebSocket.

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use crate::resilience::limits::Held;
use crate::telemetry::{Flag, Record};

/// Puts back the two headers that ask for the upgrade, which concern every hop here.
pub(crate) fn ask(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Carries bytes both ways once both sides have switched; the record ends with them.
pub(crate) fn carry(downstream: OnUpgrade, upstream: OnUpgrade, mut record: Box<Record>, held: Vec<Held>) {
    tokio::spawn(async move {
        let both = tokio::try_join!(downstream, upstream);
        match both {
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
        record.finish();
        drop(held);
    });
}
