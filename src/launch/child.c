/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <grp.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "basic/log.h"
#include "basic/rootfs.h"
#include "basic/socket.h"
#include "basic/syscalls.h"
#include "launch/child.h"
#include "sandbox/cgroup.h"
#include "sandbox/filter.h"
#include "sandbox/limits.h"
#include "sandbox/mounts.h"
#include "sandbox/privileges.h"

#define ENABLE_TRIES 100

/* Waits for a byte, and returns the descriptor that comes with it. The end of the channel is the end of the launcher,
 * and so ours. */
static int await(const Child *child, char expected)
{
        char c;
        int fd;

        if (socket_receive_fd(child->channel_fd, &c, &fd) <= 0 || c != expected)
                _exit(EXIT_FAILURE);
        return fd;
}

static int become_root(const Child *child)
{
        if (!(child->plan->namespaces & CLONE_NEWUSER))
                return 0;
        if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                return log_error_errno(-errno, "Failed to become root of the user namespace");
        (void) prctl(PR_SET_DUMPABLE, 0); /* a change of user resets it */
        return 0;
}

/* Makes the launcher's tree the root. Our own mount namespace is a copy of the launcher's, and for the kernel a less
 * privileged one, so all mounts in the copy are locked: below each other, and in their flags. The copy of the tree
 * itself must not be, to become the root; open_tree() makes such a one. */
static int enter_tree(const Child *child, int root_fd)
{
        const Plan *plan = child->plan;
        const Step *step;
        int r;

        if (fchdir(root_fd) < 0)
                return log_error_errno(-errno, "Failed to enter the root of the machine");
        if (unshare(CLONE_NEWNS | CLONE_NEWCGROUP) < 0)
                return log_error_errno(-errno, "Failed to create the mount and cgroup namespaces");

        _cleanup_close_ int tree_fd = mounts_clone_path(AT_FDCWD, ".");
        if (tree_fd < 0)
                return log_error_errno(tree_fd, "Failed to copy the tree");
        if (move_mount(tree_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return log_error_errno(-errno, "Failed to attach the tree");
        r = mounts_carry_out(plan->inner_steps, plan->n_inner_steps,
                             &(Site){ .root_fd = tree_fd, .userns_fd = -EBADF }, &step);
        if (r < 0)
                return log_error_errno(r, "Failed to set up '%s'", step->target);

        if (fchdir(tree_fd) < 0 || sys_pivot_root(".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
                return log_error_errno(-errno, "Failed to make the tree the root");

        struct mount_attr attr = { .propagation = MS_SHARED };
        if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0)
                return log_error_errno(-errno, "Failed to make mounts shared");
        return chdir("/") < 0 ? log_error_errno(-errno, "Failed to enter '/'") : 0;
}

/* The terminal is one of the machine's own; its master goes to whoever holds the other end of our standard input. What
 * is said on it from here on is seen there. */
static int open_terminal(void)
{
        int unlock = 0, r;

        _cleanup_close_ int master_fd = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (master_fd < 0 || ioctl(master_fd, TIOCSPTLCK, &unlock) < 0)
                return log_error_errno(-errno, "Failed to make a terminal");
        _cleanup_close_ int slave_fd = ioctl(master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave_fd < 0)
                return log_error_errno(-errno, "Failed to open the terminal");
        r = socket_send_fd(STDIN_FILENO, 'T', master_fd);
        if (r < 0)
                return log_error_errno(r, "Failed to send the terminal to its user");
        if (ioctl(slave_fd, TIOCSCTTY, 0) < 0)
                return log_error_errno(-errno, "Failed to take the terminal");
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (dup2(slave_fd, fd) < 0)
                        return log_error_errno(-errno, "Failed to connect to the terminal");
        return 0;
}

static int bring_up_loopback(void)
{
        struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };

        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
                return log_error_errno(-errno, "Failed to bring up the loopback interface");
        return 0;
}

static int set_identity(const Plan *plan)
{
        if (sethostname(plan->hostname, strlen(plan->hostname)) < 0)
                return log_error_errno(-errno, "Failed to set the host name");
        return plan->namespaces & CLONE_NEWNET ? bring_up_loopback() : 0;
}

/* A program starts with what its maker ignored and blocked, and systemd has us ignore SIGPIPE (IgnoreSIGPIPE=). */
static void reset_signals(void)
{
        sigset_t none;

        (void) signal(SIGPIPE, SIG_DFL);
        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Controllers can be handed on to us only once the launcher has left the unit's cgroup, which it does by exiting.
 * The kernel may take a moment longer than the pidfd. */
static int enable_controllers(const Child *child)
{
        struct pollfd p = { .fd = child->launcher_fd, .events = POLLIN };
        int r;

        while (poll(&p, 1, -1) < 0 && errno == EINTR)
                ;
        for (unsigned i = 0;; i++) {
                r = cgroup_enable_controllers(child->control_fd, child->controllers);
                if (r != -EBUSY || i >= ENABLE_TRIES)
                        break;
                usleep(500);
        }
        if (r < 0)
                return log_warning_errno(r, "Failed to hand on the controllers of the cgroup");
        return 0;
}

/* The environment of another user, unless the spec says otherwise. */
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

/* Without following what procfs calls a link: /proc/self/fd would lead to whatever is open yet. */
static int enter_directory(const char *path)
{
        _cleanup_close_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return -errno;
        _cleanup_close_ int dir_fd = rootfs_open(root_fd, path, O_PATH | O_DIRECTORY);
        return dir_fd < 0 ? dir_fd : RET_NERRNO(fchdir(dir_fd));
}

/* Becomes who runs the program. */
static int become_person(const Plan *plan, Person *person, Strv *environment)
{
        const Spec *spec = plan->spec;
        int r;

        if (spec->user) {
                _cleanup_close_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
                r = root_fd < 0 ? -errno : person_find(root_fd, spec->user, person);
                if (r == -ESRCH)
                        return log_error_return(r, "There is no user '%s' in the machine.", spec->user);
                if (r >= 0)
                        r = set_person_environment(person, environment);
                if (r < 0)
                        return log_error_errno(r, "Failed to find user '%s' in the machine", spec->user);
        }
        r = enter_directory(spec->working_directory ?: "/");
        if (r < 0)
                return log_error_errno(r, "Failed to enter '%s' in the machine",
                                       spec->working_directory ?: "/");
        r = privileges_become(person, plan->capabilities);
        if (r < 0)
                return log_error_errno(r, "Failed to become user '%s' in the machine", spec->user ?: "root");
        (void) prctl(PR_SET_DUMPABLE, 0);
        if (spec->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return log_error_errno(-errno, "Failed to set no-new-privileges");
        return 0;
}

/* Finds the program, in $PATH of the machine where it has no slash. -EACCES for one that is not to be executed. The
 * caller frees it. */
static int find_program(const char *name, const Strv environment, char **ret)
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

/* Returns the exit status that says it. */
static int cannot_execute(const Child *child, int error)
{
        log_error_errno(error, "Failed to execute '%s' in the machine", child->plan->argv[0]);
        return error == -ENOENT ? CHILD_HAS_NO_PROGRAM : CHILD_CANNOT_EXECUTE;
}

/* Whoever is root on the host, too, owns the host's /dev/null, and could change it. The machine has its own. */
static int replace_null(void)
{
        struct stat st;

        for (int fd = 0; fd <= 2; fd++) {
                if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
                        continue;
                _cleanup_close_ int null_fd = open("/dev/null", O_RDWR | O_NOCTTY | O_CLOEXEC);
                if (null_fd < 0 || dup2(null_fd, fd) < 0)
                        return log_error_errno(-errno, "Failed to open '/dev/null' in the machine");
        }
        return 0;
}

void child_main(const Child *child)
{
        const Plan *plan = child->plan;
        Person person = {};
        Strv environment;
        char *program;
        int r;

        /* Nobody may look at this process while it still has to do with the host. */
        (void) prctl(PR_SET_DUMPABLE, 0);
        if (fd_close_others((const int[]){ child->channel_fd, child->launcher_fd, child->control_fd }, 3) <
            0)
                _exit(EXIT_FAILURE);

        _cleanup_close_ int root_fd = await(child, CHILD_MAY_ENTER);
        if (become_root(child) < 0 || enter_tree(child, root_fd) < 0 || set_identity(plan) < 0)
                _exit(EXIT_FAILURE);
        umask(0022);
        /* A session of our own: no terminal of the host controls it. */
        (void) setsid();
        (void) syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
        if (replace_null() < 0 || (plan->spec->terminal && open_terminal() < 0))
                _exit(EXIT_FAILURE);
        reset_signals();
        environment = strv_copy(plan->environment);
        if (!environment)
                _exit(EXIT_FAILURE);
        r = limits_apply_self(plan->spec);
        if (r < 0)
                log_error_errno(r, "Failed to set NUMA policy or personality");
        if (r < 0 || become_person(plan, &person, &environment) < 0)
                _exit(EXIT_FAILURE);

        /* What can be known before it counts as started. */
        r = find_program(plan->argv[0], environment, &program);
        if (r < 0) {
                r = cannot_execute(child, r);
                (void) socket_send_fd(child->channel_fd, r, -EBADF);
                _exit(r);
        }
        if (socket_send_fd(child->channel_fd, CHILD_IS_READY, -EBADF) < 0)
                _exit(EXIT_FAILURE);
        (void) await(child, CHILD_MAY_EXEC);
        (void) enable_controllers(child);

        /* The last doors to the host: descriptors (closed, not only marked so: the path of the program could lead
         * through one), system calls, capabilities. */
        if (close_range(3, ~0U, 0) < 0)
                _exit(EXIT_FAILURE);
        r = child->filter ? filter_load(child->filter, child->filter_size) : 0;
        if (r >= 0)
                r = privileges_drop(&person, plan->capabilities, plan->spec->ambient_capability);
        if (r < 0) {
                log_error_errno(r, "Failed to drop privileges");
                _exit(EXIT_FAILURE);
        }
        execve(program, plan->argv, environment);
        _exit(cannot_execute(child, -errno));
}
