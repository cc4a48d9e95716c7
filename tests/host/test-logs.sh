#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The log of a machine, from the journal of the host. test-debian.sh tests the journal inside.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"


test_this_run() {
        boot bb
        power_off bb
        boot bb
        works on mctl logs --no-pager bb
        equal "How often it came up in this run" "$(grep -c 'busybox init up$' <<<"$out")" 1
        contains "The log" "$out" "Started machine-bb.service"
        lacks "The log" "$out" "Stopped machine-bb.service"
        power_off bb
}

test_lines() {
        boot bb
        works on mctl logs --no-pager -n 1 bb
        lines "the log" "$out" 1
        works on mctl logs --no-pager -n 1000 bb
        contains "The log" "$out" "busybox init up"
        power_off bb
}

test_json_lines() {
        boot bb
        works on mctl logs --json bb
        valid_json "[$(paste -sd, <<<"$out")]" 'len(json) >= 3 and all(isinstance(e["message"], str) for e in json)'
        valid_json "[$(paste -sd, <<<"$out")]" '[e["time"] for e in json] == sorted(e["time"] for e in json)'
        power_off bb
}

test_follow() {
        boot bb
        # 'mctl logs -f' continues until it is killed.
        works on_sh 'mctl logs -f -n 2 bb >/run/followed 2>&1 & follower=$!
                soon grep "Started machine-bb.service" /run/followed
                mctl -q poweroff bb
                soon grep "Stopped machine-bb.service" /run/followed
                kill $follower
                s=0; wait $follower 2>/dev/null || s=$?; echo "$s"
                rm /run/followed'
        equal stdout "$out" 143
}

test_since() {
        local seconds=$((5 * slow))

        boot bb
        sleep $((seconds + 1))
        power_off bb
        works on mctl logs --no-pager --since=${seconds}s bb
        lacks "The log of the last seconds" "$out" "busybox init up"
        contains "The log of the last seconds" "$out" "Stopped machine-bb.service"
        works on mctl logs --no-pager --since=1min bb
        contains "The log of a minute" "$out" "busybox init up"
        works on mctl logs --no-pager --since=@1 bb
        contains "The log since 1970" "$out" "busybox init up"
        works on mctl logs --no-pager --since=today bb
        contains "The log of the day" "$out" "busybox init up"
}

# mctl escapes control characters in the output of a machine.
test_hostile_output() {
        printf 'evil \033]0;title\007\033[2J\n' | put_file /var/lib/machines/bb/etc/init-fail
        try on mctl boot bb
        equal "The exit status" "$status" 1
        contains stderr "$err" "evil"
        lacks stderr "$err" $'\x1b'
        try on mctl logs --no-pager bb
        contains stdout "$out" "evil"
        lacks stdout "$out" $'\x1b'
        on rm /var/lib/machines/bb/etc/init-fail
        on systemctl reset-failed machine-bb.service
}

# A start that fails shows what it has logged, and no line of an earlier start.
test_failed_twice() {
        local word

        for word in first second; do
                echo "the $word failure" | put_file /var/lib/machines/bb/etc/init-fail
                try on mctl boot bb
                equal "The exit status" "$status" 1
                contains stderr "$err" "the $word failure"
                on systemctl reset-failed machine-bb.service
        done
        lacks stderr "$err" "the first failure"
        on rm /var/lib/machines/bb/etc/init-fail
}

test_of_nobody() {
        try on_user alice mctl logs --no-pager nobody
        equal "The exit status" "$status" 1
}

# The entries for the start and the end of a machine can be found by message ID and by name.
test_message_ids() {
        local leader entry

        boot bb --name msg
        leader=$(leader_of msg)
        power_off msg
        soon logged 58432bd3bace477cb514b56381b8a758
        entry=$(on journalctl -o json --no-pager MESSAGE_ID=24d8d4452573402496068381a6312df2 NAME=msg)
        lines "the starts" "$entry" 1
        valid_json "$entry" "json['NAME'] == 'msg' and json['LEADER'] == '$leader' and json['_UID'] == '0'"
        entry=$(on journalctl -o json --no-pager MESSAGE_ID=58432bd3bace477cb514b56381b8a758 NAME=msg)
        lines "the ends" "$entry" 1
        valid_json "$entry" "json['NAME'] == 'msg' and json['LEADER'] == '$leader'"
        # The output of a machine can be found by the name of the machine.
        contains "What is found by the machine's name" "$(on journalctl --no-pager MACHINE=msg)" "busybox init up"
}

logged() {
        on_sh 'journalctl --no-pager -q MESSAGE_ID=$1 NAME=msg | grep -q .' sh "$1"
}

run_tests
