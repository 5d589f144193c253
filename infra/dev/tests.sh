# tests - everything that is checked, from a clean clone, beside a running ./dev up and without touching it.
#
# The stack under test has a state folder, ports and a build of its own: the preset dev, so that every server runs under ASan and UBSan.
# Nothing is skipped quietly: what cannot run fails.

TESTS_STATE=${BERTH_TEST_STATE:-$TOP/.berth-test}
TESTS_PRESET=${BERTH_TEST_PRESET:-dev}
TESTS_PORT_BASES="28080 28180 28280 28380 28480 28580 28680 28780 28880 28980"
TESTS_JOBS=2

# What is tested is what happens, not how fast a shared machine is: limits within which something must have been done, where a test is not about
# the limit itself, are so long that a sanitized build under load keeps them. Servers take them from the environment (infra/dev/servers.sh).
TESTS_LIMITS="BERTH_NODE_SESSION_TIMEOUT_MS=6000 BERTH_NODE_COMMAND_TIMEOUT_MS=40000 BERTH_NODE_LEAVE_LIMIT_MS=30000 BERTH_FORWARD_LIMIT_MS=35000 BERTH_HTTP_IDLE_TIMEOUT_MS=600000 BERTH_HTTP_READ_TIMEOUT_MS=60000"

tests_usage() {
    cat << 'TEXT'
usage: ./dev test [PART...]

  unit golden sim model fuzz ...  the C tests of that folder of tests/ (a ctest label)
  integration                     the real parts and servers, by C and by pytest
  faults                          the short fault run, and the tests of its parts; the full one is ./dev faults --full
  integration/NAME                one file: integration/test_smoke.py, or an expression of pytest -k
Without a PART: everything. BERTH_TEST_STATE (.berth-test), BERTH_TEST_PORT_BASE and BERTH_TEST_PRESET (dev) choose where and what.
TEXT
}

tests_run() {
    local part began=$SECONDS
    case ${1:-} in help | --help | -h) tests_usage; return 0 ;; esac
    tests_settle
    tests_prepare
    TESTS_FAILED=
    if [ $# -eq 0 ]; then
        tests_ctest -LE '^integration$'
        tests_integration
        faults_test
    fi
    for part in "$@"; do
        case $part in
            integration) tests_integration ;;
            faults) tests_ctest -L '^faults$'; faults_test ;;
            integration/*.py) tests_integration "$TOP/tests/$part" ;;
            integration/*) tests_integration -k "${part#integration/}" ;;
            *) [ -e "$TOP/tests/$part/CMakeLists.txt" ] || say_usage_error "there is no tests/$part; ./dev test help"; tests_ctest -L "^$part\$" ;;
        esac
    done
    tests_close "$began"
}

# tests_settle: the settings of a stack that meets no other.
tests_settle() {
    BERTH_STATE=$TESTS_STATE
    BERTH_PRESET=$TESTS_PRESET
    BERTH_DEV_THROWAWAY=1
    export BERTH_DEV_THROWAWAY
    export TSAN_OPTIONS=${TSAN_OPTIONS:-suppressions=$TOP/tests/tsan.supp}
    unset BERTH_PORT_BASE BERTH_KAFKA_BOOTSTRAP_SERVERS BERTH_POSTGRES_DSN BERTH_REDIS_URL
    settings_load
    stack_open
    exec 7> "$STATE/test-lock"
    flock -n 7 || die "another ./dev test is at work in $STATE" "Wait until it has ended, or BERTH_TEST_STATE=/another/folder ./dev test"
    stack_stop
    exec 9>&- # the tests start and stop parts by ./dev themselves
    (cd "$STATE" && rm -rf faults kafka/data postgres redis gateway commands projections query demo results settings ./*.conf && rm -f logs/*.log) ||
        die "what an earlier run left in $STATE cannot be removed" "Remove it by hand"
    mkdir -p "$STATE/results"
    tests_choose_ports
}

# tests_choose_ports: any base whose ports are all free, in no order, so that two runs at once hardly meet. Chosen again when the stack is
# about to start, for the C tests before it take minutes.
tests_choose_ports() {
    local base
    for base in ${BERTH_TEST_PORT_BASE:-$(shuf -e $TESTS_PORT_BASES)}; do
        BERTH_PORT_BASE=$base
        settings_load
        PARTS=$SETTINGS_PARTS
        tests_ports_are_taken || return 0
    done
    ports_check
}

tests_ports_are_taken() {
    local part port
    for part in $SETTINGS_PARTS; do
        for port in $(part_ports "$part"); do ! port_listener "$port" > /dev/null || return 0; done
    done
    return 1
}

# tests_prepare: packages, Python, build.
tests_prepare() {
    disk_check "$STATE" 1000
    packages_ensure build run test
    tests_python
    build_everything
}

# tests_python: an environment with what tests/requirements.txt lists. It comes first in PATH, for ctest's Python tests too.
tests_python() {
    local venv=$STATE/venv began=$SECONDS python=/usr/bin/python3
    [ -x "$python" ] || python=python3
    if ! cmp -s "$TOP/tests/requirements.txt" "$venv/requirements.txt"; then
        rm -rf "$venv"
        "$python" -m venv "$venv" > "$LOGS/python.log" 2>&1 || disk_complain "no Python environment can be made: $(say_last_line "$LOGS/python.log")" "Debian's package python3-venv brings it"
        step python "$LOGS/python.log" "$venv/bin/pip" install --no-cache-dir --progress-bar off -r "$TOP/tests/requirements.txt" ||
            disk_complain "tests/requirements.txt could not be installed: $(grep -m 1 ERROR "$LOGS/python.log")" "Is PyPI, or the mirror in pip.conf, to be reached? (the log: $LOGS/python.log)"
        cp "$TOP/tests/requirements.txt" "$venv/requirements.txt"
        say_done python "tests/requirements.txt installed" "$began"
    fi
    export PATH="$venv/bin:$PATH" PYTHONDONTWRITEBYTECODE=1
}

# tests_ctest OPTION...: its own lines are the progress.
tests_ctest() {
    local results
    results=$STATE/results/ctest-$(ls "$STATE/results" | wc -l).xml
    ctest --test-dir "$TOP/build/$PRESET" -j "$TESTS_JOBS" --output-on-failure --no-tests=error --output-junit "$results" "$@" 7>&- || TESTS_FAILED="$TESTS_FAILED ctest"
}

# tests_integration PYTEST_OPTION...: the stack from the sanitized build, the tests on it, and then what the sanitizers wrote.
tests_integration() {
    local results status=0
    [ $# -gt 0 ] || set -- "$TOP/tests/integration"
    case $1 in -k) set -- "$TOP/tests/integration" "$@" ;; esac
    stack_any_alive || tests_choose_ports
    export $TESTS_LIMITS
    (dev_up) || { tests_show_logs; TESTS_FAILED="$TESTS_FAILED stack"; stack_stop; return 0; }
    export BERTH_STATE BERTH_KAFKA="$KAFKA" BERTH_POSTGRES="$POSTGRES" BERTH_REDIS="$REDIS"
    if [ $# -eq 1 ] && [ -e "$TOP/tests/integration/CMakeLists.txt" ]; then tests_ctest -L '^integration$'; fi
    results=$STATE/results/pytest-$(ls "$STATE/results" | wc -l).xml
    python3 -m pytest -p no:cacheprovider -ra --durations=5 -o faulthandler_timeout=900 -o junit_logging=system-out -o junit_log_passing_tests=false \
        --junitxml="$results" "$@" 7>&- || status=$?
    [ "$status" -eq 0 ] || TESTS_FAILED="$TESTS_FAILED pytest"
    stack_stop
    unset $(sed -E 's/=[^ ]*//g' <<< "$TESTS_LIMITS") # the fault runs have the real ones
    tests_check_sanitizers
}
