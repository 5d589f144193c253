# demo - the first minutes of a new stack: topics, a real timetable, one seat held, confirmed and read back.
#
# It does what a newcomer would do with curl, and through the same URL. A second ./dev up finds it done.

DEMO_FEED=data/cairns_gtfs.zip
DEMO_SEATS="standard:40"
DEMO_READ_S=10 # how long the booked seat may take to be seen

# berth_run ARGS: the command line, told where this stack is. It wins over the environment only where the environment is silent.
berth_run() {
    local binary=$TOP/build/$PRESET/bin/berth
    [ -x "$binary" ] || die "the command line is not built: there is no $binary" "./dev up builds it"
    berth_environment "$binary" "$@"
}

berth_environment() {
    env -u BERTH_STATE -u BERTH_PORT_BASE -u BERTH_PRESET -u BERTH_INSTALL -u BERTH_DEV_THROWAWAY \
        BERTH_KAFKA_BOOTSTRAP_SERVERS="$KAFKA" BERTH_POSTGRES_DSN="$POSTGRES" BERTH_REDIS_URL="$REDIS" \
        BERTH_API_URL="http://127.0.0.1:$PORT_API" "$@" 9>&-
}
