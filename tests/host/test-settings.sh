#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The effect of each setting inside the machine, and the sources of settings.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

want_debian=yes
# A tmpfs on /var/log/journal supports the binds of LinkJournal=host.
host_options=(--tmpfs=/var/log/journal)

# This directory is on a file system that supports id-mapped mounts.
dir=/tmp/settings

status_field() {
        local name=$1
        shift

        works run "$@" sed -n "s/^$name:[[:space:]]*//p" /proc/self/status
        status_field=$out
}

make_dir() {
        on_sh 'rm -rf "$1"; mkdir -p "$1"' sh "$dir"
}

remove_dir() {
        on rm -rf "$dir"
}

machine_file() {
        put_file "/etc/mctl/$1"
}

forget() {
        on systemctl reset-failed 'machine-*' 'container@*' 2>/dev/null || :
        on_sh 'rm -rf /etc/mctl/*.machine /etc/mctl/*.machine.d /run/mctl/config /usr/lib/mctl/*.machine /usr/lib/mctl/*.machine.d
                rm -f /etc/systemd/nspawn/* /var/lib/machines/bb.nspawn'
}

# --- [Exec] ----------------------------------------------------------------------------------------------------------

# Changes on disk are kept when the machine reboots, and removed when it ends. The image does not change.
test_ephemeral() {
        local before

        before=$(on_sh 'cd /var/lib/machines/debian && find . -printf "%P %T@ %U\n" | sort | sha256sum')
        boot debian --ephemeral --name e1
        boot debian -x --name e2
        works on mctl exec e1 sh -c 'echo mine >/etc/mine; rm /etc/debian_version; echo x >/var/lib/x'
        refused 1 "cat: /etc/mine" on mctl exec e2 cat /etc/mine
        works on test -e /var/lib/machines/.#mctl.changes/machine-e1.service/upper/etc/mine
        equal "The mode" "$(on stat -c %a:%u /var/lib/machines/.#mctl.changes/machine-e1.service)" 700:0
        on_sh 'mctl exec e1 systemctl reboot 2>&1 || true' >/dev/null # its answer may be lost
        soon restarted e1 0
        works on mctl wait e1
        equal "The file" "$(on mctl exec e1 cat /etc/mine)" mine
        works on mctl terminate e2
        soon is_gone e2
        works on_sh '! test -e /var/lib/machines/.#mctl.changes/machine-e2.service'
        power_off e1
        empty "What is left" "$(on ls -A /var/lib/machines/.#mctl.changes)"
        equal "The image" "$(on_sh 'cd /var/lib/machines/debian && find . -printf "%P %T@ %U\n" | sort | sha256sum')" "$before"
        # A machine does not start with changes that a crash of the host has left.
        on_sh 'mkdir -p /var/lib/machines/.#mctl.changes/machine-e1.service/upper/etc; echo old >/var/lib/machines/.#mctl.changes/machine-e1.service/upper/etc/mine'
        boot debian --ephemeral=disk --name e1
        refused 1 "cat: /etc/mine" on mctl exec e1 cat /etc/mine
        power_off e1
        works on_sh 'mkdir -p /var/lib/machines/.#mctl.changes/x && systemd-tmpfiles --boot --remove mctl.conf && ! test -e /var/lib/machines/.#mctl.changes'
        boot debian --ephemeral=ram --name e1
        works on_sh '! test -e /var/lib/machines/.#mctl.changes'
        power_off e1
        refused 2 "takes disk or ram" on mctl boot --ephemeral=x debian
        # Ephemeral changes of a command, and by a machine file.
        says "two" --rm -x bb sh -c 'echo two >/f; cat /f'
        empty "What is left" "$(on ls -A /var/lib/machines/.#mctl.changes)"
        on_sh 'printf "[Image]\nImage=bb\n[Files]\nVolatile=disk\n" >/etc/mctl/filed.machine'
        works on mctl start filed
        works on mctl exec filed touch /touched
        works on test -e /var/lib/machines/.#mctl.changes/container@filed.service/upper/touched
        works on mctl stop filed
        empty "What is left" "$(on ls -A /var/lib/machines/.#mctl.changes)"
        on rm /etc/mctl/filed.machine
}

test_private_users() {
        works run bb cat /proc/self/uid_map
        matches "The map" "$out" '^ +0 +[1-9][0-9]+ +65536$'
        works run --private-users=yes bb cat /proc/self/uid_map
        matches "The map" "$out" '^ +0 +[1-9][0-9]+ +65536$'
        works run --private-users=identity bb cat /proc/self/uid_map /proc/self/gid_map
        matches "The map" "$out" $'^ +0 +0 +65536\n +0 +0 +65536$'
        works run --private-users=no bb cat /proc/self/uid_map
        matches "The map" "$out" '^ +0 +0 +4294967295$'
        works run --private-users=1048576:1000 bb cat /proc/self/uid_map
        matches "The map" "$out" '^ +0 +1048576 +1000$'
        says 0:0 --private-users=1048576:1000 bb stat -c %u:%g /etc/passwd
        not_run "PrivateUsers" --private-users=4294967290:1000 bb true
        not_run "PrivateUsers" --private-users=some bb true
}

# The init reports when the machine is up, for each kind of root.
test_identity_notifies() {
        local users

        for users in identity no; do
                boot bb --private-users=$users
                equal "What is there with $users" "$(inside bb stat -c "%F %a" /run/host/notify)" "socket 600"
                contains "The environment" "$(on_sh 'tr "\0" "\n" </proc/$1/environ' sh "$(leader_of bb)")" NOTIFY_SOCKET=/run/host/notify
                power_off bb
        done
}

test_profiles() {
        local status_field profile

        for profile in default nesting strict; do
                status_field Seccomp --profile=$profile bb
                equal "Seccomp in $profile" "$status_field" 2
        done
        try run --profile=privileged bb sed -n 's/^\(Seccomp\|CapBnd\):[[:space:]]*//p' /proc/self/status
        equal "Seccomp in privileged" "$(sed -n 2p <<<"$out")" 0
        equal "CAP_BPF in privileged" $(((16#$(sed -n 1p <<<"$out") >> 39) & 1)) 1
        contains stderr "$err" "Profile=privileged"
        status_field NoNewPrivs bb
        equal NoNewPrivs "$status_field" 0

        says 0 bb sh -c 'head -c 1 /proc/kcore 2>/dev/null | wc -c'
        ends 1 bb sh -c 'echo 1 2>/dev/null >/proc/sys/kernel/ostype || exit 1'
        not_run "Profile" --profile=some bb true
        not_run "Profile=privileged" --profile=privileged --system-call-filter=~mkdir bb true
}

# errno_of PROFILE CALL sets $errno to the error number of a system call, or to 0 if the call succeeds. CALL is the
# number and the arguments of the call.
errno_of() {
        works run --profile="$1" debian -- perl -e '$! = 0; syscall('"$2"') >= 0 ? print 0 : print $!+0'
        errno=$out
}

test_profiles_and_system_calls() {
        local errno profile

        [ "$(uname -m)" = x86_64 ] || skip "The numbers are those of x86_64."
        errno_of default "250, 0, -3, 0" # keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING)
        equal "keyctl in default" "$errno" 1
        errno_of nesting "250, 0, -3, 0"
        equal "keyctl in nesting" "$errno" 0
        errno_of strict "250, 0, -3, 0"
        equal "keyctl in strict" "$errno" 1
        for profile in default nesting strict; do
                errno_of $profile "425, 1, 0" # io_uring_setup
                equal "io_uring_setup in $profile" "$errno" 1
        done
        errno_of default "101, 16, 1, 0, 0" # ptrace(PTRACE_ATTACH, 1), which we are
        equal "ptrace in default" "$errno" 1
        errno_of default "246, 0, 0, 0, 0" # kexec_load
        equal "kexec_load" "$errno" 1
        errno_of default "9999"
        equal "What is no system call" "$errno" 38
}

test_nesting() {
        says "1" --profile=nesting debian -- unshare -Urpf --mount-proc sh -c 'echo $$'
        says "/proc/1 /proc/2" --profile=nesting debian -- unshare -Urpf --mount-proc sh -c 'echo $(ls -d /proc/[12]); true'
        ends 1 debian -- unshare -Ur true
        contains stderr "$err" "not permitted"
        if on test -e /dev/fuse; then
                says ok --profile=nesting bb sh -c 'exec 3<>/dev/fuse && echo ok'
        fi
        # The mounts that make nesting possible cannot be opened or unmounted.
        says "" --profile=nesting bb ls /run/host/nesting
        ends 1 --profile=nesting bb umount /run/host/nesting
}

bounding() {
        local status_field

        status_field CapBnd "$@"
        bounding=$((16#$status_field))
}

has_capability() {
        equal "Capability $1" $(((bounding >> $1) & 1)) "$2"
}

test_capabilities() {
        local bounding status_field

        bounding bb
        has_capability 21 0 # sys_admin
        has_capability 13 1 # net_raw
        bounding --capability='CAP_SYS_TIME CAP_NET_ADMIN' --drop-capability=CAP_NET_RAW bb
        has_capability 25 1
        has_capability 12 1
        has_capability 13 0
        bounding --drop-capability=all bb
        equal "The bounding set" "$bounding" 0

        printf '[Image]\nImage=bb\n[Exec]\nCapability=CAP_SYS_TIME CAP_SYS_PACCT\nDropCapability=CAP_SYS_TIME\n' |
                machine_file caps.machine
        bounding --name caps bb
        has_capability 25 0
        has_capability 20 1
        forget

        status_field CapEff -u user bb
        equal "What another user has" "$status_field" 0000000000000000
        for name in CapInh CapPrm CapEff CapAmb; do
                status_field $name -u user --ambient-capability=CAP_NET_BIND_SERVICE bb
                equal "$name of another user" "$status_field" 0000000000000400
        done
        bounding -u user --ambient-capability=CAP_SYS_TIME bb
        has_capability 25 1
        not_run "CAP_NONSENSE" --capability=CAP_NONSENSE bb true
}

test_no_new_privileges() {
        local status_field

        status_field NoNewPrivs --no-new-privileges bb
        equal NoNewPrivs "$status_field" 1
        refused 1 "NoNewPrivileges" on mctl boot bb --no-new-privileges
}

seccomp_cache() {
        on_sh 'find /var/cache/mctl/seccomp -type f -printf "%f %T@ %m\n" 2>/dev/null || :'
}

test_system_call_filter() {
        local cache

        on rm -rf /var/cache/mctl/seccomp
        says "" bb true
        empty "What was compiled for a shipped profile" "$(seccomp_cache)"
        ends 1 --system-call-filter='~mkdir ~mkdirat' bb mkdir /x
        contains stderr "$err" "Operation not permitted"
        cache=$(seccomp_cache)
        lines "the cache" "$cache" 1
        matches "The cache" "$cache" ' 600$'
        ends 1 --system-call-filter=~mkdir --system-call-filter=~mkdirat bb mkdir /x
        equal "The cache" "$(seccomp_cache)" "$cache"
        # A later word overrides earlier words.
        says "" --system-call-filter='~@file-system @file-system' bb mkdir /x
        says "" --system-call-filter='~mkdir mkdir' bb mkdir /x
        # If a filter in the cache is damaged or missing, it is compiled again.
        on_sh 'for f in /var/cache/mctl/seccomp/*; do : >"$f"; done'
        ends 1 --system-call-filter='~mkdir ~mkdirat' bb mkdir /x
        on rm -rf /var/cache/mctl/seccomp
        not_run "@nosuch" --system-call-filter=@nosuch bb true
        not_run "nosuchcall" --system-call-filter='mkdir nosuchcall' bb true
}

test_personality() {
        says x86_64 --personality=x86-64 bb uname -m
        says i686 --personality=x86 bb uname -m
        not_run "Personality" --personality=z80 bb true
}

test_sysctl() {
        says $'1\n4242' --sysctl=net.ipv4.ip_forward=1 --sysctl=kernel.msgmax=4242 bb \
                cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax
        says "1024 2048" --sysctl='net.ipv4.ip_local_port_range=1024 2048' bb sh -c 'echo $(cat /proc/sys/net/ipv4/ip_local_port_range)'
        not_run "Sysctl" --sysctl=kernel.panic=1 bb true
        not_run "Sysctl" --sysctl='net.ipv4.ip_forward=1;2' bb true
        not_run "Sysctl" --sysctl=net/../kernel/panic=1 bb true
        not_run "Sysctl" --sysctl=vm.swappiness=1 bb true
        not_run "net/nosuch" --sysctl=net.nosuch=1 bb true
}

test_limits() {
        printf '%s\n' '[Image]' 'Image=bb' '[Exec]' 'LimitNOFILE=100:200' 'LimitCORE=0' 'LimitFSIZE=1M' |
                machine_file lim.machine
        says "100 200 0 2048" --name lim bb sh -c 'echo $(ulimit -Sn) $(ulimit -Hn) $(ulimit -c) $(ulimit -f)'
        forget
        refused 125 "LimitNOFILE" run --name lim -p LimitNOFILE=some bb true
}

test_oom_and_affinity() {
        local status_field

        says 500 --oom-score-adjust=500 bb cat /proc/self/oom_score_adj
        status_field Cpus_allowed_list --cpu-affinity=0 bb
        equal "The processors" "$status_field" 0
        not_run "OOMScoreAdjust" --oom-score-adjust=2000 bb true
        not_run "CPUAffinity" --cpu-affinity=a bb true
}

# --- what comes from the host ----------------------------------------------------------------------------------------

test_resolv_conf() {
        local mode

        echo "nameserver 192.0.2.1" | put_file /etc/resolv.conf
        for mode in copy-host replace-host bind-host; do
                says "nameserver 192.0.2.1" --resolv-conf=$mode bb cat /etc/resolv.conf
        done
        ends 1 --resolv-conf=bind-host bb sh -c 'echo x 2>/dev/null >/etc/resolv.conf || exit 1'
        says "" --resolv-conf=copy-host bb sh -c 'echo x >/etc/resolv.conf'
        for mode in off auto delete; do
                ends 1 --resolv-conf=$mode bb test -e /etc/resolv.conf
        done
        says "nameserver 192.0.2.1" --private-network=no bb cat /etc/resolv.conf

        # The image has a resolv.conf.
        echo "nameserver 192.0.2.99" | put_file /var/lib/machines/bb/etc/resolv.conf
        says "nameserver 192.0.2.99" --resolv-conf=copy-host bb cat /etc/resolv.conf
        says "nameserver 192.0.2.99" --resolv-conf=off bb cat /etc/resolv.conf
        says "nameserver 192.0.2.1" --resolv-conf=replace-host bb cat /etc/resolv.conf
        says "nameserver 192.0.2.1" --resolv-conf=bind-host bb cat /etc/resolv.conf
        ends 1 --resolv-conf=delete bb test -e /etc/resolv.conf
        equal "That of the image" "$(on cat /var/lib/machines/bb/etc/resolv.conf)" "nameserver 192.0.2.99"

        # If resolv.conf of the image is a symbolic link, the file of the host must not be written.
        on ln -sf ../../../../../../etc/resolv.conf /var/lib/machines/bb/etc/resolv.conf
        try run --resolv-conf=replace-host bb true
        equal "That of the host" "$(on cat /etc/resolv.conf)" "nameserver 192.0.2.1"
        on rm -f /var/lib/machines/bb/etc/resolv.conf

        # If the host lacks the file, nothing is done.
        on rm /etc/resolv.conf
        for mode in copy-host replace-host bind-host bind-stub; do
                ends 1 --resolv-conf=$mode bb test -e /etc/resolv.conf
        done
        not_run "ResolvConf" --resolv-conf=some bb true
}

test_timezone() {
        local mode sum

        on rm -f /var/lib/machines/bb/etc/localtime
        sum=$(on_sh 'sha256sum </etc/localtime')
        for mode in auto copy bind; do
                equal "The sum of localtime, $mode" "$(run --timezone=$mode bb sh -c 'sha256sum </etc/localtime')" "$sum"
        done
        says "$(on readlink /etc/localtime)" --timezone=symlink bb readlink /etc/localtime
        ends 1 --timezone=off bb test -e /etc/localtime
        ends 1 --timezone=delete bb test -e /etc/localtime
        ends 1 --timezone=bind bb sh -c 'echo x 2>/dev/null >/etc/localtime || exit 1'
        try on test -e /var/lib/machines/bb/etc/localtime
        equal "Whether the image has one now" "$status" 1

        echo image | put_file /var/lib/machines/bb/etc/localtime
        says image bb cat /etc/localtime
        says image --timezone=off bb cat /etc/localtime
        equal "The sum of localtime" "$(run --timezone=copy bb sh -c 'sha256sum </etc/localtime')" "$sum"
        on rm /var/lib/machines/bb/etc/localtime
}

journal_link() {
        on_sh 'find /var/log/journal -maxdepth 1 -type l -printf "%l\n"'
}

has_no_journal_link() {
        [ -z "$(journal_link)" ]
}

test_link_journal() {
        on mkdir -p /var/log/journal
        boot debian --name linked --link-journal=guest
        matches "The link" "$(journal_link)" '^/var/lib/machines/debian/var/log/journal/[0-9a-f]{32}$'
        inside linked /usr/bin/logger "a word for the journal"
        inside linked /usr/bin/journalctl --sync || :
        contains "The merged journal" "$(on journalctl -m --no-pager -o cat -n 200)" "a word for the journal"
        power_off linked
        soon has_no_journal_link

        boot debian --name linked --link-journal=no
        empty "The link" "$(journal_link)"
        power_off linked

        boot debian --name linked --ephemeral
        empty "The link of what goes with the machine" "$(journal_link)"
        power_off linked

        boot debian --name linked --link-journal=host
        inside linked /usr/bin/logger "another word"
        inside linked /usr/bin/journalctl --sync || :
        empty "The link" "$(journal_link)"
        contains "The journal in the directory of the host" "$(on journalctl -m --no-pager -o cat -n 200)" "another word"
        power_off linked
        on_sh 'id=$(cat /var/lib/machines/debian/etc/machine-id); rm -rf "/var/log/journal/$id"'
}

test_credentials() {
        make_dir
        echo secret | put_file $dir/secret
        says $'secret\nvalue: of it' --load-credential=one:$dir/secret --set-credential='two:value: of it' bb \
                sh -c 'cat $CREDENTIALS_DIRECTORY/one; echo "$(cat $CREDENTIALS_DIRECTORY/two)"'
        says $'/run/host/credentials\n700 400 0:0' --load-credential=one:$dir/secret bb \
                sh -c 'echo $CREDENTIALS_DIRECTORY; cd /run/host/credentials; echo $(stat -c %a .) $(stat -c "%a %u:%g" one)'
        # The command can read the credential as any user, and cannot change it.
        says secret --load-credential=one:$dir/secret -u user bb cat /run/host/credentials/one
        ends 1 --load-credential=one:$dir/secret bb sh -c 'echo x 2>/dev/null >/run/host/credentials/one || exit 1'
        ends 1 bb test -e /run/host/credentials
        not_run "$dir/nothing" --load-credential=one:$dir/nothing bb true
        not_run "LoadCredential" --load-credential=../one:/etc/passwd bb true
        not_run "SetCredential" --set-credential=one bb true
        remove_dir

        boot debian --name cred --set-credential=mine:value
        works inside cred /usr/bin/systemd-run --quiet --wait --pipe -p LoadCredential=mine /bin/sh -c 'cat $CREDENTIALS_DIRECTORY/mine'
        equal "What a service inside gets" "$out" value
        power_off cred
}

# --- [Files] ---------------------------------------------------------------------------------------------------------

test_volatile() {
        local list='cd /var/lib/machines/debian && find . -xdev -printf "%P %U:%G %m %s\n" | sort | sha256sum' before

        before=$(on_sh "$list")
        says "usr/bin 0" --volatile=yes debian -- sh -c 'echo $(readlink /bin) $(ls -A /etc | wc -l)'
        ends 1 --volatile=yes debian -- touch /usr/x
        says "" --volatile=yes debian -- touch /etc/x /x /var/x
        says "0 debian" --volatile=state debian -- sh -c '. /etc/os-release; echo $(ls -A /var | wc -l) $ID'
        ends 1 --volatile=state debian -- touch /x
        says "" --volatile=state debian -- touch /var/x
        says "" --volatile=overlay debian -- touch /x /etc/x /usr/x /var/x
        equal "The image" "$(on_sh "$list")" "$before"
        not_run "ReadOnly" --read-only --volatile=state bb true
}

# Volatile=state does not add a time zone to an image that has none.
test_volatile_state_leaves_the_image() {
        on rm -f /var/lib/machines/bb/etc/localtime
        says "" --volatile=state bb true
        try on test -e /var/lib/machines/bb/etc/localtime
        on rm -f /var/lib/machines/bb/etc/localtime
        equal "Whether the image has a timezone now" "$status" 1
}

test_read_only() {
        ends 1 --read-only bb touch /root/x
        ends 1 --read-only bb touch /etc/x
        says "" --read-only bb touch /tmp/x /run/x /dev/shm/x
        make_dir
        says "" --read-only --bind=$dir:/mnt bb touch /mnt/x
        on test -e $dir/x
        remove_dir
        on rm -rf /var/lib/machines/bb/mnt
}

# binds OPTION DIR ROOT USER NEW: DIR, ROOT and USER are the owners inside of the directory, of a file of root and of a
# file of user 1000. NEW is the owner on the host of a file that is made inside.
binds() {
        says "$2 $3 $4" --private-users=1048576 --bind=$dir:/mnt:"$1" bb \
                sh -c 'echo $(stat -c %u /mnt /mnt/root /mnt/user); touch /mnt/new'
        equal "The owner of a new file, $1" "$(on stat -c %u $dir/new)" "$5"
        on rm $dir/new
}

test_bind_id_maps() {
        make_dir
        on_sh 'cd "$1"; touch root user; chown 1000:1000 . user; chmod 777 .' sh $dir
        binds idmap 1000 0 1000 0
        binds owneridmap 0 65534 0 1000
        binds noidmap 65534 65534 65534 1048576
        on chown 0:0 $dir
        binds rootidmap 0 0 65534 0
        binds rbind,idmap 0 0 1000 0
        # Root inside cannot change the owner of files of nobody.
        ends 1 --private-users=1048576 --bind=$dir:/mnt:rootidmap bb chown 0 /mnt/user
        remove_dir
}

test_bind() {
        make_dir
        on_sh 'cd "$1"; mkdir sub; echo text >file; echo odd >a:b' sh $dir
        says text --bind=$dir:/mnt bb cat /mnt/file
        says text --bind=$dir bb cat $dir/file
        says text --bind-ro=$dir bb cat $dir/file
        says odd --bind=$dir'/a\:b:/mnt/file' bb cat /mnt/file
        ends 1 --bind-ro=$dir:/mnt bb touch /mnt/x
        # Mounts below a read-only bind are read-only as well. With norbind, they do not appear.
        on mount -t tmpfs sub $dir/sub
        on touch $dir/sub/x
        ends 1 --bind-ro=$dir:/mnt bb touch /mnt/sub/y
        says x --bind=$dir:/mnt:rbind bb ls /mnt/sub
        says "" --bind=$dir:/mnt:norbind bb ls /mnt/sub
        on umount $dir/sub
        says "" --bind=:/mnt bb touch /mnt/x
        says passwd --bind=+/etc:/mnt bb sh -c 'ls /mnt | grep passwd'
        not_run "/nowhere" --bind=/nowhere:/mnt bb true
        says "" --bind=-/nowhere:/mnt bb true
        not_run "Bind" --bind=relative:/mnt bb true
        not_run "Bind" --bind=$dir:/mnt:sometimes bb true
        not_run "Bind" --bind=$dir:/mnt/../etc bb true
        remove_dir
}

# Mounts are made in the order of their targets, and not in that of the options.
test_mounts_in_order() {
        make_dir
        on_sh 'echo text >"$1/file"' sh $dir
        says text --bind=$dir:/mnt/below --tmpfs=/mnt bb cat /mnt/below/file
        says text --tmpfs=/mnt --bind-ro=$dir:/mnt/below bb cat /mnt/below/file
        remove_dir
}

# If a file system does not support id-mapped mounts, the error names the option noidmap.
test_bind_without_id_map() {
        not_run "noidmap" --bind=/proc/sys:/mnt bb true
        says 65534 --bind-ro=/proc/sys:/mnt:noidmap bb stat -c %u /mnt
}

test_temporary_file_system() {
        says "1024 700" --tmpfs=/mnt:size=1m,mode=700 bb sh -c 'echo $(df -k /mnt | awk "END { print \$2 }") $(stat -c %a /mnt)'
        says "0:0" --tmpfs=/mnt bb stat -c %u:%g /mnt
        says "0" --tmpfs=/etc bb sh -c 'ls /etc | wc -l'
        try run --tmpfs=/mnt:nonsense=1 bb true
        equal "The exit status" "$status" 125
        not_run "TemporaryFileSystem" --tmpfs=/ bb true
}

test_overlay() {
        make_dir
        on_sh 'cd "$1"; mkdir low1 low2 up; echo 1 >low1/f; echo 1 >low1/one; echo 2 >low2/f; chown 1000:1000 low1/one' sh $dir
        says "2 1 1000:1000" --overlay=$dir/low1:$dir/low2:$dir/up:/mnt bb sh -c 'echo $(cat /mnt/f /mnt/one) $(stat -c %u:%g /mnt/one)'
        says "" --overlay=$dir/low1:$dir/low2:$dir/up:/mnt bb \
                sh -c 'echo new >/mnt/new; echo more >>/mnt/one; mkdir /mnt/dir; chown 1000:1000 /mnt/dir; rm /mnt/f'
        equal "What is in the upper one" "$(on cat $dir/up/new $dir/up/one)" $'new\n1\nmore'
        equal "Its owners" "$(on stat -c %u:%g $dir/up/new $dir/up/one $dir/up/dir)" $'0:0\n1000:1000\n1000:1000'
        equal "The lower ones" "$(on cat $dir/low1/one $dir/low2/f)" $'1\n2'
        says "new" --overlay=$dir/low1:$dir/up:/mnt bb cat /mnt/new
        says "new" --overlay-ro=$dir/low1:$dir/up:/mnt bb cat /mnt/new
        ends 1 --overlay-ro=$dir/low1:$dir/up:/mnt bb touch /mnt/x
        not_run "/mnt" --overlay=$dir/nothing:$dir/up:/mnt bb true
        remove_dir
}

test_inaccessible() {
        says $'0\n0' --inaccessible=/root --inaccessible=/etc/hosts --inaccessible=/nothing bb stat -c %a /root /etc/hosts
        says 0 --inaccessible=/etc/hosts bb sh -c 'cat /etc/hosts 2>/dev/null | wc -c'
        ends 1 --inaccessible=/root -u user bb ls /root
        ends 1 --inaccessible=/root bb umount /root
}

test_device() {
        says "0:0" --device=/dev/fuse bb sh -c 'exec 3<>/dev/fuse && stat -c %u:%g /dev/fuse'
        says 4 --device=/dev/zero:/dev/some:r bb sh -c 'head -c 4 /dev/some | wc -c'
        not_run "Device" --device=/dev/zero:/etc/zero bb true
        not_run "/dev/nothing" --device=/dev/nothing bb true
        not_run "Device" --device=/etc/passwd bb true
}

test_cdi() {
        make_dir
        on mkdir -p /etc/cdi
        echo text | put_file $dir/library
        cat <<-END | put_file /etc/cdi/some.json
                { "cdiVersion": "0.6.0", "kind": "example.com/thing",
                  "containerEdits": { "env": [ "ALL=yes" ] },
                  "devices": [ { "name": "one", "containerEdits": {
                    "env": [ "THING=one" ],
                    "deviceNodes": [ { "path": "/dev/thing", "hostPath": "/dev/fuse" } ],
                    "mounts": [ { "hostPath": "$dir", "containerPath": "/thing", "options": [ "ro" ] } ] } } ] }
END
        says "yes one text" --device=example.com/thing=one bb sh -c 'exec 3<>/dev/thing && echo $ALL $THING $(cat /thing/library)'
        ends 1 --device=example.com/thing=one bb touch /thing/x
        not_run "example.com/thing=two" --device=example.com/thing=two bb true
        echo '{ broken' | put_file /etc/cdi/some.json
        try run --device=example.com/thing=one bb true
        equal "The exit status" "$status" 125
        on rm -r /etc/cdi
        remove_dir
}

# --- [Network] -------------------------------------------------------------------------------------------------------

test_network() {
        says lo bb ls /sys/class/net
        says "00 80" bb sh -ec 'grep -q "^ *lo" /proc/net/dev; ip addr show lo | grep -q 127.0.0.1; echo 00 80'
        differ "The network" "$(run bb readlink /proc/self/ns/net)" "$(on readlink /proc/self/ns/net)"
        says "$(on readlink /proc/self/ns/net)" --private-network=no bb readlink /proc/self/ns/net
        says "$(on readlink /proc/self/ns/net)" --private-network=no --private-users=no bb readlink /proc/self/ns/net
        not_run "Private" --private-network=no --network-interface=lo bb true
}

test_namespace_path() {
        on ip netns add web
        on_sh 'ip -n web link add in-web type veth peer name of-web'
        contains "The interfaces" "$(run --network-namespace-path=/run/netns/web bb ls /sys/class/net)" lo
        contains "The interfaces" "$(run --network-namespace-path=/run/netns/web bb cat /proc/net/dev)" in-web
        on ip netns del web
        not_run "/run/netns/web" --network-namespace-path=/run/netns/web bb true
        on_sh ': >/tmp/no-netns'
        not_run "/tmp/no-netns" --network-namespace-path=/tmp/no-netns bb true
        on rm /tmp/no-netns
}

has_no_interface() {
        local links

        links=$(on ip -o link show) && [[ $links != *": $1:"* ]] && [[ $links != *": $1@"* ]]
}

test_interface() {
        on ip link add moved type veth peer name stays
        works run -d --name mover --network-interface=moved:eth7 bb sleep 100
        equal "The interfaces inside" "$(inside_sh mover 'echo $(ls /sys/class/net)')" "eth7 lo"
        has_no_interface moved || fail "The interface is still on the host"
        on ip link show stays >/dev/null
        works on mctl terminate mover
        soon is_gone mover
        soon has_no_interface stays

        on ip link add moved type veth peer name stays
        says "lo moved" --network-interface=moved bb sh -c 'echo $(ls /sys/class/net)'
        soon has_no_interface stays
        not_run "nothing0" --network-interface=nothing0 bb true
        not_run "Interface" --network-interface=much-too-long-a-name bb true
}

# --- where settings come from ----------------------------------------------------------------------------------------

says_where() {
        says "$1" --name web "${@:2}" bb sh -c 'echo $WHERE'
}

# The sources of settings, from the lowest to the highest priority.
test_precedence() {
        on mkdir -p /etc/mctl/web.machine.d /run/mctl/config/web.machine.d /usr/lib/mctl /etc/systemd/nspawn
        says_where ""
        printf '[Exec]\nEnvironment=WHERE=image\n' | put_file /var/lib/machines/bb.nspawn
        says_where image
        printf '[Exec]\nEnvironment=WHERE=vendor\n' | put_file /usr/lib/mctl/_default.machine
        says_where vendor
        printf '[Exec]\nEnvironment=WHERE=default\n' | machine_file _default.machine
        says_where default
        printf '[Exec]\nEnvironment=WHERE=nspawn\n' | put_file /etc/systemd/nspawn/web.nspawn
        says_where nspawn
        printf '[Exec]\nEnvironment=WHERE=run\n' | put_file /run/mctl/config/web.machine
        says_where run
        printf '[Exec]\nEnvironment=WHERE=etc\n' | machine_file web.machine
        says_where etc
        printf '[Exec]\nEnvironment=WHERE=run-drop-in\n' | put_file /run/mctl/config/web.machine.d/90-last.conf
        says_where run-drop-in
        printf '[Exec]\nEnvironment=WHERE=20\n' | machine_file web.machine.d/20-some.conf
        printf '[Exec]\nEnvironment=WHERE=10\n' | machine_file web.machine.d/10-some.conf
        printf '[Exec]\nEnvironment=WHERE=99\n' | machine_file web.machine.d/99-some.txt
        says_where 20
        says_where option -e WHERE=option
        says_where option --setenv=WHERE=option
        forget
}

# Files are merged key by key. Lists add up, and an empty assignment resets a list.
test_merge() {
        on mkdir -p /etc/mctl/web.machine.d
        make_dir
        printf '%s\n' '[Exec]' 'Hostname=from-default' 'Environment=A=default' "[Files]" "Bind=$dir:/one" |
                machine_file _default.machine
        printf '%s\n' '[Exec]' 'Environment=B=file' "[Files]" "Bind=$dir:/two" | machine_file web.machine
        says "from-default default file /one /two" --name web bb sh -c 'echo $(hostname) $A $B $(ls -d /one /two)'
        printf '%s\n' '[Exec]' 'Environment=' 'Environment=C=drop-in' "[Files]" "Bind=" | machine_file web.machine.d/a.conf
        says "from-default drop-in" --name web bb sh -c 'echo $(hostname) $A $B $C $(ls -d /one /two 2>/dev/null)'
        remove_dir
        forget
}

# A setting has the same effect in the template, in 'mctl boot' with a file, and as an option.
test_doors() {
        printf '%s\n' '[Image]' 'Image=bb' '[Exec]' 'Hostname=one-name' 'OOMScoreAdjust=300' '[Files]' 'TemporaryFileSystem=/mnt:size=1m' |
                machine_file web.machine
        works on mctl start web
        equal "The host name of the template" "$(inside web hostname)" one-name
        equal "The OOM score of the template" "$(on cat "/proc/$(leader_of web)/oom_score_adj")" 300
        contains "The mounts of the template" "$(inside web cat /proc/mounts)" "/mnt tmpfs"
        power_off web
        boot bb --name web
        equal "The host name of mctl boot" "$(inside web hostname)" one-name
        equal "The OOM score of mctl boot" "$(on cat "/proc/$(leader_of web)/oom_score_adj")" 300
        power_off web
        forget
        boot bb --name web --hostname=one-name --oom-score-adjust=300 --tmpfs=/mnt:size=1m
        equal "The host name of the options" "$(inside web hostname)" one-name
        equal "The OOM score of the options" "$(on cat "/proc/$(leader_of web)/oom_score_adj")" 300
        contains "The mounts of the options" "$(inside web cat /proc/mounts)" "/mnt tmpfs"
        power_off web
        on_sh 'rmdir /var/lib/machines/bb/mnt || :' 2>/dev/null
}

test_specifiers() {
        printf '%s\n' '[Image]' 'Image=bb' '[Exec]' 'Environment=A=%i %n %H %v %a %% %m' 'Hostname=on-%H' |
                machine_file web.machine
        says "web web $(on hostname) $(on uname -r) $(on uname -m) % $(on cat /etc/machine-id) on-$(on hostname)" \
                --name web bb sh -c 'echo $A $(hostname)'
        printf '%s\n' '[Image]' 'Image=bb' '[Exec]' 'Environment=A=%z' | machine_file web.machine
        refused 125 "/etc/mctl/web.machine:4: Unknown specifier" run --name web bb true
        forget
}

test_nspawn_file() {
        on mkdir -p /etc/systemd/nspawn
        make_dir
        printf '%s\n' '[Exec]' 'Boot=on' 'Environment=A=100%' 'Hostname=nspawned' 'PrivateUsers=1048576' 'LinkJournal=no' \
                '[Files]' "Bind=$dir:/mnt" 'PrivateUsersOwnership=auto' '[Network]' 'VirtualEthernet=yes' 'Zone=some' 'Port=tcp:80' |
                put_file /etc/systemd/nspawn/bb.nspawn
        works on systemctl start container@bb.service
        equal "The host name" "$(inside bb hostname)" nspawned
        contains "The environment" "$(on_sh 'tr "\0" "\n" </proc/$1/environ' sh "$(leader_of bb)")" "A=100%"
        matches "The map" "$(on cat "/proc/$(leader_of bb)/uid_map")" '^ +0 +1048576 +65536$'
        works inside bb touch /mnt/x
        equal "The owner of a new file" "$(on stat -c %u $dir/x)" 0
        for key in PrivateUsersOwnership VirtualEthernet Zone Port; do
                soon unit_log_has "$key= is not supported and was left out"
        done
        power_off bb
        remove_dir
        on_sh 'rmdir /var/lib/machines/bb/mnt || :'
        forget
}

unit_log_has() {
        on journalctl --no-pager -o cat -u container@bb.service | grep -F -- "$1" >/dev/null
}

# A file that came with an image cannot give the machine access to the host.
test_file_of_the_image() {
        make_dir
        printf '%s\n' '[Exec]' 'Parameters=sh -c "echo $A; pwd"' 'Environment=A=image' 'WorkingDirectory=/usr' 'PrivateUsers=no' \
                'Capability=all' 'Profile=privileged' '[Files]' "Bind=$dir:/mnt" '[Network]' 'Private=no' |
                put_file /var/lib/machines/bb.nspawn
        try run bb
        equal "The exit status" "$status" 0
        equal stdout "$out" $'image\n/usr'
        try run bb sh -c 'cat /proc/self/uid_map; sed -n "s/^Seccomp:.//p" /proc/self/status; readlink /proc/self/ns/net; ls -d /mnt'
        matches "The map" "$(sed -n 1p <<<"$out")" '^ +0 +[1-9][0-9]+ +65536$'
        equal Seccomp "$(sed -n 2p <<<"$out")" 2
        differ "The network" "$(sed -n 3p <<<"$out")" "$(on readlink /proc/self/ns/net)"
        lacks stdout "$out" /mnt
        for key in PrivateUsers Capability Profile Bind Private; do
                contains stderr "$err" "$key= came with the image, which may not say that; it was left out."
        done
        forget
        remove_dir
}

run_tests
