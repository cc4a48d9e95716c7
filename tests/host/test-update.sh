#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Updates: a machine is updated to another image, and the update is undone if the machine does not become healthy.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
host_options=("--machines=ext4")
store=/var/lib/machines

# Images: "t", the image to update; "good", with a new version; "bad", whose init exits; and "hangs", whose init never
# sends READY=1.
prepare_host() {
        on cp -a $store/bb $store/t
        on cp -a $store/bb $store/good
        on cp -a $store/bb $store/bad
        on_sh 'echo mine >"$1/t/etc/version"; printf "%032x\n" 7 >"$1/t/etc/machine-id"
                echo two >"$1/good/etc/version"; printf "#!/bin/sh\nexit 3\n" >"$1/bad/etc/init"
                chmod 755 "$1/bad/etc/init"; ln -sf /etc/init "$1/bad/sbin/init"; cp -a "$1/bb" "$1/hangs"
                printf "#!/bin/sh\nsleep 1000\n" >"$1/hangs/etc/init"; chmod 755 "$1/hangs/etc/init"; ln -sf /etc/init "$1/hangs/sbin/init"' sh $store
        # The first snapshot turns the directory into a stack.
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

# is_settled: no update is recorded, and no unit of an update exists.
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
        equal "What is said" "$out" "Machine 't' is up and healthy with the contents of image 'good'. Snapshot 'before-update' keeps the previous version."
        has_version two
        equal "The ID" "$(inside t cat /etc/machine-id)" 00000000000000000000000000000007
        equal "The snapshots" "$(labels)" "before-update first "
        nothing_pending
        # Later changes of the machine do not change the other image.
        inside_sh t 'echo own >/etc/version'
        equal "The version of the image" "$(on mctl run --rm good cat /etc/version)" two
        # The snapshot before-update allows a later rollback.
        power_off t
        works on mctl rollback t before-update
        boot t
        has_version mine
        again
        # The machine was off before the update, and is off afterwards.
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
        # The machine is started again with its old settings.
        works inside t grep -q " /mnt " /proc/mounts
        equal "The time to stop" "$(property machine-t.service TimeoutStopUSec)" 2s
        # The snapshot failed-update keeps the version that failed.
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
        [ "$(labels)" = "first update-trial " ] && [ "$(on systemctl is-active 'mctl-update-*')" = active ]
}

# If mctl is killed, the update continues. If the process of the update is killed, the update is undone.
test_killed() {
        boot t
        on_sh 'mctl update t --to good --health "sleep $1" >/dev/null 2>&1 &
                until [ "$(systemctl is-active "mctl-update-*")" = active ]; do sleep 0.1; done
                kill -9 $!' sh $((3 * slow))
        soon updating
        refused 1 "is running already" on mctl update t --to good
        soon is_settled
        has_version two
        again
        boot t
        on_sh '{ mctl update t --to good --health "sleep 1000" && echo "status 0" || echo "status $?"; } >/run/said 2>&1 &'
        soon updating
        refused 1 "An update of image 't' is running already" on mctl update-undo t
        on systemctl kill -s KILL --kill-whom=main 'mctl-update-*'
        soon is_settled
        has_version mine
        equal "The snapshots" "$(labels)" "failed-update first "
        contains "What is said" "$(on cat /run/said)" "The update was interrupted. The update of image 't' is undone."
        contains "What is said" "$(on cat /run/said)" "status 1"
        again
}

# If the registry is killed during an update, the update continues.
test_registry_killed() {
        boot t
        on_sh '{ mctl update t --to good --health "sleep $1" && echo "status 0" || echo "status $?"; } >/run/said 2>&1 &' sh $((2 * slow))
        soon updating
        on systemctl kill -s KILL --kill-whom=main mctl-registryd.service
        soon is_settled
        has_version two
        equal "The snapshots" "$(labels)" "before-update first "
        again
}

# Only users with the permission of polkit can update machines.
test_users() {
        boot t
        refused 1 "Not updated" on_user alice mctl update t --to good
        rule 'action.id == "org.mctl.Registry1.update-machine" && action.lookup("machine") == "t" && action.lookup("source") == "good" && action.lookup("command_line") == "true"'
        refused 1 "Not updated" on_user alice mctl update t --to bad --health true
        refused 1 "Not updated" on_user alice mctl update t --to good --health false
        works on_user alice mctl update t --to good --health true
        has_version two
        no_rule
        again
}

# The host loses power while the machine starts with the new version.
test_power_cut() {
        boot t
        on_sh 'mctl update t --to good --health "sleep 100" >/dev/null 2>&1 &'
        soon updating
        # ExecStopPost= of the unit cannot undo the update, since the program is missing.
        on_sh 'mv /usr/lib/mctl/mctl-update /usr/lib/mctl/away; systemctl kill -s KILL "mctl-update-*"
                soon sh -c "! systemctl is-active \"mctl-update-*\" | grep -q active"; mv /usr/lib/mctl/away /usr/lib/mctl/mctl-update'
        works on mctl terminate t
        soon is_gone t
        refused 1 "run 'mctl update-undo t'" on mctl update t --to good
        equal "Who may read what is written down" "$(on stat -c %a /var/lib/mctl/updates/t)" 600
        works on systemctl start mctl-undo.service
        nothing_pending
        equal "The machines" "$(on mctl list --json)" "[]"
        boot t
        has_version mine
        again
}

# The image has another name than the machine, and two machines run from it.
test_other_names() {
        boot t --name web
        boot t --name reader --read-only
        try on mctl update web --to bad
        equal "The exit status" "$status" 1
        contains stderr "$err" "The update of image 't' is undone"
        equal "The version" "$(inside web cat /etc/version)" mine
        works on mctl update web --to good
        equal "The version" "$(inside web cat /etc/version)" two
        # The other machine still runs from the old contents.
        equal "The version that it began with" "$(inside reader cat /etc/version)" mine
        refused 1 "Machine 'reader' runs from the tree of snapshot 'before-update'" on mctl remove-snapshot t before-update
        power_off web reader
        works on mctl rollback t first
        on_sh 'for s in before-update failed-update; do mctl remove-snapshot t $s 2>/dev/null || :; done'
}

# If an update is refused, the machine is not changed.
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
        refused 1 "cannot replace itself" on mctl update t --to t
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
