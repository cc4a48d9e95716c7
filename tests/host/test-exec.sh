#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Programs in a running machine: exec, shell and login.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

want_debian=yes

test_streams_and_status() {
        boot bb
        try on mctl exec bb sh -c 'echo out; echo err >&2; exit 7'
        equal "The exit status" "$status" 7
        equal stdout "$out" out
        equal stderr "$err" err
        try on mctl exec bb sh -c 'kill -TERM $$'
        equal "The exit status" "$status" 143
        try on_sh 'echo hello | mctl exec -i bb tr a-z A-Z'
        equal stdout "$out" HELLO
        # Without -i, standard input is empty.
        works on_sh 'echo hello | mctl exec bb cat'
        empty stdout "$out"
        refused 127 nothing on mctl exec bb nothing
        refused 126 "/etc" on mctl exec bb /etc
        refused 125 "No machine 'nobody'" on mctl exec nobody true
        refused 125 "Invalid name" on mctl exec ../x true
        refused 125 "Expected" on mctl exec bb
        refused 125 "no user 'nosuch'" on mctl exec -u nosuch bb true
        refused 125 "/nowhere" on mctl exec -w /nowhere bb true
        # A descriptor of a directory would lead out of the machine.
        refused 125 "no directories" on_sh 'mctl exec -i bb true </'
        refused 125 "must be open" on_sh 'mctl exec bb true >&-'
        # Options after the command are arguments of the command.
        works on mctl exec bb echo --help -u x
        equal stdout "$out" "--help -u x"
        power_off bb
        refused 125 "No machine 'bb'" on mctl exec bb true
}

# All byte values pass unchanged in both directions.
test_bytes() {
        boot bb
        on_sh 'head -c 64M /dev/urandom >/run/random'
        equal "The digest" "$(on_sh 'mctl exec -i bb cat </run/random | sha256sum')" "$(on_sh 'sha256sum </run/random')"
        equal "The digest" "$(on_sh 'mctl exec -i bb sha256sum </run/random')" "$(on_sh 'sha256sum </run/random')"
        # On a terminal in raw mode, all byte values pass unchanged.
        on mctl copy-to bb /run/random /random
        equal "The digest" "$(at_terminal --exact 'mctl exec -t bb sh -c "stty raw -echo; cat /random"' | sha256sum)" "$(on_sh 'sha256sum </run/random')"
        power_off bb
        on rm /run/random /var/lib/machines/bb/random
}

test_person() {
        boot debian
        works on mctl exec debian id
        equal stdout "$out" "uid=0(root) gid=0(root) groups=0(root)"
        works on mctl exec debian sh -c 'echo $USER $LOGNAME $HOME $SHELL'
        equal stdout "$out" "root root /root /bin/bash"
        works on mctl exec -e HOME=/srv debian sh -c 'echo $HOME'
        equal stdout "$out" /srv
        works on mctl exec -u nobody debian sh -c 'id -u; echo $USER $HOME; pwd'
        equal stdout "$out" $'65534\nnobody /nonexistent\n/'
        works on mctl exec -u 1234 -w /tmp -e A=b -e C debian sh -c 'id -u; pwd; echo $A'
        equal stdout "$out" $'1234\n/tmp\nb'
        works on_sh 'FOO=bar mctl exec -e FOO debian sh -c "echo \$FOO"'
        equal stdout "$out" bar
        works on mctl exec debian sh -c 'echo $container $PATH; env | grep -c NOTIFY || :'
        equal stdout "$out" $'mctl /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n0'
        power_off debian
}

# The program has the same capabilities, filter and limits as the leader.
test_bounds() {
        local leader field own theirs

        on_sh 'mkdir -p /etc/mctl; printf "[Image]\nImage=debian\n[Exec]\nLimitNOFILE=1000:2000\n" >/etc/mctl/debian.machine'
        boot debian
        leader=$(leader_of debian)
        for field in CapBnd CapEff CapInh CapAmb Seccomp Seccomp_filters NoNewPrivs; do
                own=$(on mctl exec debian sed -n "s/^$field:[[:space:]]*//p" /proc/self/status)
                theirs=$(on sed -n "s/^$field:[[:space:]]*//p" "/proc/$leader/status")
                equal "$field" "$own" "$theirs"
        done
        equal "The limit" "$(on mctl exec debian sh -c 'ulimit -Sn; ulimit -Hn' | tr '\n' ' ')" "1000 2000 "
        for field in user mnt pid uts ipc net cgroup; do
                equal "The namespace $field" "$(on mctl exec debian readlink /proc/self/ns/$field)" \
                        "$(on readlink "/proc/$leader/ns/$field")"
        done
        try on mctl exec debian sh -c 'ls /proc/$$/fd'
        equal "The open descriptors" "$(tr '\n' ' ' <<<"$out")" "0 1 2 "
        matches "The cgroup" "$(on mctl exec debian grep '^0::' /proc/self/cgroup)" '^0::/\.\./exec-[0-9]+$'
        works on mctl exec --privileged debian sh -c 'sed -n "s/^Seccomp:[[:space:]]*//p" /proc/self/status'
        equal "The filter" "$out" 0
        empty "The cgroups that are left" "$(on_sh 'ls -d /sys/fs/cgroup/machine.slice/machine-debian.service/exec-* 2>/dev/null || :')"
        on rm /etc/mctl/debian.machine
        # systemd inside does not count these processes as a failure.
        equal "The system inside" "$(on mctl exec debian systemctl is-system-running)" running
        power_off debian
}

# The program ends with the machine, and with mctl. mctl forwards signals to the program.
test_ends() {
        local pid

        boot bb
        on systemd-run -q --unit=one mctl exec bb sleep 1000
        soon on_sh 'ls -d /sys/fs/cgroup/machine.slice/machine-bb.service/exec-*'
        on systemctl kill -s KILL --kill-whom=main one
        soon on_sh '! ls -d /sys/fs/cgroup/machine.slice/machine-bb.service/exec-*/cgroup.procs 2>/dev/null | xargs -r cat | grep .'
        on systemctl reset-failed
        try on_sh 'mctl exec bb sh -c "trap \"exit 9\" TERM; echo up; while :; do sleep 0.1; done" >/run/up & soon grep up /run/up; rm /run/up; kill $!; wait $!'
        equal "The exit status" "$status" 9
        on systemd-run -q --unit=two mctl exec bb sleep 1000
        soon on_sh 'grep -q . /sys/fs/cgroup/machine.slice/machine-bb.service/exec-*/cgroup.procs'
        power_off bb
        soon on_sh '! systemctl is-active -q two'
        equal "How it ended" "$(on systemctl show --value -p ExecMainStatus two)" 137
        on systemctl reset-failed

        # Programs that are left from before a reboot do not prevent the restart of the unit.
        boot bb
        try on mctl exec bb sh -c 'sleep 1000 </dev/null >/dev/null 2>&1 &'
        pid=$(leader_of bb)
        on mctl reboot bb
        soon other_leader bb "$pid"
        works on mctl exec bb true
        power_off bb
}

other_leader() {
        local now

        now=$(leader_of "$1")
        [ "$now" != none ] && [ "$now" != "$2" ] && [ "$(field "$1" state)" = running ]
}

test_terminal() {
        boot debian
        matches stdout "$(at_terminal 'mctl exec -t debian tty')" '^/dev/pts/[0-9]+$'
        equal "The size" "$(at_terminal 'stty rows 33 cols 77; mctl exec -t debian sh -c "until stty size | grep 33; do sleep 0.1; done"')" "33 77"
        try at_terminal 'mctl exec -t debian sh -c "exit 5"'
        equal "The exit status" "$status" 5
        works at_terminal 'mctl shell debian; echo "status $?"' '# -> echo a$((1+1))b\n' a2b '# -> exit 4\n' 'status 4'
        refused 125 "needs a terminal" on mctl exec -t debian true
        # On a terminal, mctl forwards signals to the program as well.
        try at_terminal '(soon mctl exec debian test -e /run/up; pkill -TERM -x mctl) & mctl exec -t debian sh -c "trap \"exit 8\" TERM; touch /run/up; while :; do sleep 0.1; done"'
        equal "The exit status" "$status" 8
        works at_terminal 'mctl login debian' 'debian login: -> \x1d\x1d\x1d'
        refused 125 "needs a terminal" on mctl login debian
        # After the command, the terminal has its old settings.
        equal "The terminal afterwards" "$(at_terminal 'stty -a >/tmp/before; mctl exec -t debian true; stty -a >/tmp/after; cmp /tmp/before /tmp/after && echo same')" same
        power_off debian
}

test_shell() {
        boot debian
        works on mctl shell debian id -un
        equal stdout "$out" root
        works on mctl shell nobody@debian id -un
        equal stdout "$out" nobody
        try on_sh 'echo "echo in shell; exit 3" | mctl shell debian'
        equal "The exit status" "$status" 3
        contains stdout "$out" "in shell"
        refused 125 "no user" on mctl shell nosuch@debian
        refused 125 "before the '@'" on mctl shell @debian
        # The shell is a unit or a session of the system inside, which PAM sets up.
        works on mctl shell debian sh -c 'grep "^0::" /proc/self/cgroup; echo $LOGNAME'
        matches stdout "$out" $'^0::/(system.slice/run-|user.slice/).*\nroot$'
        # Variables in the command are expanded by the shell inside, and not by systemd.
        works on mctl shell debian sh -c 'X=5; echo ${X}$X $$ "$1" ${HOME}' sh '${PATH}'
        matches stdout "$out" $'^55 [0-9]+ \\$\\{PATH\\} /root$'
        # If no systemd runs inside, the shell is a process like that of exec.
        boot bb --name plain
        try on mctl shell plain sh -c 'id -u; exit 5'
        equal "The exit status" "$status" 5
        equal stdout "$out" 0
        power_off plain
        works on mctl shell debian sh -c 'echo $HOME $USER $SHELL; pwd'
        equal stdout "$out" $'/root root /bin/bash\n/root'
        power_off debian
}

# No program that a machine has for its own can reach ours.
# The host itself.
test_host_shell() {
        try on mctl shell .host sh -c 'echo "$USER $HOME $1"; exit 6' sh '$HOME'
        equal "The exit status" "$status" 6
        equal stdout "$out" 'root /root $HOME'
        works on mctl shell alice@ id -un
        equal stdout "$out" alice
        contains "The session" "$(on mctl shell alice@.host sh -c 'cat /proc/self/cgroup')" .scope
        refused 125 "no user 'nobodyelse'" on mctl shell nobodyelse@
        matches "The terminal" "$(at_terminal 'mctl shell "" tty')" /dev/pts
}

test_hostile() {
        local sum

        sum=$(on_sh 'sha256sum /usr/lib/mctl/mctl-enter')
        boot bb --private-users=no
        inside_sh bb 'printf "#!/proc/self/exe\n" >/bin/evil; chmod 755 /bin/evil'
        try on timeout 10 mctl exec bb /bin/evil
        differ "The exit status" "$status" 0
        equal "The program" "$(on_sh 'sha256sum /usr/lib/mctl/mctl-enter')" "$sum"
        power_off bb
        boot bb
        # mctl reads the user database of a machine as text with a limited size, and does not wait for a FIFO.
        inside_sh bb 'rm /etc/passwd; mkfifo /etc/passwd'
        try on timeout 10 mctl exec -u root bb true
        differ "The exit status" "$status" 124
        inside_sh bb 'rm /etc/passwd; ln -s /proc/1/environ /etc/passwd'
        refused 125 "no user 'nobody'" on timeout 10 mctl exec -u nobody bb true
        power_off bb
        on_sh 'cd /var/lib/machines/bb; rm -f bin/evil etc/passwd; printf "root:x:0:0::/root:/bin/sh\n" >etc/passwd'
}

# For a user who is not root, the registry asks polkit.
test_who_may() {
        boot bb
        try on_user alice mctl --no-ask-password exec bb true
        equal "The exit status" "$status" 125
        contains stderr "$err" "Not run: "
        rule 'action.id == "org.mctl.Registry1.exec" && action.lookup("machine") == "bb" && action.lookup("user") != "nobody"'
        try on_user alice sh -c 'echo in | mctl exec -i -w /tmp -e A=b bb sh -c "cat; pwd; echo \$A \$\$HOME %n; echo err >&2; exit 7"'
        equal "The exit status" "$status" 7
        matches stdout "$out" $'^in\n/tmp\nb [0-9]+HOME %n$'
        equal stderr "$err" err
        try on_user alice mctl exec bb sh -c 'kill -KILL $$'
        equal "The exit status" "$status" 137
        refused 127 nothing on_user alice mctl exec bb nothing
        refused 125 "cannot be directories" on_user alice sh -c 'mctl exec -i bb true </tmp'
        refused 125 "Only root" on_user alice mctl --no-ask-password exec --privileged bb true
        try on_user alice mctl --no-ask-password exec -u nobody bb true
        equal "The exit status" "$status" 125
        try on_user alice script -qec "mctl exec -t bb sh -c 'tty; exit 4'" /dev/null
        contains stdout "$out" /dev/pts/
        equal "The exit status" "$status" 4
        try on_user alice sh -c 'mctl exec bb sh -c "trap \"exit 9\" TERM; echo up; while :; do sleep 0.1; done" >/tmp/up & soon grep up /tmp/up; rm /tmp/up; kill $!; wait $!'
        equal "The exit status" "$status" 9
        refused 1 "no program" on busctl call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1 KillInMachine ssi bb ../x 9
        refused 1 "ID" on busctl call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1 StartInMachine ssssasast bb x "" "" 0 1 true 0
        refused 1 "no command" on busctl call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1 StartInMachine ssssasast bb 0123456789ab "" "" 0 0 0
        no_rule
        power_off bb
        empty "The units that are left" "$(on systemctl list-units --all --no-legend --plain 'mctl-exec-*')"
}

test_detached() {
        local id

        boot bb
        id=$(on mctl exec -d bb sh -c 'echo to the log; sleep 0.5; exit 6')
        matches "The ID" "$id" '^bb-[0-9a-f]{12}$'
        works on mctl exec --list
        contains stdout "$out" "$id"
        contains stdout "$out" "bb: sh -c"
        try on mctl exec --wait "$id"
        equal "The exit status" "$status" 6
        lacks "The list" "$(on mctl exec --list)" "$id"
        contains "The log" "$(on journalctl -q --no-pager -t bb)" "to the log"
        refused 125 "has a program" on mctl exec --wait "$id"
        # The result of a detached program is kept after its end, until the machine ends.
        id=$(on mctl exec -d bb sh -c 'exit 3')
        soon on_sh 'mctl exec --list | grep "^$1 *exited"' sh "$id"
        try on mctl exec --wait "$id"
        equal "The exit status" "$status" 3
        id=$(on mctl exec -d bb sleep 1000)
        power_off bb
        soon on_sh '! systemctl is-active -q "mctl-exec-*"'
        empty "What is left" "$(on systemctl list-units --all --no-legend --plain 'mctl-exec-*')"
        refused 125 "cannot be combined" on mctl exec -d -t bb true
        refused 125 "No machine 'bb'" on mctl exec -d bb true
}

run_tests
