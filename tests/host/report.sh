# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Functions that report results of tests, for ./check and for the scripts in this directory. The caller has set -euo
# pipefail.
#
# Each test prints one line on stdout. Its result also goes to the file $MCTL_RESULTS, in which ./check counts.

# report_wanted NAME: there is no filter, or the name of the test contains one of the filters.
report_wanted() {
        local filter

        [ -n "${MCTL_FILTER:-}" ] || return 0
        for filter in $MCTL_FILTER; do
                # shellcheck disable=SC2053 # a filter may have wildcards
                [[ $1 != *$filter* ]] || return 0
        done
        return 1
}

report_seconds() {
        awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'
}

report_count() {
        [ -z "${MCTL_RESULTS:-}" ] || echo "$*" >>"$MCTL_RESULTS"
}

# report STATUS NAME BEGAN OUTPUT-FILE reports the exit status of a test. If the status is 77, the test was skipped,
# and the last line of its output is the reason. Each report is one write, since tests run at the same time.
report() {
        local status=$1 name=$2 began=$3 output=$4 text

        case $status in
        0)
                text="ok   $name ($(report_seconds "$began") s)"
                [ -z "${MCTL_VERBOSE:-}" ] || text+=$(printf '\n' && sed 's/^/        /' "$output")
                report_count ok "$name"
                ;;
        77)
                text="skip $name: $(tail -n 1 "$output")"
                report_count skip "$name"
                ;;
        *)
                text="FAIL $name ($(report_seconds "$began") s)"$'\n'
                text+=$(sed 's/^/        /' "$output")
                report_count FAIL "$name"
                ;;
        esac
        printf '%s\n' "$text"
}

# report_run NAME COMMAND... runs a test in a shell of its own. The first command that fails ends the test.
report_run() {
        local name=$1 began=$EPOCHREALTIME output status
        shift

        output=$(mktemp)
        set +e
        (
                set -e
                "$@"
        ) >"$output" 2>&1 </dev/null
        status=$?
        set -e
        report "$status" "$name" "$began" "$output"
        rm -f "$output"
}
