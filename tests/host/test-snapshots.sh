#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Snapshots of images: snapshot, rollback and diff.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
host_options=("--machines=ext4")
store=/var/lib/machines

prepare_host() {
        on cp -a $store/bb /root
}

# fresh makes a new image for a test.
fresh() {
        # shellcheck disable=SC2016
        on_sh 'mctl remove t 2>/dev/null || :; cp -a /root/bb "$1/t"' sh $store
}

gone() {
        works on mctl remove t
        equal "How many layers there are" "$(on_sh 'ls -A "$1/.#mctl.layers" | wc -l' sh $store)" 0
}

has() {
        on mctl run --rm t sh -c "$1" | tr '\n' ' '
}

test_stopped() {
        fresh
        works on mctl snapshot t first
        equal "What is said" "$out" first
        refused 1 "a snapshot 'first' already" on mctl snapshot t first
        refused 1 "can be called" on mctl snapshot t ../x
        boot t
        inside_sh t 'echo new >/etc/new; rm /etc/os-release; echo x >>/etc/passwd; mkdir -p /srv/d; echo y >/srv/d/y; rm -rf /usr/lib; mkdir -p /usr/lib'
        refused 1 "runs from" on mctl rollback t
        power_off t
        works on mctl diff t
        contains "What was added" "$out" "A /etc/new"
        contains "What was added" "$out" "A /srv/d/y"
        contains "What was changed" "$out" "C /etc/passwd"
        contains "What was deleted" "$out" "D /etc/os-release"
        lacks "What is the same" "$out" " /bin/busybox"
        lacks "A directory on the way" "$out" $' /etc\n'
        valid_json "$(on mctl diff t --json)" '{"change": "A", "path": "/etc/new"} in json'
        works on mctl snapshot t
        matches "A name" "$out" '^20[0-9-]+T[0-9:]+Z$'
        equal "The snapshots" "$(on mctl snapshots t --json | jq -r '.[].name' | head -1)" first
        equal "How many there are" "$(on mctl snapshots t --json | jq length)" 2
        empty "What has changed since" "$(on mctl diff t)"
        contains "What has changed since the first" "$(on mctl diff t first)" "A /etc/new"
        boot t
        inside_sh t 'rm /etc/new; echo newer >/etc/newer'
        power_off t
        equal "What has changed since the last" "$(on mctl diff t | grep /etc/ | tr '\n' ' ')" "D /etc/new A /etc/newer "
        works on mctl rollback t
        equal "What it has" "$(has 'cat /etc/new; ls /etc/newer 2>&1 | grep -c "No such"')" "new 1 "
        works on mctl rollback t first
        equal "What it has" "$(has 'ls /etc/new /srv/d 2>&1 | grep -c "No such"; grep -c BusyBox /etc/os-release')" "2 2 "
        # A rollback can be repeated.
        works on mctl rollback t
        equal "What it has" "$(has 'cat /etc/new')" "new "
        refused 1 "no snapshot 'x'" on mctl rollback t x
        refused 1 "no snapshot 'x'" on mctl diff t x
        works on mctl remove-snapshot t first
        equal "How many there are" "$(on mctl snapshots t --json | jq length)" 1
        equal "What it has" "$(has 'cat /etc/new')" "new "
        works on mctl commit t u
        equal "The type" "$(on mctl show-image u --json | jq -r .[0].Type)" directory
        equal "What it has" "$(on cat $store/u/etc/new)" new
        works on mctl remove u
        gone
}

# A machine is frozen while a snapshot is taken, and continues afterwards.
test_running() {
        fresh
        works on mctl snapshot t first
        boot t
        # The writer must be in the cgroup of the machine, which is frozen.
        works on mctl exec t /bin/sh -c 'echo one >/etc/one; (i=0; while :; do i=$((i + 1)); echo $i >/etc/n; mv /etc/n /etc/a; echo $i >/etc/n; mv /etc/n /etc/b; done) >/dev/null 2>&1 &'
        for i in 1 2 3; do
                works on mctl snapshot t "while$i"
        done
        equal "The state" "$(field t state)" running
        soon inside_sh t 'a=$(cat /etc/a); sleep 0.2; [ "$a" != "$(cat /etc/a)" ]'
        inside_sh t 'rm /etc/one; echo two >/etc/two'
        contains "What has changed since" "$(on mctl diff t)" "D /etc/one"
        power_off t
        works on mctl rollback t while1
        equal "What it has" "$(has 'cat /etc/one; ls /etc/two 2>&1 | grep -c "No such"; [ $(($(cat /etc/a) - $(cat /etc/b))) -le 1 ] && echo whole')" "one 1 whole "
        works on mctl rollback t while3
        equal "What it has" "$(has 'cat /etc/one')" "one "
        # If the worker is killed, the machine does not stay frozen.
        boot t
        inside_sh t 'dd if=/dev/urandom of=/big bs=1M count=200 2>/dev/null'
        on_sh 'mctl snapshot t killed 2>/dev/null &
                timeout 30 sh -c "until grep \"frozen 1\" /sys/fs/cgroup/machine.slice/machine-t.service/cgroup.events; do :; done" >/dev/null
                systemctl kill -s KILL "mctl-work-*"; wait'
        soon works inside t true
        equal "The state" "$(field t state)" running
        refused 1 "no snapshot 'killed'" on mctl diff t killed
        power_off t
        gone
}

test_others() {
        fresh
        boot t
        refused 1 "power it off for that" on mctl snapshot t
        power_off t
        works on mctl snapshot t kept
        works on mctl clone t t2
        # A clone has no snapshots of the image. If one of both is removed, the other keeps the shared layers.
        empty "The snapshots" "$(on mctl snapshots t2 --json | jq -r '.[].name')"
        works on mctl remove t
        equal "A command" "$(on mctl run --rm t2 echo hello)" hello
        works on mctl remove t2
        on_sh 'truncate -s 1M "$1/disk.raw"' sh $store
        refused 1 "has no snapshots" on mctl snapshot disk
        refused 1 "no snapshots" on mctl rollback disk
        works on mctl remove disk
        refused 1 "No image" on mctl snapshot nothere
        refused 1 "No image" on mctl diff nothere
        equal "How many layers there are" "$(on_sh 'ls -A "$1/.#mctl.layers" | wc -l' sh $store)" 0
        rule 'action.id == "org.mctl.Registry1.manage-images" && action.lookup("verb") == "snapshot"'
        fresh
        works on_user alice mctl snapshot t hers
        no_rule
        refused 1 "authentication is required" on_user alice mctl --no-ask-password rollback t hers
        gone
}

run_tests
