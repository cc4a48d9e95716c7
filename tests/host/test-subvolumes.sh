#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Images on btrfs: their snapshots are subvolumes, which follow the image when it is renamed.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
host_options=("--machines=btrfs" "--with=systemd-container,strace")
store=/var/lib/machines
snapshots=$store/.#mctl.snapshots

# fresh makes a new subvolume for a test, with another subvolume inside.
fresh() {
        works on mctl import $store/bb t
        on_sh 'btrfs -q subvolume create "$1/t/inner"; echo deep >"$1/t/inner/file"' sh $store
}

subvolumes() {
        on_sh 'btrfs subvolume list "$1" | sed "s/.* path //" | sort | tr "\n" " "' sh $store
}

gone() {
        works on mctl remove t
        empty "The subvolumes" "$(subvolumes)"
        empty "What is kept" "$(on_sh 'ls -A "$1"' sh $snapshots)"
}

test_history() {
        fresh
        works on mctl snapshot t first
        refused 1 "a snapshot 'first' already" on mctl snapshot t first
        boot t
        inside_sh t 'echo new >/etc/new; rm /etc/os-release; echo x >>/etc/passwd; mkdir -p /srv/d; echo y >/srv/d/y'
        on_sh 'echo deeper >"$1/t/inner/file"' sh $store
        # The machine runs, and is frozen while the snapshot is taken.
        works on mctl snapshot t running
        refused 1 "runs from" on mctl rollback t
        power_off t
        works on mctl diff t first
        contains "What was added" "$out" "A /etc/new"
        contains "What was changed" "$out" "C /etc/passwd"
        contains "What was deleted" "$out" "D /etc/os-release"
        contains "What was changed further in" "$out" "C /inner/file"
        lacks "What is the same" "$out" " /bin/busybox"
        lacks "What is in what was added" "$out" "/srv/d/y"
        empty "What has changed since" "$(on mctl diff t)"
        works on mctl rollback t first
        equal "What it has" "$(on_sh 'ls "$1/t/etc/new" 2>&1 | grep -c "No such"; cat "$1/t/inner/file"' sh $store | tr '\n' ' ')" "1 deep "
        works on mctl rollback t running
        equal "What it has" "$(on_sh 'cat "$1/t/etc/new" "$1/t/inner/file"' sh $store | tr '\n' ' ')" "new deeper "
        try on_sh 'cd "$1"/*/first && touch x' sh "$snapshots"
        differ "The exit status of writing to a snapshot" "$status" 0
        equal "The snapshots" "$(on mctl snapshots t --json | jq -r '.[].name' | tr '\n' ' ')" "first running "
        works on mctl remove-snapshot t first
        refused 1 "no snapshot 'first'" on mctl rollback t first
        # Any tool may rename the image.
        works on machinectl rename t t2
        equal "The snapshots" "$(on mctl snapshots t2 --json | jq -r '.[].name')" running
        works on mctl rename t2 t
        works on mctl clone t u
        empty "The snapshots of a clone" "$(on mctl snapshots u --json | jq -r '.[].name')"
        equal "What it has" "$(on cat $store/u/inner/file)" deeper
        works on mctl commit t v
        equal "The type" "$(on mctl show-image v --json | jq -r '.[0].Type')" subvolume
        works on mctl remove u v
        gone
}

# A snapshot of an image that a machine writes to is consistent.
test_running() {
        fresh
        boot t
        # The writer must be in the cgroup of the machine, which is frozen.
        works on mctl exec t /bin/sh -c '(i=0; while :; do i=$((i + 1)); echo $i >/etc/n; mv /etc/n /etc/a; echo $i >/etc/n; mv /etc/n /etc/b; done) >/dev/null 2>&1 &'
        for i in 1 2 3; do
                works on mctl snapshot t "while$i"
        done
        soon inside_sh t 'a=$(cat /etc/a); sleep 0.2; [ "$a" != "$(cat /etc/a)" ]'
        power_off t
        works on mctl rollback t while2
        works on_sh '[ $(($(cat "$1/t/etc/a") - $(cat "$1/t/etc/b"))) -le 1 ]' sh $store
        gone
}

# ReplaceImage and RevertImage.
test_replaced() {
        local bus=(busctl call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1)

        fresh
        on_sh 'printf "%032x\n" 1 >"$1/t/etc/machine-id"; echo mine >"$1/t/etc/hostname"; mkdir -p "$1/t/etc/ssh"; echo key >"$1/t/etc/ssh/ssh_host_x_key"' sh $store
        works on mctl clone --keep-identity t u
        on_sh 'printf "%032x\n" 2 >"$1/u/etc/machine-id"; echo theirs >"$1/u/etc/hostname"; echo two >"$1/u/etc/version"; rm "$1/u/etc/ssh/ssh_host_x_key"' sh $store
        works on mctl snapshot t first
        boot t
        works on "${bus[@]}" ReplaceImage sss t u before
        equal "What the machine has" "$(inside t cat /etc/hostname)" mine
        try inside t cat /etc/version
        differ "The exit status" "$status" 0
        power_off t
        equal "What it has" "$(on_sh 'cat "$1/t/etc/version" "$1/t/etc/hostname" "$1/t/etc/machine-id" "$1/t/etc/ssh/ssh_host_x_key"' sh $store | tr '\n' ' ')" "two mine 00000000000000000000000000000001 key "
        equal "The snapshots" "$(on mctl snapshots t --json | jq -r '.[].name' | tr '\n' ' ')" "before first "
        works on "${bus[@]}" RevertImage sss t before after
        equal "The snapshots" "$(on mctl snapshots t --json | jq -r '.[].name' | sort | tr '\n' ' ')" "after first "
        equal "The versions" "$(on_sh 'ls "$1/t/etc/version" 2>/dev/null || echo none; cat "$2"/*/after/etc/version' sh $store "$snapshots" | tr '\n' ' ')" "none two "
        refused 1 "a snapshot 'after' already" on "${bus[@]}" ReplaceImage sss t u after
        refused 1 "cannot replace itself" on "${bus[@]}" ReplaceImage sss t t x
        refused 1 "no image 'nothere'" on "${bus[@]}" ReplaceImage sss t nothere x
        on mctl read-only t
        refused 1 "is read-only" on "${bus[@]}" ReplaceImage sss t u more
        on mctl read-only t no
        works on mctl remove u
        gone
}

# many_kills N MINIMUM: at least MINIMUM workers must have been killed, or the test has tested nothing.
many_kills() {
        echo "$1 of them were killed."
        [ "$1" -ge "$2" ] || fail "Only $1 were killed, expected at least $2."
}

# If the worker is killed at any system call, the image has its old or its new contents, and its own snapshots.
test_kills() {
        local call i status kills=0

        fresh
        on_sh 'echo old >"$1/t/etc/version"' sh $store
        works on mctl snapshot t first
        on_sh 'echo new >"$1/t/etc/version"' sh $store
        for call in ioctl renameat2 unlinkat; do
                for i in 1 2 3 4 6 8 10 12; do
                        status=0
                        on_sh 'printf "{\"work\":\"rollback\",\"request\":{\"name\":\"t\",\"snapshot\":\"first\"}}" |
                                strace -f -qq -o /dev/null -e "inject=$1:signal=KILL:when=$2" /usr/lib/mctl/mctl-worker >/dev/null 2>&1' sh "$call" "$i" || status=$?
                        kills=$((kills + (status == 137)))
                        # The next command removes the remains.
                        works on mctl read-only t no
                        equal "The snapshots after a kill in $call $i" "$(on mctl snapshots t --json | jq -r '.[].name')" first
                        matches "The version after a kill in $call $i" "$(on cat $store/t/etc/version)" '^(old|new)$'
                        equal "What is deeper" "$(on cat $store/t/inner/file)" deep
                        on_sh 'echo new >"$1/t/etc/version"' sh $store
                        equal "The subvolumes" "$(subvolumes | wc -w)" 4
                done
        done
        many_kills $kills 8
        gone
}

# If the worker is killed at any system call, each snapshot is complete, and an image that was replaced has a snapshot
# of the old contents.
test_kills_of_others() {
        local call i n kills=0

        fresh
        works on mctl import $store/bb u
        on_sh 'echo old >"$1/t/etc/version"; echo new >"$1/u/etc/version"' sh $store
        works on mctl snapshot t first
        for call in ioctl renameat2 unlinkat; do
                for i in 1 2 3 4 6 8 10 12; do
                        # shellcheck disable=SC2016
                        kills=$((kills + $(on_sh 'inject() { printf "$1" | strace -f -qq -o /dev/null -e "inject=$2:signal=KILL:when=$3" /usr/lib/mctl/mctl-worker >/dev/null 2>&1 || [ $? != 137 ] || echo killed; }
                                inject "{\"work\":\"snapshot\",\"request\":{\"name\":\"t\",\"snapshot\":\"more\"}}" "$@"
                                inject "{\"work\":\"remove-snapshot\",\"request\":{\"name\":\"t\",\"snapshot\":\"more\"}}" "$@"
                                inject "{\"work\":\"replace\",\"request\":{\"name\":\"t\",\"image\":\"u\",\"keep\":\"before\"}}" "$@"' sh $call $i | wc -l)))
                        # The next command that reads the snapshots completes the change.
                        works on mctl diff t first
                        for n in $(on mctl snapshots t --json | jq -r '.[].name'); do
                                equal "What is deeper in $n after a kill in $call $i" "$(on_sh 'cat "$1"/*/"$2"/inner/file' sh "$snapshots" "$n")" deep
                        done
                        case $(on cat $store/t/etc/version) in
                        new) works on busctl call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1 RevertImage sss t before after ;;
                        old) ;;
                        *) fail "It has neither of the two after a kill in $call $i." ;;
                        esac
                        equal "The version" "$(on cat $store/t/etc/version)" old
                        on_sh 'for s in more before after; do mctl remove-snapshot t $s 2>/dev/null || :; done'
                        equal "The snapshots" "$(on mctl snapshots t --json | jq -r '.[].name')" first
                        equal "The subvolumes" "$(subvolumes | wc -w)" 5
                done
        done
        many_kills $kills 20
        works on mctl remove u
        gone
}

# mctl enables quotas only with --enable-quotas.
test_limit() {
        on_sh 'btrfs quota disable "$1" 2>/dev/null || :' sh $store
        fresh
        refused 1 "--enable-quotas" on mctl set-limit t 20M
        works on mctl set-limit t -
        equal "The limit" "$(on mctl image-status --json t | jq -r '.[0].Limit')" null
        works on mctl set-limit --enable-quotas t 20M
        equal "The limit" "$(on mctl image-status --json t | jq -r '.[0].Limit')" 20971520
        try on_sh 'head -c 40M /dev/urandom >"$1/t/large" && sync' sh $store
        contains stderr "$err" "quota exceeded"
        on rm $store/t/large
        works on mctl clone t u
        equal "The limit of a clone" "$(on mctl image-status --json u | jq -r '.[0].Limit')" null
        works on mctl snapshot t before
        works on mctl set-limit t 30M
        works on mctl rollback t before
        equal "The limit when it was rolled back" "$(on mctl image-status --json t | jq -r '.[0].Limit')" 31457280
        works on mctl set-limit t -
        equal "The limit" "$(on mctl image-status --json t | jq -r '.[0].Limit')" null
        on mkdir $store/plain
        refused 1 "is no subvolume" on mctl set-limit --enable-quotas plain 20M
        refused 1 "is no subvolume" on mctl set-limit plain 20M
        on_sh 'btrfs quota disable "$1"; rmdir "$1/plain"; mctl remove u' sh $store
        gone
}

# If any system call fails, the old contents of the image still exist.
test_failures() {
        local call i status failures=0

        fresh
        works on mctl import $store/bb u
        on_sh 'echo old >"$1/t/etc/version"; echo new >"$1/u/etc/version"' sh $store
        works on mctl snapshot t first
        for call in ioctl renameat2 unlinkat openat fsync; do
                for i in $(case $call in openat) seq 8 3 62 ;; *) seq 8 ;; esac); do
                        status=0
                        # shellcheck disable=SC2016
                        on_sh 'printf "{\"work\":\"replace\",\"request\":{\"name\":\"t\",\"image\":\"u\",\"keep\":\"before\"}}" |
                                strace -f -qq -o /dev/null -e "inject=$1:error=EIO:when=$2" /usr/lib/mctl/mctl-worker >/dev/null 2>&1' sh "$call" "$i" || status=$?
                        failures=$((failures + (status == 1)))
                        works on mctl diff t first
                        case $(on cat $store/t/etc/version) in
                        new) works on busctl call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1 RevertImage sss t before after ;;
                        old) ;;
                        *) fail "It has neither of the two after an error of $call $i." ;;
                        esac
                        equal "The version after an error of $call $i" "$(on cat $store/t/etc/version)" old
                        on_sh 'for s in before after; do mctl remove-snapshot t $s 2>/dev/null || :; done; mctl read-only t no'
                        equal "The subvolumes" "$(subvolumes | wc -w)" 5
                done
        done
        echo "$failures of them failed."
        [ "$failures" -ge 12 ] || fail "Only $failures failed: errors were not where they were to be."
        works on mctl remove u
        gone
}

run_tests
