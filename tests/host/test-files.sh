#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Copies and mounts between the host and running machines, with the commands of mctl.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

host_options=("--with=attr,acl,libcap2-bin,btrfs-progs")

prepare_host() {
        # A tree with all properties that a copy could lose.
        on_sh 'mkdir -p /srv/tree/sub
                cd /srv/tree
                echo text >file
                touch -d "2001-02-03 04:05:06 UTC" file
                ln file sub/again
                ln -s ../file sub/link
                mkfifo pipe
                mknod zero c 1 5
                truncate -s 64M holes
                echo data | dd of=holes bs=1 seek=33554432 conv=notrunc status=none
                head -c 3000000 /dev/urandom >big
                install -m 4755 /bin/true program
                chown 33:44 big
                chmod 1777 sub
                setfattr -n user.note -v hello file
                setfacl -m u:1000:rw file
                chown -h 7:7 sub/link
                cp /bin/true capable
                setcap cap_net_raw+ep capable'
}

# A script that lists the properties of a tree, with the owners as they appear on that side.
describe_tree='cd "$1"
        find . -printf "%P %y %m %U:%G %n %s %l %T@\n" | grep -v "^ d" | sed -E "s/(d [0-9]+ [0-9:]+ [0-9]+) [0-9]+/\1/" | sort
        sha256sum big file holes sub/again'

test_there_and_back() {
        boot bb
        works on mctl copy-to bb /srv/tree /root/tree
        equal "The tree inside" "$(on_sh "$describe_tree" sh /var/lib/machines/bb/root/tree)" "$(on_sh "$describe_tree" sh /srv/tree)"
        matches "The blocks of the file with holes" "$(inside bb stat -c %b /root/tree/holes)" '^[0-9]{1,3}$'
        equal "The owner inside" "$(inside bb stat -c %u:%g /root/tree/big)" 33:44
        # File capabilities belong to root inside.
        matches "The capabilities" "$(on getcap -n /var/lib/machines/bb/root/tree/capable)" "cap_net_raw=ep( \\[rootid=0\\])?$"
        equal "The attribute" "$(on_sh 'getfattr --only-values -n user.note /var/lib/machines/bb/root/tree/file')" hello

        equal "Whose the link is" "$(on stat -c %u:%g /var/lib/machines/bb/root/tree/sub/link)" 7:7
        # In a copy from a machine, a program has no set-user-ID bit and no capabilities, and a device is accessible
        # only to root.
        works on mctl copy-from bb /root/tree /srv/back
        equal "The program" "$(on stat -c %a /srv/back/program)" 755
        empty "The capabilities" "$(on getcap /srv/back/capable)"
        equal "The device" "$(on stat -c '%a %U' /srv/back/zero)" "600 root"
        equal "The rest" "$(on_sh "$describe_tree" sh /srv/back | grep -v 'program\|zero')" \
                "$(on_sh "$describe_tree" sh /srv/tree | grep -v 'program\|zero')"
        equal "The attribute" "$(on getfattr --absolute-names --only-values -n user.note /srv/back/file)" hello
        contains "The access list" "$(on getfacl -np /srv/back/file)" user:1000:rw-
        power_off bb
        on rm -rf /srv/back /var/lib/machines/bb/root/tree
}

test_names() {
        boot bb
        on_sh 'echo one >/srv/one; mkdir -p /srv/dir/deep; echo two >/srv/dir/deep/two'
        works on mctl copy-to bb /srv/one /etc/
        equal "The file" "$(inside bb cat /etc/one)" one
        # With --force, files are replaced. Directories are merged.
        on_sh 'echo other >/srv/one'
        refused 1 "'one'" on mctl copy-to bb /srv/one /etc/one
        equal "The file" "$(inside bb cat /etc/one)" one
        works on mctl copy-to --force bb /srv/one /etc/one
        equal "The file" "$(inside bb cat /etc/one)" other
        works on mctl copy-to bb /srv/dir /tmp/dir
        on_sh 'rm /srv/dir/deep/two; echo three >/srv/dir/deep/three'
        works on mctl copy-to bb /srv/dir /tmp/dir
        equal "The directory" "$(inside_sh bb 'cd /tmp/dir/deep && echo *')" "three two"
        # Relative paths of the host begin at the working directory.
        works on_sh 'cd /srv && mctl copy-to bb one /tmp/relative && mctl copy-from bb /tmp/relative back && cat back'
        equal stdout "$out" other

        # 'mctl cp' works like 'docker cp'.
        works on_sh 'cd /srv && mctl cp one bb:/tmp && mctl cp bb:/tmp/one /srv/dir && cat dir/one'
        equal stdout "$out" other
        works on mctl cp /srv/one bb:/tmp/one
        works on mctl cp bb:/tmp/one /srv/new
        equal "The file" "$(on cat /srv/new)" other
        refused 2 "One of the two" on mctl cp /srv/one /srv/two
        refused 2 "One of the two" on mctl cp bb:/x bb:/y
        refused 2 "absolute" on mctl cp /srv/one bb:x
        refused 1 "Cannot open '/srv/nothing'" on mctl copy-to bb /srv/nothing /tmp/x
        refused 1 "Cannot open '/nothing' in the machine" on mctl copy-to bb /srv/one /nothing/x
        refused 1 "Cannot open '/nothing' in the machine" on mctl copy-from bb /nothing /srv/x
        refused 1 "no name" on mctl copy-to bb /srv/one /tmp/..
        # A slash at the end of the source, which completion adds, changes nothing.
        works on mctl copy-to bb /srv/dir/ /tmp/slash
        inside_sh bb 'mkdir -p /srv'
        works on mctl copy-to bb /srv/dir/
        equal "The directory" "$(inside bb cat /srv/dir/deep/three)" three
        inside_sh bb 'rm -rf /srv'
        refused 2 "absolute" on mctl copy-to bb /srv/one x
        refused 1 "No machine 'nobody'" on mctl copy-to nobody /srv/one /x
        refused 2 "Invalid name" on mctl copy-to .. /srv/one /x
        power_off bb
        on_sh 'rm -rf /srv/one /srv/new /srv/dir /srv/back /var/lib/machines/bb/etc/one'
}

# No symbolic link in a machine leads a copy out of the machine.
test_copies_stay_inside() {
        boot bb
        on_sh 'echo secret >/srv/secret; rm -rf /srv/out'
        inside_sh bb 'ln -s /srv /way; ln -s /proc/1/root/srv /magic; ln -s /srv/secret /link; mkdir /here'
        refused 1 "in the machine" on mctl copy-from bb /way/secret /srv/out
        refused 1 "in the machine" on mctl copy-from bb /magic/secret /srv/out
        refused 1 "in the machine" on mctl copy-to bb /srv/secret /way/x
        works on mctl copy-from bb /link /srv/out
        equal "The link" "$(on readlink /srv/out)" /srv/secret
        empty "What is new on the host" "$(on_sh 'find /srv -newer /srv/secret -type f -name x')"
        # During a copy, the machine exchanges a directory and a symbolic link.
        on nsenter --target "$(leader_of bb)" --all --wd=/ -- /bin/sh -c \
                'i=0; while [ $i -lt 4000 ]; do mv /here /there; ln -s /srv /here; rm /here; mv /there /here; i=$((i + 1)); done' &
        local racer=$!
        for _ in 1 2 3 4 5 6 7 8; do
                try on mctl copy-to --force bb /srv/secret /here/swapped
                try on mctl copy-from --force bb /here /srv/race
        done
        wait "$racer" || :
        empty "What came to the host" "$(on_sh 'ls /srv/swapped 2>/dev/null || :')"
        empty "What was read of the host" "$(on_sh 'find /srv/race -type f ! -name swapped -exec grep -l secret {} + 2>/dev/null || :')"
        power_off bb
        on_sh 'rm -rf /srv/secret /srv/out /srv/race; cd /var/lib/machines/bb; rm -rf way magic link here there'
}

# A copy that fails reports an error, and leaves no incomplete file.
test_copies_that_fail() {
        boot bb
        inside_sh bb 'mkdir /small; mount -t tmpfs -o size=1m none /small'
        refused 1 "No space left" on mctl copy-to bb /srv/tree /small/tree
        empty "What is left" "$(inside bb ls -A /small)"
        # The worker is killed during a copy.
        on_sh 'mkfifo /srv/wait 2>/dev/null; head -c 300M /dev/zero >/srv/huge'
        on_sh 'for i in $(seq 100); do systemctl kill -s KILL "mctl-work-*" 2>/dev/null; sleep 0.02; done' &
        local killer=$!
        refused 1 "did not finish" on mctl copy-to bb /srv/huge /root/huge
        wait "$killer"
        empty "What has the name" "$(inside_sh bb 'ls /root/huge 2>/dev/null || :')"
        power_off bb
        empty "What runs yet" "$(on systemctl list-units --no-legend --plain 'mctl-work-*')"
        on_sh 'rm -f /srv/wait /srv/huge; find /var/lib/machines/bb/root -name ".#*" -delete'
}

# If a mounted file belongs to no user of the machine, copies neither read nor write it.
test_files_of_others() {
        on_sh 'mkdir -p /run/theirs /run/small; echo secret >/run/theirs/file; chmod 700 /run/theirs; chown -R 1500:1500 /run/theirs; echo x >/run/one'
        boot bb --bind=/run/theirs:/mnt:noidmap
        inside_sh bb 'mkdir /tmp/d && mount --bind /mnt /tmp/d'
        refused 1 "Permission denied" on mctl copy-to bb /run/one /mnt/one
        refused 1 "Permission denied" on mctl copy-to --force bb /run/one /tmp/d/file
        refused 1 "Permission denied" on mctl copy-from bb /mnt/file /run/stolen
        refused 1 "Permission denied" on mctl copy-from bb /tmp /run/stolen
        equal "The file" "$(on cat /run/theirs/file)" secret
        empty "What was read" "$(on_sh 'find /run/stolen -name file 2>/dev/null || :')"
        power_off bb
        # A machine that a user has registered can be a process in the namespaces of the host.
        rule 'action.id == "org.freedesktop.machine1.register-machine"'
        on systemctl mask systemd-machined
        on systemctl restart mctl-registryd
        on systemd-run -q --unit=hers --uid=alice -p KillSignal=SIGKILL unshare -Urm sleep 1000
        works on_user alice busctl call org.freedesktop.machine1 /org/freedesktop/machine1 org.freedesktop.machine1.Manager \
                RegisterMachine sayssus hers 0 test container "$(property hers.service MainPID)" ""
        refused 1 "not supported" on mctl copy-to hers /run/one /tmp/x
        refused 1 "not supported" on mctl bind hers /run/theirs /tmp
        refused 1 "not supported" on mctl copy-from hers /etc/shadow /run/stolen
        no_rule
        on systemctl stop hers
        on systemctl reset-failed
        on systemctl unmask systemd-machined
        on systemctl restart mctl-registryd
        on rm -rf /run/theirs /run/one /run/stolen
}

# During a copy, the machine mounts other files on the new names: the copy does not change these files.
test_race_of_nodes() {
        local before

        on_sh 'mkdir -p /run/many; cd /run/many; for i in $(seq -w 1000); do mkfifo f$i; done'
        boot bb
        before=$(on stat -c %u:%g:%a /run/systemd/notify)
        inside_sh bb 'mkdir /tmp/x'
        on nsenter --target "$(leader_of bb)" --all --wd=/ -- /bin/sh -c \
                'i=0; while [ $i -lt 300 ]; do for f in /tmp/x/.#mctl-*/f0[0-9][0-9][05]; do mount --bind /run/host/notify "$f" 2>/dev/null; done; i=$((i + 1)); done' &
        local racer=$!
        for _ in 1 2 3; do
                try on mctl copy-to bb /run/many /tmp/x/many
                inside_sh bb 'umount /tmp/x/many/* /tmp/x/.#mctl-*/* 2>/dev/null || :; rm -rf /tmp/x/many /tmp/x/.#mctl-* || :'
        done
        wait "$racer" || :
        equal "Whose the socket is" "$(on stat -c %u:%g:%a /run/systemd/notify)" "$before"
        power_off bb
        on rm -rf /run/many
}

test_bind() {
        boot bb
        on_sh 'mkdir -p /run/data; echo seen >/run/data/file; chown 5:5 /run/data/file'
        refused 1 "/mnt/data" on mctl bind bb /run/data /mnt/data
        works on mctl bind --mkdir bb /run/data /mnt/data
        equal "What is seen" "$(inside bb cat /mnt/data/file)" seen
        # Owners are the same on both sides, also of new files.
        equal "The owner" "$(inside bb stat -c %u:%g /mnt/data/file)" 5:5
        inside_sh bb 'echo new >/mnt/data/new; chown 6:6 /mnt/data/new'
        equal "The owner" "$(on stat -c %u:%g /run/data/new)" 6:6
        # To bind twice equals to bind once: one unbind is enough. Another source is another mount.
        works on mctl bind bb /run/data /mnt/data
        works on mctl bind --read-only bb /run/data /mnt/data
        equal "How many mounts there are" "$(inside bb grep -c ' /mnt/data ' /proc/self/mountinfo)" 2
        works on mctl unbind bb /mnt/data
        works on mctl unbind bb /mnt/data
        empty "What is seen" "$(inside bb ls /mnt/data)"
        refused 1 "Nothing" on mctl unbind bb /mnt/data

        # Root inside cannot write to a read-only bind.
        works on mctl bind --read-only --mkdir bb /run/data/file /mnt/one
        equal "What is seen" "$(inside bb cat /mnt/one)" seen
        try inside_sh bb 'echo x >/mnt/one'
        contains stderr "$err" "Read-only"
        try inside_sh bb 'mount -o remount,rw,bind /mnt/one && echo x >/mnt/one'
        differ "The exit status" "$status" 0
        equal "The file" "$(on cat /run/data/file)" seen
        works on mctl unbind bb /mnt/one

        # Symbolic links in the destination are resolved inside the machine.
        inside_sh bb 'mkdir /run/x; ln -s /run/x /out; ln -s /proc/1/root /rootlink'
        works on mctl bind --mkdir bb /run/data /out/data
        equal "What is seen" "$(inside bb cat /run/x/data/file)" seen
        equal "The mounts of the host" "$(on_sh 'grep -c run/data /proc/self/mountinfo || :')" 0
        refused 1 "id-mapped" on mctl bind bb /srv /mnt
        refused 1 "Cannot bind '/srv/nothing'" on mctl bind bb /srv/nothing /mnt
        refused 1 "No machine 'nobody'" on mctl bind nobody /run/data /mnt
        refused 2 "does not go with" on mctl bind --volatile=yes bb /run/data /mnt
        power_off bb
        empty "The mounts of the host" "$(on_sh 'grep mctl/stage /proc/self/mountinfo || :')"
        on_sh 'rm -rf /run/data; cd /var/lib/machines/bb; rm -rf out rootlink mnt/*'

        # A machine without a user namespace.
        boot bb --private-users=no
        on_sh 'mkdir -p /run/data; echo seen >/run/data/file'
        works on mctl bind --mkdir bb /run/data /mnt/data
        equal "What is seen" "$(inside bb cat /mnt/data/file)" seen
        power_off bb
        on_sh 'rm -rf /run/data'
}

test_who_may() {
        boot bb
        try on_user alice mctl --no-ask-password copy-from bb /etc/passwd /tmp/x
        equal "The exit status" "$status" 1
        try on_user alice mctl --no-ask-password bind bb /etc /mnt
        equal "The exit status" "$status" 1
        rule 'action.id == "org.mctl.Registry1.start-machine" && action.lookup("verb") == "copy-to" && action.lookup("machine") == "bb" && action.lookup("dest") == "/tmp/granted"'
        works on_user alice mctl --no-ask-password copy-to bb /etc/hostname /tmp/granted
        equal "The file" "$(inside bb cat /tmp/granted)" "$(on cat /etc/hostname)"
        try on_user alice mctl --no-ask-password copy-to bb /etc/hostname /tmp/other
        equal "The exit status" "$status" 1
        no_rule
        power_off bb
}

# Calls beyond the limit of workers are refused, and do not wait.
test_many() {
        boot bb
        on_sh 'head -c 20M /dev/zero >/srv/some'
        on_sh 'for i in $(seq 90); do mctl copy-to bb /srv/some /tmp/$i 2>/tmp/err.$i & done; wait
                cat /tmp/err.* | sort | uniq -c >/tmp/errors; rm /tmp/err.*'
        try on cat /tmp/errors
        [ -z "$out" ] || contains "The errors" "$out" "jobs are running already"
        lacks "The errors" "$out" "did not finish"
        matches "How many were copied" "$(inside_sh bb 'ls /tmp | wc -l')" '^ *[6-9][0-9]$'
        works on mctl list
        power_off bb
        on rm /srv/some
}

run_tests
