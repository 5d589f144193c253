# verdict - how a ./dev test ends: what the sanitizers wrote, what failed and what the logs say of it, one line, an exit status.

# tests_check_sanitizers: a server that was told off by ASan, UBSan or LSan fails the run, whatever its answers were.
tests_check_sanitizers() {
    local found
    found=$(grep -l -E '(ERROR|WARNING): (Address|Leak|Thread)Sanitizer|runtime error:' "$LOGS"/{commands,projections,query}.log 2> /dev/null)
    [ -n "$found" ] || return 0
    grep -h -A 12 -E '(ERROR|WARNING): (Address|Leak|Thread)Sanitizer|runtime error:' $found | head -n 40
    say "the sanitizers complain in: $found"
    TESTS_FAILED="$TESTS_FAILED sanitizers"
}

# tests_show_logs: the last words of each part, for a reader who has only what is printed.
tests_show_logs() { (cd "$LOGS" && tail -n 12 ./*.log 2> /dev/null | cut -c 1-400); }

# tests_close BEGAN: what failed once more, for of a long run often only the end is kept; then one line in pytest's form, counted from what
# ctest and pytest wrote, and an exit status that agrees with it.
tests_close() {
    local passed failed skipped
    python3 "$TOP/infra/dev/count-results" --failures "$STATE/results"
    read -r passed failed skipped < <(python3 "$TOP/infra/dev/count-results" "$STATE/results")
    printf '======= %s passed, %s failed, %s skipped in %d.00s (%d:%02d) =======\n' "$passed" "$failed" "$skipped" \
        $((SECONDS - $1)) $(((SECONDS - $1) / 60)) $(((SECONDS - $1) % 60))
    [ -z "$TESTS_FAILED" ] || { say "failed:$TESTS_FAILED"; exit 1; }
    [ "${passed:-0}" -gt 0 ] && [ "$failed" -eq 0 ] || exit 1
}
