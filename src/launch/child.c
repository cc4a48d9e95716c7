/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <grp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "basic/failure.h"
#include "basic/fd.h"
#include "basic/socket.h"
#include "basic/syscalls.h"
#include "launch/child.h"
#include "launch/program.h"
#include "mount/tree.h"
#include "sandbox/cgroup.h"
#include "sandbox/limits.h"
#include "sandbox/mounts.h"

#define ENABLE_TRIES 100

/* Waits for a byte, and returns the descriptor that comes with the byte. When the channel closes, the
 * launcher has ended, and the child exits. */
static int await(const Child *child, char expected)
{
        char c;
        int fd;

        if (socket_receive(child->channel_fd, &c, 1, &fd) <= 0 || c != expected)
                _exit(EXIT_FAILURE);
        return fd;
}

static int become_root(const Child *child, char **ret_error)
{
        if (!(child->plan->namespaces & CLONE_NEWUSER))
                return 0;
        if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                return set_failure_errno(ret_error, -errno, "Failed to become root of the user namespace");
        (void) prctl(PR_SET_DUMPABLE, 0); /* a change of user resets the signal */
        return 0;
}

/* Makes the tree of the launcher the root. The mount namespace of the child is a copy of the launcher's, and
 * less privileged. So the kernel locks all mounts in the copy: their flags cannot change, and a mount cannot
 * be removed from above another. A locked mount cannot become the root, so open_tree() makes a copy that is
 * not locked. */
static int enter_tree(const Child *child, int root_fd, char **ret_error)
{
        const Plan *plan = child->plan;
        const Step *step;
        int r;

        if (fchdir(root_fd) < 0)
                return set_failure_errno(ret_error, -errno, "Failed to enter the root of the machine");
        if (unshare(CLONE_NEWNS | CLONE_NEWCGROUP) < 0)
                return set_failure_errno(ret_error, -errno,
                                         "Failed to create the mount and cgroup namespaces");

        _cleanup_close_ int tree_fd = mount_clone(AT_FDCWD, ".");
        if (tree_fd < 0)
                return set_failure_errno(ret_error, tree_fd, "Failed to copy the tree");
        if (move_mount(tree_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return set_failure_errno(ret_error, -errno, "Failed to attach the tree");
        r = mounts_carry_out(plan->inner_steps, plan->n_inner_steps,
                             &(Site){ .root_fd = tree_fd, .userns_fd = -EBADF }, &step);
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to set up '%s'", step->target);

        if (fchdir(tree_fd) < 0 || sys_pivot_root(".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
                return set_failure_errno(ret_error, -errno, "Failed to make the tree the root");

        struct mount_attr attr = { .propagation = MS_SHARED };
        if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0)
                return set_failure_errno(ret_error, -errno, "Failed to make mounts shared");
        return chdir("/") < 0 ? set_failure_errno(ret_error, -errno, "Failed to enter '/'") : 0;
}

static int bring_up_loopback(char **ret_error)
{
        struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };

        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
                return set_failure_errno(ret_error, -errno, "Failed to bring up the loopback interface");
        return 0;
}

static int set_identity(const Plan *plan, char **ret_error)
{
        if (sethostname(plan->hostname, strlen(plan->hostname)) < 0)
                return set_failure_errno(ret_error, -errno, "Failed to set the host name");
        return plan->namespaces & CLONE_NEWNET ? bring_up_loopback(ret_error) : 0;
}

/* The terminal has a number in /dev/pts. Programs know the terminal as /dev/console. */
static int bind_console(char **ret_error)
{
        _cleanup_close_ int target_fd = open("/dev/console", O_PATH | O_NOFOLLOW | O_CLOEXEC);
        _cleanup_close_ int tree_fd = target_fd < 0 ? -errno : mount_clone(STDIN_FILENO, "");
        int r = tree_fd < 0 ? tree_fd : mount_attach(tree_fd, target_fd);

        return r < 0 ? set_failure_errno(ret_error, r, "Failed to make the terminal '/dev/console'") : 0;
}

static int open_console(const Child *child, char **ret_error)
{
        int r;

        if (child->console == CONSOLE_PIPE) {
                (void) unlink("/dev/console"); /* if the plan has a console */
                return program_replace_null(ret_error);
        }
        r = program_open_terminal(child->console == CONSOLE_PTY ? child->channel_fd : STDIN_FILENO,
                                  !child->plan->spec->boot, ret_error);
        return r < 0 ? r : bind_console(ret_error);
}

/* Controllers cannot be enabled for the payload before the launcher has left the unit's cgroup, by its exit.
 * The kernel may take a moment longer than the pidfd. */
static void enable_controllers(const Child *child)
{
        struct pollfd p = { .fd = child->launcher_fd, .events = POLLIN };
        _cleanup_free_ char *error = NULL;
        int r;

        while (poll(&p, 1, -1) < 0 && errno == EINTR)
                ;
        for (unsigned i = 0;; i++) {
                r = cgroup_enable_controllers(child->control_fd, child->controllers);
                if (r != -EBUSY || i >= ENABLE_TRIES)
                        break;
                usleep(500);
        }
        if (r >= 0)
                return;
        (void) set_failure_errno(&error, r, "Failed to hand on the controllers of the cgroup");
        child->last_words(strna(error));
}

/* The launcher returns the text as the reason of the failure. A user at the terminal of the machine sees the
 * text, too. */
static _Noreturn void fail(const Child *child, bool on_terminal, int status, const char *error)
{
        char message[CHILD_MESSAGE_MAX];
        int n = snprintf(message, sizeof(message), "%c%c%s", CHILD_HAS_FAILED, status, strna(error));

        if (on_terminal)
                child->last_words(strna(error));
        (void) socket_send(child->channel_fd, message, MIN((size_t) n, sizeof(message) - 1), -EBADF);
        _exit(status);
}

/* Leaves the host, and enters the machine. */
static int enter(const Child *child, char **ret_error)
{
        int r;

        /* No process in the machine may inspect this process while it holds descriptors of the host. */
        (void) prctl(PR_SET_DUMPABLE, 0);
        r = program_join_keyring();
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to make a session key ring");
        r = fd_close_others((const int[]){ child->channel_fd, child->launcher_fd, child->control_fd }, 3);
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to close descriptors");
        _cleanup_close_ int root_fd = await(child, CHILD_MAY_ENTER);
        r = become_root(child, ret_error);
        if (r >= 0)
                r = enter_tree(child, root_fd, ret_error);
        if (r < 0)
                return r;
        r = set_identity(child->plan, ret_error);
        umask(0022);
        /* A new session: no terminal of the host controls the process. */
        (void) setsid();
        return r;
}

/* Changes to the user of the program, and completes the environment. */
static int become(const Child *child, Person *person, Strv *environment, char **ret_error)
{
        const Plan *plan = child->plan;
        int r;

        program_reset_signals();
        *environment = strv_copy(plan->environment);
        OOM_CHECK(*environment);
        r = limits_apply_self(plan->spec);
        if (r < 0)
                return set_failure_errno(ret_error, r,
                                         "Failed to set resource limits, NUMA policy or personality");
        return program_become(plan->spec, plan->capabilities, person, environment, ret_error);
}

void child_main(const Child *child)
{
        const Plan *plan = child->plan;
        Strv environment = NULL;
        Person person = {};
        char *program = NULL, *error = NULL;
        int r;

        r = enter(child, &error);
        if (r >= 0)
                r = open_console(child, &error);
        if (r < 0)
                fail(child, false, EXIT_FAILURE, error ?: strerror(-r));
        bool on_terminal = child->console != CONSOLE_PIPE;
        r = become(child, &person, &environment, &error);
        if (r < 0)
                fail(child, on_terminal, EXIT_FAILURE, error ?: strerror(-r));
        /* Failures that can be found before the machine counts as started. */
        r = program_find(plan->argv[0], environment, &program);
        if (r < 0) {
                int status = program_failed(plan->argv[0], r, &error);
                fail(child, on_terminal, status, error);
        }
        if (socket_send(child->channel_fd, &(char){ CHILD_IS_READY }, 1, -EBADF) < 0)
                _exit(EXIT_FAILURE);
        (void) await(child, CHILD_MAY_EXEC);
        enable_controllers(child);

        program_execute(&(Program){
                .path = program,
                .argv = plan->argv,
                .environment = environment,
                .person = &person,
                .capabilities = plan->capabilities,
                .ambient = plan->spec->ambient_capability,
                .filter = child->filter,
                .filter_size = child->filter_size,
                .status_on_failure = EXIT_FAILURE,
                .last_words = child->last_words,
        });
}
