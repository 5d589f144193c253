# say - what ./dev tells the person at the terminal.
#
# Two promises are kept here: a step that takes longer than two seconds shows that it is alive, and a failure is one line
# that names the thing and the remedy. Details go to a log whose name that line gives.

SAY_STEP_PID=

say() { printf '%s\n' "$*"; }

# die WHAT REMEDY: the one line.
die() {
    say_clear
    printf './dev: %s. %s\n' "$1" "$2" >&2
    exit 1
}

# say_usage_error WHAT: the command line was wrong, nothing was done.
say_usage_error() {
    printf './dev: %s. ./dev help lists what there is.\n' "$1" >&2
    exit 2
}

say_clear() { [ ! -t 1 ] || printf '\r\033[K'; }

# say_progress TITLE BEGAN HINT: one line that is overwritten on a terminal, and a line of its own elsewhere.
say_progress() {
    local text
    text=$(printf '  %-10s %3d s  %s' "$1" $((SECONDS - $2)) "$3")
    if [ -t 1 ]; then printf '\r\033[K%.*s' "$(($(tput cols 2>/dev/null || echo 100) - 1))" "$text"; else printf '%.120s\n' "$text"; fi
}

# say_done TITLE TEXT [BEGAN]: closes a step; the time is shown when there was any to speak of.
say_done() {
    local took=$((SECONDS - ${3:-$SECONDS}))
    say_clear
    if [ "$took" -ge 2 ]; then printf '  %-10s %s (%d s)\n' "$1" "$2" "$took"; else printf '  %-10s %s\n' "$1" "$2"; fi
}

# say_last_line LOG: the newest line that holds something, without the colours and tabs of the tool that wrote it.
say_last_line() { tail -n 20 "$1" 2>/dev/null | tr '\r\t' '\n ' | sed 's/\x1b\[[0-9;]*[A-Za-z]//g' | grep -v '^ *$' | tail -n 1 || true; }

# step TITLE LOG COMMAND...: runs COMMAND with its output in LOG, showing its last line as it goes. Returns its status.
step() {
    local title=$1 log=$2 began=$SECONDS next=2 status=0
    shift 2
    "$@" > "$log" 2>&1 < /dev/null &
    SAY_STEP_PID=$!
    while kill -0 "$SAY_STEP_PID" 2>/dev/null; do
        if [ $((SECONDS - began)) -ge "$next" ]; then
            say_progress "$title" "$began" "$(say_last_line "$log")"
            if [ -t 1 ]; then next=$((SECONDS - began + 1)); else next=$((SECONDS - began + 5)); fi
        fi
        sleep 0.1
    done
    wait "$SAY_STEP_PID" || status=$?
    SAY_STEP_PID=
    return "$status"
}

# wait_until TITLE SECONDS NAME CHECK...: asks CHECK until it says yes. Gives up when the time is over, or when the process NAME
# has ended, which no further waiting would cure.
wait_until() {
    local title=$1 limit=$2 name=$3 began=$SECONDS next=2
    shift 3
    until "$@" > /dev/null 2>&1; do
        process_alive "$name" || return 1
        [ $((SECONDS - began)) -lt "$limit" ] || return 1
        if [ $((SECONDS - began)) -ge "$next" ]; then
            say_progress "$title" "$began" "waiting until $name is ready"
            next=$((next + 5))
        fi
        sleep 0.1
    done
}

# say_stop: called when ./dev ends, however it ends, so that an interrupted step does not go on alone.
say_stop() {
    [ -z "$SAY_STEP_PID" ] || kill "$SAY_STEP_PID" 2>/dev/null || true
}
