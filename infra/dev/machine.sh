# machine - what the machine must offer before anything is started: free ports, room on the disk.
#
# Looked at first, so that a person hears of it at once and not after minutes of installing. It reads /proc and asks no
# tool, for a minimal Debian has neither ss nor lsof.

MACHINE_ROOM_MB=400           # for the state folder: jars, an empty cluster, some bookings
MACHINE_ROOM_PACKAGES_MB=1500 # for /, when packages are missing

# port_listener PORT: prints the socket inode of whoever listens there; fails when nobody does.
port_listener() {
    local hex tables=/proc/net/tcp
    hex=$(printf '%04X' "$1")
    [ ! -r /proc/net/tcp6 ] || tables="$tables /proc/net/tcp6"
    awk -v port="$hex" '$4 == "0A" { split($2, at, ":"); if (at[2] == port) { print $10; found = 1; exit } } END { exit !found }' $tables
}

# port_holder PORT: "nginx (pid 12)", or "another process" where we may not look.
port_holder() {
    local inode fd pid
    inode=$(port_listener "$1") || return 1
    for fd in /proc/[0-9]*/fd/*; do
        if [ "$(readlink "$fd" 2>/dev/null)" = "socket:[$inode]" ]; then
            pid=${fd#/proc/}
            pid=${pid%%/*}
            printf '%s (pid %s)' "$(cat "/proc/$pid/comm" 2>/dev/null)" "$pid"
            return 0
        fi
    done
    printf 'another process'
}

# ports_check: every port of a part that we are about to start must be free.
ports_check() {
    local part port
    for part in $SETTINGS_PARTS; do
        part_is_ours "$part" || continue
        ! process_alive "$part" || continue
        for port in $(part_ports "$part"); do
            ! port_listener "$port" > /dev/null ||
                die "port $port, for $part, is taken by $(port_holder "$port")" \
                    "Stop that, or choose 40 other ports: BERTH_PORT_BASE=$((PORT_BASE >= 55000 ? 21000 : PORT_BASE + 10000)) ./dev up"
        done
    done
}

# disk_free_mb PATH: room on the file system that holds PATH, for us; nothing where there is no disk (/proc).
disk_free_mb() { df -Pm "$1" 2>/dev/null | awk 'NR == 2 && $2 > 0 { print $4 }'; }

# disk_check PATH NEED_MB: PATH exists.
disk_check() {
    local free
    free=$(disk_free_mb "$1")
    [ "${free:-0}" -ge "$2" ] ||
        die "the disk that holds $1 has ${free:-no} MB free and $2 MB are needed" "Make room there, or name another place: BERTH_STATE=/some/where ./dev up"
}

# disk_is_full: there is hardly room for a log line where the state folder is.
disk_is_full() {
    local free
    free=$(disk_free_mb "$STATE")
    [ "${free:-9999}" -lt 20 ]
}

# disk_complain WHAT REMEDY: WHAT failed; when the disk is full, that is the reason to give, whatever the tool said of it.
disk_complain() {
    local what=${1%: }
    if disk_is_full; then
        die "$what: the disk that holds $STATE is full" "Make room there, or name another place: BERTH_STATE=/some/where ./dev up"
    fi
    die "$what" "${2:-Look at its rights and owner.}"
}
