# status - what runs, and where it listens: for a person, and with --json for programs and tests.

# status_part NAME: running, stopped, foreign (somebody else's) or absent (not wanted in this stack).
status_part() {
    if ! part_is_wanted "$1"; then
        echo absent
    elif part_is_foreign "$1"; then
        echo foreign
    elif process_alive "$1"; then
        echo running
    else
        echo stopped
    fi
}

# status_is_ready: everything that is ours runs, and each server says of itself that it is ready.
status_is_ready() {
    local part
    for part in $PARTS; do
        part_is_foreign "$part" || process_alive "$part" || return 1
        case $part in commands | projections | query) server_is_ready "$part" || return 1 ;; esac
    done
    [ -e "$STATE/settings" ]
}

status_json() {
    local part ready=false separator=
    ! status_is_ready || ready=true
    printf '{"api": "http://127.0.0.1:%s", "commands": "http://127.0.0.1:%s", "query": "http://127.0.0.1:%s",\n' "$PORT_API" "$PORT_COMMANDS" "$PORT_QUERY"
    printf ' "admin": {"commands": "http://127.0.0.1:%s", "projections": "http://127.0.0.1:%s", "query": "http://127.0.0.1:%s"},\n' \
        "$PORT_COMMANDS_ADMIN" "$PORT_PROJECTIONS_ADMIN" "$PORT_QUERY_ADMIN"
    printf ' "kafka": %s, "postgres": %s, "redis": %s,\n' "$(json_string "$KAFKA")" "$(json_string "$POSTGRES")" "$(json_string "$REDIS")"
    printf ' "state": %s, "parts": {' "$(json_string "$STATE")"
    for part in $SETTINGS_PARTS; do
        printf '%s"%s": "%s"' "$separator" "$part" "$(status_part "$part")"
        separator=', '
    done
    printf '},\n "ready": %s}\n' "$ready"
}

# json_string TEXT: quoted; a setting holds no control characters.
json_string() {
    local text=${1//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

status_table() {
    local part
    for part in $SETTINGS_PARTS; do
        printf '  %-12s %-8s %s\n' "$part" "$(status_part "$part")" "$(status_address "$part")"
    done
    if status_is_ready; then say "ready: the state folder is $STATE"; else say "not ready: the state folder is $STATE; ./dev up starts what is stopped"; fi
}

status_address() {
    case $1 in
        kafka) echo "$KAFKA" ;;
        postgres) status_without_password "$POSTGRES" ;;
        redis) status_without_password "$REDIS" ;;
        commands) echo "http://127.0.0.1:$PORT_COMMANDS   admin http://127.0.0.1:$PORT_COMMANDS_ADMIN" ;;
        projections) echo "admin http://127.0.0.1:$PORT_PROJECTIONS_ADMIN" ;;
        query) echo "http://127.0.0.1:$PORT_QUERY   admin http://127.0.0.1:$PORT_QUERY_ADMIN" ;;
        gateway) echo "http://127.0.0.1:$PORT_API   the api: GET goes to query, POST to commands" ;;
    esac
}

# status_without_password ADDRESS: for the screen only; --json gives it whole to the programs that must connect.
status_without_password() { sed -E 's#(://[^:/@]*):[^@]*@#\1:***@#; s/(password=)[^ ]*/\1***/' <<< "$1"; }
