/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launch/program.h"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "basic/failure.h"
#include "basic/fd.h"
#include "basic/rootfs.h"
#include "basic/socket.h"
#include "sandbox/filter.h"
#include "sandbox/privileges.h"
#include "sandbox/users.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

int program_join_keyring(void)
{
        return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS ? -errno : 0;
}

int program_open_terminal(int socket_fd, bool controlling, char **ret_error)
{
        int unlock = 0, r;

        _cleanup_close_ int master_fd = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (master_fd < 0 || ioctl(master_fd, TIOCSPTLCK, &unlock) < 0)
                return set_failure_errno(ret_error, -errno, "Failed to make a terminal");
        _cleanup_close_ int slave_fd = ioctl(master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave_fd < 0)
                return set_failure_errno(ret_error, -errno, "Failed to open the terminal");
        r = socket_send(socket_fd, &(char){ PROGRAM_TERMINAL }, 1, master_fd);
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to send the terminal to its user");
        if (controlling && ioctl(slave_fd, TIOCSCTTY, 0) < 0)
                return set_failure_errno(ret_error, -errno, "Failed to take the terminal");
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (dup2(slave_fd, fd) < 0)
                        return set_failure_errno(ret_error, -errno, "Failed to connect to the terminal");
        return 0;
}

int program_replace_null(char **ret_error)
{
        struct stat st;

        for (int fd = 0; fd <= 2; fd++) {
                if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
                        continue;
                _cleanup_close_ int null_fd = open("/dev/null", O_RDWR | O_NOCTTY | O_CLOEXEC);
                if (null_fd < 0 || dup2(null_fd, fd) < 0)
                        return set_failure_errno(ret_error, -errno,
                                                 "Failed to open '/dev/null' in the machine");
        }
        return 0;
}

void program_reset_signals(void)
{
        sigset_t none;

        (void) signal(SIGPIPE, SIG_DFL);
        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Sets the environment of a user other than root, except for variables of the spec. */
static int set_person_environment(const Person *person, Strv *environment)
{
        const struct {
                const char *name, *value;
        } variables[] = {
                { "HOME", person->home ?: "/" },
                { "USER", person->name },
                { "LOGNAME", person->name },
                { "SHELL", person->shell },
        };

        for (size_t i = 0; i < ELEMENTSOF(variables); i++) {
                _cleanup_free_ char *assignment = NULL;
                if (!variables[i].value || strv_env_get(*environment, variables[i].name))
                        continue;
                assignment = strf("%s=%s", variables[i].name, variables[i].value);
                int r = assignment ? strv_append(environment, assignment) : -ENOMEM;
                if (r < 0)
                        return r;
        }
        return 0;
}

int program_enter_directory(const char *path)
{
        _cleanup_close_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return -errno;
        _cleanup_close_ int dir_fd = rootfs_open(root_fd, path, O_PATH | O_DIRECTORY);
        return dir_fd < 0 ? dir_fd : RET_NERRNO(fchdir(dir_fd));
}

int program_become(const Spec *spec, uint64_t capabilities, Person *person, Strv *environment,
                   char **ret_error)
{
        int r;

        if (spec->user) {
                _cleanup_close_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
                r = root_fd < 0 ? -errno : person_find(root_fd, spec->user, person);
                if (r == -ESRCH)
                        return set_failure(ret_error, r, "There is no user '%s' in the machine.",
                                           spec->user);
                if (r >= 0)
                        r = set_person_environment(person, environment);
                if (r < 0)
                        return set_failure_errno(ret_error, r, "Failed to find user '%s' in the machine",
                                                 spec->user);
        }
        r = program_enter_directory(spec->working_directory ?: "/");
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to enter '%s' in the machine",
                                         spec->working_directory ?: "/");
        r = privileges_become(person, capabilities);
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to become user '%s' in the machine",
                                         spec->user ?: "root");
        (void) prctl(PR_SET_DUMPABLE, 0);
        if (spec->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return set_failure_errno(ret_error, -errno, "Failed to set no-new-privileges");
        return 0;
}

int program_find(const char *name, const Strv environment, char **ret)
{
        const char *path = strv_env_get(environment, "PATH") ?: "/usr/bin:/bin";
        int r = -ENOENT;

        if (strchr(name, '/'))
                path = "";
        for (const char *p = path;; p += strcspn(p, ":"), p += *p == ':') {
                _cleanup_free_ char *program = *path ? strf("%.*s/%s", (int) strcspn(p, ":"), p, name)
                                                     : strdup(name);

                if (!program)
                        return -ENOMEM;
                if (access(program, X_OK) >= 0) {
                        *ret = TAKE_PTR(program);
                        return 0;
                }
                if (errno == EACCES)
                        r = -EACCES;
                if (!*p || !p[strcspn(p, ":")])
                        return r;
        }
}

int program_failed(const char *name, int error, char **ret_error)
{
        (void) set_failure_errno(ret_error, error, "Failed to execute '%s' in the machine", name);
        return error == -ENOENT ? STATUS_NO_PROGRAM : STATUS_CANNOT_EXECUTE;
}

/* A script whose interpreter is /proc/self/exe is run by this program, and can open it. If root inside is
 * the host's root, the script could then write to the program after this process has ended. So the process
 * runs a copy that cannot be changed. */
int program_seal(const Spec *spec, char *argv[])
{
        char target[PATH_MAX];
        struct stat st;
        ssize_t n;

        if (!users_root_is_host(&spec->private_users))
                return 0;
        n = readlink("/proc/self/exe", target, sizeof(target) - 1);
        if (n < 0)
                return -errno;
        target[n] = 0;
        if (startswith(target, "/memfd:"))
                return 0;

        _cleanup_close_ int exe_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        if (exe_fd < 0 || fstat(exe_fd, &st) < 0)
                return -errno;
        /* Kernels before 6.3 do not know MFD_EXEC, and do not need it. */
        int fd = memfd_create("mctl", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
        if (fd < 0 && errno == EINVAL)
                fd = memfd_create("mctl", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        _cleanup_close_ int copy_fd = fd;
        if (copy_fd < 0 || sendfile(copy_fd, exe_fd, NULL, st.st_size) != st.st_size ||
            fcntl(copy_fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return -errno;
        fexecve(copy_fd, argv, environ);
        return -errno;
}

void program_execute(const Program *p)
{
        _cleanup_free_ char *error = NULL;
        int r, status = p->status_on_failure;

        /* The last connections to the host: descriptors, system calls, capabilities. Descriptors are closed,
         * and not only marked as close-on-exec: the path of the program could lead through a descriptor. */
        if (close_range(3, ~0U, 0) < 0)
                _exit(status);
        r = p->filter ? filter_load(p->filter, p->filter_size) : 0;
        if (r >= 0)
                r = privileges_drop(p->person, p->capabilities, p->ambient);
        if (r < 0)
                (void) set_failure_errno(&error, r, "Failed to drop privileges");
        else {
                execve(p->path, p->argv, p->environment);
                status = program_failed(p->argv[0], -errno, &error);
        }
        p->last_words(strna(error));
        _exit(status);
}
