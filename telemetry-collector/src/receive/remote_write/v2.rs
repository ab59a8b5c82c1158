//! `io.prometheus.write.v2.Request` of <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>.
//!
//! Texts are written once a request and series refer to them by number; the numbers are of this request only, so the key
//! of a series is made of the hashes of its texts, each hashed once.

use wattle_contract::{Labels, METRIC_NAME};

use super::{Request, exemplar, kind, sample};
use crate::receive::intake::MetricMetadata;
use crate::receive::known::{Key, Known};
use crate::receive::wire::{Field, Fields, Malformed, text, varint};
use crate::store::head::SeriesRef;

struct Symbols<'a> {
    texts: Vec<&'a [u8]>,
    keys: Vec<Key>,
}

impl<'a> Symbols<'a> {
    fn text(&self, number: u64) -> Result<&'a str, Malformed> {
        text(self.texts.get(usize::try_from(number).map_err(|_| Malformed)?).ok_or(Malformed)?)
    }
}

/// Reads a request.
pub(super) fn read(message: &[u8], known: &Known) -> Result<Request, Malformed> {
    let mut symbols = Symbols { texts: Vec::new(), keys: Vec::new() };
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        if let (4, Field::Bytes(bytes)) = field {
            symbols.texts.push(bytes);
            symbols.keys.push(known.keys.of(bytes));
        }
    }
    let mut request = Request::default();
    known.look(|look| {
        let mut fields = Fields::new(message);
        let mut keys = Vec::new();
        while let Some(field) = fields.next()? {
            if let (5, Field::Bytes(message)) = field {
                series(&mut request, message, &symbols, &mut keys, known, look)?;
            }
        }
        Ok(())
    })?;
    Ok(request)
}

fn series(
    request: &mut Request,
    message: &[u8],
    symbols: &Symbols<'_>,
    keys: &mut Vec<Key>,
    known: &Known,
    look: &dyn Fn(Key) -> Option<SeriesRef>,
) -> Result<(), Malformed> {
    let mut refs: &[u8] = &[];
    let mut points = Vec::new();
    let (mut histograms, mut metadata, mut exemplars) = (0, None, Vec::new());
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Bytes(packed)) => refs = packed,
            (2, Field::Bytes(message)) => points.push(sample(message)?),
            (3, Field::Bytes(_)) => histograms += 1,
            (4, Field::Bytes(message)) => exemplars.push(exemplar(message, |message| own_labels(message, symbols))?),
            (5, Field::Bytes(message)) => metadata = Some(message),
            _ => {}
        }
    }
    if !exemplars.is_empty() {
        let labels = labels(refs, symbols)?;
        request.exemplars.extend(exemplars.into_iter().map(|exemplar| (labels.clone(), exemplar)));
    }
    if histograms > 0 {
        request.histograms += histograms;
        if request.with_histogram.is_none() {
            request.with_histogram = Some(labels(refs, symbols)?);
        }
    }
    if points.is_empty() {
        return Ok(());
    }
    keys.clear();
    let mut rest = refs;
    while !rest.is_empty() {
        let number = usize::try_from(varint(&mut rest)?).map_err(|_| Malformed)?;
        keys.push(*symbols.keys.get(number).ok_or(Malformed)?);
    }
    let before = request.keys.len();
    let which = request.series(known.keys.of(keys.as_slice()), look, || labels(refs, symbols))?;
    for (time, value) in points {
        request.batch.push(which, time, value);
    }
    // What a series is does not change: it is read when the series is new.
    if let Some(message) = metadata.filter(|_| request.keys.len() > before) {
        let entry = describe(message, symbols)?;
        let metric = request.batch.labels.last().and_then(|labels| labels.get(METRIC_NAME)).unwrap_or("").to_owned();
        request.metadata.push((metric, entry));
    }
    Ok(())
}

fn labels(mut refs: &[u8], symbols: &Symbols<'_>) -> Result<Labels, Malformed> {
    let mut pairs = Vec::new();
    while !refs.is_empty() {
        let name = symbols.text(varint(&mut refs)?)?;
        pairs.push((name, symbols.text(varint(&mut refs)?)?));
    }
    Ok(Labels::new(pairs))
}

/// Reads the labels of an exemplar.
fn own_labels(message: &[u8], symbols: &Symbols<'_>) -> Result<Labels, Malformed> {
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        if let (1, Field::Bytes(refs)) = field {
            return labels(refs, symbols);
        }
    }
    Ok(Labels::default())
}

fn describe(message: &[u8], symbols: &Symbols<'_>) -> Result<MetricMetadata, Malformed> {
    let mut entry = MetricMetadata { kind: "unknown".to_owned(), ..Default::default() };
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Varint(number)) => kind(number).clone_into(&mut entry.kind),
            (3, Field::Varint(number)) => symbols.text(number)?.clone_into(&mut entry.help),
            (4, Field::Varint(number)) => symbols.text(number)?.clone_into(&mut entry.unit),
            _ => {}
        }
    }
    Ok(entry)
}
