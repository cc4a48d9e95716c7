#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Images made by somebody hostile: nothing in them leads to the host, or decides what the administrator decides.

# shellcheck source=tests/escape/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

# It may start or not: the host must not notice, and nobody inside may see the secret.
start_evil() {
        try on mctl -q run --rm --volatile=no "$@" evil /bin/busybox sh -c \
                'for d in / /dev /proc /sys /run /run/host /etc/escape; do cat $d/secret $d/kernel/secret; done 2>/dev/null
                echo changed >/etc/escape/secret 2>/dev/null
                :'
        lacks "What is seen inside" "$out" "$secret"
        canary_lives
        # Whoever does not start says so in a word.
        [ "$status" = 0 ] || differ "stderr" "$err" ""
}

# runc CVE-2026-41579, crun CVE-2026-47766, LXC CVE-2015-1335: what the manager mounts or makes, it makes elsewhere.
test_links_for_directories() {
        local dir target

        new_image evil
        # By path, each of these links leads to the host.
        on_sh "rmdir $store/evil/dev && ln -s /etc/escape $store/evil/dev"
        equal "What the link leads to by path" "$(on cat $store/evil/dev/secret)" "$secret"
        on_sh "rm $store/evil/dev && mkdir $store/evil/dev"
        for dir in dev proc sys run tmp etc var; do
                for target in /etc/escape ../../../../etc/escape /proc/1/root/etc/escape /proc/self/cwd; do
                        on_sh "mv $store/evil/$dir $store/evil/saved && ln -s $target $store/evil/$dir"
                        start_evil
                        start_evil --private-users=no
                        on_sh "rm $store/evil/$dir && mv $store/evil/saved $store/evil/$dir"
                done
        done
        no_image evil
}

# The targets of single files and mounts, CVE-2025-52565 among them.
test_links_for_files() {
        local file

        new_image evil
        on_sh "mkdir -p $store/evil/run/host $store/evil/etc"
        for file in dev/console dev/null dev/pts dev/shm run/host run/lock etc/resolv.conf etc/localtime etc/machine-id \
                etc/os-release etc/hostname proc/sys sys/fs data; do
                on_sh "rm -rf $store/evil/$file && mkdir -p $store/evil/${file%/*} && ln -s /etc/escape/new $store/evil/$file"
                start_evil -v "$store/bb/etc:/data"
                on rm -rf "$store/evil/$file"
                on_sh "mkdir -p $store/evil/${file%/*} && ln -s ../../../../../etc/escape $store/evil/$file"
                start_evil -v "$store/bb/etc:/data"
                start_evil --private-users=no --bind-ro="$store/bb/etc:/data:noidmap" --resolv-conf=replace-host \
                        --timezone=copy
                on rm -rf "$store/evil/$file"
        done
        no_image evil
}

# CVE-2019-5736: a program that is run by way of /proc/self/exe is the launcher, with a loader of the image's own. Whoever
# is the host's root could write to it.
test_launcher_is_not_written_to() {
        local before mode loader

        loader=$(mktemp)
        gcc -std=gnu17 -Wall -Wextra -Werror -Os -s -static -nostdlib -ffreestanding -fno-stack-protector -fno-pie -no-pie \
                -o "$loader" "$escape_dir/loader.c"
        chmod 755 "$loader"
        new_image evil
        on mkdir -p "$store/evil/lib64"
        "$host_command" put "$host" "$loader" "$store/evil/lib64/ld-linux-x86-64.so.2"
        rm -f "$loader"
        printf '#!/proc/self/exe\n' | put_file "$store/evil/bin/evil" 755
        before=$(on sha256sum /usr/lib/mctl/mctl-launch)
        for mode in pick identity 0:65536 no; do
                try on mctl -q run --rm --private-users=$mode evil /bin/evil
                contains "What the attack prints with $mode" "$out" trying
                lacks "What the attack prints with $mode" "$out" "ended with 0"
                equal "The launcher" "$(on sha256sum /usr/lib/mctl/mctl-launch)" "$before"
        done
        no_image evil
}

# The journal of a machine has a name that the machine chose: what is there may be another's, or a link.
test_journal_of_another() {
        local id=0123456789abcdef0123456789abcdef

        new_image evil
        on_sh "echo $id >$store/evil/etc/machine-id
                mkdir -p /var/log/journal $store/evil/var/log/journal
                ln -s /etc/escape /var/log/journal/$id"
        works on mctl -q boot evil --link-journal=try-host
        empty "What the machine sees there" "$(inside_sh evil "ls /var/log/journal/$id 2>/dev/null || :")"
        works on mctl terminate evil
        soon is_gone evil
        refused_start --link-journal=host
        # Somebody else's directory.
        on_sh "rm /var/log/journal/$id; mkdir /var/log/journal/$id; echo theirs >/var/log/journal/$id/theirs"
        works on mctl -q boot evil --link-journal=try-host
        empty "What the machine sees there" "$(inside_sh evil "ls /var/log/journal/$id 2>/dev/null || :")"
        works on mctl terminate evil
        soon is_gone evil
        refused_start --link-journal=host
        on rm -r "/var/log/journal/$id"
        no_image evil
        canary_lives
}

refused_start() {
        try on mctl -q boot evil "$@"
        equal "The exit status" "$status" 1
        on systemctl reset-failed machine-evil.service
}

# CVE-2025-31133 with another trick: what hides kernel files is looked up below /run/host, where the image had a link
# lead something else. A file that cannot be hidden must stop the start.
test_cover_is_not_taken_away() {
        on_sh 'test -e /proc/keys' || skip "This kernel has no /proc/keys."
        try on mctl -q run --rm bb /bin/cat /proc/keys
        empty "What is seen by default" "$out"
        new_image evil
        on_sh "cd $store/evil && rmdir sys && mkdir -p run/host/inaccessible && ln -s /run/host/inaccessible sys"
        try on mctl -q run --rm evil /bin/cat /proc/keys
        empty "What is seen in the image that is in the way" "$out"
        on_sh "cd $store/evil && rm sys && mkdir sys && rmdir proc && ln -s /run/host/inaccessible proc"
        try on mctl -q run --rm evil /bin/cat /run/host/inaccessible/keys /proc/keys
        empty "What is seen in the image that is in the way" "$out"
        no_image evil
}

# The image changes while it is being started: what is mounted in one place must not be masked in another.
test_race_for_masks() {
        local i

        new_image evil
        on_sh "cd $store/evil
                for d in p1 p2; do
                        mkdir -p \$d/sys/net \$d/sys/kernel/random
                        : >\$d/sys/kernel/random/boot_id
                done
                rmdir proc && ln -s /p1 proc && ln -s /p2 other
                ./bin/attack swap proc other 120 >/dev/null 2>&1 & echo \$! >/run/swapper"
        # Without a user namespace, since only the mask keeps that root from writing.
        attack --private-users=no --profile=privileged -- open-write /proc/sys/kernel/core_pattern
        attack_works
        for ((i = 0; i < 60; i++)); do
                try on mctl -q run --rm --private-users=no evil /bin/busybox sh -c \
                        'for d in /proc /other /p1 /p2; do /bin/attack open-write $d/sys/kernel/core_pattern; done'
                lacks "What is writable at start $i" "$out" works
        done
        on_sh 'kill "$(cat /run/swapper)"' || fail "The other side of the race had given up."
        canary_lives
        no_image evil
}

# Nodes that lie in the image, or in what is bound: nobody inside could have made them, and nobody opens them.
test_device_nodes() {
        local options

        on_sh "mknod -m 666 $store/bb/etc/fuse c 10 229 && mknod -m 666 $store/bb/etc/loop b 7 0
                mkdir -p $store/.share && mknod -m 666 $store/.share/loop b 7 0"
        attack -p DeviceAllow=/dev/loop0 -- open /etc/loop
        attack_works
        for options in --profile=default --volatile=no --profile=strict --profile=nesting --private-users=identity \
                --private-users=no; do
                attack "$options" -- open /etc/loop
                attack_fails
                attack "$options" -v "$store/.share:/mnt:noidmap" -- open /mnt/loop
                attack_fails
                attack "$options" -- mknod b 7 0
                attack_fails
        done
        attack -- open /etc/fuse
        attack_fails
        on rm -rf "$store/bb/etc/fuse" "$store/bb/etc/loop" "$store/.share"
}

# c/storage CVE-2024-9676: the database of users is read by whoever starts the command.
test_hostile_passwd() {
        local how

        new_image evil
        for how in 'mkfifo passwd' 'truncate -s 3G passwd' 'ln -s /dev/zero passwd' 'ln -s /proc/1/environ passwd' \
                'ln -s passwd passwd' 'mkdir passwd' 'mknod passwd c 1 5' \
                'head -c 900000 /dev/zero | tr "\0" ":" >passwd' 'printf "user:x:4294967295:0:::\n" >passwd'; do
                on_sh "cd $store/evil/etc && rm -rf passwd && $how"
                try timeout 20 "$host_command" run "$host" --plain --timeout=10 -- mctl -q run --rm -u user evil /bin/id </dev/null
                equal "The exit status with '$how'" "$status" 125
                lines "stderr with '$how'" "$err" 1
        done
        # The host's own is not reached: this user is there, and not here.
        on_sh "cd $store/evil/etc && rm -rf passwd && ln -s ../../../../../etc/passwd passwd"
        equal "Whether the host has that user" "$(on id -un alice)" alice
        try on mctl -q run --rm -u alice evil /bin/id
        equal "The exit status" "$status" 125
        no_image evil
}

# systemd-nspawn CVE-2026-40226: a file that came with the image decides about the host.
test_nspawn_beside_image() {
        local key

        new_image evil
        on_sh "cat >$store/evil.nspawn" </dev/null
        put_file "$store/evil.nspawn" <<'END'
[Exec]
Environment=FROM_IMAGE=yes
PrivateUsers=no
Capability=all
User=root
Hostname=evil
SystemCallFilter=unshare
PivotRoot=/etc/escape:/mnt
BindUser=root
LimitNOFILE=7
[Files]
Bind=/etc/escape:/mnt
BindReadOnly=/etc/escape:/mnt
Overlay=/etc/escape:/etc/escape:/mnt
Volatile=no
[Network]
Private=no
NamespacePath=/proc/1/ns/net
[Resources]
ExecStartPre=/bin/touch /etc/escape/pre
DeviceAllow=/dev/loop0
[Service]
ExecStartPre=/bin/touch /etc/escape/pre
END
        try on mctl -q run --rm evil /bin/busybox sh -c \
                'echo "$FROM_IMAGE"; cat /mnt/secret; cat /proc/self/uid_map; hostname; ulimit -n; ls /sys/class/net'
        contains "What is seen" "$out" yes
        lacks "What is seen" "$out" "$secret"
        lacks "What is seen" "$out" evil$'\n'
        differ "The map of users" "$(grep -c '^ *0 *0 ' <<<"$out")" 1
        canary_lives
        # As the administrator's own it would all count.
        on_sh "mkdir -p /etc/systemd/nspawn
                printf '[Exec]\nEnvironment=FROM_IMAGE=yes\n[Files]\nBindReadOnly=/etc/escape:/mnt:noidmap\n' >/etc/systemd/nspawn/evil.nspawn"
        equal "What the administrator's file binds" "$(on mctl -q run --rm --name evil evil /bin/cat /mnt/secret)" "$secret"
        on rm /etc/systemd/nspawn/evil.nspawn
        # What an image may say must not be a way either.
        for key in WorkingDirectory=/proc/self/fd/3 WorkingDirectory=/proc/1/root WorkingDirectory=/proc/self/cwd \
                'Parameters=/proc/self/fd/3/../../bin/cat' 'Environment=LD_PRELOAD=/evil.so'; do
                on_sh 'printf "[Exec]\n%s\n" "$1" >/var/lib/machines/evil.nspawn' sh "$key"
                try on mctl -q run --rm evil /bin/busybox sh -c \
                        'for up in . .. ../.. ../../..; do cat $up/etc/escape/secret; done 2>/dev/null; :'
                lacks "What is seen with $key" "$out" "$secret"
        done
        no_image evil
}

run_tests
