#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The same as test-power-cut.sh, where images are subvolumes of btrfs.

store_type=btrfs
test_file=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/test-power-cut.sh
# shellcheck source=tests/vm/test-power-cut.sh
. "$test_file"
