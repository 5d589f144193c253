# demo - the first minutes of a new stack: topics, a real timetable, one seat held, confirmed and read back.
#
# It does what a newcomer would do with curl, and through the same URL. A second ./dev up finds it done.

DEMO_FEED=data/cairns_gtfs.zip
DEMO_DAY=2014-06-02            # a Monday with 622 trips
DEMO_ZONE=Australia/Brisbane
DEMO_FROM=750337               # Warren St
DEMO_TO=750449                 # The Pier Cairns, stop E: 30 trips a day join them
DEMO_SEATS=A:standard:10x2+2
DEMO_READ_S=90                 # how long the read models may take to show what was just written, on a busy machine

# demo_run: the topics are there and all servers are ready.
demo_run() {
    for part in commands projections query gateway; do part_is_wanted "$part" || return 0; done
    [ -e "$STATE/demo/imported" ] || demo_import
    if [ -e "$STATE/demo/booking" ]; then demo_read_again; else demo_book; fi
}

demo_import() {
    local began=$SECONDS log=$LOGS/import.log
    mkdir -p "$STATE/demo" || disk_complain "the folder $STATE/demo cannot be made"
    TZ=$DEMO_ZONE date -d tomorrow +%F > "$STATE/demo/day"
    step timetable "$log" berth_run import gtfs "$TOP/$DEMO_FEED" --date "$DEMO_DAY" --days 1 --as-of "$(TZ=$DEMO_ZONE date +%F)" --seats "$DEMO_SEATS" ||
        die "the timetable could not be imported: $(say_last_line "$log")" "Its log: ./dev logs import; again: ./dev up"
    touch "$STATE/demo/imported"
    say_done timetable "$(say_last_line "$log")" "$began"
}

# demo_book: finds a trip, holds two seats, confirms them, and reads the booking back at the position that the confirmation named.
demo_book() {
    local api=http://127.0.0.1:$PORT_API trip hold booking day
    day=$(cat "$STATE/demo/day")
    say "a first booking, as you would make it:"
    demo_await trip "" "$api/v1/trips?from=$DEMO_FROM&to=$DEMO_TO&date=$day"
    trip=$(json_first trip)
    demo_show "curl '$api/v1/trips?from=$DEMO_FROM&to=$DEMO_TO&date=$day'"
    [ -n "$trip" ] || demo_complain "no trip from $DEMO_FROM to $DEMO_TO is seen"
    demo_post "$api/v1/trips/$trip/holds" "{\"from\":\"$DEMO_FROM\",\"to\":\"$DEMO_TO\",\"count\":2,\"customer\":\"first-customer\"}"
    hold=$(json_first hold)
    [ -n "$hold" ] || demo_complain "no seat could be held"
    demo_post "$api/v1/trips/$trip/holds/$hold/confirm" "{}"
    booking=$(json_first booking)
    [ -n "$booking" ] || demo_complain "the hold could not be confirmed"
    demo_await booking "$booking" "$api/v1/bookings/$booking" -H "Berth-Min-Position: $(demo_header Berth-Position)"
    demo_show "curl $api/v1/bookings/$booking"
    [ "$(json_first booking)" = "$booking" ] || demo_complain "the booking $booking cannot be read back"
    printf '%s\n' "$booking" > "$STATE/demo/booking"
}

# demo_read_again: what was booked before is still there.
demo_read_again() {
    local api=http://127.0.0.1:$PORT_API booking
    booking=$(cat "$STATE/demo/booking")
    demo_await booking "$booking" "$api/v1/bookings/$booking"
    say "the first booking, read again:"
    demo_show "curl $api/v1/bookings/$booking"
    [ "$(json_first booking)" = "$booking" ] || demo_complain "the booking $booking is gone"
}

# demo_curl URL OPTION...: the answer's body to DEMO_ANSWER, its headers to a file.
demo_curl() { DEMO_ANSWER=$(curl -sS -m 30 -D "$STATE/demo/headers" "$@" 2>&1); }

# demo_await NAME VALUE URL OPTION...: reads until the answer has a NAME, with that VALUE if one is given; the read models may be behind.
demo_await() {
    local name=$1 value=$2 began=$SECONDS next=2 found
    shift 2
    until demo_curl "$@"; found=$(json_first "$name"); [ -n "$found" ] && [ "$found" = "${value:-$found}" ]; do
        [ $((SECONDS - began)) -lt $DEMO_READ_S ] || return 0
        [ $((SECONDS - began)) -lt $next ] || { say_progress timetable "$began" "waiting until it can be read"; next=$((next + 5)); }
        sleep 0.2
    done
}

# demo_post URL BODY: the key is made of what is ordered, so that a ./dev up that was interrupted here goes on where it was.
demo_post() {
    local key
    key=first-$(printf '%s %s' "$1" "$2" | cksum | cut -d ' ' -f 1)
    demo_curl "$1" -H 'Content-Type: application/json' -H "Idempotency-Key: $key" -d "$2"
    demo_show "curl -X POST $1 -H 'Content-Type: application/json' -H 'Idempotency-Key: $key' -d '$2'"
}

demo_show() { printf '  $ %s\n  %.400s\n' "$1" "$(tr -d '\n' <<< "$DEMO_ANSWER")"; }

demo_header() { tr -d '\r' < "$STATE/demo/headers" | sed -n "s/^$1: *//Ip" | tail -n 1; }

# json_first NAME: the first text of that name in the answer. Ids need no unescaping.
json_first() { grep -o "\"$1\" *: *\"[^\"]*\"" <<< "$DEMO_ANSWER" | head -n 1 | sed 's/.*: *"//; s/"$//'; }

demo_complain() { die "$1: $(tr -d '\n' <<< "$DEMO_ANSWER" | cut -c 1-300)" "Look at ./dev logs commands, projections and query; again: ./dev up"; }
