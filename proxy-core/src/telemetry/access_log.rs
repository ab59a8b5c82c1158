//! One JSON object a line for each request, written in blocks by a thread of its own.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Record;
use crate::metrics::Metrics;

/// Lines waiting to be written; a writer that cannot keep up costs lines, never requests.
const QUEUE: usize = 16_384;

/// Takes lines.
#[derive(Clone, Debug)]
pub(crate) struct AccessLog {
    lines: mpsc::Sender<Vec<u8>>,
    metrics: Arc<Metrics>,
}

#[derive(Serialize)]
struct Line<'a> {
    start_time_ms: u128,
    method: &'a str,
    path: &'a str,
    protocol: String,
    authority: &'a str,
    response_code: u16,
    response_flags: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    grpc_status: Option<u32>,
    bytes_received: u64,
    bytes_sent: u64,
    duration_ms: f64,
    attempts: u32,
    route_name: &'a str,
    upstream_cluster: &'a str,
    upstream_host: &'a str,
    downstream_remote_address: String,
    user_agent: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

impl AccessLog {
    /// Starts the writer; the task ends after `stop` once what was queued is written.
    pub(crate) fn start(
        mut writer: Box<dyn Write + Send>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (lines, mut queue) = mpsc::channel::<Vec<u8>>(QUEUE);
        let counted = Arc::clone(&metrics);
        let task = tokio::spawn(async move {
            let mut block = Vec::new();
            loop {
                let line = tokio::select! {
                    line = queue.recv() => line,
                    () = stop.cancelled() => queue.try_recv().ok(),
                };
                let Some(line) = line else { return };
                block.extend(line);
                while let Some(more) = queue.try_recv().ok().filter(|_| block.len() < 1 << 16) {
                    block.extend(more);
                }
                let bytes = std::mem::take(&mut block);
                let written = tokio::task::spawn_blocking(move || {
                    let result = writer.write_all(&bytes).and_then(|()| writer.flush());
                    (writer, bytes, result)
                });
                let Ok((back, bytes, result)) = written.await else { return };
                writer = back;
                if let Err(error) = result {
                    let lost = bytes.iter().filter(|byte| **byte == b'\n').count();
                    counted.log_dropped.inc_by(lost as u64);
                    tracing::debug!(%error, lost, "access log lines could not be written");
                }
                block = bytes;
                block.clear();
            }
        });
        (Self { lines, metrics }, task)
    }

    pub(crate) fn write(&self, record: &Record) {
        let since = record.at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let line = Line {
            start_time_ms: since.as_millis(),
            method: record.method.as_str(),
            path: &record.path,
            protocol: format!("{:?}", record.version),
            authority: &record.authority,
            response_code: record.status,
            response_flags: record.flags.to_string(),
            grpc_status: record.grpc_status,
            bytes_received: record.bytes_in(),
            bytes_sent: record.response_bytes,
            duration_ms: record.elapsed_ms(),
            attempts: record.attempts,
            route_name: &record.route,
            upstream_cluster: &record.cluster,
            upstream_host: &record.upstream,
            downstream_remote_address: record.peer_address.to_string(),
            user_agent: &record.user_agent,
            request_id: &record.request_id,
            trace_id: record.span.as_ref().map(|span| format!("{:032x}", span.trace_id)),
        };
        let Ok(mut bytes) = serde_json::to_vec(&line) else { return };
        bytes.push(b'\n');
        if self.lines.try_send(bytes).is_err() {
            self.metrics.log_dropped.inc();
        }
    }
}
