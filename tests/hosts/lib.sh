# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Functions for host, vm, build-package, check and try. The caller has set -euo pipefail.

# Without this option, a $(...) continues after a failed command.
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

# packages_missing PACKAGE... prints the packages that are not installed.
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
        # The packages are marked as automatic, so that 'apt-get autoremove' removes them.
        apt-mark auto "${missing[@]}" >/dev/null
}

# cache_make DIR FUNCTION [ARGUMENT...] runs the function if DIR is missing. If several callers run at once, one of
# them makes DIR and the others wait. FUNCTION gets the path of a hidden directory that does not exist, and that is
# renamed to DIR at the end. FUNCTION must return its failures itself, since set -e has no effect to the left of ||.
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
                # Programs that the function starts must not inherit the lock, since one of them may outlive the
                # function.
                (
                        exec {lock}>&-
                        "$function" "$temp" "$@"
                ) || die "Cannot make '$dir'."
                mv -T "$temp" "$dir"
        fi
        rm -f "${dir%/*}/.${dir##*/}.lock"
        exec {lock}>&-
}
