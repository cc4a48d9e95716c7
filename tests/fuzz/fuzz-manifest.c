/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The manifest of a stack: what is read is written again, and is the same then. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/stack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static char path[] = "/dev/shm/fuzz-manifest-XXXXXX";
        static int dir_fd = -1;
        _cleanup_stack_ Stack stack = {}, again = {};

        if (dir_fd < 0 && (!mkdtemp(path) || (dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0))
                abort();
        if (file_write_atomic_at(dir_fd, "manifest.json", 0600, data, size) < 0)
                abort();
        if (stack_read(dir_fd, &stack) < 0)
                return 0;
        if (strv_length(stack.layers.ids) == 0 || stack_write(dir_fd, &stack) < 0 ||
            stack_read(dir_fd, &again) < 0 ||
            strv_length(stack.layers.ids) != strv_length(again.layers.ids) ||
            stack.n_snapshots != again.n_snapshots || !streq_ptr(stack.layers.base, again.layers.base))
                abort();
        return 0;
}
