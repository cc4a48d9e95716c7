#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Images: lists, changes, imports and exports.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
host_options=("--with=attr,acl,libcap2-bin,zstd,bzip2,xz-utils,python3")
store=/var/lib/machines

prepare_host() {
        # A tree with files of all types, and with times of all kinds.
        on_sh 'mkdir -p /root/tree/usr/lib /root/tree/etc "/root/tree/odd name" && cd /root/tree
                echo NAME=Odd >etc/os-release
                echo content >usr/file; ln usr/file usr/lib/same; ln -s ../file usr/lib/link; ln -s /etc/passwd etc/absolute
                truncate -s 64M usr/sparse; echo x | dd of=usr/sparse bs=1 seek=40000000 conv=notrunc status=none
                mkfifo usr/fifo; printf "\303\244 \n" >"odd name/$(printf "\303\244\ttab\nline\\\\")"
                touch "odd name/$(printf "latin1-\344")"
                echo s >usr/suid; chown 1000:1001 usr/suid; chmod 6755 usr/suid
                setfattr -n user.note -v "a note" usr/file; setfacl -m u:1234:rw,g:99:r usr/file
                setfacl -d -m u:1234:rx usr/lib; echo c >usr/capable; setcap cap_net_raw+ep usr/capable
                touch -d "2001-02-03 04:05:06.789" usr/file etc/os-release; touch -h -d "2002-03-04 05:06:07" usr/lib/link
                touch -d "1999-01-01" usr/lib "odd name"'
}

# describe DIR prints the properties of a tree. Hard links appear as equal numbers.
describe() {
        on_sh 'cd "$1"
                find . -printf "%P|%y|%m|%U:%G|%T@|%n|%l\n" | sort
                find . -type f -exec sha256sum {} + | sort -k2
                getfattr -R -h -d -m "user|security.capability" -e hex . 2>/dev/null | sort
                getfacl -R -n -p . 2>/dev/null | sort
                stat -c "%n %b" usr/sparse | awk "{ print (\$2 < 1000) }"' sh "$1"
}

same_tree() {
        diff <(echo "$1") <(echo "$2") || fail "The trees are not the same."
}

test_list() {
        works on mctl images
        matches stdout "$out" 'IMAGE +TYPE +READ-ONLY +OS +MACHINE +MODIFIED'
        matches stdout "$out" 'bb +directory +no +BusyBox'
        boot bb
        valid_json "$(on mctl images --json)" '[i for i in json if i["Name"] == "bb"][0]["Machine"] == "bb"'
        works on mctl show-image bb
        contains stdout "$out" "Machine=bb"
        contains stdout "$out" "Path=$store/bb"
        power_off bb
        refused 1 "There is no image 'nothere'" on mctl show-image nothere
        works on_user alice mctl images
}

test_changes() {
        works on mctl clone --copy bb one
        works on mctl rename one two
        works on mctl read-only two
        contains "The image" "$(on mctl show-image two)" "ReadOnly=yes"
        # A machine that runs from a read-only image is read-only as well.
        boot two
        ! inside two touch /etc/x 2>/dev/null || fail "It was written to."
        power_off two
        works on mctl read-only two no
        refused 2 "neither yes nor no" on mctl read-only two maybe
        refused 1 "something called 'two'" on mctl clone --copy bb two
        boot bb --name user
        refused 1 "runs from image" on mctl remove bb
        power_off user
        works on mctl clone --copy --read-only two three
        works on mctl remove two three
        refused 1 "No image 'two'" on mctl remove two
        refused 1 "can be called" on mctl clone --copy bb ../out
        refused 1 "can be called" on mctl clone --copy bb .#x
        equal "The store" "$(on ls "$store")" bb
        refused 1 "authentication" on_user alice mctl --no-ask-password clone bb hers
        rule 'action.id == "org.mctl.Registry1.manage-images" && action.lookup("verb") == "clone" && action.lookup("image") == "bb"'
        works on_user alice mctl clone --copy bb hers
        refused 1 "authentication" on_user alice mctl --no-ask-password remove hers
        no_rule
        works on mctl remove hers
}

# An export and an import give the same tree, also together with GNU tar.
test_round_trip() {
        local expected

        works on mctl import /root/tree first
        expected=$(describe /root/tree)
        same_tree "$expected" "$(describe "$store/first")"
        works on mctl export first /root/a.tar
        works on mctl import /root/a.tar second
        same_tree "$expected" "$(describe "$store/second")"
        on_sh 'mkdir /root/gnu && tar --xattrs --xattrs-include="*" --acls -S -xpf /root/a.tar -C /root/gnu'
        # A directory that has only a default access list also has a mask, which equals its mode (see pack.c).
        same_tree "$(grep -v '^mask::r-x$' <<<"$expected")" "$(describe /root/gnu | grep -v '^mask::r-x$')"
        on_sh 'tar --xattrs --xattrs-include="*" --acls -S --format=pax -cf /root/b.tar -C /root/tree .'
        works on mctl import /root/b.tar third
        same_tree "$expected" "$(describe "$store/third")"
        # An export always gives the same bytes. With $SOURCE_DATE_EPOCH, no file is newer than that.
        works on_sh 'cp -a "$1" /root/again && mctl import /root/again fourth && mctl export fourth - | cmp - /root/a.tar' sh "$store/first"
        works on_sh 'SOURCE_DATE_EPOCH=1000000000 mctl export first - | tar -tv --full-time -f - 2>/dev/null | awk "{ print \$4 }" | sort -u'
        matches "The latest" "$(tail -n 1 <<<"$out")" '^2001-09-09$'
        on_sh 'rm -r /root/again /root/gnu /root/[ab].tar'
        works on mctl remove first second third fourth
}

test_formats() {
        local suffix

        for suffix in tar tar.gz tar.xz tar.zst tar.bz2; do
                works on mctl export bb "/root/x.$suffix"
                works on mctl import "/root/x.$suffix"
                equal "The files" "$(on_sh 'cd "$1" && find . | sort' sh "$store/x")" "$(on_sh 'cd "$1" && find . | sort' sh "$store/bb")"
                works on mctl remove x
        done
        matches "The types" "$(on_sh 'for f in /root/x.*; do head -c 2 $f | od -An -tx1; done' | tr -d ' \n')" '^.{4}425a1f8bfd3728b5$'
        works on mctl export --format=zstd bb /root/x.odd
        works on_sh 'zstd -dc </root/x.odd | mctl import - x && mctl run --rm x true && mctl remove x'
        works on_sh 'mctl export bb - | mctl import - x && mctl remove x'
        works on_sh 'cat /root/x.tar.gz /root/x.tar.gz >/root/twice.tar.gz; gzip -t /root/twice.tar.gz; mctl import /root/twice.tar.gz x && mctl remove x'
        refused 1 "exists already" on mctl export bb /root/x.tar
        works on mctl export --force bb /root/x.tar
        refused 1 "A format is uncompressed" on mctl export --format=lzip bb /root/y
        on_sh 'rm /root/x.* /root/twice*'
}

# The default access list of a directory does not change the access lists of the files in an archive.
test_inherited_access() {
        on_sh 'mkdir -p /root/a/etc/d && touch /root/a/etc/d/f && mkdir /root/a/etc/d/sub && mkfifo /root/a/etc/d/p && chmod 660 /root/a/etc/d/f && setfacl -d -m u:1234:rwx /root/a/etc/d && tar --acls -cf /root/a.tar -C /root/a .'
        works on mctl import /root/a.tar aa
        same_tree "$(on_sh 'cd /root/a && find . | sort | getfacl -n -p -')" "$(on_sh 'cd "$1" && find . | sort | getfacl -n -p -' sh "$store/aa")"
        works on mctl remove aa
        on_sh 'rm -r /root/a /root/a.tar'
}

# Archives with a single directory, names of images, and names that exist already.
test_names() {
        on_sh 'mkdir -p /root/top/usr && echo x >/root/top/usr/x && tar -C /root -cf /root/flat-1.0.tar top'
        works on mctl import /root/flat-1.0.tar
        works on test -e "$store/flat-1.0/usr/x"
        refused 1 "something called 'flat-1.0'" on mctl import /root/flat-1.0.tar
        on_sh 'echo y >/root/top/usr/y'
        works on mctl import --force --read-only /root/top flat-1.0
        works on test -e "$store/flat-1.0/usr/y"
        contains "The image" "$(on mctl show-image flat-1.0)" "ReadOnly=yes"
        works on mctl import --force /root/flat-1.0.tar
        works on_sh '! test -e "$1/flat-1.0/usr/y"' sh "$store"
        boot bb
        refused 1 "runs from image 'bb'" on mctl import --force /root/flat-1.0.tar bb
        power_off bb
        refused 1 "can be called" on mctl import /root/flat-1.0.tar ../x
        refused 2 "needs a name" on mctl import -
        refused 1 "Cannot open" on mctl import /nothere.tar
        refused 1 "There is no image" on mctl export nothere /root/n.tar
        works on_sh '! test -e /root/n.tar'
        works on mctl remove flat-1.0
        # Files that are not images are not replaced. If usr is the only directory of an archive, the image is made of
        # the whole archive.
        on_sh 'ln -s bb "$1/link"; echo x >"$1/file"' sh "$store"
        refused 1 "is not replaced" on mctl import --force /root/flat-1.0.tar link
        refused 1 "is not replaced" on mctl import --force /root/flat-1.0.tar file
        on_sh 'rm "$1/link" "$1/file"; mkdir -p /root/u/usr/etc /root/u/usr/lib; tar -C /root/u -cf /root/u.tar usr' sh "$store"
        works on mctl import /root/u.tar
        works on test -e "$store/u/usr/etc"
        works on mctl remove u
        refused 1 "contains the store of images" on mctl import /var/lib everything
        refused 1 "can be called" on mctl import /root/flat-1.0.tar lost+found
        refused 1 "can be called" on mctl import /root/flat-1.0.tar x.nspawn
        # If a settings file of the new name exists already, it is kept.
        on_sh 'echo "[Exec]" >"$1/pre.nspawn"; echo "[Files]" >"$1/bb.nspawn"' sh "$store"
        works on mctl clone --copy bb pre
        equal "The file" "$(on cat "$store/pre.nspawn")" "[Exec]"
        works on mctl remove pre
        on_sh 'rm "$1/bb.nspawn"' sh "$store"
        # Images can be exported from a read-only store.
        on_sh 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"' sh "$store"
        works on mctl export bb /root/ro.tar
        on_sh 'umount "$1"; rm /root/ro.tar' sh "$store"
        on_sh 'rm -r /root/u /root/u.tar'
        on_sh 'rm -r /root/top /root/flat*'
}

# make_archive PYTHON makes the archive /root/h.tar. The Python code adds entries to the archive "t".
make_archive() {
        on python3 -c "import io, sys
sys.path.insert(0, '/root')
import tarfile
t = tarfile.open('/root/h.tar', 'w')
def add(name, type=tarfile.REGTYPE, link='', data=b'x', **more):
    i = tarfile.TarInfo(name)
    i.type, i.linkname, i.size = type, link, len(data) if type == tarfile.REGTYPE else 0
    for k, v in more.items():
        setattr(i, k, v)
    t.addfile(i, io.BytesIO(data) if type == tarfile.REGTYPE else None)
$1
t.close()"
}

test_hostile_archives() {
        on_sh 'echo safe >/root/victim; mkdir -p /root/out'
        make_archive "add('../../../root/victim', data=b'gotcha')"
        refused 1 "leaves the tree" on mctl import /root/h.tar h
        make_archive "add('/root/victim', data=b'gotcha'); add('usr/x')"
        works on mctl import /root/h.tar h
        works on mctl remove h
        make_archive "add('up', tarfile.SYMTYPE, '/root'); add('up/victim', data=b'gotcha'); add('deep', tarfile.SYMTYPE, '../../../../root/out'); add('deep/x')"
        try on mctl import /root/h.tar h
        equal "The exit status" "$status" 1
        equal "What is elsewhere" "$(on_sh 'ls /root/out; cat /root/victim')" safe
        make_archive "add('root', tarfile.DIRTYPE); add('up', tarfile.SYMTYPE, '/root'); add('up/victim', data=b'gotcha')"
        works on mctl import /root/h.tar h
        equal "What is elsewhere" "$(on_sh 'ls /root/out; cat /root/victim')" safe
        equal "What is inside" "$(on cat "$store/h/root/victim")" gotcha
        works on mctl remove h
        make_archive "add('hard', tarfile.LNKTYPE, '../../../root/victim')"
        refused 1 "is a hard link to a file outside of the tree" on mctl import /root/h.tar h
        make_archive "add('etc', tarfile.DIRTYPE); add('s', tarfile.SYMTYPE, '/root/victim'); add('hard', tarfile.LNKTYPE, 's'); add('hard', data=b'gotcha')"
        works on mctl import /root/h.tar h
        equal "What is elsewhere" "$(on cat /root/victim)" safe
        works on mctl remove h
        make_archive "add('dev/sda', tarfile.BLKTYPE, devmajor=8, devminor=0, mode=0o666); add('dev/mem', tarfile.CHRTYPE, devmajor=1, devminor=1); add('usr/x')"
        try on mctl import /root/h.tar h
        equal "The exit status" "$status" 0
        contains stderr "$err" "2 device nodes or sockets were left out"
        empty "Nodes" "$(on find "$store/h" -type b -o -type c)"
        works on mctl remove h
        make_archive "add('usr/x', pax_headers={'SCHILY.xattr.user.overlay.opaque': 'y', 'SCHILY.xattr.trusted.overlay.opaque': 'y', 'SCHILY.xattr.user.fine': 'y'})"
        works on mctl import /root/h.tar h
        matches "Attributes" "$(on getfattr -m - "$store/h/usr/x" 2>/dev/null | tr -d '\n')" '^[^ ]* ?file: [^ ]*user.fine$|user.fine'
        lacks "Attributes" "$(on getfattr -m - "$store/h/usr/x" 2>/dev/null)" overlay
        works on mctl remove h
        # A name that occurs twice, also with another type.
        make_archive "add('f', data=b'same'); add('./f', tarfile.LNKTYPE, 'f'); add('d', data=b'x'); add('d', tarfile.DIRTYPE); add('d/x'); add('l', tarfile.SYMTYPE, 'nowhere'); add('l', tarfile.DIRTYPE); add('l/x')"
        works on mctl import /root/h.tar h
        equal "The file" "$(on cat "$store/h/f")" same
        works on test -e "$store/h/d/x" -a -e "$store/h/l/x"
        works on mctl remove h
        # Many entries without data, and directories with long names.
        make_archive "[add('/'.join(['x' * 200] * 19) + '/%i' % i, tarfile.DIRTYPE) for i in range(20000)]"
        on_sh 'xz -0 -k -c /root/h.tar >/root/h.tar.xz'
        refused 1 "exceeds the limit of directories" on mctl import /root/h.tar.xz h
        # A name with control characters for a terminal.
        make_archive "add('../\\x1b[31mred', data=b'')"
        try on mctl import /root/h.tar h
        lacks stderr "$err" $'\033'
        # An archive that unpacks to a huge size, and archives that are truncated.
        on_sh 'mkdir -p /run/bomb/usr && truncate -s 1500M /run/bomb/usr/zero && tar -C /run/bomb -cf - . | gzip -9 >/root/bomb.tar.gz; rm -r /run/bomb'
        refused 1 "more than 200 times as large" on mctl import /root/bomb.tar.gz h
        on_sh 'mctl export bb /root/x.tar.gz; head -c 100000 /root/x.tar.gz >/root/short.tar.gz; head -c 100000 /dev/urandom >/root/random.tar; : >/root/empty.tar'
        refused 1 "damaged" on mctl import /root/short.tar.gz h
        refused 1 "no tar archive" on mctl import /root/random.tar h
        refused 1 "no tar archive" on mctl import /root/empty.tar h
        equal "The store" "$(on ls -A "$store" | tr '\n' ' ')" ".#mctl.lck .#mctl.reserve bb "
        on_sh 'rm -rf /root/victim /root/out /root/*.tar.gz /root/*.tar'
}

under_way() {
        [ "$(on mctl transfers --json)" != "[]" ]
}

none_under_way() {
        [ "$(on mctl transfers --json)" = "[]" ]
}

store_is_clean() {
        [ "$(on ls -A "$store" | tr '\n' ' ')" = ".#mctl.lck .#mctl.reserve bb " ]
}

# After a cancellation, a kill or a lack of space, the store is as before, and no incomplete image is left.
test_ends() {
        on_sh 'mkdir -p /root/big/usr && head -c 200M /dev/urandom >/root/big/usr/random && tar -C /root/big -cf /root/big.tar . && rm -r /root/big'
        on_sh 'rm -f /run/slow; mkfifo /run/slow; (head -c 50M /root/big.tar; sleep 60) >/run/slow & mctl import - slow </run/slow & echo $! >/run/pid'
        soon under_way
        contains "Transfers" "$(on mctl transfers)" import-tar
        refused 1 "is running already" on mctl import /root/big.tar slow
        on_sh 'kill -INT $(cat /run/pid)'
        soon none_under_way
        soon store_is_clean
        # Another mctl cancels the transfer by its number. The mctl that began it reports the cancellation.
        on_sh '(head -c 50M /root/big.tar; sleep 60) >/run/slow & mctl import - slow </run/slow 2>/run/error &'
        soon under_way
        works on mctl cancel "$(on mctl transfers --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["id"])')"
        soon none_under_way
        soon on_sh 'grep -q Cancelled /run/error'
        soon store_is_clean
        refused 1 "number 99" on mctl cancel 99
        # If the worker is killed, the next change removes its incomplete image.
        on_sh '(head -c 50M /root/big.tar; sleep 60) >/run/slow & mctl import - slow </run/slow 2>/run/error &'
        soon under_way
        on_sh 'systemctl kill -s KILL "mctl-work-*"'
        soon none_under_way
        soon on_sh 'grep -q "did not finish" /run/error'
        works on mctl clone --copy bb x
        works on mctl remove x
        works store_is_clean
        # If mctl or the registry is killed, an import from a file continues.
        on_sh 'mctl import --detach /root/big.tar go-on >/dev/null'
        on systemctl kill -s KILL mctl-registryd
        soon on test -e "$store/go-on/usr/random"
        equal "The content" "$(on_sh 'tar -xOf /root/big.tar ./usr/random | cmp - "$1"' sh "$store/go-on/usr/random")" ""
        works on mctl remove go-on
        # On a terminal, mctl shows the progress and the speed.
        matches "What is shown" "$(at_terminal 'mctl import /root/big.tar shown')" '%  [0-9.]+[KMG]/s  0:0[0-9] left'
        works on mctl remove shown
        # A copy of many files is stopped by SIGSTOP until it is cancelled.
        on_sh 'mkdir -p "$1/many/usr" && cd "$1/many/usr" && for i in $(seq 100); do mkdir "$i" && (cd "$i" && seq 300 | xargs touch); done' sh "$store"
        on_sh 'mctl clone --copy many copied 2>/run/error & echo $! >/run/pid; until systemctl list-units --no-legend "mctl-work-*" | grep -q .; do :; done; systemctl kill -s STOP "mctl-work-*"'
        soon under_way
        contains "Transfers" "$(on mctl transfers)" clone
        equal "Those that import1 has" "$(import1 ListTransfers)" "a(usssdo) 0"
        refused 1 "is running already" on mctl import /root/big.tar copied
        # When systemd stops a unit, it sends SIGCONT as well.
        on_sh 'kill -INT $(cat /run/pid)'
        soon none_under_way
        soon on_sh 'grep -q Cancelled /run/error'
        works on mctl clone --copy --detach many copied
        soon on test -e "$store/copied/usr/100/300"
        equal "The number of files" "$(on_sh 'find "$1/copied" | wc -l' sh "$store")" 30102
        works on mctl remove copied
        works on mctl remove many
        works store_is_clean
        # The file system has no space left.
        on_sh 'mkdir -p /run/small && mount -t tmpfs -o size=60M tmpfs /run/small && cp -a "$1/bb" /run/small/ && mount --bind /run/small "$1"' sh "$store"
        refused 1 "No space left" on mctl import /root/big.tar full
        works store_is_clean
        on_sh 'head -c 35M /dev/urandom >"$1/bb/fill"' sh "$store"
        refused 1 "Failed: 'fill': No space left" on mctl clone --copy bb full
        works store_is_clean
        on_sh 'umount "$1"; umount /run/small' sh "$store"
        on_sh 'mkdir -p /run/full && mount -t tmpfs -o size=1M tmpfs /run/full'
        refused 1 "No space left" on mctl export bb /run/full/x.tar
        empty "What is left" "$(on ls -A /run/full)"
        on_sh 'umount /run/full; rm /root/big.tar /run/slow'
}

# While an image is being exported, it cannot be changed.
test_locks() {
        on_sh 'rm -f /run/slow; mkfifo /run/slow; sleep 60 </run/slow & echo $! >/run/pid; mctl export bb - >/run/slow 2>/dev/null &'
        soon under_way
        works on mctl clone --copy bb other
        refused 1 "is in use" on mctl rename bb gone
        refused 1 "is running already" on mctl import --force /etc bb
        on_sh 'kill $(cat /run/pid)'
        soon none_under_way
        # A lock in the form of systemd-nspawn.
        on_sh 'python3 -c "import fcntl, struct, time
f = open(\"$1/.#other.lck\", \"w\")
fcntl.fcntl(f, 37, struct.pack(\"hhqqi\", fcntl.F_WRLCK, 0, 0, 0, 0))
open(\"/run/locked\", \"w\")
time.sleep(60)" & echo $! >/run/pid; soon test -e /run/locked' sh "$store"
        refused 1 "is in use" on mctl remove other
        refused 1 "is in use" on mctl clone --copy other another
        on_sh 'kill $(cat /run/pid); rm /run/locked'
        works on mctl remove other
        works store_is_clean
        on rm /run/slow
}

# An import is killed at many points. Each time, the image is the complete old image or the complete new image.
test_kills() {
        local i

        on_sh 'mkdir -p /root/new/usr && for i in $(seq 300); do echo new >/root/new/usr/$i; done && tar -C /root/new -cf /root/new.tar .'
        works on mctl clone --copy bb old
        for i in $(seq 12); do
                on_sh 'mctl import --force --detach /root/new.tar old >/dev/null; sleep 0.0$1; systemctl kill -s KILL "mctl-work-*" 2>/dev/null || :
                        n=$(ls "$2/old/usr" | wc -l)
                        if [ -e "$2/old/bin/busybox" ]; then ! [ -e "$2/old/usr/1" ]; else [ "$n" = 300 ]; fi' sh "$((i * 4 % 10))$i" "$store"
                soon none_under_way
        done
        works on mctl remove old
        works store_is_clean
        on_sh 'rm -r /root/new /root/new.tar'
}

# Disks can be imported, exported and changed like other images.
test_disks() {
        local suffix

        on_sh 'cd /root && truncate -s 64M d.raw && for at in 0 3000000 50000000; do head -c 70000 /dev/urandom | dd of=d.raw bs=1 seek=$at conv=notrunc status=none; done'
        works on mctl import /root/d.raw
        equal "The disk" "$(on_sh 'cmp /root/d.raw $1/d.raw && stat -c %a $1/d.raw && [ $(stat -c %b $1/d.raw) -lt 2000 ] && echo sparse' sh $store | tr '\n' ' ')" "600 sparse "
        contains "The list" "$(on mctl images)" raw
        valid_json "$(on mctl show-image d --json)" 'json[0]["Type"] == "raw" and json[0]["Path"] == "/var/lib/machines/d.raw" and 200000 < json[0]["Size"] < 1000000'
        contains "What machinectl knows" "$(on busctl call org.freedesktop.machine1 /org/freedesktop/machine1 org.freedesktop.machine1.Manager ListImages)" '"d" "raw" false'
        refused 1 "already" on mctl import /root/d.raw
        refused 1 "already" on mctl clone bb d
        works on mctl clone d e
        equal "The copy" "$(on_sh 'cmp /root/d.raw $1/e.raw && echo same' sh $store)" same
        works on mctl read-only e
        equal "The mode" "$(on stat -c %a $store/e.raw)" 400
        works on mctl clone e f
        works on mctl clone --read-only e g
        equal "The modes" "$(on stat -c %a $store/f.raw $store/g.raw | tr '\n' ' ')" "600 400 "
        works on mctl rename g h
        refused 1 "no image 'g'" on mctl show-image g
        refused 1 "is a disk" on mctl set-limit h 1G
        for suffix in raw raw.gz raw.xz raw.zst raw.bz2 img; do
                works on mctl export d "/root/x.$suffix"
                works on mctl import "/root/x.$suffix"
                equal "The disk of .$suffix" "$(on_sh 'cmp /root/d.raw $1/x.raw && [ $(stat -c %b $1/x.raw) -lt 2000 ] && echo same' sh $store)" same
                works on mctl remove x
                on rm "/root/x.$suffix"
        done
        works on_sh 'mctl export d - | mctl import --type=raw - x && cmp /root/d.raw /var/lib/machines/x.raw'
        # A disk replaces a directory of the same name, and a directory replaces a disk.
        works on mctl import --force --read-only /root/d.raw x
        works on_sh 'mctl export bb - | mctl import --force - x && mctl run --rm x true'
        on test ! -e $store/x.raw
        works on mctl import --force /root/d.raw x
        on test ! -e $store/x
        works on mctl remove d e f h x
        works store_is_clean
        on_sh 'printf "QFI\373xxxxxxxx" >/root/q.qcow2; : >/root/empty.raw; head -c 3000 /dev/urandom >/root/b.raw; gzip </root/b.raw | head -c 2000 >/root/b.raw.gz'
        refused 1 "qemu-img" on mctl import /root/q.qcow2
        refused 1 "the file is empty" on mctl import /root/empty.raw
        refused 1 "damaged" on mctl import /root/b.raw.gz
        refused 1 "no tar archive" on mctl import --type=tar /root/b.raw
        refused 1 "disks and directories" on mctl import --type=floppy /root/b.raw
        refused 1 "can be called" on mctl import /root/b.raw x.raw
        refused 1 "can be called" on mctl clone bb x.raw
        works store_is_clean
        # A small compressed file cannot make a huge disk.
        on_sh 'head -c 1200M /dev/zero | tr "\0" x | gzip >/root/bomb.raw.gz'
        refused 1 "200 times as large" on mctl import /root/bomb.raw.gz
        works store_is_clean
        on_sh 'cd /root && rm -- *.raw *.raw.gz *.qcow2'
}

test_progress() {
        works at_terminal 'head -c 30M /dev/urandom >/run/r; tar -C /run -cf /root/p.tar r; mctl import /root/p.tar p; echo "status $?"'
        contains "What was shown" "$out" "status 0"
        works on mctl remove p
        on rm /root/p.tar
}

test_cp_archive() {
        boot bb
        inside_sh bb 'mkdir -p /tmp/d && echo one >/tmp/d/one && chown 5:6 /tmp/d/one'
        works on_sh 'mctl cp bb:/tmp/d - | tar -tv --numeric-owner -f -'
        matches stdout "$out" '5/6 .* d/one'
        works on_sh 'mkdir -p /root/in/sub && echo two >/root/in/sub/two && chown 7:8 /root/in/sub/two && tar -C /root/in -cz . | mctl cp - bb:/tmp/d'
        equal "The file" "$(inside bb stat -c '%u:%g' /tmp/d/sub/two)" 7:8
        equal "The other" "$(inside bb cat /tmp/d/one)" one
        refused 1 "no tar archive" on_sh 'echo no | mctl cp - bb:/tmp/d'
        refused 1 "Cannot open" on_sh 'tar -C /root/in -c . | mctl cp - bb:/nothere'
        refused 1 "Cannot open" on_sh 'mctl cp bb:/nothere - | cat; exit ${PIPESTATUS:-1}'
        # Only root can read the staging directory of an archive, which is removed afterwards. A copy of a huge file is
        # cancelled when mctl ends.
        works on_sh 'mkdir -p /root/in/bin && cp /bin/true /root/in/bin/suid && chmod 4755 /root/in/bin/suid /root/in && tar -C /root/in -cf /root/in.tar .
                rm -f /run/slow; mkfifo /run/slow; (head -c 5000 /root/in.tar; sleep 10) >/run/slow & mctl cp - bb:/tmp/d </run/slow 2>/dev/null &
                soon sh -c "ls -d /var/tmp/systemd-private-*mctl-work*/tmp/tree"
                cd /var/tmp && stat -c "mode %a:%u" systemd-private-*mctl-work*; ls -d systemd-private-*mctl-work*/tmp/tree; systemctl kill -s KILL "mctl-work-*"; wait $! || :; rm /root/in.tar'
        contains "The directory on the way" "$out" "mode 700:0"
        contains "What is in it" "$out" /tmp/tree
        inside_sh bb 'truncate -s 4398046511104 /tmp/d/hole'
        on_sh 'timeout -s INT 2 mctl cp bb:/tmp/d - >/dev/null || :'
        soon on_sh '! systemctl is-active -q "mctl-work-*"'
        inside bb rm /tmp/d/hole
        soon on_sh '! ls -A /var/tmp /tmp | grep mctl'
        works on mctl clone --copy bb shown
        works on mctl mount-image --mkdir --read-only bb shown /mnt/shown
        works inside bb test -e /mnt/shown/bin/busybox
        works on mctl unbind bb /mnt/shown
        refused 2 "not a valid name of an image" on mctl mount-image bb ../x /mnt
        power_off bb
        works on mctl remove shown
        on rm -r /root/in
}

# Clients of org.freedesktop.import1 on a host without systemd-importd.
import1() {
        on busctl --system call org.freedesktop.import1 /org/freedesktop/import1 org.freedesktop.import1.Manager "$@"
}

test_import1() {
        on_sh 'mctl export --force bb /root/x.tar'
        equal "ListTransfers" "$(import1 ListTransfers)" "a(usssdo) 0"
        refused 1 "A URL begins" import1 PullTar sssb ftp://localhost/x.tar x no false
        refused 1 "number 7" import1 CancelTransfer u 7
        on rm /root/x.tar
}

# hang_image mounts a FUSE file system whose server does not read requests: a process that opens the image waits until
# the server ends.
hang_image() {
        on_sh 'mkdir "$1/hung"; systemd-run -q --unit=their-store sh -c "
                        exec 3<>/dev/fuse
                        mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0,allow_other hung \$1/hung
                        exec sleep infinity" sh "$1"
                soon grep " $1/hung " /proc/self/mountinfo' sh "$store"
}

# end_hung_image ends the server, also after a failed test. Then the processes that waited continue and end.
end_hung_image() {
        on systemctl stop their-store
        soon on_sh '! systemctl list-units --plain --no-legend --all "their-call-*" "mctl-work-*" | grep .'
        on_sh 'umount "$1/hung" && rmdir "$1/hung"' sh "$store"
}

calls=0

# ask_meanwhile MEMBER COMMAND... runs the command in a unit of its own, and returns when the registry has received the
# call of the method MEMBER.
ask_meanwhile() {
        local member=$1
        shift

        calls=$((calls + 1))
        on systemd-run -q --unit=their-monitor-$calls dbus-monitor --system "type=method_call,member=$member"
        soon monitor_saw NameLost
        on systemd-run -q --collect --unit=their-call-$calls "$@"
        soon monitor_saw "^method call .*member=$member\$"
        on systemctl stop their-monitor-$calls
}

monitor_saw() {
        on journalctl --no-pager -q -o cat -u their-monitor-$calls | grep -q "$1"
}

# others_go_on: calls that do not read the image that hangs still work.
others_go_on() {
        works on timeout -k 1 $((10 * slow)) mctl list
        works on timeout -k 1 $((10 * slow)) busctl call org.freedesktop.machine1 /org/freedesktop/machine1 \
                org.freedesktop.machine1.Manager ListMachines
}

test_hung_store() {
        trap end_hung_image EXIT
        boot bb --name early --volatile=overlay
        hang_image
        ask_meanwhile ListImages mctl images
        others_go_on
        ask_meanwhile ListImages busctl call org.freedesktop.machine1 /org/freedesktop/machine1 org.freedesktop.machine1.Manager ListImages
        others_go_on
        ask_meanwhile ListImages mctl show-image bb
        others_go_on
        works on timeout -k 1 $((30 * slow)) mctl boot bb
        contains "The list" "$(on timeout -k 1 $((10 * slow)) mctl list)" early
        works on timeout -k 1 $((10 * slow)) mctl exec early true
        works on timeout -k 1 $((30 * slow)) mctl poweroff early bb

        trap - EXIT
        end_hung_image
        works on mctl images
        contains stdout "$out" bb
}

# A file system can be mounted without a source. Then bind mounts of its directories have no source either.
test_mount_without_source() {
        on_sh 'mkdir "$1/nameless" && mount -t tmpfs "" "$1/nameless" && mkdir "$1/nameless/shown" && cp -a "$1/bb/." "$1/nameless/shown" &&
                mkdir -p /run/seen "$1/shown" && mount --bind "$1/nameless/shown" "$1/shown" && mount --bind "$1/shown" /run/seen' sh "$store"
        refused 1 "is mounted on" on mctl remove shown
        refused 1 "is mounted on" on mctl rename shown other
        on_sh 'umount /run/seen "$1/shown" "$1/nameless" && rmdir "$1/shown" "$1/nameless"' sh "$store"
        works on mctl images
}

# A call that reads the image that hangs blocks no other calls.
test_hung_image() {
        local manager=(org.freedesktop.machine1 /org/freedesktop/machine1 org.freedesktop.machine1.Manager)

        trap end_hung_image EXIT
        boot bb
        hang_image
        ask_meanwhile GetImage busctl call "${manager[@]}" GetImage s hung
        others_go_on
        ask_meanwhile GetImageOSRelease busctl call "${manager[@]}" GetImageOSRelease s hung
        others_go_on
        ask_meanwhile GetAll busctl call org.freedesktop.machine1 /org/freedesktop/machine1/image/hung \
                org.freedesktop.DBus.Properties GetAll s org.freedesktop.machine1.Image
        others_go_on
        ask_meanwhile StartMachine mctl boot hung
        others_go_on
        ask_meanwhile RenameImage mctl rename hung other
        others_go_on
        ask_meanwhile RemoveImage mctl remove hung
        others_go_on
        works on timeout -k 1 $((30 * slow)) mctl poweroff bb

        trap - EXIT
        end_hung_image
        on_sh 'mctl terminate hung 2>/dev/null || :; systemctl reset-failed'
        works on mctl list
}

# Mounts in a tree are not a part of the image. Before they are unmounted, no command changes the image.
test_mounts_inside() {
        local verb before

        works on mctl clone --copy bb inner
        on_sh 'mkdir -p "$1/inner/mnt/here" && mount -t tmpfs "" "$1/inner/mnt/here" && echo precious >"$1/inner/mnt/here/file"' sh $store
        before=$(on_sh 'find "$1/inner" | sort | sha256sum' sh $store)
        for verb in "remove inner" "clone inner other" "clone --copy inner other" "snapshot inner" "export inner /root/inner.tar" "commit inner other" "prune --all"; do
                # shellcheck disable=SC2086
                try on mctl $verb
                [ "$verb" = "prune --all" ] || equal "The exit status of $verb" "$status" 1
                [ "$verb" = "prune --all" ] || contains "What $verb says" "$err" "'$store/inner/mnt/here' is a mount in the tree of image 'inner': unmount it first."
                equal "What is there after $verb" "$(on_sh 'find "$1/inner" | sort | sha256sum' sh $store)" "$before"
        done
        equal "The file" "$(on cat $store/inner/mnt/here/file)" precious
        on umount $store/inner/mnt/here
        works on mctl remove inner
        on rm -f /root/inner.tar
        empty "What is left" "$(on_sh 'ls -A "$1" | grep -i inner || :' sh $store)"
}

# File flags that prevent removal are lifted when the image is removed.
test_immutable_files() {
        works on mctl clone --copy bb inner
        on_sh 'cd "$1/inner" && mkdir -p a/b && touch a/file a/b/append && chattr +i a/file a && chattr +a a/b/append a/b' sh $store
        works on mctl remove inner
        empty "What is said" "$out$err"
        empty "What is left" "$(on_sh 'ls -A "$1" | grep -v "^[.]#mctl[.]\|^lost+found$\|^bb$" || :' sh $store)"
}

run_tests
