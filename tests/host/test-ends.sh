#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Commands that end machines or send signals to them, and the processes that receive the signals.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
# shellcheck source=tests/host/machine1.sh
. "$test_dir/machine1.sh"

want_debian=yes
host_options=("--with=systemd-container,socat")
machine_socket=/run/systemd/machine/io.systemd.Machine

# A time that is far longer than the limits of the tests: a test that waits for so long fails.
long=2h

prepare_host() {
        be_provider
}

# --- terminate -----------------------------------------------------------------------------------------------------

# terminates NAME COMMAND...: the command must end the machine within the limit of time.
terminates() {
        local name=$1
        shift

        works on timeout -k 1 $((60 * slow)) "$@"
        soon is_gone "$name"
        on systemctl reset-failed
}

# PID 1 receives only signals that it has a handler for, and SIGKILL.
run_deaf() {
        works run -d --name deaf --stop-timeout="$long" bb sleep 10000
        equal "What the leader heeds" "$(on_sh 'awk "/^SigCgt/ { print \$2 }" /proc/$1/status' sh "$(leader_of deaf)")" 0000000000000000
}

test_terminate_does_not_ask() {
        run_deaf
        terminates deaf mctl terminate deaf
        run_deaf
        terminates deaf machinectl terminate deaf
        run_deaf
        terminates deaf busctl call "${m1[@]}" TerminateMachine s deaf
        run_deaf
        works on busctl call "${m1[@]}" GetMachine s deaf
        terminates deaf busctl call org.freedesktop.machine1 /org/freedesktop/machine1/machine/deaf \
                org.freedesktop.machine1.Machine Terminate
        run_deaf
        equal "The answer" "$(varlink "$machine_socket" io.systemd.Machine.Terminate '{"name":"deaf"}')" '{"parameters":{}}'
        soon is_gone deaf
        on systemctl reset-failed
}

# Restart=always does not start a machine again that was terminated.
test_terminate_is_for_good() {
        works run -d --name deaf --stop-timeout="$long" --restart=always bb sleep 10000
        terminates deaf mctl terminate deaf
        equal "The state of the unit" "$(property machine-deaf.service ActiveState)" inactive
}

# A machine that is starting has no handlers for signals yet.
test_terminate_starting() {
        local command

        on_sh 'cp -a "$1/bb" "$1/deaf"; rm "$1/deaf/sbin/init"; printf "#!/bin/sh\nexec sleep 10000\n" >"$1/deaf/sbin/init"
                chmod 755 "$1/deaf/sbin/init"' sh /var/lib/machines
        for command in mctl machinectl; do
                works on mctl boot --no-wait deaf -p TimeoutStopSec="$long"
                soon leader_is deaf sleep
                terminates deaf "$command" terminate deaf
        done
        on rm -r /var/lib/machines/deaf
}

leader_is() {
        [ "$(on cat "/proc/$(leader_of "$1")/comm")" = "$2" ]
}

# A system that powers off waits for its services. 'mctl terminate' does not wait for them.
test_terminate_system() {
        boot debian -p TimeoutStopSec="$long"
        works on mctl exec debian systemd-run -q --unit=hangs -p ExecStop="/bin/sleep 10000" -p TimeoutStopSec=infinity /bin/sleep 10000
        works on mctl poweroff --no-wait debian
        soon is_stopping
        terminates debian mctl terminate debian
}

is_stopping() {
        [ "$(inside debian systemctl is-active hangs)" = deactivating ]
}

# --- kill ----------------------------------------------------------------------------------------------------------

# A leader and another process that record the signals they receive. A shell handles pending signals in the order of
# their numbers: when the last signal is recorded, all signals before it are recorded.
two='hear() { trap "echo heard >/tmp/heard.$1" USR1 39; trap "echo last >/tmp/last.$1" 50; : >/tmp/up.$1; while :; do sleep 0.05; done; }
        hear other & echo $! >/tmp/pid; hear leader'

run_two() {
        works run -d --name two bb sh -c "$two"
        soon inside_sh two '[ -e /tmp/up.leader ] && [ -e /tmp/up.other ] && [ -s /tmp/pid ]'
}

# hears WHO COMMAND...: only the processes WHO must receive the signal that the command sends. When the command has
# returned, the signal is pending for all receivers.
hears() {
        local expected=$1
        shift

        inside_sh two 'rm -f /tmp/heard.* /tmp/last.*'
        works "$@"
        inside_sh two 'kill -50 1 $(cat /tmp/pid)'
        soon inside_sh two '[ -e /tmp/last.leader ] && [ -e /tmp/last.other ]'
        equal "Who heard of '$*'" "$(inside_sh two 'cd /tmp; ls | sed -n s/^heard.//p | tr "\n" " "')" "$expected "
}

test_kill_whom() {
        run_two
        hears leader on mctl kill --kill-whom=leader -s USR1 two
        hears "leader other" on mctl kill --kill-whom=all -s USR1 two
        hears "leader other" on mctl kill -s USR1 two
        works on mctl terminate two
        soon is_gone two
}

test_kill_whom_by_machine1() {
        local object=(org.freedesktop.machine1 /org/freedesktop/machine1/machine/two org.freedesktop.machine1.Machine)

        run_two
        hears leader on busctl call "${m1[@]}" KillMachine ssi two leader 10
        hears "leader other" on busctl call "${m1[@]}" KillMachine ssi two all 10
        hears "leader other" on busctl call "${m1[@]}" KillMachine ssi two "" 10
        hears leader on busctl call "${object[@]}" Kill si leader 10
        hears "leader other" on busctl call "${object[@]}" Kill si all 10
        hears leader on machinectl kill --kill-whom=leader --signal=SIGUSR1 two
        hears "leader other" on machinectl kill --kill-whom=all --signal=SIGUSR1 two
        works on mctl terminate two
        soon is_gone two
}

varlink_kill() {
        printf '%s\0' "{\"method\":\"io.systemd.Machine.Kill\",\"parameters\":{\"name\":\"two\",\"whom\":\"$1\",\"signal\":10}}" | put_file /run/request
        # shellcheck disable=SC2016
        hears "$2" on sh -c 'timeout 5 socat -t 2 - "UNIX-CONNECT:$1" </run/request | grep -q "^{\"parameters\":{}}"' sh "$machine_socket"
        on rm /run/request
}

test_kill_whom_by_varlink() {
        run_two
        varlink_kill leader leader
        varlink_kill all "leader other"
        works on mctl terminate two
        soon is_gone two
}

# Only the leader receives the signal of 'mctl reboot'.
test_reboot_asks_the_leader() {
        run_two
        hears leader on mctl reboot --no-wait two
        works on mctl terminate two
        soon is_gone two
}

# --- poweroff ------------------------------------------------------------------------------------------------------

# 'mctl poweroff' waits while a command handles the signal, even for a long time.
test_poweroff_waits() {
        on mkdir /run/notes
        works run -d --name slow --stop-timeout="$long" -v /run/notes:/notes bb \
                sh -c 'trap "sleep 1; echo done >/notes/note; exit 0" TERM; : >/notes/up; while :; do sleep 0.05; done'
        soon on test -e /run/notes/up
        works on mctl poweroff slow
        equal "The note" "$(on cat /run/notes/note)" "done"
        soon is_gone slow
        on rm -r /run/notes
}

# At a poweroff, a system stops its services, and their ExecStop= runs.
test_poweroff_is_orderly() {
        local command note=/var/lib/machines/debian/root/note

        for command in "mctl poweroff debian" "mctl stop debian" "machinectl poweroff debian" "systemctl stop machine-debian"; do
                boot debian
                works on mctl exec debian systemd-run -q --unit=keeps -p ExecStop="/bin/sh -c 'sleep 1; echo kept >/root/note'" /bin/sleep 10000
                soon inside debian systemctl is-active keeps
                # shellcheck disable=SC2086 # words
                works on $command
                soon is_gone debian
                equal "The note after $command" "$(on cat "$note")" kept
                on rm "$note"
                empty "What failed" "$(on systemctl --failed --no-legend --plain --no-pager 'machine-*')"
        done
}

run_tests
