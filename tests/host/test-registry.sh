#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The registry is a cache: if it is stopped or killed, no machine is affected, and the next registry is complete.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

registry=mctl-registryd.service

kill_registry() {
        on systemctl kill -s KILL --kill-whom=main "$registry"
}

test_started_by_bus() {
        on systemctl stop "$registry"
        works on mctl list
        equal "The state of the registry" "$(property "$registry" ActiveState)" active
}

test_kill_9() {
        local before i

        boot bb --name one
        boot bb --name two --volatile=overlay
        before=$(on mctl list --json)
        for i in 1 2 3; do
                kill_registry
                equal "The list after kill -9 number $i" "$(on mctl list --json)" "$before"
                on systemctl reset-failed "$registry"
        done
        equal "The leader" "$(property machine-one.service MainPID)" "$(field one leader)"
        kill_registry
        power_off one two
        on systemctl reset-failed "$registry"
}

test_stopped_under_machines() {
        boot bb
        on systemctl stop "$registry"
        equal "The state of the machine" "$(property machine-bb.service ActiveState)" active
        equal "The machine in the list" "$(field bb state)" running
        on systemctl stop "$registry"
        power_off bb
}

# The next registry knows about starts and stops that happened while no registry ran.
test_blind_time() {
        boot bb --name one
        on systemctl stop "$registry"
        on systemctl stop machine-one.service
        equal "The list" "$(on mctl list --json)" "[]"
        printf '[Image]\nImage=bb\n' | put_file /etc/mctl/web.machine
        on systemctl stop "$registry"
        works on systemctl start container@web.service
        on systemctl stop "$registry"
        equal "The machine that systemd started" "$(field web state)" running
        works on systemctl stop container@web.service
        on rm /etc/mctl/web.machine
}

test_client_killed() {
        # 'mctl boot' waits for READY=1. If mctl is killed meanwhile, the machine still starts.
        on_sh ': >/var/lib/machines/bb/etc/init-hang
                mctl boot bb >/dev/null 2>&1 & pid=$!
                soon sh -c "systemctl show -P ActiveState machine-bb.service | grep -x activating"
                kill -9 $pid'
        equal "The state of the unit" "$(property machine-bb.service ActiveState)" activating
        on rm /var/lib/machines/bb/etc/init-hang
        works on mctl terminate bb
        soon is_gone bb
        reset_host

        on_sh 'mctl boot bb >/dev/null 2>&1 & pid=$!
                sleep 0.02
                kill -9 $pid || :'
        soon is_settled
        if is_listed bb; then
                works on mctl wait bb
                power_off bb
        fi
}

# is_settled: no start is running or queued. The registry answers calls in their order, so 'mctl list' waits for
# earlier calls.
is_settled() {
        on mctl list
        [ "$(property machine-bb.service ActiveState)" != activating ]
}

test_signals() {
        local log

        on_sh 'timeout 30 dbus-monitor --system "type=signal,interface=org.mctl.Registry1" >/run/signals 2>&1 &
                echo $! >/run/monitor
                soon grep NameLost /run/signals'
        boot bb --name sig
        power_off sig
        soon on grep member=MachineRemoved /run/signals
        on_sh 'kill $(cat /run/monitor)' || :
        log=$(on cat /run/signals)
        equal "MachineNew" "$(grep -c 'member=MachineNew' <<<"$log")" 1
        equal "MachineRemoved" "$(grep -c 'member=MachineRemoved' <<<"$log")" 1
        contains "The signals" "$log" 'string "sig"'
        contains "The signals" "$log" '/org/mctl/Registry1/machine/sig'
        on rm /run/signals /run/monitor
}

test_objects() {
        local leader

        boot bb --name obj
        leader=$(leader_of obj)
        equal "GetMachine" "$(on busctl call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1 GetMachine s obj)" \
                'o "/org/mctl/Registry1/machine/obj"'
        equal "Leader" "$(on busctl get-property org.mctl.Registry1 /org/mctl/Registry1/machine/obj \
                org.mctl.Registry1.Machine Leader)" "u $leader"
        equal "Name" "$(on busctl get-property org.mctl.Registry1 /org/mctl/Registry1/machine/obj \
                org.mctl.Registry1.Machine Name)" 's "obj"'
        contains "The tree" "$(on busctl tree --list org.mctl.Registry1)" /org/mctl/Registry1/machine/obj
        works on busctl introspect org.mctl.Registry1 /org/mctl/Registry1
        contains "The interface" "$out" MachineNew
        power_off obj
        try on busctl call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1 GetMachine s obj
        equal "The exit status" "$status" 1
}

test_hostile_calls() {
        local spec

        for spec in '' '{' '[]' '{"Name":"../x"}' '{"Image":{"Image":"../../etc"}}' '{"Image":{"Image":"bb"},"Name":"a/b"}' \
                '{"Resources":{"ExecStart":"/bin/sh"},"Image":{"Image":"bb"}}'; do
                try on busctl call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1 StartMachine s "$spec"
                equal "The exit status for '$spec'" "$status" 1
        done
        try on busctl call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1 GetMachine s $'x\e'
        equal "The exit status" "$status" 1
        works on mctl list
        equal "How often the registry was started again" "$(property "$registry" NRestarts)" 0
}

# --- what people may -----------------------------------------------------------------------------------------------

not_permitted() {
        try "$@"
        equal "The exit status of '$*'" "$status" 1
        lines stderr "$err" 1
        matches stderr "$err" '([Pp]ermission denied|[Aa]ccess denied|[Aa]uthentication (is )?required)'
}

test_people_may_look() {
        boot bb
        works on_user alice mctl list --json
        valid_json "$out" 'json[0]["name"] == "bb"'
        works on_user alice mctl show bb
        power_off bb
}

test_people_may_not_change() {
        local leader

        boot bb
        leader=$(leader_of bb)
        not_permitted on_user alice mctl boot bb --name mine
        not_permitted on_user alice mctl poweroff bb
        not_permitted on_user alice mctl terminate bb
        not_permitted on_user alice mctl kill -s KILL bb
        not_permitted on_user alice mctl reboot bb
        equal "The leader" "$(leader_of bb)" "$leader"
        equal "How many machines there are" "$(on_sh 'mctl list --json | jq length')" 1
        power_off bb
}

test_rule() {
        rule 'action.id.indexOf("org.mctl.Registry1.") == 0'
        works on_user alice mctl boot bb
        equal "The state" "$(field bb state)" running
        works on_user alice mctl kill -s CONT bb
        works on_user alice mctl poweroff bb
        soon is_gone bb
        no_rule
        not_permitted on_user alice mctl boot bb
}

# Rules of polkit can use the machine and the verb.
test_rule_for_one_machine() {
        rule 'action.id == "org.mctl.Registry1.manage-machines" && action.lookup("machine") == "hers"'
        boot bb --name hers
        boot bb --name other --volatile=overlay
        not_permitted on_user alice mctl poweroff other
        not_permitted on_user alice mctl boot bb --name more
        works on_user alice mctl poweroff hers
        soon is_gone hers
        power_off other
        no_rule
}

test_without_polkit() {
        on systemctl mask --quiet --runtime --now polkit.service
        boot bb
        refused 1 "polkit" on_user alice mctl poweroff bb
        power_off bb
        on systemctl unmask --runtime polkit.service
        on systemctl start polkit.service
}

# ask_for USER N makes N calls of the user at the same time that need a password. Each call writes its result to a
# file.
ask_for() {
        on_sh 'for i in $(seq "$2"); do
                        setpriv --reuid="$1" --regid="$1" --clear-groups \
                                busctl --timeout=600 call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1 KillMachine ssi bb leader 18 \
                                >"/run/asked/$1.$i" 2>&1 </dev/null &
                done' sh "$1" "$2"
}

# too_many USERS prints the number of calls of these users that were refused by the limit.
too_many() {
        on_sh 'cd /run/asked; cat $1 | grep -c "Too many questions to polkit" || :' sh "$1"
}

is_refused_once() {
        [ "$(too_many "$1")" = 1 ]
}

# as_many_ask N: N calls wait for an answer.
as_many_ask() {
        [ "$(on_sh 'pgrep -cx busctl || :')" = "$1" ]
}

polkit_goes_on() {
        on systemctl kill -s CONT --kill-whom=main polkit.service
}

# While polkit does not answer, at most 8 questions of a user and 64 of all users wait. The limits protect the memory
# of polkit, and the answers of systemd.
test_questions_have_limits() {
        local user
        local -a users=(alice u1 u2 u3 u4 u5 u6 u7)

        on_sh 'mkdir -p /run/asked; for user in u1 u2 u3 u4 u5 u6 u7 u8; do id $user >/dev/null 2>&1 || useradd $user; done'
        boot bb
        on systemctl start polkit.service
        trap polkit_goes_on EXIT
        on systemctl kill -s STOP --kill-whom=main polkit.service
        # Each user has 8 questions that wait, and one call that was refused.
        for user in "${users[@]}"; do
                ask_for "$user" 9
                soon is_refused_once "$user.*"
        done
        equal "How many were refused" "$(too_many '*')" 8
        soon as_many_ask 64
        # The next user has no question yet, but the limit of all users is reached.
        refused 1 "Too many questions to polkit" on setpriv --reuid=u8 --regid=u8 --clear-groups \
                timeout 10 busctl call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1 KillMachine ssi bb leader 18
        # Other calls do not wait for polkit.
        works on timeout 10 mctl kill -s CONT bb
        works on timeout 10 mctl list

        # When polkit answers, all calls end, and new questions are possible.
        polkit_goes_on
        soon as_many_ask 0
        equal "How many were not allowed to" "$(on_sh 'cat /run/asked/* | grep -c "uthentication"')" 64
        not_permitted on_user alice mctl --no-ask-password kill -s CONT bb
        power_off bb
        on rm -r /run/asked
}

# The registry confines itself.
test_confined() {
        local pid

        works on mctl list
        pid=$(property "$registry" MainPID)
        equal Seccomp "$(on sed -n 's/^Seccomp:[[:space:]]*//p' "/proc/$pid/status")" 2
        # shellcheck disable=SC2016 # for the shell on the host
        equal "Directories that the registry can write to" \
                "$(on nsenter -t "$pid" -m sh -c 'for i in / /etc /var/lib /run /tmp /dev/shm /run/mctl /run/systemd/userdb; do
                        ! mkdir "$i/there" 2>/dev/null || { echo "$i"; rmdir "$i/there"; }
                done' | tr '\n' ' ')" "/run/mctl /run/systemd/userdb "
        on mkdir -p /run/later
        on mount -t tmpfs tmpfs /run/later
        equal "A file system that is mounted later" "$(on nsenter -t "$pid" -m stat -f -c %T /run/later)" tmpfs
        on umount /run/later
        on rmdir /run/later
}

# The last test, since it takes the time until the registry is idle.
test_exits_when_idle() {
        local i

        works on mctl list
        for ((i = 0; i < 45 * slow; i++)); do
                [ "$(property "$registry" ActiveState)" != inactive ] || break
                sleep 1
        done
        equal "The state of the registry" "$(property "$registry" ActiveState)" inactive
        equal Result "$(property "$registry" Result)" success
        works on mctl list
        equal "The state of the registry" "$(property "$registry" ActiveState)" active
}

run_tests
