# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Functions for the behaviour tests. A script test-*.sh in this directory sources this file, defines functions test_*,
# and ends with run_tests. If the script defines prepare_host, it runs before the tests. Each script has a host of its
# own, with the package installed and the image "bb" (busybox, up in milliseconds). With want_debian=yes, the host also
# has the image "debian".
#
# Each test begins without machines. A test that leaves a machine, or other remains of one, has failed.
set -euo pipefail
shopt -s inherit_errexit

test_dir=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# The kind of host: "host", in namespaces of this machine, or "vm", in QEMU.
hosts=${MCTL_HOSTS:-host}
# The factor for all limits of time: an emulated processor is slow.
slow=1
[ "$hosts" = host ] || slow=10
host_command=$test_dir/../hosts/$hosts
suite=${MCTL_SUITE:-bookworm}
script=${0##*/test-}
script=${script%.sh}
host=t-$script-$$
# Options of 'host start' for the host of this script.
host_options=()
want_debian=""

# shellcheck source=tests/host/report.sh
. "$test_dir/report.sh"

# --- on the host ---------------------------------------------------------------------------------------------------

# on COMMAND... runs a command on the host as root.
on() {
        "$host_command" run "$host" --plain --timeout=90 -- "$@" </dev/null
}

# on_sh LINE [NAME ARGUMENT...] runs a line of shell on the host as root.
on_sh() {
        on sh -euc "$@"
}

# on_user USER COMMAND... runs a command as an unprivileged user, in a unit of its own, like the session of a user.
on_user() {
        local user=$1
        shift

        "$host_command" run "$host" -u "$user" --timeout=60 -- "$@" </dev/null
}

# at_terminal LINE [STEP...] runs a line of shell on a terminal of the host, and types the steps; see terminal.py.
at_terminal() {
        on python3 /usr/local/bin/terminal.py "$@"
}

# inside NAME COMMAND... runs a command in all namespaces of the leader of a machine.
inside() {
        local name=$1 leader
        shift

        leader=$(leader_of "$name")
        on nsenter --target "$leader" --all --wd=/ --setuid 0 --setgid 0 -- "$@"
}

inside_sh() {
        local name=$1
        shift

        inside "$name" /bin/sh -euc "$@"
}

# put_file PATH MODE writes its stdin to a file on the host.
put_file() {
        local temp

        temp=$(mktemp)
        cat >"$temp"
        chmod "${2:-644}" "$temp"
        "$host_command" put "$host" "$temp" "$1"
        rm -f "$temp"
}

# --- what should be so ---------------------------------------------------------------------------------------------

fail() {
        echo "FAILED: $*"
        exit 1
}

equal() {
        [ "$2" = "$3" ] || fail "$1 is '$2', expected '$3'"
}

differ() {
        [ "$2" != "$3" ] || fail "$1 is '$2', and should not be"
}

matches() {
        [[ $2 =~ $3 ]] || fail "$1 is '$2', expected to match '$3'"
}

contains() {
        [[ $2 == *"$3"* ]] || fail "$1 is '$2', expected to contain '$3'"
}

lacks() {
        [[ $2 != *"$3"* ]] || fail "$1 is '$2', and should not contain '$3'"
}

empty() {
        [ -z "$2" ] || fail "$1 is '$2', expected nothing"
}

lines() {
        equal "The number of lines of $1" "$(printf '%s' "$2" | grep -c '')" "$3"
}

# try COMMAND... runs it and fills $status, $out and $err.
try() {
        local files

        files=$(mktemp -d)
        status=0
        "$@" >"$files/out" 2>"$files/err" || status=$?
        out=$(cat "$files/out")
        # Programs with the root of a machine cannot write their counts of coverage.
        err=$(grep -v '^profiling:' "$files/err" || :)
        rm -r "$files"
        echo "+ $* → $status"
        [ -z "$out" ] || sed -n '1,30s/^/  > /p' <<<"$out"
        [ -z "$err" ] || sed -n '1,30s/^/  ! /p' <<<"$err"
}

# works COMMAND...: the command must end with status 0, and print nothing on stderr.
works() {
        try "$@"
        equal "The exit status of '$*'" "$status" 0
        empty "stderr of '$*'" "$err"
}

# refused STATUS TEXT COMMAND...: the command must end with STATUS, and print exactly one line, on stderr, that
# contains TEXT.
refused() {
        local expected=$1 text=$2
        shift 2

        try "$@"
        equal "The exit status of '$*'" "$status" "$expected"
        empty "stdout of '$*'" "$out"
        lines "stderr" "$err" 1
        contains "stderr" "$err" "$text"
}

# soon COMMAND...: the command must succeed within half a minute, which is enough for a busy machine. Its output is
# dropped.
soon() {
        local i

        for ((i = 0; i < 300 * slow; i++)); do
                ! "$@" >/dev/null 2>&1 || return 0
                sleep 0.1
        done
        fail "Not so after ${i}00 ms: $*"
}

# valid_json TEXT EXPRESSION: TEXT must be JSON, and the Python expression must be true. The name "json" in the
# expression is the parsed text.
valid_json() {
        python3 -c 'import json as parser, sys
json = parser.loads(sys.argv[1])
sys.exit(0 if eval(sys.argv[2]) else "It does not hold: " + sys.argv[2])' "$1" "$2" || fail "in the JSON above"
}

# --- machines ------------------------------------------------------------------------------------------------------

# unit_of NAME prints the unit of a machine. The name is escaped like by systemd-escape(1).
unit_of() {
        echo "machine-${1//-/\\x2d}.service"
}

boot() {
        works on mctl boot "$@"
}

property() {
        on systemctl show --value -p "$2" "$1"
}

# leader_of NAME prints the PID of the leader, or "none" if there is no leader: with the number 0, kill would end the
# processes of the test.
leader_of() {
        local unit leader

        unit=$(unit_of "$1")
        if [ "$(property "$unit" ActiveState)" = inactive ]; then
                unit=container@$1.service
        fi
        leader=$(property "$unit" MainPID)
        if [ "${leader:-0}" = 0 ]; then
                leader=none
        fi
        echo "$leader"
}

# field NAME KEY prints one field of a machine from the JSON of 'mctl list'.
field() {
        on_sh 'list=$(mctl list --all --json)
                printf "%s" "$list" | jq -r --arg n "$1" --arg f "$2" ".[] | select(.name == \$n) | .[\$f]"' sh "$1" "$2"
}

is_listed() {
        [ -n "$(field "$1" name)" ]
}

is_gone() {
        local name

        name=$(field "$1" name) && [ -z "$name" ]
}

# has_property UNIT NAME VALUE
has_property() {
        [ "$(property "$1" "$2")" = "$3" ]
}

# power_off NAME... also waits until the machines have left the list, so that the next test does not see them.
power_off() {
        local name

        works on mctl poweroff "$@"
        for name in "$@"; do
                if [[ $name != -* ]]; then
                        soon is_gone "$name"
                fi
        done
}

# remains prints all remains of machines on the host.
remains() {
        on_sh '
                systemctl list-units --all --plain --no-legend --no-pager "machine-*.service" "container@*.service"
                find /sys/fs/cgroup/machine.slice -mindepth 1 -type d 2>/dev/null || :
                find /run/mctl -mindepth 2 2>/dev/null || :
                awk "\$5 ~ \"^/run/mctl|^/var/lib/machines/.\"" /proc/1/mountinfo
                pgrep -a mctl-launch || :'
}

# Sanitizers write their reports to files.
nothing_reported() {
        local text

        # shellcheck disable=SC2016
        text=$(on_sh 'for f in /run/mctl-sanitizer.*; do [ ! -e "$f" ] || { head -n 40 "$f"; rm "$f"; }; done')
        empty "What the sanitizers found" "$text"
}

nothing_left() {
        local i text

        [ -z "${MCTL_SANITIZE:-}" ] || nothing_reported

        # systemd collects a unit a moment after its end.
        for ((i = 0; i < 30 * slow; i++)); do
                text=$(remains)
                [ -n "$text" ] || return 0
                sleep 0.1
        done
        fail "This is left on the host:"$'\n'"$text"
}

reset_host() {
        on_sh '
                rm -f /etc/mctl/*.machine /etc/polkit-1/rules.d/*
                for unit in $(systemctl list-units --all --plain --no-legend --no-pager \
                              "machine-*.service" "container@*.service" "their-*.service" | awk "{ print \$1 }"); do
                        systemctl kill -s KILL "$unit" || :
                        systemctl stop "$unit" || :
                        systemctl reset-failed "$unit" || :
                done
                systemctl disable "container@.service" || :
                rm -f /etc/systemd/system/machines.target.wants/*
                rm -rf /etc/systemd/system/container@*.service.d
                rm -f /var/lib/machines/bb/etc/init-*
                systemctl daemon-reload' >/dev/null 2>&1 || :
}

# --- polkit --------------------------------------------------------------------------------------------------------

# A polkitd that starts while the bus still has the name of its predecessor exits, so the restart is tried again.
restart_polkit() {
        soon on_sh "systemctl reset-failed polkit.service 2>/dev/null || :; systemctl restart polkit.service 2>/dev/null"
}

# rule CONDITION: polkit permits actions of the user alice if the expression is true.
rule() {
        printf '%s\n' 'polkit.addRule(function(action, subject) {' "        if (subject.user == \"alice\" && $1)" '                return polkit.Result.YES;' '});' |
                put_file /etc/polkit-1/rules.d/10-test.rules
        # polkit reads a new rule with a delay, unless polkit is restarted.
        restart_polkit
}

no_rule() {
        on rm -f /etc/polkit-1/rules.d/10-test.rules
        restart_polkit
}

# --- varlink -----------------------------------------------------------------------------------------------------

# varlink SOCKET METHOD PARAMETERS [MEMBERS [LINES]] calls a method over a socket, and prints the first line of the
# answer, or LINES lines. MEMBERS are further members of the call, such as ',"more":true'.
varlink() {
        on_sh 'printf "{\"method\":\"%s\",\"parameters\":%s%s}\\0" "$2" "$3" "${4:-}" |
                timeout 5 socat -t 2 - "UNIX-CONNECT:$1" | tr "\\0" "\\n" | head -n "${5:-1}"' sh "$@"
}

restarted() {
        [ "$(property "machine-$1.service" NRestarts)" -gt "$2" ]
}

# reboot NAME reboots a machine, and waits until the machine is up again.
reboot() {
        local before

        before=$(property "machine-$1.service" NRestarts)
        on mctl reboot "$1"
        soon restarted "$1" "$before"
        soon inside "$1" true
}

# --- mctl run ------------------------------------------------------------------------------------------------------

# run OPTION... is 'mctl run', with --rm: after a failure, no failed unit stays.
run() {
        on mctl run --rm "$@"
}

# says TEXT OPTION...: the command of 'mctl run' must print exactly TEXT, and end with status 0.
says() {
        local expected=$1
        shift

        works run "$@"
        equal stdout "$out" "$expected"
}

# ends STATUS OPTION...: 'mctl run' must end with STATUS.
ends() {
        local expected=$1
        shift

        try run "$@"
        equal "The exit status" "$status" "$expected"
}

# not_run TEXT OPTION...: 'mctl run' must run nothing, and print one line with TEXT as the reason.
not_run() {
        local text=$1
        shift

        try run "$@"
        [ "$status" = 125 ] || [ "$status" = 2 ] || fail "The exit status is '$status', expected 125 or 2"
        empty stdout "$out"
        lines stderr "$err" 1
        contains stderr "$err" "$text"
}

# --- running -------------------------------------------------------------------------------------------------------

# test_functions prints the names of the tests in the script, in their order.
test_functions() {
        sed -n 's/^\(test_[a-z0-9_]*\)() {$/\1/p' "${test_file:-$0}"
}

test_name() {
        local name=${1#test_}

        echo "$hosts/$suite/$script/${name//_/-}"
}

wanted_functions() {
        local function

        while read -r function; do
                ! report_wanted "$(test_name "$function")" || echo "$function"
        done < <(test_functions)
}

# add_packages LIST adds packages to the tree of the host, and keeps those of the script.
add_packages() {
        local i

        for i in "${!host_options[@]}"; do
                if [[ ${host_options[i]} == --with=* ]]; then
                        host_options[i]+=,$1
                        return 0
                fi
        done
        host_options+=("--with=$1")
}

start_host() {
        trap stop_host EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        if [ -z "${MCTL_PACKAGE:-}" ]; then
                MCTL_PACKAGE=$("$test_dir/../hosts/build-package" | tail -n 1)
        fi
        [ -z "${MCTL_SANITIZE:-}" ] || add_packages libasan8,libubsan1
        "$host_command" start "$host" --suite="$suite" --install="$MCTL_PACKAGE" "${host_options[@]}" >&2
        "$host_command" put "$host" "$("$host_command" tree busybox)" /var/lib/machines/bb
        if [ -n "$want_debian" ]; then
                "$host_command" put "$host" "$("$host_command" tree debian "$suite")" /var/lib/machines/debian
        fi
        "$host_command" put "$host" "$test_dir/terminal.py" /usr/local/bin/terminal.py
        put_soon
        on useradd --create-home alice
        [ -z "${MCTL_COVERAGE:-}" ] || prepare_coverage
}

# put_soon installs the command soon on the host, for lines of shell.
put_soon() {
        put_file /usr/local/bin/soon 755 <<END
#!/bin/sh
for i in \$(seq $((300 * slow))); do
        ! "\$@" >/dev/null 2>&1 || exit 0
        sleep 0.1
done
echo "Not so: \$*" >&2
exit 1
END
}

# All users write to the same counts of coverage. A default access list of the directory (acl(5)) overrides their
# umask.
prepare_coverage() {
        on python3 -c 'import os, struct
os.mkdir("/run/mctl-coverage")
os.chmod("/run/mctl-coverage", 0o1777)
entries = [(1, 7), (4, 7), (32, 7)]
os.setxattr("/run/mctl-coverage", "system.posix_acl_default", struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry, -1) for entry in entries))'
}

# Programs write their counts of coverage when they end.
keep_coverage() {
        mkdir -p "$MCTL_COVERAGE/$host"
        on systemctl stop mctl-registryd || :
        # shellcheck disable=SC2016
        on sh -c '[ ! -d /run/mctl-coverage ] || tar -C /run -cf - mctl-coverage' | tar -C "$MCTL_COVERAGE/$host" -xf - || :
}

stop_host() {
        [ -z "${MCTL_COVERAGE:-}" ] || keep_coverage >&2
        "$host_command" stop "$host" >&2 || :
}

# one_test FUNCTION runs a test, and checks that the test leaves nothing. If the test fails, its output includes the
# journal of the host.
one_test() {
        local function=$1 cursor status=0

        cursor=$(on journalctl --quiet -n 0 --show-cursor | sed -n 's/^-- cursor: //p')
        set +e
        (
                set -e
                "$function"
                nothing_left
        )
        status=$?
        set -e
        if [ "$status" != 0 ] && [ "$status" != 77 ]; then
                echo "--- journal of the host:"
                on journalctl --no-pager --quiet -o short-precise ${cursor:+--after-cursor="$cursor"} | tail -n 40 || :
                reset_host
        fi
        return "$status"
}

skip() {
        echo "$*"
        exit 77
}

run_tests() {
        local function
        local -a functions

        if [ -n "${MCTL_LIST:-}" ]; then
                while read -r function; do
                        test_name "$function"
                done < <(test_functions)
                exit 0
        fi

        mapfile -t functions < <(wanted_functions)
        [ ${#functions[@]} -gt 0 ] || exit 0
        start_host
        if declare -F prepare_host >/dev/null; then
                prepare_host
        fi
        for function in "${functions[@]}"; do
                report_run "$(test_name "$function")" one_test "$function"
        done
}
