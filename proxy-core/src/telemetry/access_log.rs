//! One JSON object a line for each request: formatted into a block of the thread, written in blocks by a task of its own.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Record, hex};
use crate::metrics::Metrics;
use crate::threads::PerThread;

/// A block is handed over when it has this many bytes.
const BLOCK: usize = 32 * 1024;
/// Blocks waiting to be written; a writer that cannot keep up costs lines, never requests.
const QUEUE: usize = 256;
/// The longest a line waits for its block to fill.
const LINGER: Duration = Duration::from_millis(200);

type Blocks = Arc<PerThread<Mutex<Vec<u8>>>>;

/// Takes lines.
#[derive(Clone, Debug)]
pub(crate) struct AccessLog {
    blocks: Blocks,
    full: mpsc::Sender<Vec<u8>>,
    metrics: Arc<Metrics>,
}

impl AccessLog {
    /// Starts the writer; the task ends after `stop` once what was queued is written.
    pub(crate) fn start(
        writer: Box<dyn Write + Send>,
        metrics: Arc<Metrics>,
        threads: usize,
        stop: CancellationToken,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (full, queue) = mpsc::channel::<Vec<u8>>(QUEUE);
        let blocks: Blocks = Arc::new(PerThread::new(threads));
        let task = Task { writer: Some(writer), queue, blocks: Arc::clone(&blocks), metrics: Arc::clone(&metrics) };
        (Self { blocks, full, metrics }, tokio::spawn(task.run(stop)))
    }

    pub(crate) fn write(&self, record: &Record, elapsed: Duration) {
        let mut block = self.blocks.mine().lock();
        line(&mut block, record, elapsed);
        if block.len() >= BLOCK {
            let full = std::mem::replace(&mut *block, Vec::with_capacity(BLOCK + BLOCK / 8));
            drop(block);
            if let Err(refused) = self.full.try_send(full) {
                self.metrics.log_dropped.inc_by(lines(&refused.into_inner()));
            }
        }
    }
}

struct Task {
    writer: Option<Box<dyn Write + Send>>,
    queue: mpsc::Receiver<Vec<u8>>,
    blocks: Blocks,
    metrics: Arc<Metrics>,
}

impl Task {
    async fn run(mut self, stop: CancellationToken) {
        let mut linger = interval(LINGER);
        linger.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let stopped = tokio::select! {
                Some(block) = self.queue.recv() => {
                    self.put(block).await;
                    continue;
                }
                _ = linger.tick() => false,
                () = stop.cancelled() => true,
            };
            while let Ok(block) = self.queue.try_recv() {
                self.put(block).await;
            }
            let blocks: Vec<_> = self.blocks.iter().map(|block| std::mem::take(&mut *block.lock())).collect();
            for block in blocks {
                self.put(block).await;
            }
            if stopped {
                return;
            }
        }
    }

    async fn put(&mut self, block: Vec<u8>) {
        if block.is_empty() {
            return;
        }
        let Some(mut writer) = self.writer.take() else { return };
        let written = tokio::task::spawn_blocking(move || {
            let result = writer.write_all(&block).and_then(|()| writer.flush());
            (writer, block, result)
        });
        let Ok((writer, block, result)) = written.await else { return };
        self.writer = Some(writer);
        if let Err(error) = result {
            let lost = lines(&block);
            self.metrics.log_dropped.inc_by(lost);
            tracing::debug!(%error, lost, "access log lines could not be written");
        }
    }
}

fn lines(block: &[u8]) -> u64 {
    block.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn line(out: &mut Vec<u8>, record: &Record, elapsed: Duration) {
    let since = record.at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    out.extend_from_slice(b"{\"start_time_ms\":");
    digits(out, u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    text(out, "method", record.request.method());
    text(out, "path", record.request.path());
    put(out, format_args!(",\"protocol\":\"{:?}\"", record.request.version));
    text(out, "authority", record.request.authority());
    number(out, "response_code", u64::from(record.status));
    put(out, format_args!(",\"response_flags\":\"{}\"", record.flags));
    if let Some(code) = record.grpc_status {
        put(out, format_args!(",\"grpc_status\":{code}"));
    }
    number(out, "bytes_received", record.request_bytes);
    number(out, "bytes_sent", record.response_bytes);
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    number(out, "duration_ms", micros / 1000);
    let rest = micros % 1000;
    out.extend_from_slice(&[b'.', b'0' + (rest / 100) as u8, b'0' + (rest / 10 % 10) as u8, b'0' + (rest % 10) as u8]);
    number(out, "attempts", u64::from(record.attempts));
    text(out, "route_name", record.route_name());
    text(out, "upstream_cluster", record.cluster_name());
    text(out, "upstream_host", record.upstream());
    put(out, format_args!(",\"downstream_remote_address\":\"{}\"", record.peer_address));
    text(out, "user_agent", record.user_agent());
    text(out, "request_id", record.request_id());
    if let Some(span) = &record.span {
        let mut id = [0; 32];
        hex((span.trace_id >> 64) as u64, &mut id[..16]);
        hex(span.trace_id as u64, &mut id[16..]);
        out.extend_from_slice(b",\"trace_id\":\"");
        out.extend_from_slice(&id);
        out.push(b'"');
    }
    out.extend_from_slice(b"}\n");
}

/// Writing to memory cannot fail.
fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _infallible = out.write_fmt(text);
}

fn number(out: &mut Vec<u8>, key: &str, value: u64) {
    for part in [",\"", key, "\":"] {
        out.extend_from_slice(part.as_bytes());
    }
    digits(out, value);
}

fn digits(out: &mut Vec<u8>, mut value: u64) {
    let mut text = [0; 20];
    let mut at = text.len();
    loop {
        at -= 1;
        text[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
}

fn text(out: &mut Vec<u8>, key: &str, value: &str) {
    for part in [",\"", key, "\":\""] {
        out.extend_from_slice(part.as_bytes());
    }
    if value.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.extend_from_slice(value.as_bytes());
    } else {
        for char in value.chars() {
            match char {
                '"' | '\\' => put(out, format_args!("\\{char}")),
                '\0'..='\x1f' => put(out, format_args!("\\u{:04x}", u32::from(char))),
                _ => put(out, format_args!("{char}")),
            }
        }
    }
    out.push(b'"');
}
