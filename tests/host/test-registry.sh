#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The registry is a cache: whatever happens to it, no machine notices, and it is whole when it is next called.

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

# What starts and stops while it is not there is seen nevertheless.
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
        # mctl boot waits for READY; without it, the machine comes up all the same.
        on_sh ': >/var/lib/machines/bb/etc/init-hang
                mctl boot bb >/dev/null 2>&1 & pid=$!
                for i in $(seq 50); do
                        [ "$(systemctl show --value -p ActiveState machine-bb.service)" != activating ] || break
                        sleep 0.1
                done
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

# Neither on its way, nor still to come.
is_settled() {
        sleep 0.3
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

# Rules can look at what is to be done, and to whom.
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

# The last one: it waits.
test_exits_when_idle() {
        local i

        works on mctl list
        for ((i = 0; i < 45; i++)); do
                [ "$(property "$registry" ActiveState)" != inactive ] || break
                sleep 1
        done
        equal "The state of the registry" "$(property "$registry" ActiveState)" inactive
        equal Result "$(property "$registry" Result)" success
        works on mctl list
        equal "The state of the registry" "$(property "$registry" ActiveState)" active
}

run_tests
