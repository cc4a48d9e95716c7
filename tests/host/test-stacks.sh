#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Images that are stacks of layers: clones take no time on any file system.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
want_debian=yes
host_options=("--machines=ext4" "--with=openssh-client")
store=/var/lib/machines

# layers prints the number of layers beside the images.
layers() {
        on_sh 'ls -A "$1/.#mctl.layers" 2>/dev/null | wc -l' sh "$store"
}

store_is_clean() {
        equal "The store" "$(on ls -A "$store" | grep -v "^lost+found$\|^[.]#mctl[.]" | tr '\n' ' ')" "bb debian "
        equal "How many layers there are" "$(layers)" 0
}

# Copies of the images, since clones turn the images into stacks.
prepare_host() {
        on cp -a $store/bb $store/debian /root
}

fresh() {
        # shellcheck disable=SC2016
        on_sh 'for image in bb debian; do [ -d "$1/$image" ] || { mctl remove $image 2>/dev/null || :; cp -a /root/$image "$1"; }; done' sh $store
}

test_clones() {
        local base

        base=$(on_sh 'cd $1/bb && find . -printf "%p %m %U:%G %T@ %l\n" | sort | md5sum' sh $store)
        works on mctl clone bb one
        works on mctl clone bb two
        valid_json "$(on mctl show-image one --json)" 'json[0]["Type"] == "stack" and json[0]["Path"] == "/var/lib/machines/one.stack" and json[0]["Layers"] == 2 and "BusyBox" in json[0]["OS"]'
        contains "The list" "$(on mctl images)" stack
        boot one
        boot two
        inside_sh one 'echo one >/etc/own && rm /etc/os-release && mkdir -p /srv/dir && chown 5:6 /srv/dir && mv /bin/sh /bin/shell; ln -s shell /bin/sh'
        equal "What the other has" "$(inside two grep -c BusyBox /etc/os-release)" 2
        refused 1 "No such file" inside two cat /etc/own
        equal "The owner of the root" "$(inside one stat -c %u:%g:%a /)" "0:0:755"
        refused 1 "writes to it" on mctl boot one --name other
        # The image that was cloned is a stack as well, and changes independently of its clones.
        on mctl boot bb >/dev/null
        inside bb touch /etc/base
        on mctl boot bb --name base --ephemeral >/dev/null
        works inside base test -e /etc/base
        power_off base bb
        refused 1 "No such file" inside two cat /etc/base
        for _ in 1 2; do
                reboot one
                equal "What it has" "$(inside one cat /etc/own)" one
                equal "Whose it is" "$(inside one stat -c %u:%g /srv/dir)" 5:6
        done
        refused 1 "runs from" on mctl remove one
        power_off one two
        equal "A command" "$(on mctl run --rm one sh -c 'cat /etc/own; ls /etc/os-release 2>&1 | grep -c "No such"' | tr '\n' ' ')" "one 1 "
        # Owners are the same with another range of IDs, and without a user namespace.
        on mctl boot one --private-users=3000000 >/dev/null
        equal "Whose it is" "$(inside one stat -c %u:%g /srv/dir)" 5:6
        works inside one touch /srv/dir/more
        power_off one
        on mctl boot one --private-users=no >/dev/null
        equal "Whose it is" "$(inside one stat -c %u:%g /srv/dir)" 5:6
        power_off one
        # The lowest layer has not changed.
        equal "The lowest layer" "$(on_sh 'cd "$(dirname "$(ls -d "$1"/.#mctl.layers/*/upper/bin/busybox)")/.." && find . -printf "%p %m %U:%G %T@ %l\n" | sort | md5sum' sh $store)" "$base"
        works on mctl rename bb cc
        works on mctl remove one two cc
        fresh
        store_is_clean
}

# A read-only directory stays a directory, and is the base of stacks.
test_base() {
        works on mctl clone --copy bb gold
        works on mctl read-only gold
        works on mctl clone gold one
        valid_json "$(on mctl show-image one --json)" 'json[0]["Base"] == "gold" and json[0]["Layers"] == 1 and "BusyBox" in json[0]["OS"]'
        works on test -d $store/gold
        refused 1 "is the base of stack" on mctl remove gold
        refused 1 "is the base of stack" on mctl rename gold other
        refused 1 "is the base of stack" on mctl read-only gold no
        refused 1 "has no snapshots" on mctl snapshot gold
        boot gold
        boot gold --name two
        ! inside gold touch /etc/x 2>/dev/null || fail "It was written to."
        power_off gold
        power_off two
        works on mctl run --rm gold true
        empty "What has changed" "$(on mctl diff one)"
        works on mctl snapshot one before
        boot one
        inside one touch /etc/own
        power_off one
        contains "What has changed" "$(on mctl diff one)" "A /etc/own"
        works on mctl rollback one
        refused 1 "No such file" on mctl run --rm one ls /etc/own
        boot one
        inside one touch /etc/own
        power_off one
        # A read-only stack can be cloned as well.
        works on mctl clone --read-only one frozen
        works on mctl clone frozen thawed
        equal "A command" "$(on mctl run --rm thawed ls /etc/own)" /etc/own
        works on mctl remove frozen thawed
        works on mctl clone one two
        works on mctl remove one
        equal "A command" "$(on mctl run --rm two ls /etc/own)" /etc/own
        works on mctl remove two gold
        fresh
        store_is_clean
}

# Clones of clones share earlier layers, and do not share later changes.
test_chains() {
        local i

        works on mctl clone bb c0
        for i in 1 2 3 4 5; do
                on mctl run --rm "c$((i - 1))" true
                on mctl boot "c$((i - 1))" >/dev/null
                inside_sh "c$((i - 1))" "echo $i >/etc/level$i"
                power_off "c$((i - 1))"
                works on mctl clone "c$((i - 1))" "c$i"
        done
        for i in 0 1 2 3 4; do
                equal "What c$i has" "$(on mctl run --rm "c$i" sh -c 'cat /etc/level* | tr -d "\n"')" "$(seq -s '' 1 $((i + 1)))"
        done
        boot c5
        refused 1 "writes to image" on mctl clone c5 c6
        inside_sh c5 'rm /etc/level3; echo other >/etc/level1'
        power_off c5
        equal "What the one has" "$(on mctl run --rm c5 sh -c 'cat /etc/level* | tr "\n" " "')" "other 2 4 5 "
        equal "What the other has" "$(on mctl run --rm c4 sh -c 'cat /etc/level* | tr "\n" " "')" "1 2 3 4 5 "
        works on mctl remove c2
        works on mctl rename c5 last
        equal "What it has" "$(on mctl run --rm last cat /etc/level1)" other
        # A full copy is a directory, and an archive contains all layers.
        works on mctl clone --copy last full
        equal "The type" "$(on mctl show-image full --json | jq -r .[0].Type)" directory
        works on mctl export last /root/last.tar
        works on mctl import /root/last.tar imported
        equal "The trees" "$(on_sh 'cd $1/full && find . | sort | md5sum' sh $store)" "$(on_sh 'cd $1/imported && find . | sort | md5sum' sh $store)"
        equal "What the copy has" "$(on_sh 'cat $1/full/etc/level* | tr "\n" " "' sh $store)" "other 2 4 5 "
        on mctl boot last --ephemeral --name shown >/dev/null
        inside shown touch /etc/gone
        power_off shown
        on mctl boot last --volatile=yes --name shown >/dev/null 2>&1 || :
        on mctl terminate shown 2>/dev/null || :
        works on mctl run --rm --read-only last test ! -e /etc/gone
        works on mctl remove c0 c1 c3 c4 last full imported
        on rm /root/last.tar
        fresh
        store_is_clean
}

# Many layers: older kernels limit the names of all layers to 255 characters.
test_depth() {
        works on mctl clone bb d
        works on_sh 'for i in $(seq 1 40); do
                mctl -q mount d /mnt && echo $i >/mnt/etc/level$i && umount /mnt && mctl -q snapshot d s$i; done'
        equal "How many there are" "$(on mctl show-image d --json | jq -r .[0].Layers)" 42
        equal "What a command sees" "$(on mctl run --rm d sh -c 'ls /etc/level* | wc -l')" 40
        works on mctl mount --read-only d /mnt
        equal "What the host sees" "$(on_sh 'ls /mnt/etc/level* | wc -l')" 40
        works on umount /mnt
        boot d
        equal "What a machine sees" "$(inside_sh d 'ls /etc/level* | wc -l')" 40
        works inside_sh d 'echo new >/etc/level1'
        power_off d
        works on mctl rollback d s20
        equal "What it had" "$(on mctl run --rm d sh -c 'ls /etc/level* | wc -l; cat /etc/level1' | tr '\n' ' ')" "20 1 "
        works on mctl remove d
        fresh
        store_is_clean
}

test_identity() {
        local id

        on_sh 'echo 0123456789abcdef0123456789abcdef >"$1/debian/etc/machine-id"; mkdir -p "$1/debian/var/lib/systemd"; echo seed >"$1/debian/var/lib/systemd/random-seed"' sh $store
        works on mctl clone debian d1
        works on mctl clone --keep-identity debian d2
        works on mctl clone --copy debian d3
        equal "An ID that is kept" "$(on mctl run --rm d2 cat /etc/machine-id)" 0123456789abcdef0123456789abcdef
        empty "An ID that is not" "$(on mctl run --rm d1 cat /etc/machine-id)"
        empty "An ID of a copy" "$(on cat $store/d3/etc/machine-id)"
        works on mctl run --rm d1 test ! -e /var/lib/systemd/random-seed
        equal "The first" "$(on mctl run --rm debian cat /etc/machine-id /var/lib/systemd/random-seed | tr '\n' ' ')" "0123456789abcdef0123456789abcdef seed "
        boot d1
        boot d2
        equal "The state of the system" "$(inside d1 systemctl is-system-running)" running
        id=$(inside d1 cat /etc/machine-id)
        matches "The new ID" "$id" '^[0-9a-f]{32}$'
        differ "The new ID" "$id" 0123456789abcdef0123456789abcdef
        power_off d1
        boot d1
        equal "The ID of the next boot" "$(inside d1 cat /etc/machine-id)" "$id"
        power_off d1 d2
        works on mctl remove d1 d2 d3
        fresh
        store_is_clean
}

# A clone has host keys of its own, of the same types, which an ssh server accepts.
test_ssh_keys() {
        local key keys="ssh_host_rsa_key ssh_host_ecdsa_key ssh_host_ed25519_key"

        on_sh 'mkdir -p "$1/bb/etc/ssh"; cd "$1/bb/etc/ssh"; for t in rsa ecdsa ed25519; do ssh-keygen -q -N "" -t $t -f ssh_host_${t}_key; done; echo x >ssh_host_dsa_key; echo y >sshd_config' sh $store
        works on mctl clone --copy bb one
        works on mctl clone --copy --keep-identity bb two
        for key in $keys; do
                equal "The key of $key" "$(on_sh 'ssh-keygen -y -f "$1" | cut -d" " -f1,2' sh "$store/one/etc/ssh/$key")" "$(on cut -d' ' -f1,2 "$store/one/etc/ssh/$key.pub")"
                differ "The key of $key" "$(on cut -d' ' -f2 "$store/one/etc/ssh/$key.pub")" "$(on cut -d' ' -f2 "$store/bb/etc/ssh/$key.pub")"
                equal "The size and type of $key" "$(on_sh 'ssh-keygen -l -f "$1" | sed "s/ .* / /"' sh "$store/one/etc/ssh/$key.pub")" \
                        "$(on_sh 'ssh-keygen -l -f "$1" | sed "s/ .* / /"' sh "$store/bb/etc/ssh/$key.pub")"
                equal "Who may read $key" "$(on stat -c %a:%u "$store/one/etc/ssh/$key")" 600:0
                equal "What is kept" "$(on cat "$store/two/etc/ssh/$key")" "$(on cat "$store/bb/etc/ssh/$key")"
        done
        equal "What else is there" "$(on_sh 'cd "$1"; ls | grep -v "_key"' sh $store/one/etc/ssh)" sshd_config
        works on test ! -e $store/one/etc/ssh/ssh_host_dsa_key
        works on mctl clone bb three
        differ "The key of a stack" "$(on mctl run --rm three cat /etc/ssh/ssh_host_ed25519_key.pub)" "$(on cat $store/one/etc/ssh/ssh_host_ed25519_key.pub)"
        works on mctl remove one two three bb
        on cp -a /root/bb $store
        store_is_clean
}

# Clones and removals are killed at many points: images stay usable, and no remains are left.
test_kills() {
        local i

        for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
                works on mctl clone bb "k" >/dev/null
                on_sh 'mctl clone k l 2>/dev/null & sleep 0.0$1; systemctl kill -s KILL "mctl-work-*" 2>/dev/null; wait' sh "$((i * 5 % 10))$i" >/dev/null 2>&1 || :
                on mctl run --rm k true
                if on test -e $store/l.stack; then
                        on mctl run --rm l true
                        on mctl remove l
                fi
                on_sh 'mctl remove k & sleep 0.0$1; systemctl kill -s KILL "mctl-work-*" 2>/dev/null; wait' sh "$((i * 7 % 10))$i" >/dev/null 2>&1 || :
                on mctl remove k 2>/dev/null || :
        done
        works on mctl clone bb k
        works on mctl remove k
        fresh
        store_is_clean
}

test_hostile() {
        works on mctl clone bb h
        on_sh 'cp "$1/h.stack/manifest.json" /root/m' sh $store
        for text in '' '[]' '{' '{"Version":2}' '{"Version":1,"Layers":[]}' '{"Version":1,"Layers":["../../etc"]}' \
                '{"Version":1,"Layers":5,"Base":"bb"}' '{"Version":1,"Layers":["0123456789abcdef"],"Base":"../x","BaseInode":5}'; do
                on_sh 'printf "%s" "$2" >"$1/h.stack/manifest.json"' sh $store "$text"
                try on mctl run --rm h true
                equal "The exit status" "$status" 125
                # If a manifest cannot be read, layers that it may name are not removed.
                contains stderr "$err" "no manifest"
                on mctl clone bb x >/dev/null 2>&1 || :
                on mctl remove x >/dev/null 2>&1 || :
        done
        on_sh 'printf "%s" "{\"Version\":1,\"Layers\":[\"0123456789abcdef\"]}" >"$1/h.stack/manifest.json"' sh $store
        try on mctl run --rm h true
        contains stderr "$err" "Failed to mount the layers"
        on_sh 'cp /root/m "$1/h.stack/manifest.json"' sh $store
        works on mctl run --rm h true
        # An unpacked archive is not a stack, even if it contains a manifest.
        on_sh 'mkdir -p /root/fake/usr && cp /root/m /root/fake/manifest.json && tar -C /root/fake -cf /root/fake.tar .'
        works on mctl import /root/fake.tar fake
        works on mctl run --rm h true
        refused 1 "can be called" on mctl import /root/fake.tar fake.stack
        works on mctl remove fake
        on rm -r /root/fake /root/fake.tar
        # A directory with the suffix .stack is not a stack either.
        on mkdir $store/odd.stack
        works on mctl clone --copy bb x
        works on mctl remove x
        on rmdir $store/odd.stack
        # Another directory with the name of the base is not the base.
        works on mctl clone --copy --read-only bb gold
        works on mctl clone gold i
        on_sh 'cd $1 && chattr -i gold && mv gold .kept && cp -a .kept gold' sh $store
        try on mctl run --rm i true
        contains stderr "$err" "or another one now"
        refused 1 "gone, or another" on mctl clone i j
        on_sh 'cd $1 && rm -r gold && mv .kept gold' sh $store
        works on mctl run --rm i true
        works on mctl remove h i gold
        on rm /root/m
        fresh
        store_is_clean
}

# value IMAGE KEY prints a value from the JSON of image-status.
value() {
        on mctl image-status "$1" --json | jq -r ".[0].$2"
}

# The sizes of images, and the space that the removal of an image would free.
test_sizes() {
        local all

        on_sh 'cp -a "$1/bb" "$1/p"; head -c 3M /dev/urandom >"$1/p/data"; ln "$1/p/data" "$1/p/again"' sh $store
        all=$(on_sh 'du -s -B1 "$1/p" | cut -f1' sh $store)
        equal "The size" "$(value p Size)" "$all"
        equal "What is its own" "$(value p ExclusiveSize)" "$all"
        works on mctl clone p q
        matches "The size" "$(value q Size)" '^[0-9]+$'
        [ "$(value q Size)" -ge "$all" ] || fail "A clone needs what it shares."
        [ "$(value q ExclusiveSize)" -lt 100000 ] || fail "A clone has nothing of its own yet."
        equal "Who has a share" "$(value q 'SharedWith | join(" ")')" p
        equal "Who has a share" "$(value p 'SharedWith | join(" ")')" q
        boot q
        inside_sh q 'head -c 2097152 /dev/urandom >/own'
        boot q --name reader --read-only
        works on mctl image-status q
        contains "What is said" "$out" "Machines: q, reader"
        equal "The system of a machine of a stack" "$(field q os)" "BusyBox test image"
        contains "What is said" "$out" "Shares with: p"
        power_off q reader
        [ "$(value q ExclusiveSize)" -gt 2000000 ] || fail "What was written is its own."
        matches "The table" "$(on mctl images --size | grep '^q ')" 'stack .* [0-9.]+M +2\.[0-9]M$'
        works on mctl remove p
        equal "What is its own, when the other is gone" "$(value q ExclusiveSize)" "$(value q Size)"
        works on mctl remove q
        on truncate -s 100M $store/d.raw
        equal "The size of a sparse disk" "$(value d Size)" 0
        works on mctl remove d
        refused 1 "no image 'nothere'" on mctl image-status nothere
        refused 1 "authentication" on_user alice mctl --no-ask-password images --size
}

test_prune() {
        on_sh 'for i in .hidden one two base; do cp -a "$1/bb" "$1/$i"; done' sh $store
        on mctl read-only base
        works on mctl clone base over
        printf '[Image]\nImage=two\n' | put_file /etc/mctl/m.machine
        boot bb
        works on mctl prune --dry-run
        contains "What would be removed" "$out" ".hidden"
        contains "How many" "$out" "1 image."
        works on test -e $store/.hidden
        works on mctl prune --json
        valid_json "$out" '[i["Name"] for i in json] == [".hidden"] and json[0]["Size"] > 500000'
        refused 2 "--force" on mctl prune --all
        works on mctl prune --all --dry-run
        works on test -e $store/one
        works on mctl prune --all --force
        contains "What was removed" "$out" "one"
        contains "What was removed when it could be" "$out" "base"
        lacks "What a machine has a file for" "$out" "two"
        equal "What is there" "$(on ls -I lost+found $store | tr '\n' ' ')" "bb two "
        power_off bb
        on rm /etc/mctl/m.machine
        on mctl remove two
        refused 1 "authentication" on_user alice mctl --no-ask-password prune
}

# If the disk is full, the error reports this. When there is space again, the image works.
test_full_disk() {
        fresh
        works on mctl clone bb one
        on_sh 'fallocate -l "$(df -B1 --output=avail "$1" | tail -n 1)" "$1/fill"; head -c 1G /dev/zero >"$1/rest" 2>/dev/null || :' sh $store
        try on mctl boot one
        equal "The exit status" "$status" 1
        contains stderr "$err" "No space left on device"
        lacks stderr "$err" "Read-only"
        refused 1 "No space left" on mctl clone bb two
        # What frees space works all the same.
        on rm $store/fill $store/rest
        works on mctl snapshot one first
        works on mctl snapshot one second
        works on mctl clone one third
        on_sh 'fallocate -l "$(df -B1 --output=avail "$1" | tail -n 1)" "$1/fill"; head -c 1G /dev/zero >"$1/rest" 2>/dev/null || :; for i in $(seq 100); do : >"$1/rest$i" || break; head -c 4096 /dev/zero >"$1/rest$i" || break; done 2>/dev/null; :' sh $store
        works on mctl remove-snapshot one second
        works on mctl rollback one first
        works on mctl remove third
        on_sh 'rm "$1"/fill "$1"/rest*' sh $store
        boot one
        power_off one
        works on mctl remove one bb
}

run_tests
