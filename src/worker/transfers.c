/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl-transfer: all work that reads or writes archives. */

#include "basic/log.h"
#include "worker/import.h"
#include "worker/pull.h"
#include "worker/transfer.h"
#include "worker/verify.h"

static const WorkFunction functions[_WORK_MAX] = {
        [WORK_PACK] = work_pack,
        [WORK_UNPACK] = work_unpack,
        [WORK_VERIFY] = work_verify,
        [WORK_IMPORT_TAR] = work_import_tar,
        [WORK_IMPORT_RAW] = work_import_raw,
        [WORK_IMPORT_DIRECTORY] = work_import_directory,
        [WORK_PULL_TAR] = work_pull_tar,
        [WORK_PULL_RAW] = work_pull_raw,
        [WORK_EXPORT_TAR] = work_export_tar,
        [WORK_EXPORT_RAW] = work_export_raw,
};

int main(int argc, char *argv[])
{
        (void) argv;
        log_open();
        return job_main(argc, functions);
}
