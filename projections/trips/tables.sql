-- trips: what is for sale, who holds it and who has it. Written by projections/trips alone, read by query-api.
--
-- Ids: trip, customer and stop are text; hold and booking are 16 bytes, kept as uuid (the API shows them as 32 hex digits
-- without dashes, and uuid reads that form: WHERE hold = '0123456789abcdef0123456789abcdef').
-- version is the version of the trip's stream after the event that wrote the row last. Every event of a trip writes at least one
-- row of it here, so the stream's version is the greatest over its rows of trips, holds and bookings; that spares one hot row.
-- places is a flat array of pairs: section index, seat index (-1 in a section of plain capacity), as in the event.
-- from_index and to_index are indices into the trip's points: the stretch is [from_index, to_index).
-- A cancelled trip ends its holds and bookings: their own rows keep the status that they had; use holds_now and bookings_now.

CREATE TABLE IF NOT EXISTS berth.trips (
    trip       text        PRIMARY KEY,
    name       text        NOT NULL,
    timezone   text        NOT NULL,  -- IANA
    status     text        NOT NULL CHECK (status IN ('open', 'closed', 'cancelled')),
    reason     text        NOT NULL DEFAULT '',  -- of a cancelled one
    version    bigint      NOT NULL,
    opened_at  timestamptz NOT NULL,
    departs_at timestamptz NOT NULL,  -- from the first point
    arrives_at timestamptz NOT NULL,  -- at the last
    -- {"points":[{"stop","name","arrives_at","departs_at","board","alight"}],"sections":[{"name","class","seats":["1",null],"blocked":[0],"capacity"}]}
    -- as text, byte for byte as it was written: it never changes, so it may be cached for good and served as it is.
    layout     json        NOT NULL
) WITH (fillfactor = 90);

-- One row a point of a trip, for the search from -> to on a local day.
CREATE TABLE IF NOT EXISTS berth.trip_points (
    trip       text        NOT NULL,
    index      int         NOT NULL,
    stop       text        NOT NULL,  -- unique within the trip: stop@index where one is visited twice
    station    text        NOT NULL,  -- stop without @index: what is searched for
    name       text        NOT NULL,
    arrives_at timestamptz NOT NULL,
    departs_at timestamptz NOT NULL,
    board      boolean     NOT NULL,
    alight     boolean     NOT NULL,
    timezone   text        NOT NULL,
    local_date date        NOT NULL GENERATED ALWAYS AS ((departs_at AT TIME ZONE timezone)::date) STORED,
    PRIMARY KEY (trip, index)
);
-- SELECT a.trip FROM trip_points a JOIN trip_points b USING (trip) WHERE a.station = $from AND a.local_date = $day AND a.board
--    AND b.station = $to AND b.index > a.index AND b.alight ORDER BY a.departs_at, a.trip
CREATE INDEX IF NOT EXISTS trip_points_search ON berth.trip_points (station, local_date, departs_at, trip);

-- Every name that a stop has had: a stop that was renamed is found by both. A few thousand rows: scan it for the middle of a name.
CREATE TABLE IF NOT EXISTS berth.stops (
    stop text NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (stop, name)
);
CREATE INDEX IF NOT EXISTS stops_by_name ON berth.stops (lower(name) text_pattern_ops);  -- lower(name) LIKE 'prefix%'

CREATE TABLE IF NOT EXISTS berth.holds (
    hold       uuid        PRIMARY KEY,
    trip       text        NOT NULL,
    customer   text        NOT NULL,
    from_index int         NOT NULL,
    to_index   int         NOT NULL,
    places     int[]       NOT NULL,
    status     text        NOT NULL CHECK (status IN ('held', 'confirmed', 'released', 'expired')),
    held_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    version    bigint      NOT NULL
) WITH (fillfactor = 80);
-- What is held now: the seat map when Redis is away.
CREATE INDEX IF NOT EXISTS holds_held ON berth.holds (trip) WHERE status = 'held';
CREATE INDEX IF NOT EXISTS holds_by_version ON berth.holds (trip, version);  -- max(version) of a trip

CREATE TABLE IF NOT EXISTS berth.bookings (
    booking      uuid        PRIMARY KEY,  -- the id of the hold that it was
    trip         text        NOT NULL,
    customer     text        NOT NULL,
    from_index   int         NOT NULL,
    to_index     int         NOT NULL,
    places       int[]       NOT NULL,
    status       text        NOT NULL CHECK (status IN ('confirmed', 'cancelled')),
    booked_at    timestamptz NOT NULL,
    changed_at   timestamptz NOT NULL,  -- when the row was written last: booked, changed or cancelled
    version      bigint      NOT NULL
) WITH (fillfactor = 90);
CREATE INDEX IF NOT EXISTS bookings_confirmed ON berth.bookings (trip) WHERE status = 'confirmed';
CREATE INDEX IF NOT EXISTS bookings_by_customer ON berth.bookings (customer, booked_at DESC, booking DESC);
CREATE INDEX IF NOT EXISTS bookings_by_version ON berth.bookings (trip, version);

-- As they count today: a cancelled trip's holds are released and its bookings cancelled.
CREATE OR REPLACE VIEW berth.holds_now AS
    SELECT h.hold, h.trip, h.customer, h.from_index, h.to_index, h.places,
           CASE WHEN t.status = 'cancelled' AND h.status = 'held' THEN 'released' ELSE h.status END AS status,
           h.held_at, h.expires_at, CASE WHEN t.status = 'cancelled' THEN greatest(h.version, t.version) ELSE h.version END AS version
      FROM berth.holds h JOIN berth.trips t USING (trip);
CREATE OR REPLACE VIEW berth.bookings_now AS
    SELECT b.booking, b.trip, b.customer, b.from_index, b.to_index, b.places,
           CASE WHEN t.status = 'cancelled' THEN 'cancelled' ELSE b.status END AS status,
           b.booked_at, b.changed_at, CASE WHEN t.status = 'cancelled' THEN greatest(b.version, t.version) ELSE b.version END AS version
      FROM berth.bookings b JOIN berth.trips t USING (trip);
