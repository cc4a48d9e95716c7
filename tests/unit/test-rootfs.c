/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>

#include "basic/rootfs.h"
#include "test-dir.h"

#define RACE_ROUNDS 4000

/* The tree is "root"; beside it stands what nobody may reach. */
static int make_tree(int dir_fd)
{
        mkdirat(dir_fd, "root", 0755);
        mkdirat(dir_fd, "outside", 0755);
        test_put(dir_fd, "outside/secret", "secret");
        return openat(dir_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Whatever happened, this is as it was. */
static void check_outside(int dir_fd)
{
        _cleanup_free_ char *data = NULL;

        CHECK_INT(test_count(dir_fd, "outside"), 1);
        CHECK_INT(file_read_at(dir_fd, "outside/secret", 100, &data, NULL), 0);
        CHECK_TEXT(data, "secret");
}

static void test_links(int root_fd)
{
        _cleanup_free_ char *absolute = strf("%s/outside/secret", test_dir_path);
        static const char *const escapes[] = {
                "absolute",
                "dotdot",
                "deep/dotdot",
                "../outside/secret",
                "/../outside/secret",
                "deep/../../outside/secret",
                "chain",
                "magic",
                "magic-cwd",
        };
        char *data = NULL;

        mkdirat(root_fd, "deep", 0755);
        symlinkat(absolute, root_fd, "absolute");
        symlinkat("../outside/secret", root_fd, "dotdot");
        symlinkat("../../outside/secret", root_fd, "deep/dotdot");
        symlinkat("deep/dotdot", root_fd, "chain");
        symlinkat("/proc/self/root/etc/passwd", root_fd, "magic");
        symlinkat("/proc/self/cwd", root_fd, "magic-cwd");

        for (size_t i = 0; i < ELEMENTSOF(escapes); i++) {
                if (!CHECK(rootfs_read_file(root_fd, escapes[i], 1000, &data, NULL) < 0))
                        fprintf(stderr, "\tthat is: %s\n", escapes[i]);
                int fd = rootfs_open(root_fd, escapes[i], O_RDONLY);
                if (!CHECK(fd < 0))
                        fprintf(stderr, "\tthat is: %s\n", escapes[i]);
                fd_close(fd);
        }

        /* Links that stay inside are good, absolute ones as well, and ".." ends at the root. */
        test_put(root_fd, "inside", "inside");
        symlinkat("/inside", root_fd, "deep/good");
        static const char *const good[] = { "inside", "/inside", "deep/good", "../../inside",
                                            "deep/../inside" };
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                CHECK_INT(rootfs_read_file(root_fd, good[i], 1000, &data, NULL), 0);
                CHECK_TEXT(data, "inside");
                free(data);
                data = NULL;
        }

        symlinkat("loop", root_fd, "loop");
        CHECK_INT(rootfs_open(root_fd, "loop", O_RDONLY), -ELOOP);
}

/* Where the tree has a procfs of its own, its magic links lead nowhere. */
static void test_magic(void)
{
        _cleanup_close_ int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        char *data = NULL;

        CHECK_INT(rootfs_open(proc_fd, "self/root", O_PATH), -ELOOP);
        CHECK_INT(rootfs_open(proc_fd, "self/root/etc/passwd", O_RDONLY), -ELOOP);
        CHECK_INT(rootfs_open(proc_fd, "self/cwd", O_PATH), -ELOOP);
        CHECK_INT(rootfs_open(proc_fd, "self/fd/0", O_PATH), -ELOOP);
        CHECK_INT(rootfs_read_file(proc_fd, "self/exe", 10, &data, NULL), -ELOOP);
}

static void test_read(int root_fd)
{
        char *data = NULL;
        size_t size;

        CHECK_INT(mkfifoat(root_fd, "fifo", 0600), 0);
        CHECK_INT(rootfs_read_file(root_fd, "fifo", 10, &data, NULL), -EBADFD);
        CHECK_INT(rootfs_read_file(root_fd, "deep", 10, &data, NULL), -EBADFD);
        CHECK_INT(rootfs_read_file(root_fd, "nothing", 10, &data, NULL), -ENOENT);
        CHECK_INT(rootfs_read_file(root_fd, "inside", 5, &data, NULL), -EFBIG);
        CHECK(!data);
        CHECK_INT(rootfs_read_file(root_fd, "inside", 6, &data, &size), 0);
        CHECK_INT(size, 6);
        free(data);
}

static void test_make(int dir_fd, int root_fd)
{
        struct stat st;
        int fd;

        fd = rootfs_make_dir(root_fd, "/new/a/b", 0750);
        CHECK(fd >= 0);
        CHECK_INT(fstat(fd, &st), 0);
        CHECK(S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0750);
        CHECK_INT(fcntl(fd, F_GETFL) & O_PATH, O_PATH);
        fd_close(fd);
        CHECK_INT(faccessat(root_fd, "new/a/b", F_OK, 0), 0);

        fd = rootfs_make_file(root_fd, "new/c/file", 0640);
        CHECK(fd >= 0);
        CHECK_INT(fstat(fd, &st), 0);
        CHECK(S_ISREG(st.st_mode));
        fd_close(fd);

        /* A link on the way leads to below the root, or nowhere. */
        symlinkat("../../outside", root_fd, "new/out");
        fd = rootfs_make_dir(root_fd, "new/out/x", 0755);
        fd_close(fd);
        fd = rootfs_make_file(root_fd, "new/out/y", 0644);
        fd_close(fd);
        symlinkat("/new/a", root_fd, "new/in");
        fd = rootfs_make_dir(root_fd, "new/in/z", 0755);
        CHECK(fd >= 0);
        fd_close(fd);
        CHECK_INT(faccessat(root_fd, "new/a/z", F_OK, 0), 0);
        check_outside(dir_fd);

        CHECK_INT(rootfs_make_dir(root_fd, "inside", 0755), -ENOTDIR);
        CHECK_INT(rootfs_make_dir(root_fd, "inside/x", 0755), -ENOTDIR);

        /* A file of whatever type is good as a mount point; a link that leads out is not followed. */
        fd = rootfs_make_file(root_fd, "fifo", 0644);
        CHECK(fd >= 0);
        fd_close(fd);
        symlinkat("../outside/made", root_fd, "dangling");
        fd = rootfs_make_file(root_fd, "dangling", 0644);
        fd_close(fd);
        check_outside(dir_fd);
}

static void test_write(int dir_fd, int root_fd)
{
        char target[64] = "";

        CHECK_INT(rootfs_write_file(root_fd, "w/file", 0444, "text", strlen("text")), 0);
        _cleanup_free_ char *data = NULL;
        CHECK_INT(rootfs_read_file(root_fd, "w/file", 10, &data, NULL), 0);
        CHECK_TEXT(data, "text");
        CHECK_INT(rootfs_write_file(root_fd, "w/file", 0444, "more", strlen("more")), -EEXIST);
        symlinkat("../outside/made", root_fd, "w-link");
        CHECK_INT(rootfs_write_file(root_fd, "w-link", 0444, "more", strlen("more")), -EEXIST);

        CHECK_INT(rootfs_make_link(root_fd, "/proc/self/fd", "w/l/fd"), 0);
        CHECK(readlinkat(root_fd, "w/l/fd", target, sizeof(target) - 1) > 0);
        CHECK_TEXT(target, "/proc/self/fd");
        CHECK_INT(rootfs_make_link(root_fd, "/x", "w/l/fd"), -EEXIST);
        (void) rootfs_make_link(root_fd, "/x", "new/out/l");
        check_outside(dir_fd);
}

static void test_resolve(int root_fd)
{
        static const struct {
                const char *in, *out;
        } table[] = {
                { "/inside", "/inside" }, { "deep/good", "/inside" }, { "/", "/" },
                { "../..", "/" },         { "new/in/b", "/new/a/b" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *path = NULL;
                CHECK_INT(rootfs_resolve(root_fd, table[i].in, &path), 0);
                CHECK_TEXT(path, table[i].out);
        }
        char *path = NULL;
        CHECK_INT(rootfs_resolve(root_fd, "nothing/x", &path), -ENOENT);
}

static atomic_bool race_over;

/* "swap" is a directory, and a link that leads out, in turn, as fast as can be. */
static void *race(void *root_fd)
{
        int fd = *(int *) root_fd;

        while (!race_over)
                (void) renameat2(fd, "swap", fd, "trap", RENAME_EXCHANGE);
        return NULL;
}

static void test_race(int dir_fd, int root_fd)
{
        pthread_t one, other;
        unsigned made = 0;

        mkdirat(root_fd, "swap", 0755);
        symlinkat("../outside", root_fd, "trap");
        pthread_create(&one, NULL, race, &root_fd);
        pthread_create(&other, NULL, race, &root_fd);
        for (unsigned i = 0; i < RACE_ROUNDS; i++) {
                char path[64];

                snprintf(path, sizeof(path), "swap/d%u", i % 16);
                int fd = rootfs_make_dir(root_fd, path, 0755);
                made += fd >= 0;
                fd_close(fd);
                snprintf(path, sizeof(path), "swap/f%u", i % 16);
                fd = rootfs_make_file(root_fd, path, 0644);
                made += fd >= 0;
                fd_close(fd);
                snprintf(path, sizeof(path), "swap/w%u", i);
                (void) rootfs_write_file(root_fd, path, 0644, "x", strlen("x"));
                fd = rootfs_open(root_fd, "swap/secret", O_RDONLY);
                CHECK(fd < 0);
                fd_close(fd);
        }
        race_over = true;
        pthread_join(one, NULL);
        pthread_join(other, NULL);

        CHECK(made > 0);
        check_outside(dir_fd);
}

int main(void)
{
        _cleanup_close_ int dir_fd = test_dir_open();
        _cleanup_close_ int root_fd = make_tree(dir_fd);

        umask(0);
        test_links(root_fd);
        test_magic();
        test_read(root_fd);
        test_make(dir_fd, root_fd);
        test_write(dir_fd, root_fd);
        test_resolve(root_fd);
        test_race(dir_fd, root_fd);
        check_outside(dir_fd);
        return test_end();
}
