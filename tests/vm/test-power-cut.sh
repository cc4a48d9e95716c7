#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The power goes while images are changed and machines start, at several moments of each; and what was not flushed is gone, or
# on disk in part. Afterwards all is whole or not there, nothing is left lying about, and machines start.

# shellcheck disable=SC2016 # dollars that are for a shell elsewhere
export MCTL_HOSTS=vm
# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../host/lib.sh"
# A flush of one disk does not flush the other disk.
store_type=${store_type:-ext4}
host_options=(--keep "--machines=$store_type")
# Of a subvolume, a clone is a snapshot.
[ "$store_type" = btrfs ] && copies="" || copies=--copy
store=/var/lib/machines
seed=0

# --- on the host ---------------------------------------------------------------------------------------------------

# Prints the contents of a tree, without files that differ in each copy, that a start of mctl adds, or that a test
# writes.
fingerprint_script='#!/bin/sh
cd "$1" && {
        find . -type f -print0 | grep -zv "^./etc/\(machine-id\|localtime\|count.*\)$" | sort -z | xargs -0 sha256sum
        find . -printf "%p %y %m %U %G %l\n" | grep -v "^./etc/\(machine-id\|localtime\|count[^ ]*\) " | sort
} | sha256sum | cut -c 1-16'

# Prints the contents of each image, and whether the image boots.
look_script='#!/bin/sh
mctl images --json | jq -r ".[] | [.Name, .Machine] | @tsv" | while read -r image machine; do
        [ "$image" != lost+found ] || continue
        if [ -n "$machine" ]; then
                echo "$image busy"
                continue
        fi
        mctl -q mount --read-only "$image" /mnt && print=$(fingerprint /mnt) && umount /mnt || print=broken
        mctl run --rm "$image" true </dev/null && runs=runs || runs=fails
        echo "$image $print $runs"
done'

# Prints files in the store that should not be there.
hidden_script='#!/bin/sh
cd /var/lib/machines && ls -A | grep "^[.]#mctl-"
for layer in $(ls -A .#mctl.layers 2>/dev/null); do
        grep -qs "\"$layer\"" ./*.stack/manifest.json || echo "$layer"
done'

# What takes a while: some hundred files.
prepare_host() {
        on_sh 'cp -a "$1/bb" /root/tree && mkdir /root/tree/data && cd /root/tree/data &&
                head -c 12M /dev/urandom | split -b 24K -a 3 - f. && printf "%032x\n" 7 >/root/tree/etc/machine-id &&
                tar -C /root/tree -cf /root/tree.tar . && mctl import /root/tree keep' sh $store
        printf '%s\n' "$fingerprint_script" | put_file /usr/local/bin/fingerprint 755
        printf '%s\n' "$look_script" | put_file /usr/local/bin/look 755
        printf '%s\n' "$hidden_script" | put_file /usr/local/bin/hidden 755
        print=$(on fingerprint /root/tree)
}

# begin NAME COMMAND... starts a command on the host. is_done later tells whether the command had reported its
# success.
begin() {
        local name=$1
        shift

        (
                on "$@" >"$done_dir/$name.out" 2>&1 && : >"$done_dir/$name"
        ) &
}

is_done() {
        [ -e "$done_dir/$1" ]
}

# Prints the time of a command on the host without a power cut, in seconds.
time_of() {
        local began=$EPOCHREALTIME

        "$@" >/dev/null
        report_seconds "$began"
}

part_of() {
        awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a * b }'
}

# Checks the file system after its journal was replayed, before any other change.
check_disk() {
        local copy status=0

        copy=$(mktemp -p "${1%/*}")
        cp --sparse=always "$1" "$copy"
        echo copied
        if [ "$(blkid -o value -s TYPE "$copy")" = btrfs ]; then
                btrfs check --readonly "$copy" || status=1
        else
                e2fsck -p "$copy" || [ $? = 1 ] || status=1
                e2fsck -fn "$copy" || status=1
        fi
        rm -f "$copy"
        return "$status"
}

# Cuts the power, and begins to check the disks.
cut() {
        local disk

        seed=$((seed + 1))
        "$host_command" cut "$host" $seed
        wait
        checkers=()
        rm -f "$done_dir"/*.fsck
        for disk in root machines; do
                check_disk "$("$host_command" disk "$host" $disk)" >"$done_dir/$disk.fsck" 2>&1 &
                checkers+=($!)
        done
        while [ "$(cat "$done_dir"/*.fsck 2>/dev/null | grep -c '^copied$')" -lt 2 ]; do
                sleep 0.1
        done
}

# again [OPTION] boots the host after the cut.
again() {
        local checker

        "$host_command" again "$host" "$@"
        for checker in "${checkers[@]}"; do
                wait "$checker" || fail "fsck: $(cat "$done_dir"/*.fsck)"
        done
}

cut_after() {
        sleep "$1"
        cut
        again
        empty "What the kernel says" "$(on dmesg | grep "EXT4-fs error\|BTRFS error\|BTRFS critical" || :)"
        echo "Done at the cut ($1 s): $(find "$done_dir" -type f ! -name '*.*' -printf '%f\n' | sort | tr '\n' ' ')"
        echo "In the store: $(on ls -A $store $store/.#mctl.layers | tr '\n' ' ')"
}

# Sets what "look" says, after a command that changes images.
look() {
        works on mctl read-only keep
        works on mctl read-only keep no
        empty "What is hidden" "$(on hidden || :)"
        works on look
        looks=$out
        lacks "The images" "$out" " broken "
        lacks "The images" "$out" " fails"
        contains "The images" "$looks" "keep $print runs"
}

# print_of IMAGE prints the contents of an image, and nothing for a missing image.
print_of() {
        awk -v name="$1" '$1 == name { print $2 }' <<<"$looks"
}

# whole_or_none IMAGE OPERATION: with all that the tree has, or not there; and there once that was said to be so.
whole_or_none() {
        local found
        found=$(print_of "$1")

        ! is_done "$2" || differ "What image '$1' has, which was done" "$found" ""
        [ -z "$found" ] || equal "What image '$1' has" "$found" "$print"
}

each_moment() {
        local function=$1 part
        shift

        for part in "$@"; do
                done_dir=$(mktemp -d)
                "$function" "$part"
                rm -r "$done_dir"
        done
}

# --- the store -----------------------------------------------------------------------------------------------------

fresh_store() {
        on_sh 'for image in $(mctl images --json | jq -r ".[].Name"); do
                        case $image in bb | keep | lost+found) ;; *) mctl -q remove "$image" ;; esac
                done
                for image in a x y; do
                        mctl -q clone $1 --keep-identity keep $image
                done
                mctl -q clone y z
                sync' sh "$copies"
}

change_store() {
        begin import-tree mctl import /root/tree from-tree
        begin import-tar mctl import /root/tree.tar from-tar
        begin clone mctl clone a b
        begin copy mctl clone --copy keep copied
        begin remove mctl remove x
        begin remove-stack mctl remove z
}

wait_for_store() {
        change_store
        wait
}

cut_store() {
        local image

        fresh_store
        change_store
        cut_after "$(part_of "$seconds" "$1")"
        look
        whole_or_none from-tree import-tree
        whole_or_none from-tar import-tar
        whole_or_none b clone
        whole_or_none copied copy
        # A directory, or a stack by now.
        equal "What the cloned one has" "$(print_of a)" "$print"
        equal "What the sibling of the removed one has" "$(print_of y)" "$print"
        for image in x:remove z:remove-stack; do
                ! is_done "${image#*:}" || empty "What removed image '${image%:*}' has" "$(print_of "${image%:*}")"
                [ -z "$(print_of "${image%:*}")" ] || equal "What '${image%:*}' has" "$(print_of "${image%:*}")" "$print"
        done
        if [ -n "$(print_of b)" ]; then
                boot b
                works inside_sh b 'echo x >/etc/own'
                power_off b
        fi
        boot a
        power_off a
}

test_store() {
        local seconds

        fresh_store
        done_dir=$(mktemp -d)
        seconds=$(time_of wait_for_store)
        rm -r "$done_dir"
        echo "All of it takes $seconds s."
        each_moment cut_store 0.35 0.55 0.75 0.95
        fresh_store
        on mctl -q remove a x y z
}

# --- snapshots, and machines that start ----------------------------------------------------------------------------

# "s" runs and writes, with a snapshot "before"; "r" has something new since "first".
fresh_snapshots() {
        on_sh 'for image in s r; do
                        mctl -q terminate $image 2>/dev/null || :
                        while mctl list --json | grep -q "\"$image\""; do sleep 0.1; done
                        mctl -q remove $image 2>/dev/null || :
                        mctl -q clone $1 --keep-identity keep $image
                done
                mctl -q snapshot s before
                mctl -q snapshot r first
                mctl -q mount r /mnt && rm /mnt/data/f.aa[a-m] && echo new >/mnt/data/new && umount /mnt
                mctl -q boot s' sh "$copies"
        # The second file follows the first one by at most one. The cgroup of the machine is frozen.
        works on mctl exec s /bin/sh -c '(i=0; while :; do i=$((i + 1)); for f in a b; do echo $i >/etc/count.new; mv /etc/count.new /etc/count-$f; done; done) >/dev/null 2>&1 &'
        # Which has something to be copied.
        inside_sh s 'head -c 8388608 /dev/urandom >/etc/count-big; sync'
        on sync
}

change_snapshots() {
        begin snapshot mctl snapshot s during
        begin rollback mctl rollback r first
        begin start mctl boot bb --name starts
}

wait_for_snapshots() {
        change_snapshots
        wait
}

cut_snapshots() {
        local labels label found
        local -a counts

        fresh_snapshots
        change_snapshots
        cut_after "$(part_of "$seconds" "$1")"
        equal "The machines" "$(on mctl list --json)" "[]"
        look
        found=$(print_of r)
        if is_done rollback || [ "$found" != "$newer" ]; then
                equal "What it has that was rolled back" "$found" "$print"
        fi
        equal "The snapshots of that" "$(on mctl snapshots r --json | jq -r '.[].name')" first
        labels=$(on mctl snapshots s --json | jq -r '.[].name' | tr '\n' ' ')
        matches "The snapshots" "$labels" '^before (during )?$'
        ! is_done snapshot || contains "The snapshots, one of which was done" "$labels" during
        equal "What it has that ran" "$(print_of s)" "$print"
        for label in $labels; do
                works on mctl rollback s "$label"
                works on mctl mount --read-only s /mnt
                equal "What snapshot '$label' has" "$(on fingerprint /mnt)" "$print"
                if [ "$label" = during ]; then
                        works on_sh 'cd /mnt/etc && cat count-a count-b && stat -c %s count-big'
                        mapfile -t counts <<<"$out"
                        matches "How far the one is before the other" $((counts[0] - counts[1])) '^[01]$'
                        equal "The size of what takes a while" "${counts[2]}" 8388608
                fi
                works on umount /mnt
        done
        boot bb --name starts
        boot s
        power_off starts s
}

test_snapshots() {
        local seconds newer

        fresh_snapshots
        works on mctl mount --read-only r /mnt
        newer=$(on fingerprint /mnt)
        works on umount /mnt
        differ "What it has" "$newer" "$print"
        done_dir=$(mktemp -d)
        seconds=$(time_of wait_for_snapshots)
        rm -r "$done_dir"
        echo "All of it takes $seconds s."
        on_sh 'mctl -q poweroff starts; mctl -q rollback r first'
        each_moment cut_snapshots 0.35 0.6 0.9
        on_sh 'mctl -q poweroff s 2>/dev/null || :; mctl -q remove s r'
}

# --- updates -------------------------------------------------------------------------------------------------------

has_version() {
        [ "$(inside t cat /etc/version)" = "$1" ]
}

is_up() {
        [ "$(property container@t.service ActiveState)" = active ]
}

# At each moment, the update is not known to be good. So the machine has its old contents after a start with the
# host.
is_undone() {
        soon is_up
        equal "The version" "$(inside t cat /etc/version)" mine
        equal "The ID" "$(inside t cat /etc/machine-id)" 00000000000000000000000000000007
        empty "What is written down" "$(on_sh 'ls /var/lib/mctl/updates 2>/dev/null || :')"
        equal "What failed" "$(on systemctl --failed --no-legend --plain)" ""
        matches "The snapshots" "$(on mctl snapshots t --json | jq -r '.[].name' | sort | tr '\n' ' ')" '^(failed-update )?first $'
        on journalctl -b --no-pager -o short-monotonic -u mctl-undo.service -u container@t.service
}

tidy_update() {
        on_sh 'mctl -q remove-snapshot t failed-update 2>/dev/null || :; sync'
}

cut_update() {
        begin_update
        cut_after "$(part_of "$seconds" "$1")"
        is_undone
        look
        tidy_update
}

begin_update() {
        begin update mctl update t --to good --health 'sleep 100'
}

is_settled() {
        [ -z "$(on systemctl list-units --all --plain --no-legend 'mctl-update*')" ]
}

# The question is asked as soon as the registry answers, which may be after the undo.
is_undoing() {
        # shellcheck disable=SC2016
        on_sh '[ "$(systemctl show --value -p ActiveState mctl-undo.service)" = activating ] || [ -z "$(ls /var/lib/mctl/updates)" ]'
}

test_update() {
        local seconds began

        on_sh 'mctl import "$1/bb" t && mctl import "$1/bb" good && echo mine >"$1/t/etc/version"; echo two >"$1/good/etc/version"
                printf "%032x\n" 7 >"$1/t/etc/machine-id"' sh $store
        works on mctl snapshot t first
        printf '[Image]\nImage=t\n' | put_file /etc/mctl/t.machine
        works on mctl enable t
        works on mctl start t
        done_dir=$(mktemp -d)
        began=$EPOCHREALTIME
        begin_update
        soon has_version two
        seconds=$(report_seconds "$began")
        rm -r "$done_dir"
        echo "It is in its trial after $seconds s."
        works on systemctl kill -s KILL --kill-whom=main 'mctl-update-*'
        soon is_settled
        is_undone
        tidy_update
        each_moment cut_update 0.4 0.6 0.75

        # In the trial; and then while that is undone.
        done_dir=$(mktemp -d)
        begin_update
        soon has_version two
        equal "What is written down" "$(on ls /var/lib/mctl/updates)" t
        cut
        again --no-wait
        soon is_undoing
        cut_after 1
        is_undone
        contains "The snapshots" "$(on mctl snapshots t --json)" failed-update
        look
        tidy_update

        # An update that was found good is on disk, and so is the identity of the machine.
        works on mctl update t --to good
        cut_after 0
        soon is_up
        equal "The version" "$(inside t cat /etc/version)" two
        equal "The ID" "$(inside t cat /etc/machine-id)" 00000000000000000000000000000007
        empty "What is written down" "$(on_sh 'ls /var/lib/mctl/updates 2>/dev/null || :')"
        rm -r "$done_dir"
        works on mctl poweroff t
        on_sh 'mctl -q disable t; rm /etc/mctl/t.machine; systemctl daemon-reload; mctl -q remove t good'
}

run_tests
