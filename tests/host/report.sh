# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# How tests say how they went; for ./check and for the scripts beside this file. The caller has set -euo pipefail.
#
# A line for each test goes to stdout, its result also into the file $MCTL_RESULTS, where ./check counts.

# Whether a test of this name was asked for: without a filter each is, else one whose name contains a filter.
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

# report RESULT NAME BEGAN OUTPUT-FILE, the result being the exit status of the test; 77 means that it was skipped, and
# the last line of its output says why. Each report is one write: tests run side by side.
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

# report_run NAME COMMAND... runs a test in a shell of its own, in which the first command that fails ends it.
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
