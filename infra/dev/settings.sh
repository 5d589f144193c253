# settings - where things are: the state folder, the ports, which parts are ours.
#
# One number, BERTH_PORT_BASE, places every port, so that several stacks live side by side on one machine. What a stack was
# brought up with is remembered in its state folder: `./dev status` needs no setting to find it again.
#
#   BERTH_STATE       the state folder (.berth)
#   BERTH_PORT_BASE   the first of 40 ports (18080)
#   BERTH_PRESET      the CMake preset whose servers are run (release)
#   BERTH_INSTALL     never: install no package, say what is missing
#   BERTH_KAFKA_BOOTSTRAP_SERVERS, BERTH_POSTGRES_DSN, BERTH_REDIS_URL
#                     an existing one, which is then used and neither started nor stopped

SETTINGS_PARTS="kafka postgres redis commands projections query gateway"
SETTINGS_PORT_BASE_DEFAULT=18080

# settings_load [of-this-stack]: fills the variables that all other files read. of-this-stack: a stack that was brought up has its ports,
# whatever BERTH_PORT_BASE says; only `up` places it, and only while nothing of it runs.
settings_load() {
    STATE=${BERTH_STATE:-$TOP/.berth}
    case $STATE in /*) ;; *) STATE=$PWD/$STATE ;; esac
    RUN=$STATE/run
    LOGS=$STATE/logs
    settings_read_remembered
    PORT_BASE=${BERTH_PORT_BASE:-${REMEMBERED_PORT_BASE:-$SETTINGS_PORT_BASE_DEFAULT}}
    if [ "${1:-}" = of-this-stack ] && [ -n "$REMEMBERED_PORT_BASE" ] && [ "$PORT_BASE" != "$REMEMBERED_PORT_BASE" ]; then
        say "BERTH_PORT_BASE=$PORT_BASE is not heeded: the stack in $STATE has its ports from $REMEMBERED_PORT_BASE" >&2
        PORT_BASE=$REMEMBERED_PORT_BASE
    fi
    [[ $PORT_BASE =~ ^[0-9]{4,5}$ ]] && [ "$PORT_BASE" -ge 1024 ] && [ "$PORT_BASE" -le 65000 ] ||
        say_usage_error "BERTH_PORT_BASE=$PORT_BASE is not a port from 1024 to 65000"
    PRESET=${BERTH_PRESET:-${REMEMBERED_PRESET:-release}}
    PARTS=${REMEMBERED_PARTS:-$SETTINGS_PARTS}
    PORT_API=$PORT_BASE
    PORT_COMMANDS=$((PORT_BASE + 1))
    PORT_QUERY=$((PORT_BASE + 2))
    PORT_COMMANDS_ADMIN=$((PORT_BASE + 11))
    PORT_PROJECTIONS_ADMIN=$((PORT_BASE + 12))
    PORT_QUERY_ADMIN=$((PORT_BASE + 13))
    PORT_KAFKA=$((PORT_BASE + 20))
    PORT_KAFKA_CONTROLLER=$((PORT_BASE + 21))
    PORT_POSTGRES=$((PORT_BASE + 30))
    PORT_REDIS=$((PORT_BASE + 31))
    KAFKA=${BERTH_KAFKA_BOOTSTRAP_SERVERS:-${REMEMBERED_KAFKA:-127.0.0.1:$PORT_KAFKA}}
    POSTGRES=${BERTH_POSTGRES_DSN:-${REMEMBERED_POSTGRES:-postgresql://berth@127.0.0.1:$PORT_POSTGRES/berth}}
    REDIS=${BERTH_REDIS_URL:-${REMEMBERED_REDIS:-redis://127.0.0.1:$PORT_REDIS}}
}

# settings_read_remembered: NAME=value lines that settings_remember wrote; never executed.
settings_read_remembered() {
    local name value
    REMEMBERED_PORT_BASE= REMEMBERED_PRESET= REMEMBERED_PARTS= REMEMBERED_KAFKA= REMEMBERED_POSTGRES= REMEMBERED_REDIS=
    [ -r "$STATE/settings" ] || return 0
    while IFS='=' read -r name value; do
        case $name in
            port_base) REMEMBERED_PORT_BASE=$value ;;
            preset) REMEMBERED_PRESET=$value ;;
            parts) REMEMBERED_PARTS=$value ;;
            kafka) REMEMBERED_KAFKA=$value ;;
            postgres) REMEMBERED_POSTGRES=$value ;;
            redis) REMEMBERED_REDIS=$value ;;
        esac
    done < "$STATE/settings"
}

# settings_remember: a DSN may hold a password, so the file is for its owner only. An address of our own is not written:
# it follows from the port base.
settings_remember() {
    local text
    text="port_base=$PORT_BASE"$'\n'"preset=$PRESET"$'\n'"parts=$PARTS"$'\n'
    ! part_is_foreign kafka || text+="kafka=$KAFKA"$'\n'
    ! part_is_foreign postgres || text+="postgres=$POSTGRES"$'\n'
    ! part_is_foreign redis || text+="redis=$REDIS"$'\n'
    (umask 077 && printf '%s' "$text" 2> /dev/null > "$STATE/settings.new" && mv "$STATE/settings.new" "$STATE/settings") ||
        disk_complain "the state folder $STATE cannot be written"
}

# part_is_wanted NAME: is NAME among the parts of this stack?
part_is_wanted() { case " $PARTS " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

# part_is_foreign NAME: does somebody else run it?
part_is_foreign() {
    case $1 in
        kafka) [ -n "${BERTH_KAFKA_BOOTSTRAP_SERVERS:-$REMEMBERED_KAFKA}" ] ;;
        postgres) [ -n "${BERTH_POSTGRES_DSN:-$REMEMBERED_POSTGRES}" ] ;;
        redis) [ -n "${BERTH_REDIS_URL:-$REMEMBERED_REDIS}" ] ;;
        *) return 1 ;;
    esac
}

# part_is_ours NAME: wanted, and started by us.
part_is_ours() { part_is_wanted "$1" && ! part_is_foreign "$1"; }

# part_ports NAME: the ports that it listens on.
part_ports() {
    case $1 in
        kafka) echo "$PORT_KAFKA $PORT_KAFKA_CONTROLLER" ;;
        postgres) echo "$PORT_POSTGRES" ;;
        redis) echo "$PORT_REDIS" ;;
        commands) echo "$PORT_COMMANDS $PORT_COMMANDS_ADMIN" ;;
        projections) echo "$PORT_PROJECTIONS_ADMIN" ;;
        query) echo "$PORT_QUERY $PORT_QUERY_ADMIN" ;;
        gateway) echo "$PORT_API" ;;
    esac
}
