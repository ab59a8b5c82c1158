//! What benchmarks and fuzz targets reach of the inside. Not for use by programs: it changes without notice.

mod queries;
mod received;

pub use queries::Queries;
pub use received::{otlp_metrics, otlp_spans, zipkin_spans};

use crate::receive::exposition::{Format, Parser, labels_of};
use crate::receive::scrape::{Reader, Rules};
use crate::store::chunk;
use crate::store::head::SeriesRef;
use crate::store::pack::Pack;

/// Reads the expositions of one target again and again, as a scrape does up to the store.
pub struct Expositions {
    reader: Reader,
    scrapes: i64,
}

impl std::fmt::Debug for Expositions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expositions").finish_non_exhaustive()
    }
}

impl Default for Expositions {
    fn default() -> Self {
        let target = [("job", "probe"), ("instance", "127.0.0.1:1")];
        let rules = Rules {
            target: target.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            honor_labels: false,
            honor_timestamps: true,
            sample_limit: 0,
            label_limit: 0,
            relabel: Vec::new(),
        };
        Self { reader: Reader::new(rules), scrapes: 0 }
    }
}

impl Expositions {
    /// Reads one; gives its samples, or why it is refused.
    ///
    /// Errors: the body is no exposition.
    pub fn read(&mut self, body: &str, is_openmetrics: bool) -> Result<usize, String> {
        let format = if is_openmetrics { Format::OpenMetrics } else { Format::Text };
        self.scrapes += 1;
        self.reader.begin();
        let reading = self.reader.read(body, format, self.scrapes * 15_000).map_err(|error| error.to_string())?;
        let refs: Vec<Option<SeriesRef>> =
            (0..reading.added() as u32).map(|id| Some(SeriesRef { position: id, id: id.into() })).collect();
        self.reader.settle(&reading, &refs);
        Ok(reading.batch.rows.len())
    }
}

/// Walks any text as an exposition.
pub fn exposition(body: &str) {
    for format in [Format::Text, Format::OpenMetrics] {
        for item in Parser::new(body, format) {
            if let Ok(crate::receive::exposition::Item::Sample(sample)) = item {
                // What the parser takes has labels.
                assert!(labels_of(sample.series).is_ok(), "{:?}", sample.series);
            }
        }
    }
}

/// Reads any bytes as write requests of both versions; gives how many samples each has.
#[must_use]
pub fn remote_write(message: &[u8]) -> [Option<usize>; 2] {
    crate::receive::remote_write::probe(message)
}

/// Encodes points from any bytes and panics when they do not come back; decodes the bytes themselves too.
pub fn codecs(bytes: &[u8]) {
    let points: Vec<chunk::Point> = bytes
        .chunks_exact(16)
        .map(|part| {
            let (time, value) = part.split_at(8);
            let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
            (number(time).cast_signed(), f64::from_bits(number(value)))
        })
        .collect();
    let bits = |points: &[chunk::Point]| points.iter().map(|p| (p.0, p.1.to_bits())).collect::<Vec<_>>();
    let back = chunk::decode(&chunk::encode(&points)).expect("its own encoding");
    assert_eq!(bits(&back), bits(&points));
    let series = [(0, points.clone()), (63, points.iter().rev().copied().collect())];
    let pack = Pack::new(&series).all().expect("its own encoding");
    for ((_, back), (_, points)) in pack.iter().zip(&series) {
        assert_eq!(bits(back), bits(points));
    }
    drop(chunk::decode(bytes));
    drop(Pack::from_stored(bytes));
    drop(Pack::from_plain(bytes.to_vec()).all());
    drop(crate::store::journal::decode(bytes));
}
