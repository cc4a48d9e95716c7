#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A second instance beside that of the system: its bus and its service manager are those of the user manager of root,
# and its directories and its store are below a directory of its own.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
host_options=(--with=dbus-user-session --tmpfs=/srv/second)

# second COMMAND... runs a command with the environment of the second instance.
second() {
        on env MCTL_SCOPE=/srv/second XDG_RUNTIME_DIR=/run/user/0 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/0/bus "$@"
}

prepare_host() {
        on_sh '
                mkdir -p /srv/second/etc /root/.config/systemd/user; mkdir -m 700 /srv/second/machines
                cp -a /var/lib/machines/bb /srv/second/machines/other
                cat >/root/.config/systemd/user/mctl-registryd.socket <<END
[Socket]
ListenSequentialPacket=%t/mctl/console
FileDescriptorName=console
END
                cat >/root/.config/systemd/user/mctl-registryd.service <<END
[Unit]
Requires=mctl-registryd.socket
After=mctl-registryd.socket
[Service]
Type=notify
Environment=MCTL_SCOPE=/srv/second
ExecStart=/usr/lib/mctl/mctl-registryd
FileDescriptorStoreMax=512
END
                systemctl start user@0.service'
        second systemctl --user start dbus.socket mctl-registryd.service
}

test_beside() {
        boot bb
        works second mctl images
        contains stdout "$out" other
        lacks stdout "$out" bb
        works second mctl boot other
        contains stdout "$out" "Machine 'other' is running"
        works second mctl list
        contains stdout "$out" other
        lacks stdout "$out" bb
        works on mctl list
        contains stdout "$out" bb
        lacks stdout "$out" other
        equal "The host name" "$(second mctl exec other hostname)" other
        equal "The unit" "$(second systemctl --user is-active machine-other.service)" active
        empty "The system's units" "$(on systemctl list-units --no-legend --plain 'machine-other*')"
        # Each instance has its own names, runtime directories and consoles.
        works second mctl boot other --name bb --volatile=overlay
        equal "The records" "$(on_sh 'ls /run/user/0/mctl/machines; echo; ls /run/mctl/machines' | tr '\n' ' ')" "bb other  bb "
        works second mctl console --no-stream other
        contains stdout "$out" "busybox init up"
        differ "The ranges" "$(on mctl list --json | jq '.[] | select(.name == "bb").uidBase')" "$(second mctl list --json | jq '.[] | select(.name == "bb").uidBase')"
        works second mctl poweroff other bb
        works second mctl list --json
        equal stdout "$out" "[]"
        equal "The other" "$(on mctl list --json | jq -r '.[].name')" bb
        power_off bb
}

test_store_and_files() {
        works second mctl clone other third
        works second mctl snapshot third first
        contains "The snapshots" "$(second mctl snapshots third)" first
        refused 1 "No image 'third'" on mctl boot third
        works second mctl create web other
        contains stdout "$out" /srv/second/etc/web.machine
        contains "The file" "$(second mctl cat web)" /srv/second/etc/web.machine
        refused 1 "no file" on mctl cat web
        works second mctl run --rm third cat /etc/os-release
        contains stdout "$out" BusyBox
        works second mctl remove third
        equal "The store" "$(on_sh 'ls /srv/second/machines' | tr '\n' ' ')" "other.stack "
        lacks "The system's store" "$(on ls /var/lib/machines)" third
        on rm /srv/second/etc/web.machine
}

# An invalid $MCTL_SCOPE is an error.
test_bad() {
        refused 1 MCTL_SCOPE on env MCTL_SCOPE=relative mctl list
        refused 1 MCTL_SCOPE on env -u XDG_RUNTIME_DIR MCTL_SCOPE=/srv/second mctl list
}

run_tests
