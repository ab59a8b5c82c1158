//! Decisions of the scheduler on their way into the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wattle_collector::store::Store;
use wattle_contract::Decision;

use crate::verbs::rows::redact;

/// Pause after the store could not be opened.
const AGAIN: Duration = Duration::from_secs(5);

/// Keeps decisions in a store that is open.
pub(crate) async fn record(store: Arc<Store>, mut decisions: mpsc::Receiver<Decision>) {
    let mut failed = 0_u64;
    while let Some(decision) = decisions.recv().await {
        match store.record_decision(&decision).await {
            Ok(()) if failed > 0 => {
                tracing::info!(failed, "decisions are recorded again");
                failed = 0;
            }
            Ok(()) => {}
            Err(error) => {
                if failed == 0 {
                    tracing::warn!(%error, decision.id = %decision.id, "a decision was not recorded");
                }
                failed += 1;
            }
        }
    }
}

/// Opens a store, however long that takes, and keeps decisions in it. Meanwhile they wait, and beyond what can wait are
/// dropped and counted: the extender answers whether or not the store is there.
pub(crate) async fn open_and_record(url: String, decisions: mpsc::Receiver<Decision>, shutdown: CancellationToken) {
    let mut is_told = false;
    let store = loop {
        match Store::open(&url).await {
            Ok(store) => break store,
            Err(error) if !is_told => {
                tracing::warn!(%error, store = redact(&url), "cannot open the store yet: decisions wait");
                is_told = true;
            }
            Err(error) => tracing::debug!(%error, "still cannot open the store"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
    };
    record(Arc::new(store), decisions).await;
}

/// Puts decisions into the log where no store is named.
pub(crate) async fn log(mut decisions: mpsc::Receiver<Decision>) {
    while let Some(decision) = decisions.recv().await {
        let node = decision.best().map(|best| best.node.as_str()).unwrap_or_default();
        tracing::debug!(decision.id = %decision.id, pod = %decision.pod.pod, node.name = node, "pod scored");
    }
}
