//! Rows of traces: compressed batches as they came, and what a search asks for.

use std::collections::{BTreeMap, HashMap};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use prost::Message;
use sqlx::Row;
use wattle_contract::Timestamp;

use super::{Backend, Store, on_pool, postgres, sqlite};
use crate::Error;

/// Longest name that is searchable, in bytes: an index entry of PostgreSQL must be shorter than 2,704.
const NAME_BYTES: usize = 512;
/// Names remembered between requests; senders that make a name a request would fill the memory otherwise.
const NAMES: usize = 100_000;
/// Bytes of a trace's id; a span with another is invalid (OpenTelemetry's protocol) and cannot be found.
const TRACE_ID_BYTES: usize = 16;
/// Most bytes one stored batch may unpack to.
const BATCH_LIMIT: usize = 256 << 20;

/// One trace of one service in one batch.
pub(crate) struct IndexRow {
    pub(crate) trace: Vec<u8>,
    pub(crate) service: i64,
    pub(crate) operation: i64,
    pub(crate) start_us: i64,
    pub(crate) duration_us: i64,
    pub(crate) spans: i64,
    pub(crate) is_error: bool,
}

/// Ids of service and operation names; lives with the receiver so that known names cost no statement.
#[derive(Debug, Default)]
pub(crate) struct SpanNames {
    ids: HashMap<String, i64>,
}

impl Store {
    /// Writes the spans of a request; gives how many: what returns is acknowledged.
    pub(crate) async fn add_spans(
        &self,
        request: &ExportTraceServiceRequest,
        names: &mut SpanNames,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let summaries = summarise(request);
        let spans: i64 = summaries.values().map(|summary| summary.spans).sum();
        if spans == 0 {
            return Ok(0);
        }
        let mut rows = Vec::with_capacity(summaries.len());
        for ((trace, service), summary) in &summaries {
            rows.push(IndexRow {
                trace: trace.clone(),
                service: self.span_name(names, service).await?,
                operation: self.span_name(names, &summary.operation).await?,
                start_us: summary.start_us,
                duration_us: summary.end_us.saturating_sub(summary.start_us),
                spans: summary.spans,
                is_error: summary.is_error,
            });
        }
        let body = zstd::bulk::compress(&request.encode_to_vec(), 3).map_err(|e| Error::row("a new span batch", e))?;
        let failed = || Error::store("writing spans");
        macro_rules! write {
            ($pool:ident, $dialect:ident) => {{
                let mut tx = $pool.begin().await.map_err(failed())?;
                let batch: i64 =
                    sqlx::query("insert into span_batch (end_ms, span_count, body) values ($1, $2, $3) returning id")
                        .bind(now.0)
                        .bind(spans)
                        .bind(&body)
                        .fetch_one(&mut *tx)
                        .await
                        .and_then(|row| row.try_get(0))
                        .map_err(failed())?;
                $dialect::insert_index(&mut tx, batch, &rows).await.map_err(failed())?;
                tx.commit().await.map_err(failed())?;
            }};
        }
        match &self.backend {
            Backend::Sqlite(pool) => write!(pool, sqlite),
            Backend::Postgres(pool) => write!(pool, postgres),
        }
        Ok(spans.unsigned_abs())
    }

    /// Gives the id of a name, writing the name when it is new.
    async fn span_name(&self, names: &mut SpanNames, name: &str) -> Result<i64, Error> {
        if let Some(&id) = names.ids.get(name) {
            return Ok(id);
        }
        let failed = || Error::store("writing a span name");
        let id: i64 = on_pool!(self, pool => {
            sqlx::query(
                "insert into span_name (id, name) values ((select coalesce(max(id), 0) + 1 from span_name), $1) \
                 on conflict (name) do update set name = excluded.name returning id",
            ).bind(name).fetch_one(pool).await.and_then(|row| row.try_get(0)).map_err(failed())?
        });
        if names.ids.len() >= NAMES {
            names.ids.clear();
        }
        names.ids.insert(name.to_owned(), id);
        Ok(id)
    }

    /// Reads the batches that hold spans of a trace, oldest first.
    ///
    /// Errors: the store cannot be read, or a row does not decode.
    pub async fn trace(&self, trace_id: &[u8]) -> Result<Vec<ExportTraceServiceRequest>, Error> {
        let read = || Error::store("reading a trace");
        let mut batches = Vec::new();
        on_pool!(self, pool => {
            let rows = sqlx::query(
                "select body from span_batch where id in (select batch_id from span_index where trace_id = $1) \
                 order by id",
            ).bind(trace_id).fetch_all(pool).await.map_err(read())?;
            for row in rows {
                batches.push(unpack(&row.try_get::<Vec<u8>, _>(0).map_err(read())?)?);
            }
        });
        for batch in &mut batches {
            for scope in batch.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans) {
                scope.spans.retain(|span| span.trace_id == trace_id);
            }
            batch.resource_spans.iter_mut().for_each(|r| r.scope_spans.retain(|scope| !scope.spans.is_empty()));
            batch.resource_spans.retain(|resource| !resource.scope_spans.is_empty());
        }
        Ok(batches)
    }
}

fn unpack(body: &[u8]) -> Result<ExportTraceServiceRequest, Error> {
    let bad = |reason: &dyn std::fmt::Display| Error::row("a span batch", reason);
    let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten().and_then(|size| usize::try_from(size).ok());
    let size = size.filter(|&size| size <= BATCH_LIMIT).ok_or_else(|| bad(&"it has no size that can be"))?;
    let plain = zstd::bulk::decompress(body, size).map_err(|error| bad(&error))?;
    ExportTraceServiceRequest::decode(plain.as_slice()).map_err(|error| bad(&error))
}

struct Summary {
    operation: String,
    start_us: i64,
    end_us: i64,
    spans: i64,
    is_error: bool,
}

/// Sums the spans up by trace and service; the operation is that of the span that starts first.
fn summarise(request: &ExportTraceServiceRequest) -> BTreeMap<(Vec<u8>, String), Summary> {
    let mut summaries = BTreeMap::new();
    for resource in &request.resource_spans {
        let attributes = resource.resource.as_ref().map_or(&[][..], |resource| resource.attributes.as_slice());
        let service = searchable(text(attributes, "service.name").unwrap_or("unknown_service"));
        let spans = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
        for span in spans.filter(|span| span.trace_id.len() == TRACE_ID_BYTES) {
            let (start_us, end_us) = (micros(span.start_time_unix_nano), micros(span.end_time_unix_nano));
            let summary = summaries.entry((span.trace_id.clone(), service.clone())).or_insert_with(|| Summary {
                operation: searchable(&span.name),
                start_us,
                end_us,
                spans: 0,
                is_error: false,
            });
            if start_us < summary.start_us {
                (summary.operation, summary.start_us) = (searchable(&span.name), start_us);
            }
            summary.end_us = summary.end_us.max(end_us);
            summary.spans += 1;
            summary.is_error |= is_error(span);
        }
    }
    summaries
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?;
    match value.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn micros(nanos: u64) -> i64 {
    i64::try_from(nanos / 1_000).unwrap_or(i64::MAX)
}

/// Cuts a name to what an index takes; PostgreSQL has no NUL in text.
fn searchable(name: &str) -> String {
    let mut end = name.len().min(NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].replace('\0', "")
}
