# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the behaviour tests share. A script test-*.sh beside this file sources it, defines functions test_* (and maybe
# prepare_host, which runs before them), and ends with run_tests. It gets a host of its own, with the package
# installed and two images: "bb" (busybox, up in milliseconds) and, where it asks for it by want_debian=yes, "debian".
#
# Each test begins without machines, and must leave none: what it leaves is told as a failure.
set -euo pipefail
shopt -s inherit_errexit

test_dir=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# Which hosts: "host", in namespaces of this machine, or "vm", in QEMU.
hosts=${MCTL_HOSTS:-host}
# How many times longer all takes there: an emulated processor takes its time.
slow=1
[ "$hosts" = host ] || slow=10
host_command=$test_dir/../hosts/$hosts
suite=${MCTL_SUITE:-bookworm}
script=${0##*/test-}
script=${script%.sh}
host=t-$script-$$
# Options of 'host start' for this script.
host_options=()
want_debian=""

# shellcheck source=tests/host/report.sh
. "$test_dir/report.sh"

# --- on the host ---------------------------------------------------------------------------------------------------

# Runs a command on the host as root.
on() {
        "$host_command" run "$host" --plain --timeout=90 -- "$@" </dev/null
}

# The same for a line of shell.
on_sh() {
        on sh -euc "$@"
}

# As a user without privileges, in a unit of its own as people are.
on_user() {
        local user=$1
        shift

        "$host_command" run "$host" -u "$user" --timeout=60 -- "$@" </dev/null
}

# at_terminal LINE [STEP...]: a line of shell at a terminal of the host, with somebody who types; see terminal.py.
at_terminal() {
        on python3 /usr/local/bin/terminal.py "$@"
}

# What a machine's leader sees: runs a command in all of its namespaces.
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
        # Who runs in a machine's root cannot write its counts.
        err=$(grep -v '^profiling:' "$files/err" || :)
        rm -r "$files"
        echo "+ $* → $status"
        [ -z "$out" ] || sed -n '1,30s/^/  > /p' <<<"$out"
        [ -z "$err" ] || sed -n '1,30s/^/  ! /p' <<<"$err"
}

# works COMMAND... ends with status 0 and says nothing on stderr.
works() {
        try "$@"
        equal "The exit status of '$*'" "$status" 0
        empty "stderr of '$*'" "$err"
}

# refused STATUS TEXT COMMAND... ends with this status and one line on stderr that has this text, and no more.
refused() {
        local expected=$1 text=$2
        shift 2

        try "$@"
        equal "The exit status of '$*'" "$status" "$expected"
        empty "stdout of '$*'" "$out"
        lines "stderr" "$err" 1
        contains "stderr" "$err" "$text"
}

# soon COMMAND... becomes true, on a busy machine within half a minute; without a sound.
soon() {
        local i

        for ((i = 0; i < 300 * slow; i++)); do
                ! "$@" >/dev/null 2>&1 || return 0
                sleep 0.1
        done
        fail "Not so after ${i}00 ms: $*"
}

# valid_json TEXT EXPRESSION: it is JSON, and the expression of Python, in which it is called "json", is true for it.
valid_json() {
        python3 -c 'import json as parser, sys
json = parser.loads(sys.argv[1])
sys.exit(0 if eval(sys.argv[2]) else "It does not hold: " + sys.argv[2])' "$1" "$2" || fail "in the JSON above"
}

# --- machines ------------------------------------------------------------------------------------------------------

# The same escape as systemd-escape(1) for what names of machines may have.
unit_of() {
        echo "machine-${1//-/\\x2d}.service"
}

boot() {
        works on mctl boot "$@"
}

property() {
        on systemctl show --value -p "$2" "$1"
}

# "none" where there is none: a 0 on the way into kill would hit us.
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

# One field of a machine, as the JSON of list has it.
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

# Also waits until it is gone from the list, so that one test does not see the machines of another.
power_off() {
        local name

        works on mctl poweroff "$@"
        for name in "$@"; do
                if [[ $name != -* ]]; then
                        soon is_gone "$name"
                fi
        done
}

# What a machine could leave on the host.
remains() {
        on_sh '
                systemctl list-units --all --plain --no-legend --no-pager "machine-*.service" "container@*.service"
                find /sys/fs/cgroup/machine.slice -mindepth 1 -type d 2>/dev/null || :
                find /run/mctl -mindepth 2 2>/dev/null || :
                awk "\$5 ~ \"^/run/mctl|^/var/lib/machines/.\"" /proc/1/mountinfo
                pgrep -a mctl-launch || :'
}

# Whatever a sanitizer has found is in a file.
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

# rule CONDITION: alice may, where this expression is true.
rule() {
        printf '%s\n' 'polkit.addRule(function(action, subject) {' "        if (subject.user == \"alice\" && $1)" '                return polkit.Result.YES;' '});' |
                put_file /etc/polkit-1/rules.d/10-test.rules
        # polkit sees a new rule in its own time.
        on_sh "systemctl reset-failed polkit.service 2>/dev/null || :; systemctl restart polkit.service"
}

no_rule() {
        on rm -f /etc/polkit-1/rules.d/10-test.rules
        on_sh "systemctl reset-failed polkit.service 2>/dev/null || :; systemctl restart polkit.service"
}

# --- varlink -----------------------------------------------------------------------------------------------------

# varlink METHOD PARAMETERS: the first answer of a server that newer clients know.
varlink() {
        on_sh 'printf "{\"method\":\"%s\",\"parameters\":%s%s}\\0" "$2" "$3" "${4:-}" |
                timeout 5 socat -t 2 - "UNIX-CONNECT:$1" | tr "\\0" "\\n" | head -n "${5:-1}"' sh "$@"
}

restarted() {
        [ "$(property "machine-$1.service" NRestarts)" -gt "$2" ]
}

# Reboots a machine, and waits until it is up again.
reboot() {
        local before

        before=$(property "machine-$1.service" NRestarts)
        on mctl reboot "$1"
        soon restarted "$1" "$before"
        soon inside "$1" true
}

# --- mctl run ------------------------------------------------------------------------------------------------------

# Without a trace of failures, which most tests are not about.
run() {
        on mctl run --rm "$@"
}

# says TEXT OPTION...: the command prints just this, and ends well.
says() {
        local expected=$1
        shift

        works run "$@"
        equal stdout "$out" "$expected"
}

# ends STATUS OPTION...: the command ends with this status.
ends() {
        local expected=$1
        shift

        try run "$@"
        equal "The exit status" "$status" "$expected"
}

# not_run TEXT OPTION...: nothing was run, and one line says why.
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

# The tests of the script, in their order.
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

# add_packages LIST: for the tree of the host, beside those that the script wants.
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

# soon COMMAND... for lines of shell on the host.
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

# All users add to the same counts, whatever their umask is: the directory has a default access list (acl(5)).
prepare_coverage() {
        on python3 -c 'import os, struct
os.mkdir("/run/mctl-coverage")
os.chmod("/run/mctl-coverage", 0o1777)
entries = [(1, 7), (4, 7), (32, 7)]
os.setxattr("/run/mctl-coverage", "system.posix_acl_default", struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry, -1) for entry in entries))'
}

# What the programs have counted is written when they end.
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

# A test, and the two things that hold for each: it leaves nothing, and a failure comes with the host's journal.
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
