-- Exemplars: what was acknowledged, one row an append (JSON through zstd); see telemetry-collector/src/store/exemplars.rs.
-- Written anew now and then with what is still kept in memory.
create table exemplar_journal (
    seq bigint primary key,
    body bytea not null
);
