//! The roles: each builds its configuration from the settings, binds its listeners and runs until stopped.

pub(crate) mod collector;
mod decisions;
pub(crate) mod proxy;
pub(crate) mod scheduler;
pub(crate) mod up;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Gives a token that is cancelled by Ctrl-C, by SIGTERM, or after `run_for`.
pub(crate) fn until_stopped(run_for: Option<Duration>) -> CancellationToken {
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = token.cancelled() => {}
            () = interrupted() => tracing::info!("asked to stop; draining"),
            () = elapsed(run_for) => {}
        }
        token.cancel();
    });
    shutdown
}

async fn elapsed(run_for: Option<Duration>) {
    match run_for {
        Some(span) => tokio::time::sleep(span).await,
        None => std::future::pending().await,
    }
}

async fn interrupted() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot listen for SIGTERM; Ctrl-C still works");
                std::future::pending().await
            }
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}

/// Waits for the end of a role, but not for ever.
pub(crate) async fn join_within(span: Duration, what: &str, end: impl Future<Output = ()>) {
    if tokio::time::timeout(span, end).await.is_err() {
        tracing::warn!(role = what, waited_ms = span.as_millis(), "did not end in time; what it held is cut off");
    }
}
