#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Disks with dm-verity, and digests of images. If the kernel has no device mapper, machines that require hashes cannot
# run. On all kernels, such machines are refused without verification, and 'mctl verify' can read the disks.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
host_options=("--with=fdisk,cryptsetup-bin,openssl,libblkid1")
store=/var/lib/machines

# A root file system, its hashes, and keys for signatures.
prepare_host() {
        # shellcheck disable=SC2016
        on_sh 'mkdir -p /root/v && cd /root/v && cp -a /var/lib/machines/bb tree && mkdir -p tree/root tree/var tree/usr && echo genuine >tree/root/file &&
                truncate -s 64M root && mke2fs -q -t ext4 -b 4096 -d tree root && truncate -s 2M hashes &&
                veritysetup format root hashes | sed -n "s/^Root hash:[[:space:]]*//p" >hash && [ -s hash ] &&
                openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=images" -keyout key.pem -out images.crt 2>/dev/null &&
                openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=others" -keyout other.pem -out other.crt 2>/dev/null'
        hash=$(on cat /root/v/hash)
        on mkdir -p /etc/verity.d
}

# sign KEY CERTIFICATE [HASH] makes the signature of a root hash in the format of systemd-repart(8).
sign() {
        # shellcheck disable=SC2016
        on_sh 'cd /root/v && printf "%s" "$3" >text && openssl smime -sign -nocerts -noattr -binary -in text -inkey "$1" -signer "$2" -outform der -out text.p7s &&
                jq -nc --arg hash "$3" --arg signature "$(base64 -w0 text.p7s)" "{rootHash: \$hash, signature: \$signature}" >signature' sh "$1" "$2" "${3:-$hash}"
}

uuid() {
        sed -E 's/(.{8})(.{4})(.{4})(.{4})(.{12})/\1-\2-\3-\4-\5/' <<<"$1"
}

# disk FILE [signed] makes a disk with a root, its hashes, and if asked for the signature.
disk() {
        local signature=""

        [ -z "${2:-}" ] || signature=$'\nstart=139264, size=2048, type=41092b05-9fc8-4523-994f-2def0408b176'
        # shellcheck disable=SC2016
        on_sh 'cd /root/v && rm -f "$1" && truncate -s 72M "$1" && printf "%s\n" "$2" | sfdisk -q "$1" >/dev/null &&
                dd if=root of="$1" bs=1M seek=1 conv=notrunc,sparse status=none && dd if=hashes of="$1" bs=1M seek=65 conv=notrunc status=none &&
                { [ -z "$3" ] || dd if=signature of="$1" bs=1M seek=68 conv=notrunc status=none; }' sh "$1" "label: gpt
start=2048, size=131072, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, uuid=$(uuid "${hash:0:32}")
start=133120, size=4096, type=2c7357ed-ebd2-46d9-aec1-23d437ec2bf5, uuid=$(uuid "${hash: -32}")$signature" "${2:-}"
}

# tamper FILE changes the contents of a file on the disk, and not its metadata.
tamper() {
        # shellcheck disable=SC2016
        on_sh 'at=$(grep -abo genuine "$1" | head -n 1 | cut -d: -f1) && printf tampered | dd of="$1" bs=1 seek="$at" conv=notrunc status=none' sh "$1"
}

has_device_mapper() {
        on_sh 'modprobe -q dm-mod; grep -qw device-mapper /proc/misc'
}

needs_device_mapper() {
        has_device_mapper || skip "the kernel has no device mapper"
}

no_devices() {
        ! on_sh 'grep -qs mctl /sys/block/dm-*/dm/name' && ! on losetup -l -n -O BACK-FILE | grep -q "$store"
}

fails_to_run() {
        try on mctl run --rm --name broken "$@" true
        equal "The exit status" "$status" 125
        contains "What is said" "$err" "$expected"
        on systemctl reset-failed
}

# 'mctl verify' reads the whole disk, in user space.
test_verify() {
        disk $store/v.raw
        works on mctl verify v
        equal "What is said" "$out" "v: sha256:$(on sha256sum $store/v.raw | cut -d' ' -f1)"
        sign key.pem images.crt
        disk $store/v.raw signed
        works on mctl verify v
        contains "What is said" "$out" ", matches root hash $hash"
        lacks "What is said" "$out" signature
        on cp /root/v/images.crt /etc/verity.d
        works on mctl verify v
        contains "What is said" "$out" "$hash (trusted signature)"
        works on mctl verify v --json
        valid_json "$out" "json[0]['image'] == 'v' and json[0]['rootHash'] == '$hash' and json[0]['signed'] is True and len(json[0]['digest']) == 64"
        tamper $store/v.raw
        refused 1 "Partition 1 (the root) is not what its root hash says" on mctl verify v
        # Damaged hashes are found as well.
        disk $store/v.raw signed
        on_sh 'printf tampered | dd of="$1" bs=1 seek=$((65 * 1024 * 1024 + 5000)) conv=notrunc status=none' sh $store/v.raw
        refused 1 "Partition 1 (the root)" on mctl verify v
        # A root whose superblock is destroyed is found as well.
        disk $store/v.raw signed
        on_sh 'dd if=/dev/zero of="$1" bs=1M seek=1 count=1 conv=notrunc status=none' sh $store/v.raw
        refused 1 "Partition 1 (the root) is not what its root hash says" on mctl verify v
        # A certificate can be a symbolic link. A link to /dev/null disables a certificate of the same name in a later
        # directory.
        disk $store/v.raw signed
        on_sh 'mkdir -p /usr/lib/verity.d && mv /etc/verity.d/images.crt /usr/lib/verity.d && ln -s /nothere /etc/verity.d/dangling.crt'
        works on mctl verify v
        contains "What is said" "$out" "trusted signature"
        on ln -s /root/v/images.crt /etc/verity.d/images.crt
        works on mctl verify v
        contains "What is said" "$out" "trusted signature"
        on ln -sf /dev/null /etc/verity.d/images.crt
        works on mctl verify v
        lacks "What is said" "$out" "trusted signature"
        on_sh 'rm -r /usr/lib/verity.d /etc/verity.d/*'
        # An expired certificate is still trusted.
        on_sh 'cd /root/v && printf "[ca]\ndefault_ca=d\n[d]\ndatabase=db\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n" >ca.conf && : >db && echo 01 >serial &&
                openssl req -new -key key.pem -subj "/CN=images" -out old.csr && openssl ca -batch -config ca.conf -selfsign -keyfile key.pem -in old.csr -out old.crt -notext \
                        -startdate 20200101000000Z -enddate 20210101000000Z 2>/dev/null && cp old.crt /etc/verity.d'
        sign key.pem old.crt
        disk $store/v.raw signed
        works on mctl verify v
        contains "What is said" "$out" "trusted signature"
        on rm /etc/verity.d/old.crt
        # The partition for the signature is empty.
        on_sh ': >/root/v/signature'
        disk $store/v.raw signed
        works on mctl verify v
        lacks "What is said" "$out" "root hash"
        works on mctl run --rm v cat /root/file
        # The signature is of another root hash, which no partition has.
        sign key.pem images.crt "${hash/[0-9]/f}"
        disk $store/v.raw signed
        try on mctl verify v
        equal "The exit status" "$status" 1
        on_sh 'echo "{\"rootHash\": 5}" >/root/v/signature'
        disk $store/v.raw signed
        expected="signature that cannot be understood" fails_to_run v --root-hash=auto
        on rm $store/v.raw
        soon no_devices
}

# Partitions without hashes do not hide files of the root.
test_other_partitions() {
        # shellcheck disable=SC2016
        on_sh 'cd /root/v && rm -rf var usr && mkdir -p var usr/bin && ln -s /etc var/tmp && echo evil >usr/evil &&
                for f in var usr; do truncate -s 4M $f.fs && mke2fs -q -t ext4 -O ^has_journal -d $f $f.fs || exit 1; done'
        # disk() leaves free space after the signature.
        disk $store/v.raw
        on_sh 'truncate -s 90M "$1" && printf "%s\n" "start=147456, size=8192, type=4d21b016-b534-45c2-a9fb-5c16e091fd2d" "start=155648, size=8192, type=7ec6f557-3bc5-4aca-b293-16ef5df639d1" |
                sfdisk -q --append "$1" >/dev/null && dd if=/root/v/var.fs of="$1" bs=1M seek=72 conv=notrunc status=none && dd if=/root/v/usr.fs of="$1" bs=1M seek=76 conv=notrunc status=none' sh $store/v.raw
        works on mctl run --rm --root-hash=no v sh -c 'test -L /var/tmp && test ! -e /etc/evil && ! touch /var/x 2>/dev/null && touch /root/x && cat /root/file'
        disk $store/v.raw
        on_sh 'truncate -s 90M "$1" && printf "%s\n" "start=147456, size=8192, type=8484680c-9521-48c6-9c11-b0720656f69e" |
                sfdisk -q --append "$1" >/dev/null && dd if=/root/v/usr.fs of="$1" bs=1M seek=72 conv=notrunc status=none' sh $store/v.raw
        expected="(/usr) has no hashes" fails_to_run v --root-hash="$hash"
        works on mctl run --rm --root-hash=no v cat /usr/evil
        on rm $store/v.raw
        soon no_devices
}

# Images of all types have a digest, that of their export.
test_digest() {
        local digest

        digest=$(on_sh 'mctl export --format=uncompressed bb - | sha256sum' | cut -d' ' -f1)
        works on mctl verify bb
        equal "What is said" "$out" "bb: sha256:$digest"
        works on mctl clone bb s
        works on mctl verify bb --digest="sha256:$digest"
        works on mctl verify bb --digest="$digest" -q
        empty "What is said" "$out"
        try on mctl verify bb --json --digest="$(printf %064d 0)"
        equal "The exit status" "$status" 1
        valid_json "$out" "json == [{'image': 'bb', 'valid': False, 'digest': '$digest', 'signed': False}]"
        refused 1 "Image 'bb' has the digest sha256:$digest, not sha256:00" on mctl verify bb --digest="$(printf %064d 0)"
        refused 2 "takes a SHA-256" on mctl verify bb --digest=00
        refused 2 "exactly one image" on mctl verify bb s --digest="$digest"
        refused 1 "No image 'nothere'" on mctl verify nothere
        works on mctl verify bb s --json
        valid_json "$out" '[o["image"] for o in json] == ["bb", "s"]'
        refused 1 "authentication is required" on_user alice mctl --no-ask-password verify bb
        works on mctl remove s
}

# If mctl is interrupted, the verification is cancelled.
test_verify_interrupted() {
        on truncate -s 200G $store/large.raw
        try on_sh 'timeout -s INT 2 mctl verify large'
        equal "The exit status" "$status" 124
        soon on_sh '! systemctl is-active -q "mctl-work-*"'
        on rm $store/large.raw
}

# If a root hash or a signature is required, a machine does not start without it.
test_refused() {
        sign other.pem other.crt
        disk $store/v.raw signed
        on cp /root/v/images.crt /etc/verity.d
        expected="is signed by nobody whose certificate is in /etc/verity.d" fails_to_run v --root-hash=signed
        expected="no root partition for root hash" fails_to_run v --root-hash="${hash/[0-9]/f}"
        disk $store/v.raw
        expected="is not signed" fails_to_run v --root-hash=signed
        on_sh 'cp /root/v/root "$1/plain.raw"' sh $store
        expected="The disk has no hashes" fails_to_run plain --root-hash=signed
        expected="is no disk: RootHash=signed is about disks" fails_to_run bb --root-hash=signed
        refused 125 "a root hash in hexadecimal, signed, no or auto" on mctl run --root-hash=abc v true
        on rm $store/v.raw $store/plain.raw /etc/verity.d/images.crt
        soon no_devices
}

# beside NAME makes a disk without partitions, and files with its hashes beside the disk.
beside() {
        # shellcheck disable=SC2016
        on_sh 'cd /root/v && cp root "$1.raw" && cp hashes "$1.verity" && cp hash "$1.roothash" && cp text.p7s "$1.roothash.p7s"' sh "$store/$1"
}

# files_of LETTERS prints the files of the images with these names.
files_of() {
        on_sh 'cd "$1" && ls | grep "^[$2][.]" | tr "\n" " " || :' sh $store "$1"
}

# A root hash in a file beside a disk is required like one in a setting.
test_beside() {
        sign key.pem images.crt
        beside b
        works on mctl verify b
        contains "What is said" "$out" ", matches root hash $hash"
        lacks "What is said" "$out" signature
        on cp /root/v/images.crt /etc/verity.d
        works on mctl verify b
        contains "What is said" "$out" "$hash (trusted signature)"
        has_device_mapper || expected="cannot be verified: the kernel has no device mapper" fails_to_run b
        works on mctl run --rm --root-hash=no b cat /root/file
        # The files are renamed, cloned and removed with the disk.
        works on mctl rename b c
        equal "The files" "$(files_of bc)" "c.raw c.roothash c.roothash.p7s c.verity "
        works on mctl clone c d
        equal "The files" "$(files_of cd)" "c.raw c.roothash c.roothash.p7s c.verity d.raw d.roothash d.roothash.p7s d.verity "
        works on mctl remove c
        equal "The files" "$(files_of cd)" "d.raw d.roothash d.roothash.p7s d.verity "
        works on mctl verify d
        contains "What is said" "$out" "$hash (trusted signature)"
        empty "What is hidden" "$(on_sh 'ls -A "$1" | grep mctl- || :' sh $store)"
        tamper $store/d.raw
        refused 1 "is not what its root hash says" on mctl verify d
        # A file without a valid root hash is an error.
        for text in "" "${hash:1}" "$hash more" "$hash"$'\n\n'; do
                printf '%s' "$text" | put_file $store/d.roothash
                expected="d.roothash' has no root hash in it" fails_to_run d
        done
        on_sh 'ln -sf /root/v/hash "$1/d.roothash"' sh $store
        expected="d.roothash', or its signature, cannot be read" fails_to_run d
        refused 1 "Not renamed" on mctl rename d e
        equal "The files" "$(files_of de)" "d.raw d.roothash d.roothash.p7s d.verity "
        on_sh 'rm "$1"/d.*; rm /etc/verity.d/*' sh $store
        beside e
        on rm $store/e.verity
        expected="The disk has no hashes" fails_to_run e
        on_sh 'mv "$1/e.roothash" "$1/e.usrhash"; rm "$1/e.roothash.p7s"' sh $store
        expected="no partition whose root hash is" fails_to_run e
        works on mctl remove e
        # For a symbolic link to a disk, the files beside the target apply.
        beside far
        on_sh 'mkdir /srv/far && mv "$1"/far.* /srv/far && ln -s /srv/far/far.raw "$1/near.raw"' sh $store
        has_device_mapper || expected="cannot be verified: the kernel has no device mapper" fails_to_run near
        on_sh 'rm -r "$1/near.raw" /srv/far' sh $store
        refused 1 "can be called" on mctl clone --copy bb x.roothash
        # The signature on the disk is for another root hash than that beside the disk.
        disk $store/v.raw signed
        on_sh 'cp /root/v/images.crt /etc/verity.d; tr 0-9 f </root/v/hash >"$1/v.roothash"' sh $store
        expected="is signed with another root hash than stands beside it" fails_to_run v --root-hash=signed
        on_sh 'rm "$1"/v.* /etc/verity.d/*' sh $store
        # A file with a root hash does not belong to a directory of the same name.
        on_sh 'mkdir "$1/v"; echo >"$1/v.roothash"' sh $store
        works on mctl remove v
        equal "The files" "$(files_of v)" "v.roothash "
        on rm $store/v.roothash
        # If a disk has partitions, the hashes are on the disk, and the root hash can be in a file beside it.
        disk $store/v.raw
        on cp /root/v/hash $store/v.roothash
        works on mctl verify v
        contains "What is said" "$out" ", matches root hash $hash"
        on_sh 'tr 0-9 f <"$1" >/run/hash && mv /run/hash "$1"' sh $store/v.roothash
        refused 1 "no root partition for root hash" on mctl verify v
        works on mctl remove v
        empty "The files" "$(files_of bcdev)"
        soon no_devices
}

test_without_device_mapper() {
        ! has_device_mapper || skip "the kernel has device mapper"
        sign key.pem images.crt
        disk $store/v.raw signed
        expected="cannot be verified: the kernel has no device mapper" fails_to_run v --root-hash="$hash"
        # Without RootHash=, the disk works like any other disk, but is read-only.
        works on mctl run --rm v cat /root/file
        equal "The file" "$out" genuine
        works on mctl run --rm v --root-hash=no cat /root/file
        on rm $store/v.raw
        soon no_devices
}

test_run() {
        needs_device_mapper
        disk $store/v.raw
        works on mctl run --rm --root-hash="$hash" v cat /root/file
        equal "The file" "$out" genuine
        contains "What its root is on" "$(on mctl run --rm --root-hash="$hash" --volatile=no --read-only v cat /proc/mounts)" "/dev/dm-"
        works on mctl boot --root-hash="$hash" --volatile=overlay v --name one
        works on mctl boot --root-hash="$hash" --volatile=overlay v --name two
        equal "The file" "$(inside two cat /root/file)" genuine
        power_off one two
        soon no_devices
        sign key.pem images.crt
        disk $store/v.raw signed
        on cp /root/v/images.crt /etc/verity.d
        works on mctl run --rm --root-hash=signed v cat /root/file
        works on mkdir -p /mnt/v
        works on mctl mount --read-only v /mnt/v
        contains "What it is on" "$(on findmnt -n -o SOURCE /mnt/v)" "/dev/dm-"
        works on mctl umount v
        soon no_devices
        tamper $store/v.raw
        try on mctl run --rm --root-hash=signed v cat /root/file
        differ "The exit status" "$status" 0
        lacks "What is said" "$out" tampered
        beside b
        works on mctl run --rm b cat /root/file
        equal "The file" "$out" genuine
        contains "What its root is on" "$(on mctl run --rm --volatile=no b cat /proc/mounts)" "/dev/dm-"
        works on mctl run --rm --root-hash=signed b cat /root/file
        tamper $store/b.raw
        try on mctl run --rm b cat /root/file
        differ "The exit status" "$status" 0
        lacks "What is said" "$out" tampered
        works on mctl remove b
        # With --root-hash=no, the tampered file is read.
        works on mctl run --rm --root-hash=no v cat /root/file
        contains "The file" "$out" tampere
        on_sh 'dd if=/dev/urandom of="$1" bs=1k seek=1024 count=8 conv=notrunc status=none' sh $store/v.raw
        try on mctl run --rm --root-hash=signed v true
        equal "The exit status" "$status" 125
        on_sh 'rm "$1/v.raw" /etc/verity.d/images.crt; systemctl reset-failed' sh $store
        soon no_devices
}

run_tests
