# programs - what the build made and a person runs: the operator's command line, the benchmarks.

# programs_check: the servers of this stack are in the build; said before anything is started.
programs_check() {
    local part missing=
    for part in commands projections query; do
        ! part_is_wanted "$part" || [ -x "$(server_binary "$part")" ] || missing="$missing $(server_program "$part")"
    done
    [ -x "$(server_binary berth)" ] || missing="$missing berth"
    [ -z "$missing" ] || die "this clone does not build:$missing" "Is it complete? The parts without them: ./dev up --parts kafka,postgres,redis,gateway"
}

# berth_run ARGS: the command line, told where this stack is. It wins over the environment only where the environment is silent.
berth_run() {
    local binary=$TOP/build/$PRESET/bin/berth
    [ -x "$binary" ] || die "the command line is not built: there is no $binary" "./dev up builds it"
    berth_environment "$binary" "$@"
}

berth_environment() {
    env -u BERTH_STATE -u BERTH_PORT_BASE -u BERTH_PRESET -u BERTH_INSTALL -u BERTH_DEV_THROWAWAY \
        BERTH_KAFKA_BOOTSTRAP_SERVERS="$KAFKA" BERTH_POSTGRES_DSN="$POSTGRES" BERTH_REDIS_URL="$REDIS" \
        BERTH_API_URL="http://127.0.0.1:$PORT_API" BERTH_NODES="127.0.0.1:$PORT_COMMANDS_ADMIN" "$@" 9>&-
}

# topics_ensure: before the servers, which find their topics ready.
topics_ensure() {
    local log=$LOGS/topics.log began=$SECONDS
    step topics "$log" berth_run topics create || die "the topics could not be created: $(say_last_line "$log")" "Is Kafka at $KAFKA? Its log: ./dev logs kafka"
    say_done topics "$(say_last_line "$log")" "$began"
}

# bench_run ARGS: the benchmarks, on a stack of their own (bench/run starts it by ./dev).
bench_run() {
    [ -x "$TOP/bench/run" ] || die "there are no benchmarks in this clone: no bench/run" "They come with bench/"
    case " $* " in *" --help "* | *" -h "* | *" --list "*) ;; *) packages_ensure build run bench ;; esac
    "$TOP/bench/run" "$@"
}
