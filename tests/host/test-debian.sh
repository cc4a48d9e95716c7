#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A whole Debian system as a machine.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

want_debian=yes

system_state() {
        inside "$1" /usr/bin/systemctl is-system-running --wait 2>&1 || :
}

test_boot() {
        local leader

        boot debian --name hello
        leader=$(leader_of hello)
        equal "The system inside" "$(system_state hello)" running
        equal "Failed units" "$(inside hello /usr/bin/systemctl --failed --plain --no-legend --no-pager)" ""
        matches "The operating system" "$(field hello os)" '^Debian GNU/Linux'
        equal "What it is for itself" "$(inside hello /bin/cat /run/systemd/container)" mctl
        equal "The host name" "$(inside hello /usr/bin/hostname)" hello
        equal "The parent of the leader" "$(on_sh 'awk "/^PPid/ { print \$2 }" /proc/$1/status' sh "$leader")" 1
        # All processes of the unit are in the PID namespace of the machine.
        equal "The pid namespaces of the unit" "$(on_sh '
                for p in $(find /sys/fs/cgroup/machine.slice/machine-hello.service -name cgroup.procs -exec cat {} +); do
                        readlink /proc/$p/ns/pid
                done | sort -u' || :)" "$(on readlink "/proc/$leader/ns/pid")"
        power_off hello
        equal Result "$(property machine-hello.service Result)" success
}

test_status() {
        boot debian --name hello
        works on mctl status hello
        contains stdout "$out" "payload"
        contains stdout "$out" "init.scope"
        contains stdout "$out" "systemd-journald.service"
        power_off hello
}

test_poweroff_inside() {
        boot debian --name hello
        try inside hello /usr/bin/systemctl poweroff
        soon is_gone hello
        equal Result "$(property machine-hello.service Result)" success
        equal "ExecMainStatus" "$(property machine-hello.service ExecMainStatus)" 0
}

rebooted() {
        [ "$(property machine-hello.service NRestarts)" = 1 ] && [ "$(field hello state)" = running ]
}

test_reboot_inside() {
        local first

        boot debian --name hello
        first=$(leader_of hello)
        try inside hello /usr/bin/systemctl reboot
        soon rebooted
        differ "The leader" "$(leader_of hello)" "$first"
        equal "The system inside" "$(system_state hello)" running
        power_off hello
}

test_exit_inside() {
        boot debian --name hello
        try inside hello /usr/bin/systemctl exit 7
        soon failed_it_is
        equal ExecMainStatus "$(property machine-hello.service ExecMainStatus)" 7
        on systemctl reset-failed machine-hello.service
}

failed_it_is() {
        [ "$(property machine-hello.service ActiveState)" = failed ]
}

# On disk, no file belongs to the range of the machine.
test_owners() {
        boot debian --name hello
        power_off hello
        equal "Files of alien owners" "$(on find /var/lib/machines/debian -xdev -uid +65535)" ""
        equal "The owner of its journal" "$(on_sh 'stat -c %u /var/lib/machines/debian/var/log/journal/*' | sort -u)" 0
}

test_services_with_sandboxes() {
        boot debian --name hello
        works inside hello /usr/bin/systemd-run --quiet --wait -p PrivateTmp=yes -p ProtectSystem=strict \
                -p PrivateDevices=yes -p ProtectKernelTunables=yes -p NoNewPrivileges=yes /bin/true
        works inside hello /usr/bin/systemd-run --quiet --wait -p DynamicUser=yes /bin/true
        works inside hello /usr/bin/systemd-run --quiet --wait -p MemoryMax=100M -p TasksMax=10 /bin/true
        power_off hello
}

# 'mctl logs' shows the log of the unit and the journal of the system inside.
test_logs() {
        local sorted

        boot debian --name hello
        works inside hello /usr/bin/logger "a word from inside"
        inside hello /usr/bin/journalctl --sync || :
        works on mctl logs --no-pager hello
        contains "The log" "$out" "a word from inside"
        contains "The log" "$out" "Started machine-hello.service"
        contains "The log" "$out" "Multi-User System"

        works on mctl logs --no-pager --json hello
        sorted=$(on_sh 'mctl logs --json hello | jq -s "map(.time) | . == sort and length > 20"')
        equal "Whether the times are in order" "$sorted" true
        power_off hello
        # The log can still be shown after the machine has ended.
        works on mctl logs --no-pager hello
        contains "The log" "$out" "a word from inside"
        contains "The log" "$out" "Stopped machine-hello.service"
}

# systemd 247 fails services with ProtectProc= if the kernel refuses a new proc.
test_older_systemd() {
        local tree

        tree=$("$host_command" tree debian bullseye 2>/dev/null) || skip "Debian 11 cannot be had from the mirror"
        "$host_command" put "$host" "$tree" /var/lib/machines/older
        boot older
        equal "The state of the system" "$(inside older systemctl is-system-running --wait)" running
        contains "The log" "$(on mctl logs --no-pager older)" "without ProtectProc="
        power_off older
        on rm -r /var/lib/machines/older
}

# The journal on disk has entries of each machine that has run from the image.
test_logs_of_one_machine() {
        boot debian --name hello
        works inside hello /usr/bin/logger "a word of hello"
        works inside hello journalctl --sync
        power_off hello
        boot debian --name other
        works inside other /usr/bin/logger "a word of other"
        works mctl_logs_of other
        for arguments in "logs --no-pager other" "logs --no-pager -n 10000 other" "logs --no-pager --since=1h other" \
                "status -n 10000 other"; do
                # shellcheck disable=SC2086 # words
                works on mctl $arguments
                contains "What '$arguments' prints" "$out" "a word of other"
                lacks "What '$arguments' prints" "$out" "a word of hello"
        done
        power_off other
        works on mctl logs --no-pager -n 10000 hello
        contains "The log of the first machine" "$out" "a word of hello"
        lacks "The log of the first machine" "$out" "a word of other"
}

mctl_logs_of() {
        soon on_sh 'mctl logs --no-pager "$1" | grep -q "a word of $1"' sh "$1"
}

test_log_lines() {
        boot debian --name hello
        works inside hello /usr/bin/logger "the last word"
        inside hello /usr/bin/journalctl --sync || :
        works on mctl logs --no-pager -n 5 hello
        lines "the log" "$out" 5
        contains "The last lines" "$out" "the last word"
        works on mctl logs --no-pager -n 0 hello
        empty stdout "$out"
        works on mctl logs --no-pager --since=1h hello
        contains "The log of an hour" "$out" "the last word"
        power_off hello
}

# At a stop, systemd inside stops its services in order, and their ExecStop= runs.
test_stop_is_graceful() {
        boot debian --name hello
        inside hello /usr/bin/systemd-run --quiet --unit=last -p Type=oneshot -p RemainAfterExit=yes \
                -p "ExecStop=/bin/sh -c 'echo stopped >/root/stopped'" /bin/true
        power_off hello
        equal "What a service wrote as it was stopped" "$(on cat /var/lib/machines/debian/root/stopped)" stopped
        on rm /var/lib/machines/debian/root/stopped
}

run_tests
