# packages - installs the Debian packages of infra/packages.txt that are missing, and nothing that is there.
#
# Some of them bring a service that Debian starts at once on its usual port. Nobody asked for that here, so starting is refused
# while we install (policy-rc.d), Postgres makes no cluster, and with systemd the new services are not enabled for the next boot.

PACKAGES_LOCK_S=120 # how long another apt on this machine may keep us waiting

# packages_missing GROUP...: the names that are not installed, one a line.
packages_missing() {
    local name group rest installed
    # The query fails when a name was never known to dpkg; what it prints is still right.
    installed=$(packages_listed "$@" | xargs dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null | awk '$2 == "installed" { print $1 }')
    while read -r name; do
        grep -qxF "$name" <<< "$installed" || echo "$name"
    done < <(packages_listed "$@")
}

# packages_listed GROUP...: the names of these groups.
packages_listed() {
    local groups=" $* "
    awk -v groups="$groups" '!/^#/ && NF && index(groups, " " $2 " ") { print $1 }' "$TOP/infra/packages.txt"
}

# packages_ensure GROUP...: afterwards all of them are there.
packages_ensure() {
    local missing began=$SECONDS
    command -v dpkg-query > /dev/null && command -v apt-get > /dev/null || {
        packages_complain_other_system "$@"
        return 0
    }
    missing=$(packages_missing "$@")
    [ -n "$missing" ] || return 0
    missing=$(echo $missing)
    [ "${BERTH_INSTALL:-}" != never ] || die "missing packages: $missing" "Install them (apt-get install $missing), or leave BERTH_INSTALL unset"
    packages_choose_root "$missing"
    disk_check / "$MACHINE_ROOM_PACKAGES_MB"
    say_done packages "to install: $missing"
    # Asked for before the step, which has no terminal to read a password from.
    [ -z "$PACKAGES_ROOT" ] || $PACKAGES_ROOT -v || die "sudo refused" "Run as root: apt-get install $missing"
    step packages "$LOGS/packages.log" packages_install $missing || packages_complain "$missing"
    say_done packages "installed" "$began"
}

# packages_choose_root MISSING: how to become root, if at all.
packages_choose_root() {
    PACKAGES_ROOT=
    [ "$(id -u)" -ne 0 ] || return 0
    command -v sudo > /dev/null || die "missing packages, and neither root nor sudo to install them" "As root: apt-get install $1"
    PACKAGES_ROOT=sudo
}

# packages_install NAME...: a child of step, so its output is the log.
packages_install() {
    local status=0
    $PACKAGES_ROOT bash "$TOP/infra/dev/install-packages" "$PACKAGES_LOCK_S" "$(packages_services "$@")" "$@" || status=$?
    return "$status"
}

# packages_services NAME...: the services that these packages bring.
packages_services() {
    local name
    for name in "$@"; do
        sed -n "s/^$name .* service=\([a-z-]*\).*/\1/p" "$TOP/infra/packages.txt"
    done | xargs
}

# packages_complain MISSING: says which of apt's many lines was the reason.
packages_complain() {
    local log=$LOGS/packages.log reason
    reason=$(grep -E '^(E:|W: Failed|dpkg: error|Err:)' "$log" | head -n 1)
    [ -n "$reason" ] || reason=$(say_last_line "$log")
    if [ "$(disk_free_mb /)" -lt 20 ] || grep -q 'No space left' "$log"; then
        die "the packages could not be installed: the disk that holds / is full" "Make room there, then ./dev up again"
    fi
    case $reason in
        *'Unable to locate package '*) die "the package ${reason##*package } is not in this system's lists" "Berth is built on Debian 12: is that what /etc/os-release says? Else install: $1" ;;
        *'Could not get lock'*) die "another apt or dpkg is at work here and did not end in $PACKAGES_LOCK_S s" "Let it end, then ./dev up again" ;;
        *) die "the packages could not be installed: $reason" "Try: apt-get install $1   (the log: $log)" ;;
    esac
}

# packages_complain_other_system: no Debian. We can still build if somebody has put the parts there.
packages_complain_other_system() {
    [ "${BERTH_INSTALL:-}" != never ] || return 0
    die "this is not a Debian, so nothing can be installed here" \
        "Install what infra/packages.txt lists by the system's own means, then: BERTH_INSTALL=never ./dev up"
}
