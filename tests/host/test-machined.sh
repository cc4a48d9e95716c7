#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# mctl-registryd as a client of systemd-machined, which is the provider of org.freedesktop.machine1.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
# shellcheck source=tests/host/machine1.sh
. "$test_dir/machine1.sh"

want_debian=yes
host_options=("--with=systemd-container")

prepare_host() {
        be_client
}

# systemd-machined and mctl-registryd list the same machines.
test_client() {
        boot debian
        soon is_known debian
        works on machinectl show debian
        contains stdout "$out" $'\nService=mctl\n'
        contains stdout "$out" $'\nUnit=machine-debian.service\n'
        contains stdout "$out" $'\nLeader='"$(leader_of debian)"$'\n'
        contains stdout "$out" $'\nRootDirectory=/var/lib/machines/debian\n'
        works on systemctl -M debian is-system-running
        contains "The shell's output" "$(at_terminal 'machinectl shell debian /usr/bin/id')" "uid=0(root) gid=0(root)"
        nspawn scoped -D /var/lib/machines/bb --as-pid2 sleep 1000
        soon is_known scoped
        soon is_listed scoped
        equal "The class" "$(field scoped class)" container
        # Both services can be restarted.
        on systemctl kill -s KILL --kill-whom=main "$registry"
        on systemctl reset-failed "$registry"
        soon is_listed scoped
        soon is_known debian
        on systemctl restart systemd-machined
        soon is_known debian
        works on mctl terminate scoped
        soon is_unknown scoped
        soon is_gone scoped
        power_off debian
        soon is_unknown debian
        on systemctl reset-failed
}

# Newer versions of systemd-machined send SIGTERM to the process that has registered a machine, when the machine must
# end or has ended.
test_client_and_ends() {
        local pid

        boot bb
        soon is_known bb
        pid=$(property "$registry" MainPID)
        power_off bb
        soon is_unknown bb
        boot bb
        soon is_known bb
        reboot bb
        soon is_known bb
        sleep 1
        equal "The state" "$(field bb state)" running
        works on machinectl terminate bb
        soon is_gone bb
        soon is_unknown bb
        equal "The registry" "$(property "$registry" MainPID)" "$pid"
        # A machine that is starting or paused ends as well.
        if [ "$suite" = sid ]; then # older ones have systemd stop it, which does not stop what starts, or is frozen
                on_sh ': >/var/lib/machines/bb/etc/init-hang'
                on mctl boot --no-wait bb
                soon is_known bb
                works on machinectl terminate bb
                soon is_gone bb
                on rm /var/lib/machines/bb/etc/init-hang
                boot bb
                soon is_known bb
                works on mctl pause bb
                works on machinectl terminate bb
                soon is_gone bb
                on systemctl reset-failed
        fi
        # A machine that systemd restarts is not ended.
        start_often
        sleep 1
        equal "The state" "$(field web state)" running
        # The process that had registered the machine is killed.
        on systemctl kill -s KILL --kill-whom=main "$registry"
        soon ends_by_machinectl web
        soon is_gone web
        on_sh 'rm /etc/mctl/web.machine; systemctl reset-failed'
        # 'systemctl stop' ends the registry.
        on systemctl stop "$registry" 2>/dev/null
        equal "The result" "$(property "$registry" Result)" success
}

ends_by_machinectl() {
        on mctl list && on machinectl terminate "$1"
}

run_tests
