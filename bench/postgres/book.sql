-- book - the same sale in Postgres with row locks, as well as we can make it: a row a seat, its taken segments as bits of an integer;
-- a hold is one function call, hence one round trip and one transaction. What is remembered is what Berth remembers: the key's
-- digest is the hold's id, the body's digest is beside it, and so are those of the release that ended it.
--
-- Updates of seat and hold touch no indexed column and find room on their page (fillfactor), so they are HOT: no index is written.

CREATE TABLE seat (trip int, seat int, taken int NOT NULL DEFAULT 0, PRIMARY KEY (trip, seat)) WITH (fillfactor = 40);
CREATE TABLE hold (id uuid PRIMARY KEY, body uuid NOT NULL, trip int NOT NULL, board int NOT NULL, alight int NOT NULL, seats int[] NOT NULL,
    customer text NOT NULL, expires_at timestamptz NOT NULL, ended_by uuid, ended_body uuid) WITH (fillfactor = 60);

-- Free segments before and after the stretch that selling it would cut off: 0 is a perfect fit. Inlined by the planner.
CREATE FUNCTION waste(taken int, board int, alight int, segments int) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT (CASE WHEN taken & ((1 << board) - 1) = 0 THEN board ELSE board - 1 - floor(ln((taken & ((1 << board) - 1))::float8) / 0.693147180559945)::int END)
         + (CASE WHEN taken >> alight = 0 THEN segments - alight
                 ELSE round(ln(((taken >> alight) & -(taken >> alight))::float8) / 0.693147180559945)::int END)
$$;

CREATE FUNCTION hold(k uuid, b uuid, t int, board int, alight int, wanted int, customer text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    stretch int := (1 << alight) - (1 << board);
    got int[];
BEGIN
    IF EXISTS (SELECT FROM hold h WHERE h.id = k) THEN
        RETURN true; -- the same key again
    END IF;
    -- The tightest first. A seat that somebody else is just taking is passed over rather than waited for; one that was taken
    -- meanwhile is seen as such when its lock is had.
    got := ARRAY(SELECT s.seat FROM seat s WHERE s.trip = t AND s.taken & stretch = 0 ORDER BY waste(s.taken, board, alight, 19), s.seat
                 LIMIT wanted FOR UPDATE SKIP LOCKED);
    IF cardinality(got) < wanted THEN
        RETURN false;
    END IF;
    UPDATE seat s SET taken = s.taken | stretch WHERE s.trip = t AND s.seat = ANY (got);
    INSERT INTO hold VALUES (k, b, t, board, alight, got, customer, now() + interval '10 minutes');
    RETURN true;
END $$;

CREATE FUNCTION release(h uuid, k uuid, b uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    old hold;
BEGIN
    UPDATE hold SET ended_by = k, ended_body = b WHERE id = h AND ended_by IS NULL RETURNING * INTO old;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE seat s SET taken = s.taken & ~((1 << old.alight) - (1 << old.board)) WHERE s.trip = old.trip AND s.seat = ANY (old.seats);
    RETURN true;
END $$;

-- 82 % sold, as the load generator fills Berth's trips: two bookings with a random cut share each seat.
CREATE FUNCTION fill(trips int, seats int, share float8) RETURNS void LANGUAGE sql AS $$
    INSERT INTO seat SELECT t, s, CASE WHEN s <= seats * share THEN (1 << 19) - 1 ELSE 0 END FROM generate_series(1, trips) t, generate_series(1, seats) s
$$;
