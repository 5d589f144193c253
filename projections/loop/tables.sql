-- What every read model in Postgres shares: how far it has read, which records it read, which streams it could not apply.
-- Run at start by berth-projections under an advisory lock; each statement may run again.
-- No client keeps session state: this works behind PgBouncer in transaction mode.

CREATE SCHEMA IF NOT EXISTS berth;

-- The layout that a model's tables were made with. A binary that writes another layout does not touch them: it says "rebuild".
CREATE TABLE IF NOT EXISTS berth.models (
    model   text PRIMARY KEY,
    layout  int NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);

-- A position is the last offset read, void and @log records included, with its head. It is written in the transaction of
-- the rows that it accounts for, on condition that the old one still stands, so two projectors cannot both apply.
-- All partitions of a topic have their row from the first start on: count(*) of (model, topic) is the partition count.
CREATE TABLE IF NOT EXISTS berth.positions (
    model       text        NOT NULL,
    topic       text        NOT NULL,  -- berth.trip
    partition   int         NOT NULL,
    next_offset bigint      NOT NULL,  -- every record before it is accounted for
    head        bytea       NOT NULL,  -- 16 bytes: id of the last valid record; zeroes at the start
    head_offset bigint      NOT NULL,  -- where that record stands; -1 at the start
    height      bigint      NOT NULL,  -- valid records so far
    void_count  bigint      NOT NULL,
    log_time    timestamptz NOT NULL,  -- running maximum of meta.time over valid records; 1970-01-01 at the start
    stopped     text,                  -- why this partition is not read any further (a lost suffix, a contradiction); NULL: it is read
    updated_at  timestamptz NOT NULL,
    began_at    timestamptz NOT NULL DEFAULT now(), -- since when the partition is folded into these rows; later after a loss that was accepted, or a rebuild
    PRIMARY KEY (model, topic, partition)
) WITH (fillfactor = 20);
ALTER TABLE berth.positions ADD COLUMN IF NOT EXISTS began_at timestamptz NOT NULL DEFAULT now();

-- Which record stood at which offset, so that a client's token (offset and 4 bytes of the record's id) can be checked.
-- ids holds 4 bytes a record: the first 4 of the id of a valid one, zeroes for a void one. The row that holds an offset is
-- the last one with first_offset <= offset, if offset < first_offset + length(ids)/4. Older ones go: about the last
-- 1,000,000 records of a partition stay. A token older than that cannot be checked (and has long been reached).
CREATE TABLE IF NOT EXISTS berth.record_ids (
    model        text   NOT NULL,
    topic        text   NOT NULL,
    partition    int    NOT NULL,
    first_offset bigint NOT NULL,
    ids          bytea  NOT NULL,
    PRIMARY KEY (model, topic, partition, first_offset)
);

-- Events that could not be applied, and every later event of the same stream: the stream is parked, its partition flows on.
-- They are tried again, oldest first, at each start and every minute; when all of a stream's fit, its rows go from here.
CREATE TABLE IF NOT EXISTS berth.parked (
    model         text        NOT NULL,
    topic         text        NOT NULL,
    partition     int         NOT NULL,
    record_offset bigint      NOT NULL,
    stream        bytea       NOT NULL,  -- the record's key; bytea, for a key that is no text is one reason to be here
    value         bytea       NOT NULL,  -- the whole record value
    error         text        NOT NULL,  -- of the stream's first one why; of those behind it: 'behind a parked event'
    parked_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, topic, partition, record_offset)
);
CREATE INDEX IF NOT EXISTS parked_by_stream ON berth.parked (model, topic, stream, record_offset);
