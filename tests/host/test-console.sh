#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The consoles of machines: the registry holds and logs them, many clients attach, and consoles survive a crash of the
# registry.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
want_debian=yes

said() {
        on mctl console --no-stream "$1"
}

said_has() {
        said "$1" | grep -qF -- "$2"
}

kill_registry() {
        local before

        before=$(on systemctl show -P MainPID mctl-registryd)
        on systemctl kill -s KILL mctl-registryd
        soon on_sh 'pid=$(systemctl show -P MainPID mctl-registryd); [ "$pid" != 0 ] && [ "$pid" != "$1" ]' sh "$before"
}

start_shell() {
        works on mctl run -dt --name "$1" bb sh -c 'PS1="> "; export PS1; echo first words; exec sh'
        soon said_has "$1" "first words"
}

# The console has the boot messages of a system, and a login prompt.
test_boot() {
        works on mctl boot debian
        # The prompt appears before the target that pulls it in is reached.
        soon said_has debian "login:"
        soon said_has debian "Multi-User System"
        equal "/dev/console" "$(inside debian stat -c '%t:%T %F' /dev/console)" "88:0 character special file"
        contains "The log of the unit" "$(on journalctl --no-pager -u machine-debian -o cat)" "Reached target"
        lacks "The log of the unit" "$(on journalctl --no-pager -u machine-debian -o cat)" blob
        # 'mctl logs' does not show the messages of systemd inside twice.
        lacks "mctl logs" "$(on mctl logs debian)" "[  OK  ]"
        power_off debian
        refused 1 "No machine 'debian'" on mctl console debian
        refused 1 "No machine 'debian'" on mctl console --no-stream debian
}

test_boot_attached() {
        works at_terminal 'mctl boot debian --console; echo "status $?"' 'Welcome to' 'login: -> \x1d\x1d\x1d' "Detached from machine 'debian'"
        contains "What was shown" "$out" "status 0"
        equal "The state" "$(field debian state)" running
        # mctl returns the exit status of the machine. A reboot of the machine does not end the connection.
        on_sh 'prompts() { [ "$(mctl console --no-stream debian | grep -c login:)" -ge "$1" ]; }
                mctl reboot debian
                for i in $(seq 300); do prompts 2 && break; sleep 0.1; done
                mctl exec debian systemctl exit 7' &
        works at_terminal 'mctl console debian; echo "status $?"' 'login:' 'login:'
        wait
        contains "What was shown" "$out" "status 7"
        on systemctl reset-failed machine-debian
        soon is_gone debian
        # If there is no image, or if the machine does not come up, 'mctl boot --console' fails.
        try on mctl boot --console nothere
        equal "The exit status" "$status" 1
        on_sh 'cp -a /var/lib/machines/bb /var/lib/machines/broken; ln -sf /nothere /var/lib/machines/broken/sbin/init'
        try on mctl boot --console broken
        equal "The exit status" "$status" 1
        contains stderr "$err" "Machine 'broken' "
        on_sh 'systemctl reset-failed machine-broken; rm -r /var/lib/machines/broken'
}

test_attach() {
        start_shell a
        works at_terminal 'stty rows 33 cols 77; mctl attach a; echo "status $?"; stty -a | grep -o " echo "' \
                'first words' '> -> echo sum $((40+2)); stty size </dev/console\n' 'sum 42' '33 77' '> -> \x1d\x1d\x1d' 'Detached from machine'
        contains "What was shown" "$out" "status 0"
        contains "The terminal afterwards" "$out" " echo "
        works at_terminal 'mctl attach --detach-keys=ctrl-p,q a; echo "status $?"' '> -> \x1d\x1d\x1dx\x10q' 'status 0'
        works at_terminal 'mctl attach --detach-keys=none a; echo "status $?"' '> -> \x15exit 5\n' 'status 5'
        on systemctl reset-failed machine-a
        soon is_gone a
        refused 2 "--detach-keys= takes keys" on mctl attach --detach-keys=ctrl- a
}

# One client writes, and all clients see the output.
test_readers() {
        start_shell many
        on_sh 'cd /run; for i in 1 2 3; do timeout 20 mctl console --read-only many >reader.$i </dev/null & done
                for i in 1 2 3; do soon grep "first words" reader.$i; done
                echo "echo from the writer" | timeout 2 mctl console many >/dev/null || :
                for i in 1 2 3; do soon grep "^from the writer" reader.$i; done; pkill -x mctl; wait; rm reader.?'
        works at_terminal 'sleep 30 | mctl console many >/run/writer & soon grep "from the writer" /run/writer; mctl console many; echo "status $?"; pkill -x sleep; pkill -x mctl; wait; rm /run/writer' \
                'Another client can write' 'from the writer -> echo not heard\n\x1d\x1d\x1d' 'status 0'
        lacks "What was said" "$(said many)" "not heard"
        works on mctl terminate many
        soon is_gone many
}

# A client that stops reading blocks neither the machine nor other clients, and the amount of logged output is limited.
test_slow_reader() {
        start_shell flood
        on_sh 'mkfifo /run/slow; sleep 30 </run/slow & mctl console flood >/run/slow </dev/null & console=$!
                soon grep wchar:.[1-9] /proc/$console/io
                timeout 20 mctl exec flood sh -c "seq 100000 >/dev/console; echo the very end >/dev/console"'
        soon said_has flood "the very end"
        matches "The size of what is kept" "$(said flood | wc -c)" '^6[0-9]{4}$'
        on_sh 'pkill -x sleep; rm /run/slow'
        contains "The log" "$(on_sh 'sleep 11; mctl exec flood sh -c "echo later >/dev/console"
                soon sh -c "journalctl --no-pager -u machine-flood -o cat -n 5 | grep -x later"; journalctl --no-pager -u machine-flood -o cat -n 5')" \
                "were not logged"
        works on mctl terminate flood
        soon is_gone flood
}

# A crash of the registry loses no input and no output of the console.
test_crash_of_the_registry() {
        start_shell safe
        kill_registry
        contains "What was said" "$(said safe)" "first words"
        works at_terminal 'mctl attach safe' '> -> echo sum $((40+2))\n' 'sum 42' '> -> \x1d\x1d\x1d'
        works on systemctl restart mctl-registryd
        contains "What was said" "$(said safe)" "sum 42"
        # A new machine of the same name has a new console, without the old output.
        works on mctl terminate safe
        soon is_gone safe
        refused 1 "No machine 'safe'" on mctl console safe
        start_shell safe
        lacks "What was said" "$(said safe)" "sum 42"
        works on mctl terminate safe
        soon is_gone safe
        soon on_sh '[ "$(systemctl show -P NFileDescriptorStore mctl-registryd)" = 0 ]'
}

# A client stays attached over a crash. Queries of the terminal in older output are not answered again.
test_attached_over_a_crash() {
        start_shell over
        works at_terminal '(soon mctl exec over test -e /tmp/here; systemctl kill -s KILL mctl-registryd; soon mctl exec over touch /tmp/go) &
                mctl attach over; echo "status $?"' \
                '> -> : >/tmp/here; (until [ -e /tmp/go ]; do sleep 0.1; done; while [ -e /tmp/go ]; do printf "a\\061b\\n"; sleep 0.2; done) & echo\n' \
                'a1b -> \x1d\x1d\x1d' 'status 0'
        works on mctl exec over rm /tmp/go
        works mctl_exec_console over 'printf "before\033[6nafter\n"'
        soon said_has over after
        works at_terminal 'mctl attach over; echo "status $?"' 'beforeafter -> \x1d\x1d\x1d' 'status 0'
        works on_sh 'timeout -k 1 5 mctl attach over </dev/null >/dev/full 2>/run/error || [ $? = 1 ]; grep -q "No space" /run/error'
        works on mctl terminate over
        soon is_gone over
}

mctl_exec_console() {
        on mctl exec "$1" sh -c "$2 >/dev/console"
}

test_killed() {
        start_shell k
        works at_terminal 'stty -g >/run/before; (soon sh -c "stty -a </dev/tty | grep -e -icanon"; pkill -KILL -o -x mctl) & mctl attach k
                soon sh -c "stty -g </dev/tty >/run/after; cmp /run/before /run/after" && echo same' 'same'
        on rm /run/before /run/after
        works on mctl terminate k
        soon is_gone k
}

test_modes() {
        works on mctl boot --console=pipe bb
        refused 1 "has no console" on mctl console bb
        try inside bb test -e /dev/console
        equal "The exit status" "$status" 1
        power_off bb
        refused 2 "Console=" on mctl boot --console=nothing bb
        refused 2 "--console needs a value" on mctl create x bb --console
        # Without the socket of the registry, the machine starts, and its log has a warning.
        on systemctl stop mctl-registryd.socket mctl-registryd
        on_sh 'printf "[Image]\nImage=bb\n" >/etc/mctl/alone.machine; systemctl mask --runtime --now mctl-registryd.service mctl-registryd.socket 2>/dev/null; systemctl start container@alone'
        contains "The log" "$(on journalctl --no-pager -u container@alone -o cat)" "has no console"
        on_sh 'systemctl stop container@alone; systemctl unmask --runtime mctl-registryd.service mctl-registryd.socket 2>/dev/null; rm /etc/mctl/alone.machine'
}

# If systemd starts a machine again, the log has the output of both runs.
test_restart() {
        works on mctl run -dt --name twice --restart=on-failure:1 bb sh -c 'echo a life; sleep 1; exit 3'
        works on_sh 'mctl console twice </dev/null || [ $? = 3 ]; mctl list --all | grep -q failed'
        contains "The log" "$(on journalctl --no-pager -u machine-twice -o cat | grep -c 'a life')" 2
        on systemctl reset-failed machine-twice
}

test_users() {
        start_shell open
        start_shell closed
        rule 'action.id == "org.mctl.Registry1.console" && action.lookup("machine") == "open" && action.lookup("verb") == "console"'
        works on_user alice mctl console --no-stream open
        contains stdout "$out" "first words"
        refused 1 "Not attached" on_user alice mctl console --no-stream --no-ask-password closed
        # The registry accepts consoles only from launchers.
        works on_sh 'stat -c %a:%u /run/mctl/console'
        equal stdout "$out" "600:0"
        works on mctl terminate open closed
        soon is_gone open
        soon is_gone closed
}

# Hostile calls of OpenConsole, and hostile messages over the socket.
test_hostile() {
        start_shell h
        refused 1 "an unknown bit" on busctl --system call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1 OpenConsole st h 8
        works on_sh "python3 - <<'END'
import os, socket
for unit in (b'machine-h.service', b'machine-.service', b'../x', b'machine-h.service\0y', b'x' * 5000, b'machine-new.service'):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect('/run/mctl/console')
    socket.send_fds(s, [unit], [os.open('/dev/null', os.O_RDWR)])
    s.close()
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect('/run/mctl/console')
    s.send(unit)
    s.close()
END"
        contains "What was said" "$(said h)" "first words"
        # The number of attached clients is limited.
        works on_sh 'for i in $(seq 70); do mctl console --read-only h </dev/null >/dev/null 2>>/run/errors & done
                soon sh -c "[ \$(grep -c \"Too many\" /run/errors) -ge 6 ]"; sleep 0.5; grep -c "Too many" /run/errors; pkill -x mctl; rm /run/errors'
        equal stdout "$out" 6
        works on mctl terminate h
        soon is_gone h
}

# The output of a machine can contain any bytes.
test_escapes() {
        works on mctl run -dt --name e bb sh -c 'printf "plain \033[31mred\033[0m \033]0;title\007end\033P1;2|x\033\\\\.\n\377\200 bytes\n"; exec sleep 100'
        soon said_has e bytes
        contains "The log" "$(on journalctl --no-pager -u machine-e -o cat)" "plain red end."
        lacks "The log" "$(on journalctl --no-pager -u machine-e -o cat)" title
        contains "As it is" "$(said e)" $'\033[31mred'
        works at_terminal 'mctl console --no-stream e | cat -v; mctl console --no-stream e >/dev/tty'
        contains "As it is" "$out" '^[[31mred'
        lacks "On a terminal" "${out#*bytes}" $'\033['
        works on mctl terminate e
        soon is_gone e
}

run_tests
