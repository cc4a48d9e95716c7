#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Machines that have a file in /etc/mctl: container@NAME.service.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

machine_file() {
        put_file "/etc/mctl/$1.machine"
}

forget() {
        on systemctl reset-failed 'container@*' 2>/dev/null || :
        on sh -c 'rm -f /etc/mctl/*.machine'
}

test_start() {
        local unit=container@web.service

        printf '%s\n' '[Image]' 'Image=bb' '[Exec]' 'Environment=FOO=bar' '[Resources]' |
                machine_file web
        works on systemctl start "$unit"
        equal "The state of the unit" "$(property "$unit" ActiveState)" active
        equal "The slice" "$(property "$unit" Slice)" machine.slice
        equal "What the init says" "$(property "$unit" StatusText)" "busybox init up"
        equal "The machine's unit" "$(field web unit)" "$unit"
        equal "Its state" "$(field web state)" running
        equal "Its leader" "$(field web leader)" "$(property "$unit" MainPID)"
        equal "Its image" "$(field web image)" bb
        contains "Its environment" "$(on_sh 'tr "\0" "\n" </proc/$1/environ' sh "$(leader_of web)")" FOO=bar
        equal "The processes of the unit" "$(on_sh 'cat $(find "/sys/fs/cgroup$1" -name cgroup.procs)' sh \
                "$(property "$unit" ControlGroup)")" "$(leader_of web)"
        works on systemctl stop "$unit"
        soon is_gone web
        equal Result "$(property "$unit" Result)" success
        forget
}

test_image_is_the_name() {
        machine_file bb </dev/null
        works on mctl start bb
        equal "The image" "$(field bb image)" bb
        power_off bb
        forget
}

test_resources() {
        printf '%s\n' '[Image]' 'Image=bb' '[Resources]' 'MemoryMax=123M' 'Description=Some words of mine' |
                machine_file web
        # systemd must reload its units after a change of the file.
        on systemctl daemon-reload
        works on mctl start web
        equal MemoryMax "$(property container@web.service MemoryMax)" $((123 << 20))
        power_off web
        forget
}

test_kill_signal() {
        printf '%s\n' '[Image]' 'Image=bb' '[Exec]' 'KillSignal=SIGTERM' |
                machine_file web
        works on mctl start web
        works on timeout 20 systemctl stop container@web.service
        equal Result "$(property container@web.service Result)" success
        forget
}

test_start_several() {
        local name

        for name in w1 w2 w3 w4; do
                printf '[Image]\nImage=bb\n[Files]\nVolatile=overlay\n' | machine_file "$name"
        done
        works on mctl start w1 w2 w3 w4
        equal "How many run" "$(on_sh 'mctl list --json | jq "map(select(.state == \"running\")) | length"')" 4
        power_off w1 w2 w3 w4
        # If one of the machines has no file, the error names that machine.
        try on mctl start w1 nofile
        equal "The exit status" "$status" 1
        contains stderr "$err" "nofile"
        reset_host
}

test_reboot() {
        printf '[Image]\nImage=bb\n' | machine_file web
        works on mctl start web
        works inside web reboot -f
        soon restarted
        power_off web
        forget
}

restarted() {
        [ "$(property container@web.service NRestarts)" = 1 ] && [ "$(field web state)" = running ]
}

test_enable() {
        local target

        printf '[Image]\nImage=bb\n' | machine_file web
        try on mctl enable web
        equal "The exit status" "$status" 0
        equal "is-enabled" "$(on systemctl is-enabled container@web.service)" enabled
        contains "What machines.target wants" "$(on systemctl show -p Wants machines.target)" container@web.service
        contains "What multi-user.target wants" "$(on systemctl list-dependencies --plain multi-user.target)" machines.target
        contains "What starts at boot" "$(on systemctl list-dependencies --plain multi-user.target)" container@web.service
        # On this host, only the generator can have made machines.target.
        target=$(property machines.target FragmentPath)
        matches "The file of machines.target" "$target" '^(/run/systemd/generator.late|/usr/lib/systemd/system|/lib/systemd/system)/machines.target$'

        # A boot of the host starts machines.target.
        works on systemctl start machines.target
        soon is_listed web
        works on mctl wait web
        works on systemctl stop machines.target
        soon is_gone web

        try on mctl disable web
        equal "The exit status" "$status" 0
        try on systemctl is-enabled container@web.service
        equal "is-enabled" "$out" disabled
        lacks "What machines.target wants" "$(on systemctl show -p Wants machines.target)" container@web.service
        forget
}

test_enable_now() {
        printf '[Image]\nImage=bb\n' | machine_file web
        try on mctl enable --now web
        equal "The exit status" "$status" 0
        equal "The state" "$(field web state)" running
        try on mctl disable --now web
        equal "The exit status" "$status" 0
        soon is_gone web
        # 'disable --now' also succeeds for a machine that is off. Without the file of the machine, 'disable' removes a
        # link that is left.
        try on mctl enable web
        works on mctl disable --now web
        try on mctl enable web
        on rm /etc/mctl/web.machine
        works on mctl disable web
        refused 1 "/etc/mctl/web.machine" on mctl disable web
        forget
}

test_running_by_the_other_door() {
        printf '[Image]\nImage=bb\n' | machine_file web
        boot bb --name web
        refused 1 "Machine 'web' is running already, as machine-web.service." on mctl start web
        equal "The state of the template" "$(property container@web.service ActiveState)" inactive
        power_off web
        forget
}

test_no_file() {
        refused 1 "/etc/mctl/nofile.machine" on mctl start nofile
        refused 1 "/etc/mctl/nofile.machine" on mctl enable nofile
        try on systemctl start container@nofile.service
        differ "The exit status" "$status" 0
        forget
}

log_says() {
        on journalctl --no-pager --unit=container@web.service | grep -F -- "$1" >/dev/null
}

# log_tells FILE-TEXT LINE: with this machine file, the log of the unit contains the line.
log_tells() {
        printf '%b' "$1" | machine_file web
        try on systemctl start container@web.service
        equal "The exit status" "$status" 1
        # Lines of the launcher reach the journal with a delay.
        soon log_says "$2"
        try on mctl start web
        equal "The exit status of mctl start" "$status" 1
        contains "stderr of mctl start" "$err" "$2"
        equal "The processes" "$(on pgrep -c mctl-launch || :)" 0
        forget
}

test_bad_files() {
        log_tells '[Exec]\nBot=yes\n' "/etc/mctl/web.machine:2: Unknown key 'Bot' in section [Exec]: did you mean Boot=?"
        log_tells '[Exec]\n\n# x\nBoot=maybe\n' "/etc/mctl/web.machine:4: Invalid value 'maybe' for Boot=: expected a boolean (yes or no)."
        log_tells 'Boot=yes\n' "/etc/mctl/web.machine:1: Boot= stands before the first section."
        log_tells '[Exec]\nImage=bb\n' "/etc/mctl/web.machine:2: Image= belongs in section [Image], not in [Exec]."
        log_tells '[Nonsense]\n' "/etc/mctl/web.machine:1: Unknown section [Nonsense]"
        log_tells '[Image]\nImage=nothing\n' "No image 'nothing' in /var/lib/machines"
}

test_failed_is_not_in_the_way() {
        printf '[Exec]\nBot=yes\n' | machine_file web
        try on mctl start web
        equal "The exit status" "$status" 1
        printf '[Image]\nImage=bb\n' | machine_file web
        works on mctl start web
        power_off web
        forget
}

test_status_of_unit() {
        printf '[Image]\nImage=bb\n' | machine_file web
        works on mctl start web
        contains "systemctl status" "$(on systemctl status --no-pager container@web.service)" "payload"
        contains "mctl status" "$(on mctl status web)" "container@web.service"
        power_off web
        contains "The log afterwards" "$(on mctl logs --no-pager web)" "busybox init up"
        forget
}

run_tests
