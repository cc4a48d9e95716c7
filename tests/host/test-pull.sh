#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Images from servers: downloads, verification, broken connections and resumed downloads.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
host_options=("--with=python3,openssl,minisign,zstd")
store=/var/lib/machines
trust=/etc/mctl/trust.d

prepare_host() {
        "$host_command" put "$host" "$test_dir/server.py" /root/server.py
        on_sh 'ip link set lo up; mkdir -p /srv/www /etc/mctl/trust.d /root/keys && cd /root/keys
                openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout ca.key -out ca.pem -subj "/CN=test authority" 2>/dev/null
                openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj "/CN=localhost" 2>/dev/null
                echo "subjectAltName=DNS:localhost,IP:127.0.0.1" >ext
                openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile ext -out server.pem 2>/dev/null
                cp ca.pem /usr/local/share/ca-certificates/test.crt && update-ca-certificates >/dev/null 2>&1
                mctl export bb /srv/www/bb.tar.gz && truncate -s 3M /srv/www/disk.raw && echo disk | dd of=/srv/www/disk.raw bs=1M seek=1 conv=notrunc status=none
                zstd -q /srv/www/disk.raw && cd /srv/www && sha256sum -- *.* >SHA256SUMS
                systemd-run -q --unit=server python3 /root/server.py /srv/www 8443 /root/keys/server.pem /root/keys/server.key
                systemd-run -q --unit=plain python3 /root/server.py /srv/www 8080'
        soon on bash -c 'echo >/dev/tcp/127.0.0.1/8443 && echo >/dev/tcp/127.0.0.1/8080'
}

https=https://localhost:8443 http=http://localhost:8080

store_is_clean() {
        on_sh '! ls -A /var/lib/machines | grep "^[.]#" | grep -v "^[.]#mctl[.]lck$\|^[.]#mctl[.]reserve$"' || fail "Something is left in the store"
}

absent() {
        on test ! -e "$store/$1" -a ! -e "$store/$1.raw" || fail "Image '$1' is there"
}

test_checksum() {
        works on mctl pull-tar --verify=checksum $https/bb.tar.gz new
        equal "The files" "$(on_sh 'cd $1/new && find . | sort' sh $store)" "$(on_sh 'cd $1/bb && find . | sort' sh $store)"
        works on mctl run --rm new true
        refused 1 "something called 'new' already" on mctl pull-tar --verify=checksum $https/bb.tar.gz new
        works on mctl pull-tar --verify=checksum --force --read-only "$https/bb.tar.gz?x=/y#z" new
        contains "The image" "$(on mctl show-image new)" ReadOnly=yes
        works on mctl remove new
        works on mctl pull-raw --verify=checksum $https/disk.raw.zst
        equal "The disk" "$(on_sh 'cmp /srv/www/disk.raw $1/disk.raw && stat -c %a $1/disk.raw' sh $store)" 600
        contains "The image" "$(on mctl show-image disk)" Type=raw
        works on mctl remove disk
        # Archives with one byte more, one byte less, and one different byte.
        on_sh 'cd /srv/www && for f in more less other; do cp bb.tar.gz $f.tar.gz; done
                echo >>more.tar.gz; truncate -s -1 less.tar.gz; printf X | dd of=other.tar.gz bs=1 seek=4 conv=notrunc status=none
                for f in more less other; do echo "$(sha256sum <bb.tar.gz | cut -c 1-64)  $f.tar.gz"; done >>SHA256SUMS'
        refused 1 "expected was" on mctl pull-tar --verify=checksum $https/more.tar.gz
        matches "What is said" "$err" "[0-9]+ bytes have [0-9a-f]{64}"
        refused 1 "expected was" on mctl pull-tar --verify=checksum $https/less.tar.gz
        refused 1 "expected was" on mctl pull-tar --verify=checksum $https/other.tar.gz
        for f in more less other; do absent $f; done
        on_sh 'echo x >/srv/www/unknown.tar'
        refused 1 "has no checksum of 'unknown.tar'" on mctl pull-tar --verify=checksum $https/unknown.tar
        refused 1 "no tar archive" on mctl pull-tar --verify=no $https/unknown.tar
        refused 1 "404" on mctl pull-tar --verify=no $https/nothere.tar
        refused 1 "http protects neither" on mctl pull-tar --verify=checksum $http/bb.tar.gz
        works on mctl pull-tar --verify=no $http/bb.tar.gz plain
        works on mctl remove plain
        store_is_clean
}

test_sources() {
        refused 1 "No file in" on mctl pull-tar $https/bb.tar.gz x
        refused 2 "is no URL" on mctl pull-tar /srv/www/bb.tar.gz
        refused 1 "begins with https" on mctl pull-tar --verify=no ftp://localhost/x.tar
        refused 1 "signature, checksum or no" on mctl pull-tar --verify=maybe $https/bb.tar.gz x
        refused 1 "no spaces" on mctl pull-tar --verify=no "$https/b b" x
        refused 1 "can be called" on mctl pull-tar --verify=no $https/bb.tar.gz ../x
        # The name and the certificate of the server are verified, and a redirect from https to http is refused.
        refused 1 "SSL" on mctl pull-tar --verify=no https://127.0.0.2:8443/bb.tar.gz x
        refused 1 "Cannot fetch" on mctl pull-tar --verify=no "$https/redirect?to=$http/bb.tar.gz" x
        refused 1 "Cannot fetch" on mctl pull-tar --verify=no "$https/redirect?to=file:///srv/www/bb.tar.gz" x
        works on mctl pull-tar --verify=no "$https/redirect?to=$https/bb.tar.gz" x
        works on mctl remove x
        works on mctl pull-tar --verify=checksum file:///srv/www/bb.tar.gz x
        works on mctl remove x
        refused 1 "No such file" on mctl pull-tar --verify=no file:///srv/www/nothere.tar x
        rule 'action.id == "org.mctl.Registry1.manage-images"'
        refused 1 "Only root" on_user alice mctl pull-tar --verify=no file:///srv/www/bb.tar.gz x
        works on_user alice mctl pull-tar --verify=no $https/bb.tar.gz x
        no_rule
        works on mctl remove x
        absent x
        # The proxy comes from the environment of mctl.
        refused 1 "Cannot fetch" on env https_proxy=http://127.0.0.1:9 mctl pull-tar --verify=no $https/bb.tar.gz x
        works on env https_proxy=http://127.0.0.1:9 no_proxy=localhost mctl pull-tar --verify=no $https/bb.tar.gz x
        works on mctl remove x
        # The process that talks to the server runs as user nobody.
        works on_sh 'mctl pull-tar --verify=no "$1/slow?file=bb.tar.gz" x & soon pgrep -u nobody mctl-transfer; ps -o user= -C mctl-transfer | sort | tr "\n" " "; wait' sh $https
        equal "Whose the processes are" "$out" "nobody root "
        works on mctl remove x
        store_is_clean
}

# An image that 'mctl export --sign' has signed can be pulled.
test_signed_export() {
        local kind

        for kind in ed25519 "rsa -pkeyopt rsa_keygen_bits:2048" "ec -pkeyopt ec_paramgen_curve:P-256"; do
                on_sh "rm -rf /srv/www/out /root/sign; mkdir -p /srv/www/out /root/sign /etc/mctl/trust.d && cd /root/sign && openssl genpkey -quiet -algorithm $kind -out key 2>/dev/null &&
                        openssl pkey -in key -pubout -out /etc/mctl/trust.d/out.pub && printf 'Source=%s/out/\nKey=out.pub\n' $https >/etc/mctl/trust.d/out.trust"
                works on mctl export -q --sign=/root/sign/key bb /srv/www/out/bb.tar.gz
                works on_sh 'cd /srv/www/out && mctl export -q --sign=/root/sign/key bb other.tar'
                equal "The files" "$(on_sh 'cd /srv/www/out && cut -c 67- SHA256SUMS | tr "\n" " " && sha256sum -c --quiet SHA256SUMS')" "bb.tar.gz other.tar "
                works on mctl pull-tar -q $https/out/bb.tar.gz x
                works on mctl remove x
        done
        # A second export replaces the line in SHA256SUMS.
        works on mctl export -q --force --sign=/root/sign/key bb /srv/www/out/other.tar
        equal "The lines" "$(on_sh 'wc -l </srv/www/out/SHA256SUMS')" 2
        works on mctl pull-tar -q $https/out/other.tar x
        works on mctl remove x
        # If the signature does not cover a line of SHA256SUMS, the file is not signed again.
        on_sh 'echo "$(printf %064d 0)  evil.tar" >>/srv/www/out/SHA256SUMS'
        refused 1 "this key has not signed it; the file is not changed" on mctl export -q --force --sign=/root/sign/key bb /srv/www/out/other.tar
        equal "The lines" "$(on_sh 'wc -l </srv/www/out/SHA256SUMS')" 3
        on_sh 'rm /srv/www/out/*'
        refused 1 "written beside the file" on mctl export -q --sign=/root/sign/key bb - </dev/null
        refused 1 "Cannot read the key" on mctl export -q --sign=/root/sign/nothere bb /srv/www/out/a.tar
        refused 1 "has no readable private key" on mctl export -q --sign=/etc/mctl/trust.d/out.pub bb /srv/www/out/a.tar
        refused 1 "with such a name" on mctl export -q --sign=/root/sign/key bb "/srv/www/out/a"$'\n'"b"
        # If there is no terminal for the pass phrase, the command fails at once.
        on_sh 'openssl genpkey -algorithm ed25519 -aes256 -pass pass:secret -out /root/sign/locked 2>/dev/null'
        try on_sh 'timeout 20 setsid mctl export -q --sign=/root/sign/locked bb /srv/www/out/a.tar </dev/null'
        equal "The exit status" "$status" 1
        contains "What is said" "$err" "has no readable private key in PEM"
        on_sh 'openssl genpkey -algorithm X25519 -out /root/sign/x25519 2>/dev/null'
        refused 1 "This key cannot sign" on mctl export -q --sign=/root/sign/x25519 bb /srv/www/out/a.tar
        refused 1 "no image 'nothere'" on mctl export -q --sign=/root/sign/key nothere /srv/www/out/a.tar
        empty "What there is" "$(on_sh 'ls -A /srv/www/out')"
        on_sh 'rm -r /srv/www/out /root/sign /etc/mctl/trust.d/out.*'
}

sign() {
        on_sh "cd /srv/www && rm -f SHA256SUMS.*; $1"
}

trusts() {
        # shellcheck disable=SC2016
        on_sh 'file=$1; shift; printf "%s\n" "$@" >"$file"' sh "$trust/${file:-test}.trust" "$@"
}

test_signatures() {
        local kind

        on_sh 'cd /srv/www && sha256sum bb.tar.gz disk.raw.zst >SHA256SUMS; cd /root/keys
                openssl genpkey -algorithm ed25519 -out ed.key 2>/dev/null && openssl pkey -in ed.key -pubout -out ed.pub
                openssl genrsa -out rsa.key 2048 2>/dev/null && openssl pkey -in rsa.key -pubout -out rsa.pub
                openssl ecparam -genkey -name prime256v1 -noout -out ec.key && openssl pkey -in ec.key -pubout -out ec.pub
                openssl req -x509 -key rsa.key -days 30 -out signer.pem -subj "/CN=signer" 2>/dev/null
                minisign -G -W -f -p mini.pub -s mini.key >/dev/null 2>&1 || printf "\n\n" | minisign -G -f -p mini.pub -s mini.key >/dev/null
                cp -- *.pub *.pem /etc/mctl/trust.d'
        trusts "# a comment" "Source=https://localhost:8443/" "Key=ed.pub"
        sign ':'
        refused 1 "not signed in a way" on mctl pull-tar $https/bb.tar.gz x
        sign 'openssl pkeyutl -sign -rawin -inkey /root/keys/ed.key -in SHA256SUMS -out SHA256SUMS.sig'
        works on mctl pull-tar $https/bb.tar.gz x
        works on mctl remove x
        trusts "Source=https://localhost:8443/" "Key=rsa.pub"
        refused 1 "by none of the keys" on mctl pull-tar $https/bb.tar.gz x
        for kind in rsa ec; do
                trusts "Source=https://localhost:8443/" "Key=ed.pub" "Key=$kind.pub"
                sign "openssl dgst -sha256 -sign /root/keys/$kind.key -out SHA256SUMS.sig SHA256SUMS"
                works on mctl pull-tar $https/bb.tar.gz x
                works on mctl remove x
        done
        trusts "Source=https://localhost:8443/" "Key=signer.pem"
        refused 1 "not signed in a way" on mctl pull-tar $https/bb.tar.gz x
        sign 'openssl cms -sign -binary -outform DER -signer /root/keys/signer.pem -inkey /root/keys/rsa.key -in SHA256SUMS -out SHA256SUMS.p7s'
        works on mctl pull-raw $https/disk.raw.zst x
        works on mctl remove x
        sign 'openssl cms -sign -binary -outform PEM -signer /root/keys/ca.pem -inkey /root/keys/ca.key -in SHA256SUMS -out SHA256SUMS.p7s'
        refused 1 "by none of the keys" on mctl pull-tar $https/bb.tar.gz x
        # A certificate is trusted if a trusted certificate has signed it.
        trusts "Source=https://localhost:8443/" "Key=ca.pem"
        sign 'openssl cms -sign -binary -outform PEM -signer /root/keys/server.pem -inkey /root/keys/server.key -in SHA256SUMS -out SHA256SUMS.p7s'
        works on mctl pull-tar $https/bb.tar.gz x
        works on mctl remove x
        trusts "Source=https://localhost:8443/" "Key=mini.pub"
        sign 'printf "\n" | minisign -S -s /root/keys/mini.key -m SHA256SUMS >/dev/null'
        works on mctl pull-tar $https/bb.tar.gz x
        works on mctl remove x
        on_sh 'sed -i "s/trusted comment: t/trusted comment: T/" /srv/www/SHA256SUMS.minisig'
        refused 1 "by none of the keys" on mctl pull-tar $https/bb.tar.gz x
        sign 'printf "\n" | minisign -S -s /root/keys/mini.key -m SHA256SUMS >/dev/null; echo >>SHA256SUMS'
        refused 1 "by none of the keys" on mctl pull-tar $https/bb.tar.gz x
        # The file with the longest matching source applies, and its Verify= is the default.
        trusts "Source=https://localhost:8443/" "Key=mini.pub" "Verify=signature"
        file=longer trusts "Source=https://localhost:8443/bb" "Verify=checksum"
        works on mctl pull-tar $https/bb.tar.gz x
        works on mctl remove x
        refused 1 "by none of the keys" on mctl pull-raw $https/disk.raw.zst x
        refused 1 "names no key" on mctl pull-tar --verify=signature $https/bb.tar.gz x
        file=longer trusts "Source=https://localhost:8443/bb" "Keys=x"
        refused 1 "longer.trust:2: a line is Source=, Key= or Verify=" on mctl pull-tar $https/bb.tar.gz x
        on rm $trust/longer.trust
        trusts "Source=https://localhost:8443/" "Key=nothere.pub"
        refused 1 "Cannot read the key" on mctl pull-tar $https/bb.tar.gz x
        on_sh "rm $trust/*"
        absent x
        store_is_clean
}

# After a broken connection, the download resumes. If the file has changed meanwhile, it is refused.
test_breaks() {
        on_sh 'cd /srv/www && head -c 3M /dev/urandom >/run/r && tar -C /run -cf big.tar r && sha256sum big.tar >SHA256SUMS'
        works on mctl pull-tar --verify=checksum "$https/big.tar?break=1000000" x
        equal "The file" "$(on_sh 'cmp /run/r $1/x/r && echo same' sh $store)" same
        contains "What the server saw" "$(on journalctl -u server -o cat)" "Range: bytes="
        works on mctl remove x
        refused 1 "cannot resume a download" on mctl pull-tar --verify=checksum "$https/big.tar?break=1000000&etag=new" x
        absent x
        # SIGINT cancels a download. With -d, the download continues.
        try on_sh 'mctl pull-tar --verify=no "$1/slow?file=big.tar" x & soon sh -c "mctl transfers --json | grep pull"; mctl transfers --json | jq -r ".[0].type"; kill -INT $!; wait $!' sh $https
        equal "What was under way" "$out" pull-tar
        contains "What was said" "$err" "was cancelled"
        soon on_sh '[ "$(mctl transfers --json)" = "[]" ]'
        absent x
        works on mctl pull-tar -d --verify=no "$https/slow?file=big.tar" x
        refused 1 "is running already" on mctl pull-tar --verify=no $https/big.tar x
        on_sh 'systemctl kill -s KILL "mctl-work-*"'
        soon on_sh '[ "$(mctl transfers --json)" = "[]" ]'
        soon on_sh '! pgrep -u nobody mctl-transfer'
        works on mctl pull-tar --verify=checksum $https/big.tar x
        works on mctl remove x
        on rm /run/r
        store_is_clean
}

# If the registry crashes during a transfer, the transfer keeps its number, and mctl reports its result.
test_registry_killed() {
        local before

        on_sh 'cd /srv/www && head -c 3M /dev/urandom >/run/r && tar -C /run -cf big.tar r; rm /run/r'
        on_sh 'systemd-run -q --unit=puller --remain-after-exit sh -c "mctl pull-tar --verify=no $1/slow?file=big.tar x >/run/said 2>&1; echo status \$? >>/run/said"' sh $https
        soon on_sh '[ "$(mctl transfers --json | jq ".[0].progress > 0")" = true ]'
        before=$(on mctl transfers --json | jq -c 'map(del(.progress))')
        on systemctl kill -s KILL --kill-whom=main mctl-registryd.service
        equal "What is under way" "$(on mctl transfers --json | jq -c 'map(del(.progress))')" "$before"
        soon on test -e $store/x
        soon on grep -q status /run/said
        equal "What was said to who waited" "$(on cat /run/said)" "status 0"
        equal "What is under way" "$(on mctl transfers --json)" "[]"
        empty "What is written down" "$(on ls /run/mctl/transfers)"
        works on mctl remove x
        # After the crash, the transfer can be cancelled by its number.
        works on mctl pull-tar -d --verify=no "$https/slow?file=big.tar" y
        before=$out
        on systemctl kill -s KILL --kill-whom=main mctl-registryd.service
        works on mctl cancel "$before"
        soon on_sh '[ "$(mctl transfers --json)" = "[]" ]'
        absent y
        # A transfer that ends while the registry is stopped.
        works on mctl pull-tar -d --verify=no "$https/slow?file=big.tar" z
        on_sh 'systemctl kill -s STOP --kill-whom=main mctl-registryd.service; soon test -e "$1/z"; soon sh -c "! systemctl is-active -q \"mctl-work-*\""; systemctl kill -s KILL --kill-whom=main mctl-registryd.service' sh $store
        soon on_sh '[ "$(mctl transfers --json)" = "[]" ]'
        works on mctl remove z
        on systemctl stop puller
        store_is_clean
}

test_import1() {
        local i1=(org.freedesktop.import1 /org/freedesktop/import1 org.freedesktop.import1.Manager)

        on_sh 'cd /srv/www && sha256sum bb.tar.gz disk.raw.zst >SHA256SUMS'
        works on busctl call "${i1[@]}" PullTar sssb $https/bb.tar.gz x checksum false
        soon on test -e $store/x
        works on busctl call "${i1[@]}" PullRawEx sssst $https/disk.raw.zst y machine checksum 2
        soon on test -e $store/y.raw
        contains "The disk" "$(on mctl show-image y)" ReadOnly=yes
        refused 1 "class" on busctl call "${i1[@]}" PullTarEx sssst $https/bb.tar.gz z portable no 0
        refused 1 "signature, checksum or no" on busctl call "${i1[@]}" PullTar sssb $https/bb.tar.gz z gpg false
        works on mctl remove x y
}

run_tests
