//! The body of a write request, unpacked into memory that is used again.

use axum::http::{HeaderMap, StatusCode, header};
use parking_lot::Mutex;

use super::Version;

/// Largest request accepted, unpacked.
const UNPACKED_LIMIT: usize = 64 << 20;
/// Buffers kept for the next requests, and the largest that is kept.
const BUFFERS: usize = 16;
const BUFFER_LIMIT: usize = 8 << 20;

/// Memory for requests: fresh pages for each would cost more than unpacking does.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    fn lend(&self) -> Vec<u8> {
        self.0.lock().pop().unwrap_or_default()
    }

    pub(super) fn give_back(&self, buffer: Vec<u8>) {
        let mut buffers = self.0.lock();
        if buffers.len() < BUFFERS && buffer.capacity() <= BUFFER_LIMIT {
            buffers.push(buffer);
        }
    }
}

/// Gives the version of a request and its plain bytes.
pub(super) fn unpack(
    headers: &HeaderMap,
    body: &[u8],
    buffers: &Buffers,
) -> Result<(Version, Vec<u8>), (StatusCode, String)> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let version = version(text(header::CONTENT_TYPE))?;
    let mut plain = buffers.lend();
    let unpacked = match text(header::CONTENT_ENCODING) {
        "" | "snappy" => snappy(body, &mut plain),
        "zstd" => zstd(body, &mut plain),
        other => {
            let message = format!("content encoding {other:?} is not supported: send snappy or zstd\n");
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
    };
    unpacked.map_err(|reason| (StatusCode::BAD_REQUEST, format!("{reason}\n")))?;
    Ok((version, plain))
}

fn version(content_type: &str) -> Result<Version, (StatusCode, String)> {
    let proto = content_type.split(';').skip(1).find_map(|part| part.trim().strip_prefix("proto="));
    match proto {
        None | Some("prometheus.WriteRequest") => Ok(Version::One),
        Some("io.prometheus.write.v2.Request") => Ok(Version::Two),
        Some(other) => {
            let message = format!(
                "message {other:?} is not supported: send prometheus.WriteRequest or io.prometheus.write.v2.Request\n"
            );
            Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
        }
    }
}

fn snappy(body: &[u8], plain: &mut Vec<u8>) -> Result<(), String> {
    let length = snap::raw::decompress_len(body).map_err(|error| format!("body is not snappy: {error}"))?;
    if length > UNPACKED_LIMIT {
        return Err(format!("body of {length} bytes unpacked is longer than {UNPACKED_LIMIT}"));
    }
    // What snappy can at most make of a byte is 64; a length that cannot be is not made room for.
    if length / 64 > body.len() {
        return Err("body is not snappy: it is too short for its length".to_owned());
    }
    plain.resize(length, 0);
    let filled = snap::raw::Decoder::new().decompress(body, plain);
    filled.map(drop).map_err(|error| format!("body is not snappy: {error}"))
}

fn zstd(body: &[u8], plain: &mut Vec<u8>) -> Result<(), String> {
    use std::io::Read;

    plain.clear();
    let decoder =
        zstd::stream::read::Decoder::with_buffer(body).map_err(|error| format!("body is not zstd: {error}"))?;
    let taken = decoder.take(UNPACKED_LIMIT as u64 + 1).read_to_end(plain);
    taken.map_err(|error| format!("body is not zstd: {error}"))?;
    if plain.len() > UNPACKED_LIMIT {
        return Err(format!("body unpacked is longer than {UNPACKED_LIMIT} bytes"));
    }
    Ok(())
}
