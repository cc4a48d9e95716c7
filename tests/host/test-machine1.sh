#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# org.freedesktop.machine1 and its unmodified clients, with mctl-registryd as the provider.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
# shellcheck source=tests/host/machine1.sh
. "$test_dir/machine1.sh"

want_debian=yes
host_options=("--with=systemd-container,libnss-systemd,libnss-mymachines,socat,btrfs-progs")

prepare_host() {
        be_provider
        # A tree for systemd-nspawn, which needs a whole system.
        on cp -a /var/lib/machines/debian /var/lib/machines/theirs
}

test_list_and_show() {
        boot debian
        works on machinectl list --no-pager --no-legend
        matches stdout "$out" '^debian +container +mctl +debian +'
        works on machinectl status debian --no-pager
        contains stdout "$out" "machine-debian.service"
        contains stdout "$out" "$(leader_of debian)"
        works on machinectl show debian
        contains stdout "$out" $'\nUnit=machine-debian.service\n'
        contains stdout "$out" $'\nLeader='"$(leader_of debian)"$'\n'
        contains stdout "$out" $'\nRootDirectory=/var/lib/machines/debian\n'
        contains stdout "$out" $'\nState=running'
        equal "The machine of the process" "$(on ps -o machine= -p "$(leader_of debian)" | tr -d ' ')" debian
        power_off debian
        is_unknown debian || fail "The machine is still listed"
        empty "The files" "$(on ls -A /run/systemd/machines)"
}

lists_all_sockets() {
        local text

        text=$(on systemctl --recursive --no-pager list-sockets)
        [ "$suite" = sid ] || [ "$(grep -c dbus.socket <<<"$text")" = 2 ]
}

test_clients() {
        boot debian
        works on systemctl -M debian is-system-running
        works on systemctl list-machines --no-pager --no-legend
        matches stdout "$out" '(^|
) *debian +running +0 +0'
        # With 257 and 262, list-units fails, and list-sockets fails sometimes. list-sockets of 262 has another heading
        # for the machine. With systemd-machined, list-units fails as well, and list-sockets of 262 fails sometimes.
        soon lists_all_sockets
        works on hostnamectl -M debian
        contains stdout "$out" "Transient hostname: debian"
        works on loginctl -M debian list-sessions --no-pager
        works on busctl -M debian list --no-pager --no-legend
        contains stdout "$out" org.freedesktop.systemd1
        works on journalctl -M debian --no-pager -q
        contains stdout "$out" "Startup finished"
        works on systemd-run -M debian --pipe --wait -q echo from inside
        equal stdout "$out" "from inside"
        works on systemd-cgls -M debian --no-pager
        contains stdout "$out" systemd-journald.service
        power_off debian
}

test_shell_and_login() {
        boot debian
        contains "The shell's output" "$(at_terminal 'machinectl shell debian /usr/bin/id')" "uid=0(root) gid=0(root)"
        contains "The shell's output" "$(at_terminal 'machinectl shell nobody@debian /usr/bin/id')" "uid=65534(nobody)"
        contains "The terminal" "$(at_terminal 'machinectl shell debian /usr/bin/tty')" /dev/pts/
        contains "The environment" "$(at_terminal 'machinectl -E FOO=bar shell debian /usr/bin/env')" FOO=bar
        try at_terminal 'machinectl login debian' 'debian login: -> \x1d\x1d\x1d'
        contains "The login prompt" "$out" "debian login:"
        power_off debian
}

test_ends() {
        boot debian
        works on machinectl poweroff debian
        soon is_gone debian
        boot debian
        works on machinectl terminate debian
        soon is_gone debian
        boot debian
        local leader
        leader=$(leader_of debian)
        works on machinectl reboot debian
        soon rebooted "$leader"
        works on machinectl kill --kill-whom=leader --signal=SIGRTMIN+4 debian
        soon is_gone debian
        equal "What failed" "$(on systemctl --failed --no-legend --plain --no-pager 'machine-*')" ""
}

rebooted() {
        local now

        now=$(leader_of debian)
        [ "$now" != none ] && [ "$now" != "$1" ] && [ "$(field debian state)" = running ]
}

test_questions() {
        local base leader

        boot debian
        leader=$(leader_of debian)
        base=$(field debian uidBase)
        equal "The machine of a process" "$(on busctl call "${m1[@]}" GetMachineByPID u "$leader")" \
                'o "/org/freedesktop/machine1/machine/debian"'
        equal "The shift" "$(on busctl call "${m1[@]}" GetMachineUIDShift s debian)" "u $base"
        equal "A user outside" "$(on busctl call "${m1[@]}" MapFromMachineUser su debian 7)" "u $((base + 7))"
        equal "A user inside" "$(on busctl call "${m1[@]}" MapToMachineUser u $((base + 7)))" \
                'sou "debian" "/org/freedesktop/machine1/machine/debian" 7'
        contains "The release" "$(on busctl call "${m1[@]}" GetMachineOSRelease s debian)" '"ID" "debian"'
        equal "The addresses" "$(on busctl call "${m1[@]}" GetMachineAddresses s debian)" "a(iay) 0"
        refused 1 "'nobody'" on busctl call "${m1[@]}" GetMachine s nobody
        refused 1 "Process 1 " on busctl call "${m1[@]}" GetMachineByPID u 1
        refused 1 "host" on busctl call "${m1[@]}" MapToMachineUser u 7
        refused 1 "no mapping for 4000000" on busctl call "${m1[@]}" MapFromMachineUser su debian 4000000
        power_off debian
        boot debian --private-network=no --private-users=no
        refused 1 "network of the host" on busctl call "${m1[@]}" GetMachineAddresses s debian
        power_off debian
}

test_images() {
        works on machinectl list-images --no-pager --no-legend
        matches stdout "$out" '(^|
)bb +directory +no'
        matches stdout "$out" '(^|
)debian +directory +no'
        lacks stdout "$out" .host
        works on machinectl show-image debian
        contains stdout "$out" "Path=/var/lib/machines/debian"
        works on machinectl image-status debian --no-pager
        contains stdout "$out" "Debian GNU/Linux"
        refused 1 "No image 'nothing' known" on busctl call "${m1[@]}" GetImage s nothing
        refused 1 "No image '../x' known" on busctl call "${m1[@]}" GetImage s ../x
        equal "The ID" "$(on busctl call "${m1[@]}" GetImageMachineID s bb)" "ay 0"
        # 'machinectl start' uses the name of another unit, which can be an alias of container@.service.
        on_sh 'ln -s /usr/lib/systemd/system/container@.service /etc/systemd/system/systemd-nspawn@.service
                mkdir -p /etc/mctl && printf "[Image]\nImage=bb\n" >/etc/mctl/bb.machine
                systemctl daemon-reload'
        works on machinectl start bb
        equal "The unit" "$(field bb unit)" container@bb.service
        works on machinectl poweroff bb
        soon is_gone bb
        on_sh 'rm /etc/systemd/system/systemd-nspawn@.service /etc/mctl/bb.machine; systemctl daemon-reload'
}

test_images_change() {
        on_sh 'printf "[Exec]\nEnvironment=A=b\n" >/var/lib/machines/bb.nspawn; mkdir /var/lib/machines/bb/deep; ln /var/lib/machines/bb/bin/busybox /var/lib/machines/bb/deep/linked
                printf "PRETTY_HOSTNAME=\"Some box\"\n" >/var/lib/machines/bb/etc/machine-info'
        works on machinectl clone bb copied
        equal "How the trees differ" "$(on_sh 'diff -r --no-dereference /var/lib/machines/bb /var/lib/machines/copied 2>&1 || :')" ""
        equal "The settings" "$(on cat /var/lib/machines/copied.nspawn)" "$(on cat /var/lib/machines/bb.nspawn)"
        equal "Whether links are links" "$(on_sh 'cd /var/lib/machines/copied; [ bin/busybox -ef deep/linked ] && echo yes')" yes
        contains "machine-info" "$(on busctl call "${m1[@]}" GetImageMachineInfo s copied)" '"PRETTY_HOSTNAME" "Some box"'
        boot copied
        refused 1 "runs from image" on machinectl rename copied other
        refused 1 "runs from image" on machinectl remove copied
        power_off copied
        # The image is in use as well if a machine runs from another path of it.
        on_sh "mkdir /run/alias; mount --bind /var/lib/machines/copied /run/alias"
        works on mctl boot /run/alias --name other-path
        refused 1 "runs from image" on machinectl remove copied
        power_off other-path
        on_sh "umount /run/alias; rmdir /run/alias"
        refused 1 "already" on machinectl clone bb copied
        works on machinectl rename copied other
        refused 1 "already" on machinectl rename other bb
        on test -e /var/lib/machines/other.nspawn
        # A read-only directory has the immutable flag, which some file systems do not support.
        try on machinectl read-only other
        if [ "$status" = 0 ]; then
                contains "The image" "$(on machinectl show-image other)" ReadOnly=yes
                try on touch /var/lib/machines/other/x
                equal "The exit status" "$status" 1
                works on machinectl read-only other no
        else
                contains stderr "$err" "cannot do that"
        fi
        works on machinectl remove other
        refused 1 "No image 'other'" on machinectl remove other
        empty "What is left" "$(on_sh 'cd /var/lib/machines; ls -d other* copied* .#mctl-* 2>/dev/null || :')"
        for name in .host ../x /etc .#x; do
                refused 1 "" on busctl call "${m1[@]}" RemoveImage s "$name"
                refused 1 "can be called" on busctl call "${m1[@]}" CloneImage ssb bb "$name" false
        done
        refused 1 "no subvolume" on machinectl set-limit bb 1G
        refused 1 "directory" on machinectl set-limit 1G

        # A tree can be removed even if it is very deep.
        on_sh 'mkdir /var/lib/machines/deep; cd /var/lib/machines/deep; i=0; while [ $i -lt 1500 ]; do mkdir d && cd -P d; i=$((i + 1)); done'
        works on machinectl remove deep
        empty "What is left" "$(on_sh 'cd /var/lib/machines; ls -d deep .#mctl-* 2>/dev/null || :')"
        # 'machinectl clean' removes hidden images, and the remains of a change that was killed.
        on_sh 'mkdir -p /var/lib/machines/.hidden/x "/var/lib/machines/.#mctl-0123456789abcdef/x"'
        try on machinectl clean
        equal "The exit status" "$status" 0
        contains stderr "$err" "'.hidden'"
        empty "What is left" "$(on_sh 'cd /var/lib/machines; ls -d .hidden .#mctl-* 2>/dev/null || :')"
        refused 1 "No image" on machinectl clone nothing x
        try on_user alice busctl call "${m1[@]}" RemoveImage s bb
        equal "The exit status" "$status" 1
        rule 'action.id == "org.freedesktop.machine1.manage-images" && action.lookup("verb") == "clone" && action.lookup("image") == "bb"'
        works on_user alice busctl call "${m1[@]}" CloneImage ssb bb hers false
        try on_user alice busctl call "${m1[@]}" RemoveImage s hers
        equal "The exit status" "$status" 1
        no_rule
        works on machinectl remove hers
        on_sh 'rm -r /var/lib/machines/bb.nspawn /var/lib/machines/bb/deep /var/lib/machines/bb/etc/machine-info'
}

# On btrfs, images are subvolumes.
test_images_on_btrfs() {
        on_sh 'truncate -s 400M /run/btrfs.img && mkfs.btrfs -q /run/btrfs.img && mkdir /run/pool &&
                mount -o loop /run/btrfs.img /run/pool && btrfs -q subvolume create /run/pool/tree &&
                cp -a /var/lib/machines/bb/. /run/pool/tree && chmod 700 /run/pool && mount --bind /run/pool /var/lib/machines'
        works on machinectl clone --read-only tree copied
        works on machinectl list-images --no-pager --no-legend
        matches stdout "$out" '(^|
)copied +subvolume +yes'
        works on machinectl clone copied third
        works on machinectl read-only third
        try on touch /var/lib/machines/third/x
        equal "The exit status" "$status" 1
        works on machinectl read-only third no
        works on mctl boot third
        on btrfs -q subvolume create /var/lib/machines/third/var/nested
        works on mctl poweroff third
        works on machinectl remove third
        works on machinectl remove copied
        equal "The subvolumes" "$(on_sh 'btrfs subvolume list /run/pool | wc -l')" 1
        works on machinectl set-limit tree 20M
        try on_sh 'head -c 40M /dev/urandom >/var/lib/machines/tree/big && sync -f /var/lib/machines/tree/big'
        differ "The exit status" "$status" 0
        on_sh 'umount /var/lib/machines; umount /run/pool; rm /run/btrfs.img; rmdir /run/pool'
}

test_copy_and_bind() {
        boot debian
        on_sh 'mkdir -p /run/data; echo seen >/run/data/file; rm -rf /run/back'
        works on machinectl copy-to debian /run/data/file /root/file
        equal "The file" "$(inside debian /bin/cat /root/file)" seen
        refused 1 "exists already" on machinectl copy-to debian /run/data/file /root/file
        works on machinectl copy-from debian /root/file /run/back
        equal "The file" "$(on cat /run/back)" seen
        works on machinectl bind --mkdir --read-only debian /run/data /mnt/data
        equal "The file" "$(inside debian /bin/cat /mnt/data/file)" seen
        try inside debian /usr/bin/touch /mnt/data/x
        contains stderr "$err" "Read-only"
        works on busctl call org.freedesktop.machine1 /org/freedesktop/machine1/machine/debian \
                org.freedesktop.machine1.Machine CopyToWithFlags sst /run/data/file /root/file 1
        refused 1 "an unknown bit" on busctl call "${m1[@]}" CopyToMachineWithFlags ssst debian /run/data /x 8
        refused 1 "absolute" on busctl call "${m1[@]}" CopyToMachine sss debian x /x
        try on_user alice busctl call "${m1[@]}" CopyToMachine sss debian /run/data /x
        equal "The exit status" "$status" 1
        power_off debian
}

test_addresses() {
        boot debian
        inside debian ip link set lo up
        inside debian ip addr add 10.7.0.2/24 dev lo scope global
        inside debian ip addr add fd00:7::2/64 dev lo nodad
        equal "The addresses" "$(on busctl call "${m1[@]}" GetMachineAddresses s debian)" \
                "a(iay) 2 2 4 10 7 0 2 10 16 253 0 0 7 0 0 0 0 0 0 0 0 0 0 0 2"
        contains "What machinectl lists" "$(on machinectl list --no-pager --no-legend)" 10.7.0.2
        matches "The host of that name" "$(on getent hosts debian)" '^(fd00:7::2|10\.7\.0\.2) +debian$'
        contains "The hosts of that name" "$(on getent ahosts debian)" fd00:7::2
        power_off debian
}

# Machines that other programs register are listed and managed like machines of mctl.
test_nspawn_registers() {
        local scope

        nspawn booted -D /var/lib/machines/theirs -b --keep-unit
        nspawn sco-ped -D /var/lib/machines/bb --as-pid2 sleep 1000
        soon is_known booted
        soon is_known sco-ped
        equal "The unit" "$(field booted unit)" their-booted.service
        # systemd-nspawn of 258 and later makes the scope itself, with another name.
        scope=$(field sco-ped unit)
        matches "The unit" "$scope" '^(machine-sco\\x2dped|sco-ped|sco\\x2dped)\.scope$'
        equal "The state" "$(field sco-ped state)" running
        contains "The OS" "$(field booted os)" Debian
        refused 1 "running already" on mctl boot bb --name sco-ped --volatile=overlay
        soon on systemctl -M booted is-system-running # with --wait, that of 257 waits for ever now and then
        # After a crash of the registry, the machines are still known.
        on systemctl kill -s KILL --kill-whom=main "$registry"
        equal "The unit after kill -9" "$(field booted unit)" their-booted.service
        equal "The unit after kill -9" "$(field sco-ped unit)" "$scope"
        on systemctl reset-failed "$registry"
        works on mctl poweroff booted
        soon is_gone booted
        works on mctl terminate sco-ped
        soon is_gone sco-ped
        empty "The files" "$(on ls -A /run/systemd/machines)"
        on systemctl reset-failed
}

test_users() {
        local pid

        boot debian
        for verb in terminate poweroff; do
                try on_user alice machinectl --no-ask-password "$verb" debian
                differ "The exit status of $verb" "$status" 0
        done
        try on_user alice busctl call "${m1[@]}" OpenMachineShell sssasas debian root /bin/sh 0 0
        equal "The exit status" "$status" 1
        try on_user alice busctl call "${m1[@]}" OpenMachineRootDirectory s debian
        equal "The exit status" "$status" 1
        equal "The state" "$(field debian state)" running
        works on_user alice machinectl list --no-pager
        contains stdout "$out" debian

        rule 'action.id == "org.freedesktop.machine1.manage-machines" && action.lookup("machine") == "debian" && action.lookup("verb") == "terminate"'
        try on_user alice machinectl --no-ask-password kill debian
        differ "The exit status of kill" "$status" 0
        equal "The state" "$(field debian state)" running
        works on_user alice machinectl --no-ask-password terminate debian
        soon is_gone debian

        # A user who may register machines can register only processes of this user.
        rule 'action.id == "org.freedesktop.machine1.register-machine"'
        pid=$(on systemctl show --value -p MainPID dbus.service)
        refused 1 "of that user" on_user alice busctl call "${m1[@]}" RegisterMachine sayssus hers 0 test container "$pid" ""
        refused 1 "class" on_user alice busctl call "${m1[@]}" RegisterMachine sayssus hers 0 test host 0 ""
        refused 1 "name" on_user alice busctl call "${m1[@]}" RegisterMachine sayssus ../x 0 test container 0 ""
        refused 1 "leader" on busctl call "${m1[@]}" RegisterMachine sayssus hers 0 test container 1 ""
        works on_user alice sh -c 'busctl call "$@" RegisterMachine sayssus hers 0 test container $$ "" && machinectl list --no-legend --no-pager' \
                sh "${m1[@]}"
        contains stdout "$out" "hers container test"
        soon is_gone hers
        no_rule
}

# A user mounts what only root may read over a file of his machine's, in namespaces of his own.
test_users_show_own_files() {
        local file pid

        on_sh 'umask 077; echo "DB_PASSWORD=hunter2" >/etc/secret; echo "NAME=Hers" >/home/alice/os-release; chmod 644 /home/alice/os-release; chmod 755 /home/alice'
        rule 'action.id == "org.freedesktop.machine1.register-machine"'
        for file in /home/alice/os-release /etc/secret; do
                on systemd-run -q --unit=hers --uid=alice -p ProtectProc=default unshare -Ur --mount sh -c 'mount --bind "$1" "$(readlink -f /etc/os-release)" && exec sleep 1000' sh "$file"
                soon on_sh '[ "$(cat "/proc/$(systemctl show -P MainPID hers)/comm")" = sleep ]'
                pid=$(property hers.service MainPID)
                works on_user alice busctl call "${m1[@]}" RegisterMachine sayssus hers 0 test container "$pid" /
                try on_user alice busctl call "${m1[@]}" GetMachineOSRelease s hers
                if [ "$file" = /etc/secret ]; then
                        equal "The exit status" "$status" 1
                        lacks "What is said" "$out$err" hunter2
                else
                        contains "What is said" "$out" '"NAME" "Hers"'
                fi
                # Data of a user's machine are not in answers that each user may read, either.
                lacks "The list" "$(on mctl list --json)" hunter2
                on systemctl stop hers
                soon is_gone hers
        done
        no_rule
        on rm /etc/secret /home/alice/os-release
}

# A machine that a user has registered gives the user no rights beyond those over the process.
test_users_go_no_further() {
        local pid

        rule 'action.id.indexOf("org.freedesktop.machine1.") == 0'
        on systemd-run -q --unit=hers --uid=alice sleep 1000
        pid=$(property hers.service MainPID)
        works on_user alice busctl call "${m1[@]}" RegisterMachine sayssus bb 0 test container "$pid" ""
        # The process is in the namespaces of the host, so the registry refuses shells and files by this name.
        refused 1 "not supported" on_user alice busctl call "${m1[@]}" OpenMachineShell sssasas bb root /bin/sh 0 0
        refused 1 "not supported" on_user alice busctl call "${m1[@]}" OpenMachineRootDirectory s bb
        refused 1 "not supported" on_user alice busctl call "${m1[@]}" GetMachineOSRelease s bb
        # When a unit of mctl takes the name, the machine of the user is dropped.
        boot bb
        equal "The unit" "$(field bb unit)" machine-bb.service
        equal "How many there are" "$(on mctl list --no-legend | wc -l)" 1
        works on machinectl show bb
        contains stdout "$out" $'\nUnit=machine-bb.service\n'
        power_off bb
        on systemctl stop hers

        # If the process is in the unit of another machine, the unit still belongs to that machine.
        works on mctl run -d --name web --private-users=no -u 1000 bb sleep 1000
        pid=$(leader_of web)
        works on_user alice busctl call "${m1[@]}" RegisterMachine sayssus hers 0 test container "$pid" ""
        equal "Whose the unit is" "$(on readlink /run/systemd/machines/unit:machine-web.service)" web
        works on_user alice busctl call "${m1[@]}" UnregisterMachine s hers
        equal "Whose the unit is" "$(on readlink /run/systemd/machines/unit:machine-web.service)" web
        works on mctl terminate web
        soon is_gone web
        # The number of machines of a user is limited.
        on systemd-run -q --unit=hers --uid=alice sleep 1000
        pid=$(property hers.service MainPID)
        try on_user alice sh -c 'pid=$1; shift; for i in $(seq 40); do busctl call "$@" RegisterMachine sayssus "m$i" 0 t container "$pid" "" || exit; done' \
                sh "$pid" "${m1[@]}"
        contains stderr "$err" "too many"
        on systemctl stop hers
        soon is_gone m1
        no_rule
}

userdb=/run/systemd/userdb/io.systemd.Machine
machine_socket=/run/systemd/machine/io.systemd.Machine

test_users_of_machines() {
        local base text

        boot debian
        base=$(field debian uidBase)
        text=$(on getent passwd $((base + 5)))
        matches "The user by number" "$text" "^vu-debian-5:[^:]*:$((base + 5)):65534:"
        text=$(on getent passwd vu-debian-0)
        matches "The user by name" "$text" "^vu-debian-0:[^:]*:$base:65534:"
        text=$(on getent group vg-debian-7)
        matches "The group by name" "$text" "^vg-debian-7:[^:]*:$((base + 7)):"
        if on_sh 'command -v userdbctl' >/dev/null; then
                contains "userdbctl" "$(on userdbctl user vu-debian-1 --no-pager)" "vu-debian-1"
        fi
        try on getent passwd vu-debian-70000
        equal "The exit status" "$status" 2
        try on getent passwd vu-nobody-0
        equal "The exit status" "$status" 2
        # Processes of the machine have user names in the output of ps.
        contains "The owner" "$(on ps -o user:32= -p "$(leader_of debian)")" vu-debian-0
        for text in '{"uid":-1,"service":"io.systemd.Machine"}' '{"uid":"x","service":"io.systemd.Machine"}' '{}'; do
                contains "The answer to $text" "$(varlink $userdb io.systemd.UserDatabase.GetUserRecord "$text")" \
                        org.varlink.service.InvalidParameter
        done
        contains "The answer" "$(varlink $userdb io.systemd.UserDatabase.GetUserRecord '{"service":"io.systemd.Machine"}')" \
                EnumerationNotSupported
        contains "The answer" "$(varlink $userdb io.systemd.UserDatabase.GetUserRecord '{"service":"x"}')" BadService
        contains "The answer" "$(varlink $userdb io.systemd.UserDatabase.GetUserRecord "{\"uid\":$base,\"userName\":\"vu-debian-1\",\"service\":\"io.systemd.Machine\"}")" \
                ConflictingRecordFound
        power_off debian
}

test_varlink() {
        boot bb --name one
        boot bb --name two --volatile=overlay
        valid_json "$(varlink $machine_socket io.systemd.Machine.List '{"name":"one"}')" \
                'json["parameters"]["name"] == "one" and json["parameters"]["leader"]["pid"] == '"$(leader_of one)"
        equal "How many answers" "$(varlink $machine_socket io.systemd.Machine.List '{}' ',"more":true' 9 | grep -c '"name"')" 2
        contains "The answer" "$(varlink $machine_socket io.systemd.Machine.List '{}')" ExpectedMore
        contains "The answer" "$(varlink $machine_socket io.systemd.Machine.List '{"name":"x"}')" NoSuchMachine
        contains "The answer" "$(varlink $machine_socket io.systemd.Machine.List '{"pid":null}')" ExpectedMore
        contains "The answer" "$(varlink $machine_socket io.systemd.Machine.Kill '{"pid":null,"signal":9}')" InvalidParameter
        equal "How many answers" "$(varlink $machine_socket io.systemd.Machine.List '{"name":5}' ',"more":true' 9 | grep -c parameters)" 1
        contains "The answer" "$(varlink $machine_socket io.systemd.Machine.Nonsense '{}')" MethodNotFound
        contains "The answer" "$(varlink $machine_socket org.varlink.service.GetInfo '{}')" '"mctl-registryd"'
        contains "The answer" "$(on_user alice sh -c 'printf "{\"method\":\"io.systemd.Machine.Terminate\",\"parameters\":{\"name\":\"one\"}}\0" |
                socat -t 1 - UNIX-CONNECT:/run/systemd/machine/io.systemd.Machine' | tr -d '\0')" PermissionDenied
        equal "The state" "$(field one state)" running
        equal "The answer" "$(varlink $machine_socket io.systemd.Machine.Kill '{"name":"one","whom":"leader","signal":15}')" \
                '{"parameters":{}}'
        soon is_gone one
        varlink $machine_socket io.systemd.Machine.Terminate '{"name":"two"}'
        soon is_gone two
}

# Who stalls, floods or talks nonsense harms nobody else.
# What newer clients register over varlink, and others with what there is to say of virtual machines.
test_registers_otherwise() {
        local pid text

        on systemd-run -q --unit=theirs -p KillSignal=SIGKILL unshare --mount --pid --fork sleep 1000
        pid=$(property theirs.service MainPID)
        text="{\"name\":\"theirs\",\"class\":\"container\",\"service\":\"test\",\"leader\":$pid,\"id\":\"0123456789abcdef0123456789abcdef\"}"
        equal "The answer" "$(varlink $machine_socket io.systemd.Machine.Register "$text")" '{"parameters":{}}'
        contains "The answer" "$(varlink $machine_socket io.systemd.Machine.Register "$text")" MachineExists
        works on machinectl show theirs
        contains stdout "$out" $'\nId=0123456789abcdef0123456789abcdef\n'
        contains stdout "$out" $'\nUnit=theirs.service\n'
        for text in '{"name":"../x","class":"container"}' '{"name":"x","class":"host"}' '{"name":5}' '{}' \
                '{"name":"x","class":"container","leader":-1}' '{"name":"x","class":"container","leader":1}' \
                '{"name":"x","class":"container","ifIndices":["x"]}' '{"name":"x","class":"container","service":"mctl"}'; do
                contains "The answer to $text" "$(varlink $machine_socket io.systemd.Machine.Register "$text")" InvalidParameter
        done
        contains "The answer" "$(on_user alice sh -c 'printf "{\"method\":\"io.systemd.Machine.Register\",\"parameters\":{\"name\":\"x\",\"class\":\"container\"}}\0" |
                socat -t 1 - UNIX-CONNECT:/run/systemd/machine/io.systemd.Machine' | tr -d '\0')" PermissionDenied
        equal "The answer" "$(varlink $machine_socket io.systemd.Machine.Unregister '{"name":"theirs"}')" '{"parameters":{}}'
        is_unknown theirs || fail "The machine is still listed"

        works on busctl call "${m1[@]}" RegisterMachineEx 'sa(sv)' theirs 5 Class s vm LeaderPID u "$pid" VSockCID u 7 \
                SSHAddress s vsock/7 SSHPrivateKeyPath s /run/key
        equal "The address" "$(on busctl call "${m1[@]}" GetMachineSSHInfo s theirs)" 'ss "vsock/7" "/run/key"'
        valid_json "$(varlink $machine_socket io.systemd.Machine.List '{"name":"theirs"}')" \
                'json["parameters"]["vSockCid"] == 7 and json["parameters"]["sshAddress"] == "vsock/7"'
        on systemctl kill -s KILL --kill-whom=main "$registry"
        works on mctl list
        equal "The address after kill -9" "$(on busctl call "${m1[@]}" GetMachineSSHInfo s theirs)" 'ss "vsock/7" "/run/key"'
        refused 1 "bad value" on busctl call "${m1[@]}" RegisterMachineEx 'sa(sv)' other 1 Nonsense s x
        on systemctl reset-failed
        on systemctl stop theirs
        on systemctl reset-failed
        soon is_unknown theirs
        on systemd-run -q --unit=made --slice=machine.slice sleep 1000
        works on busctl call "${m1[@]}" CreateMachineEx 'sa(sv)a(sv)' made 2 Class s container \
                LeaderPID u "$(property made.service MainPID)" 1 Description s Mine
        equal "The unit" "$(field made unit)" machine-made.scope
        equal "Its description" "$(property machine-made.scope Description)" Mine
        works on machinectl terminate made
        soon is_gone made
}

test_maps_over_varlink() {
        local base

        boot bb
        base=$(field bb uidBase)
        equal "The answer" "$(varlink $machine_socket io.systemd.Machine.MapFrom '{"name":"bb","uid":5,"gid":6}')" \
                "{\"parameters\":{\"uid\":$((base + 5)),\"gid\":$((base + 6))}}"
        equal "The answer" "$(varlink $machine_socket io.systemd.Machine.MapTo "{\"uid\":$((base + 5))}")" \
                '{"parameters":{"machineName":"bb","uid":5}}'
        contains "The answer" "$(varlink $machine_socket io.systemd.Machine.MapTo '{"gid":5}')" GroupInHostRange
        contains "The answer" "$(varlink $machine_socket io.systemd.Machine.MapTo '{"uid":100000}')" NoSuchUser
        contains "The answer" "$(varlink $machine_socket io.systemd.Machine.MapFrom '{"name":"bb","uid":70000}')" NoSuchUser
        contains "The answer" "$(varlink $machine_socket io.systemd.Machine.MapFrom '{"name":"bb","uid":"x"}')" InvalidParameter
        contains "The answer" "$(varlink $machine_socket io.systemd.Machine.MapFrom '{"uid":5}')" InvalidParameter
        power_off bb
}

# Machines of other programs can map users in several parts, and groups differently.
test_maps_in_parts() {
        local pid

        on systemd-run -q --unit=parts unshare --user --mount sleep 1000
        pid=$(property parts.service MainPID)
        soon on_sh 'printf "0 200000 1000\n5000 300000 10\n" >"/proc/$1/uid_map"' sh "$pid"
        on_sh 'printf "0 400000 1000\n" >"/proc/$1/gid_map"' sh "$pid"
        works on busctl call "${m1[@]}" RegisterMachine sayssus parts 0 test container "$pid" ""
        equal "A user" "$(on busctl call "${m1[@]}" MapFromMachineUser su parts 5003)" "u 300003"
        equal "A group" "$(on busctl call "${m1[@]}" MapFromMachineGroup su parts 7)" "u 400007"
        refused 1 "no mapping" on busctl call "${m1[@]}" MapFromMachineUser su parts 1000
        refused 1 "no mapping" on busctl call "${m1[@]}" MapFromMachineGroup su parts 5003
        contains "A user of the host" "$(on busctl call "${m1[@]}" MapToMachineUser u 300009)" '"parts"'
        contains "Which he is" "$(on busctl call "${m1[@]}" MapToMachineUser u 300009)" 5009
        refused 1 "No machine" on busctl call "${m1[@]}" MapToMachineGroup u 300009
        equal "The name of a user" "$(on getent passwd 300003 | cut -d: -f1)" vu-parts-5003
        equal "The number of a group" "$(on getent group vg-parts-7 | cut -d: -f3)" 400007
        refused 1 "as one range" on busctl call "${m1[@]}" GetMachineUIDShift s parts
        on systemctl stop parts
        soon is_unknown parts
}

test_varlink_is_hostile() {
        local pid

        boot bb
        pid=$(property $registry MainPID)
        on_sh 'for i in $(seq 150); do (sleep 4 | socat - UNIX-CONNECT:$1 >/dev/null 2>&1 &) ; done
                head -c 300000 /dev/zero | tr "\\0" x | timeout 2 socat - UNIX-CONNECT:$1 >/dev/null 2>&1 || :
                printf "[]\\0{\\0null\\0" | timeout 2 socat - UNIX-CONNECT:$1 >/dev/null 2>&1 || :
                printf "{\"method\":5}\\0" | timeout 2 socat - UNIX-CONNECT:$1 >/dev/null 2>&1 || :
                head -c 60000 /dev/zero | tr "\\0" "[" | timeout 2 socat - UNIX-CONNECT:$1 >/dev/null 2>&1 || :' sh $machine_socket
        works on timeout 5 mctl list
        soon on_sh '! pgrep -x socat'
        contains "The answer" "$(varlink $machine_socket io.systemd.Machine.List '{"name":"bb"}')" '"name":"bb"'
        equal "The process" "$(property $registry MainPID)" "$pid"
        power_off bb
}

# Calls of every method of every object, with arguments of the right types and wrong values.
hostile_calls='
        value() {
                case $1,$2 in
                s,0) printf "%s\\n" "" ;;
                s,1) printf "%s\\n" "../../etc" ;;
                s,2) head -c 5000 /dev/zero | tr "\\0" x; echo ;;
                s,3) printf "\\033[2J%%n\$HOME\\n" ;;
                [ut],0) echo 0 ;;
                u,*) echo 4294967295 ;;
                t,*) echo 18446744073709551615 ;;
                i,0) echo -2147483648 ;;
                i,*) echo 2147483647 ;;
                b,*) echo true ;;
                as,2) printf "3\\n\\n%s\\nx\\n" "=" ;;
                ay,*) printf "3\\n1\\n2\\n3\\n" ;;
                *) echo 0 ;;
                esac
        }
        object() {
                busctl introspect "$@" --no-legend 2>/dev/null | while read -r member kind signature _; do
                        [ "$kind" = method ] || continue
                        case $signature in *h*) continue ;; -) signature= ;; esac
                        for variant in 0 1 2 3; do
                                values=$(rest=$signature
                                        while [ -n "$rest" ]; do
                                                case $rest in
                                                a\(sv\)*) type="a(sv)" ;;
                                                a*) type=$(printf %.2s "$rest") ;;
                                                *) type=$(printf %.1s "$rest") ;;
                                                esac
                                                rest=${rest#"$type"}
                                                value "$type" $variant
                                        done)
                                set -- "$1" "$2" "$3"
                                oldifs=$IFS; IFS="
"
                                timeout 5 busctl --timeout=4 call "$1" "$2" "$3" "${member#.}" $signature $values >/dev/null 2>&1 || [ $? != 124 ] || echo "$3$member does not answer"
                                IFS=$oldifs
                        done
                done
        }
        object org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1
        object org.mctl.Registry1 /org/mctl/Registry1/machine/victim org.mctl.Registry1.Machine
        object org.freedesktop.machine1 /org/freedesktop/machine1 org.freedesktop.machine1.Manager
        object org.freedesktop.machine1 /org/freedesktop/machine1/machine/victim org.freedesktop.machine1.Machine
        object org.freedesktop.machine1 /org/freedesktop/machine1/image/victim org.freedesktop.machine1.Image'

test_hostile_calls() {
        local pid user

        works on machinectl clone bb victim
        boot victim
        pid=$(property $registry MainPID)
        for user in alice root; do
                try "$host_command" run "$host" -u "$user" --timeout=120 -- bash -c "$hostile_calls"
                empty "What it said to $user" "$out$err"
        done
        equal "The process" "$(property $registry MainPID)" "$pid"
        works on mctl list
        # Methods without arguments succeed for root, so the machine may be off, and its image may be removed.
        on_sh 'mctl terminate victim 2>/dev/null || :; systemctl reset-failed; rm -rf /var/lib/machines/victim'
        soon is_gone victim
        works on test -d /var/lib/machines/bb
}

# Hostile files in a machine do not block the registry.
test_hostile_machine() {
        boot debian
        inside_sh debian 'rm /dev/ptmx && mkfifo /dev/ptmx'
        try on timeout 5 busctl call "${m1[@]}" OpenMachinePTY s debian
        equal "The exit status" "$status" 1
        inside_sh debian 'rm /dev/ptmx && ln -s /proc/1/root/dev/null /dev/ptmx'
        try on timeout 5 busctl call "${m1[@]}" OpenMachinePTY s debian
        equal "The exit status" "$status" 1
        inside_sh debian 'rm /dev/ptmx && ln -s pts/ptmx /dev/ptmx
                rm /run/dbus/system_bus_socket && ln -s /proc/1/root/run/dbus/system_bus_socket /run/dbus/system_bus_socket
                rm /etc/os-release && mkfifo /etc/os-release'
        try on timeout 20 busctl call "${m1[@]}" OpenMachineShell sssasas debian root /bin/sh 0 0
        equal "The exit status" "$status" 1
        try on timeout 5 busctl call "${m1[@]}" GetMachineOSRelease s debian
        equal "The exit status" "$status" 1
        works on mctl terminate debian
        soon is_gone debian
        # The changes of the machine to its tree are reverted.
        on_sh 'cd /var/lib/machines/debian && rm etc/os-release && ln -s ../usr/lib/os-release etc/os-release'
}

test_foreign_state_files() {
        on_sh 'cd /run/systemd/machines
                printf "NAME=junk\nLEADER=1\n" >junk
                printf "\001\002" >bin
                printf "NAME=other\nUID=0\nSCOPE=\"x.scope\"\nSERVICE=\"x\"\nLEADER=2\nLEADER_START=1\nCLASS=container\nREALTIME=1\nMONOTONIC=1\n" >gone
                mkfifo fifo
                ln -s /etc/passwd unit:x.service
                systemctl restart mctl-registryd'
        equal "The machines" "$(on machinectl list --no-legend --no-pager)" ""
        equal "What is left" "$(on ls /run/systemd/machines)" ""
        contains "The log" "$(on journalctl --no-pager -u mctl-registryd)" "machines/junk' is no file of this registry"
        # For the files that the registry has skipped, it has closed no descriptor, such as its standard input.
        equal "Standard input of the registry" "$(on readlink "/proc/$(property "$registry" MainPID)/fd/0")" /dev/null
}

test_provider_no() {
        printf '[Registry]\nProvider=no\n' | put_file /etc/mctl/registry.conf
        on systemctl restart "$registry"
        try on busctl call "${m1[@]}" ListMachines
        differ "The exit status" "$status" 0
        boot bb
        power_off bb
        printf '[Registry]\nProvider=perhaps\n' | put_file /etc/mctl/registry.conf
        on systemctl restart "$registry"
        contains "The log" "$(on journalctl --no-pager -u mctl-registryd)" "'Provider=perhaps' is not understood"
        on rm /etc/mctl/registry.conf
        on systemctl restart "$registry"
        works on busctl call "${m1[@]}" ListMachines
}

test_new_lives() {
        start_often
        on_sh 'systemctl stop container@web; rm /etc/mctl/web.machine'
        soon is_unknown web
}

# 'systemd-run -M --pty' runs a program on a terminal of the machine.
test_run_on_a_terminal() {
        [ "$suite" != bookworm ] || skip "systemd-run of 252 opens the path of the terminal on the host"
        boot debian
        works at_terminal 'systemd-run -q -M debian --pty --wait sh -c "test -t 0 && test -t 1 && echo a terminal; exit 5"; echo "status $?"'
        contains stdout "$out" "a terminal"
        contains stdout "$out" "status 5"
        power_off debian
}

# The name .host stands for the host.
test_host() {
        works at_terminal 'machinectl -q shell .host /bin/sh -c "tty; id -un; cat /proc/self/cgroup"'
        contains stdout "$out" /dev/pts/
        contains stdout "$out" root
        contains stdout "$out" .scope
        try on_user alice machinectl --no-ask-password shell .host /bin/true
        equal "The exit status" "$status" 1
        refused 1 "No machine '.host'" on busctl call "${m1[@]}" TerminateMachine s .host
        refused 1 "No machine '.host'" on busctl call "${m1[@]}" BindMountMachine sssbb .host /etc /mnt false true
        equal "OpenMachinePTY" "$(on busctl call "${m1[@]}" OpenMachinePTY s .host | cut -c 1-3)" "hs "
}

# The host of these tests has machinectl, but not systemd-importd.
run_tests
