#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Limits of images by project quotas, which take a kernel that has them: on ext4 and on xfs.

# shellcheck disable=SC2016 # dollars that are for a shell elsewhere
export MCTL_HOSTS=vm
# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../host/lib.sh"
host_options=("--with=xfsprogs,strace")
store=/var/lib/machines

prepare_host() {
        on cp -a $store/bb /root/bb
}

# store_on TYPE [OPTION...] mounts a new file system as the store, with a busybox in it.
store_on() {
        local type=$1
        shift

        on_sh 'type=$1; shift; ! mountpoint -q /var/lib/machines || umount /var/lib/machines; rm -f /root/store; truncate -s 1G /root/store && case $type in
               ext4) mke2fs -q -t ext4 -O quota,project -E quotatype=prjquota /root/store ;;
               *) mkfs.xfs -q /root/store ;;
               esac && mount "$@" /root/store /var/lib/machines && chmod 700 /var/lib/machines && rm -rf /var/lib/machines/lost+found &&
               cp -a /root/bb /var/lib/machines/t && cd /var/lib/machines/t &&
               mkdir -p d e && ln -s ../etc d/link && mkfifo d/pipe && mknod d/null c 1 3 && echo 1 >d/file && ln d/file e/hard && chown 1000:1000 d -R &&
               chown -h 1000:1000 d/link && touch -h -d 2001-01-01 d/link d/pipe && touch -d 2001-01-01 d' sh "$type" "$@"
}

no_store() {
        on_sh 'umount /var/lib/machines && rm /root/store'
}

# write NAME MIB FILE writes in a running machine, and prints the size of the file in MiB, also after a failure.
written() {
        on_sh 'mctl exec "$1" sh -c "dd if=/dev/zero of=$3 bs=1M count=$2 2>/dev/null; sync; wc -c <$3" </dev/null | tail -n 1' sh "$@" |
                awk '{ print int($1 / 1048576) }'
}

limit_of() {
        on mctl image-status --json "$1" | jq -r '.[0].Limit'
}

holds() {
        local name=$1 least=$2 most=$3 n

        n=$(written "$name" 80 "/root/$name")
        if [ "$n" -lt "$least" ] || [ "$n" -gt "$most" ]; then
                fail "It holds $n MiB, not $least to $most."
        fi
        on mctl exec "$name" rm "/root/$name"
}

look() {
        on_sh 'cd /var/lib/machines/t && find . -printf "%p %y %m %U %G %l %n %T@ %s\n" | grep -v "^[.] " | sort'
}

limits() {
        local before

        store_on "$@"
        before=$(look)
        works on mctl set-limit t 40M
        equal "What is in it" "$(look)" "$before"
        equal "The limit" "$(limit_of t)" 41943040
        contains "What is said" "$(on mctl image-status t)" "Limit: 40.0M"
        works on mctl boot t
        holds t 30 40
        # All files of an image have one project, so files can be moved between directories.
        works on mctl exec t sh -c 'mv /d/link /d/pipe /d/file /d/null /e/ && mv /e/link /d/'
        works on mctl set-limit t 60M
        holds t 50 60
        works on mctl set-limit t -
        equal "The limit" "$(limit_of t)" null
        holds t 80 80
        # Files that the image had before must be counted again, since they may not have been counted.
        refused 1 "runs from image" on mctl set-limit t 50M
        power_off t
        works on mctl set-limit t 50M
        # A stack keeps its limit, and a clone of the stack has no limit.
        works on mctl clone t c
        equal "The limit of a stack" "$(limit_of t)" 52428800
        equal "The limit of its clone" "$(limit_of c)" null
        works on mctl boot t
        works on mctl boot c
        holds c 80 80
        holds t 30 50
        [ "$(written t 20 /root/kept)" = 20 ] || fail "It does not hold 20 MiB."
        power_off t
        works on mctl snapshot t one
        equal "The limit with a snapshot" "$(limit_of t)" 52428800
        works on mctl boot t
        holds t 10 30
        power_off t
        works on mctl rollback t one
        works on mctl boot t
        holds t 10 30
        power_off t
        power_off c
        # A stack without a limit gets a limit for its writes, which does not change limits of other images.
        works on mctl set-limit c 25M
        works on mctl boot c
        holds c 15 25
        power_off c
        works on mctl clone --copy c e
        equal "The limit of a copy" "$(limit_of e)" null
        works on mctl set-limit e 30M
        on_sh 'for i in t c e; do mctl remove "$i" || exit; done'
        empty "What is left" "$(on_sh 'ls -A /var/lib/machines | grep -v "^[.]#mctl.l"')"
        empty "What is left of layers" "$(on_sh 'ls -A /var/lib/machines/.#mctl.layers')"
        no_store
}

test_ext4() {
        limits ext4 -o prjquota
}

test_xfs() {
        limits xfs -o pquota
}

# Quotas are not switched on.
test_not_on() {
        local type

        for type in ext4 xfs; do
                store_on $type -o noquota
                refused 1 "prjquota" on mctl set-limit t 40M
                equal "The limit" "$(limit_of t)" null
                no_store
        done
        on truncate -s 10M $store/disk.raw
        refused 1 "is a disk" on mctl set-limit disk 5M
        refused 1 "No image 'nothing'" on mctl set-limit nothing 5M
        on rm $store/disk.raw
}

# After a kill of set-limit, the image has no limit, and can get one.
test_killed() {
        local i

        store_on ext4 -o prjquota
        # Another image can get the number of a removed image, but not its limit.
        on cp -a /root/bb $store/gone
        works on mctl set-limit gone 20M
        works on mctl remove gone
        for i in 3 9 20 40 80; do
                on_sh 'printf "{\"work\":\"limit\",\"request\":{\"name\":\"t\",\"limit\":41943040}}" |
                        strace -f -qq -o /dev/null -e "inject=ioctl:signal=KILL:when=$1" /usr/lib/mctl/mctl-worker >/dev/null 2>&1 || [ $? = 137 ]' sh $i
                equal "The limit" "$(limit_of t)" null
                works on mctl clone --copy t x$i
                works on mctl remove x$i
        done
        # The error names files that cannot be changed, and no change is left.
        on_sh 'cp -a /root/bb "$1/fixed" && touch "$1/fixed/etc/kept" && chattr +i "$1/fixed/etc/kept"' sh $store
        refused 1 "'etc/kept'" on mctl set-limit fixed 40M
        equal "The limit" "$(limit_of fixed)" null
        empty "What is of a project" "$(on_sh 'lsattr -p -R "$1/fixed" 2>/dev/null | grep "^ *[1-9]" || :' sh $store)"
        on chattr -i $store/fixed/etc/kept
        works on mctl read-only t
        refused 1 "is read-only" on mctl set-limit t 40M
        works on mctl read-only t no
        refused 2 "a size such as" on mctl set-limit t 0
        works on mctl set-limit t 40M
        works on mctl boot t
        holds t 30 40
        power_off t
        # Snapshots of a stack that runs count as well.
        works on mctl clone t u
        works on mctl boot t
        [ "$(written t 20 /root/kept)" = 20 ] || fail "It does not hold 20 MiB."
        works on mctl snapshot t running
        holds t 0 5
        power_off t
        works on mctl rollback t running
        works on mctl boot t
        holds t 10 20
        power_off t
        no_store
}

run_tests "$@"
