#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# mctl -H: the other host is the same host, over a real ssh.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
host_options=("--with=openssh-server,openssh-client")

prepare_host() {
        on_sh 'ssh-keygen -A >/dev/null
                mkdir -p -m 700 /root/.ssh /run/sshd
                ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/id_ed25519
                cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
                systemctl start ssh 2>/dev/null || systemctl start sshd
                soon sh -c "ssh-keyscan 127.0.0.1 2>/dev/null >/root/.ssh/known_hosts && [ -s /root/.ssh/known_hosts ]"
                ssh root@127.0.0.1 true'
}

there=root@127.0.0.1

test_bus() {
        works on mctl -H "$there" boot bb --name far
        equal "The state" "$(field far state)" running
        contains "The list" "$(on mctl --host="$there" list)" far
        works on mctl -H "$there" pause far
        works on mctl -H "$there" resume far
        contains "The status" "$(on mctl -H "$there" status far)" running
        works on mctl -H "$there" poweroff far
        soon is_gone far
        refused 1 "No machine 'far'" on mctl -H "$there" show far
}

# Words are passed unchanged, streams are separate, and the exit status is returned.
test_exec() {
        works on mctl -H "$there" boot bb --name far
        works on mctl -H "$there" exec far printf '<%s>' 'two words' "it's" '$HOME' '*' '\n' ''
        equal stdout "$out" "<two words><it's><\$HOME><*><\\n><>"
        try on mctl "-H$there" exec far sh -c 'echo out; echo err >&2; exit 7'
        equal "The exit status" "$status" 7
        equal stdout "$out" out
        equal stderr "$err" err
        equal "What passed through" "$(on_sh 'echo in | mctl --host "$1" exec -i far cat' sh "$there")" in
        # -H after the command is an argument of the command.
        works on mctl -H "$there" exec far echo -H nowhere
        equal stdout "$out" "-H nowhere"
        works at_terminal "mctl -H $there exec -t far sh -c 'tty; stty size' | tr -d '\r'"
        works on mctl -H "$there" exec -d far sleep 0.1
        works on mctl -H "$there" exec --wait "$out"
        contains "The log" "$(on mctl -H "$there" logs far)" "busybox init up"
        contains "top" "$(on mctl -H "$there" top --no-stream far)" far
        works on mctl -H "$there" terminate far
        soon is_gone far
}

test_terminal() {
        works on mctl run -dt --name far bb sh -c 'PS1="> "; export PS1; exec sh'
        works at_terminal "mctl -H $there attach far; echo status \$?" '> -> echo sum $((40+2))\n' 'sum 42' '> -> \x1d\x1d\x1d' 'status 0'
        works at_terminal "mctl -H $there run -t --rm bb tty; echo status \$?" '/dev/pts' 'status 0'
        works on mctl terminate far
        soon is_gone far
}

test_run() {
        try on mctl -H "$there" run --rm bb sh -c 'exit 9'
        equal "The exit status" "$status" 9
        equal stdout "$(on_sh 'echo hello | mctl -H "$1" run --rm -i bb cat' sh "$there")" hello
        works on mctl -H "$there" run -d --name far bb sleep 100
        works on mctl -H "$there" kill -s KILL far
        soon on systemctl reset-failed machine-far
        soon is_gone far
}

test_files() {
        works on mctl -H "$there" create far bb --hostname elsewhere
        contains "The file" "$(on mctl -H "$there" cat far)" "Hostname=elsewhere"
        works on mctl -H "$there" start far
        works on mctl -H "$there" stop far
        soon is_gone far
        on rm /etc/mctl/far.machine
}

test_unreachable() {
        try on mctl -H root@127.0.0.2:9 list
        equal "The exit status" "$status" 1
        try on mctl -H root@nowhere.invalid exec far true
        equal "The exit status" "$status" 255
        refused 125 "cannot be combined with other options" on mctl -qH "$there" exec far true
}

run_tests
