#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Machines that run from disks: bare file systems and partitions, and damaged disks.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
want_debian=yes
host_options=("--with=fdisk,xfsprogs,squashfs-tools,erofs-utils,dosfstools,libblkid1")
store=/var/lib/machines
arch_root=4f68bce3-e8cd-4db1-96e7-fbcaf984b709

# make_fs FILE TYPE [SIZE] makes a file system with the busybox tree.
make_fs() {
        # shellcheck disable=SC2016
        on_sh 'cd /root && rm -rf m && mkdir m && case $2 in
                squashfs) mksquashfs /var/lib/machines/bb "$1" -quiet -no-progress >/dev/null ;;
                erofs) mkfs.erofs "$1" /var/lib/machines/bb >/dev/null 2>&1 ;;
                ext4) truncate -s "$3" "$1" && mke2fs -q -t ext4 -d /var/lib/machines/bb "$1" ;;
                *) truncate -s "$3" "$1" && "mkfs.$2" -q "$1" >/dev/null 2>&1 && mount -o loop "$1" m && cp -a /var/lib/machines/bb/. m && umount m ;;
                esac' sh "$1" "$2" "${3:-300M}"
}

# Loop devices belong to the whole machine, so only those with a file of this store count.
no_loops() {
        ! on losetup -l -n -O BACK-FILE | grep -q "$store"
}

test_file_systems() {
        local type
        local -a options

        for type in ext4 xfs btrfs; do
                make_fs "$store/d.raw" $type
                boot d
                equal "The file system" "$(inside d stat -f -c %t /)" "$(case $type in ext4) echo ef53 ;; xfs) echo 58465342 ;; btrfs) echo 9123683e ;; esac)"
                inside_sh d 'echo written >/root/file && chown 5:6 /root/file'
                equal "The owner of the root" "$(inside d stat -c %u:%g /)" 0:0
                refused 1 "writes to it" on mctl boot d --name other
                try on mctl boot d --name other --volatile=overlay
                equal "The exit status" "$status" 1
                contains stderr "$err" "The disk is attached as /dev/loop"
                on systemctl reset-failed
                reboot d
                equal "The file" "$(inside d cat /root/file)" written
                equal "Its owner" "$(inside d stat -c %u:%g /root/file)" 5:6
                power_off d
                soon no_loops
                on rm "$store/d.raw"
        done
        for type in squashfs erofs; do
                make_fs "$store/d.raw" $type
                # These machines do not write to the disk, so many of them can run.
                options=(--volatile=overlay)
                try on mctl boot d --name one "${options[@]}"
                if [ "$status" != 0 ]; then
                        # squashfs supports id-mapped mounts only from Linux 6.2 on.
                        contains stderr "$err" "$type does not support id-mapped mounts here"
                        on systemctl reset-failed
                        options+=(--private-users=identity)
                        on mctl boot d --name one "${options[@]}" >/dev/null
                fi
                on mctl boot d --name two "${options[@]}" >/dev/null
                works inside one touch /root/x
                works inside two test ! -e /root/x
                power_off one two
                # Without an overlay, the root is read-only.
                boot d "${options[@]:1}"
                ! inside d touch /root/x 2>/dev/null || fail "It was written to."
                power_off d
                soon no_loops
                on rm "$store/d.raw"
        done
}

# Machines from a read-only disk are read-only, and many of them can run.
test_read_only() {
        make_fs "$store/d.raw" ext4
        works on mctl read-only d
        boot d --name one
        boot d --name two
        ! inside one touch /root/x 2>/dev/null || fail "It was written to."
        power_off one two
        soon no_loops
        on rm -f "$store/d.raw"
}

test_listed() {
        make_fs "$store/d.raw" ext4
        boot d
        valid_json "$(on mctl list --json)" '[m["image"] for m in json if m["name"] == "d"] == ["d"]'
        contains "What is known of it" "$(on mctl list)" BusyBox
        contains "The image" "$(on mctl images)" "raw"
        valid_json "$(on mctl show-image d --json)" 'json[0]["Machine"] == "d"'
        refused 1 "runs from" on mctl remove d
        refused 1 "runs from" on mctl rename d e
        power_off d
        local m1=(org.freedesktop.machine1 /org/freedesktop/machine1 org.freedesktop.machine1.Manager)
        contains "The system on it" "$(on busctl call "${m1[@]}" GetImageOSRelease s d)" '"NAME" "BusyBox"'
        equal "Its ID" "$(on busctl call "${m1[@]}" GetImageMachineID s d | cut -d' ' -f1)" ay
        equal "Its name" "$(on busctl call "${m1[@]}" GetImageHostname s d)" 's ""'
        on_sh 'head -c 5M /dev/urandom >"$1/noise.raw"' sh "$store"
        refused 1 "no known file system" on busctl call "${m1[@]}" GetImageOSRelease s noise
        soon no_loops
        on rm "$store/noise.raw"
        equal "A command" "$(on mctl run --rm d echo hello)" hello
        works on mctl clone d e
        equal "A command in the copy" "$(on mctl run --rm e echo hello)" hello
        boot d --ephemeral
        inside d touch /root/x
        power_off d
        works on mctl remove e
        refused 1 "dry run" on mctl boot --dry-run d
        on rm "$store/d.raw"
}

partition() {
        on_sh 'cd /root && truncate -s 700M "$1" && printf "%s\n" "$2" | sfdisk -q "$1" >/dev/null' sh "$@"
}

# put DISK MIB FILE writes a file to the disk, at an offset in MiB.
put() {
        on_sh 'dd if="/root/$3" of="$1" bs=1M seek="$2" conv=notrunc,sparse status=none' sh "$@"
}

test_partitions() {
        make_fs /root/fs ext4 200M
        on_sh 'cd /root && truncate -s 50M home efi && mkdir -p h/alice && echo hers >h/alice/file && mke2fs -q -t ext4 -d h home && mkfs.vfat efi >/dev/null'
        partition "$store/d.raw" "label: gpt
start=2048, size=50M, type=uefi
start=131072, size=300M, type=$arch_root
start=1000000, size=60M, type=home"
        put "$store/d.raw" 1 efi
        put "$store/d.raw" 64 fs
        on_sh 'dd if=/root/home of="$1" bs=512 seek=1000000 conv=notrunc,sparse status=none' sh "$store/d.raw"
        on_sh 'mkdir -p /root/m && mount -o loop,offset=67108864 "$1" /root/m && mkdir -p /root/m/home /root/m/efi && umount /root/m' sh "$store/d.raw"
        boot d
        equal "The file of the other partition" "$(inside d cat /home/alice/file)" hers
        # Some kernels do not support the file system of the firmware.
        if on grep -qw vfat /proc/filesystems; then
                works inside d grep -q " /efi " /proc/mounts
        fi
        equal "Whose it is" "$(inside d stat -c %u /home/alice/file)" 0
        works inside d touch /home/new
        power_off d
        soon no_loops
        # Without a directory /efi, the ESP is mounted on /boot only if there is no partition for /boot.
        partition "$store/boot.raw" "label: gpt
start=2048, size=50M, type=uefi
start=131072, size=300M, type=$arch_root
start=1000000, size=60M, type=bc13c2ff-59e6-4262-a352-b275fd6f7172"
        # Some kernels do not support the file system of the firmware.
        on_sh 'truncate -s 50M /root/esp && mke2fs -q -t ext4 /root/esp'
        put "$store/boot.raw" 1 esp
        put "$store/boot.raw" 64 fs
        on_sh 'dd if=/root/home of="$1" bs=512 seek=1000000 conv=notrunc,sparse status=none' sh "$store/boot.raw"
        on_sh 'mount -o loop,offset=67108864 "$1" /root/m && mkdir -p /root/m/boot && umount /root/m' sh "$store/boot.raw"
        equal "The file of the partition" "$(on mctl run --rm boot cat /boot/alice/file)" hers
        soon no_loops
        # A single Linux partition is the root. With two such partitions, the root is not known.
        partition "$store/m.raw" "label: dos
start=2048, size=300M, type=83"
        put "$store/m.raw" 1 fs
        equal "A command" "$(on mctl run --rm m echo hello)" hello
        partition "$store/g.raw" "label: gpt
start=2048, size=300M, type=linux"
        put "$store/g.raw" 1 fs
        equal "A command" "$(on mctl run --rm g echo hello)" hello
        partition "$store/two.raw" "label: gpt
start=2048, size=100M, type=linux
start=409600, size=100M, type=linux"
        fails_to_run two "2 Linux partitions"
        partition "$store/none.raw" "label: gpt
start=2048, size=100M, type=swap"
        fails_to_run none "no root partition"
        partition "$store/empty.raw" "label: gpt
start=2048, size=100M, type=$arch_root"
        fails_to_run empty "Partition 1 (the root) has no known file system"
        put "$store/empty.raw" 1 efi
        fails_to_run empty "'vfat'"
        on_sh 'cp "$1/d.raw" "$1/cut.raw" && truncate -s 200M "$1/cut.raw"' sh "$store"
        fails_to_run cut "truncated"
        on_sh 'head -c 5M /dev/urandom >"$1/noise.raw"; : >"$1/nothing.raw"' sh "$store"
        fails_to_run noise "no known file system"
        fails_to_run nothing "The disk is empty"
        on_sh 'rm /root/fs /root/home /root/efi /root/esp "$1"/*.raw; rm -r /root/h' sh "$store"
        soon no_loops
}

fails_to_run() {
        try on mctl run --name "broken-$1" "$1" true
        equal "The exit status of $1" "$status" 125
        contains "What is said of $1" "$err" "$2"
        on systemctl reset-failed
}

# Hostile disks: partitions beyond the end of the disk, and damaged file systems.
test_damaged() {
        make_fs "$store/d.raw" ext4 100M
        # The superblock is kept, and the rest of the file system is overwritten by random data.
        on_sh 'head -c 90M /dev/urandom | dd of="$1/d.raw" bs=4096 seek=1 conv=notrunc status=none' sh "$store"
        fails_to_run d "cannot be mounted, as ext4"
        on rm "$store/d.raw"
        soon no_loops
}

# If a machine was killed, its disk can be used again, like after a power cut.
test_killed() {
        make_fs "$store/d.raw" ext4
        for _ in 1 2 3; do
                boot d
                inside_sh d 'echo x >>/root/log; sync'
                on mctl kill --signal=KILL d
                soon on systemctl is-failed -q machine-d.service
                on systemctl reset-failed
        done
        boot d
        equal "The lines" "$(inside d wc -l /root/log | cut -d' ' -f1)" 3
        power_off d
        soon no_loops
        on rm "$store/d.raw"
}

test_debian() {
        on_sh 'truncate -s 2G "$1/deb.raw" && mke2fs -q -t ext4 -d "$1/debian" "$1/deb.raw"' sh "$store"
        boot deb
        equal "The state of the system" "$(inside deb systemctl is-system-running)" running
        contains "The journal" "$(on mctl logs deb)" systemd
        power_off deb
        on rm "$store/deb.raw"
}

mounted() {
        on findmnt -n -r -o TARGET | grep "^/mnt" | tr '\n' ' '
}

# Images of all types can be mounted on a directory of the host.
test_mounted() {
        on mkdir -p /mnt/x
        # A directory.
        works on mctl mount bb /mnt/x
        on touch /mnt/x/here
        works on test -e $store/bb/here
        contains "The options" "$(on findmnt -n -o OPTIONS /mnt/x)" "nosuid,nodev"
        refused 1 "is mounted on '/mnt/x'" on mctl remove bb
        refused 1 "is mounted on '/mnt/x'" on mctl clone bb other
        works on mctl umount bb
        on rm $store/bb/here
        works on mctl mount bb /mnt/x --read-only
        try on touch /mnt/x/here
        differ "The exit status" "$status" 0
        works on_sh 'cd /mnt && mctl umount ./x/'
        empty "The mounts" "$(mounted)"
        # A stack.
        on cp -a $store/bb $store/s
        works on mctl snapshot s before
        works on mctl mount s /mnt/x
        on_sh 'echo one >/mnt/x/etc/one; rm /mnt/x/etc/os-release'
        try on mctl boot s
        contains stderr "$err" "is mounted on '/mnt/x'"
        refused 1 "is mounted on '/mnt/x'" on mctl rollback s
        refused 1 "is mounted on '/mnt/x'" on mctl snapshot s
        refused 1 "is mounted on '/mnt/x' already" on mctl mount s /mnt
        boot s --name reader --read-only
        power_off reader
        works on umount /mnt/x
        boot s
        equal "What was written" "$(inside s cat /etc/one)" one
        refused 1 "Machine 's' runs from image 's'" on mctl mount s /mnt/x
        power_off s
        works on mctl mount --read-only s /mnt/x
        equal "What was written" "$(on cat /mnt/x/etc/one)" one
        works on mctl umount /mnt/x
        works on mctl remove s
        # A disk.
        make_fs "$store/d.raw" ext4
        works on mctl mount d /mnt/x
        on_sh 'echo one >/mnt/x/etc/one'
        try on mctl boot d
        contains stderr "$err" "attached as /dev/loop"
        refused 1 "is mounted on '/mnt/x'" on mctl remove d
        works on mctl umount d
        soon no_loops
        boot d
        equal "What was written" "$(inside d cat /etc/one)" one
        refused 1 "runs from image" on mctl mount d /mnt/x
        power_off d
        on mctl read-only d
        refused 1 "--read-only" on mctl mount d /mnt/x
        works on mctl mount --read-only d /mnt/x
        refused 1 "Cannot unmount '/mnt/x': Device or resource busy" on_sh 'cd /mnt/x && mctl umount d'
        works on mctl umount d
        soon no_loops
        works on mctl remove d
        # Errors: no such image, no such directory.
        refused 1 "No image 'nothere'" on mctl mount nothere /mnt/x
        refused 1 "Cannot mount on '/mnt/nothere'" on mctl mount bb /mnt/nothere
        refused 1 "Cannot mount on '/etc/passwd'" on mctl mount bb /etc/passwd
        refused 1 "No image is mounted on '/proc'" on mctl umount /proc
        refused 1 "is not mounted" on mctl umount bb
        refused 1 "authentication is required" on_user alice mctl --no-ask-password mount bb /mnt/x
        empty "The mounts" "$(mounted)"
}

run_tests
