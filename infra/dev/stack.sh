# stack - all parts in their order: up, down, and one by one.

# stack_parse_parts LIST: "kafka,postgres" to PARTS, in the order in which they are started.
stack_parse_parts() {
    local part list=" ${1//,/ } "
    PARTS=
    for part in $list; do
        case " $SETTINGS_PARTS " in *" $part "*) ;; *) say_usage_error "there is no part $part; there are: ${SETTINGS_PARTS// /, }" ;; esac
    done
    for part in $SETTINGS_PARTS; do
        case $list in *" $part "*) PARTS="${PARTS:+$PARTS }$part" ;; esac
    done
    [ -n "$PARTS" ] || say_usage_error "--parts names no part"
}

# stack_add_running_parts: what runs stays part of this stack though --parts does not name it this time.
stack_add_running_parts() {
    local part list=
    for part in $SETTINGS_PARTS; do
        if part_is_wanted "$part" || process_alive "$part"; then list="${list:+$list }$part"; fi
    done
    PARTS=$list
}

# stack_open: makes the state folder and takes its lock, so that two ./dev do not start the same things.
stack_open() {
    mkdir -p "$RUN" "$LOGS" 2> /dev/null || { STATE=$(stack_existing_parent "$STATE"); disk_complain "the folder $RUN cannot be made" "Name another place: BERTH_STATE=/some/where ./dev up"; }
    [ -O "$STATE" ] || die "the state folder $STATE belongs to $(stat -c %U "$STATE")" "Run ./dev as that user, or name another place: BERTH_STATE=/some/where ./dev up"
    exec 9> "$STATE/lock" || disk_complain "the state folder $STATE cannot be written"
    flock -w 1 9 || die "another ./dev is at work in $STATE" "Wait until it has ended"
}

# stack_existing_parent PATH: the nearest folder above it that is there.
stack_existing_parent() {
    local path=$1
    while [ ! -d "$path" ]; do path=$(dirname "$path"); done
    echo "$path"
}

# stack_any_alive: is something of ours running?
stack_any_alive() {
    local part
    for part in $SETTINGS_PARTS; do ! process_alive "$part" || return 0; done
    return 1
}

# stack_refuse_mixture: what runs was started on these ports; other ones would split the stack in two.
stack_refuse_mixture() {
    stack_any_alive || return 0
    [ -z "$REMEMBERED_PORT_BASE" ] || [ "$REMEMBERED_PORT_BASE" = "$PORT_BASE" ] ||
        die "this stack already runs on ports from $REMEMBERED_PORT_BASE" "./dev down first, or BERTH_STATE=/another/folder for a second one"
}

# stack_start_part NAME: does nothing when it runs.
stack_start_part() {
    if process_alive "$1"; then
        say_done "$1" "runs already: $(status_address "$1")"
        return 0
    fi
    case $1 in
        kafka) kafka_fetch && kafka_start ;;
        postgres) postgres_start ;;
        redis) redis_start ;;
        gateway) gateway_start ;;
        *) server_start "$1" ;;
    esac
}

stack_stop_part() {
    case $1 in
        postgres) postgres_stop ;;
        gateway) gateway_stop ;;
        *) process_stop "$1" TERM ;;
    esac
}

# stack_stop: in the opposite order, so that no server loses its parts while it writes its last words.
stack_stop() {
    local part list= failed=
    for part in $SETTINGS_PARTS; do list="$part $list"; done
    for part in $list; do
        if process_alive "$part"; then stack_stop_part "$part" || failed="$failed $part"; else process_end_orphans "$part"; fi
        rm -f "$RUN/$part.pid.new"
    done
    [ -z "$failed" ] || die "could not stop:$failed" "Their pids are in $RUN"
}

# stack_wipe: forgets everything. Only a folder that we made is removed.
stack_wipe() {
    [ -e "$STATE/lock" ] && [ -d "$STATE/run" ] || die "$STATE does not look like a state folder of Berth" "Remove it by hand if you mean it"
    rm -rf --one-file-system "$STATE" || die "$STATE could not be removed completely" "Remove it by hand"
    say_done wiped "$STATE"
}

# stack_has_servers: are any of our three servers wanted?
stack_has_servers() { part_is_wanted commands || part_is_wanted projections || part_is_wanted query; }
