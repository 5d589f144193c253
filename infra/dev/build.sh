# build - CMake's presets, with progress shown and the first error told.

# build_programs: the servers and the command line of this stack's preset, without the tests.
build_programs() { build_target programs; }

# build_everything: the tests too.
build_everything() { build_target all; }

build_target() {
    local log=$LOGS/build.log began=$SECONDS
    disk_check "$TOP" 300
    step build "$LOGS/configure.log" cmake -S "$TOP" --preset "$PRESET" || build_complain "$LOGS/configure.log"
    step build "$log" nice cmake --build "$TOP/build/$PRESET" --target "$1" || build_complain "$log"
    # A server that the clone does not have yet is said by whoever wants to start it.
    say_done build "$(build_stamp)" "$began"
}

build_stamp() { sed -n 's/.*BERTH_VERSION_STAMP "\(.*\)"/\1/p' "$TOP/build/$PRESET/generated/berth_version.h"; }

build_complain() {
    local reason
    ! grep -q 'No space left' "$1" || die "the build failed: the disk that holds $TOP is full" "Make room there, then ./dev up again"
    reason=$(grep -m 1 -E 'error: |CMake Error|undefined reference' "$1" || grep -m 1 FAILED "$1" || say_last_line "$1")
    die "the build failed: $(cut -c 1-200 <<< "$reason")" "The log: $1"
}
