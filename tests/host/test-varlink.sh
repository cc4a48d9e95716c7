#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Varlink for newer clients: the methods and permissions are the same as on D-Bus.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
host_options=("--with=socat")
# Only systemd-resolved of sid has resolve hooks.
[ "$suite" != sid ] || host_options=("--with=socat,systemd-resolved")
machine_socket=/run/systemd/machine/io.systemd.Machine

# The sockets exist while the registry runs.
prepare_host() {
        on mctl list >/dev/null
}

# varlink_fd METHOD PARAMETERS PYTHON prints the answer, and runs the Python code with the descriptor of the answer,
# "fd".
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

# varlink_as USER SOCKET METHOD PARAMETERS calls a method as a user.
varlink_as() {
        local user=$1
        shift

        # shellcheck disable=SC2016
        on_user "$user" sh -c 'printf "{\"method\":\"%s\",\"parameters\":%s}\0" "$2" "$3" | socat -t 2 - "UNIX-CONNECT:$1"' sh "$@" | tr -d '\0'
}

# Methods that act on machines have the same effect and the same permissions as on D-Bus.
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
        # What systemd means as "no limit" is larger than most parsers of JSON like.
        contains "The answer" "$(varlink $image_socket io.systemd.MachineImage.SetPoolLimit '{"limit":18446744073709551615}')" NotSupported
        contains "The answer" "$(varlink $image_socket io.systemd.MachineImage.SetPoolLimit '{"limit":9223372036854775808, "s": "\"18446744073709551615"}')" '{'
        equal "The answer" "$(varlink $image_socket io.systemd.MachineImage.SetPoolLimit '{"limit":18446744073709551616}')" ""
        equal "The answer" "$(varlink $image_socket io.systemd.MachineImage.Remove '{"name":"v2"}')" '{"parameters":{}}'
        contains "The answer" "$(varlink_as alice $image_socket io.systemd.MachineImage.Remove '{"name":"bb"}')" PermissionDenied
        # Several calls over one connection, and a client that does not wait for the answer.
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

# have_asked N SOCKET: N clients are connected, and the server has read their calls.
have_asked() {
        [ "$(on ss -xH state established src "$2" | awk '$2 == 0' | wc -l)" = "$1" ]
}

# Each machine has a socket of io.systemd.MachineInstance.
test_instances() {
        local socket=/run/mctl/control/bb

        boot bb
        equal "The address" "$(varlink $machine_socket io.systemd.Machine.List '{"name":"bb"}' | jq -r .parameters.controlAddress)" $socket
        equal "The answer" "$(varlink $socket io.systemd.MachineInstance.Describe '{}')" '{"parameters":{"running":true,"status":"running"}}'
        contains "The answer" "$(varlink $socket io.systemd.MachineInstance.SubscribeEvents '{}')" ExpectedMore
        # shellcheck disable=SC2016
        on_sh 'for filter in null "[\"STOP\"]" "[]"; do
                (printf "{\"method\":\"io.systemd.MachineInstance.SubscribeEvents\",\"parameters\":{\"filter\":$filter},\"more\":true}\0" | socat -t 100 - UNIX-CONNECT:$1 | tr "\0" "\n" >"/run/events$filter" 2>/dev/null &)
        done' sh $socket
        soon have_asked 3 $socket
        contains "The answer" "$(varlink_as alice $socket io.systemd.MachineInstance.Pause '{}')" PermissionDenied
        equal "The answer" "$(varlink $socket io.systemd.MachineInstance.Pause '{}')" '{"parameters":{}}'
        equal "The answer" "$(varlink $socket io.systemd.MachineInstance.Describe '{}')" '{"parameters":{"running":false,"status":"paused"}}'
        rule 'action.id == "org.freedesktop.machine1.manage-machines" && action.lookup("machine") == "bb" && action.lookup("verb") == "resume"'
        contains "The answer" "$(varlink_as alice $socket io.systemd.MachineInstance.Reboot '{}')" PermissionDenied
        equal "The answer" "$(varlink_as alice $socket io.systemd.MachineInstance.Resume '{}')" '{"parameters":{}}'
        no_rule
        equal "The answer" "$(varlink $socket io.systemd.MachineInstance.Describe '{}')" '{"parameters":{"running":true,"status":"running"}}'
        contains "The answer" "$(varlink $socket io.systemd.MachineInstance.AddStorage '{}')" io.systemd.MachineInstance.NotSupported
        contains "The answer" "$(varlink $socket io.systemd.Machine.List '{}')" MethodNotFound
        equal "The answer" "$(varlink $socket io.systemd.MachineInstance.PowerOff '{}')" '{"parameters":{}}'
        soon is_gone bb
        soon on test ! -e $socket
        equal "All events" "$(on jq -c .parameters.event /run/eventsnull | tr '\n' ' ')" '"STOP" "RESUME" "SHUTDOWN" '
        equal "The events that were asked for" "$(on jq -c .parameters.event '/run/events["STOP"]')" '"STOP"'
        empty "No events" "$(on cat '/run/events[]')"
}

# A machine is known as soon as 'mctl boot' has returned.
test_known_at_once() {
        for _ in 1 2 3 4 5; do
                on mctl boot bb >/dev/null
                equal "The answer" "$(varlink $machine_socket io.systemd.Machine.List '{"name":"bb"}' | jq -r .parameters.name)" bb
                power_off bb
        done
}

test_own_unit() {
        local pid

        on systemd-run -q --unit=theirs sleep 1000
        pid=$(property theirs.service MainPID)
        equal "The answer" "$(varlink $machine_socket io.systemd.Machine.Register \
                "{\"name\":\"theirs\",\"class\":\"container\",\"service\":\"test\",\"leader\":$pid,\"allocateUnit\":true,\"controlAddress\":\"/run/x\",\"id\":\"0123456789abcdef0123456789abcdef\"}")" '{"parameters":{}}'
        equal "The unit" "$(field theirs unit)" machine-theirs.scope
        equal "The cgroup" "$(on cut -d: -f3 "/proc/$pid/cgroup" | tail -1)" "$(on systemctl show -P ControlGroup machine-theirs.scope)"
        equal "The address" "$(varlink $machine_socket io.systemd.Machine.List '{"name":"theirs"}' | jq -r '.parameters | .controlAddress + " " + .id')" \
                "/run/x 0123456789abcdef0123456789abcdef"
        equal "The answer" "$(varlink $machine_socket io.systemd.Machine.Terminate '{"name":"theirs"}')" '{"parameters":{}}'
        soon is_gone theirs
        on systemctl reset-failed
}

question() {
        varlink /run/systemd/resolve.hook/io.systemd.Machine io.systemd.Resolve.Hook.ResolveRecord \
                "{\"question\":[{\"key\":{\"class\":1,\"type\":$2,\"name\":\"$1\"}}]}"
}

# systemd-resolved resolves the names of machines.
test_names() {
        local hook=/run/systemd/resolve.hook/io.systemd.Machine text

        equal "The names" "$(varlink $hook io.systemd.Resolve.Hook.QueryFilter '{}')" '{"parameters":{"filterDomains":[]}}'
        on_sh '(printf "{\"method\":\"io.systemd.Resolve.Hook.QueryFilter\",\"more\":true}\0" | socat -t 100 - UNIX-CONNECT:'$hook' >/run/names 2>/dev/null &)'
        boot bb
        inside bb ip link set lo up
        inside bb ip addr add 10.7.0.2/24 dev lo scope global
        inside bb ip addr add fd00:7::2/64 dev lo
        text=$(question bb 1)
        equal "The record" "$(jq -c .parameters.answer[0].rr <<<"$text")" '{"key":{"class":1,"type":1,"name":"bb"},"address":[10,7,0,2]}'
        equal "The record on the wire" "$(jq -r .parameters.answer[0].raw <<<"$text" | base64 -d | od -An -tx1 | tr -d ' \n')" 0262620000010001000000000004"0a070002"
        equal "How many records of IPv6" "$(question BB. 28 | jq -c '.parameters.rcode, (.parameters.answer | length)' | tr '\n' ' ')" "0 1 "
        equal "Records of mail" "$(question bb 15)" '{"parameters":{"rcode":0,"answer":[]}}'
        equal "A name below" "$(question www.bb 1)" '{"parameters":{"rcode":3}}'
        equal "Another name" "$(question nobb 1)" '{"parameters":{}}'
        for text in '{}' '{"question":[]}' '{"question":[{}]}' '{"question":[{"key":{"class":1,"type":1,"name":"a..b"}}]}' \
                '{"question":[{"key":{"class":1,"type":1,"name":5}}]}'; do
                contains "The answer to $text" "$(varlink $hook io.systemd.Resolve.Hook.ResolveRecord "$text")" InvalidParameter
        done
        if [ "$suite" = sid ]; then
                contains "What systemd-resolved says" "$(on resolvectl query --legend=no bb)" 10.7.0.2
                try on resolvectl query --legend=no www.bb
                contains "What it says of a name below" "$err" "not found"
        fi
        power_off bb
        soon on_sh 'tr "\0" "\n" </run/names | tail -n 1 | grep -q "\[\]"'
        equal "All that was told of names" "$(on_sh 'tr "\0" "\n" </run/names' | jq -c .parameters.filterDomains | uniq | tr '\n' ' ')" '[] ["bb"] [] '
}

# Whoever asks a hundred things at once has the next one done when others had their turn.
# The registry is stopped while both clients send, so that it finds the messages of both.
test_turns() {
        boot bb
        works on python3 -c 'import os, select, signal, socket, sys
path = "/run/systemd/machine/io.systemd.Machine"
call = b"{\"method\":\"io.systemd.Machine.List\",\"parameters\":{\"name\":\"bb\"}}\0"
def connect():
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    s.sendall(call)
    assert s.recv(65536).count(b"\"bb\"") == 1
    return s
registry = int(sys.argv[1])
many, one = connect(), connect()
count, n, seen = 0, 700, None
os.kill(registry, signal.SIGSTOP)
many.sendall(call * n)
one.sendall(call)
os.kill(registry, signal.SIGCONT)
while seen is None or count < n:
    ready = select.select([many, one], [], [], 60)[0]
    if one in ready:
        assert one.recv(65536).count(b"\"bb\"") == 1
        seen = count
    elif many in ready:
        count += many.recv(65536).count(b"\0")
    else:
        break
print(seen < n - 100, count == n)' "$(property mctl-registryd.service MainPID)"
        equal "What was answered, and when" "$out" "True True"
        power_off bb
}

run_tests
