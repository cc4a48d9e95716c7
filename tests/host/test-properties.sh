#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Properties with -p have the same values as in a unit file.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

# arrives ASSIGNMENT NAME EXPECTED boots a machine with one assignment, and compares the value of the property in
# systemd.
arrives() {
        local assignment=$1 name=$2 expected=$3

        boot bb -q --name p -p "$assignment"
        equal "$name after $assignment" "$(property machine-p.service "$name")" "$expected"
        power_off -q p
}

test_sizes() {
        arrives MemoryMax=1G MemoryMax 1073741824
        arrives MemoryHigh=1.5M MemoryHigh 1572864
        arrives MemorySwapMax=infinity MemorySwapMax infinity
        arrives MemoryLow=4096 MemoryLow 4096
}

test_numbers() {
        arrives TasksMax=100 TasksMax 100
        arrives CPUWeight=50 CPUWeight 50
        arrives IOWeight=200 IOWeight 200
        arrives Nice=5 Nice 5
        arrives Nice=-5 Nice -5
        arrives OOMScoreAdjust=-100 OOMScoreAdjust -100
        arrives StartLimitBurst=3 StartLimitBurst 3
}

test_percentages() {
        arrives CPUQuota=20% CPUQuotaPerSecUSec 200ms
        arrives CPUQuota=200% CPUQuotaPerSecUSec 2s
}

test_times() {
        arrives TimeoutStopSec=7s TimeoutStopUSec 7s
        arrives TimeoutStartSec=1min TimeoutStartUSec 1min
        arrives "RuntimeMaxSec=1h 30min" RuntimeMaxUSec "1h 30min"
        arrives RestartSec=250ms RestartUSec 250ms
        arrives WatchdogSec=0 WatchdogUSec 0
}

test_booleans_and_words() {
        arrives OOMPolicy=kill OOMPolicy kill
        arrives Restart=on-failure Restart on-failure
        arrives MemoryAccounting=yes MemoryAccounting yes
        arrives "Description=A machine of mine" Description "A machine of mine"
        arrives CollectMode=inactive-or-failed CollectMode inactive-or-failed
        arrives KillSignal=SIGRTMIN+3 KillSignal 37
}

test_limits() {
        arrives LimitNOFILE=2048:4096 LimitNOFILE 4096
        arrives LimitNOFILE=2048:4096 LimitNOFILESoft 2048
        arrives LimitCORE=infinity LimitCORE infinity
        arrives LimitNPROC=1000 LimitNPROC 1000
}

test_lists() {
        local after

        boot bb -q --name p -p "After=nscd.service" -p "Wants=foo.service bar.service" -p "DeviceAllow=/dev/fuse rw" \
                -p "Environment=A=1 'B=two words'"
        after=$(property machine-p.service After)
        contains After "$after" nscd.service
        contains Wants "$(property machine-p.service Wants)" bar.service
        contains DeviceAllow "$(property machine-p.service DeviceAllow)" "/dev/fuse"
        contains Environment "$(property machine-p.service Environment)" "B=two words"
        power_off p
}

test_statuses() {
        arrives SuccessExitStatus=7 SuccessExitStatus 7
        boot bb -q --name p -p SuccessExitStatus=7 -p RestartForceExitStatus=9
        contains RestartForceExitStatus "$(on systemctl show -p RestartForceExitStatus machine-p.service)" 9
        # A reboot inside still starts the unit again.
        works inside p reboot -f
        soon rebooted
        soon on systemctl is-active -q machine-p.service
        power_off p
}

rebooted() {
        [ "$(property machine-p.service NRestarts)" = 1 ]
}

test_cpus() {
        arrives AllowedCPUs=0 AllowedCPUs 0
        arrives CPUAffinity=0 CPUAffinity 0
}

test_network_and_io() {
        boot bb -q --name p -p IPAddressDeny=10.0.0.0/8 -p "IPAddressAllow=127.0.0.1" -p IPAccounting=yes \
                -p "IOReadBandwidthMax=/ 1M"
        contains IPAddressDeny "$(property machine-p.service IPAddressDeny)" "10.0.0.0/8"
        contains IPAddressAllow "$(property machine-p.service IPAddressAllow)" "127.0.0.1"
        contains IOReadBandwidthMax "$(property machine-p.service IOReadBandwidthMax)" "1000000"
        power_off p
}

test_commands() {
        on rm -f /run/hook-ran
        boot bb -q --name p -p "ExecStartPre=/bin/sh -c 'echo one two >/run/hook-ran'"
        equal "What the command wrote" "$(on cat /run/hook-ran)" "one two"
        power_off p
        on rm -f /run/hook-ran
}

# If a machine fails, systemd restarts it with the same settings.
test_restart() {
        local first

        boot bb -q --name p -p Restart=always -p RestartSec=100ms
        first=$(leader_of p)
        on kill -9 "$first"
        soon rebooted
        works on mctl wait p
        differ "The leader" "$(leader_of p)" "$first"
        equal "The leader as JSON" "$(field p leader)" "$(leader_of p)"
        power_off p
}

test_empty_resets() {
        arrives MemoryMax= MemoryMax infinity
}

run_tests
