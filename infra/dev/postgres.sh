# postgres - a cluster of our own under the state folder, with one user and one database, both called berth.
#
# Postgres refuses to run as root, so root lends it to the user postgres that Debian's package makes. A clone in /root is closed to
# that user; then the server keeps one capability of root's, to pass through folders that it may not list.

POSTGRES_BIN=${BERTH_POSTGRES_BIN:-/usr/lib/postgresql/15/bin}
POSTGRES_USER=postgres

# postgres_choose_user FOLDER: sets POSTGRES_AS, the words that run a command as somebody who may be a Postgres server here.
postgres_choose_user() {
    local right
    POSTGRES_AS=()
    [ "$(id -u)" -eq 0 ] || return 0
    id "$POSTGRES_USER" > /dev/null 2>&1 || die "there is no user $POSTGRES_USER to run Postgres as" "Postgres refuses root: run ./dev as another user, or: adduser --system --group $POSTGRES_USER"
    chown "$POSTGRES_USER" "$1" || disk_complain "the folder $1 cannot be given to $POSTGRES_USER"
    POSTGRES_AS=(setpriv "--reuid=$POSTGRES_USER" "--regid=$POSTGRES_USER" --init-groups)
    ! postgres_reaches "$1" || return 0
    for right in dac_read_search dac_override; do
        POSTGRES_AS=(setpriv "--reuid=$POSTGRES_USER" "--regid=$POSTGRES_USER" --init-groups "--inh-caps=+$right" "--ambient-caps=+$right")
        ! postgres_reaches "$1" || return 0
    done
    die "the user $POSTGRES_USER, as whom Postgres runs here, cannot reach $1" "Name a place open to it: BERTH_STATE=/var/tmp/berth ./dev up"
}

# postgres_reaches FOLDER: can that somebody write there? Tried, for access(2), as `test -w` asks it, leaves capabilities out.
postgres_reaches() { "${POSTGRES_AS[@]}" bash -c ': > "$1/.probe" && rm "$1/.probe"' bash "$1" 2> /dev/null; }

postgres_start() {
    local folder=$STATE/postgres began=$SECONDS
    [ -x "$POSTGRES_BIN/postgres" ] || die "there is no Postgres in $POSTGRES_BIN" "Name its folder: BERTH_POSTGRES_BIN=/path/to/bin ./dev up"
    mkdir -p "$folder" && chmod 700 "$folder" || disk_complain "the folder $folder cannot be made"
    postgres_choose_user "$folder"
    if [ ! -e "$folder/.made" ]; then
        step postgres "$LOGS/postgres-init.log" postgres_make "$folder" ||
            disk_complain "the Postgres cluster could not be made: $(say_last_line "$LOGS/postgres-init.log")" "The log: $LOGS/postgres-init.log"
    fi
    postgres_bury "$folder/data"
    cd "$folder" || disk_complain "the folder $folder cannot be entered"
    process_start postgres "${POSTGRES_AS[@]}" "$POSTGRES_BIN/postgres" -D "$folder/data" -p "$PORT_POSTGRES" \
        -c "hba_file=$folder/pg_hba.conf" -c "config_file=$folder/postgresql.conf" $(postgres_speed)
    cd "$TOP"
    wait_until postgres $PROCESS_READY_S postgres "$POSTGRES_BIN/pg_isready" -q -h 127.0.0.1 -p "$PORT_POSTGRES" || process_died postgres
    say_done postgres "$POSTGRES" "$began"
}

# postgres_bury DATA: after a SIGKILL its backends live on until they notice, and while one does, the next server refuses to start: they are
# waited for. And the dead server may stay a zombie for as long as its parent pleases, which Postgres takes for a living rival: its lock file goes.
postgres_bury() {
    local pid process tries living
    [ -r "$1/postmaster.pid" ] && read -r pid < "$1/postmaster.pid" || return 0
    ! process_began "$pid" > /dev/null || return 0
    for tries in {1..600}; do
        living=
        for process in /proc/[0-9]*; do [ "$(readlink "$process/cwd" 2> /dev/null)" != "$1" ] || living=yes; done
        [ -n "$living" ] || break
        sleep 0.1
    done
    [ -n "$living" ] || ! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2> /dev/null || rm -f "$1/postmaster.pid"
}

# postgres_speed: a stack that tests throw away need not survive a power cut.
postgres_speed() { [ -z "${BERTH_DEV_THROWAWAY:-}" ] || echo "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"; }

# postgres_make FOLDER: a cluster with its user and database, made before anything can connect to it.
# pg_signal_backend lets berth drop a database of its own while autovacuum is at work in it.
postgres_make() {
    rm -rf "$1/data"
    cd "$1"
    "${POSTGRES_AS[@]}" "$POSTGRES_BIN/initdb" -D "$1/data" -U postgres -E UTF8 --locale=C.UTF-8 --auth=reject --no-instructions --no-sync || return 1
    cp "$TOP/infra/postgres/pg_hba.conf" "$1/pg_hba.conf"
    cat "$1/data/postgresql.conf" "$TOP/infra/postgres/postgresql.conf" > "$1/postgresql.conf" || return 1
    [ "$(id -u)" -ne 0 ] || chown "$POSTGRES_USER" "$1/pg_hba.conf" "$1/postgresql.conf"
    printf '%s\n' 'CREATE ROLE berth LOGIN CREATEDB' 'GRANT pg_signal_backend TO berth' 'CREATE DATABASE berth OWNER berth' |
        "${POSTGRES_AS[@]}" "$POSTGRES_BIN/postgres" --single -D "$1/data" template1 || return 1
    touch "$1/.made"
}

# postgres_stop: SIGINT ends its sessions and writes everything out; SIGTERM would wait for the sessions.
postgres_stop() { process_stop postgres INT; }
