# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What host, build-package and try share. The caller has set -euo pipefail.

# Without it a $(...) goes on after a failed command.
shopt -s inherit_errexit

program=${0##*/}
hosts_dir=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck disable=SC2034
top_dir=$(dirname "$(dirname "$hosts_dir")")
# shellcheck disable=SC2034
cache_dir=${MCTL_CACHE:-/var/cache/mctl-tests}

say() {
        echo "$program: $*" >&2
}

die() {
        say "$*"
        exit 1
}

need_root() {
        [ "$(id -u)" = 0 ] || die "This makes namespaces, mounts and cgroups: run it as root."
}

# Names the packages among the arguments that are not installed here.
packages_missing() {
        local package

        for package in "$@"; do
                [ "$(dpkg-query -Wf '${db:Status-Status}' "$package" 2>/dev/null || :)" = installed ] ||
                        echo "$package"
        done
}

apt_quietly() {
        local log

        log=$(mktemp)
        if ! DEBIAN_FRONTEND=noninteractive timeout -k 30 1800 \
                apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1 </dev/null; then
                tail -n 20 "$log" >&2
                rm -f "$log"
                die "apt-get $1 failed."
        fi
        rm -f "$log"
}

packages_install() {
        local -a missing

        mapfile -t missing < <(packages_missing "$@")
        [ ${#missing[@]} -gt 0 ] || return 0
        say "Installing ${missing[*]} …"
        apt_quietly update
        apt_quietly install -y --no-install-recommends "${missing[@]}"
        # Nobody asked for these by name: 'apt-get autoremove' takes them away again.
        apt-mark auto "${missing[@]}" >/dev/null
}

# Runs a function that makes DIR where DIR is missing; of several callers at once, one does it and the others wait.
# FUNCTION gets the path of a directory that does not exist; it is hidden, and renamed when the function is done.
# FUNCTION must return its failures itself: set -e does not work to the left of a ||.
cache_make() {
        local dir=$1 function=$2 lock
        local temp=${dir%/*}/.${dir##*/}.new
        shift 2

        [ ! -d "$dir" ] || return 0
        mkdir -p "${dir%/*}"
        exec {lock}>"${dir%/*}/.${dir##*/}.lock"
        flock "$lock"
        if [ ! -d "$dir" ]; then
                rm -rf --one-file-system "$temp"
                # The lock is ours, not that of the programs we start: one of them may stay behind.
                (
                        exec {lock}>&-
                        "$function" "$temp" "$@"
                ) || die "Cannot make '$dir'."
                mv -T "$temp" "$dir"
        fi
        rm -f "${dir%/*}/.${dir##*/}.lock"
        exec {lock}>&-
}
