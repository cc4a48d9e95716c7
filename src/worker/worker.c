/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl-worker: work in machines, and on images of the store. */

#include "basic/log.h"
#include "basic/parse.h"
#include "sandbox/cgroup.h"
#include "state/leader.h"
#include "worker/bind.h"
#include "worker/copy.h"
#include "worker/diff.h"
#include "worker/images.h"
#include "worker/inspect.h"
#include "worker/measure.h"
#include "worker/mount.h"
#include "worker/snapshots.h"
#include "worker/switch.h"

static const WorkFunction functions[_WORK_MAX] = {
        [WORK_COPY_TO] = work_copy_to,
        [WORK_COPY_FROM] = work_copy_from,
        [WORK_BIND] = work_bind,
        [WORK_UNBIND] = work_unbind,
        [WORK_THAW] = work_thaw,
        [WORK_INSPECT] = work_inspect,
        [WORK_MEASURE] = work_measure,
        [WORK_DIFF] = work_diff,
        [WORK_CLONE] = work_clone,
        [WORK_RENAME] = work_rename,
        [WORK_REMOVE] = work_remove,
        [WORK_READ_ONLY] = work_read_only,
        [WORK_LIMIT] = work_limit,
        [WORK_ENABLE_QUOTAS] = work_enable_quotas,
        [WORK_CLEAN] = work_clean,
        [WORK_SWEEP] = work_sweep,
        [WORK_MOUNT] = work_mount,
        [WORK_UNMOUNT] = work_unmount,
        [WORK_SNAPSHOT] = work_snapshot,
        [WORK_ROLL_BACK] = work_roll_back,
        [WORK_REPLACE] = work_switch,
        [WORK_REVERT] = work_switch,
        [WORK_RENAME_SNAPSHOT] = work_rename_snapshot,
        [WORK_REMOVE_SNAPSHOT] = work_remove_snapshot,
};

/* 'mctl-worker thaw LEADER START-TIME': ExecStopPost= of a worker that may have frozen a machine. */
static int thaw(char *argv[])
{
        Record record = {};
        uint64_t leader;

        if (parse_u64(argv[2], 1, INT32_MAX, &leader) < 0 ||
            parse_u64(argv[3], 0, UINT64_MAX, &record.start_time) < 0)
                return EXIT_FAILURE;
        record.leader = (pid_t) leader;
        _cleanup_close_ int proc_fd = leader_open(&record);
        return proc_fd >= 0 && cgroup_freeze(record.leader, false) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
        log_open();
        return argc == 4 && streq(argv[1], "thaw") ? thaw(argv) : job_main(argc, functions);
}
