#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests that need a kernel of their own: all controllers of cgroup v2, the devices filter, a shutdown of the host,
# and the oldest kernel that mctl supports. The host is a host of tests/hosts/vm.

# shellcheck disable=SC2016 # dollars that are for a shell elsewhere
export MCTL_HOSTS=vm
# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../host/lib.sh"
want_debian=yes

cgroup_of() {
        echo "/sys/fs/cgroup$(property "$1" ControlGroup)"
}

# Runs shell code in a machine as 'inside' does, but in the cgroup of the payload, so that its resources are
# counted.
within() {
        local unit=$1 text=$2

        # shellcheck disable=SC2016
        on_sh 'echo $$ >"$1/payload/cgroup.procs"
               exec nsenter --target "$2" --all --wdns=/ --setuid 0 --setgid 0 -- /bin/sh -c "$3"' \
                sh "$(cgroup_of "$unit")" "$(property "$unit" MainPID)" "$text"
}

restarts() {
        [ "$(property "$1" NRestarts)" = "$2" ] && [ "$(property "$1" ActiveState)" = active ]
}

is_active() {
        [ "$(property "$1" ActiveState)" = active ]
}

# event FILE KEY of a cgroup's *.events file.
event() {
        on awk -v key="$2" '$1 == key { print $2 }' "$1"
}

controllers_are_handed_on() {
        local group
        group=$(cgroup_of "$1")

        contains "The controllers of the unit" "$(on cat "$group/cgroup.controllers")" memory
        soon on cmp -s "$group/cgroup.controllers" "$group/cgroup.subtree_control"
        equal "The controllers of the payload" "$(on cat "$group/payload/cgroup.controllers")" \
                "$(on cat "$group/cgroup.controllers")"
        empty "The processes beside the payload" "$(on cat "$group/cgroup.procs")"
}

write_machine() {
        put_file "/etc/mctl/$1.machine"
        on systemctl daemon-reload
}

remove_machine() {
        on_sh 'rm -rf "/etc/mctl/$1.machine" "/etc/systemd/system/container@$1.service.d" && systemctl daemon-reload' \
                sh "$1"
}

# --- limits --------------------------------------------------------------------------------------------------------

test_limits_are_set() {
        local group

        boot bb -p MemoryMax=64M -p TasksMax=50 -p CPUQuota=20%
        group=$(cgroup_of machine-bb.service)
        equal memory.max "$(on cat "$group/memory.max")" 67108864
        equal pids.max "$(on cat "$group/pids.max")" 50
        equal cpu.max "$(on cat "$group/cpu.max")" "20000 100000"
        controllers_are_handed_on machine-bb.service
        works on mctl set-property bb MemoryMax=96M
        equal "memory.max later" "$(on cat "$group/memory.max")" 100663296
        power_off bb
}

# The hog dies, and the machine does not.
test_memory_is_limited() {
        local group

        boot bb -p MemoryMax=64M
        group=$(cgroup_of machine-bb.service)
        try within machine-bb.service 'echo 1000 >/proc/self/oom_score_adj; exec dd if=/dev/zero of=/dev/null bs=200M count=1'
        equal "The status of the hog" "$status" 137
        equal "How many were killed" "$(event "$group/memory.events" oom_kill)" 1
        sleep 1
        equal "The state of the unit" "$(property machine-bb.service ActiveState)" active
        power_off bb
}

test_tasks_are_limited() {
        local group

        boot bb -p TasksMax=50
        group=$(cgroup_of machine-bb.service)
        try within machine-bb.service 'i=0; while [ $i -lt 80 ]; do sleep 5 & i=$((i + 1)); done; wait'
        differ "The status of the bomb" "$status" 0
        # The kernel counts the event in the cgroup of the processes, or in the cgroup of the limit.
        differ "How often it was refused" \
                "$(event "$group/pids.events" max) $(event "$group/payload/pids.events" max)" "0 0"
        equal "The state of the unit" "$(property machine-bb.service ActiveState)" active
        soon on_sh '[ "$(cat "$1")" -lt 50 ]' sh "$group/pids.current"
        power_off bb
}

test_processor_is_limited() {
        local group before used

        boot bb -p CPUQuota=20%
        group=$(cgroup_of machine-bb.service)
        before=$(event "$group/cpu.stat" usage_usec)
        try within machine-bb.service 'timeout 5 sh -c "while :; do :; done"'
        used=$(($(event "$group/cpu.stat" usage_usec) - before))
        echo "In 5 s: $used us"
        [ "$used" -lt 2500000 ] || fail "It used $used us of 5 s"
        differ "How often it was held back" "$(event "$group/cpu.stat" nr_throttled)" 0
        power_off bb
}

# Writes 8 MiB past the page cache, and says how many milliseconds that took.
timed_write() {
        within machine-bb.service 'dd if=/dev/zero of=/root/out bs=64k count=128 oflag=direct conv=fsync 2>/dev/null; cat /proc/uptime' >/dev/null
}

test_disk_is_limited() {
        local device began limited free

        boot bb
        device=$(on findmnt -n -o SOURCE -T /var/lib/machines)
        began=${EPOCHREALTIME/./}
        timed_write
        free=$((${EPOCHREALTIME/./} - began))
        works on mctl set-property bb "IOWriteBandwidthMax=$device 1M"
        began=${EPOCHREALTIME/./}
        timed_write
        limited=$((${EPOCHREALTIME/./} - began))
        echo "8 MiB: $free us, and with a limit of 1 MB/s: $limited us"
        [ "$limited" -gt 6000000 ] || fail "The limit is none."
        [ "$limited" -gt $((2 * free)) ] || fail "It is as slow without a limit."
        valid_json "$(on mctl stats bb --json)" 'json[0]["ioWrite"] >= 2 * 8 * 1024 * 1024'
        power_off bb
}

# Statistics while limits hold.
test_stats() {
        local stats

        boot bb -p MemoryMax=64M -p TasksMax=50 -p CPUQuota=20%
        within machine-bb.service 'timeout 20 sh -c "while :; do :; done"; sleep 20 & sleep 20' >/dev/null 2>&1 &
        sleep 3
        stats=$(on mctl stats bb --json)
        wait || :
        valid_json "$stats" 'json[0]["memoryMax"] == 64 << 20 and json[0]["tasksMax"] == 50 and 0 < json[0]["memory"] <= 64 << 20'
        valid_json "$stats" 'json[0]["tasks"] >= 2 and 5 < json[0]["cpuPercent"] < 40'
        power_off bb
}

# --- a system inside -----------------------------------------------------------------------------------------------

test_system_inside() {
        local group file

        boot debian --name d
        equal "The state inside" "$(inside d systemctl is-system-running)" running
        controllers_are_handed_on machine-d.service
        contains "The controllers inside" "$(inside d cat /sys/fs/cgroup/cgroup.controllers)" "cpu io memory pids"
        works inside d systemd-run --quiet --unit=limited -p MemoryMax=32M -p TasksMax=20 -p CPUQuota=10% sleep 300
        group=/sys/fs/cgroup/system.slice/limited.service
        equal "memory.max" "$(inside d cat $group/memory.max)" 33554432
        equal "pids.max" "$(inside d cat $group/pids.max)" 20
        equal "cpu.max" "$(inside d cat $group/cpu.max)" "10000 100000"
        # Root of the machine cannot change the limits of the machine.
        for file in memory.max pids.max cpu.max cgroup.max.descendants; do
                try inside_sh d "echo 1000000 >/sys/fs/cgroup/$file"
                differ "The status of a write to $file" "$status" 0
        done
        power_off d
}

# --- starting again ------------------------------------------------------------------------------------------------

test_reboot_inside() {
        local i

        boot debian --name d
        for i in 1 2 3; do
                try inside d systemctl reboot
                soon restarts machine-d.service $i
                controllers_are_handed_on machine-d.service
                equal "The state inside" "$(inside d systemctl is-system-running --wait)" running
        done
        power_off d
}

test_restart_of_template() {
        local i

        write_machine t <<<$'[Image]\nImage=bb\n[Resources]\nMemoryMax=80M'
        works on systemctl start container@t.service
        for i in 1 2 3; do
                works on systemctl restart container@t.service
                controllers_are_handed_on container@t.service
                equal memory.max "$(on cat "$(cgroup_of container@t.service)/memory.max")" 83886080
        done
        works on systemctl stop container@t.service
        remove_machine t
}

test_restart_after_death() {
        local i

        write_machine t <<<$'[Image]\nImage=bb\n[Service]\nRestart=always\nRestartSec=0'
        works on systemctl start container@t.service
        for i in 1 2 3; do
                on kill -KILL "$(property container@t.service MainPID)"
                soon restarts container@t.service $i
                controllers_are_handed_on container@t.service
        done
        works on systemctl stop container@t.service
        remove_machine t
}

# If a cleanup is killed, nothing cleans up after it: the next start must cope with the remains.
test_start_over_remains() {
        write_machine t <<<$'[Image]\nImage=bb\n[Service]\nRestart=always\nRestartSec=0'
        on mkdir -p /etc/systemd/system/container@t.service.d
        put_file /etc/systemd/system/container@t.service.d/no-cleanup.conf <<<$'[Service]\nExecStopPost='
        on systemctl daemon-reload
        works on systemctl start container@t.service
        on kill -KILL "$(property container@t.service MainPID)"
        soon restarts container@t.service 1
        controllers_are_handed_on container@t.service
        works on systemctl restart container@t.service
        controllers_are_handed_on container@t.service
        works on systemctl stop container@t.service
        works on /usr/lib/mctl/mctl-launch --template cleanup t
        # The runtime directory is gone, and so is the record of the range.
        on_sh 'rm -f /run/mctl/users/*'
        remove_machine t
}

# Sub-cgroups that a machine made, to a depth, with processes in them.
test_nothing_of_nested_cgroups_is_left() {
        local cursor

        cursor=$(on journalctl --quiet -n 0 --show-cursor | sed -n 's/^-- cursor: //p')
        boot bb
        within machine-bb.service 'd=/sys/fs/cgroup; for i in 1 2 3 4 5 6 7 8; do d=$d/n$i; mkdir $d; done
                mkdir $d/.hidden; sleep 300 >/dev/null 2>&1 & echo $! >$d/.hidden/cgroup.procs'
        works on systemctl stop machine-bb.service
        soon is_gone bb
        try on test -e /sys/fs/cgroup/machine.slice/machine-bb.service
        equal "Whether the cgroup is there" "$status" 1

        boot bb
        within machine-bb.service 'd=/sys/fs/cgroup/.hidden; mkdir $d; sleep 300 >/dev/null 2>&1 & echo $! >$d/cgroup.procs'
        works inside bb reboot -f
        soon restarts machine-bb.service 1
        controllers_are_handed_on machine-bb.service
        power_off bb
        lacks "The journal" "$(on journalctl --no-pager --after-cursor="$cursor" -o cat -u machine-bb.service)" \
                "Failed to remove"
}

# --- devices -------------------------------------------------------------------------------------------------------

# Device nodes that an evil image has, and device nodes that are made in a machine whose root is the host's.
test_devices_are_closed() {
        local node

        on_sh 'cd /var/lib/machines/bb/root && mknod disk b 254 0 && mknod mem c 1 1 && mknod kmsg c 1 11'
        boot bb
        for node in disk mem kmsg; do
                try within machine-bb.service "head -c 1 /root/$node >/dev/null"
                differ "The status of reading $node" "$status" 0
                contains "Why" "$err" "Permission denied"
        done
        power_off bb
        boot bb --private-users=no
        for node in disk mem kmsg; do
                try within machine-bb.service "head -c 1 /root/$node >/dev/null"
                differ "The status of reading $node" "$status" 0
        done
        try within machine-bb.service 'mknod /root/other b 254 0'
        differ "The status of mknod" "$status" 0
        power_off bb
        on_sh 'cd /var/lib/machines/bb/root && rm -f disk mem kmsg other'
}

test_devices_of_privileged() {
        # The start warns of the profile.
        try on mctl boot bb --profile=privileged --private-users=no
        equal "The exit status" "$status" 0
        # Device nodes in the image cannot be opened. The machine can make nodes of its own.
        works within machine-bb.service 'mknod /dev/disk b 254 0 && head -c 1 /dev/disk >/dev/null'
        power_off bb
}

# --- this kernel ---------------------------------------------------------------------------------------------------

test_bind_from_tmpfs() {
        on mkdir -p /run/source
        try on mctl run bb --bind=/run/source:/mnt -- stat -c %u /mnt
        if [ "$status" != 0 ]; then
                # Before Linux 6.3.
                contains "stderr" "$err" "Failed to bind '/run/source': its file system does not support id-mapped mounts"
                lines "stderr" "$err" 1
        fi
        works on mctl run bb --bind=/run/source:/mnt:noidmap -- stat -c %u /mnt
        on_sh 'rmdir /run/source && systemctl reset-failed'
}

test_image_on_tmpfs() {
        on_sh 'mkdir -p /run/images && cp -a /var/lib/machines/bb /run/images/bb'
        try on mctl run /run/images/bb --name tm -- true
        if [ "$status" != 0 ]; then
                contains "stderr" "$err" "tmpfs does not support id-mapped mounts here"
                lines "stderr" "$err" 1
        fi
        works on mctl run /run/images/bb --name tm --private-users=identity -- true
        on_sh 'rm -r /run/images && systemctl reset-failed'
}

test_overlay_is_writable() {
        on_sh 'mkdir -p /srv/lower /srv/upper && echo a >/srv/lower/file'
        works on mctl run bb --overlay=/srv/lower:/srv/upper:/mnt -- sh -c 'echo b >>/mnt/file && mkdir /mnt/new'
        equal "The owner on disk" "$(on stat -c %u /srv/upper/new)" 0
        equal "The copy" "$(on cat /srv/upper/file)" $'a\nb'
        on rm -rf /srv/lower /srv/upper /srv/.#upper.work
}

test_roots() {
        local option

        for option in volatile=overlay volatile=state volatile=yes profile=nesting profile=strict; do
                boot debian --name d --"$option"
                matches "The state inside" "$(inside d systemctl is-system-running --wait || :)" 'running|degraded'
                power_off d
        done
}

# --- the host goes down --------------------------------------------------------------------------------------------

# The last test: the journal of the previous boot shows how the shutdown went.
test_host_reboots() {
        local journal unit cursor

        cursor=$(on journalctl --quiet -n 0 --show-cursor | sed -n 's/^-- cursor: //p')
        write_machine t <<<$'[Image]\nImage=bb'
        write_machine u <<<$'[Image]\nImage=debian'
        works on mctl enable t u
        works on mctl start t u
        on_sh 'sync; systemctl reboot --no-block' || :
        sleep 10
        "$host_command" wait "$host"
        for unit in container@t.service container@u.service; do
                soon is_active "$unit"
                equal "NRestarts of $unit" "$(property "$unit" NRestarts)" 0
        done
        equal "How many are listed" "$(on_sh 'mctl list --json | jq length')" 2
        journal=$(on journalctl --no-pager --after-cursor="$cursor" -b -1 -o cat -u container@t.service -u container@u.service)
        tail -n 12 <<<"$journal"
        lacks "The journal" "$journal" "timed out"
        lacks "The journal" "$journal" "Failed with result"
        equal "How many went down well" "$(grep -c 'Deactivated successfully' <<<"$journal")" 2
        works on systemctl stop container@t.service container@u.service
        try on mctl disable t u
        remove_machine t
        remove_machine u
}

run_tests
