#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Machines from 'mctl boot' to their end: units, processes, namespaces, mounts, owners and remains.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

host_mounts() {
        on cut -d ' ' -f 4- /proc/1/mountinfo | sort
}

test_ready() {
        boot bb
        contains "stdout" "$out" "bb"
        equal "The state of the unit" "$(property machine-bb.service ActiveState)" active
        equal "The slice" "$(property machine-bb.service Slice)" machine.slice
        equal "What the init says" "$(property machine-bb.service StatusText)" "busybox init up"
        equal "Type=" "$(property machine-bb.service Type)" notify
        equal "Delegate=" "$(property machine-bb.service Delegate)" yes
        equal "The state of the machine" "$(field bb state)" running
        power_off bb
        equal "The machine after poweroff" "$(field bb name)" ""
}

test_other_name() {
        boot bb --name web-1.example_x
        equal "The state of the unit" "$(property "$(unit_of web-1.example_x)" ActiveState)" active
        equal "The host name inside" "$(inside web-1.example_x cat /proc/sys/kernel/hostname)" web-1.example_x
        power_off web-1.example_x
}

test_path_as_image() {
        local copy=/var/lib/machines/.hidden-copy

        on cp -a /var/lib/machines/bb "$copy"
        boot "$copy" --name pathy
        equal "The image" "$(field pathy image)" "$copy"
        power_off pathy
        on rm -r "$copy"
}

# The cgroup of the unit belongs to the host, and the cgroup payload below it to the container.
test_payload_cgroup() {
        local group base

        boot bb
        group=$(property machine-bb.service ControlGroup)
        equal "The cgroup" "$group" /machine.slice/machine-bb.service
        base=$(on_sh 'awk "{ print \$2 }" /proc/$1/uid_map' sh "$(leader_of bb)")
        equal "The owner of payload" "$(on stat -c %u:%g "/sys/fs/cgroup$group/payload")" "$base:$base"
        equal "The owner of its cgroup.procs" "$(on stat -c %u "/sys/fs/cgroup$group/payload/cgroup.procs")" "$base"
        equal "The owner of its limits" "$(on stat -c %u "/sys/fs/cgroup$group/payload/cgroup.max.depth")" 0
        equal "The owner of the unit's cgroup" "$(on stat -c %u "/sys/fs/cgroup$group")" 0
        equal "The controllers handed on" "$(on cat "/sys/fs/cgroup$group/cgroup.subtree_control")" \
                "$(on cat "/sys/fs/cgroup$group/cgroup.controllers")"
        equal "The cgroup as it sees it" "$(inside bb cat /proc/1/cgroup | grep ^0::)" "0::/"
        works inside bb mkdir /sys/fs/cgroup/own
        works inside bb rmdir /sys/fs/cgroup/own
        power_off bb
}

# No process of mctl stays behind for a running machine.
test_no_process_of_ours() {
        local leader processes comms

        boot bb
        leader=$(leader_of bb)
        processes=$(on_sh 'find /sys/fs/cgroup/machine.slice/machine-bb.service -name cgroup.procs -exec cat {} +')
        equal "The processes of the unit" "$processes" "$leader"
        equal "What the leader is" "$(on cat "/proc/$leader/comm")" init
        equal "The parent of the leader" "$(on_sh 'awk "/^PPid/ { print \$2 }" /proc/$1/status' sh "$leader")" 1
        comms=$(on_sh 'cat /proc/[0-9]*/comm 2>/dev/null | grep ^mctl | sort -u' || :)
        matches "Processes called mctl*" "$comms" '^(mctl-registryd)?$'
        power_off bb
}

test_namespaces() {
        local leader kind

        boot bb
        leader=$(leader_of bb)
        for kind in user pid mnt uts ipc net cgroup; do
                differ "The $kind namespace" "$(on readlink "/proc/$leader/ns/$kind")" \
                        "$(on readlink "/proc/1/ns/$kind")"
        done
        equal "The interfaces inside" "$(inside bb ls /sys/class/net)" lo
        contains "lo" "$(inside bb ip addr show lo)" "127.0.0.1"
        power_off bb
}

test_user_map() {
        local base size inner map

        boot bb
        for map in uid_map gid_map; do
                read -r inner base size < <(on cat "/proc/$(leader_of bb)/$map")
                equal "The first id inside" "$inner" 0
                equal "The size of the range" "$size" 65536
                [ "$base" -ge $((0x80000)) ] || fail "The range begins too low: $base"
                [ "$base" -le $((0x6fff0000)) ] || fail "The range begins too high: $base"
                equal "The low half of the first id" $((base % 65536)) 0
        done
        equal "The holder of the range" "$(on cat "/run/mctl/users/$base")" machines/bb
        equal "It as JSON" "$(field bb uidBase)" "$base"
        power_off bb

        # The next run of the same name gets the same range, so that the files of a volume keep their owners.
        boot bb
        equal "The range of the next run" "$(on_sh 'awk "{ print \$2 }" /proc/$1/uid_map' sh "$(leader_of bb)")" "$base"
        power_off bb
}

test_two_have_two_ranges() {
        boot bb --name one
        boot bb --name two --volatile=overlay
        differ "The range of the one" "$(field one uidBase)" "$(field two uidBase)"
        power_off one two
}

# IDs are mapped, and not changed: on disk, files of root belong to root before, during and after a run.
test_owners_on_disk() {
        local owners

        owners=$(on_sh 'cd /var/lib/machines/bb && find . -printf "%P %U:%G %m\n" | sort')
        boot bb
        equal "The owner of / inside" "$(inside bb stat -c %u:%g /)" 0:0
        works inside bb sh -c 'echo x >/root/new && chown 1000:1000 /root/new'
        equal "The owner of a new file on disk" "$(on stat -c %u:%g /var/lib/machines/bb/root/new)" 1000:1000
        works inside bb rm /root/new
        power_off bb
        equal "All owners on disk" "$(on_sh 'cd /var/lib/machines/bb && find . -printf "%P %U:%G %m\n" | sort')" "$owners"
}

test_open_store() {
        on chmod 755 /var/lib/machines
        try on mctl boot bb
        equal "The exit status" "$status" 0
        contains stderr "$err" "Every user can run set-user-ID programs in '/var/lib/machines'"
        on chmod 700 /var/lib/machines
        power_off bb
        boot bb # prints no warning
        power_off bb
}

test_environment() {
        local environment uuid

        boot bb --setenv=FOO=bar --setenv="TEXT=two words"
        environment=$(on_sh 'tr "\0" "\n" </proc/$1/environ' sh "$(leader_of bb)")
        contains "The environment" $'\n'"$environment"$'\n' $'\ncontainer=mctl\n'
        contains "The environment" "$environment" "FOO=bar"
        contains "The environment" "$environment" "TEXT=two words"
        lacks "The environment" "$environment" INVOCATION_ID
        lacks "The environment" "$environment" MCTL
        uuid=$(sed -n 's/^container_uuid=//p' <<<"$environment")
        contains "The environment" "$environment" "container_host_id=debian"
        matches "container_uuid" "$uuid" '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        equal "The UUID in the list" "$(field bb uuid)" "${uuid//-/}"
        equal "/run/host/container-uuid" "$(inside_sh bb 'tr -d - </run/host/container-uuid')" \
                "${uuid//-/}"
        power_off bb
}

test_run_host() {
        boot bb
        equal "container-manager" "$(inside bb cat /run/host/container-manager)" mctl
        contains "os-release" "$(inside bb cat /run/host/os-release)" "ID=debian"
        equal "notify" "$(inside bb stat -c %F /run/host/notify)" socket
        try inside bb sh -c 'echo x >/run/host/container-manager'
        differ "The status of a write to it" "$status" 0
        try inside bb sh -c 'touch /run/host/new'
        differ "The status of a new file in it" "$status" 0
        equal "inaccessible/dir" "$(inside bb stat -c %a /run/host/inaccessible/dir)" 0
        power_off bb
}

# Root inside cannot make a read-only mount of the host writable.
test_locked_run_host() {
        boot bb
        try inside bb mount -o remount,rw,bind /run/host
        differ "The status of a remount" "$status" 0
        try inside bb umount /run/host
        differ "The status of an umount" "$status" 0
        try inside bb umount -l /run/host/os-release
        differ "The status of an umount of os-release" "$status" 0
        power_off bb
}

test_kernel_files() {
        local target

        boot bb
        try inside bb sh -c 'echo 1 >/proc/sys/kernel/panic'
        differ "The status of a write to /proc/sys/kernel" "$status" 0
        try inside bb sh -c 'echo b >/proc/sysrq-trigger'
        differ "The status of a write to sysrq-trigger" "$status" 0
        try inside bb sh -c 'echo 1 >/sys/kernel/profiling'
        differ "The status of a write to /sys" "$status" 0
        for target in kcore kallsyms keys timer_list; do
                equal "The size of /proc/$target" "$(inside bb sh -c "cat /proc/$target 2>/dev/null | wc -c")" 0
        done
        works inside bb sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
        power_off bb
}

# Root inside cannot write to files of the kernel, even if it tries to remount or unmount the covers first.
test_kernel_files_locked() {
        local target

        boot bb
        for target in /proc/sys /sys; do
                try inside bb mount -o remount,rw,bind "$target"
        done
        for target in /proc/sys/net /proc/sys /proc/sysrq-trigger /proc/kcore /proc/kallsyms; do
                try inside bb umount "$target"
        done
        try inside bb sh -c 'echo 1 >/proc/sys/kernel/panic'
        differ "The status of a write to /proc/sys/kernel" "$status" 0
        try inside bb sh -c 'echo h >/proc/sysrq-trigger'
        differ "The status of a write to sysrq-trigger" "$status" 0
        try inside bb sh -c 'echo 1 >/sys/kernel/profiling'
        differ "The status of a write to /sys" "$status" 0
        equal "What comes of /proc/kcore" "$(inside bb sh -c 'dd if=/proc/kcore bs=1 count=1 2>/dev/null | wc -c')" 0
        equal "Addresses in kallsyms" "$(inside bb sh -c 'grep -vc ^0000000000000000 /proc/kallsyms || :')" 0
        power_off bb
}

# A machine sees no processes, devices or mounts of the host.
test_view() {
        boot bb
        equal "PID 1" "$(inside bb cat /proc/1/comm)" init
        equal "Its disks" "$(inside bb sh -c 'ls /dev | grep -E "^(sd|vd|nvme|loop|dm-|kmsg|mem|port|kvm)" || :')" ""
        works inside bb sh -c 'echo x >/dev/null'
        works inside bb sh -c 'head -c 1 /dev/urandom >/dev/null'
        try inside bb mknod /dev/sda b 8 0
        differ "The status of mknod" "$status" 0
        lacks "Its mounts" "$(inside bb cat /proc/self/mountinfo)" "mctl/stage"
        power_off bb
}

test_capabilities() {
        local leader bounding

        boot bb
        leader=$(leader_of bb)
        bounding=$(on_sh 'awk "/^CapBnd/ { print \$2 }" /proc/$1/status' sh "$leader")
        equal "cap_sys_module" $(((16#$bounding >> 16) & 1)) 0
        equal "cap_sys_time" $(((16#$bounding >> 25) & 1)) 0
        equal "cap_sys_admin" $(((16#$bounding >> 21) & 1)) 1
        equal "The inheritable ones" "$(on_sh 'awk "/^CapInh/ { print \$2 }" /proc/$1/status' sh "$leader")" 0000000000000000
        power_off bb
}

test_descriptors() {
        local descriptors

        boot bb
        descriptors=$(on_sh 'ls /proc/$1/fd | sort -n | tr "\n" " "' sh "$(leader_of bb)")
        equal "The descriptors of the leader" "$descriptors" "0 1 2 "
        power_off bb
}

test_signals_and_session() {
        local leader

        boot bb
        leader=$(leader_of bb)
        equal "Ignored signals" "$(on_sh 'awk "/^SigIgn/ { print \$2 }" /proc/$1/status' sh "$leader")" 0000000000000000
        equal "The umask" "$(on_sh 'awk "/^Umask/ { print \$2 }" /proc/$1/status' sh "$leader")" 0022
        power_off bb
}

# The mount table of the host does not change when a machine starts.
test_mount_table_of_host() {
        local before

        on mctl list >/dev/null
        before=$(host_mounts)
        boot bb
        equal "The mount table meanwhile" "$(host_mounts)" "$before"
        power_off bb
        equal "The mount table after" "$(host_mounts)" "$before"
}

test_poweroff_inside() {
        boot bb
        works inside bb poweroff -f
        soon is_gone bb
        equal "Result" "$(property machine-bb.service Result)" success
}

test_stop_by_systemd() {
        boot bb
        works on systemctl stop machine-bb.service
        soon is_gone bb
        equal "Result" "$(property machine-bb.service Result)" success
}

# When 'mctl poweroff' has returned, the name can be used again.
test_boot_after_poweroff() {
        local i

        for i in 1 2 3 4 5 6; do
                echo "Round $i"
                boot -q bb
                works on mctl -q poweroff bb
        done
        for i in 1 2 3; do
                boot -q bb
                works on systemctl stop machine-bb.service
        done
}

test_stop_is_an_alias() {
        boot bb
        works on mctl stop bb
        soon is_gone bb
}

test_terminate() {
        boot bb
        works on mctl terminate bb
        soon is_gone bb
}

reboots() {
        [ "$(property machine-bb.service NRestarts)" = "$1" ] && [ "$(field bb state)" = running ]
}

test_reboot() {
        local leader

        boot bb
        leader=$(leader_of bb)
        works inside bb reboot -f
        soon reboots 1
        differ "The leader" "$(leader_of bb)" "$leader"
        leader=$(leader_of bb)
        works on mctl reboot bb # It has waited.
        equal "Restarts" "$(property machine-bb.service NRestarts)" 2
        differ "The leader" "$(leader_of bb)" "$leader"
        equal "The state" "$(field bb state)" running
        equal "The leader as JSON" "$(field bb leader)" "$(leader_of bb)"
        power_off bb
}

# The owner of a file that a machine makes is the same after a reboot.
test_reboot_keeps_range() {
        local base

        boot bb
        base=$(field bb uidBase)
        works on mctl reboot bb
        soon reboots 1
        equal "The range" "$(field bb uidBase)" "$base"
        power_off bb
}

test_kill_9_of_leader() {
        boot bb
        on kill -9 "$(leader_of bb)"
        soon has_property machine-bb.service ActiveState failed
        equal "Result" "$(property machine-bb.service Result)" signal
        refused 1 "bb" on mctl wait bb
        on systemctl reset-failed machine-bb.service
}

test_read_only() {
        boot bb --read-only
        try inside bb touch /root/x
        differ "The status of a write to /root" "$status" 0
        works inside bb touch /tmp/x
        try inside bb mount -o remount,rw,bind /
        differ "The status of a remount" "$status" 0
        power_off bb
        try on test -e /var/lib/machines/bb/root/x
        equal "Whether the file is there" "$status" 1
}

test_users_of_host() {
        boot bb --private-users=identity --name ident
        matches "The map" "$(on cat "/proc/$(leader_of ident)/uid_map")" '^ +0 +0 +65536$'
        power_off ident
        boot bb --private-users=no --name nouser
        equal "The user namespace" "$(on readlink "/proc/$(leader_of nouser)/ns/user")" "$(on readlink /proc/1/ns/user)"
        power_off nouser
        boot bb --private-users=1048576 --name explicit
        matches "The map" "$(on cat "/proc/$(leader_of explicit)/uid_map")" '^ +0 +1048576 +65536$'
        power_off explicit
}

test_no_wait() {
        on_sh ': >/var/lib/machines/bb/etc/init-hang'
        works on mctl boot --no-wait bb
        equal "The state of the unit" "$(property machine-bb.service ActiveState)" activating
        equal "The state of the machine" "$(field bb state)" starting
        works on mctl terminate bb
        soon is_gone bb
        on rm /var/lib/machines/bb/etc/init-hang
        reset_host
}

test_slice() {
        boot bb --slice=test-some
        equal "The slice" "$(property machine-bb.service Slice)" test-some.slice
        equal "The cgroup" "$(property machine-bb.service ControlGroup)" /test.slice/test-some.slice/machine-bb.service
        equal "The leader" "$(field bb leader)" "$(leader_of bb)"
        power_off bb
}

test_dry_run() {
        works on mctl boot --dry-run bb -p MemoryMax=1G
        valid_json "$out" 'isinstance(json, dict)'
        contains "The plan" "$out" MemoryMax
        contains "The plan" "$out" /sbin/init
        try on systemctl is-active machine-bb.service
        equal "The state of the unit" "$out" inactive
}

test_quiet() {
        works on mctl -q boot bb
        empty stdout "$out"
        works on mctl -q poweroff bb
        empty stdout "$out"
}

test_arguments() {
        boot bb --name args one "two words"
        equal "The arguments" "$(on_sh 'tr "\0" "|" </proc/$1/cmdline' sh "$(leader_of args)")" \
                "/sbin/init|one|two words|"
        power_off args
}

# Many machines start and stop at the same time.
test_many() {
        local i
        local -a names=()

        for i in 1 2 3 4 5 6 7 8; do
                names+=("m$i")
        done
        on_sh 'for n in "$@"; do mctl boot --no-wait -q bb --volatile=overlay --name "$n"; done' sh "${names[@]}"
        works on mctl wait "${names[@]}"
        equal "How many are listed" "$(on_sh 'mctl list --json | jq length')" 8
        equal "How many ranges there are" "$(on_sh 'ls /run/mctl/users | wc -l')" 8
        power_off "${names[@]}"
}

# An init that mctl knows to be silent is up when it has been started. An unknown init is up some time later.
test_silent_inits() {
        on_sh 'cd "$1" && cp -a bb silent && rm -f silent/sbin/init silent/etc/init && ln -s ../bin/busybox silent/sbin/init &&
                printf "::sysinit:/bin/true\n::respawn:/bin/sleep 1000\n" >silent/etc/inittab' sh /var/lib/machines
        boot silent
        equal "The state" "$(field silent state)" running
        equal "The status" "$(property machine-silent.service StatusText)" ""
        soon on_sh 'ps -o comm= --ppid "$1" | grep -qx sleep' sh "$(leader_of silent)"
        works on mctl terminate silent
        soon is_gone silent
        on_sh 'cd "$1" && rm silent/sbin/init silent/etc/inittab && printf "#!/bin/sh\nexec sleep 1000\n" >silent/sbin/init && chmod 755 silent/sbin/init' sh /var/lib/machines
        boot silent
        contains "The status" "$(property machine-silent.service StatusText)" "The init has not said that the system is up."
        works on mctl terminate silent
        soon is_gone silent
        on rm -r /var/lib/machines/silent
}

run_tests
