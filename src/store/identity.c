/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/identity.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "basic/log.h"
#include "basic/rootfs.h"
#include "basic/str.h"
#include "basic/tree.h"
#include "store/host-key.h"

/* Limits for the files of an identity. */
#define FILE_MAX  (64 * 1024)
#define FILES_MAX 64U

/* A regular /etc/machine-id is emptied and not removed: systemd takes an empty file for a system that was
 * booted before, and makes a new ID. Without the file, systemd would run the first-boot services. */
static int empty_id(int root_fd)
{
        struct stat st;

        _cleanup_close_ int path_fd = rootfs_open(root_fd, "/etc/machine-id", O_PATH | O_NOFOLLOW);
        if (path_fd < 0)
                return path_fd == -ENOENT || path_fd == -ENOTDIR ? 0 : path_fd;
        if (fstat(path_fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_size == 0)
                return 0;
        /* O_TRUNC empties all hard links of the file. */
        _cleanup_close_ int fd = fd_reopen(path_fd, O_WRONLY | O_TRUNC | O_NONBLOCK);
        return fd < 0 ? fd : 0;
}

/* Removes a regular file. A symbolic link stays: its content belongs to its target. */
static int remove_file(int root_fd, const char *dir, const char *name)
{
        struct stat st;

        _cleanup_close_ int dir_fd = rootfs_open(root_fd, dir, O_PATH | O_DIRECTORY);
        if (dir_fd < 0)
                return dir_fd == -ENOENT || dir_fd == -ENOTDIR ? 0 : dir_fd;
        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        return S_ISREG(st.st_mode) ? RET_NERRNO(unlinkat(dir_fd, name, 0)) : 0;
}

static int open_directory(int root_fd, const char *path)
{
        int fd = rootfs_open(root_fd, path, O_RDONLY | O_DIRECTORY);

        return fd == -ENOTDIR ? -ENOENT : fd;
}

/* Removes all of the identity but the ssh host keys. */
static int forget_files(int root_fd)
{
        static const struct {
                const char *dir, *name;
        } files[] = {
                { "/var/lib/systemd", "random-seed" },
                { "/var/lib/systemd", "credential.secret" },
                { "/var/lib/dbus", "machine-id" }, /* a symbolic link to /etc/machine-id stays */
        };
        int r = empty_id(root_fd);

        for (size_t i = 0; i < ELEMENTSOF(files) && r >= 0; i++)
                r = remove_file(root_fd, files[i].dir, files[i].name);
        return r;
}

/* Removes all host keys and their certificates. Returns a mask of the types that had a private key. */
static int remove_host_keys(int dir_fd)
{
        static const char *const types[] = { HOST_KEY_TYPES };
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int r = 0, mask = 0, fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);

        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return -errno;
        }
        for (struct dirent *e; r >= 0 && (e = readdir(dir));) {
                const char *type = startswith(e->d_name, HOST_KEY_PREFIX);
                if (!type || e->d_type == DT_DIR)
                        continue;
                for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                        const char *end = startswith(type, types[i]);
                        mask |= end && streq(end, "_key") ? 1 << i : 0;
                }
                r = RET_NERRNO(unlinkat(dir_fd, e->d_name, 0));
        }
        return r < 0 ? r : mask;
}

static int make_host_keys(int dir_fd, int mask)
{
        void *library = mask == 0 ? NULL : dlopen(HOST_KEY_MODULE, RTLD_NOW | RTLD_NODELETE);
        int (*make)(int, int) = library ? dlsym(library, "host_keys_make") : NULL;

        if (mask == 0)
                return 0;
        return make ? make(dir_fd, mask)
                    : log_debug_errno(-ELIBACC,
                                      "Failed to load " HOST_KEY_MODULE " for keys of ssh servers: %s",
                                      dlerror());
}

int identity_forget(int root_fd)
{
        int r = forget_files(root_fd);

        if (r < 0)
                return r;
        /* New host keys are made at once: many systems have no service that makes missing keys at boot. */
        _cleanup_close_ int fd = open_directory(root_fd, "/etc/ssh");
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        r = remove_host_keys(fd);
        return r < 0 ? r : make_host_keys(fd, r);
}

/* Copies a file. Files that are not regular or too large are skipped: they are no part of an identity. */
static int carry_file(int from_fd, int to_fd, const char *name)
{
        TreeCopy copy = {
                .from = { 0, UINT32_MAX }, .to = { 0, UINT32_MAX }, .replace = true, .distrust = true
        };
        struct stat st;

        _cleanup_close_ int fd = openat(from_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return errno == ENOENT ? 0 : -errno;
        return S_ISREG(st.st_mode) && st.st_size <= FILE_MAX ? tree_copy(&copy, fd, to_fd, name) : 0;
}

static bool is_key(const char *name)
{
        return startswith(name, HOST_KEY_PREFIX) != NULL;
}

static bool is_name(const char *name)
{
        return streq(name, "machine-id") || streq(name, "hostname");
}

static int carry_files(int from_fd, int to_fd, const char *path, bool (*wanted)(const char *name))
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        _cleanup_close_ int new_fd = open_directory(to_fd, path);
        int r = 0, old_fd = open_directory(from_fd, path);
        unsigned n = 0;

        dir = old_fd < 0 || new_fd < 0 ? NULL : fdopendir(old_fd);
        if (!dir) {
                fd_close(old_fd);
                r = old_fd < 0 ? old_fd : new_fd < 0 ? new_fd : -ENOMEM;
                return r == -ENOENT ? 0 : r;
        }
        for (struct dirent *e; r >= 0 && n < FILES_MAX && (e = readdir(dir));)
                if (wanted(e->d_name)) {
                        r = carry_file(old_fd, new_fd, e->d_name);
                        n++;
                }
        return r;
}

int identity_carry(int from_fd, int to_fd)
{
        int r = forget_files(to_fd);

        if (r >= 0)
                r = carry_files(from_fd, to_fd, "/etc", is_name);
        _cleanup_close_ int ssh_fd = r < 0 ? r : open_directory(to_fd, "/etc/ssh");
        if (r >= 0)
                r = ssh_fd >= 0 ? remove_host_keys(ssh_fd) : ssh_fd == -ENOENT ? 0 : ssh_fd;
        if (r >= 0)
                r = carry_files(from_fd, to_fd, "/etc/ssh", is_key);
        if (r < 0)
                return r;
        /* The next change of the store syncs names, but not the content of files. */
        _cleanup_close_ int fd = open_directory(to_fd, "/");
        return fd < 0 ? fd : RET_NERRNO(syncfs(fd));
}
