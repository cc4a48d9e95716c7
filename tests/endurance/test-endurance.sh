#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Many starts and many machines, while the registry is killed each second: whatever they took is there again afterwards.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "$0")")/../host/lib.sh"
host_options=("--machines=ext4")
store=/var/lib/machines

prepare_host() {
        printf '[Image]\nImage=bb\n[Files]\nReadOnly=yes\n' | put_file /etc/mctl/e.machine
        # shellcheck disable=SC2016
        printf '%s\n' '#!/bin/sh' 'while sleep 1; do systemctl kill -s KILL mctl-registryd.service 2>/dev/null; done' |
                put_file /root/kill-registry 755
        # What only the first start makes is there.
        works run bb true
        works on mctl boot bb
        power_off bb
        # What the generator makes of files is there from the beginning.
        works on systemctl daemon-reload
        works on systemctl start container@e.service
        works on systemctl stop container@e.service
}

# Each line is something that could be left, and how much of it there is. What systemd keeps of units in /run/systemd/units is its own: it
# forgets some of that when it reloads.
counts() {
        # shellcheck disable=SC2016
        on_sh '
                mctl list >/dev/null
                echo "descriptors of PID 1: $(ls /proc/1/fd | wc -l)"
                echo "stored descriptors: $(systemctl show --value -p NFileDescriptorStore mctl-registryd.service)"
                echo "mounts: $(wc -l </proc/1/mountinfo)"
                echo "cgroups: $(find /sys/fs/cgroup -type d | wc -l)"
                echo "namespaces: $(find /proc/[0-9]*/ns -type l -printf "%l\n" 2>/dev/null | sort -u | wc -l)"
                echo "loop devices: $(losetup -l -n -O BACK-FILE | grep -c "$1" || :)"
                echo "ranges of users: $(ls /run/mctl/users 2>/dev/null | wc -l)"
                echo "claims on images: $(ls /run/mctl/images 2>/dev/null | wc -l)"
                find /run -xdev -not -path "/run/log/*" -not -path "/run/systemd/journal/*" -not -path "/run/systemd/units/*" | sort >/root/files
                echo "files in /run: $(wc -l </root/files)"
                echo "files of the store: $(find "$1" -maxdepth 2 | wc -l)"
                echo "units: $(systemctl list-units --all --plain --no-legend "machine-*" "container@*" "mctl-work-*" | wc -l)"
                echo "interfaces: $(ls /sys/class/net | wc -l)"
                echo "programs of ours: $(ps -e -o comm | grep -c "^mctl-[lew]" || :)"' sh $store
}

is_as_before() {
        [ "$(counts)" = "$before" ]
}

settled() {
        on systemctl stop kill-registry.service
        on_sh 'systemctl reset-failed mctl-registryd.service 2>/dev/null || :'
        for _ in 1 2 3; do
                ! is_as_before || return 0
                sleep 2
        done
        on diff /root/files.before /root/files || :
        diff <(echo "$before") <(counts) || fail "This is not as it was."
}

begin() {
        on_sh 'systemctl stop kill-registry.service 2>/dev/null || :; sleep 2'
        before=$(counts)
        on cp /root/files /root/files.before
        echo "$before"
        on systemd-run --quiet --collect --unit=kill-registry.service /root/kill-registry
}

# By systemd alone, which needs nobody.
test_thousand_starts() {
        begin
        # shellcheck disable=SC2016
        for _ in $(seq 20); do
                works on_sh 'for i in $(seq 50); do systemctl start container@e.service && systemctl stop container@e.service || { echo "start $i" >&2; exit 1; }; done'
        done
        settled
}

# Who asks a registry that is killed then and there is told so; what had been started is not lost.
test_commands() {
        local done=0

        begin
        # shellcheck disable=SC2016
        for _ in $(seq 6); do
                done=$((done + $(on_sh 'for i in $(seq 50); do out=$(mctl run --rm bb echo "$i" 2>/dev/null) || continue; [ "$out" = "$i" ] || exit 1; echo; done | wc -l')))
        done
        echo "$done of 300 commands were not held up by a killed registry."
        [ "$done" -gt 200 ] || fail "Those are too few."
        settled
}

test_fifty_at_once() {
        begin
        # shellcheck disable=SC2016
        on_sh 'for i in $(seq 50); do printf "[Image]\nImage=bb\n[Files]\nReadOnly=yes\n" >/etc/mctl/p$i.machine; done
                systemctl daemon-reload; systemctl start $(seq -f "container@p%g.service" 50)'
        equal "How many run" "$(on_sh 'systemctl list-units --plain --no-legend --state=active "container@p*" | wc -l')" 50
        # shellcheck disable=SC2016
        on_sh 'systemctl stop $(seq -f "container@p%g.service" 50); rm /etc/mctl/p*.machine; systemctl daemon-reload'
        settled
}

test_two_hundred_machines() {
        begin
        # shellcheck disable=SC2016
        on_sh 'for i in $(seq 200); do printf "[Image]\nImage=bb\n[Files]\nReadOnly=yes\n" >/etc/mctl/m$i.machine; done
                systemctl daemon-reload; systemctl start $(seq -f "container@m%g.service" 200)'
        soon all_listed
        equal "How many have a range of their own" "$(on_sh 'ls /run/mctl/users | wc -l')" 200
        # shellcheck disable=SC2016
        works on_sh 'for i in $(seq 1 20 200); do n=0; until [ "$(mctl exec m$i echo here 2>/dev/null)" = here ]; do n=$((n + 1)); [ $n -lt 20 ]; sleep 0.2; done; done'
        # shellcheck disable=SC2016
        on_sh 'systemctl stop $(seq -f "container@m%g.service" 200); rm /etc/mctl/m*.machine; systemctl daemon-reload'
        settled
}

all_listed() {
        [ "$(on mctl list --json | jq 'map(select(.state == "running")) | length')" = 200 ]
}

run_tests
