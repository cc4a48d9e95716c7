#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Hostile text at every door, and hostile users of the host beside them: each gets one clear error, and the next caller
# is served.

# shellcheck source=tests/escape/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

registry=mctl-registryd.service

call() {
        try on busctl call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1 "$@"
}

# refuses METHOD SIGNATURE ARGUMENT...: with one line, and without the registry coming to harm.
refuses() {
        local pid

        pid=$(property "$registry" MainPID)
        call "$@"
        equal "The exit status of $1" "$status" 1
        empty stdout "$out"
        lines stderr "$err" 1
        [ "$pid" = 0 ] || equal "The registry" "$(property "$registry" MainPID)" "$pid"
}

# One variable is not two, and no line of a file: Incus CVE-2026-23953.
test_line_breaks_in_environment() {
        local text

        refused 125 Environment on mctl run -e $'A=1\nLD_PRELOAD=/evil.so' bb /usr/bin/env
        refused 2 Environment on mctl boot --setenv=$'A=1\nB=2' bb
        refused 125 "" on mctl run -e $'A\nB=2' bb /usr/bin/env
        on_sh 'printf "A=1\rB=2\n" >/run/env'
        refused 125 Environment on mctl run --env-file=/run/env bb /usr/bin/env
        on rm /run/env
        for text in '"A=1\nB=2"' '["A=1\nB=2"]' '["A\n=1"]' '["=1"]' '["A=\u0000"]' '["A=\u001b"]' '["A=\u009b"]' '["A"]'; do
                refuses StartMachine s '{"Image":{"Image":"bb"},"Exec":{"Environment":'"$text"'}}'
        done
        printf '[Image]\nImage=bb\n[Exec]\nEnvironment=A=1\rB=2\n' | put_file /etc/mctl/env.machine
        try on mctl verify /etc/mctl/env.machine
        differ "The exit status of verify" "$status" 0
        on rm /etc/mctl/env.machine
        # A variable of the host's own is not for the machine.
        try on env SECRET=$secret mctl -q run --rm bb /usr/bin/env
        lacks "The environment" "$out" "$secret"
}

# CRI-O CVE-2022-0811: more than one value, and keys that are not the machine's own.
test_sysctl() {
        local text

        works on mctl -q run --rm --sysctl=kernel.shm_rmid_forced=1 bb /bin/cat /proc/sys/kernel/shm_rmid_forced
        equal "The value" "$out" 1
        for text in $'kernel.shm_rmid_forced=1\nkernel.core_pattern=x' 'kernel.shm_rmid_forced=1+kernel.core_pattern=|/x' \
                'kernel.core_pattern=x' 'kernel/core_pattern=x' 'net.../../kernel/core_pattern=x' 'net/../kernel/core_pattern=x' \
                'kernel.shm_rmid_forced+kernel.core_pattern=1' 'kernel.shm_rmid_forced' 'kernel.shm_rmid_forced=' '=1' \
                'kernel.sysrq=1' 'vm.overcommit_memory=1' 'fs.file-max=1' 'kernel.modprobe=/x' '../kernel/sysrq=1'; do
                refused 125 Sysctl on mctl run --sysctl="$text" bb /bin/true
        done
        canary_lives
}

# The network of the host has parameters that are not the machine's.
test_sysctl_of_host_network() {
        local before after

        before=$(on cat /proc/sys/net/ipv4/ip_default_ttl)
        try on mctl -q run --rm --private-users=no --private-network=no --sysctl=net.ipv4.ip_default_ttl=77 bb /bin/true
        after=$(on cat /proc/sys/net/ipv4/ip_default_ttl)
        on_sh 'echo "$1" >/proc/sys/net/ipv4/ip_default_ttl' sh "$before"
        equal "The host's parameter" "$after" "$before"
        differ "The exit status" "$status" 0
}

test_names() {
        local name json

        boot bb --name victim
        for name in ../x ../../etc . .. a/b /x 'a b' $'a\nb' $'a\x1b[31m' $'a\u009b' -x a- .a a. 'a..b' "$(printf 'a%.0s' {1..65})" \
                'a%sb' 'a\x2d' 'a;b' 'ä'; do
                json=$(python3 -c 'import json, sys; print(json.dumps(sys.argv[1]))' "$name")
                refuses StartMachine s '{"Name":'"$json"',"Image":{"Image":"bb"}}'
                refuses PowerOffMachine s "$name"
        done
        for name in ../victim $'a\nb' -x; do
                refuses GetMachine s "$name"
                refuses TerminateMachine s "$name"
                refuses KillMachine ssi "$name" all 9
                refuses GetMachineSpec s "$name"
                refuses SetMachineProperties sbas "$name" true 1 TasksMax=1
        done
        for name in ../../etc ../bb . .. .hidden 'a/b' 'bb/../../../etc' $'a\nb' "$(printf 'a%.0s' {1..300})"; do
                json=$(python3 -c 'import json, sys; print(json.dumps(sys.argv[1]))' "$name")
                refuses StartMachine s '{"Name":"x","Image":{"Image":'"$json"'}}'
        done
        equal "The state of the machine beside" "$(field victim state)" running
        power_off victim
}

test_hostile_json() {
        local spec deep

        on mctl list >/dev/null
        deep=$(printf '[%.0s' {1..5000})
        for spec in '' ' ' nonsense '[]' '"x"' '1' null '{' '{}' '{"Name":1}' '{"Name":null}' '{"Name":["x"]}' '{"Image":"bb"}' '{"Image":[]}' \
                '{"Image":{"Image":{"Image":"bb"}}}' '{"Image":{"Image":["bb",["bb"]]}}' '{"Image":{"Image":1.5}}' \
                '{"Name":"x","Name":"y","Image":{"Image":"bb"}}' '{"Image":{"Image":"bb","Image":"bb"}}' \
                '{"Image":{"Image":"bb"},"Exec":{"Boot":"perhaps"}}' '{"Image":{"Image":"bb"},"Exec":{"Boot":[]  ,"x":1}}' \
                '{"Image":{"Image":"bb"},"Exec":{"LimitNOFILE":-1}}' '{"Image":{"Image":"bb"},"Exec":{"LimitNOFILE":1e999}}' \
                '{"Image":{"Image":"bb"},"Exec":{"LimitNOFILE":99999999999999999999999}}' \
                '{"Image":{"Image":"bb"},"Unit":{"x":"y"}}' '{"Image":{"Image":"bb"},"Service":{"ExecStartPre":"/bin/false"}}' \
                '{"Image":{"Image":"bb"},"Resources":{"ExecStart":"/bin/false"}}' \
                '{"Image":{"Image":"bb"},"Resources":{"A=B\nExecStart":"/bin/false"}}' \
                '{"Image":{"Image":"bb"},"Resources":{"Description":"x\n[Service]\nExecStopPost=/bin/false"}}' \
                "$deep" "{\"Image\":$deep"; do
                refuses StartMachine s "$spec"
                refuses PlanMachine s "$spec"
        done
        # More than a command line takes, so from a program: 2 MiB, and 1 MiB of one name.
        try on python3 -c '
import subprocess, sys
for spec in ("{\"Image\":{\"Image\":\"" + "a" * 100000 + "\"}}", "[" * 100000, "{\"Image\":{" + "\"a\":{" * 20000):
    r = subprocess.run(["busctl", "call", "org.mctl.Registry1", "/org/mctl/Registry1", "org.mctl.Registry1", "StartMachine", "s",
                        spec], capture_output=True, text=True)
    if r.returncode != 1 or r.stderr.count("\n") != 1:
        sys.exit(r.stderr[:300])'
        equal "The exit status" "$status" 0
        works on mctl list
        equal "How often the registry was started again" "$(property "$registry" NRestarts)" 0
}

# Whoever may manage one machine must not become root by what he calls it, or open devices to it.
test_properties_of_manager() {
        local text

        rule 'action.id == "org.mctl.Registry1.manage-machines" && action.lookup("machine") == "hers"'
        boot bb --name hers
        works on_user alice mctl kill -s CONT hers
        for text in $'Description=x\n[Service]\nExecStopPost=/bin/touch /etc/escape/property' \
                $'TasksMax=1\nExecStopPost=/bin/touch /etc/escape/property' $'Description=x\x1b]0;y'; do
                call SetMachineProperties sbas hers true 1 "$text"
                try on_user alice busctl call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1 \
                        SetMachineProperties sbas hers true 1 "$text"
                differ "The exit status" "$status" 0
        done
        for text in 'DeviceAllow=/dev/loop0 rwm' 'DevicePolicy=auto' 'Slice=system.slice' 'ExecStopPost=/bin/true'; do
                try on_user alice busctl call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1 \
                        SetMachineProperties sbas hers true 1 "$text"
                differ "The exit status for $text" "$status" 0
        done
        on systemctl daemon-reload
        works on mctl poweroff hers
        soon is_gone hers
        on_sh 'rm -f /etc/polkit-1/rules.d/10-test.rules && systemctl restart polkit.service'
        canary_lives
}

# A user of the host holds what the launcher waits for.
test_lock_held_by_user() {
        try on_sh '
                n=0 pids=""
                for file in /run/mctl /run/mctl/machines /run/mctl/containers /run/mctl/users /run/mctl/stage \
                                /var/lib/machines /etc/mctl; do
                        # Of some it is refused.
                        setpriv --reuid=alice --regid=alice --clear-groups \
                                sh -c "flock --no-fork \"\$1\" sh -c \": >\\\$0; exec sleep 1000\" \$0 || : >\$0" "/tmp/held.$n" "$file" 2>/dev/null &
                        n=$((n + 1)) pids="$pids $!"
                done
                soon sh -c "[ \$(ls /tmp/held.* | wc -l) = $n ]"
                s=0; timeout 20 mctl -q run --rm bb /bin/true || s=$?
                pkill -u alice -x sleep
                wait $pids
                rm /tmp/held.*
                exit $s'
        equal "The exit status of a start meanwhile" "$status" 0
}

test_user_reads_nothing() {
        on_sh "mctl -q boot bb --set-credential=token:$secret"
        try on_user alice sh -c 'cat /run/mctl/machines/bb/* /run/mctl/machines/bb/spec.json; mctl cat bb
                busctl call org.mctl.Registry1 /org/mctl/Registry1 org.mctl.Registry1 GetMachineSpec s bb
                mctl show --effective bb; busctl introspect org.mctl.Registry1 /org/mctl/Registry1/machine/bb
                systemctl show machine-bb.service; systemctl cat machine-bb.service'
        lacks "What a user can see" "$out" "$secret"
        power_off bb
}

# Where nothing can be written, starts fail in a word, and leave nothing.
test_full_run() {
        local first second third left

        on systemctl stop "$registry"
        on_sh 'mkdir -p /run/mctl; mount -t tmpfs -o size=64k none /run/mctl && { dd if=/dev/zero of=/run/mctl/fill bs=1k 2>/dev/null || :; }'
        try on mctl boot bb
        first=$status:$err
        try on mctl run bb /bin/true
        second=$status:$err
        left=$(on find /run/mctl -mindepth 2)
        try on mctl list
        on rm /run/mctl/fill
        try on mctl -q run --rm bb /bin/true
        third=$status
        # Its socket is on what is to be unmounted, where it was started meanwhile.
        on systemctl stop mctl-registryd.socket "$registry"
        on umount /run/mctl
        on systemctl start mctl-registryd.socket
        equal "What boot says" "$first" "1:Failed to start the machine: No space left on device"
        equal "What run says" "$second" "125:Failed to start the machine: No space left on device"
        equal "The status of a start with space again" "$third" 0
        empty "What is left" "$left"
        works on mctl -q run --rm bb /bin/true
}

test_full_var() {
        on_sh 'mkdir -p /var/cache/mctl && mount -t tmpfs -o size=16k none /var/cache/mctl && dd if=/dev/zero of=/var/cache/mctl/fill bs=1k 2>/dev/null || :'
        # A filter of its own kind is made for this start, and not kept.
        works on mctl -q run --rm --system-call-filter=~mkdir bb /bin/true
        on umount /var/cache/mctl
        # What is kept and broken is made anew.
        works on mctl -q run --rm --system-call-filter=~mkdir bb /bin/true
        on_sh 'for f in /var/cache/mctl/seccomp/*; do : >"$f"; done'
        works on mctl -q run --rm --system-call-filter=~mkdir bb /bin/true
}

run_tests
