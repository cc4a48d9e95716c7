#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Errors: each mistake has an error of one line and an exit status that is not 0, and leaves no remains.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

# not_up REASON COMMAND...: the machine must fail to come up. The first line of the error has the reason, and indented
# lines of the log follow.
not_up() {
        local reason=$1
        shift

        try "$@"
        equal "The exit status" "$status" 1
        empty stdout "$out"
        contains "The first line of stderr" "$(head -n 1 <<<"$err")" "$reason"
        equal "Lines that are not of the log" "$(tail -n +2 <<<"$err" | grep -vc '^    ' || :)" 0
}

forget() {
        on systemctl reset-failed 'machine-*' 'container@*' 2>/dev/null || :
}

test_init_fails() {
        echo "the disk is on fire" | put_file /var/lib/machines/bb/etc/init-fail
        not_up "Machine 'bb' did not come up" on mctl boot bb
        contains "stderr" "$err" "status 1"
        contains "stderr" "$err" "the disk is on fire"
        equal "Result" "$(property machine-bb.service Result)" exit-code
        equal "The machines that run" "$(on mctl list --json)" "[]"
        contains "The machines with those that failed" "$(on mctl list --all --json)" '"failed"'
        contains "The status" "$(on mctl status bb)" "failed"
        on rm /var/lib/machines/bb/etc/init-fail
        # A failed start does not prevent a later start.
        boot bb
        power_off bb
}

test_init_fails_quiet() {
        echo "the disk is on fire" | put_file /var/lib/machines/bb/etc/init-fail
        refused 1 "did not come up" on mctl -q boot bb
        on rm /var/lib/machines/bb/etc/init-fail
        forget
}

test_init_hangs() {
        on_sh ': >/var/lib/machines/bb/etc/init-hang'
        not_up "Machine 'bb' did not come up" on mctl boot bb -p TimeoutStartSec=2s
        contains "stderr" "$err" "TimeoutStartSec="
        contains "stderr" "$err" "busybox init up"
        equal "Result" "$(property machine-bb.service Result)" timeout
        on rm /var/lib/machines/bb/etc/init-hang
        forget
}

# The exit status of the payload is that of the unit.
test_init_exits() {
        echo 7 | put_file /var/lib/machines/bb/etc/init-exit
        try on mctl boot bb
        soon is_gone_or_failed
        equal ExecMainStatus "$(property machine-bb.service ExecMainStatus)" 7
        equal ExecMainCode "$(property machine-bb.service ExecMainCode)" 1
        equal Result "$(property machine-bb.service Result)" exit-code
        on rm /var/lib/machines/bb/etc/init-exit
        forget
}

is_gone_or_failed() {
        [ "$(property machine-bb.service ActiveState)" = failed ]
}

test_init_is_not_executable() {
        on cp -a /var/lib/machines/bb /var/lib/machines/broken
        on_sh 'echo "not a program" >/var/lib/machines/broken/sbin/init'
        not_up "Machine 'broken' did not come up" on mctl boot broken
        contains stderr "$err" "/sbin/init"
        on rm -r /var/lib/machines/broken
        forget
}

test_image_without_init() {
        on mkdir -p /var/lib/machines/empty/etc
        try on mctl boot empty
        equal "The exit status" "$status" 1
        contains stderr "$err" "no init"
        on rm -r /var/lib/machines/empty
        forget
}

test_missing_image() {
        refused 1 "No image 'nothing' in /var/lib/machines" on mctl boot nothing
        refused 1 "/nowhere" on mctl boot /nowhere --name x
        on_sh ': >/var/lib/machines/file'
        refused 1 "is not an image" on mctl boot file
        on rm /var/lib/machines/file
        refused 1 "No image 'nothing'" on mctl boot --dry-run nothing
}

test_bad_image_names() {
        local name

        for name in .hidden $'a\nb' $'a\x1b[31m' ''; do
                try on mctl boot "$name" --name x
                differ "The exit status for '$name'" "$status" 0
                lines stderr "$err" 1
                lacks stderr "$err" $'\x1b'
        done
}

test_bad_machine_names() {
        local name

        for name in 'a b' '-a' 'a-' '.a' 'a..b' 'a/b' '../x' 'ä' 'a@b' "$(printf 'a%.0s' {1..65})" $'a\nb'; do
                try on mctl boot bb --name="$name"
                equal "The exit status for '$name'" "$status" 2
                lines stderr "$err" 1
                contains stderr "$err" "at most 64 letters"
                try on mctl start -- "$name"
                differ "The exit status of start" "$status" 0
                lines stderr "$err" 1
        done
        boot bb --name="$(printf 'a%.0s' {1..64})"
        power_off "$(printf 'a%.0s' {1..64})"
}

test_bad_properties() {
        refused 1 "Nonsense" on mctl boot bb -p Nonsense=1
        refused 1 "MemoryMax" on mctl boot bb -p MemoryMax=lots
        refused 1 "CPUQuota" on mctl boot bb -p CPUQuota=20
        refused 1 "Restart" on mctl boot bb -p Restart=sometimes
        refused 2 "MemoryMax" on mctl boot bb -p MemoryMax
        refused 2 "memory max" on mctl boot bb -p 'memory max=1'
        refused 2 "ExecStart" on mctl boot bb -p ExecStart=/bin/true
        refused 2 "Delegate" on mctl boot bb -p Delegate=no
        refused 2 "User" on mctl boot bb -p User=alice
        refused 1 "Nonsense" on mctl boot --dry-run bb -p Nonsense=1
}

test_bad_settings() {
        refused 2 "kill-signal" on mctl boot bb --kill-signal=SIGFOO
        refused 2 "setenv" on mctl boot bb --setenv=1A=b
        refused 2 "private-users" on mctl boot bb --private-users=some
        refused 2 "uuid" on mctl boot bb --uuid=123
        refused 1 "PrivateUsers" on mctl boot bb --private-network=no
}

test_bad_command_lines() {
        refused 2 "Unknown command 'fly'" on mctl fly
        refused 2 "boot" on mctl boot
        refused 2 "does not go with" on mctl list --name=x
        refused 2 "does not go with" on mctl boot bb --signal=TERM
        refused 2 "--json" on mctl list --json=xml
        refused 2 "--lines" on mctl logs -n x bb
        refused 2 "--for" on mctl wait --for=lunch bb
        refused 2 "signal" on mctl kill -s FOO bb
        refused 2 "--since" on mctl logs --since=lunch bb
        try on mctl --nonsense list
        equal "The exit status" "$status" 2
        try on mctl list extra
        equal "The exit status" "$status" 2
}

test_no_such_machine() {
        local verb

        for verb in status show poweroff stop reboot terminate kill wait logs; do
                refused 1 "nobody" on mctl "$verb" nobody
        done
        # A machine that does not exist counts as stopped.
        works on mctl wait --for=stopped nobody
}

test_name_twice() {
        boot bb
        refused 1 "'bb'" on mctl boot bb
        on cp -a /var/lib/machines/bb /var/lib/machines/bb2
        refused 1 "'bb'" on mctl boot bb2 --name bb
        equal "The image that runs" "$(field bb image)" bb

        # The unit of the template is refused as well.
        printf '[Image]\nImage=bb2\n' | put_file /etc/mctl/bb.machine
        try on systemctl start container@bb.service
        equal "The exit status" "$status" 1
        contains "The log" "$(on journalctl --no-pager -u container@bb.service)" \
                "Machine 'bb' is already running, as machine-bb.service."
        forget
        equal "The image that runs" "$(field bb image)" bb
        equal "The leader that runs" "$(field bb leader)" "$(property machine-bb.service MainPID)"
        power_off bb

        works on systemctl start container@bb.service
        refused 1 "'bb'" on mctl boot bb2 --name bb
        power_off bb
        on rm -r /var/lib/machines/bb2 /etc/mctl/bb.machine
}

# If many starts use one name at once, one of them succeeds.
test_name_race() {
        local won

        won=$(on_sh 'for i in 1 2 3 4 5 6 7 8; do
                        { mctl -q boot bb --name race 2>/dev/null && echo won; } &
                done
                wait' | grep -c won)
        equal "How many got the name" "$won" 1
        equal "How many are there" "$(on_sh 'mctl list --json | jq length')" 1
        power_off race
}

# Only one machine writes to an image. Machines that only read the image can run at the same time.
# A mount that a chroot has left in an image is named.
test_mount_in_image() {
        on mkdir -p /var/lib/machines/bb/proc
        on mount -t proc proc /var/lib/machines/bb/proc
        try on mctl boot bb
        equal "The exit status" "$status" 1
        contains stderr "$err" "a file system of type proc is mounted on '/var/lib/machines/bb/proc'"
        on umount /var/lib/machines/bb/proc
        on systemctl reset-failed machine-bb.service
        boot bb
        power_off bb
}

test_image_has_a_writer() {
        boot bb --name one
        refused 1 "Machine 'one' has image 'bb' and writes to it" on mctl boot bb --name two
        refused 1 "Machine 'one' has image '/var/lib/machines/bb'" on mctl boot /var/lib/machines/bb --name two
        boot bb --name two --volatile=overlay
        works on mctl run bb true

        # For the unit of the template, only the launcher checks the claim.
        printf '[Image]\nImage=bb\n' | put_file /etc/mctl/web.machine
        try on systemctl start container@web.service
        equal "The exit status" "$status" 1
        contains "The log" "$(on journalctl --no-pager -u container@web.service)" "Machine 'one' has image 'bb'"
        on systemctl reset-failed container@web.service

        # After the end of the writer, another machine can write to the image.
        works on mctl terminate one
        works on systemctl start container@web.service
        refused 1 "Machine 'web' has image 'bb'" on mctl boot bb --name one
        works on systemctl stop container@web.service
        soon is_gone web
        on rm /etc/mctl/web.machine
        power_off two
        empty "The claims that are left" "$(on_sh 'find /run/mctl/images /run/mctl/users -type f')"
}

run_tests
