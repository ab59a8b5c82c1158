-- Samples of many series a row: see telemetry-collector/src/store/pack.rs and label_block.rs. What the tables of 0001
-- hold is taken over when a collector first opens the store, and they are empty from then on.

-- One row a group commit: acknowledged means it is here. Deleted once its samples are in packs.
create table sample_journal (
    seq bigint primary key,
    body bytea not null
);
-- Compressed already.
alter table sample_journal alter column body set storage external;

-- Label sets of series that were created one after the other.
create table series_block (
    first_id bigint primary key,
    last_id bigint not null,
    series_count bigint not null,
    -- Oldest sample when the block was made; newest once no series of it is active any more, null until then.
    start_ms bigint not null,
    end_ms bigint,
    body bytea not null
);
alter table series_block alter column body set storage external;
-- Queries look for series that are not active any more in blocks that reach into their span of time.
create index series_block_by_end on series_block (end_ms);

-- How far the samples of a group of 64 series are in packs.
create table series_group (
    id bigint primary key,
    -- Every sample journalled up to here is in a pack: replay skips it.
    cut_seq bigint not null,
    -- Newest time of a sample in a pack.
    cut_to_ms bigint not null
);

-- Samples of a group of 64 series over one span of time. A partition a day, made when first needed, so that retention
-- drops tables; what belongs to no day that has one is in the rest.
create table sample_pack (
    group_id bigint not null,
    start_ms bigint not null,
    end_ms bigint not null,
    sample_count bigint not null,
    body bytea not null
) partition by range (end_ms);
alter table sample_pack alter column body set storage external;
-- Queries ask for the packs of a group in a span of time.
create index sample_pack_by_group on sample_pack (group_id, start_ms);
create table sample_pack_rest partition of sample_pack default;
