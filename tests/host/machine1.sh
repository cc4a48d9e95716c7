# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Functions for the tests of org.freedesktop.machine1.

# shellcheck disable=SC2034
registry=mctl-registryd.service
# shellcheck disable=SC2034
m1=(org.freedesktop.machine1 /org/freedesktop/machine1 org.freedesktop.machine1.Manager)

be_provider() {
        on_sh 'systemctl stop systemd-machined
                systemctl mask systemd-machined
                systemctl restart mctl-registryd' >/dev/null 2>&1
        equal "Who has the name" "$(owner_of_name)" mctl-registryd
}

be_client() {
        on_sh 'systemctl unmask systemd-machined
                systemctl stop mctl-registryd
                systemctl restart systemd-machined.socket || : # newer ones have one, whose file we had replaced
                systemctl start systemd-machined
                systemctl start mctl-registryd' >/dev/null 2>&1
        equal "Who has the name" "$(owner_of_name)" systemd-machined
}

owner_of_name() {
        on_sh 'ps -o comm= -p "$(busctl --json=short call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus \
                GetConnectionUnixProcessID s org.freedesktop.machine1 | jq ".data[0]")"' | cut -c 1-16 | sed 's/machine$/machined/'
}

# is_known NAME: the list of machinectl contains the name.
is_known() {
        local text

        text=$(on machinectl list --no-legend --no-pager) && [[ $text =~ (^|$'\n')"$1 " ]]
}

is_unknown() {
        local text

        text=$(on machinectl list --no-legend --no-pager) && [[ ! $text =~ (^|$'\n')"$1 " ]]
}

nspawn() {
        local name=$1
        shift

        on systemd-run -q --unit="their-$name" systemd-nspawn -q -M "$name" "$@"
}

knows_leader() {
        [ "$(on machinectl show "$1" -p Leader --value)" = "$(leader_of "$1")" ]
}

start_often() {
        local i

        on_sh 'printf "[Image]\nImage=bb\n" >/etc/mctl/web.machine'
        for i in 1 2 3 4 5; do
                works on systemctl restart container@web
                soon knows_leader web
        done
}
