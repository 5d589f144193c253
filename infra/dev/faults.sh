# faults - the fault runs of tests/faults, with everything that they need: packages, Python, Kafka, the build, Porcupine.
#
# A state folder of their own (.berth-faults). As root all parts live in network namespaces that only the run sees, so no port can be taken.

FAULTS_STATE=${BERTH_FAULTS_STATE:-$TOP/.berth-faults}

# faults_run ARGS: ./dev faults. --setup stops before the run itself; what --help says is the runner's.
faults_run() {
    case ${1:-} in --soak) shift; faults_soak "$@" ;; esac
    case " $* " in
        *" --help "* | *" -h "* | *" --list "*) exec env PYTHONPATH="$TOP/tests" PYTHONDONTWRITEBYTECODE=1 python3 -m faults.run "$@" ;;
    esac
    BERTH_STATE=$FAULTS_STATE
    PRESET=${BERTH_PRESET:-release}
    settings_load
    stack_open
    disk_check "$STATE" 2000
    packages_ensure build run test
    tests_python
    kafka_fetch
    build_programs
    faults_build_linear
    case " $* " in *" --mutant"*) build_target mutants ;; esac
    case " $* " in *" --setup "*) return 0 ;; esac
    faults_start --preset "$PRESET" "$@"
}

# faults_start ARGS: the runner, in the environment that was prepared; its exit status is ours.
faults_start() {
    # 7, 8 and 9 are locks of ./dev; parts of a run that outlives its harness must not hold them.
    (cd "$TOP" && exec env -u BERTH_PORT_BASE -u BERTH_PRESET -u BERTH_STATE BERTH_FAULTS_STATE="$FAULTS_STATE" PYTHONPATH="$TOP/tests" PYTHONUNBUFFERED=1 \
        nice -n 5 python3 -m faults.run "$@" 7>&- 8>&- 9>&-)
}

# faults_soak ARGS: ten minutes of load on a stack that soak.py brings up by ./dev, in a state folder and on ports of its own; does anything leak?
faults_soak() {
    exec env -u BERTH_PORT_BASE -u BERTH_STATE PYTHONPATH="$TOP/tests" PYTHONDONTWRITEBYTECODE=1 python3 -m faults.soak "$@"
}

# faults_build_linear: the linearizability checker, a Go program with Porcupine in it.
faults_build_linear() {
    local log=$LOGS/linear.log began=$SECONDS
    PYTHONPATH="$TOP/tests" step linear "$log" nice python3 -m faults.linear "$TOP/build/$PRESET/linear" ||
        die "the linearizability checker could not be built: $(say_last_line "$log")" "Is proxy.golang.org, or the mirror in GOPROXY, to be reached? (the log: $log)"
    say_done linear "Porcupine" "$began"
}

# faults_test: the short form, as a part of ./dev test, on the sanitized build.
faults_test() {
    local results=$STATE/results/faults-$(ls "$STATE/results" | wc -l).xml
    FAULTS_STATE=$STATE
    kafka_fetch
    faults_build_linear
    faults_start --preset "$PRESET" --junit "$results" --run "$STATE/faults" || TESTS_FAILED="$TESTS_FAILED faults"
}
