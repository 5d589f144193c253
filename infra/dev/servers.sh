# servers - berth-commands, berth-projections and berth-query-api: started with a file of settings each, asked on their admin ports.
#
# The file says where this stack's parts are. Environment variables named BERTH_<SECTION>_<KEY> reach the servers unchanged and win over
# the file, so whatever a server can be told, `BERTH_... ./dev up` tells it.

server_binary() { echo "$TOP/build/$PRESET/bin/$(server_program "$1")"; }

server_program() {
    case $1 in
        query) echo berth-query-api ;;
        berth) echo berth ;;
        *) echo "berth-$1" ;;
    esac
}

server_admin_port() {
    case $1 in
        commands) echo "$PORT_COMMANDS_ADMIN" ;;
        projections) echo "$PORT_PROJECTIONS_ADMIN" ;;
        query) echo "$PORT_QUERY_ADMIN" ;;
    esac
}

# server_settings NAME: the text of its file. Each server gets what it uses, no more: the query API knows no Kafka.
server_settings() {
    printf '# Written by ./dev up each time. BERTH_<SECTION>_<KEY> in the environment wins over a line here; %s --help lists them all.\n' "$(server_program "$1")"
    printf 'log.level = info\nadmin.listen = 127.0.0.1:%s\n' "$(server_admin_port "$1")"
    case $1 in
        commands)
            printf 'http.listen = 127.0.0.1:%s\nkafka.bootstrap.servers = %s\n' "$PORT_COMMANDS" "$KAFKA"
            printf 'node.name = node-1\nstate.dir = %s\n' "$STATE/commands"
            ;;
        projections) printf 'kafka.bootstrap.servers = %s\npostgres.dsn = %s\nredis.url = %s\n' "$KAFKA" "$POSTGRES" "$REDIS" ;;
        query) printf 'http.listen = 127.0.0.1:%s\npostgres.dsn = %s\nredis.url = %s\n' "$PORT_QUERY" "$POSTGRES" "$REDIS" ;;
    esac
}

server_start() {
    local name=$1 binary began=$SECONDS
    binary=$(server_binary "$name")
    [ -x "$binary" ] || die "$(server_program "$name") is not built: there is no $binary" "./dev up builds it"
    mkdir -p "$STATE/$name" && (umask 077 && server_settings "$name" > "$STATE/$name.conf") || disk_complain "the settings of $name cannot be written"
    # These three are ./dev's own; a server would ask what section STATE is.
    process_start "$name" env -u BERTH_STATE -u BERTH_PORT_BASE -u BERTH_PRESET -u BERTH_INSTALL -u BERTH_DEV_THROWAWAY "$binary" --config "$STATE/$name.conf"
    wait_until "$name" $PROCESS_READY_S "$name" server_is_ready "$name" || server_complain "$name"
    say_done "$name" "$(status_address "$name")" "$began"
}

server_is_ready() { curl -fsS -m 2 -o /dev/null "http://127.0.0.1:$(server_admin_port "$1")/readyz" 2>/dev/null; }

# server_complain NAME: a server that runs but is not ready says why in the body of /readyz.
server_complain() {
    local reason
    if process_alive "$1" && reason=$(curl -sS -m 2 "http://127.0.0.1:$(server_admin_port "$1")/readyz" 2>/dev/null) && [ -n "$reason" ]; then
        die "$1 runs but is not ready after $PROCESS_READY_S s: $(tr -d '\n' <<< "$reason" | cut -c 1-300)" "Its log: ./dev logs $1"
    fi
    process_died "$1"
}

server_stop() { process_stop "$1" TERM; }
