//! `prometheus.WriteRequest` of <https://prometheus.io/docs/specs/prw/remote_write_spec/>.

use wattle_contract::Labels;

use super::{Request, exemplar, kind, sample};
use crate::receive::intake::MetricMetadata;
use crate::receive::known::{Key, Known};
use crate::receive::wire::{Field, Fields, Malformed, text};
use crate::store::head::SeriesRef;

/// Reads a request.
pub(super) fn read(message: &[u8], known: &Known) -> Result<Request, Malformed> {
    let mut request = Request::default();
    known.look(|look| {
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Bytes(message)) => series(&mut request, message, known, look)?,
                (3, Field::Bytes(message)) => metadata(&mut request, message)?,
                _ => {}
            }
        }
        Ok(())
    })?;
    Ok(request)
}

fn series(
    request: &mut Request,
    message: &[u8],
    known: &Known,
    look: &dyn Fn(Key) -> Option<SeriesRef>,
) -> Result<(), Malformed> {
    let mut fields = Fields::new(message);
    // Labels come first: their bytes are the key. Labels that come later are part of it too.
    let (mut end, mut is_split) = (0, false);
    let (mut points, mut more) = (None, Vec::new());
    let mut has_histogram = false;
    let mut exemplars = Vec::new();
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Bytes(_)) if points.is_none() => end = message.len() - fields.rest().len(),
            (1, Field::Bytes(_)) => is_split = true,
            (2, Field::Bytes(message)) => {
                let point = sample(message)?;
                match points {
                    None => points = Some(point),
                    Some(_) => more.push(point),
                }
            }
            (3, Field::Bytes(message)) => exemplars.push(exemplar(message, labels)?),
            (4, Field::Bytes(_)) => {
                request.histograms += 1;
                has_histogram = true;
            }
            _ => {}
        }
    }
    if has_histogram && request.with_histogram.is_none() {
        request.with_histogram = Some(labels(message)?);
    }
    if !exemplars.is_empty() {
        let labels = labels(message)?;
        request.exemplars.extend(exemplars.into_iter().map(|exemplar| (labels.clone(), exemplar)));
    }
    let Some(first) = points else { return Ok(()) };
    let key = known.keys.of(if is_split { message } else { &message[..end] });
    let series = request.series(key, look, || labels(message))?;
    for (time, value) in std::iter::once(first).chain(more) {
        request.batch.push(series, time, value);
    }
    Ok(())
}

fn labels(message: &[u8]) -> Result<Labels, Malformed> {
    let mut pairs = Vec::new();
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        let (1, Field::Bytes(label)) = field else { continue };
        let (mut name, mut value) = ("", "");
        let mut parts = Fields::new(label);
        while let Some(part) = parts.next()? {
            match part {
                (1, Field::Bytes(bytes)) => name = text(bytes)?,
                (2, Field::Bytes(bytes)) => value = text(bytes)?,
                _ => {}
            }
        }
        pairs.push((name, value));
    }
    Ok(Labels::new(pairs))
}

fn metadata(request: &mut Request, message: &[u8]) -> Result<(), Malformed> {
    let (mut metric, mut entry) = ("", MetricMetadata { kind: "unknown".to_owned(), ..Default::default() });
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Varint(number)) => kind(number).clone_into(&mut entry.kind),
            (2, Field::Bytes(bytes)) => metric = text(bytes)?,
            (4, Field::Bytes(bytes)) => text(bytes)?.clone_into(&mut entry.help),
            (5, Field::Bytes(bytes)) => text(bytes)?.clone_into(&mut entry.unit),
            _ => {}
        }
    }
    request.metadata.push((metric.to_owned(), entry));
    Ok(())
}
