/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-dir.h"
#include "update/record.h"

/* The records of updates, and their locks. */

static Scope *scope;

static void test_record(void)
{
        static const char *const bad[] = {
                "", "{}", "{\"name\": \"../m\", \"runs\": true, \"spec\": \"\"}",
                "{\"name\": \"m\", \"runs\": 1, \"spec\": \"\"}",
                "{\"name\": \"m\", \"name\": \"n\", \"runs\": true, \"spec\": \"\"}"
        };
        char name[] = "m", image[] = "i", spec[] = "{\"secret\": 1}";
        const UpdateRecord record = { name, image, true, spec };
        _cleanup_update_record_ UpdateRecord back = {};
        _cleanup_free_ char *error = NULL;
        _cleanup_strv_ Strv images = NULL;
        struct stat st;

        CHECK_INT(update_record_read(scope, "i", &back, &error), -ENOENT);
        CHECK_INT(update_record_write(scope, &record, &error), 0);
        CHECK_INT(update_record_read(scope, "i", &back, &error), 0);
        CHECK_TEXT(back.name, name);
        CHECK_TEXT(back.image, image);
        CHECK_TEXT(back.spec, spec);
        CHECK(back.runs);
        CHECK_INT(update_record_list(scope, &images, &error), 0);
        CHECK_INT(strv_length(images), 1);

        _cleanup_close_ int dir_fd = open(scope->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(fstatat(dir_fd, "updates/i", &st, 0) >= 0 && (st.st_mode & 07777) == 0600);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_update_record_ UpdateRecord none = {};
                test_put(dir_fd, "updates/i", bad[i]);
                CHECK_INT(update_record_read(scope, "i", &none, &error), -EBADMSG);
                CHECK_TEXT(error, "The record of the update of 'i' is malformed.");
        }
        CHECK_INT(update_record_remove(scope, "i", &error), 0);
        CHECK_INT(update_record_remove(scope, "i", &error), 0);
        CHECK(!test_exists(dir_fd, "updates/i"));
}

static void test_lock(void)
{
        _cleanup_free_ char *error = NULL;
        int fd = update_lock(scope, "i", &error), other_fd;

        CHECK(fd >= 0);
        CHECK_INT(update_lock(scope, "i", &error), -EBUSY);
        CHECK_TEXT(error, "An update of image 'i' is running already.");
        /* Each image has a lock of its own. */
        other_fd = update_lock(scope, "j", &error);
        CHECK(other_fd >= 0);
        update_unlock(scope, "j", other_fd);
        update_unlock(scope, "i", fd);
        /* One that ends with its process leaves a file, and no lock. */
        fd_close(update_lock(scope, "i", &error));
        fd = update_lock(scope, "i", &error);
        CHECK(fd >= 0);
        update_unlock(scope, "i", fd);
        CHECK_INT(test_count(AT_FDCWD, scope->run_dir), 1);
}

int main(void)
{
        fd_close(test_dir_open());
        if (setenv("MCTL_SCOPE", test_dir_path, true) < 0 ||
            setenv("XDG_RUNTIME_DIR", test_dir_path, true) < 0 || scope_new(&scope) < 0)
                abort();
        test_record();
        test_lock();
        scope_free(scope);
        return test_end();
}
