/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "update/record.h"

#include <dirent.h>
#include <jansson.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/failure.h"
#include "basic/fd.h"
#include "basic/names.h"

/* below the state directory for records, below the runtime directory for locks */
#define UPDATES    "updates"
#define RECORD_MAX (2U * 1024U * 1024U)

void update_record_clear(UpdateRecord *record)
{
        free(record->name);
        free(record->image);
        free(record->spec);
        *record = (UpdateRecord){};
}

static int open_directory(const char *parent, char **ret_error)
{
        _cleanup_free_ char *path = strf("%s/" UPDATES, parent);

        OOM_CHECK(path);
        int fd = dir_open_or_make_at(AT_FDCWD, path, 0700);
        return fd < 0 ? set_failure_errno(ret_error, fd, "Failed to open '%s'", path) : fd;
}

/* --- the lock ------------------------------------------------------------------------------------------ */

int update_lock(const Scope *scope, const char *image, char **ret_error)
{
        struct stat st;

        _cleanup_close_ int dir_fd = open_directory(scope->run_dir, ret_error);
        if (dir_fd < 0)
                return dir_fd;
        for (;;) {
                _cleanup_close_ int fd = openat(dir_fd, image, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
                                                0600);
                if (fd < 0)
                        return set_failure_errno(ret_error, -errno, "Failed to open the lock of image '%s'",
                                                 image);
                int r = RET_NERRNO(flock(fd, LOCK_EX | LOCK_NB));
                if (r == -EINTR)
                        continue;
                if (r == -EWOULDBLOCK)
                        return set_failure(ret_error, -EBUSY, "An update of image '%s' is running already.",
                                           image);
                if (r < 0)
                        return set_failure_errno(ret_error, r, "Failed to lock image '%s'", image);
                /* Otherwise, the holder of the lock before has removed the file. */
                if (fstat(fd, &st) >= 0 && st.st_nlink > 0)
                        return TAKE_FD(fd);
        }
}

int update_unlock(const Scope *scope, const char *image, int lock_fd)
{
        _cleanup_free_ char *error = NULL;

        if (lock_fd < 0)
                return -EBADF;
        _cleanup_close_ int dir_fd = open_directory(scope->run_dir, &error);
        if (dir_fd >= 0)
                (void) unlinkat(dir_fd, image, 0);
        return fd_close(lock_fd);
}

/* --- the file ------------------------------------------------------------------------------------------ */

int update_record_write(const Scope *scope, const UpdateRecord *record, char **ret_error)
{
        json_t *json = json_pack("{ss sb ss}", "name", record->name, "runs", record->runs, "spec",
                                 record->spec);
        _cleanup_free_ char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;

        json_decref(json);
        OOM_CHECK(text);
        _cleanup_close_ int dir_fd = open_directory(scope->state_dir, ret_error);
        if (dir_fd < 0)
                return dir_fd;
        int r = file_write_atomic_at(dir_fd, record->image, 0600, text, strlen(text));
        if (r >= 0)
                r = RET_NERRNO(syncfs(dir_fd));
        return r < 0 ? set_failure_errno(ret_error, r, "Failed to write the record of the update of '%s'",
                                         record->image)
                     : 0;
}

int update_record_read(const Scope *scope, const char *image, UpdateRecord *ret, char **ret_error)
{
        _cleanup_update_record_ UpdateRecord record = {};
        _cleanup_free_ char *text = NULL;
        const char *name, *spec;
        int runs;

        _cleanup_close_ int dir_fd = open_directory(scope->state_dir, ret_error);
        if (dir_fd < 0)
                return dir_fd;
        int r = file_read_at(dir_fd, image, RECORD_MAX, &text, NULL);
        if (r == -ENOENT)
                return r;
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to read the record of the update of '%s'",
                                         image);
        json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        if (json_unpack(json, "{ss sb ss}", "name", &name, "runs", &runs, "spec", &spec) >= 0 &&
            machine_name_valid(name))
                record = (UpdateRecord){ strdup(name), strdup(image), runs, strdup(spec) };
        else
                r = set_failure(ret_error, -EBADMSG, "The record of the update of '%s' is malformed.",
                                image);
        json_decref(json);
        if (r < 0)
                return r;
        if (!record.name || !record.image || !record.spec)
                return -ENOMEM;
        *ret = record;
        record = (UpdateRecord){};
        return 0;
}

int update_record_remove(const Scope *scope, const char *image, char **ret_error)
{
        _cleanup_close_ int dir_fd = open_directory(scope->state_dir, ret_error);

        if (dir_fd < 0)
                return dir_fd;
        if (unlinkat(dir_fd, image, 0) < 0 && errno != ENOENT)
                return set_failure_errno(ret_error, -errno,
                                         "Failed to remove the record of the update of '%s'", image);
        return 0;
}

int update_record_list(const Scope *scope, Strv *ret, char **ret_error)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        _cleanup_strv_ Strv images = NULL;

        int dir_fd = open_directory(scope->state_dir, ret_error);
        if (dir_fd < 0)
                return dir_fd;
        dir = fdopendir(dir_fd);
        if (!dir) {
                fd_close(dir_fd);
                return -ENOMEM;
        }
        for (struct dirent *e; (e = readdir(dir));) {
                int r = image_name_valid(e->d_name) ? strv_append(&images, e->d_name) : 0;
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(images);
        return 0;
}
