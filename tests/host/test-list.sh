#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The output of mctl about machines: tables, JSON, properties.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

test_nothing() {
        works on mctl list
        works on mctl list --no-legend
        empty stdout "$out"
        works on mctl list --json
        equal "The JSON" "$out" "[]"
        works on mctl list --json=pretty
        valid_json "$out" 'json == []'
        works on mctl
}

test_json() {
        boot bb --name one
        boot bb --name two --volatile=overlay
        works on mctl list --json
        lines "the JSON" "$out" 1
        valid_json "$out" 'isinstance(json, list) and len(json) == 2'
        valid_json "$out" '[m["name"] for m in json] == ["one", "two"]'
        valid_json "$out" 'all({"name", "class", "unit", "state", "leader", "image", "os", "since"} <= set(m) for m in json)'
        valid_json "$out" 'json[0]["class"] == "container"'
        valid_json "$out" 'json[0]["unit"] == "machine-one.service"'
        valid_json "$out" 'json[0]["state"] == "running"'
        valid_json "$out" "json[0]['leader'] == $(leader_of one)"
        valid_json "$out" 'json[0]["image"] == "bb"'
        valid_json "$out" 'json[0]["os"] == "BusyBox test image"'
        valid_json "$out" "abs(json[0]['since'] / 1e6 - $(date +%s)) < 60"
        works on mctl list --json=pretty
        valid_json "$out" 'len(json) == 2'
        [ "$(wc -l <<<"$out")" -gt 10 ] || fail "That is not pretty."
        power_off one two
}

test_table() {
        boot bb
        works on mctl list
        contains "The heading" "$(head -n 1 <<<"$out")" MACHINE
        matches "The row" "$(sed -n 2p <<<"$out")" "^bb +container +running +$(leader_of bb) +bb +BusyBox test image "
        works on mctl list --no-legend
        lines "the table" "$out" 1
        works on mctl list --no-pager -q
        power_off bb
}

# Text from an image that mctl prints on a terminal contains no control characters.
test_hostile_os_release() {
        on_sh 'cp -a /var/lib/machines/bb /var/lib/machines/evil
                printf "ID=evil\nPRETTY_NAME=\"\033[31mred\033]0;x\007\"\nNAME=Fine\n" >/var/lib/machines/evil/etc/os-release'
        boot evil
        works on mctl list
        lacks "The table" "$out" $'\x1b'
        contains "The table" "$out" Fine
        works on mctl status evil
        lacks "The status" "$out" $'\x1b'
        power_off evil
        on rm -r /var/lib/machines/evil
}

test_show() {
        boot bb
        works on mctl show bb
        contains stdout $'\n'"$out" $'\nName=bb'
        contains stdout $'\n'"$out" $'\nUnit=machine-bb.service'
        contains stdout $'\n'"$out" $'\nLeader='"$(leader_of bb)"
        works on mctl show --json bb
        valid_json "$out" 'json[0]["name"] == "bb" if isinstance(json, list) else json["name"] == "bb"'
        power_off bb
}

test_status() {
        boot bb
        works on mctl status bb
        contains stdout "$out" "running"
        contains stdout "$out" "machine-bb.service"
        contains stdout "$out" "$(leader_of bb)"
        contains stdout "$out" "payload"
        contains stdout "$out" "/sbin/init"
        contains stdout "$out" "busybox init up"
        works on mctl status -n 0 bb
        lacks stdout "$out" "]: busybox init up"
        works on mctl status --json bb
        valid_json "$out" 'True'
        power_off bb
}

test_wait() {
        boot bb
        works on mctl wait bb
        works on mctl wait --for=ready bb
        try on mctl wait --for=lunch bb
        equal "The exit status" "$status" 2
        # 'mctl wait' ends when the machine has ended, and not before.
        on_sh 'mctl wait --for=stopped bb & waiter=$!
                sleep 0.5
                kill -0 $waiter
                mctl -q poweroff bb
                wait $waiter'
        works on mctl wait --for=stopped bb
        # If a machine is terminated, 'mctl wait' succeeds.
        boot bb
        works on_sh 'mctl wait --for=stopped bb & waiter=$!
                sleep 0.3
                mctl -q terminate bb
                wait $waiter'
}

test_wait_for_ready() {
        on_sh ': >/var/lib/machines/bb/etc/init-hang
                mctl boot --no-wait -q bb'
        try on timeout 1 mctl wait bb
        equal "The exit status while it is not ready" "$status" 124
        on_sh 'rm /var/lib/machines/bb/etc/init-hang
                mctl wait bb & waiter=$!
                sleep 0.3
                systemctl kill -s TERM machine-bb.service
                ! wait $waiter' || fail "wait says that a machine came up that did not."
        reset_host
}

test_wait_for_several() {
        boot bb --name one
        boot bb --name two --volatile=overlay
        works on mctl wait one two
        power_off one two
        works on mctl wait --for=stopped one two
}

test_kill() {
        local leader

        boot bb
        leader=$(leader_of bb)
        works on mctl kill -s SIGUSR1 --kill-whom=leader bb
        works on mctl kill -s WINCH bb
        equal "The leader" "$(leader_of bb)" "$leader"
        works on mctl kill --kill-whom=leader -s TERM bb
        soon is_gone bb
        boot bb
        works on mctl kill -s KILL bb
        soon has_property machine-bb.service Result signal
        equal "Result" "$(property machine-bb.service Result)" signal
        on systemctl reset-failed machine-bb.service
}

test_several_at_once() {
        boot bb --name one
        boot bb --name two --volatile=overlay
        # If one machine does not exist, the other machines are stopped nevertheless.
        try on mctl poweroff one nobody two
        equal "The exit status" "$status" 1
        lines stderr "$err" 1
        soon is_gone one
        soon is_gone two
}

test_help() {
        local verb

        works on mctl --help
        contains stdout "$out" "boot"
        for verb in boot start enable disable list status show logs wait poweroff reboot terminate kill; do
                works on mctl "$verb" --help
                contains stdout "$out" "mctl"
                contains stdout "$out" "$verb"
        done
        works on mctl --version
        matches stdout "$out" '^mctl [0-9]'
}

test_pause() {
        local before

        boot bb
        on mctl exec bb sh -c 'i=0; while :; do i=$((i + 1)); echo $i >/count; sleep 0.01; done </dev/null >/dev/null 2>&1 &'
        works on mctl pause bb
        soon on_sh 'mctl list | grep -q " paused "'
        before=$(on cat /var/lib/machines/bb/count)
        sleep 0.3
        equal "How far it came" "$(on cat /var/lib/machines/bb/count)" "$before"
        refused 125 "is paused" on timeout 10 mctl exec bb true
        # After a restart of the registry, the machine is still listed as paused.
        on systemctl restart mctl-registryd
        equal "The state" "$(field bb state)" paused
        works on mctl resume bb
        soon on_sh 'mctl list | grep -q " running "'
        soon on_sh '[ "$(cat /var/lib/machines/bb/count)" -gt "$1" ]' sh "$before"
        works on mctl pause bb
        works on timeout 30 mctl poweroff bb
        soon is_gone bb
        refused 1 "No machine 'bb'" on mctl pause bb
        boot bb
        works on mctl pause bb
        works on mctl terminate bb
        soon is_gone bb
        on rm -f /var/lib/machines/bb/count
}

test_stats() {
        boot bb --name one
        boot bb --name two --volatile=overlay
        works on mctl stats --no-stream
        matches stdout "$out" 'MACHINE +STATE +CPU +MEMORY +LIMIT +TASKS'
        matches stdout "$out" 'one +running +[0-9.]+%'
        contains stdout "$out" "2 machines"
        try on mctl stats --json two
        valid_json "$out" 'len(json) == 1 and json[0]["name"] == "two" and json[0]["cpuPercent"] >= 0'
        refused 1 "nobody" on mctl stats --no-stream nobody
        # 'mctl top' lists the busiest process first, with its user ID inside.
        on mctl exec -d -u 1000 one sh -c 'while :; do :; done # busy )'
        soon on_sh 'mctl top --json one | jq -e "any(.[]; .user == 1000)"'
        works on mctl top --no-stream
        matches stdout "$out" 'MACHINE +PID +USER +CPU +MEMORY +TIME +COMMAND'
        matches "The first" "$(sed -n 4p <<<"$out")" '^one +[0-9]+ 1000 +[0-9.]+% .*:0[0-9] sh -c '
        works on mctl top --json two
        valid_json "$out" 'len(json) > 0 and all(p["machine"] == "two" and p["memory"] > 0 and p["user"] == 0 for p in json)'
        equal "The lines that are too long" "$(at_terminal 'stty cols 60 rows 20; mctl top --no-stream' | awk '{ if (length($0) > 60) print }' | wc -l)" 0
        refused 1 "nobody" on mctl top --no-stream nobody
        power_off one
        power_off two
}

run_tests
