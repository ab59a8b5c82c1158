-- Samples of many series a row: see telemetry-collector/src/store/pack.rs and label_block.rs. What the tables of 0001
-- hold is taken over when a collector first opens the store, and they are empty from then on.

-- One row a group commit: acknowledged means it is here. Deleted once its samples are in packs.
create table sample_journal (
    seq integer primary key,
    body blob not null
);

-- Label sets of series that were created one after the other.
create table series_block (
    first_id integer primary key,
    last_id integer not null,
    series_count integer not null,
    -- Oldest sample when the block was made; newest once no series of it is active any more, null until then.
    start_ms integer not null,
    end_ms integer,
    body blob not null
);
-- Queries look for series that are not active any more in blocks that reach into their span of time.
create index series_block_by_end on series_block (end_ms);

-- How far the samples of a group of 64 series are in packs.
create table series_group (
    id integer primary key,
    -- Every sample journalled up to here is in a pack: replay skips it.
    cut_seq integer not null,
    -- Newest time of a sample in a pack.
    cut_to_ms integer not null
);

-- Samples of a group of 64 series over one span of time.
create table sample_pack (
    id integer primary key,
    group_id integer not null,
    start_ms integer not null,
    end_ms integer not null,
    sample_count integer not null,
    body blob not null
);
-- Queries ask for the packs of a group in a span of time.
create index sample_pack_by_group on sample_pack (group_id, start_ms);
-- Retention deletes by the newest sample.
create index sample_pack_by_end on sample_pack (end_ms);
