//! Clients of the API server that notice when it is gone, and when it is back.
//!
//! Left to itself a client tries an answer of 503 again for minutes unseen, waits without end on a server that hangs, and
//! a watch that works again is told by nothing until something in the cluster changes. Here every answer is looked at,
//! nothing is tried twice behind one's back (the watch has a back-off of its own), and silence has an end.

use std::time::Duration;

use http::Response;
use kube::client::ClientBuilder;
use prometheus::{IntCounter, IntGauge};
use tower::BoxError;
use tower::util::MapResultLayer;

use crate::metrics::Metrics;

/// Life of one watch: the server ends it then, and it is taken up where it was. Units: seconds.
pub(crate) const WATCH_SECONDS: u32 = 60;
/// Longest silence of a server while something is asked or watched: a little more than a watch without news may last.
const SILENCE: Duration = Duration::from_secs(75);
/// Longest time to connect, TLS handshake included.
const CONNECT: Duration = Duration::from_secs(10);

/// How the watch on one resource does.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    resource: &'static str,
    up: IntGauge,
    errors: IntCounter,
}

impl Health {
    pub(crate) fn new(metrics: &Metrics, resource: &'static str) -> Self {
        Self {
            resource,
            up: metrics.watch_up.with_label_values(&[resource]),
            errors: metrics.watch_errors.with_label_values(&[resource]),
        }
    }

    /// The server answered with what was asked for.
    pub(crate) fn works(&self) {
        if self.up.get() == 0 {
            tracing::info!(resource = self.resource, "the watch on Kubernetes works");
        }
        self.up.set(1);
    }

    /// The server answered with an error, or not at all.
    pub(crate) fn failed(&self, error: &dyn std::fmt::Display) {
        self.errors.inc();
        let resource = self.resource;
        if self.up.get() == 1 {
            tracing::warn!(resource, %error, "the watch on Kubernetes failed: what was known stays until it works again");
        } else {
            tracing::debug!(resource, %error, "the watch on Kubernetes still fails");
        }
        self.up.set(0);
    }
}

/// Gives a client for single calls.
///
/// # Errors
/// The configuration names certificates that cannot be used.
pub(crate) fn client(config: &kube::Config) -> Result<kube::Client, kube::Error> {
    kube::Client::try_from(bounded(config))
}

/// Gives a client for the list and the watch of one resource; a good answer counts as health before its first event.
///
/// # Errors
/// The configuration names certificates that cannot be used.
pub(crate) fn watching_client(config: &kube::Config, health: &Health) -> Result<kube::Client, kube::Error> {
    let health = health.clone();
    // What is wrong with other answers the watch itself tells.
    let look = move |answer: Result<Response<_>, BoxError>| {
        if answer.as_ref().is_ok_and(|answer| answer.status().is_success()) {
            health.works();
        }
        answer
    };
    Ok(ClientBuilder::try_from(bounded(config))?.with_layer(&MapResultLayer::new(look)).build())
}

/// Sets an end to every wait, no later than the configuration does.
fn bounded(config: &kube::Config) -> kube::Config {
    let within = |own: Option<Duration>, most: Duration| Some(own.map_or(most, |own| own.min(most)));
    let mut config = config.clone();
    config.connect_timeout = within(config.connect_timeout, CONNECT);
    config.read_timeout = within(config.read_timeout, SILENCE);
    config.write_timeout = within(config.write_timeout, SILENCE);
    config.default_retry = false;
    config
}
