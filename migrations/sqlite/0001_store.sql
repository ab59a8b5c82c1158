-- SQL is the container, chunks are the content: see telemetry-collector/src/store.rs.
-- Times are milliseconds since 1970-01-01 UTC unless a column name says otherwise.

-- One row a series. The labels are written once; everything else refers to the id.
create table series (
    id integer primary key,
    -- JSON object of label name to label value, the metric name among them.
    labels text not null unique,
    -- Every sample journalled up to here is in a chunk: replay skips it.
    cut_seq integer not null default 0
);

-- One row a scrape or write request: acknowledged means it is here. Deleted once its samples are in chunks.
create table journal (
    seq integer primary key,
    body blob not null
);

-- Samples of one series over one span of time, encoded by store/chunk.rs. A rowid table: blobs would spill otherwise.
create table chunk (
    id integer primary key,
    series_id integer not null references series (id),
    start_ms integer not null,
    end_ms integer not null,
    sample_count integer not null,
    body blob not null
);
-- Queries ask for the chunks of a series in a span of time.
create index chunk_by_series on chunk (series_id, start_ms);
-- Retention deletes by the newest sample.
create index chunk_by_end on chunk (end_ms);

-- Spans as they came, one compressed request a row.
create table span_batch (
    id integer primary key,
    end_ms integer not null,
    span_count integer not null,
    body blob not null
);
create index span_batch_by_end on span_batch (end_ms);

-- Service and operation names, written once.
create table span_name (
    id integer primary key,
    name text not null unique
);

-- What a trace search asks for: one narrow row a trace, service and batch.
create table span_index (
    batch_id integer not null references span_batch (id) on delete cascade,
    trace_id blob not null,
    service_id integer not null references span_name (id),
    operation_id integer not null references span_name (id),
    start_us integer not null,
    duration_us integer not null,
    span_count integer not null,
    is_error integer not null
);
create index span_index_by_trace on span_index (trace_id);
create index span_index_by_service on span_index (service_id, start_us);
create index span_index_by_batch on span_index (batch_id);

-- The measurements that training and serving share: contract Window as JSON.
create table cluster_window (
    start_ms integer primary key,
    end_ms integer not null,
    -- Version of the ClusterSnapshot it was published in.
    version integer not null,
    body text not null
);

-- What was decided, as contract Decision JSON.
create table decision (
    id integer primary key,
    at_ms integer not null,
    namespace text not null,
    pod text not null,
    body text not null
);
create index decision_by_pod on decision (namespace, pod, at_ms);
create index decision_by_time on decision (at_ms);
