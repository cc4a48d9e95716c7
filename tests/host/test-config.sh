#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Machine files: create, edit, cat and verify, and the drop-ins that the generator makes of them.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

unit=container@web.service

web_file() {
        put_file /etc/mctl/web.machine
}

forget() {
        on systemctl reset-failed 'container@*' 'machine-*' 2>/dev/null || :
        on_sh 'rm -rf /etc/mctl/*.machine /etc/mctl/*.machine.d /tmp/mctl-edit-* /etc/systemd/nspawn/*
                systemctl daemon-reload'
}

# edit SCRIPT...: runs 'mctl edit' with a script as the editor, which gets the path of the file.
edit() {
        local script=$1
        shift

        printf '#!/bin/sh\n%s\n' "$script" | put_file /root/editor 755
        try on env SYSTEMD_EDITOR=/root/editor mctl edit "$@"
        on rm /root/editor
}

test_create() {
        works on mctl create web bb --hostname=web.example --setenv=A=b --setenv='B=two words' --bind=/tmp:/mnt -p MemoryMax=64M \
                --slice=some --private-users=1048576
        contains stdout "$out" /etc/mctl/web.machine
        works on cat /etc/mctl/web.machine
        equal "The file" "$out" "[Image]
Image=bb

[Exec]
Environment=A=b
Environment=B=two words
Hostname=web.example
PrivateUsers=1048576:65536

[Files]
Bind=/tmp:/mnt

[Resources]
MemoryMax=64M
Slice=some.slice"
        equal "Its mode and owner" "$(on stat -c '%a %u:%g' /etc/mctl/web.machine)" "644 0:0"
        # The properties apply without a 'systemctl daemon-reload' by the test.
        equal MemoryMax= "$(property $unit MemoryMax)" $((64 << 20))
        equal Slice= "$(property $unit Slice)" some.slice
        works on mctl start web
        equal "The host name" "$(inside web hostname)" web.example
        contains "The environment" "$(on_sh 'tr "\0" "\n" </proc/$1/environ' sh "$(leader_of web)")" "B=two words"
        power_off web
        on_sh 'rmdir /var/lib/machines/bb/mnt' || :
        forget
}

test_create_json() {
        works on mctl create --json web bb
        valid_json "$out" 'json == {"name": "web", "file": "/etc/mctl/web.machine"}'
        works on mctl cat --json web
        valid_json "$out" 'json == [{"file": "/etc/mctl/web.machine", "text": "[Image]\nImage=bb\n"}]'
        forget
        # The image may be made later, but mctl prints a warning.
        try on mctl create web no-such-image
        equal "The exit status" "$status" 0
        lines stderr "$err" 1
        contains stderr "$err" "No image 'no-such-image'"
        forget
}

test_create_is_refused() {
        printf '[Image]\nImage=bb\n' | web_file
        refused 1 "/etc/mctl/web.machine" on mctl create web bb --hostname=other
        equal "The file" "$(on cat /etc/mctl/web.machine)" $'[Image]\nImage=bb'
        refused 2 "at most 64 letters" on mctl create 'a b' bb
        refused 2 "_default" on mctl create _default bb
        refused 2 "ReadOnly" on mctl create other bb --read-only --volatile=yes
        refused 2 "hostname" on mctl create other bb --hostname='a b'
        refused 2 "PrivateUsers" on mctl create other bb --private-network=no
        refused 2 "Bogus=" on mctl create other bb -p Bogus=1
        try on mctl create other
        equal "The exit status" "$status" 2
        equal "The files" "$(on ls /etc/mctl)" web.machine
        forget
}

test_create_specials() {
        # Percent signs in options are not specifiers, and quotes are kept.
        works on mctl create web bb --setenv='A=100%i "quoted"' --bind='/tmp/a\:b:/mnt'
        works on mctl show --effective web
        contains "The settings" "$out" 'Bind=/tmp/a\:b:/mnt'
        forget
        works on mctl create web bb --setenv='A=100%i "quoted"  \ x' --setenv=B=next
        works on mctl run --rm --name web bb sh -c 'echo "$A|$B"'
        equal "The environment" "$out" '100%i "quoted"  \ x|next'
        forget
        # A backslash at the end of a line would continue it.
        # shellcheck disable=SC1003
        refused 2 "cannot hold" on mctl create web bb --setenv='A=back\' --setenv=B=next
        forget
}

test_edit() {
        edit 'grep -q "^#Image=" "$1" && printf "[Image]\nImage=bb\n[Resources]\nMemoryMax=32M\n" >"$1"' web
        equal "The exit status" "$status" 0
        equal "The file" "$(on cat /etc/mctl/web.machine)" $'[Image]\nImage=bb\n[Resources]\nMemoryMax=32M'
        equal MemoryMax= "$(property $unit MemoryMax)" $((32 << 20))
        edit 'sed -i s/32M/48M/ "$1"' web
        equal "The exit status" "$status" 0
        equal MemoryMax= "$(property $unit MemoryMax)" $((48 << 20))
        empty "What is left in /tmp" "$(on_sh 'ls /tmp | grep mctl-edit || :')"
        forget
}

test_edit_refused() {
        local kept

        printf '[Image]\nImage=bb\n' | web_file
        edit 'printf "[Exec]\nHostnam=x\n" >>"$1"' web
        equal "The exit status" "$status" 1
        empty stdout "$out"
        contains stderr "$err" ":4: Unknown key 'Hostnam' in section [Exec]: did you mean Hostname=?"
        equal "The file" "$(on cat /etc/mctl/web.machine)" $'[Image]\nImage=bb'
        kept=$(sed -n "s/.*the edited text is in '\(.*\)'.*/\1/p" <<<"$err")
        contains "The text that was kept" "$(on cat "$kept")" Hostnam
        equal "Its mode" "$(on stat -c %a "$kept")" 600
        on rm "$kept"

        edit 'printf "[Files]\nReadOnly=yes\nVolatile=yes\n" >>"$1"' web
        equal "The exit status" "$status" 1
        contains stderr "$err" "contradict"
        edit 'exit 1' web
        equal "The exit status" "$status" 1
        contains stderr "$err" "The editor failed"
        edit : web
        equal "The exit status" "$status" 0
        contains stdout "$out" "Nothing was changed"
        equal "The file" "$(on cat /etc/mctl/web.machine)" $'[Image]\nImage=bb'
        edit : 'a b'
        equal "The exit status" "$status" 2
        edit : nothing
        try on test -e /etc/mctl/nothing.machine
        equal "Whether a file was made of nothing" "$status" 1
        forget
}

test_cat() {
        on mkdir -p /etc/mctl/web.machine.d
        printf '[Exec]\nHostname=first\n' | put_file /etc/mctl/_default.machine
        printf '[Image]\nImage=bb\n' | web_file
        printf '[Exec]\nHostname=second' | put_file /etc/mctl/web.machine.d/10-a.conf
        printf '[Exec]\nHostname=third\n' | put_file /etc/mctl/web.machine.d/20-b.conf
        works on mctl cat web
        equal "The paths" "$(grep '^# /' <<<"$out")" "# /etc/mctl/_default.machine
# /etc/mctl/web.machine
# /etc/mctl/web.machine.d/10-a.conf
# /etc/mctl/web.machine.d/20-b.conf"
        contains stdout "$out" "Hostname=third"
        forget
        refused 1 "nothing" on mctl cat nothing
        refused 2 "at most 64 letters" on mctl cat 'a b'
}

verifies() {
        printf '%b' "$1" | put_file /root/web.machine
        try on mctl verify /root/web.machine
        equal "The exit status" "$status" 1
        contains stderr "$err" "$2"
        empty stdout "$out"
}

test_verify() {
        verifies '[Exec]\nHostnam=x\n' "/root/web.machine:2: Unknown key 'Hostnam' in section [Exec]: did you mean Hostname=?"
        verifies '[Exec]\nBoot=maybe\n' "/root/web.machine:2: Invalid value 'maybe' for Boot=: expected a boolean (yes or no)."
        verifies '[Network]\nReadOnly=yes\n' "/root/web.machine:2: ReadOnly= belongs in section [Files], not in [Network]."
        verifies '[Foo]\n' "/root/web.machine:1: Unknown section [Foo]"
        verifies 'ReadOnly=yes\n' "/root/web.machine:1: ReadOnly= stands before the first section."
        verifies '[Exec]\nnonsense\n' "/root/web.machine:2: Expected KEY=VALUE or [SECTION], not 'nonsense'."
        verifies '[Exec]\nBoot=no\n' "There is no command: Boot=no needs one, in Parameters= or on the command line."
        verifies '[Exec]\nHostname=a\x00b\n' "NUL"
        verifies '[Exec]\nEnvironment=A=\x1b[31m\n' "/root/web.machine:2:"
        lacks stderr "$err" $'\x1b'

        printf '[Image]\nImage=bb\n[Unit]\nAfter=x.service\n[Service]\nFoo=bar\n[Resources]\nMemoryMax=1G\n' | put_file /root/web.machine
        works on mctl verify /root/web.machine
        contains stdout "$out" "no errors"
        works on mctl verify -q /root/web.machine
        empty stdout "$out"
        printf '[Exec]\nBoot=yes\n[Network]\nZone=x\n' | put_file /root/web.nspawn
        try on mctl verify /root/web.nspawn
        equal "The exit status" "$status" 0
        contains stderr "$err" "/root/web.nspawn:4: Zone= is not supported"
        equal stdout "$out" "/root/web.nspawn: no further errors."
        works on mctl verify --json /root/web.nspawn
        valid_json "$out" 'len(json) == 1 and json[0]["valid"] and "Zone=" in json[0]["warnings"][0]'
        # A property that systemd of this host does not know would have no effect.
        verifies '[Resources]\nMemoryMx=1G\n' "/root/web.machine: systemd knows no property MemoryMx= of a service."
        verifies '[Resources]\nMemoryMax=lots\n' "/root/web.machine: Invalid value 'lots' for property MemoryMax=."
        try on mctl verify --json /root/web.machine
        equal "The exit status" "$status" 1
        valid_json "$out" 'not json[0]["valid"] and "MemoryMax" in json[0]["error"] and json[0]["warnings"] == []'
        printf '[Image]\nImage=bb\n[Resources]\nMemoryMax=50%%\nIPAddressDeny=any\nCPUQuota=10%%\nDevicePolicy=closed\n' |
                put_file /root/web.machine
        works on mctl verify /root/web.machine
        refused 1 "/root/nothing.machine" on mctl verify /root/nothing.machine
        # After an error in one file, the other files are verified as well.
        printf '[Foo]\n' | put_file /root/bad.machine
        try on mctl verify /root/bad.machine /root/web.machine
        equal "The exit status" "$status" 1
        contains stdout "$out" "web.machine: no errors"
        on_sh 'rm /root/*.machine /root/*.nspawn'
}

test_show_effective() {
        printf '%s\n' '[Image]' 'Image=bb' '[Exec]' 'Hostname=%i-host' 'Environment=A=b' '[Resources]' 'MemoryMax=64M' | web_file
        works on mctl show --effective web
        contains "The settings" "$out" $'[Image]\nImage=bb'
        contains "The settings" "$out" "Hostname=web-host"
        contains "The settings" "$out" "PrivateUsers=pick"
        contains "The settings" "$out" $'[Resources]\nMemoryMax=64M'
        # The output of 'show --effective' is a machine file. For this file, the output is the same.
        printf '%s\n' "$out" | put_file /etc/mctl/again.machine
        works on mctl verify -q /etc/mctl/again.machine
        equal "Those of the file of it" "$(on mctl show --effective again)" "$(on mctl show --effective web)"

        # For a running machine, 'show --effective' prints the settings that the machine was started with.
        works on mctl start web
        printf '%s\n' '[Image]' 'Image=bb' '[Exec]' 'Hostname=changed' | web_file
        contains "The settings meanwhile" "$(on mctl show --effective web)" "Hostname=web-host"
        power_off web
        contains "The settings after" "$(on mctl show --effective web)" "Hostname=changed"
        boot bb --name transient --hostname=other
        contains "Those of a transient one" "$(on mctl show --effective transient)" "Hostname=other"
        power_off transient
        forget
        refused 1 "nothing" on mctl show --effective nothing
        printf '[Foo]\n' | web_file
        refused 1 "/etc/mctl/web.machine:1: Unknown section [Foo]" on mctl show --effective web
        forget
}

test_effective_json() {
        printf '%s\n' '[Image]' 'Image=bb' '[Exec]' 'Environment=A=b' | web_file
        works on mctl show --effective --json web
        valid_json "$out" "'bb' in str(json) and 'A=b' in str(json)"
        forget
}

test_set_property() {
        boot bb
        works on mctl set-property bb MemoryMax=100M CPUWeight=50
        equal MemoryMax= "$(property machine-bb.service MemoryMax)" $((100 << 20))
        equal CPUWeight= "$(property machine-bb.service CPUWeight)" 50
        works on mctl set-property --runtime bb MemoryMax=
        equal MemoryMax= "$(property machine-bb.service MemoryMax)" infinity
        refused 1 "Nonsense" on mctl set-property bb Nonsense=1
        refused 2 "nonsense" on mctl set-property bb nonsense
        refused 1 "MemoryMax" on mctl set-property bb MemoryMax=lots
        refused 1 "nobody" on mctl set-property nobody MemoryMax=1G
        try on mctl set-property bb
        equal "The exit status" "$status" 2
        try on_user alice mctl --no-ask-password set-property bb MemoryMax=1G
        equal "The exit status for one who may not" "$status" 1
        equal MemoryMax= "$(property machine-bb.service MemoryMax)" infinity
        power_off bb

        printf '[Image]\nImage=bb\n' | web_file
        works on mctl start web
        works on mctl set-property web MemoryMax=100M
        equal "The drop-ins" "$(on_sh 'ls /etc/systemd/system.control/container@web.service.d')" 50-MemoryMax.conf
        works on mctl set-property --runtime web CPUWeight=50
        equal "The drop-ins of this boot" "$(on_sh 'ls /run/systemd/system.control/container@web.service.d')" 50-CPUWeight.conf
        power_off web
        on_sh 'rm -rf /etc/systemd/system.control/container@web.service.d /run/systemd/system.control/container@web.service.d'
        forget
}

test_generator() {
        printf '%s\n' '[Image]' 'Image=bb' '[Exec]' 'KillSignal=SIGINT' '[Files]' 'Device=/dev/fuse' \
                '[Unit]' 'After=some.service' 'Description=The web of it' 'RequiresMountsFor=/srv/web' \
                '[Service]' 'Restart=on-failure' 'RestartSec=7s' \
                '[Resources]' 'MemoryMax=64M' 'CPUWeight=33' | web_file
        on systemctl daemon-reload
        equal "The drop-ins" "$(property $unit DropInPaths)" /run/systemd/generator/$unit.d/50-machine.conf
        equal MemoryMax= "$(property $unit MemoryMax)" $((64 << 20))
        equal CPUWeight= "$(property $unit CPUWeight)" 33
        equal Restart= "$(property $unit Restart)" on-failure
        equal RestartSec= "$(property $unit RestartUSec)" 7s
        equal KillSignal= "$(property $unit KillSignal)" 2
        equal Description= "$(property $unit Description)" "The web of it"
        contains After= "$(property $unit After)" some.service
        contains RequiresMountsFor= "$(property $unit RequiresMountsFor)" /srv/web
        contains DeviceAllow= "$(property $unit DeviceAllow)" "/dev/fuse rwm"
        equal "Other units" "$(property container@other.service DropInPaths)" ""

        forget
        equal "The drop-ins without the file" "$(property $unit DropInPaths)" ""
}

test_generator_runs_it() {
        printf '%s\n' '[Image]' 'Image=bb' '[Files]' 'Device=/dev/fuse' '[Service]' 'ExecStopPost=touch /run/was-stopped' | web_file
        on systemctl daemon-reload
        works on mctl start web
        works inside_sh web 'exec 3<>/dev/fuse'
        power_off web
        soon on test -e /run/was-stopped
        on rm /run/was-stopped
        forget
}

test_generator_command() {
        printf '%s\n' '[Image]' 'Image=bb' '[Exec]' 'Boot=no' 'ProcessTwo=yes' 'Parameters=sh -c "hostname; exec sleep 100"' | web_file
        on systemctl daemon-reload
        equal KillSignal= "$(property $unit KillSignal)" 15
        works on mctl start web
        power_off web
        equal Result "$(property $unit Result)" success
        forget
}

test_generator_drop_ins() {
        on mkdir -p /etc/mctl/web.machine.d
        printf '%s\n' '[Image]' 'Image=bb' '[Resources]' 'MemoryMax=64M' | web_file
        printf '%s\n' '[Resources]' 'MemoryMax=96M' '[Service]' 'Nice=3' | put_file /etc/mctl/web.machine.d/a.conf
        printf '%s\n' '[Resources]' 'CPUWeight=44' | put_file /etc/mctl/_default.machine
        on systemctl daemon-reload
        equal MemoryMax= "$(property $unit MemoryMax)" $((96 << 20))
        equal Nice= "$(property $unit Nice)" 3
        equal CPUWeight= "$(property $unit CPUWeight)" 44
        forget
}

# If a file has an error, the unit still exists, and its start fails with the error.
test_generator_error() {
        printf '%s\n' '[Image]' 'Image=bb' '[Resources]' 'MemoryMax=64M' '[Nonsense]' | web_file
        printf '%s\n' '[Image]' 'Image=bb' '[Resources]' 'MemoryMax=64M' | put_file /etc/mctl/good.machine
        on systemctl daemon-reload
        equal LoadState "$(property $unit LoadState)" loaded
        equal DropInPaths "$(property $unit DropInPaths)" ""
        equal "MemoryMax= of the good one" "$(property container@good.service MemoryMax)" $((64 << 20))
        try on mctl start web
        equal "The exit status" "$status" 1
        contains stderr "$err" "/etc/mctl/web.machine:5: Unknown section [Nonsense]"
        contains "The journal" "$(on journalctl --no-pager -o cat -b)" "/etc/mctl/web.machine:5: Unknown section [Nonsense]"

        # A directory in the place of the file.
        on_sh 'rm /etc/mctl/web.machine; mkdir /etc/mctl/web.machine'
        on systemctl daemon-reload
        equal LoadState "$(property $unit LoadState)" loaded
        equal "MemoryMax= of the good one" "$(property container@good.service MemoryMax)" $((64 << 20))
        on rmdir /etc/mctl/web.machine
        forget
}

# If systemd does not understand a property in the drop-in, systemd logs a warning, and the machine starts.
test_generator_bad_property() {
        printf '%s\n' '[Image]' 'Image=bb' '[Resources]' 'MemoryMax=lots' 'CPUWeight=55' | web_file
        on systemctl daemon-reload
        equal CPUWeight= "$(property $unit CPUWeight)" 55
        works on mctl start web
        power_off web
        forget
}

test_enable_with_install() {
        printf '%s\n' '[Image]' 'Image=bb' '[Install]' 'WantedBy=graphical.target' | web_file
        on systemctl daemon-reload
        try on mctl enable web
        equal "The exit status" "$status" 0
        works on test -L /etc/systemd/system/graphical.target.wants/$unit
        try on mctl disable web
        try on test -L /etc/systemd/system/graphical.target.wants/$unit
        equal "Whether it is there after disable" "$status" 1
        forget
}

run_tests
