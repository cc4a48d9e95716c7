#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The package: its contents, and its installation, upgrade and removal while machines run.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

test_lintian() {
        [ -z "${MCTL_SANITIZE:-}" ] || skip "A package with sanitizers is none that is shipped."
        command -v lintian >/dev/null || skip "The program lintian is missing."
        # The rules of lintian differ between suites, so only errors count.
        try lintian --fail-on error --suppress-tags bad-distribution-in-changes-file "$MCTL_PACKAGE"
        equal "The exit status of lintian" "$status" 0
}

test_files() {
        local file

        try dpkg-deb --contents "$MCTL_PACKAGE"
        equal "The exit status" "$status" 0
        for file in /usr/bin/mctl /usr/lib/mctl/mctl-launch /usr/lib/mctl/mctl-registryd container@.service \
                mctl-registryd.service /usr/share/dbus-1/system-services/org.mctl.Registry1.service \
                /usr/share/dbus-1/system.d/org.mctl.Registry1.conf \
                /usr/share/polkit-1/actions/org.mctl.Registry1.policy system-generators/mctl-generator \
                /usr/share/man/man1/mctl.1.gz bash-completion/completions/mctl _mctl mctl.fish; do
                contains "The list of files" "$out" "$file"
        done
}

# Programs that run at every start of a machine link few libraries.
test_libraries() {
        [ -z "${MCTL_SANITIZE:-}" ] || skip "A package with sanitizers is none that is shipped."
        equal "The libraries of mctl-launch" \
                "$(on_sh 'ldd /usr/lib/mctl/mctl-launch | grep -vE "linux-vdso|libc\.so|ld-linux" || :')" ""
}

test_units_are_valid() {
        try on systemd-analyze verify --man=no mctl-registryd.service container@x.service
        lacks "What systemd-analyze says" "$out$err" mctl
        lacks "What systemd-analyze says" "$out$err" container@
}

# At the boot of the host, neither a machine nor the registry is started, and the boot waits for neither.
test_nothing_runs_unasked() {
        equal "Failed units" "$(on systemctl --failed --plain --no-legend --no-pager)" ""
        try on systemctl is-enabled mctl-registryd.service
        equal "Whether the registry is enabled" "$out" disabled
}

test_removal_leaves_machines_running() {
        local leader state

        boot bb
        printf '[Image]\nImage=bb\n[Files]\nVolatile=overlay\n' | put_file /etc/mctl/web.machine
        works on mctl start web
        leader=$(leader_of bb)
        "$host_command" put "$host" "$MCTL_PACKAGE" /root/mctl.deb

        try on dpkg -r mctl
        equal "The exit status of dpkg -r" "$status" 0
        state=$(property machine-bb.service ActiveState)
        equal "The state of the machine" "$state" active
        equal "Its leader" "$(leader_of bb)" "$leader"
        equal "The other" "$(property container@web.service ActiveState)" active
        try on test -e /usr/bin/mctl
        equal "Whether mctl is there" "$status" 1

        # After a new installation, the registry knows the running machines.
        try on dpkg -i /root/mctl.deb
        equal "The exit status of dpkg -i" "$status" 0
        equal "The machine" "$(field bb leader)" "$leader"
        power_off bb web

        # After an upgrade, the registry knows the running machines.
        boot bb
        leader=$(leader_of bb)
        try on dpkg -i /root/mctl.deb
        equal "The exit status of dpkg -i" "$status" 0
        equal "The leader" "$(field bb leader)" "$leader"
        power_off bb
        on rm -f /root/mctl.deb /etc/mctl/web.machine
}

# If the package is removed, a running machine can still be stopped, and leaves no remains.
test_stop_without_the_package() {
        boot bb
        "$host_command" put "$host" "$MCTL_PACKAGE" /root/mctl.deb
        try on dpkg -r mctl
        works on systemctl stop machine-bb.service
        equal "The state of the machine" "$(property machine-bb.service ActiveState)" inactive
        try on dpkg -i /root/mctl.deb
        works on mctl boot bb
        power_off bb
        on rm /root/mctl.deb
}

test_completion() {
        works on mctl __complete ''
        contains stdout "$out" boot
        works on mctl __complete boot ''
        equal stdout "$out" bb
        boot bb --name compl
        works on mctl __complete poweroff ''
        equal stdout "$out" compl
        works on mctl __complete boot --pri
        contains stdout "$out" --private-users=
        power_off compl
        # Completion offers the names of images, without the suffixes of their files.
        on truncate -s 1M /var/lib/machines/disk.raw
        works on mctl clone bb web
        works on mctl snapshot web first
        works on mctl __complete remove bb ''
        equal stdout "$(sort <<<"$out" | tr '\n' ' ')" "bb disk web "
        works on mctl __complete update x --to=we
        contains stdout "$out" --to=web
        works on mctl __complete rollback web ''
        equal stdout "$out" first
        works on mctl __complete rollback web first ''
        empty stdout "$out"
        works on mctl remove web disk
}

run_tests
