-- Spans as compressed blocks in partitions of time: see telemetry-collector/src/store/traces.rs.

-- What was acknowledged and is in no block yet: one row a group of requests, OTLP protobuf through zstd.
create table span_journal (
    seq integer primary key,
    span_count integer not null,
    body blob not null
);

-- What the old layout holds is in the same form: it becomes blocks at the next start.
insert into span_journal (seq, span_count, body) select id, span_count, body from span_batch;
drop table span_index;
drop table span_batch;
drop table span_name;

-- One row a partition; its tables are span_block_<id>, span_trace_<id>, span_search_<id> and span_operation_<id>, so
-- that retention drops tables and deletes nothing.
create table span_partition (
    id integer primary key,
    -- By arrival.
    start_ms integer not null,
    end_ms integer not null,
    span_count integer not null default 0,
    -- JSON array: the attributes that its search rows know.
    attributes text not null
);

-- The service graph: one row a source, step and time, all edges of it in the body (JSON through zstd).
create table graph_rollup (
    source text not null,
    step_ms integer not null,
    start_ms integer not null,
    body blob not null,
    primary key (source, step_ms, start_ms)
) without rowid;
