//! Codec of a journal row of exemplars: JSON through zstd, which takes the repeated labels out.

use wattle_contract::Labels;

use super::{Exemplar, Of};

const LEVEL: i32 = 1;
/// What one row may grow to when it is read back: far above the largest accepted request.
const LIMIT: usize = 512 << 20;

/// Labels of the series; time, whether it is the sender's, bits of the value and labels of the exemplar.
type Written = (Vec<(String, String)>, (i64, bool, u64, Vec<(String, String)>));

/// Encodes a row.
pub(super) fn encode(batch: &[Of]) -> std::io::Result<Vec<u8>> {
    let pairs = |labels: &Labels| labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let written = |(series, exemplar): &Of| {
        let Exemplar { time, has_time, value, labels } = exemplar;
        (pairs(series), (*time, *has_time, value.to_bits(), pairs(labels)))
    };
    let written: Vec<Written> = batch.iter().map(written).collect();
    zstd::bulk::compress(&serde_json::to_vec(&written)?, LEVEL)
}

/// Decodes a row; `None` when it is none.
pub(super) fn decode(body: &[u8]) -> Option<Vec<Of>> {
    let mut plain = Vec::new();
    let reader = zstd::stream::read::Decoder::new(body).ok()?;
    std::io::Read::read_to_end(&mut std::io::Read::take(reader, LIMIT as u64), &mut plain).ok()?;
    let written: Vec<Written> = serde_json::from_slice(&plain).ok()?;
    let exemplar = |(time, has_time, bits, labels)| {
        let value = f64::from_bits(bits);
        Exemplar { time, has_time, value, labels: Labels::new::<String, String>(labels) }
    };
    Some(written.into_iter().map(|(series, own)| (Labels::new::<String, String>(series), exemplar(own))).collect())
}
