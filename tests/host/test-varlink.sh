#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What newer clients ask over varlink and others over D-Bus: it is the same, and so is who may.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
host_options=("--with=socat")
machine_socket=/run/systemd/machine/io.systemd.Machine

# varlink_fd METHOD PARAMETERS PYTHON: prints the answer, and runs what is done with the descriptor that comes with it, "fd".
varlink_fd() {
        on python3 -c 'import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect("/run/systemd/machine/io.systemd.Machine")
s.sendall(("{\"method\":\"%s\",\"parameters\":%s}\0" % (sys.argv[1], sys.argv[2])).encode())
data, fds, *_ = socket.recv_fds(s, 65536, 1)
while not data.endswith(b"\0"):
    data += s.recv(65536)
print(data[:-1].decode())
fd = fds[0] if fds else -1
exec(sys.argv[3])' "$@"
}

# varlink_as USER SOCKET METHOD PARAMETERS
varlink_as() {
        local user=$1
        shift

        # shellcheck disable=SC2016
        on_user "$user" sh -c 'printf "{\"method\":\"%s\",\"parameters\":%s}\0" "$2" "$3" | socat -t 2 - "UNIX-CONNECT:$1"' sh "$@" | tr -d '\0'
}

# What acts on machines over varlink is the same as over D-Bus, and so is who may.
test_machines() {
        local text

        boot bb
        works on mctl list
        on_sh 'mkdir -p /run/shown && echo shown >/run/shown/file && echo copied >/root/copied'
        equal "The answer" "$(varlink $machine_socket io.systemd.Machine.BindMount '{"name":"bb","source":"/run/shown","destination":"/mnt/shown","mkdir":true}')" '{"parameters":{}}'
        equal "The file" "$(inside bb cat /mnt/shown/file)" shown
        equal "The answer" "$(varlink $machine_socket io.systemd.Machine.CopyTo '{"name":"bb","source":"/root/copied","destination":"/tmp/copied"}')" '{"parameters":{}}'
        equal "The file" "$(inside bb cat /tmp/copied)" copied
        contains "The answer" "$(varlink $machine_socket io.systemd.Machine.CopyTo '{"name":"bb","source":"/root/copied","destination":"/tmp/copied"}')" io.systemd.System
        equal "The answer" "$(varlink $machine_socket io.systemd.Machine.CopyTo '{"name":"bb","source":"/root/copied","destination":"/tmp/copied","replace":true}')" '{"parameters":{}}'
        equal "The answer" "$(varlink $machine_socket io.systemd.Machine.CopyFrom '{"name":"bb","source":"/tmp/copied","destination":"/root/back"}')" '{"parameters":{}}'
        equal "The file" "$(on cat /root/back)" copied
        contains "The answer" "$(varlink $machine_socket io.systemd.Machine.CopyTo '{"name":"nothere","source":"/x"}')" NoSuchMachine
        contains "The answer" "$(varlink $machine_socket io.systemd.Machine.CopyTo '{"name":"bb"}')" '"parameter":"source"'
        contains "The answer" "$(varlink $machine_socket io.systemd.Machine.Open '{"name":"bb","mode":"odd"}')" '"parameter":"mode"'
        text=$(varlink_fd io.systemd.Machine.OpenRootDirectory '{"name":"bb"}' 'print(sorted(os.listdir("/proc/self/fd/%i" % fd))[0:1])')
        contains "The answer" "$text" '"fileDescriptor":0'
        contains "The root" "$text" "['bin']"
        text=$(varlink_fd io.systemd.Machine.Open '{"name":"bb","mode":"tty"}' 'print(os.isatty(fd))')
        contains "The answer" "$text" /dev/pts/
        contains "The terminal" "$text" True
        for text in Open BindMount CopyTo CopyFrom OpenRootDirectory; do
                contains "$text by a user" "$(varlink_as alice $machine_socket "io.systemd.Machine.$text" '{"name":"bb","mode":"tty","source":"/etc/hostname"}')" PermissionDenied
        done
        rule 'action.id == "org.freedesktop.machine1.manage-machines" && action.lookup("machine") == "bb" && action.lookup("verb") == "copy"'
        equal "The answer" "$(varlink_as alice $machine_socket io.systemd.Machine.CopyTo '{"name":"bb","source":"/etc/hostname","destination":"/tmp/hers"}')" '{"parameters":{}}'
        works inside bb test -e /tmp/hers
        no_rule
        power_off bb
        on rm -r /run/shown /root/copied /root/back
}

image_socket=/run/systemd/machine/io.systemd.MachineImage

test_images() {
        valid_json "$(varlink $image_socket io.systemd.MachineImage.List '{"name":"bb","acquireMetadata":"yes"}')" \
                'json["parameters"]["type"] == "directory" and json["parameters"]["class"] == "machine" and "NAME=BusyBox" in "".join(json["parameters"]["OSRelease"])'
        contains "The answer" "$(varlink $image_socket io.systemd.MachineImage.List '{}')" ExpectedMore
        contains "The answer" "$(varlink $image_socket io.systemd.MachineImage.List '{"name":"nothere"}')" NoSuchImage
        equal "The answer" "$(varlink $image_socket io.systemd.MachineImage.Clone '{"name":"bb","newName":"v1"}')" '{"parameters":{}}'
        equal "The answer" "$(varlink $image_socket io.systemd.MachineImage.Update '{"name":"v1","newName":"v2","readOnly":true}')" '{"parameters":{}}'
        contains "The image" "$(on mctl show-image v2)" ReadOnly=yes
        equal "The answer" "$(varlink $image_socket io.systemd.MachineImage.Update '{"name":"v2"}')" '{"parameters":{}}'
        contains "The answer" "$(varlink $image_socket io.systemd.MachineImage.Clone '{"name":"nothere","newName":"v3"}')" NoSuchImage
        contains "The answer" "$(varlink $image_socket io.systemd.MachineImage.SetPoolLimit '{"limit":5}')" NotSupported
        equal "The answer" "$(varlink $image_socket io.systemd.MachineImage.Remove '{"name":"v2"}')" '{"parameters":{}}'
        contains "The answer" "$(varlink_as alice $image_socket io.systemd.MachineImage.Remove '{"name":"bb"}')" PermissionDenied
        # Several at once over one connection, and one that does not wait for its answer.
        on python3 -c 'import socket
s = socket.socket(socket.AF_UNIX)
s.connect("/run/systemd/machine/io.systemd.MachineImage")
call = "{\"method\":\"io.systemd.MachineImage.%s\",\"parameters\":%s}\0"
s.sendall((call % ("Clone", "{\"name\":\"bb\",\"newName\":\"a\"}") + call % ("Remove", "{\"name\":\"a\"}") + call % ("Update", "{\"name\":\"bb\"}")).encode())
data = b""
while data.count(b"\0") < 3:
    data += s.recv(65536)
assert data == b"{\"parameters\":{}}\0" * 3, data
s.sendall((call % ("Clone", "{\"name\":\"bb\",\"newName\":\"b\"}")).encode())
s.close()'
        soon on test -e /var/lib/machines/b
        soon on mctl remove b
}

run_tests
