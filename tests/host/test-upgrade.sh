#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# An upgrade from the last release: the new version takes over the files and the running processes of the last release.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

host_options=("--machines=ext4")
store=/var/lib/machines
registry=mctl-registryd.service

why_not=""

prepare_host() {
        local status=0 text

        text=$("$test_dir/../hosts/last-release" 2>&1) || status=$?
        text=$(tail -n 1 <<<"$text")
        case $status in
        0) "$host_command" put "$host" "$text" /root/old.deb ;;
        77) why_not=$text ;;
        *) fail "The last release cannot be built: $text" ;;
        esac
        "$host_command" put "$host" "$MCTL_PACKAGE" /root/new.deb
}

# begin installs the last release on a host without any files of mctl.
begin() {
        [ -z "$why_not" ] || skip "$why_not"
        works on_sh 'systemctl stop mctl-registryd.socket mctl-registryd.service
                dpkg -P mctl 2>/dev/null
                rm -rf /run/mctl /var/lib/mctl
                dpkg -i /root/old.deb'
}

upgrade() {
        works on env DEBIAN_FRONTEND=noninteractive dpkg -i /root/new.deb
}

# next_registry restarts the registry once more: the next registry finds the state of the last one.
next_registry() {
        works on systemctl restart "$registry"
}

# machines prints the properties of machines that an upgrade does not change. The image of a failed machine is not
# among them, since the next registry does not know it.
machines() {
        on_sh 'list=$(mctl list --all --json)
                printf "%s" "$list" | jq -c "sort_by(.name)[] | [.name, .class, .state, .leader, .unit, .uuid, .uidBase, (select(.state != \"failed\") | .image)]"'
}

# images prints the properties of images that an upgrade does not change.
images() {
        on_sh 'list=$(mctl images --json); printf "%s" "$list" | jq -c "sort_by(.Name)[] | [.Name, .Type, .ReadOnly, .Machine]"'
}

said() {
        on mctl console --no-stream "$1"
}

said_has() {
        said "$1" | grep -qF -- "$2"
}

is_of_system() {
        [ "$(field "$1" os)" = "$2" ]
}

# look_at MACHINES: the machines have the same properties as before, and can be used.
look_at() {
        local name

        equal "The machines" "$(machines)" "$1"
        for name in one web typed; do
                # The last release has not written the operating system to the record.
                soon is_of_system "$name" "BusyBox test image"
                equal "What is run in $name" "$(on mctl exec "$name" echo here)" here
                works on mctl status -n 1 "$name"
                works on mctl show "$name"
        done
        contains "The log" "$(on mctl logs one)" "busybox init up"
        contains "What was said on the console" "$(said typed)" "first words"
        contains "What was said on the console" "$(said typed)" "sum 42"
        try on mctl exec --list
        contains "What runs" "$out" "one: sleep 1000"
        equal "The state of what is held" "$(on_sh 'cat "/sys/fs/cgroup$(systemctl show -P ControlGroup machine-held)/cgroup.freeze"')" 1
}

test_machines() {
        local before leader

        begin
        boot bb --name one
        printf '[Image]\nImage=bb\n[Exec]\nHostname=web.example.net\n[Files]\nVolatile=overlay\n' | put_file /etc/mctl/web.machine
        works on systemctl start container@web.service
        works on mctl run -dt --name typed bb sh -c 'PS1="> "; export PS1; echo first words; exec sh'
        soon said_has typed "first words"
        boot bb --name held --volatile=overlay
        works on mctl pause held
        works on mctl run -d --name failed bb sh -c 'exit 3'
        soon has_property machine-failed.service ActiveState failed
        works on mctl exec -d one sleep 1000
        on_sh 'mkdir -p /run/shown; echo shown >/run/shown/file'
        works on mctl bind --mkdir one /run/shown /mnt/shown
        before=$(machines)

        # A client stays attached to a console during the upgrade.
        works at_terminal '(soon mctl exec typed test -e /tmp/attached; dpkg -i /root/new.deb >/run/dpkg.log 2>&1 && echo upgraded || cat /run/dpkg.log) &
                mctl attach typed; echo "status $?"' \
                '> -> : >/tmp/attached; echo sum $((40+2))\n' 'sum 42' 'upgraded -> echo sum $((50+2))\n' 'sum 52 -> \x1d\x1d\x1d' 'status 0'
        on rm /run/dpkg.log
        look_at "$before"
        # The registry and its workers are the new versions.
        works on mctl clone bb upgraded
        works on mctl remove upgraded
        next_registry
        look_at "$before"
        contains "What was said on the console" "$(said typed)" "sum 52"
        works at_terminal 'mctl attach typed; echo "status $?"' '> -> echo sum $((60+2))\n' 'sum 62 -> \x1d\x1d\x1d' 'status 0'

        refused 1 "running already" on mctl boot bb --name one
        refused 1 "runs from" on mctl remove bb
        works on mctl set-property one MemoryMax=1G
        equal "The limit" "$(property machine-one.service MemoryMax)" 1073741824
        works on mctl copy-to one /etc/hostname /tmp/hostname
        equal "What is shown" "$(inside one cat /mnt/shown/file)" shown
        works on mctl unbind one /mnt/shown
        works on mctl kill -s CONT web
        works on mctl resume held
        equal "What is run in held" "$(on mctl exec held echo here)" here

        # After a reboot, the machine is started by the new launcher.
        leader=$(leader_of one)
        reboot one
        differ "The leader" "$(leader_of one)" "$leader"
        leader=$(leader_of web)
        works on mctl reboot web
        soon has_other_leader web "$leader"
        soon inside web true
        equal "The name of the host" "$(inside web hostname)" web.example.net

        works at_terminal 'mctl attach typed; echo "status $?"' '> -> \x15exit 5\n' 'status 5'
        on systemctl reset-failed
        soon is_gone failed
        soon is_gone typed
        works on mctl stop one
        works on systemctl stop container@web.service
        works on mctl terminate held
        soon is_gone held
        equal "The machines" "$(on mctl list --all --json)" "[]"
        on_sh 'rm -r /etc/mctl/web.machine /run/shown "$1/bb/mnt/shown"' sh $store
}

has_other_leader() {
        local leader

        leader=$(leader_of "$1")
        [ "$leader" != none ] && [ "$leader" != "$2" ]
}

# The new version ends machines that the last release has started, and no remains are left.
test_ends() {
        local name

        begin
        for name in asked stopped ended gone; do
                boot bb --name $name --volatile=overlay
        done
        boot bb --name changes --volatile=disk
        boot bb --name copy --ephemeral
        works on mctl run -d --rm --name command --init bb sleep 1000
        upgrade
        works on mctl poweroff asked
        works on systemctl stop machine-stopped.service
        works on mctl terminate ended
        works inside gone poweroff -f
        power_off changes copy command
        for name in asked stopped ended gone; do
                soon is_gone $name
        done
        empty "What is left in the store" "$(on_sh 'ls -A "$1" | grep -vx "bb\|lost+found" | while read -r file; do ls -d "$1/$file"/*; done 2>/dev/null || :' sh $store)"
        # The ranges of IDs are released; the registry releases that of a command a moment later.
        soon on_sh '[ -z "$(ls /run/mctl/users)" ]'
        boot bb --name asked
        power_off asked
}

has() {
        on mctl run --rm "$1" sh -c "$2" | tr '\n' ' '
}

layers() {
        on_sh 'ls -A "$1/.#mctl.layers" 2>/dev/null | wc -l' sh $store
}

labels() {
        on mctl snapshots "$1" --json | jq -r '.[].name' | sort | tr '\n' ' '
}

test_images() {
        local before name

        begin
        for name in kept cloned gold; do
                works on mctl clone --copy bb $name
        done
        works on mctl snapshot kept first
        boot kept
        inside_sh kept 'echo one >/etc/one; rm /etc/os-release'
        works on mctl snapshot kept second
        inside_sh kept 'echo two >/etc/two'
        works on mctl clone cloned clone
        boot clone
        inside_sh clone 'echo own >/etc/own; chown 5:6 /etc/own'
        power_off clone
        works on mctl read-only gold
        works on mctl clone gold over
        on_sh 'mkdir -p /mnt/shown'
        works on mctl mount clone /mnt/shown
        before=$(images)

        upgrade
        equal "The images" "$(images)" "$before"
        next_registry
        equal "The images" "$(images)" "$before"
        equal "The file" "$(on stat -c %u:%g /mnt/shown/etc/own)" 5:6
        works on mctl umount /mnt/shown
        # An image that a machine runs from: its contents, its snapshots, and a new snapshot.
        equal "What it has" "$(inside_sh kept 'cat /etc/one /etc/two' | tr '\n' ' ')" "one two "
        equal "The snapshots" "$(labels kept)" "first second "
        contains "What has changed" "$(on mctl diff kept first)" "A /etc/one"
        contains "What has changed" "$(on mctl diff kept first)" "D /etc/os-release"
        equal "What has changed since" "$(on mctl diff kept second | grep /etc/)" "A /etc/two"
        works on mctl snapshot kept third
        reboot kept
        refused 1 "runs from" on mctl rollback kept first
        power_off kept
        works on mctl rollback kept first
        equal "What it has" "$(has kept 'cat /etc/one 2>/dev/null; grep -c BusyBox /etc/os-release')" "2 "
        works on mctl rollback kept third
        equal "What it has" "$(has kept 'cat /etc/one /etc/two; ls /etc/os-release 2>/dev/null')" "one two "
        works on mctl rollback kept second
        equal "What it has" "$(has kept 'cat /etc/one; ls /etc/two 2>/dev/null')" "one "
        works on mctl commit kept whole
        equal "What that has" "$(has whole 'cat /etc/one')" "one "
        works on mctl remove-snapshot kept first third
        works on mctl rename kept other
        equal "What it has" "$(has other 'cat /etc/one')" "one "
        # If one of two images is removed, the other keeps the shared layers.
        works on mctl remove cloned
        equal "What the clone has" "$(has clone 'cat /etc/own; grep -c BusyBox /etc/os-release')" "own 2 "
        works on mctl clone clone again
        works on mctl remove clone
        equal "What its clone has" "$(has again 'cat /etc/own; stat -c %u:%g /etc/own')" "own 5:6 "
        refused 1 "is the base of stack" on mctl remove gold
        boot over
        works inside over touch /etc/x
        power_off over
        works on mctl remove over
        works on mctl read-only gold no
        works on mctl remove again other whole gold
        works on mctl prune
        equal "How many layers there are" "$(layers)" 0
        equal "The store" "$(on_sh 'ls -A "$1" | grep -v "^[.]#mctl[.]\|^lost+found$"' sh $store)" bb
}

# The record of an update that has not ended.
test_update_under_way() {
        begin
        works on mctl clone --copy bb t
        works on mctl clone --copy bb good
        on_sh 'echo mine >"$1/t/etc/version"; echo two >"$1/good/etc/version"' sh $store
        works on mctl snapshot t first
        boot t
        on_sh 'mctl update t --to good --health "sleep 1000" >/dev/null 2>&1 &'
        soon is_on_trial
        upgrade
        next_registry
        # The old process of the update is killed, and the new version undoes the update.
        on systemctl kill -s KILL --kill-whom=main mctl-update-t.service
        soon is_settled
        equal "The version" "$(inside t cat /etc/version)" mine
        equal "The snapshots" "$(labels t)" "failed-update first "
        power_off t
        works on mctl remove t good
        equal "How many layers there are" "$(layers)" 0
}

is_on_trial() {
        [ "$(labels t)" = "first update-trial " ] && [ "$(property mctl-update-t.service ActiveState)" = activating ]
}

is_settled() {
        [ -z "$(on_sh 'ls /var/lib/mctl/updates 2>/dev/null')" ] &&
                [ -z "$(on systemctl list-units --all --plain --no-legend 'mctl-update*')" ]
}

# Machine files and enabled machines of the last release.
test_files() {
        begin
        works on mctl create web bb --hostname=web.example.net -p MemoryMax=1G --volatile=overlay --setenv=A=b
        works on mctl enable web
        upgrade
        works on mctl verify /etc/mctl/web.machine
        contains "The file" "$(on mctl cat web)" "Hostname=web.example.net"
        equal "Whether it is enabled" "$(on systemctl is-enabled container@web.service)" enabled
        works on systemctl start machines.target
        soon inside web true
        equal "The name of the host" "$(inside web hostname)" web.example.net
        equal "The limit" "$(property container@web.service MemoryMax)" 1073741824
        works on mctl disable web
        power_off web
        on_sh 'rm /etc/mctl/web.machine; systemctl stop machines.target; systemctl daemon-reload'
}

run_tests
