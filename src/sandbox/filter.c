/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "basic/fd.h"
#include "basic/siphash.h"
#include "sandbox/filter.h"
#include "sandbox/privileges.h"

#define HELPER      LIBEXECDIR "/mctl-seccomp"
#define SHIPPED_DIR LIBEXECDIR "/seccomp"
#define CACHE_DIR   "/var/cache/mctl/seccomp"
#define PROGRAM_MAX (256U * 1024U)

static const char *const profile_names[_PROFILE_MAX] = {
        [PROFILE_DEFAULT] = "default",
        [PROFILE_NESTING] = "nesting",
        [PROFILE_STRICT] = "strict",
};

int filter_arguments(const Spec *spec, uint64_t capabilities, Strv *ret)
{
        _cleanup_strv_ Strv l = NULL;
        int r;

        r = strv_append(&l, HELPER);
        if (r >= 0)
                r = strv_append(&l, profile_names[spec->profile]);
        if (r >= 0)
                r = strv_appendf(&l, "%" PRIx64, capabilities);
        if (r >= 0)
                r = strv_append(&l, spec->personality == PERSONALITY_X86 ? "x86" : "native");
        if (r >= 0)
                r = strv_extend(&l, spec->system_call_filter);
        if (r >= 0)
                *ret = TAKE_PTR(l);
        return r;
}

int filter_name(const Spec *spec, uint64_t capabilities, char **ret)
{
        static const uint8_t key[16] = "mctl seccomp key";
        _cleanup_free_ char *text = NULL;
        _cleanup_strv_ Strv arguments = NULL;
        int r;

        *ret = NULL;
        if (spec->profile == PROFILE_PRIVILEGED)
                return 0;

        /* What a profile has for its kind of payload, when nothing else is said. */
        const Spec plain = { .boot = spec->boot, .profile = spec->profile, .private_network = true };
        if (!spec->system_call_filter && spec->personality != PERSONALITY_X86 &&
            capabilities == capability_bounding_set(&plain))
                *ret = strf("%s-%s", profile_names[spec->profile], spec->boot ? "boot" : "run");
        else {
                r = filter_arguments(spec, capabilities, &arguments);
                if (r < 0)
                        return r;
                text = strv_join(arguments, " ");
                OOM_CHECK(text);
                *ret = strf("custom-" MCTL_VERSION "-%016" PRIx64, siphash24(text, strlen(text), key));
        }
        return *ret ? 0 : -ENOMEM;
}

/* Runs the helper with its output in a pipe. */
static int compile(const Spec *spec, uint64_t capabilities, char **ret_program, size_t *ret_size)
{
        _cleanup_close_ int read_fd = -EBADF, write_fd = -EBADF;
        _cleanup_strv_ Strv arguments = NULL;
        _cleanup_free_ char *program = NULL;
        posix_spawn_file_actions_t actions;
        int fds[2], status, r;
        pid_t pid;

        r = filter_arguments(spec, capabilities, &arguments);
        if (r < 0)
                return r;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        read_fd = fds[0];
        write_fd = fds[1];

        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, write_fd, STDOUT_FILENO);
        r = -posix_spawn(&pid, HELPER, &actions, NULL, arguments, environ);
        posix_spawn_file_actions_destroy(&actions);
        if (r < 0)
                return r;
        write_fd = fd_close(write_fd);
        r = fd_read_all(read_fd, PROGRAM_MAX, &program, ret_size);
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        if (r < 0)
                return r;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return -EINVAL; /* it has said why */
        *ret_program = TAKE_PTR(program);
        return 0;
}

static bool is_program(size_t size)
{
        return size > 0 && size % sizeof(struct sock_filter) == 0;
}

int filter_read(const Spec *spec, uint64_t capabilities, const char *name, void **ret_program,
                size_t *ret_size)
{
        _cleanup_free_ char *shipped = strf(SHIPPED_DIR "/%s.bpf", name), *cached = strf("%s.bpf", name),
                            *program = NULL;
        size_t size;
        int r;

        if (!shipped || !cached)
                return -ENOMEM;
        r = file_read_at(AT_FDCWD, shipped, PROGRAM_MAX, &program, &size);
        if (r == -ENOENT) {
                _cleanup_close_ int cache_fd = dir_open_or_make_at(AT_FDCWD, CACHE_DIR, 0700);
                r = cache_fd < 0 ? cache_fd : file_read_at(cache_fd, cached, PROGRAM_MAX, &program, &size);
                if (r < 0 || !is_program(size)) {
                        free(TAKE_PTR(program));
                        r = compile(spec, capabilities, &program, &size);
                        /* A cache that cannot be written costs time, not the start. */
                        if (r >= 0 && cache_fd >= 0)
                                (void) file_write_atomic_at(cache_fd, cached, 0600, program, size);
                }
        }
        if (r < 0)
                return r;
        if (!is_program(size))
                return -EBADMSG;
        *ret_program = TAKE_PTR(program);
        *ret_size = size;
        return 0;
}

/* A program ends where an instruction of zeros stands: no compiler makes one (a load of nothing). */
static size_t program_length(const struct sock_filter *p, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (p[i].code == 0 && p[i].jt == 0 && p[i].jf == 0 && p[i].k == 0)
                        return i;
        return n;
}

int filter_load(const void *program, size_t size)
{
        const struct sock_filter *p = program;

        for (size_t left = size / sizeof(*p); left > 0;) {
                size_t n = program_length(p, left);
                const struct sock_fprog fprog = { .len = n, .filter = (struct sock_filter *) p };

                if (n == 0 || n > BPF_MAXINSNS)
                        return -EBADMSG;
                if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &fprog) < 0)
                        return -errno;
                n += n < left;
                p += n;
                left -= n;
        }
        return 0;
}
