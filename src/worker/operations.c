/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What mctl-worker does. */

#include "worker/worker.h"

const NamedOperation operations[] = {
        { "copy-to", work_copy_to },
        { "copy-from", work_copy_from },
        { "bind", work_bind },
        { "unbind", work_unbind },
        { "thaw", work_thaw },
        { "image-inspect", work_image_inspect },
        { "image-clone", work_image_clone },
        { "image-rename", work_image_rename },
        { "image-remove", work_image_remove },
        { "image-read-only", work_image_read_only },
        { "image-limit", work_image_limit },
        { "image-enable-quotas", work_image_enable_quotas },
        { "image-clean", work_image_clean },
        { "image-measure", work_image_measure },
        { "image-mount", work_image_mount },
        { "image-unmount", work_image_unmount },
        { "image-snapshot", work_image_snapshot },
        { "image-rollback", work_image_rollback },
        { "image-switch", work_image_switch },
        { "image-rename-snapshot", work_snapshot_rename },
        { "image-remove-snapshot", work_snapshot_remove },
        { "image-diff", work_image_diff },
        {},
};
