/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What mctl-transfer does: all that reads or writes archives. */

#include "worker/worker.h"

const NamedOperation operations[] = {
        { "image-verify", work_image_verify },
        { "import-tar", work_import_tar },
        { "import-raw", work_import_raw },
        { "import-fs", work_import_directory },
        { "pull-tar", work_pull_tar },
        { "pull-raw", work_pull_raw },
        { "export-tar", work_export_tar },
        { "export-raw", work_export_raw },
        { "pack", work_pack },
        { "unpack", work_unpack },
        {},
};
