#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# If any process is killed at any time, no remains prevent the next start.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

host_mounts() {
        on cut -d ' ' -f 4- /proc/1/mountinfo | sort
}

# check_clean: a start has left nothing. The failed unit in the memory of systemd does not count.
check_clean() {
        local text

        text=$(on_sh '
                find /sys/fs/cgroup/machine.slice -mindepth 1 -type d 2>/dev/null || :
                find /run/mctl/machines /run/mctl/containers /run/mctl/users -mindepth 1 2>/dev/null || :
                pgrep -a mctl-launch || :
                pgrep -ax init || :')
        empty "What is left after step $1" "$text"
        equal "The mount table of the host after step $1" "$(host_mounts)" "$2"
}

# walk KILLED AGAIN runs the function KILLED once for each step at which the launcher can be killed. KILLED gets the
# number of the step, and returns the status of the start. After each failed start, nothing must be left, and AGAIN
# must start the machine.
walk() {
        local step mounts

        on mctl list >/dev/null
        mounts=$(host_mounts)
        for ((step = 1; ; step++)); do
                [ "$step" -lt 50 ] || fail "The launcher has no end."
                status=0
                "$1" "$step" || status=$?
                if [ "$status" = 0 ]; then
                        break
                fi
                check_clean "$step" "$mounts"
                "$2" "$step"
        done
        echo "The launcher has $((step - 1)) steps."
        [ "$step" -gt 5 ] || fail "Only $((step - 1)) steps: is MCTL_LAUNCH_KILL_AT heeded?"
}

boot_killed() {
        try on mctl -q boot bb -p Environment=MCTL_LAUNCH_KILL_AT="$1"
        return "$status"
}

boot_again() {
        # If the launcher is killed late, its first process ends by itself.
        matches Result "$(property machine-bb.service Result)" '^(signal|exit-code)$'
        works on mctl boot bb
        equal "The state after the start that follows" "$(field bb state)" running
        power_off bb
}

has_said() {
        on mctl console --no-stream m | grep -q "$1"
}

# Whether the init inside has sent a notification that no registry has read.
has_notified() {
        on_sh 'inode=$(jq .Notify /run/mctl/containers/m/leader); ss -xanH | awk -v inode="$inode" "\$6 == inode && \$3 > 0 { found = 1 } END { exit !found }"'
}

is_up() {
        [ "$(property container@m.service ActiveState)" = active ]
}

# Notifications of an init wait while the registry is stopped, or while there is no registry.
test_no_registry_to_notify() {
        local registry=mctl-registryd.service

        printf '[Image]\nImage=bb\n' | put_file /etc/mctl/m.machine
        works on mctl list
        on systemctl kill -s STOP --kill-whom=main $registry
        works on systemctl start --no-block container@m.service
        soon has_notified
        equal "The state" "$(property container@m.service ActiveState)" activating
        on systemctl kill -s CONT --kill-whom=main $registry
        soon is_up
        power_off m

        on systemctl mask -q --runtime --now $registry
        works on systemctl start --no-block container@m.service
        soon has_notified
        on_sh 'systemctl unmask -q --runtime "$1"; systemctl start "$1"' sh $registry
        soon is_up
        # So has its console waited.
        soon has_said "busybox init up"
        on systemctl stop $registry
        on systemctl start $registry
        on_sh 'echo said later >"$(ls -d /proc/$1/root/dev/console)"' sh "$(leader_of m)"
        soon has_said "said later"
        # The next registry also has the socket of a machine that started earlier.
        on systemctl restart $registry
        works on mctl reboot m
        soon on_sh '[ "$(systemctl show -P NRestarts container@m.service)" = 1 ]'
        soon is_up
        power_off m
        on rm /etc/mctl/m.machine
}

# If the registry is killed during a call that changes nothing, mctl repeats the call.
test_questions_outlive_the_registry() {
        works on_sh '
                (for i in $(seq 30); do sleep 0.2; systemctl kill -s KILL mctl-registryd || :; done) & killer=$!
                while kill -0 $killer 2>/dev/null; do mctl list >/dev/null; mctl images >/dev/null; done'
}

test_launcher_killed_at_each_step() {
        walk boot_killed boot_again
        power_off bb
}

start_killed() {
        printf '%s\n' '[Service]' "Environment=MCTL_LAUNCH_KILL_AT=$1" |
                put_file /etc/systemd/system/container@web.service.d/kill.conf
        on systemctl daemon-reload
        try on systemctl start container@web.service
        return "$status"
}

start_again() {
        matches Result "$(property container@web.service Result)" '^(signal|exit-code)$'
        on rm /etc/systemd/system/container@web.service.d/kill.conf
        on systemctl daemon-reload
        works on systemctl start container@web.service
        works on systemctl stop container@web.service
        soon is_gone web
}

test_launcher_of_template_killed_at_each_step() {
        printf '[Image]\nImage=bb\n' | put_file /etc/mctl/web.machine
        on mkdir -p /etc/systemd/system/container@web.service.d
        walk start_killed start_again
        power_off web
        reset_host
}

# systemd restarts a machine without a pause between its end and the next start.
test_restarted_by_systemd() {
        local restarts

        boot bb -p Restart=always -p RestartSec=0
        for restarts in 1 2 3; do
                on kill -9 "$(leader_of bb)"
                soon restarted
        done
        power_off bb
}

restarted() {
        [ "$(property machine-bb.service NRestarts)" = "$restarts" ] && [ "$(field bb state)" = running ]
}

# If many starts use one name at once, one of them succeeds, and the machine has the settings of this start.
test_many_at_once_of_one_name() {
        local results winner

        results=$(on_sh '
                for i in 1 2 3 4 5 6; do
                        { mctl -q boot bb --hostname="h$i" >/dev/null 2>"/tmp/err$i"; echo "$i $?"; } &
                done
                wait')
        equal "How many worked" "$(grep -c ' 0$' <<<"$results")" 1
        winner=$(sed -n 's/ 0$//p' <<<"$results")
        equal "How many lines the others say" "$(on_sh 'cat /tmp/err? | wc -l')" 5
        equal "How many of these are about it" \
                "$(on_sh 'grep -cE "Machine .bb. is (there|starting|running) already" /tmp/err? | grep -c ":1$"')" 5
        equal "The host name" "$(inside bb hostname)" "h$winner"
        on_sh 'rm /tmp/err?'
        power_off bb
}

# A machine that is started right after the end of another one of the same name has a runtime directory of its own.
test_started_right_after_the_end() {
        works on_sh '
                for i in 1 2 3 4 5 6 7 8; do
                        mctl -q boot bb
                        mctl -q terminate bb
                        if mctl -q boot bb -p Environment=MCTL_LAUNCH_KILL_AT=3 2>/dev/null; then
                                exit 1
                        fi
                done'
        works on mctl boot bb
        power_off bb
}

# All processes of a unit are killed at once.
test_all_killed() {
        boot bb
        on systemctl kill -s KILL machine-bb.service
        soon is_free
        on systemctl reset-failed machine-bb.service
        works on mctl boot bb
        power_off bb
}

is_free() {
        [ "$(property machine-bb.service ActiveState)" = failed ]
}

# The next start removes stale files in /run/mctl.
test_stale_files() {
        on_sh 'mkdir -p /run/mctl/machines/bb /run/mctl/users
                echo "{\"Leader\":999999,\"StartTime\":1,\"Since\":1,\"UIDBase\":524288,\"HandedOver\":true,\"UUID\":\"\"}" \
                        >/run/mctl/machines/bb/leader
                echo nonsense >/run/mctl/machines/bb/spec.json'
        works on mctl list --all
        works on mctl boot bb
        power_off bb
        on_sh 'mkdir -p /run/mctl/machines/bb && echo nonsense >/run/mctl/machines/bb/leader'
        works on mctl boot bb
        power_off bb
        # A stale directory of the same name for the other kind of unit.
        on_sh 'mkdir -p /run/mctl/containers/bb && echo nonsense >/run/mctl/containers/bb/leader'
        works on mctl boot bb
        power_off bb
        on rm -rf /run/mctl/containers/bb
}

test_registry_killed_while_starting() {
        on_sh 'for i in 1 2 3 4 5 6; do
                        mctl boot -q bb --name "k$i" --volatile=overlay >/dev/null 2>&1 &
                        sleep 0.0$i
                        pkill -KILL -x mctl-registryd || :
                        wait || :
                        systemctl reset-failed mctl-registryd.service 2>/dev/null || :
                done'
        on_sh 'names=$(mctl list --json | jq -r ".[].name")
                [ -z "$names" ] || mctl -q poweroff $names'
        # After the crash, machines start and stop as before.
        on_sh 'for i in 1 2 3 4 5 6; do mctl -q boot bb --name "k$i" --volatile=overlay; done'
        power_off k1 k2 k3 k4 k5 k6
}

run_tests
