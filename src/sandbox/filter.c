/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "basic/failure.h"
#include "basic/fd.h"
#include "basic/siphash.h"
#include "sandbox/filter.h"
#include "sandbox/privileges.h"

#define HELPER      LIBEXECDIR "/mctl-seccomp"
#define SHIPPED_DIR LIBEXECDIR "/seccomp"
#define PROGRAM_MAX (256U * 1024U)
#define SAID_MAX    4096U

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

        /* The profile of a payload for which the spec sets no profile. */
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

/* The helper that compiles filters, with pipes for its standard output and standard error. */
typedef struct Compiler {
        pid_t pid;
        int program_fd, said_fd;
} Compiler;

static int compiler_start(const Strv arguments, Compiler *ret)
{
        int program[2], said[2];
        posix_spawn_file_actions_t actions;

        if (pipe2(program, O_CLOEXEC) < 0)
                return -errno;
        _cleanup_close_ int program_fd = program[0], program_peer_fd = program[1];
        if (pipe2(said, O_CLOEXEC) < 0)
                return -errno;
        _cleanup_close_ int said_fd = said[0], said_peer_fd = said[1];
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, program_peer_fd, STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&actions, said_peer_fd, STDERR_FILENO);
        int r = -posix_spawn(&ret->pid, HELPER, &actions, NULL, arguments, environ);
        posix_spawn_file_actions_destroy(&actions);
        if (r < 0)
                return r;
        ret->program_fd = TAKE_FD(program_fd);
        ret->said_fd = TAKE_FD(said_fd);
        return 0;
}

/* Reads the output to its end, and waits for the helper. Returns the exit status, or 128 and the number of
 * the signal. */
static int compiler_finish(Compiler *c, char **ret_program, size_t *ret_size, char **ret_said)
{
        _cleanup_close_ int program_fd = c->program_fd, said_fd = c->said_fd;
        int status, r, q;

        r = fd_read_all(program_fd, PROGRAM_MAX, ret_program, ret_size);
        q = fd_read_all(said_fd, SAID_MAX, ret_said, NULL);
        while (waitpid(c->pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        if (r < 0 || q < 0)
                return r < 0 ? r : q;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int compile(const Spec *spec, uint64_t capabilities, char **ret_program, size_t *ret_size,
                   char **ret_error)
{
        _cleanup_free_ char *program = NULL, *said = NULL;
        _cleanup_strv_ Strv arguments = NULL;
        Compiler compiler;
        int r;

        r = filter_arguments(spec, capabilities, &arguments);
        if (r >= 0)
                r = compiler_start(arguments, &compiler);
        if (r >= 0)
                r = compiler_finish(&compiler, &program, ret_size, &said);
        if (r < 0)
                return r;
        if (r > 0) {
                said[strcspn(said, "\n")] = 0;
                return set_failure(ret_error, -EINVAL, "%s",
                                   said[0] ? said : "The compiler of system call filters has failed.");
        }
        *ret_program = TAKE_PTR(program);
        return 0;
}

static bool is_program(size_t size)
{
        return size > 0 && size % sizeof(struct sock_filter) == 0;
}

int filter_read(const Scope *scope, const Spec *spec, uint64_t capabilities, const char *name,
                void **ret_program, size_t *ret_size, char **ret_error)
{
        _cleanup_free_ char *shipped = strf(SHIPPED_DIR "/%s.bpf", name), *cached = strf("%s.bpf", name),
                            *cache = strf("%s/seccomp", scope->cache_dir), *program = NULL;
        size_t size;
        int r;

        if (!shipped || !cached || !cache)
                return -ENOMEM;
        r = file_read_at(AT_FDCWD, shipped, PROGRAM_MAX, &program, &size);
        if (r == -ENOENT) {
                _cleanup_close_ int cache_fd = dir_open_or_make_at(AT_FDCWD, cache, 0700);
                r = cache_fd < 0 ? cache_fd : file_read_at(cache_fd, cached, PROGRAM_MAX, &program, &size);
                if (r < 0 || !is_program(size)) {
                        free(TAKE_PTR(program));
                        r = compile(spec, capabilities, &program, &size, ret_error);
                        /* A cache that cannot be written costs time, but does not fail the start. */
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

/* An instruction of zeros ends a program. No compiler makes this instruction, a load of nothing. */
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

int filter_load_shipped(const char *name)
{
        _cleanup_free_ char *path = strf(SHIPPED_DIR "/%s.bpf", name), *program = NULL;
        size_t size;
        int r;

        OOM_CHECK(path);
        r = file_read_at(AT_FDCWD, path, PROGRAM_MAX, &program, &size);
        if (r < 0)
                return r;
        if (!is_program(size))
                return -EBADMSG;
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : filter_load(program, size);
}
