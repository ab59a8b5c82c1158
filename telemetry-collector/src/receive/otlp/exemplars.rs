//! Exemplars of points, as Prometheus takes them from OTLP.

use opentelemetry_proto::tonic::metrics::v1::{Exemplar as OtlpExemplar, exemplar};
use wattle_contract::Labels;

use super::names;
use crate::receive::intake::EXEMPLAR_LABELS as ROOM;
use crate::store::exemplars::Exemplar;

/// Gives the exemplars that lie above `lower` and not above `upper`: those of one bucket.
pub(super) fn between(all: &[OtlpExemplar], lower: f64, upper: f64) -> impl Iterator<Item = Exemplar> {
    all.iter().filter_map(convert).filter(move |one| (one.value > lower || lower.is_infinite()) && one.value <= upper)
}

fn convert(from: &OtlpExemplar) -> Option<Exemplar> {
    let value = match from.value? {
        exemplar::Value::AsDouble(value) => value,
        exemplar::Value::AsInt(value) => value as f64,
    };
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let ids = [("trace_id", &from.trace_id), ("span_id", &from.span_id)];
    let mut labels: Vec<(String, String)> =
        ids.into_iter().filter(|(_, id)| !id.is_empty()).map(|(name, id)| (name.to_owned(), hex(id))).collect();
    // Attributes come along where there is room: the ids are what an exemplar is for.
    let own = names::labels(&from.filtered_attributes);
    let length = |labels: &[(String, String)]| -> usize {
        labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum()
    };
    if length(&labels) + length(&own) <= ROOM {
        labels.extend(own);
    }
    let time = i64::try_from(from.time_unix_nano / 1_000_000).unwrap_or(i64::MAX);
    Some(Exemplar { time, has_time: true, value, labels: Labels::new(labels) })
}
