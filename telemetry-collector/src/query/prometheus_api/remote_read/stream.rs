//! The streamed answer: frames of XOR chunks, a series or a part of one each, while the store is read.
//!
//! Frame: length as varint, CRC-32C of the message in big endian, message (Prometheus `storage/remote/chunked.go`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use promql_parser::label::Matchers;
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::wire::{Chunk, ChunkedReadResponse, ChunkedSeries, Label};
use super::{Span, ordered, xor};
use crate::Error;
use crate::store::read::Points;
use crate::store::samples::Samples;

/// The type of the answer.
pub(crate) const STREAM: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
/// Bytes of chunks after which a frame ends; Prometheus's clients take up to 50 MiB a frame, and it sends 1 MiB itself.
const FRAME: usize = 1 << 20;
/// Frames that wait for a client that reads slowly.
const AHEAD: usize = 4;
/// CRC-32C, reflected (<https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4>).
const CASTAGNOLI: u32 = 0x82f6_3b78;

/// Answers with a stream; the permit is held until its end, or until the client has taken nothing for `patience`.
pub(super) fn respond(
    samples: Arc<Samples>,
    queries: Vec<(Matchers, Span)>,
    patience: Duration,
    permit: OwnedSemaphorePermit,
) -> Response {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let is_whole = Arc::new(AtomicBool::new(false));
    let told = is_whole.clone();
    tokio::spawn(async move {
        let _permit = permit;
        let client = Client { sender, patience };
        for (index, (matchers, span)) in (0..).zip(&queries) {
            match frames(&samples, matchers, *span, index, &client).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(%error, "a remote read ended early");
                    return;
                }
            }
        }
        is_whole.store(true, Ordering::Release);
    });
    // Where it is not whole the connection is cut: the client must not take it for an answer.
    let cut =
        |is_whole: bool| std::future::ready((!is_whole).then(|| Err(Error::row("a remote read", "it ended early"))));
    let end = stream::once(async move { told.load(Ordering::Acquire) }).filter_map(cut);
    let body = ReceiverStream::new(receiver).map(Ok).chain(end);
    ([(header::CONTENT_TYPE, STREAM)], Body::from_stream(body)).into_response()
}

/// Where frames go.
struct Client {
    sender: mpsc::Sender<Bytes>,
    patience: Duration,
}

impl Client {
    /// Sends a frame; gives whether the client still takes them.
    async fn send(&self, frame: Bytes) -> bool {
        matches!(tokio::time::timeout(self.patience, self.sender.send(frame)).await, Ok(Ok(())))
    }
}

/// Sends what one query asks for; gives whether the client took it all.
async fn frames(
    samples: &Samples,
    matchers: &Matchers,
    (start, end): Span,
    query_index: i64,
    client: &Client,
) -> Result<bool, Error> {
    let mut points = Points::default();
    for part in ordered(samples, matchers, (start, end)).await?.chunks(Samples::at_once()) {
        for (found, packed) in part.iter().zip(samples.packed(part, start, end).await?) {
            packed.unpack(start, end, &mut points)?;
            let label = |(name, value): (&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
            let labels: Vec<Label> = found.labels.iter().map(label).collect();
            let all: Vec<(i64, f64)> = points.times.iter().copied().zip(points.values.iter().copied()).collect();
            let mut chunks: Vec<Chunk> = Vec::new();
            let mut size = 0;
            let mut parts = all.chunks(xor::SAMPLES).peekable();
            while let Some(part) = parts.next() {
                let data = xor::encode(part);
                size += data.len();
                chunks.push(Chunk { min_time_ms: part[0].0, max_time_ms: part[part.len() - 1].0, kind: 1, data });
                if size < FRAME && parts.peek().is_some() {
                    continue;
                }
                size = 0;
                let series = ChunkedSeries { labels: labels.clone(), chunks: std::mem::take(&mut chunks) };
                let message = ChunkedReadResponse { series: vec![series], query_index };
                if !client.send(frame(&message)).await {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

fn frame(message: &ChunkedReadResponse) -> Bytes {
    let body = message.encode_to_vec();
    let mut frame = Vec::with_capacity(body.len() + 9);
    prost::encoding::encode_varint(body.len() as u64, &mut frame);
    frame.extend(crc32c(&body).to_be_bytes());
    frame.extend(body);
    frame.into()
}

fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            let (mut crc, mut bit) = (at as u32, 0);
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ CASTAGNOLI } else { crc >> 1 };
                bit += 1;
            }
            table[at] = crc;
            at += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc: u32, byte| crc >> 8 ^ TABLE[usize::from(crc as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
