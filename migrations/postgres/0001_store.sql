-- SQL is the container, chunks are the content: see telemetry-collector/src/store.rs.
-- Times are milliseconds since 1970-01-01 UTC unless a column name says otherwise.

-- One row a series. The labels are written once; everything else refers to the id.
create table series (
    id bigint primary key,
    -- JSON object of label name to label value, the metric name among them.
    labels text not null,
    -- Every sample journalled up to here is in a chunk: replay skips it.
    cut_seq bigint not null default 0
);

-- A whole label set can be longer than an index entry may be: unique by digest.
create unique index series_by_labels on series (md5(labels));

-- One row a scrape or write request: acknowledged means it is here. Deleted once its samples are in chunks.
create table journal (
    seq bigint primary key,
    body bytea not null
);

-- Samples of one series over one span of time, encoded by store/chunk.rs.
create table chunk (
    id bigint generated always as identity primary key,
    series_id bigint not null references series (id),
    start_ms bigint not null,
    end_ms bigint not null,
    sample_count bigint not null,
    body bytea not null
);
-- Queries ask for the chunks of a series in a span of time.
create index chunk_by_series on chunk (series_id, start_ms);
-- Retention deletes by the newest sample.
create index chunk_by_end on chunk (end_ms);

-- Spans as they came, one compressed request a row.
create table span_batch (
    id bigint generated always as identity primary key,
    end_ms bigint not null,
    span_count bigint not null,
    body bytea not null
);
create index span_batch_by_end on span_batch (end_ms);

-- Service and operation names, written once.
create table span_name (
    id bigint primary key,
    name text not null unique
);

-- What a trace search asks for: one narrow row a trace, service and batch.
create table span_index (
    batch_id bigint not null references span_batch (id) on delete cascade,
    trace_id bytea not null,
    service_id bigint not null references span_name (id),
    operation_id bigint not null references span_name (id),
    start_us bigint not null,
    duration_us bigint not null,
    span_count bigint not null,
    is_error bigint not null
);
create index span_index_by_trace on span_index (trace_id);
create index span_index_by_service on span_index (service_id, start_us);
create index span_index_by_batch on span_index (batch_id);

-- The measurements that training and serving share: contract Window as JSON.
create table cluster_window (
    start_ms bigint primary key,
    end_ms bigint not null,
    -- Version of the ClusterSnapshot it was published in.
    version bigint not null,
    body text not null
);

-- What was decided, as contract Decision JSON.
create table decision (
    id bigint primary key,
    at_ms bigint not null,
    namespace text not null,
    pod text not null,
    body text not null
);
create index decision_by_pod on decision (namespace, pod, at_ms);
create index decision_by_time on decision (at_ms);
