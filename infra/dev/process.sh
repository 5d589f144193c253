# process - starts what runs in the background, knows it again, stops it, and never touches anything else.
#
# A pid file holds the pid, the time at which that process began and the id of this boot: a number that the kernel has given
# to somebody else in the meantime does not fit, so it is never signalled.

PROCESS_READY_S=240 # how long a part may take until it is ready. One that ends before is told at once; a busy machine needs its time
PROCESS_STOP_S=60   # the patience with which a process may finish its work before it is killed; the servers end by themselves within 30

# process_began PID: its start time in clock ticks since boot; fails when it is gone, or a zombie. A zombie with further threads is not gone:
# after a SIGKILL the first thread may be dead while others, that hold its ports, still die, and who starts then finds them taken.
process_began() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    set -- ${stat##*) } # a name may hold blanks and brackets: count from behind it
    { [ "$1" != Z ] || [ "${18}" -gt 1 ]; } && echo "${20}"
}

# process_pid NAME: its pid, when it lives and is the one that we started.
process_pid() {
    local pid began boot
    read -r pid began boot 2>/dev/null < "$RUN/$1.pid" || return 1
    [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] && [ "$began" = "$(process_began "$pid")" ] && echo "$pid"
}

process_alive() { process_pid "$1" > /dev/null; }

# process_end_orphans NAME: what NAME left behind when it was killed. nginx's workers outlive it and keep its port: the next nginx could not bind,
# and nothing would stop them. They are known by their session, NAME's own; the kernel gives that number to nobody while a member lives.
process_end_orphans() {
    local name=$1 leader began boot file stat
    read -r leader began boot 2> /dev/null < "$RUN/$name.pid" || return 0
    [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] && ! process_began "$leader" > /dev/null || return 0
    for file in /proc/[0-9]*/stat; do
        { read -r stat < "$file"; } 2> /dev/null || continue
        set -- ${stat##*) } # state, parent, group, session
        [ "$4" != "$leader" ] || [ "$1" = Z ] || kill -KILL "${file//[^0-9]/}" 2> /dev/null || true
    done
}

# process_start NAME COMMAND...: runs COMMAND in a session of its own, its output in the log of that name.
# The child writes its own pid file before it becomes COMMAND, so there is no moment in which it runs unknown.
process_start() {
    local name=$1 tries
    shift
    process_trim_log "$LOGS/$name.log"
    process_end_orphans "$name"
    rm -f "$RUN/$name.pid"
    setsid bash -c '
        pid_file=$1; shift
        stat=$(cat /proc/$$/stat) && set -- "$(cat /proc/sys/kernel/random/boot_id)" "$@"
        fields=(${stat##*) })
        printf "%s %s %s\n" $$ "${fields[19]}" "$1" > "$pid_file.new" && mv "$pid_file.new" "$pid_file" || exit 1
        shift
        exec "$@"' bash "$RUN/$name.pid" "$@" < /dev/null >> "$LOGS/$name.log" 2>&1 7>&- 9>&- &
    disown
    for tries in {1..400}; do
        [ ! -e "$RUN/$name.pid" ] || return 0
        sleep 0.05
    done
    disk_complain "$name could not be started" "Its log: $LOGS/$name.log"
}

# process_trim_log LOG: one older log of 20 MB at most is kept.
process_trim_log() {
    [ ! -e "$1" ] || [ "$(stat -c %s "$1")" -lt 20000000 ] || mv "$1" "$1.1"
    [ ! -e "$1" ] || printf -- '---- started again %s\n' "$(date -u +%FT%TZ)" >> "$1"
}

# process_stop NAME [SIGNAL]: asks, waits, and only then kills. True when it is gone.
process_stop() {
    local name=$1 signal=${2:-TERM} pid began=$SECONDS next=2
    pid=$(process_pid "$name") || { rm -f "$RUN/$name.pid"; return 0; }
    kill -CONT "$pid" 2>/dev/null || true # one that is paused could not hear us
    kill -"$signal" "$pid" 2>/dev/null || true
    while process_alive "$name"; do
        if [ $((SECONDS - began)) -ge $PROCESS_STOP_S ]; then
            say_done "$name" "did not stop within $PROCESS_STOP_S s and is killed"
            kill -KILL "$pid" 2>/dev/null || true
            sleep 0.5
            break
        fi
        if [ $((SECONDS - began)) -ge "$next" ]; then
            say_progress "$name" "$began" "stopping"
            next=$((next + 5))
        fi
        sleep 0.1
    done
    say_done "$name" "stopped" "$began"
    ! process_alive "$name" && rm -f "$RUN/$name.pid"
}

# process_died NAME: the line for a part that did not come up.
process_died() {
    if process_alive "$1"; then
        die "$1 runs but is not ready: $(say_last_line "$LOGS/$1.log")" "Its log: ./dev logs $1"
    fi
    disk_complain "$1 ended while starting: $(say_last_line "$LOGS/$1.log")" "Its log: ./dev logs $1"
}
