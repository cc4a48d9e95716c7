#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# 'mctl run': a command in a machine behaves like a command of the host.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

test_streams() {
        local sums

        # A few megabytes of random data, through pipes and through files.
        sums=$(on_sh '
                head -c 5000000 /dev/urandom >/tmp/in
                sha256sum </tmp/in
                cat /tmp/in | mctl run -i bb cat | sha256sum
                mctl run -i bb cat </tmp/in >/tmp/out
                sha256sum </tmp/out
                rm /tmp/in /tmp/out')
        lines "the sums" "$sums" 3
        equal "How many different sums there are" "$(sort -u <<<"$sums" | wc -l)" 1

        works on_sh 'mctl run bb sh -c "echo to stdout; echo to stderr >&2" 2>/tmp/err; echo "stderr: $(cat /tmp/err)"; rm /tmp/err'
        equal stdout "$out" $'to stdout\nstderr: to stderr'

        # When the reader of the output has ended, the command gets SIGPIPE.
        works on_sh 'timeout 20 mctl run --rm --init bb yes 2>/dev/null | head -n 1'
        equal stdout "$out" y
}

test_stdin() {
        says "" bb cat
        works on_sh 'echo not for it | mctl run bb cat'
        empty stdout "$out"
        works on_sh 'echo for it | mctl run -i bb cat'
        equal stdout "$out" "for it"
        works on_sh 'echo for it | mctl run --interactive bb cat'
        equal stdout "$out" "for it"
}

test_exit_status() {
        local i

        for i in 0 1 2 77 125 127 128 254 255; do
                ends "$i" bb sh -c "exit $i"
                empty stdout "$out"
                empty stderr "$err"
        done
        ends 42 --init bb sh -c "exit 42"
}

ended_by_signal() {
        on_sh '
                mctl run --rm --name signalled bb sleep 100 &
                soon sh -c "grep -x sleep /proc/\$(systemctl show -P MainPID machine-signalled)/comm"
                kill -KILL "$(systemctl show -P MainPID machine-signalled)"
                s=0; wait $! || s=$?; echo "$s"'
}

test_signal_status() {
        local sig

        for sig in TERM KILL SEGV USR1 HUP; do
                ends $((128 + $(kill -l $sig))) --init bb sh -c "kill -$sig \$\$; sleep 10"
        done
        equal "The status of a command that another killed" "$(ended_by_signal)" 137
        # For PID 1, signals have no default actions.
        ends 3 bb sh -c 'kill -TERM $$; exit 3'
}

test_status_125() {
        refused 125 "No image 'nothing' in /var/lib/machines" run nothing true
        refused 125 "--memory takes a size" run --memory=lots bb true
        refused 125 "Nonsense" run -p Nonsense=1 bb true
        refused 125 "There is no user 'nosuch'" run -u nosuch bb true
        refused 125 "/nosuch" run -w /nosuch bb true
        refused 125 "There is no command" run bb
        refused 125 "/nosuch" run -v /nosuch:/x bb true
}

# The status 125 cannot be confused with a status of the command.
test_status_of_bad_options() {
        refused 125 "volatile" run --volatile=sometimes bb true
        refused 125 "CAP_NONSENSE" run --cap-add=CAP_NONSENSE bb true
        refused 125 "ulimit" run --ulimit=nonsense=1 bb true
        refused 125 "cpus" run --cpus=many bb true
        refused 125 "pull" run --pull=always bb true
        refused 125 "volumes" run -v name:/x bb true
        try run --nonsense bb true
        equal "The exit status" "$status" 125
}

test_status_126_and_127() {
        refused 126 "/etc/passwd" run bb /etc/passwd
        refused 126 "/etc" run bb /etc
        refused 127 "nothere" run bb nothere
        refused 127 "/nothere" run bb /nothere
        refused 126 "/etc/passwd" run --init bb /etc/passwd
        refused 127 "nothere" run --init bb nothere
}

test_order_of_options() {
        says "one" bb -e A=one -- sh -c 'echo $A'
        says "one" bb -e A=one sh -c 'echo $A'
        says "one two" -e A=one bb -e B=two -- sh -c 'echo $A $B'
        # Words after the command are its arguments.
        says "--name x -e -- -h" bb echo --name x -e -- -h
        says "-x" bb -- echo -x
        says "--" bb -- echo --
}

test_words() {
        says $'[]\n[two words]\n[$HOME]\n[%n]\n[a\'b"c\\d]\n[*]\n[ä]' bb -- sh -c 'for w; do echo "[$w]"; done' sh \
                '' 'two words' "\$HOME" '%n' "a'b\"c\\d" '*' 'ä'
}

test_environment() {
        local environment

        printf '%s\n' '# A comment' '' 'A=file' 'B=two words' 'C=a=b' 'FROM_CALLER' | put_file /root/env
        works on env FROM_CALLER=yes OTHER=other mctl run --rm --env-file=/root/env -e A=option -e OTHER -e UNSET bb env
        environment=$'\n'$out$'\n'
        contains "The environment" "$environment" $'\nA=option\n'
        contains "The environment" "$environment" $'\nB=two words\n'
        contains "The environment" "$environment" $'\nC=a=b\n'
        contains "The environment" "$environment" $'\nFROM_CALLER=yes\n'
        contains "The environment" "$environment" $'\nOTHER=other\n'
        contains "The environment" "$environment" $'\nHOME=/root\n'
        contains "The environment" "$environment" $'\ncontainer=mctl\n'
        lacks "The environment" "$environment" UNSET
        lacks "The environment" "$environment" INVOCATION_ID
        lacks "The environment" "$environment" LISTEN_
        on rm /root/env
        refused 125 "/root/env" run --env-file=/root/env bb true
}

test_user() {
        on_sh 'printf "%s\n" "other:x:77:user,nobody" "third:x:78:somebody" >>/var/lib/machines/bb/etc/group'
        says "1000 1000 1000 77" -u user bb sh -c 'echo $(id -u) $(id -g) $(id -G)'
        says "1000 1000 1000 77" --user=1000 bb sh -c 'echo $(id -u) $(id -g) $(id -G)'
        says "4711 0 0" -u 4711 bb sh -c 'echo $(id -u) $(id -g) $(id -G)'
        says "/home user user /bin/sh" -u user bb sh -c 'echo $HOME $USER $LOGNAME $SHELL'
        says "0000000000000000" -u user bb sh -c 'sed -n "s/^CapEff:\t//p" /proc/self/status'
        says "0" bb id -G
        refused 125 "nosuch" run -u nosuch bb true
        on sed -i '/^other:\|^third:/d' /var/lib/machines/bb/etc/group
}

test_workdir_entrypoint_hostname() {
        says /usr -w /usr bb pwd
        says /usr --workdir=/usr bb pwd
        says / bb pwd
        says "a b" --entrypoint echo bb a b
        says "" --entrypoint true bb
        says some-host --hostname=some-host bb hostname
        says name-1 --name=name-1 bb hostname
}

# The command sees no processes of the host.
test_view() {
        says "1 sh" bb sh -c 'echo $$ $(cat /proc/1/comm)'
        says "1" bb sh -c 'cd /proc && echo [0-9]*'
        says "2" --init bb sh -c 'cd /proc && set -- [0-9]* && echo $#'
}

test_init() {
        says mctl-init --init bb cat /proc/1/comm
        says cat bb cat /proc/1/comm
        # Orphaned processes become children of the init, which reaps them.
        says 0 --init bb sh -c 'for i in 1 2 3; do sh -c "sleep 0.1 &"; done; n=0
                while pidof sleep >/dev/null && [ "$n" -lt 50 ]; do n=$((n + 1)); usleep 100000; done
                grep -l "^State:.Z" /proc/[0-9]*/status | wc -l'
        # The init ends with the command, and then all other processes end.
        ends 5 --init bb sh -c 'sleep 100 & exit 5'
}

seconds_of() {
        on_sh 'start=$(date +%s%N); "$@" >/dev/null; echo $((($(date +%s%N) - start) / 1000000))' sh "$@"
}

test_init_ends_at_once() {
        local ms

        works run -d --init --name quick bb sleep 100
        ms=$(seconds_of mctl poweroff quick)
        [ "$ms" -lt 9000 ] || fail "It took $ms ms."
        soon is_gone quick
}

test_stop_timeout() {
        local ms

        works run -d --name deaf --stop-timeout=1 --stop-signal=SIGUSR1 bb sleep 100
        equal KillSignal= "$(property machine-deaf.service KillSignal)" 10
        equal TimeoutStopSec= "$(property machine-deaf.service TimeoutStopUSec)" 1s
        ms=$(seconds_of mctl poweroff deaf)
        # Without the option, the time would be ten seconds.
        if [ "$ms" -lt 900 ] || [ "$ms" -ge 9000 ]; then
                fail "It took $ms ms."
        fi
        soon is_gone deaf

        works on_sh '
                mctl run --rm --name hears --stop-signal=USR1 bb sh -c "trap \"exit 9\" USR1; echo up; while :; do sleep 0.1; done" >/run/up &
                soon grep up /run/up
                rm /run/up
                mctl -q poweroff hears
                s=0; wait $! || s=$?; echo "$s"'
        equal stdout "$out" 9
        works run -d --name plain bb sleep 100
        equal KillSignal= "$(property machine-plain.service KillSignal)" 15
        equal TimeoutStopSec= "$(property machine-plain.service TimeoutStopUSec)" 10s
        works on mctl terminate plain
        soon is_gone plain
}

test_read_only_and_tmpfs() {
        ends 1 --read-only bb touch /root/x
        contains stderr "$err" "Read-only file system"
        says "" --read-only bb touch /tmp/x /run/x /dev/shm/x
        says 1024 --tmpfs=/data:size=1m bb sh -c 'df -k /data | awk "END { print \$2 }"'
        says 1777 --tmpfs=/data:mode=1777 bb stat -c %a /data
        ends 1 --tmpfs=/data:size=1m bb dd if=/dev/zero of=/data/x bs=1M count=2
        says "" --tmpfs=/data --read-only bb touch /data/x
        try on test -e /var/lib/machines/bb/root/x
        equal "Whether the file is in the image" "$status" 1
        on_sh 'rm -rf /var/lib/machines/bb/data'
}

test_volume() {
        on_sh 'mkdir -p /tmp/vol/sub; echo text >/tmp/vol/file; echo u >/tmp/vol/users; chown 1000:1000 /tmp/vol/users'
        says text -v /tmp/vol:/data bb cat /data/file
        says "0:0 1000:1000" -v /tmp/vol:/data bb sh -c 'echo $(stat -c %u:%g /data/file /data/users)'
        says "" -v /tmp/vol:/data:rw bb sh -c 'touch /data/new; touch /data/theirs; chown 1000 /data/theirs'
        equal "The owners on the host" "$(on stat -c %u:%g /tmp/vol/new /tmp/vol/theirs)" $'0:0\n1000:0'
        ends 1 -v /tmp/vol:/data:ro bb touch /data/x
        contains stderr "$err" "Read-only file system"
        says text -v /tmp/vol/file:/some/where/file:ro,z bb cat /some/where/file
        works on_sh 'cd /tmp && mctl run --rm -v ./vol:/data bb cat /data/file'
        equal stdout "$out" text
        works on_sh 'cd /tmp/vol/sub && mctl run --rm -v ..:/data bb cat /data/file'
        equal stdout "$out" text
        says "65534" -v /tmp/vol:/data:noidmap bb stat -c %u /data/file
        says "0" -v /tmp/vol:/data:rootidmap bb stat -c %u /data/file
        # Two volumes, one inside the other.
        says "text in-other" -v /tmp/vol:/data -v /tmp/vol/sub:/data/sub -e X=in-other bb sh -c 'echo $(cat /data/file) $X'
        not_run "sometimes" -v /tmp/vol:/data:sometimes bb true
        not_run "rshared" -v /tmp/vol:/data:rshared bb true
        on rm -r /tmp/vol
}

# mount_flags WHERE prints a command that shows the flags of a mount inside.
mount_flags() {
        echo "grep ' $1 ' /proc/self/mountinfo | cut -d ' ' -f 6 | sed s/,idmapped//"
}

test_mount_flags() {
        # /tmp of the host has the flags nosuid and nodev.
        on_sh 'mkdir -p /tmp/vol; cp /var/lib/machines/bb/bin/busybox /tmp/vol/true'
        says "rw,nosuid,nodev,noexec,noatime" -v /tmp/vol:/data:nosuid,nodev,noexec,noatime bb sh -c "$(mount_flags /data)"
        ends 126 -v /tmp/vol:/data:noexec bb /data/true
        says "ro,nosuid,nodev,relatime" -v /tmp/vol:/data:ro,nosuid,x-any bb sh -c "$(mount_flags /data)"
        says "ro,nosuid,nodev,relatime" --bind=/tmp/vol:/data:ro,private bb sh -c "$(mount_flags /data)"
        says "rw,nosuid,nodev,noexec,relatime" --mount=type=bind,src=/tmp/vol,dst=/data,nosuid,noexec,bind-propagation=rprivate bb sh -c "$(mount_flags /data)"
        says "rw,nosuid,nodev,noexec,relatime" --mount=type=tmpfs,dst=/data,nosuid,nodev,noexec bb sh -c "$(mount_flags /data)"
        # The example in the manual of Docker.
        says "rw,nosuid,noexec,relatime 64 1777" --tmpfs=/data:rw,noexec,nosuid,size=65536k,mode=1777 bb \
                sh -c "echo \$($(mount_flags /data)) \$((\$(df -k /data | awk 'END { print \$2 }') / 1024)) \$(stat -c %a /data)"
        says "5:6" --tmpfs=/data:uid=5,gid=6 bb stat -c %u:%g /data
        not_run "perhaps" --tmpfs=/data:perhaps bb true
        on rm -r /tmp/vol
}

test_mount() {
        on_sh 'mkdir -p /tmp/vol; echo text >/tmp/vol/file'
        says text --mount=type=bind,source=/tmp/vol,target=/data bb cat /data/file
        says text --mount=type=bind,src=/tmp/vol,dst=/data bb cat /data/file
        says text --mount=type=bind,src=/tmp/vol,destination=/data,readonly bb cat /data/file
        ends 1 --mount=type=bind,src=/tmp/vol,dst=/data,ro bb touch /data/x
        ends 1 --mount=type=bind,src=/tmp/vol,dst=/data,readonly=true bb touch /data/x
        says "" --mount=type=bind,src=/tmp/vol,dst=/data,readonly=false bb touch /data/x
        says "2048 700" --mount=type=tmpfs,target=/data,tmpfs-size=2m,tmpfs-mode=700 bb \
                sh -c 'echo $(df -k /data | awk "END { print \$2 }") $(stat -c %a /data)'
        not_run "target" --mount=type=bind,src=/tmp/vol bb true
        not_run "type" --mount=type=volume,src=x,target=/x bb true
        not_run "sometimes" --mount=type=bind,src=/tmp/vol,dst=/data,sometimes bb true
        on rm -r /tmp/vol
}

bounding() {
        works run "$@" bb sed -n 's/^CapBnd:\t//p' /proc/self/status
        bounding=$((16#$out))
}

has_capability() {
        equal "Capability $1" $(((bounding >> $1) & 1)) "$2"
}

test_capabilities() {
        local bounding

        bounding
        has_capability 25 0 # sys_time
        has_capability 13 1 # net_raw
        bounding --cap-add=CAP_SYS_TIME --cap-drop=net_raw
        has_capability 25 1
        has_capability 13 0
        bounding --cap-drop=all
        equal "The bounding set" "$bounding" 0
        bounding --cap-drop=all --cap-add=NET_RAW
        equal "The bounding set" "$bounding" $((1 << 13))
        bounding --cap-add=all
        has_capability 25 1
        has_capability 16 1 # sys_module
        ends 1 --cap-drop=chown bb chown 1000 /root
        says "" bb chown 1000 /root
}

test_device() {
        says ok --device=/dev/fuse bb sh -c 'exec 3<>/dev/fuse && echo ok'
        says "0:0" --device=/dev/fuse bb stat -c %u:%g /dev/fuse
        ends 1 bb test -e /dev/fuse
        says 3 --device=/dev/zero:/dev/nothing:r bb sh -c 'head -c 3 /dev/nothing | wc -c'
        # A device node alone does not allow access to the device.
        try run -v /dev/fuse:/dev/fuse:noidmap bb sh -c 'exec 3<>/dev/fuse'
        differ "The status of opening a device that was not given" "$status" 0
        contains stderr "$err" "Operation not permitted"
        refused 125 "/dev/nosuch" run --device=/dev/nosuch bb true
}

test_ulimit() {
        says "100 200 0" --ulimit=nofile=100:200 --ulimit=core=0 bb sh -c 'echo $(ulimit -Sn) $(ulimit -Hn) $(ulimit -c)'
        says "300 300" --ulimit=nofile=300 bb sh -c 'echo $(ulimit -Sn) $(ulimit -Hn)'
        says unlimited --ulimit=cpu=-1 bb sh -c 'ulimit -t'
}

test_resources() {
        works run -d --name limited --memory=64m --cpus=1.5 --pids-limit=50 bb sleep 100
        equal MemoryMax= "$(property machine-limited.service MemoryMax)" $((64 << 20))
        equal CPUQuota= "$(property machine-limited.service CPUQuotaPerSecUSec)" 1.500000s
        equal TasksMax= "$(property machine-limited.service TasksMax)" 50
        works on mctl terminate limited
        soon is_gone limited
        works run -d --name limited -m 1g --pids-limit=-1 bb sleep 100
        equal MemoryMax= "$(property machine-limited.service MemoryMax)" $((1 << 30))
        equal TasksMax= "$(property machine-limited.service TasksMax)" infinity
        works on mctl terminate limited
        soon is_gone limited
        # The host of these tests may lack the controller.
        if on grep -q pids /sys/fs/cgroup/machine.slice/cgroup.controllers; then
                try run --pids-limit=5 bb sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done'
                contains stderr "$err" "fork"
        fi
}

restarts_over() {
        [ "$(property machine-again.service ActiveState)" = failed ]
}

# The command runs once, and is started again twice.
test_restart_on_failure() {
        on mkdir -p /tmp/vol
        works on mctl run -d --name again --restart=on-failure:2 -v /tmp/vol:/data bb \
                sh -c 'echo x >>/data/runs; exit 7'
        soon restarts_over
        equal "How often it ran" "$(on grep -c x /tmp/vol/runs)" 3
        on systemctl reset-failed machine-again.service
        on rm -r /tmp/vol
}

# The streams of the caller can be passed to one process only.
test_restart_attached() {
        not_run "needs -d" --restart=on-failure:2 bb true
        not_run "needs -d" --restart=always bb true
        says "" --restart=no bb true
}

restarted() {
        [ "$(property machine-again.service NRestarts)" -ge 2 ]
}

test_restart_always() {
        works run -d --name again --restart=always -p RestartSec=10ms bb sleep 0.1
        soon restarted
        works on mctl terminate again
        soon is_gone again
        not_run "restart" --restart=sometimes bb true
}

# If a unit is stopped while it waits for a restart, systemd keeps its runtime directory.
test_stopped_between_lives() {
        works run -d --name again --restart=always -p RestartSec=1s bb true
        soon has_property machine-again.service SubState auto-restart
        on systemctl stop machine-again.service
        soon is_gone again
}

test_detach() {
        works run -d --name behind bb sh -c 'echo a word; exec sleep 100'
        equal stdout "$out" behind
        equal "The state" "$(field behind state)" running
        equal "What runs" "$(on cat "/proc/$(leader_of behind)/comm")" sleep
        soon log_has_word
        works on mctl terminate behind
        soon is_gone behind

        works run --detach bb sleep 100
        matches stdout "$out" '^bb-[a-z0-9]{6}$'
        equal "The state" "$(field "$out" state)" running
        works on mctl terminate "$out"

}

# 'mctl run -d' returns when the command runs, and reports a command that cannot be run.
test_detach_of_nothing() {
        try run -d bb nothere
        [ "$status" = 125 ] || [ "$status" = 127 ] || fail "The exit status is '$status', expected 125 or 127"
        empty stdout "$out"
        contains stderr "$err" "nothere"
}

log_has_word() {
        on mctl logs --no-pager behind | grep 'a word' >/dev/null
}

failed_units() {
        on systemctl list-units --all --failed --plain --no-legend --no-pager 'machine-*' | awk '{ print $1 }'
}

test_rm() {
        local i

        ends 3 --name ended bb sh -c 'exit 3'
        empty "The failed units" "$(failed_units)"
        try on mctl run --name ended bb sh -c 'exit 3'
        equal "The exit status" "$status" 3
        equal "The failed units" "$(failed_units)" machine-ended.service
        contains "The machines with those that failed" "$(on mctl list --all)" ended
        # Failed runs do not prevent further runs of the same name.
        for i in 1 2 3 4 5 6 7 8; do
                try on mctl run --name ended bb sh -c "exit $i"
                equal "The exit status" "$status" "$i"
        done
        works on mctl run --name ended bb true
        empty "The failed units" "$(failed_units)"
}

test_image_unchanged() {
        local before list='cd /var/lib/machines/bb && find . -printf "%P %U:%G %m %s %T@\n" | sort'

        before=$(on_sh "$list")
        says "" bb sh -c 'echo x >/etc/new; rm -r /bin/ls; chown 1000 /root; mkdir -p /a/b/c; echo >>/etc/passwd'
        says "" --tmpfs=/some/where/else -v /tmp:/other/place --device=/dev/fuse bb true
        says "" --timezone=copy --resolv-conf=replace-host bb true
        equal "The image" "$(on_sh "$list")" "$before"
        # Only --volatile=no makes the image writable.
        says "" --volatile=no bb touch /root/new
        works on rm /var/lib/machines/bb/root/new
}

test_two_of_one_image() {
        works run -d --name one bb sh -c 'echo one >/root/who; exec sleep 100'
        works run -d --name two bb sh -c 'echo two >/root/who; exec sleep 100'
        soon inside_sh two 'test -s /root/who'
        soon inside_sh one 'test -s /root/who'
        equal "What the one has" "$(inside one cat /root/who)" one
        equal "What the two has" "$(inside two cat /root/who)" two
        works on mctl terminate one two
        soon is_gone one
        soon is_gone two
}

# to_mctl SIGNAL COMMAND prints the exit status of mctl after a signal to mctl.
to_mctl() {
        local signal=$1
        shift

        on_sh '
                sig=$1
                shift
                mctl run --rm --name passed "$@" >/tmp/out 2>&1 &
                soon grep up /tmp/out
                kill -"$sig" $!
                s=0; wait $! || s=$?; echo "$s"
                rm /tmp/out' sh "$signal" "$@"
}

test_signals_to_mctl() {
        local sig

        for sig in INT TERM HUP QUIT USR1 USR2; do
                equal "The status after SIG$sig" "$(to_mctl $sig bb \
                        sh -c "trap 'exit 42' $sig; echo up; while :; do sleep 0.05; done")" 42
        done
        equal "The status after SIGINT" "$(to_mctl INT --init bb sh -c 'echo up; sleep 100')" 130
        equal "The status after SIGTERM" "$(to_mctl TERM --init bb sh -c 'echo up; sleep 100')" 143
}

# The second signal ends the machine.
test_second_signal() {
        works on_sh '
                mctl run --rm --name deaf bb sh -c "echo up; exec sleep 100" >/run/up &
                soon grep up /run/up
                rm /run/up
                kill -INT $!
                soon sh -c "journalctl -q --no-pager -o cat -u machine-deaf | grep \"Sent signal SIGINT\""
                systemctl is-active machine-deaf.service
                kill -INT $!
                s=0; wait $! || s=$?; echo "$s"'
        equal stdout "$out" $'active\n137'
        soon is_gone deaf
}

test_mctl_is_killed() {
        on_sh '
                mctl run --rm --name orphan bb sleep 100 >/dev/null 2>&1 &
                soon systemctl is-active machine-orphan.service
                kill -KILL $!
                wait $! || :' 2>/dev/null
        equal "The state" "$(field orphan state)" running
        works on mctl terminate orphan
        soon is_gone orphan
}

test_tty() {
        works at_terminal 'stty rows 33 cols 77; mctl run --rm -t bb sh -c "tty; stty size; exit 9"; echo "status $?"'
        contains stdout "$out" /dev/pts/
        contains stdout "$out" "33 77"
        contains stdout "$out" "status 9"
        works at_terminal 'TERM=some-term mctl run --rm -t bb sh -c "echo term \$TERM"'
        contains stdout "$out" "term some-term"
        refused 125 "terminal" run -t bb true
}

test_tty_is_restored() {
        works at_terminal 'stty -g >/tmp/before; mctl run --rm -t bb sh -c "stty raw -echo"; stty -g >/tmp/after; mctl run --rm -t bb nothere; stty -g >/tmp/last'
        works on cmp /tmp/before /tmp/after
        works on cmp /tmp/before /tmp/last
        on rm /tmp/before /tmp/after /tmp/last
}

test_tty_keys() {
        # shellcheck disable=SC2016
        works at_terminal 'mctl run --rm -t bb sh; echo "status $?"' '# -> echo sum $((40+2))\n' 'sum 42' '# -> \004' 'status 0'
        # ^C goes to the terminal of the machine.
        works at_terminal 'mctl run --rm -t --init bb sh -c "echo up; exec sleep 100"; echo "status $?"' 'up -> \003' 'status 130'
}

test_pull() {
        says "" --pull=never bb true
        says "" --pull=missing bb true
        not_run "not pulled" --pull=always bb true
}

test_taken_name() {
        works run -d --name taken bb sleep 100
        refused 125 "taken" run --name taken bb true
        works on mctl terminate taken
        soon is_gone taken
        says "" --name taken bb true
        not_run "at most 64 letters" --name 'a b' bb true
}

test_dry_run() {
        works on mctl run --dry-run --name dry -e A=b --memory=1g bb -- echo hello
        valid_json "$out" 'isinstance(json, dict)'
        contains "The plan" "$out" MemoryMax
        contains "The plan" "$out" hello
        equal "The machines" "$(on mctl list --json)" "[]"
}

# Runs one after the other and at the same time leave no files in /run/mctl.
nothing_in_run() {
        on_sh '[ -z "$(find /run/mctl -mindepth 2)" ]'
}

test_many() {
        works on_sh 'for i in $(seq 20); do mctl run bb true; done'
        works on_sh 'for i in 1 2 3 4 5 6 7 8; do mctl run bb echo x & done; wait'
        lines stdout "$out" 8
        soon nothing_in_run
}

# A command with --as-pid2 has PID 2, also after the launcher has run helpers in the machine.
test_second_process() {
        says 2 --as-pid2 bb sh -c 'echo $$'
        says 2 --init bb sh -c 'echo $$'
        says 1 bb sh -c 'echo $$'
}

run_tests
