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

#include "basic/log.h"
#include "basic/rootfs.h"
#include "basic/syscalls.h"
#include "launch/child.h"
#include "sandbox/capability.h"
#include "sandbox/cgroup.h"
#include "sandbox/mounts.h"

#define ENABLE_TRIES 100

/* Waits for a byte. The end of the channel is the end of the launcher, and so ours. */
static void await(const Child *child, char expected)
{
        char c;
        ssize_t n;

        do
                n = read(child->channel_fd, &c, 1);
        while (n < 0 && errno == EINTR);
        if (n != 1 || c != expected)
                _exit(EXIT_FAILURE);
}

static int become_root(const Child *child)
{
        if (!(child->plan->namespaces & CLONE_NEWUSER))
                return 0;
        if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                return log_error_errno(-errno, "Failed to become root of the user namespace");
        return 0;
}

/* Makes the launcher's tree the root. Our own mount namespace is a copy of the launcher's, and for the kernel a less
 * privileged one, so all mounts in the copy are locked: below each other, and in their flags. The copy of the tree
 * itself must not be, to become the root; open_tree() makes such a one. Old procfs and sysfs are still there while
 * ours are mounted, as the kernel demands of a user namespace. */
static int enter_tree(const Child *child)
{
        const Plan *plan = child->plan;
        const Step *step;
        int r;

        if (fchdir(child->root_fd) < 0)
                return log_error_errno(-errno, "Failed to enter the root of the machine");
        if (unshare(CLONE_NEWNS | CLONE_NEWCGROUP) < 0)
                return log_error_errno(-errno, "Failed to create the mount and cgroup namespaces");

        _cleanup_close_ int tree_fd = mounts_clone_path(AT_FDCWD, ".");
        if (tree_fd < 0)
                return log_error_errno(tree_fd, "Failed to copy the tree");
        if (move_mount(tree_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return log_error_errno(-errno, "Failed to attach the tree");
        r = mounts_carry_out(plan->inner_steps, plan->n_inner_steps, tree_fd, 0, &step);
        if (r < 0)
                return log_error_errno(r, "Failed to set up '%s'", step->target);

        if (fchdir(tree_fd) < 0 || sys_pivot_root(".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
                return log_error_errno(-errno, "Failed to make the tree the root");

        struct mount_attr attr = { .propagation = MS_SHARED };
        if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0)
                return log_error_errno(-errno, "Failed to make mounts shared");
        if (chdir("/") < 0)
                return log_error_errno(-errno, "Failed to enter '/'");
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

/* Signals as a program expects them at its start; the launcher was started with systemd's. */
static void reset_signals(void)
{
        sigset_t none;

        for (int i = 1; i < _NSIG; i++)
                if (i != SIGKILL && i != SIGSTOP)
                        (void) signal(i, SIG_DFL);
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

void child_main(const Child *child)
{
        const Plan *plan = child->plan;
        int r;

        /* Nobody inside may look at this process while it still has to do with the host. */
        (void) prctl(PR_SET_DUMPABLE, 0);

        await(child, CHILD_MAY_ENTER);
        if (become_root(child) < 0 || enter_tree(child) < 0 || set_identity(plan) < 0)
                _exit(EXIT_FAILURE);
        umask(0022);
        if (setsid() < 0)
                log_debug("Already the leader of a session");
        reset_signals();
        r = capability_apply_bounding(plan->capabilities);
        if (r < 0) {
                log_error_errno(r, "Failed to limit capabilities");
                _exit(EXIT_FAILURE);
        }

        if (write(child->channel_fd, &(char){ CHILD_IS_READY }, 1) != 1)
                _exit(EXIT_FAILURE);
        await(child, CHILD_MAY_EXEC);
        (void) enable_controllers(child);

        if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
                _exit(EXIT_FAILURE);
        execve(plan->argv[0], plan->argv, plan->environment);
        r = -errno;
        log_error_errno(r, "Failed to execute '%s' in the machine", plan->argv[0]);
        _exit(r == -ENOENT ? 127 : 126);
}
