#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Somebody hostile is root in a running machine, and tries what is known to have led out of others.

# shellcheck source=tests/escape/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

# --- what is left from the host ------------------------------------------------------------------------------------

test_descriptors() {
        local options

        for options in --profile=default --private-users=identity --private-users=no --init; do
                attack "$options" -- fds
                equal "The open descriptors with $options" "$out" "0 1 2 "
        done
        boot bb
        equal "The descriptors of the init" "$(on ls "/proc/$(leader_of bb)/fd" | sort -n | tr '\n' ' ')" "0 1 2 "
        power_off bb
}

# runc CVE-2024-21626: the working directory is one that the launcher has open.
test_working_directory() {
        local fd users

        for users in pick identity no; do
                for fd in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
                        try on mctl -q run --rm --private-users="$users" -w "/proc/self/fd/$fd" bb /bin/busybox sh -c \
                                'for up in . .. ../.. ../../.. ../../../..; do
                                        cat $up/etc/escape/secret
                                        echo changed >$up/etc/escape/secret
                                        ls $up/cgroup.procs $up/../cgroup.procs
                                done 2>/dev/null
                                :'
                        lacks "What is seen from descriptor $fd with $users" "$out" "$secret"
                        lacks "What is seen from descriptor $fd with $users" "$out" cgroup.procs
                        canary_lives
                done
        done
        for fd in /proc/1/cwd /proc/1/root /proc/self/cwd/../..; do
                try on mctl -q run --rm -w "$fd" bb /bin/busybox sh -c 'cat ../../../etc/escape/secret etc/escape/secret'
                lacks "What is seen from $fd" "$out" "$secret"
        done
}

# The same by the path of the command, or of what interprets it.
test_program_of_host() {
        local fd up

        for fd in 3 4 5 6 7 8 9 10 11 12; do
                for up in . .. ../.. ../../..; do
                        try on mctl -q run --rm bb "/proc/self/fd/$fd/$up/usr/bin/env"
                        lacks "What is said by a program of the host" "$out" PATH=
                        try on mctl -q run --rm bb "/proc/self/fd/$fd/$up/bin/busybox" echo ran
                        lacks "What is said by a program of the host" "$out" ran
                done
        done
        canary_lives
}

# --- kernel files --------------------------------------------------------------------------------------------------

kernel_files='/proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/kernel/sysrq /proc/sys/fs/binfmt_misc/register
        /proc/sysrq-trigger /sys/kernel/uevent_helper /sys/kernel/profiling /proc/sys/vm/panic_on_oom'

# Whoever may write there gives the kernel work to do for as long as the file is open.
test_pressure() {
        local profile

        for profile in default nesting strict; do
                attack --profile=$profile -- open /proc/pressure/cpu
                [ "$out" = works ] || [ "$out" = ENOENT ] || [ "$out" = EOPNOTSUPP ] || fail "The attack prints '$out'"
                attack --profile=$profile -- open-write /proc/pressure/cpu
                attack_fails
        done
}

# Root of a whole system may unmount what its own namespace mounted. Nothing of it may be any use, whoever it is outside.
test_kernel_files() {
        local users file

        attack --private-users=no --profile=privileged -- open-write /proc/sys/kernel/core_pattern
        attack_works
        for users in pick identity; do
                boot bb --private-users=$users
                for file in /proc/sys/kernel/random/boot_id /proc/sys/net /proc/sys /proc/sysrq-trigger /proc/keys \
                        /proc/kallsyms /sys/firmware /sys/power; do
                        attack_inside bb umount "$file"
                        attack_inside bb remount-writable "$file"
                done
                attack_inside bb remount-writable /sys
                attack_inside bb remount-writable /proc
                for file in $kernel_files; do
                        attack_inside bb open-write "$file"
                        attack_fails
                done
                power_off bb
        done
        for users in pick identity no; do
                for file in $kernel_files; do
                        attack --private-users="$users" -- open-write "$file"
                        attack_fails
                done
        done
        canary_lives
}

# What SECURITY.md says of masks: no privilege inside looks below them.
test_masks_stay() {
        local file

        boot bb
        for file in /proc/keys /proc/kallsyms /proc/sys /sys/firmware /run/host/inaccessible/reg; do
                on test -e "$file" || [[ $file == /run/* ]] || continue
                attack_inside bb umount "$file"
                attack_fails
        done
        try inside_sh bb 'ls -A /sys/firmware; touch /sys/firmware/x'
        empty "What is in a covered directory" "$out"
        contains stderr "$err" "Read-only"
        try inside_sh bb 'mkdir /tmp/proc && mount -t proc proc /tmp/proc && cat /tmp/proc/keys'
        empty "What a new procfs shows" "$out"
        power_off bb
}

test_locked_mounts() {
        local target

        on_sh "mkdir -p $store/.data && echo $secret >$store/.data/file"
        boot bb --bind-ro="$store/.data:/data" --inaccessible=/etc/hosts --tmpfs=/var/empty
        for target in /data /etc/hosts /var/empty /run/host /run/host/os-release /run/host/notify /dev /run; do
                attack_inside bb umount "$target"
                attack_fails
        done
        for target in /data /run/host /run/host/os-release; do
                attack_inside bb remount-writable "$target"
                attack_fails
        done
        # Neither in a namespace below, nor through a copy of the tree.
        try inside_sh bb 'unshare -Um sh -c "mount -o remount,rw,bind /data; umount /data; echo changed >/data/file"
                mkdir -p /tmp/copy; mount --rbind / /tmp/copy && umount /tmp/copy/data
                mount --bind / /tmp/copy && cat /tmp/copy/data/file'
        equal "The file of the host" "$(on cat $store/.data/file)" "$secret"
        power_off bb
        on rm -rf "$store/.data"
}

# --- cgroups -------------------------------------------------------------------------------------------------------

# Where the kernel's old hierarchy has the controllers, there are none.
limits_of_bb() {
        on_sh 'cd /sys/fs/cgroup/machine.slice/machine-bb.service && cat pids.max memory.max 2>/dev/null || :'
}

test_cgroup() {
        local users before

        for users in pick identity; do
                boot bb --private-users=$users -p TasksMax=500 -p MemoryMax=500M
                before=$(limits_of_bb)
                try inside_sh bb 'cd /sys/fs/cgroup
                        for file in ../cgroup.procs ../payload/../cgroup.subtree_control ../../cgroup.procs; do
                                echo 1 >$file && echo "works: $file"
                        done
                        for file in pids.max memory.max; do
                                echo max >$file && echo "works: $file"
                        done
                        set +e
                        mkdir -p /tmp/cgroup && mount -t cgroup2 cgroup2 /tmp/cgroup && ls -d /tmp/cgroup/*.slice
                        umount /tmp/cgroup
                        umount /sys/fs/cgroup && ls -d /sys/fs/cgroup/*.slice
                        echo tried'
                lacks "What works with $users" "$out" works
                lacks "What is seen with $users" "$out" slice
                contains "stdout" "$out" tried
                equal "The limits with $users" "$(limits_of_bb)" "$before"
                matches "The cgroup of the first process" "$(on cat "/proc/$(leader_of bb)/cgroup")" \
                        '/machine-bb.service/payload'
                power_off bb
        done
}

# CVE-2022-0492: a program of the host's root that is run when a cgroup becomes empty.
test_release_agent() {
        local users

        for users in pick identity; do
                boot bb --private-users=$users
                try inside_sh bb 'mkdir -p /tmp/v1
                        for controller in memory rdma cpu pids name=systemd; do
                                mount -t cgroup -o $controller cgroup /tmp/v1 2>/dev/null || continue
                                echo "mounted $controller"
                                # The kernel asks for the privilege when it is written, so it is: with nothing.
                                echo 2>/dev/null >/tmp/v1/release_agent && echo works
                                umount /tmp/v1
                        done
                        :'
                lacks "What works with $users" "$out" works
                power_off bb
        done
}

# --- system calls --------------------------------------------------------------------------------------------------

# LXC CVE-2016-10124, bubblewrap CVE-2017-5226: keys pressed by nobody.
test_terminal() {
        local verb options

        # Each on a terminal of its own, and on that of the caller.
        for verb in tiocsti tiocsti-high tioclinux; do
                for options in -t -i; do
                        try on script -qec "mctl -q run --rm $options bb /bin/attack $verb" /dev/null
                        contains "What the attack prints on a terminal with $options" "$out" EPERM
                done
        done
        try on script -qec 'mctl -q run --rm -t --profile=privileged --private-users=no bb /bin/attack tiocsti' /dev/null
        contains "What the attack prints where nothing stops it" "$out" works
}

test_foreign_abis() {
        local profile verb

        for verb in int80 x32; do
                for profile in default strict nesting; do
                        attack --profile=$profile -- $verb
                        equal "The exit status of $verb with $profile" "$status" 159
                        empty "What the attack prints" "$out"
                done
        done
        attack --profile=privileged -- x32
        differ "The exit status without a filter" "$status" 159
        if grep -qx 'CONFIG_IA32_EMULATION=y' <(on_sh 'zcat /proc/config.gz 2>/dev/null || :'); then
                attack --profile=privileged -- int80
                attack_works
        fi
}

test_kernel_interfaces() {
        local verb

        attack --profile=privileged -- keyctl
        attack_works
        for verb in bpf keyctl userfaultfd; do
                attack -- $verb
                equal "What the attack prints" "$out" EPERM
        done
        for verb in io-uring bpf keyctl userfaultfd; do
                attack --profile=strict -- $verb
                equal "What the attack prints" "$out" EPERM
        done
}

# Families of sockets that no network namespace parts: of the hypervisor, of the kernel's ciphers, of radios.
test_socket_families() {
        local profile family verb

        for profile in default nesting strict; do
                for family in 38 40 31 39 42; do
                        for verb in socket socketpair socket-high; do
                                attack --profile=$profile -- $verb $family
                                equal "What the attack prints" "$out" EAFNOSUPPORT
                        done
                done
        done
        attack -- socket 1
        attack_works
        attack --private-users=no --private-network=no -- socket 40
        equal "What the attack prints" "$out" EAFNOSUPPORT
        # Whoever needs one says so: then the kernel decides.
        attack --system-call-filter=socket:vsock -- socket 38
        equal "What the attack prints" "$out" EAFNOSUPPORT
        if [ -n "$(on_sh '/usr/local/bin/attack socket 40 | grep works || :')" ]; then
                attack --system-call-filter=socket:vsock -- socket 40
                attack_works
        fi
        try on mctl run --rm --system-call-filter=socket:perhaps bb true
        contains stderr "$err" "no system call, group or socket family 'socket:perhaps'"
        # Its sockets would be made behind the filter.
        for profile in default nesting strict; do
                attack --profile=$profile -- io-uring
                equal "What the attack prints" "$out" EPERM
        done
        attack --system-call-filter=@aio -- io-uring
        lacks "What the attack prints" "$out" EPERM
}

# With a user namespace, whoever is nobody has all capabilities over what the kernel has in it.
test_user_namespaces() {
        local verb profile

        attack --profile=nesting -- unshare
        attack_works
        attack --system-call-filter=unshare -- unshare
        attack_works
        for profile in default strict; do
                for verb in unshare clone clone3; do
                        attack --profile=$profile -- $verb
                        attack_fails
                        attack --profile=$profile -u user -- $verb
                        attack_fails
                done
        done
}

# What the kernel counts for a user is the machine's own: with all of it taken, the host's root and other machines have theirs.
test_hoards() {
        local what options alone

        for options in "" "--private-users=identity" "--profile=strict" "-u user"; do
                for what in inotify fanotify signals queues timers; do
                        # Some of it no machine gets, with these options.
                        # shellcheck disable=SC2086
                        attack $options -- take $what
                        alone=$out
                        # shellcheck disable=SC2086
                        works on mctl -q run -d --name hoarder $options bb /bin/attack hoard $what
                        soon has_hoarded
                        works on /usr/local/bin/attack take $what
                        equal "What the host's root gets of $what with '$options'" "$out" works
                        # Another machine takes its own.
                        # shellcheck disable=SC2086
                        attack $options -- take $what
                        equal "What another machine gets of $what with '$options'" "$out" "$alone"
                        works on mctl terminate hoarder
                        soon is_gone hoarder
                done
        done
        # The whole system of a machine may do more.
        boot bb --name hoarder --profile=nesting --volatile=overlay
        for what in inotify fanotify signals queues; do
                on_sh 'mctl exec -d hoarder /bin/attack hoard $1 >/dev/null' sh $what
        done
        boot bb --volatile=overlay
        for what in inotify fanotify signals queues; do
                works on /usr/local/bin/attack take $what
        done
        power_off bb hoarder
}

has_hoarded() {
        on mctl logs hoarder | grep -q 'E[A-Z]* [0-9]*$'
}

# --- other processes -----------------------------------------------------------------------------------------------

test_setns() {
        local ns users

        boot bb --private-users=no --bind-ro=/proc:/hostproc
        attack_inside bb setns /hostproc/1/ns/mnt
        attack_works
        power_off bb
        for users in pick identity; do
                boot bb --private-users=$users --bind-ro=/proc:/hostproc:noidmap
                for ns in mnt pid net user cgroup ipc uts; do
                        attack_inside bb setns "/hostproc/1/ns/$ns"
                        attack_fails
                done
                power_off bb
        done
        attack -v /proc:/hostproc:noidmap -- setns /hostproc/1/ns/mnt
        attack_fails
}

# runc CVE-2016-9962: before the command is executed, the process still holds descriptors of the host. It is stopped at
# that moment, and looked at by whoever has the same user ID.
test_process_before_command() {
        local base=1900544000 pid

        pid=$(on_sh 'attack catch 1900544000 10 >/run/caught & p=$!; mctl -q run --rm -d --name slow --private-users=1900544000 bb /bin/sleep 60 \
                        >/dev/null 2>&1 & wait $p || :; cat /run/caught')
        if ! [[ $pid =~ ^[0-9]+$ ]]; then
                soon is_listed slow
                works on mctl terminate slow
                soon is_gone slow
                skip "The process was not caught in time."
        fi
        try on setpriv --reuid=$base --regid=$base --clear-groups attack attach "$pid"
        attack_fails
        try on setpriv --reuid=$base --regid=$base --clear-groups ls "/proc/$pid/fd/"
        differ "The exit status of looking at its descriptors" "$status" 0
        on kill -CONT "$pid"
        soon is_listed slow
        works on mctl terminate slow
        soon is_gone slow
        reset_host
}

# --- systemd -------------------------------------------------------------------------------------------------------

# What a machine notifies is about the machine only, whoever its root is.
test_notification() {
        local users leader message

        for users in pick identity no; do
                boot bb --private-users=$users
                leader=$(leader_of bb)
                attack_inside bb notify /run/host/notify "STATUS=said by another process"
                for message in MAINPID=1 "MAINPID=$(property dbus.service MainPID)" "MAINPIDFDID=1" \
                        $'READY=1\nMAINPID=1' $'MAINPID=2\nSTATUS=x' "NOTIFYACCESS=all" FDSTOREREMOVE=1; do
                        attack_inside bb notify /run/host/notify "$message"
                done
                # The registry reads a socket some times a second, and has read all of it by then.
                soon is_read bb
                equal "The leader" "$(leader_of bb)" "$leader"
                equal "What systemd takes for its main process" "$(property machine-bb.service MainPID)" "$leader"
                equal "Who may notify" "$(property machine-bb.service NotifyAccess)" main
                equal "The state of dbus.service" "$(property dbus.service ActiveState)" active
                lacks "The status" "$(property machine-bb.service StatusText)" another
                power_off bb
        done
}

# Whether the registry has read what the socket of a machine has.
is_read() {
        on_sh 'inode=$(jq .Notify /run/mctl/machines/$1/leader); ss -xanH | awk -v inode="$inode" "\$6 == inode { found = 1; if (\$3 > 0) left = 1 } END { exit !found || left }"' sh "$1"
}

# Four processes that notify without end cost the machine, and neither systemd nor the journal.
test_notification_flood() {
        local before i

        boot bb
        before=$(on_sh 'journalctl -o cat --no-pager | wc -l')
        for i in 1 2 3 4; do
                on_sh 'mctl exec -d bb /bin/attack flood /run/host/notify "STATUS=$1" >/dev/null' sh "$i"
        done
        # As many questions as systemd answers in no time.
        works timeout -k 10 $((60 * slow)) "$host_command" run "$host" sh -c 'i=0; while [ $i -lt 200 ]; do systemctl show -p MainPID dbus.service >/dev/null || exit; i=$((i + 1)); done'
        works on mctl exec bb true
        # Another one starts meanwhile.
        boot bb --name other --volatile=overlay --read-only
        power_off other bb
        [ "$(($(on_sh 'journalctl -o cat --no-pager | wc -l') - before))" -lt 500 ] || fail "The journal has $(on_sh 'journalctl -o cat --no-pager | wc -l') lines, $before before"
}

# What is made below does not keep the machine from ending, or from starting again.
test_many_cgroups() {
        local i text

        boot bb
        # So many are refused; as many as are not must be taken away.
        inside_sh bb 'd=/sys/fs/cgroup; for i in $(seq 100); do d=$d/d; mkdir $d 2>/dev/null || break; done
                [ "$i" -lt 100 ] || exit 1
                for i in $(seq 500); do mkdir /sys/fs/cgroup/w$i; done'
        on mctl reboot --no-wait bb
        # Whatever comes of it: nothing may be in the way of the tests that follow.
        for ((i = 0; i < 300 * slow; i++)); do
                text=$(property machine-bb.service NRestarts)/$(field bb state)
                [ "$text" != 1/running ] || break
                sleep 0.1
        done
        if [ "$text" != 1/running ]; then
                on_sh 'systemctl stop machine-bb.service
                        find /sys/fs/cgroup/machine.slice/machine-bb.service -depth -type d -delete' || :
                fail "Restarts and state are $text, expected 1/running"
        fi
        inside_sh bb 'd=/sys/fs/cgroup; for i in $(seq 60); do d=$d/d; mkdir $d; done'
        power_off bb
        boot bb
        power_off bb
}

# --- shared with the host ------------------------------------------------------------------------------------------

# A program that root inside makes setuid belongs to root on disk, since owners are mapped. SECURITY.md tells people
# to keep such a directory from users; where it is mounted nosuid on the host, nothing comes of it.
test_setuid_in_bind() {
        on_sh 'mkdir -p /srv/share && mount -t tmpfs none /srv/share && chmod 755 /srv/share'
        works on mctl -q run --rm -v /srv/share:/share bb /bin/busybox sh -c \
                'cp /bin/attack /share/attack && chmod 6755 /share/attack && /share/attack whoami'
        equal "Owner and mode on the host" "$(on stat -c '%u %a' /srv/share/attack)" "0 6755"
        equal "Who alice is by it" "$(on_user alice /srv/share/attack whoami)" 0
        on mount -o remount,nosuid /srv/share
        differ "Who alice is by it with nosuid" "$(on_user alice /srv/share/attack whoami)" 0

        # Where owners are not mapped, there is nobody of the host's that it could belong to.
        on_sh 'mount -o remount,suid /srv/share && rm /srv/share/attack && chmod 777 /srv/share'
        works on mctl -q run --rm -v /srv/share:/share:noidmap bb /bin/busybox sh -c \
                'cp /bin/attack /share/attack && chmod 6755 /share/attack'
        differ "The owner on the host" "$(on stat -c %u /srv/share/attack)" 0
        differ "Who alice is by it" "$(on_user alice /srv/share/attack whoami)" 0
        # And images are nobody's to walk in.
        equal "The mode of the store" "$(on stat -c %a $store)" 700
        on umount /srv/share
}

run_tests
