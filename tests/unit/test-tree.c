/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "basic/tree.h"
#include "test-dir.h"

static const TreeUsers everybody = { 0, UINT32_MAX };

static int copy_with(int dir_fd, const char *source, int parent_fd, const char *name, TreeCopy *copy)
{
        _cleanup_close_ int fd = openat(dir_fd, source, O_PATH | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : tree_copy(copy, fd, parent_fd, name);
}

static int copy(int dir_fd, const char *source, const char *name, bool replace)
{
        TreeCopy c = { .from = everybody, .to = everybody, .replace = replace };

        return copy_with(dir_fd, source, dir_fd, name, &c);
}

static void check_text(int dir_fd, const char *path, const char *expected)
{
        _cleanup_free_ char *text = NULL;

        CHECK_INT(file_read_at(dir_fd, path, 1000, &text, NULL), 0);
        CHECK_TEXT(text, expected);
}

static void test_kinds(int dir_fd)
{
        const struct timespec times[] = { { 1000, 0 }, { 2000, 5 } };
        char target[16] = "";
        struct stat a, b;

        mkdirat(dir_fd, "from", 0750);
        mkdirat(dir_fd, "from/sub", 0700);
        (void) fchmodat(dir_fd, "from/sub", 01777, 0);
        test_put(dir_fd, "from/file", "text");
        (void) fchmodat(dir_fd, "from/file", 0640, 0);
        (void) utimensat(dir_fd, "from/file", times, 0);
        CHECK_INT(linkat(dir_fd, "from/file", dir_fd, "from/sub/again", 0), 0);
        CHECK_INT(symlinkat("../nowhere", dir_fd, "from/link"), 0);
        CHECK_INT(mkfifoat(dir_fd, "from/pipe", 0600), 0);

        CHECK_INT(copy(dir_fd, "from", "to", false), 0);
        check_text(dir_fd, "to/file", "text");
        CHECK(fstatat(dir_fd, "to/file", &a, 0) >= 0 && fstatat(dir_fd, "to/sub/again", &b, 0) >= 0);
        CHECK_INT(a.st_ino, b.st_ino);
        CHECK_INT(a.st_mode & 07777, 0640);
        CHECK_INT(a.st_mtim.tv_sec, 2000);
        CHECK_INT(a.st_mtim.tv_nsec, 5);
        CHECK(fstatat(dir_fd, "to/sub", &a, 0) >= 0);
        CHECK_INT(a.st_mode & 07777, 01777);
        CHECK(readlinkat(dir_fd, "to/link", target, sizeof(target) - 1) > 0);
        CHECK_TEXT(target, "../nowhere");
        CHECK(fstatat(dir_fd, "to/pipe", &a, 0) >= 0 && S_ISFIFO(a.st_mode));
        CHECK_INT(test_count(dir_fd, "to"), 4);
}

static void test_names_that_are_there(int dir_fd)
{
        TreeCopy c = { .from = everybody, .to = everybody };

        test_put(dir_fd, "from/file", "newer");
        CHECK_INT(copy_with(dir_fd, "from", dir_fd, "to", &c), -EEXIST);
        CHECK(startswith(c.failed, "to/"));
        check_text(dir_fd, "to/file", "text");
        CHECK_INT(copy(dir_fd, "from", "to", true), 0);
        check_text(dir_fd, "to/file", "newer");
        /* A directory is no place for a file, nor a file for a directory. */
        CHECK(copy(dir_fd, "from/file", "to/sub", true) < 0);
        CHECK(copy(dir_fd, "from/sub", "to/file", true) < 0);
        check_text(dir_fd, "to/file", "newer");
        CHECK_INT(test_count(dir_fd, "to"), 4);
        CHECK_INT(copy(dir_fd, "nothing", "x", false), -ENOENT);
}

static void test_holes(int dir_fd)
{
        struct stat st;

        _cleanup_close_ int fd = openat(dir_fd, "holes", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        CHECK(ftruncate(fd, 1 << 24) >= 0 && pwrite(fd, "data", 4, 1 << 23) == 4);
        CHECK_INT(copy(dir_fd, "holes", "holes2", false), 0);
        CHECK(fstatat(dir_fd, "holes2", &st, 0) >= 0);
        CHECK_INT(st.st_size, 1 << 24);
        CHECK(st.st_blocks < 1000);
        _cleanup_close_ int copy_fd = openat(dir_fd, "holes2", O_RDONLY | O_CLOEXEC);
        char text[5] = "";
        CHECK(pread(copy_fd, text, 4, 1 << 23) == 4);
        CHECK_TEXT(text, "data");
}

/* What a stranger's files say of powers is not taken over. */
static void test_distrust(int dir_fd)
{
        TreeCopy c = { .from = everybody, .to = everybody, .distrust = true };
        struct stat st;

        test_put(dir_fd, "program", "x");
        (void) fchmodat(dir_fd, "program", 06755, 0);
        CHECK_INT(copy_with(dir_fd, "program", dir_fd, "program2", &c), 0);
        CHECK(fstatat(dir_fd, "program2", &st, 0) >= 0);
        CHECK_INT(st.st_mode & 07777, 0755);
}

static void test_users(int dir_fd)
{
        TreeCopy c = { .from = everybody, .to = { 100000, 1000 } };
        struct stat st;

        if (geteuid() != 0)
                return;
        mkdirat(dir_fd, "machine", 0700);
        mkdirat(dir_fd, "own", 0700);
        test_put(dir_fd, "own/five", "x");
        test_put(dir_fd, "own/far", "x");
        CHECK(fchownat(dir_fd, "own/five", 5, 6, 0) >= 0 && fchownat(dir_fd, "own/far", 5000, 5000, 0) >= 0);

        /* A directory of somebody else is not the machine's to change, whoever copies. */
        _cleanup_close_ int machine_fd = openat(dir_fd, "machine", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK_INT(copy_with(dir_fd, "own", machine_fd, "tree", &c), -EACCES);
        CHECK_INT(test_count(dir_fd, "machine"), 0);
        CHECK(fchown(machine_fd, 100000, 100000) >= 0);
        CHECK_INT(copy_with(dir_fd, "own", machine_fd, "tree", &c), 0);
        CHECK(fstatat(machine_fd, "tree/five", &st, 0) >= 0);
        CHECK_INT(st.st_uid, 100005);
        CHECK_INT(st.st_gid, 100006);
        CHECK(fstatat(machine_fd, "tree/far", &st, 0) >= 0);
        CHECK_INT(st.st_uid, 100999);

        /* The other way, what is not the machine's is not read. */
        TreeCopy back = { .from = { 100000, 1000 }, .to = everybody, .distrust = true };
        CHECK_INT(copy_with(machine_fd, "tree", dir_fd, "back", &back), 0);
        CHECK(fstatat(dir_fd, "back/five", &st, 0) >= 0);
        CHECK_INT(st.st_uid, 5);
        CHECK(fchownat(machine_fd, "tree/far", 7, 7, 0) >= 0);
        CHECK_INT(copy_with(machine_fd, "tree", dir_fd, "back2", &back), -EACCES);
        CHECK_TEXT(back.failed, "back2/far");
        CHECK(faccessat(dir_fd, "back2", F_OK, 0) < 0);
}

static void test_removal(int dir_fd)
{
        _cleanup_close_ int fd = -EBADF;
        int before;

        CHECK_INT(tree_remove(dir_fd, "nothing"), 0);
        CHECK_INT(tree_remove(dir_fd, "from"), 0);
        CHECK(faccessat(dir_fd, "from", F_OK, 0) < 0);

        before = test_count(dir_fd, ".");
        CHECK(mkdirat(dir_fd, "deep", 0700) >= 0);
        fd = openat(dir_fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (unsigned i = 0; i < 3000; i++) {
                if (mkdirat(fd, "d", 0700) < 0)
                        break;
                int below = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                fd_close(fd);
                fd = below;
        }
        CHECK_INT(copy(dir_fd, "deep", "deep2", false), -ELOOP);
        CHECK_INT(tree_remove(dir_fd, "deep"), 0);
        CHECK_INT(test_count(dir_fd, "."), before);
}

int main(void)
{
        _cleanup_close_ int dir_fd = test_dir_open();

        umask(0022);
        test_kinds(dir_fd);
        test_names_that_are_there(dir_fd);
        test_holes(dir_fd);
        test_distrust(dir_fd);
        test_users(dir_fd);
        test_removal(dir_fd);
        return test_end();
}
