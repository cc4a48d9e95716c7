# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the escape tests share, on top of the library of the behaviour tests. Each plays an attack that is known from
# other container managers: first with the protection taken away, where that can be shown, then with what is default.
# /etc/escape on the host is the canary: nobody from inside a machine reads its secret or changes anything in it.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../host/lib.sh"

escape_dir=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
script=escape-$script
host=t-$script-$$
store=/var/lib/machines
secret=the-secret-of-the-host

# Called by lib.sh, once the host runs.
prepare_host() {
        local program

        program=$(mktemp)
        gcc -std=gnu17 -Wall -Wextra -Werror -Os -s -static -o "$program" "$escape_dir/attack.c"
        chmod 755 "$program"
        "$host_command" put "$host" "$program" "$store/bb/bin/attack"
        rm -f "$program"
        on_sh "chown 0:0 $store/bb/bin/attack
                cp $store/bb/bin/attack /usr/local/bin/attack
                mkdir -m 755 /etc/escape /etc/escape/kernel
                echo $secret >/etc/escape/secret
                echo $secret >/etc/escape/kernel/secret"
        canary=$(canary_now)
}

# The files of the canary, where they are mounted over, and what of the whole kernel's a machine could have changed.
canary_now() {
        on_sh 'find /etc/escape -printf "%p %y %m %U:%G %l %s\n" | sort
                cat /etc/escape/secret /etc/escape/kernel/secret /proc/sys/kernel/core_pattern
                grep " /etc/escape" /proc/1/mountinfo || :'
}

canary_lives() {
        equal "The canary" "$(canary_now)" "$canary"
}

# An image to be made evil.
new_image() {
        on_sh 'rm -rf "$1" "$1.nspawn" && cp -a /var/lib/machines/bb "$1"' sh "$store/$1"
}

no_image() {
        on rm -rf "$store/$1" "$store/$1.nspawn"
}

# attack OPTIONS... -- VERB...: what attack.c prints in a machine with these options. Sets $status, too.
attack() {
        local -a options=()

        while [ "$1" != -- ]; do
                options+=("$1")
                shift
        done
        shift
        try on mctl -q run --rm "${options[@]}" bb /bin/attack "$@"
}

# From the first process of a machine that runs.
attack_inside() {
        local name=$1
        shift

        try inside "$name" /bin/attack "$@"
}

attack_works() {
        equal "What the attack prints" "$out" works
}

# Whatever it was that stopped it: an error, or the end of the process.
attack_fails() {
        # It was made: the machine started, and the program ran and knew what to do.
        [[ ! $status =~ ^(0|2|125|126|127)$ ]] || fail "The exit status of the attack is '$status'"
        lacks "What the attack prints" "$out" works
}
