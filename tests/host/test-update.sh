#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Updates: a machine gets another image, and its own again where that does not do.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
host_options=("--machines=ext4")
store=/var/lib/machines

# "t" as it is, "good" with something new, "bad" whose init ends, and "hangs" whose init says nothing.
prepare_host() {
        on cp -a $store/bb $store/t
        on cp -a $store/bb $store/good
        on cp -a $store/bb $store/bad
        on_sh 'echo mine >"$1/t/etc/version"; printf "%032x\n" 7 >"$1/t/etc/machine-id"
                echo two >"$1/good/etc/version"; printf "#!/bin/sh\nexit 3\n" >"$1/bad/etc/init"
                chmod 755 "$1/bad/etc/init"; ln -sf /etc/init "$1/bad/sbin/init"; cp -a "$1/bb" "$1/hangs"
                printf "#!/bin/sh\nsleep 1000\n" >"$1/hangs/etc/init"; chmod 755 "$1/hangs/etc/init"; ln -sf /etc/init "$1/hangs/sbin/init"' sh $store
        # Which makes a stack of it.
        works on mctl snapshot t first
}

has_version() {
        equal "The version" "$(inside t cat /etc/version)" "$1"
}

labels() {
        on mctl snapshots t --json | jq -r '.[].name' | sort | tr '\n' ' '
}

again() {
        power_off t
        works on mctl rollback t first
        on_sh 'for s in before-update failed-update; do mctl remove-snapshot t $s 2>/dev/null || :; done'
}

# Until what is behind an update has been done, too.
is_settled() {
        [ -z "$(on_sh 'ls /var/lib/mctl/updates 2>/dev/null')" ] &&
                [ -z "$(on systemctl list-units --all --plain --no-legend 'mctl-update*')" ]
}

nothing_pending() {
        empty "What is written down" "$(on_sh 'ls /var/lib/mctl/updates 2>/dev/null || :')"
}

test_good() {
        boot t
        works on mctl update t --to good --health 'v=two; grep "$v" /etc/version && [ 100% != $$ ]'
        equal "What is said" "$out" "Machine 't' is up and healthy with what image 'good' has. Snapshot 'before-update' has what it was before."
        has_version two
        equal "The ID" "$(inside t cat /etc/machine-id)" 00000000000000000000000000000007
        equal "The snapshots" "$(labels)" "before-update first "
        nothing_pending
        # The image is what it was, and the machine goes its own way.
        inside_sh t 'echo own >/etc/version'
        equal "The version of the image" "$(on mctl run --rm good cat /etc/version)" two
        # The way back is there for whoever wants it later.
        power_off t
        works on mctl rollback t before-update
        boot t
        has_version mine
        again
        # It was off, and is again.
        works on mctl update t --to good --json
        valid_json "$out" 'json == {"machine": "t", "image": "t", "to": "good", "snapshot": "before-update"}'
        boot t
        has_version two
        again
        works on mctl update -q t --to good
        empty "What is said" "$out$err"
        equal "The machines" "$(on mctl list --json)" "[]"
        works on mctl rollback t first
        on mctl remove-snapshot t before-update
        nothing_left
}

test_bad() {
        on mkdir -p /srv/data
        boot t -p TimeoutStopSec=2 --bind /srv/data:/mnt:noidmap
        try on mctl update t --to bad
        equal "The exit status" "$status" 1
        contains stderr "$err" "did not come up"
        contains stderr "$err" "The update of image 't' is undone"
        has_version mine
        equal "The snapshots" "$(labels)" "failed-update first "
        nothing_pending
        try on mctl update t --to hangs --timeout 2
        contains stderr "$err" "did not come up in time"
        contains stderr "$err" "The update of image 't' is undone"
        has_version mine
        # It is what it was told to be.
        works inside t grep -q " /mnt " /proc/mounts
        equal "The time to stop" "$(property machine-t.service TimeoutStopUSec)" 2s
        # What did not do can be looked at.
        contains "What it had" "$(on mctl diff t failed-update)" " /sbin/init"
        try on mctl update t --to good --health 'echo some words; exit 3' --timeout $((2 * slow))
        equal "The exit status" "$status" 1
        contains stderr "$err" "is not healthy: the command ended with status 3"
        contains stderr "$err" "some words"
        has_version mine
        try on mctl update t --to good --health 'sleep 1000' --timeout $slow
        contains stderr "$err" "did not end in time"
        has_version mine
        nothing_pending
        again
}

test_off() {
        works on mctl update t --to good
        equal "The machines" "$(on mctl list --json)" "[]"
        boot t
        has_version two
        again
        try on mctl update t --to bad
        equal "The exit status" "$status" 1
        equal "The machines" "$(on mctl list --json)" "[]"
        boot t
        has_version mine
        again
}

test_file() {
        printf '[Image]\nImage=t\n' | put_file /etc/mctl/m.machine
        works on mctl start m
        works on mctl update m --to good
        equal "The version" "$(inside m cat /etc/version)" two
        equal "The unit" "$(field m unit)" container@m.service
        try on mctl update m --to bad
        equal "The exit status" "$status" 1
        equal "The version" "$(inside m cat /etc/version)" two
        works on mctl poweroff m
        on rm /etc/mctl/m.machine
        soon is_gone m
        works on mctl rollback t first
        on_sh 'for s in before-update failed-update; do mctl remove-snapshot t $s 2>/dev/null || :; done'
}

updating() {
        [ "$(labels)" = "first update-trial " ] && [ "$(property mctl-update-t.service ActiveState)" = activating ]
}

# Whoever asked for it may go, and whatever does it may be killed.
test_killed() {
        boot t
        on_sh 'mctl update t --to good --health "sleep $1" >/dev/null 2>&1 &
                until [ "$(systemctl show -P ActiveState mctl-update-t.service)" = activating ]; do sleep 0.1; done
                kill -9 $!' sh $((3 * slow))
        soon updating
        refused 1 "is under way" on mctl update t --to good
        soon is_settled
        has_version two
        again
        boot t
        on_sh 'mctl update t --to good --health "sleep 1000" >/dev/null 2>&1 &'
        soon updating
        on systemctl kill -s KILL --kill-whom=main mctl-update-t.service
        soon is_settled
        has_version mine
        equal "The snapshots" "$(labels)" "failed-update first "
        again
}

# The power went when the machine was starting with it.
test_power_cut() {
        boot t
        on_sh 'mctl update t --to good --health "sleep 100" >/dev/null 2>&1 &'
        soon updating
        # Nothing that would tidy up has a chance.
        on_sh 'mv /usr/bin/mctl /usr/bin/mctl.away; systemctl kill -s KILL mctl-update-t.service; sleep 0.3; mv /usr/bin/mctl.away /usr/bin/mctl'
        works on mctl terminate t
        soon is_gone t
        refused 1 "'mctl update-undo t' does" on mctl update t --to good
        equal "Who may read what is written down" "$(on stat -c %a /var/lib/mctl/updates/t)" 600
        works on systemctl start mctl-undo.service
        nothing_pending
        equal "The machines" "$(on mctl list --json)" "[]"
        boot t
        has_version mine
        again
}

# Of an image that is not called like its machine, and of two machines of one image.
test_other_names() {
        boot t --name web
        boot t --name reader --read-only
        try on mctl update web --to bad
        equal "The exit status" "$status" 1
        contains stderr "$err" "The update of image 't' is undone"
        equal "The version" "$(inside web cat /etc/version)" mine
        works on mctl update web --to good
        equal "The version" "$(inside web cat /etc/version)" two
        # The other one still runs from what it was.
        equal "The version that it began with" "$(inside reader cat /etc/version)" mine
        refused 1 "Machine 'reader' runs from what is snapshot 'before-update' now" on mctl remove-snapshot t before-update
        power_off web reader
        works on mctl rollback t first
        on_sh 'for s in before-update failed-update; do mctl remove-snapshot t $s 2>/dev/null || :; done'
}

# Nothing that is wrong with an update touches the machine.
test_refused() {
        local leader

        boot t
        leader=$(leader_of t)
        refused 1 "no image 'nothere'" on mctl update t --to nothere
        nothing_pending
        equal "The leader" "$(leader_of t)" "$leader"
        power_off t
        refused 2 "--to=IMAGE" on mctl update t
        refused 2 "a number of seconds" on mctl update t --to good --timeout soon
        refused 2 "Invalid name" on mctl update ../x --to good
        refused 1 "No image 'nothere'" on mctl update nothere --to good
        nothing_pending
        refused 1 "no image 'nothere'" on mctl update t --to nothere
        refused 1 "the image itself" on mctl update t --to t
        on truncate -s 1M $store/disk.raw
        refused 1 "of another type" on mctl update t --to disk
        on rm $store/disk.raw
        on cp -a $store/bb "$store/a b"
        works on mctl boot "a b" --name ab
        refused 1 "the name of a machine can be updated, not 'a b'" on mctl update ab --to good
        power_off ab
        works on mctl remove "a b"
        boot good
        refused 1 "writes to image 'good'" on mctl update t --to good
        power_off good
        equal "The snapshots" "$(labels)" "first "
        nothing_pending
}

run_tests
