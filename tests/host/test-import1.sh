#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# org.freedesktop.import1 and its unmodified clients, with mctl-registryd as the provider.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
host_options=("--with=systemd-container,xz-utils")
service=/usr/share/dbus-1/system-services/org.freedesktop.import1.service

prepare_host() {
        on_sh 'mv "$1" /root; systemctl mask --now systemd-machined systemd-importd; systemctl reload dbus
                systemctl restart mctl-registryd' sh "$service" >/dev/null 2>&1
}

# machinectl prints its progress on standard error.
their() {
        try on machinectl "$@"
        equal "The exit status of machinectl $*" "$status" 0
}

test_import_clients() {
        works on mctl export bb /root/x.tar.gz
        their --no-pager import-tar /root/x.tar.gz imported
        works on test -e /var/lib/machines/imported/bin/busybox
        try on machinectl import-tar /root/x.tar.gz imported
        differ "The exit status" "$status" 0
        their --force --read-only import-tar /root/x.tar.gz imported
        contains "The image" "$(on mctl show-image imported)" ReadOnly=yes
        their import-fs /var/lib/machines/bb fs
        their --format=xz export-tar fs /root/fs.tar.xz
        works on xz -t /root/fs.tar.xz
        on_sh 'head -c 300000 /dev/urandom >/root/d.raw; cd /root && sha256sum d.raw >SHA256SUMS'
        their import-raw /root/d.raw raw
        works on cmp /root/d.raw /var/lib/machines/raw.raw
        their --format=gzip export-raw raw /root/r.raw.gz
        works on_sh 'gzip -dc /root/r.raw.gz | cmp - /root/d.raw'
        their --verify=checksum pull-raw file:///root/d.raw pulled
        works on cmp /root/d.raw /var/lib/machines/pulled.raw
        their --verify=no pull-tar file:///root/x.tar.gz tarred
        works on mctl run --rm tarred true
        contains "The images" "$(on machinectl list-images --no-legend --no-pager)" "pulled"
        works on mctl remove raw pulled tarred
        on rm /root/d.raw /root/r.raw.gz /root/SHA256SUMS
        their --no-legend list-transfers
        works on mctl remove imported fs
        on rm /root/x.tar.gz /root/fs.tar.xz
}

run_tests
