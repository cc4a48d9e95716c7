/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "basic/log.h"
#include "basic/process.h"
#include "basic/rootfs.h"
#include "basic/socket.h"
#include "basic/syscalls.h"
#include "basic/time.h"
#include "launch/changes.h"
#include "launch/child.h"
#include "launch/journal.h"
#include "launch/launch.h"
#include "launch/program.h"
#include "launch/root.h"
#include "sandbox/cgroup.h"
#include "sandbox/console.h"
#include "sandbox/filter.h"
#include "sandbox/limits.h"
#include "sandbox/link.h"
#include "sandbox/mounts.h"
#include "sandbox/notify.h"
#include "sandbox/users.h"

/* For the test that kills the launcher at each of its steps: $MCTL_LAUNCH_KILL_AT is the number of the step. Only
 * the unit's own settings can put that into our environment, and these are root's. */
static void checkpoint(void)
{
        static int step;
        const char *e = getenv("MCTL_LAUNCH_KILL_AT");

        step++;
        if (e && atoi(e) == step)
                raise(SIGKILL);
}

/* Under the lock: all claims, and the record that makes them count. -EAGAIN when the range has been taken meanwhile. */
static int claim_all(const Spec *spec, MachineUnitKind kind, int run_fd, int machine_fd, const char *holder,
                     Record *record)
{
        _cleanup_free_ char *unit = NULL, *error = NULL;
        char users[CLAIM_MAX];
        int r;

        _cleanup_close_ int lock_fd = run_dir_lock(run_fd, true);
        if (lock_fd < 0)
                return log_error_errno(lock_fd, "Failed to lock '%s'", RUN_DIR);

        /* The other door to the same name. */
        r = machine_is_running(
                run_fd, kind == MACHINE_UNIT_TEMPLATE ? MACHINE_UNIT_TRANSIENT : MACHINE_UNIT_TEMPLATE,
                spec->name, &unit);
        if (r < 0)
                return log_error_errno(r, "Failed to look for other machines");
        if (r > 0)
                return log_error_return(-EBUSY, "Machine '%s' is already running, as %s.", spec->name, unit);

        r = claim_look_image(run_fd, spec, record->root, holder, record->image_claim, &error);
        if (r == 0 && record->image_claim[0])
                r = claim_take(run_fd, record->image_claim, holder);
        if (r < 0)
                return error ? log_error_return(r, "%s", error)
                             : log_error_errno(r, "Failed to claim the image");

        if (spec->private_users.mode == USERS_PICK) {
                claim_users_path(spec->private_users.base, users);
                r = claim_look(run_fd, users, holder, NULL);
                if (r == -EBUSY)
                        return -EAGAIN;
                if (r == 0)
                        r = claim_take(run_fd, users, holder);
                if (r < 0)
                        return log_error_errno(r, "Failed to claim a range of user ids");
        }

        record->leader = getpid();
        record->since = now_usec(CLOCK_REALTIME);
        record->base = users_root(&spec->private_users);
        r = process_start_time(record->leader, &record->start_time);
        if (r >= 0)
                r = record_write(machine_fd, record);
        return r < 0 ? log_error_errno(r, "Failed to record the start of the machine") : 0;
}

int launch_claim(Spec *spec, MachineUnitKind kind, int run_fd, int machine_fd, Record *record)
{
        _cleanup_free_ char *holder = machine_dir_path(kind, spec->name);
        unsigned attempt = 0;
        int r;

        if (!holder)
                return log_oom();
        do {
                if (spec->private_users.mode == USERS_PICK) {
                        r = users_propose_range(run_fd, holder, &attempt, &spec->private_users.base);
                        if (r < 0)
                                return log_error_errno(r, "Failed to find a free range of user ids");
                }
                r = claim_all(spec, kind, run_fd, machine_fd, holder, record);
        } while (r == -EAGAIN);
        return r;
}

/* Everything that the launcher holds on its way. */
typedef struct Launch {
        const Plan *plan;
        char *unit;
        int machine_fd; /* the caller's */
        int root_fd;    /* the tree that is to be the root */
        const Tree *tree;
        int userns_fd;
        int unit_fd, payload_fd;
        int control_fd; /* cgroup.subtree_control */
        int self_fd;    /* our pidfd, for the child to see us go */
        int channel_fd, child_channel_fd;
        ConsoleMode console; /* as planned, or pipe */
        int console_fd;      /* to the registry */
        char *controllers;
        void *filter;
        size_t filter_size;
        pid_t pid;
} Launch;

static void launch_clear(Launch *l)
{
        fd_close(l->root_fd);
        fd_close(l->userns_fd);
        fd_close(l->unit_fd);
        fd_close(l->payload_fd);
        fd_close(l->control_fd);
        fd_close(l->self_fd);
        fd_close(l->channel_fd);
        fd_close(l->child_channel_fd);
        fd_close(l->console_fd);
        free(l->controllers);
        free(l->unit);
        free(l->filter);
}

/* A network that is there already is joined before the child is born into it. */
static int join_network(Launch *l)
{
        const char *path = l->plan->spec->namespace_path;

        if (!path)
                return 0;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return log_error_errno(-errno, "Failed to open the network namespace '%s'", path);
        if (setns(fd, CLONE_NEWNET) < 0)
                return log_error_errno(-errno, "Failed to join the network namespace '%s'", path);
        return 0;
}

static int prepare_filter(Launch *l)
{
        const Plan *plan = l->plan;
        int r;

        if (!plan->filter)
                return 0;
        r = filter_read(plan->spec, plan->capabilities, plan->filter, &l->filter, &l->filter_size);
        if (r == -EINVAL)
                return r; /* the compiler has said why */
        return r < 0 ? log_error_errno(r, "Failed to read or make the system call filter '%s'", plan->filter)
                     : 0;
}

/* Nobody is kept from starting for want of a registry. */
static void prepare_console(Launch *l)
{
        l->console = l->plan->console;
        if (l->console != CONSOLE_PTY)
                return;
        l->console_fd = console_connect();
        if (l->console_fd >= 0)
                return;
        log_warning_errno(l->console_fd, "The machine has no console: failed to connect to '" CONSOLE_SOCKET
                                         "' (is mctl-registryd.socket running?)");
        l->console = CONSOLE_PIPE;
}

static int prepare_cgroup(Launch *l)
{
        int r;

        l->unit_fd = cgroup_open_own_unit();
        if (l->unit_fd == -ENOMEDIUM)
                return log_error_return(-ENOMEDIUM,
                                        "The unified cgroup hierarchy is not mounted on /sys/fs/cgroup; "
                                        "mctl needs it.");
        if (l->unit_fd < 0)
                return log_error_errno(l->unit_fd, "Failed to open the cgroup of the unit");

        l->payload_fd = cgroup_make_payload(l->unit_fd, users_root(&l->plan->spec->private_users));
        if (l->payload_fd < 0)
                return log_error_errno(l->payload_fd, "Failed to make the cgroup of the payload");
        r = cgroup_read_controllers(l->unit_fd, &l->controllers);
        if (r < 0)
                return log_error_errno(r, "Failed to read the controllers of the unit");
        l->control_fd = openat(l->unit_fd, "cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
        if (l->control_fd < 0)
                return log_error_errno(-errno, "Failed to open 'cgroup.subtree_control'");
        return 0;
}

/* The child is born into its cgroup and its namespaces. CLONE_PARENT makes it a child of the service manager, which
 * must be able to wait for what is to be its main process. Mount and cgroup namespaces come later: the one is a copy
 * of the finished tree, the other has the cgroup of its maker as its root. */
static int start_child(Launch *l)
{
        int channel[2];

        l->self_fd = pidfd_open(getpid(), 0);
        if (l->self_fd < 0)
                return log_error_errno(-errno, "Failed to open a pidfd");
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0)
                return log_error_errno(-errno, "Failed to make a channel to the first process");
        l->channel_fd = channel[0];
        l->child_channel_fd = channel[1];

        const struct clone_args args = {
                .flags = CLONE_PARENT | CLONE_INTO_CGROUP |
                         (l->plan->namespaces & ~(CLONE_NEWNS | CLONE_NEWCGROUP)),
                .exit_signal = 0, /* required with CLONE_PARENT: the parent's own is taken */
                .cgroup = l->payload_fd,
        };
        l->pid = sys_clone3(&args);
        if (l->pid < 0)
                return log_error_errno(-errno, "Failed to create the namespaces of the machine");
        if (l->pid == 0) {
                fd_close(l->channel_fd);
                child_main(&(Child){
                        .plan = l->plan,
                        .console = l->console,
                        .channel_fd = l->child_channel_fd,
                        .launcher_fd = l->self_fd,
                        .control_fd = l->control_fd,
                        .controllers = l->controllers,
                        .filter = l->filter,
                        .filter_size = l->filter_size,
                });
        }
        l->child_channel_fd = fd_close(l->child_channel_fd);
        return 0;
}

static int map_users(Launch *l)
{
        const PrivateUsers *users = &l->plan->spec->private_users;
        char path[64];
        int r;

        if (users->mode == USERS_HOST)
                return 0;
        r = users_write_maps(l->pid, users);
        if (r < 0)
                return log_error_errno(r, "Failed to map user ids");
        if (users->mode == USERS_IDENTITY)
                return 0;

        snprintf(path, sizeof(path), "/proc/%i/ns/user", l->pid);
        l->userns_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (l->userns_fd < 0)
                return log_error_errno(-errno, "Failed to open the user namespace");
        return 0;
}

/* What procfs, sysfs and mqueue show are the namespaces of who mounts them. We stay in our own processes' namespace;
 * only our children are in the other. */
static int enter_namespaces(Launch *l)
{
        _cleanup_close_ int fd = pidfd_open(l->pid, 0);

        if (fd < 0 || setns(fd, CLONE_NEWPID | CLONE_NEWIPC | (l->plan->namespaces & CLONE_NEWNET)) < 0)
                return log_error_errno(-errno, "Failed to enter the namespaces of the machine");
        return 0;
}

/* Fills the tree. */
static int build_tree(Launch *l)
{
        const Plan *plan = l->plan;
        Site site = {
                .image_fd = l->tree->fd,
                .userns_fd = l->userns_fd,
                .base = users_root(&plan->spec->private_users),
        };
        const Step *step = NULL;
        int r;

        _cleanup_close_ int changes_fd = plan->spec->volatile_mode == VOLATILE_DISK
                                                 ? changes_open(l->unit, l->machine_fd, site.base)
                                                 : -EBADF;
        if (changes_fd < 0 && changes_fd != -EBADF)
                return log_error_errno(changes_fd, "Failed to make '" CHANGES_DIR "/%s'", l->unit);
        r = root_make(plan, l->tree, l->userns_fd, changes_fd, site.base, &l->root_fd);
        if (r < 0)
                return r;
        site.root_fd = l->root_fd;
        r = mounts_carry_out(plan->host_steps, plan->n_host_steps, &site, &step);
        if (r == -EINVAL && step->kind == STEP_BIND && step->entry && step->entry->id_map != ID_MAP_NONE)
                return log_error_return(
                        r,
                        "Failed to bind '%s': its file system does not support id-mapped mounts "
                        "here. With the option noidmap, owners stay what they are on the host.",
                        step->source);
        if (r == -EINVAL && step->kind == STEP_OVERLAY)
                return log_error_return(
                        r,
                        "Failed to lay '%s' over others: the file system of a layer does not "
                        "support id-mapped mounts here, or cannot be a layer.",
                        step->target);
        if (r < 0)
                return log_error_errno(r, "Failed to set up '%s'%s%s%s", step->target,
                                       step->source ? " from '" : "", step->source ?: "",
                                       step->source ? "'" : "");
        return 0;
}

/* What is set for a process from outside, since it may take more than the container's root has. */
static int limit_child(Launch *l)
{
        const Spec *spec = l->plan->spec;
        int r;

        r = limits_apply(l->pid, spec);
        if (r < 0)
                return log_error_errno(r, "Failed to set resource limits, OOM score or CPU affinity");
        STRV_FOREACH (s, spec->interface) {
                r = link_move(*s, l->pid);
                if (r < 0)
                        return log_error_errno(r, "Failed to move interface '%.*s' into the machine",
                                               (int) strcspn(*s, ":"), *s);
        }
        return 0;
}

/* Whoever is gone has said why. */
static int say(Launch *l, char byte, int fd)
{
        return socket_send(l->channel_fd, &byte, 1, fd);
}

/* Waits until the child is ready. ret_status is set where its program is why it is not. */
static int hear_ready(Launch *l, int *ret_status)
{
        char c;
        int fd, r = socket_receive(l->channel_fd, &c, 1, &fd);

        if (r > 0 && c == PROGRAM_TERMINAL) {
                _cleanup_close_ int master_fd = fd;
                r = console_send(l->console_fd, l->unit, master_fd);
                if (r < 0) {
                        /* The registry was started anew meanwhile. */
                        fd_close(l->console_fd);
                        l->console_fd = console_connect();
                        r = l->console_fd < 0 ? l->console_fd
                                              : console_send(l->console_fd, l->unit, master_fd);
                }
                if (r < 0)
                        log_warning_errno(r, "Failed to hand the console over to the registry");
                r = socket_receive(l->channel_fd, &c, 1, &fd);
        }
        if (r <= 0)
                return r < 0 ? r : -EPIPE;
        if (c == CHILD_IS_READY)
                return 0;
        *ret_status = (unsigned char) c;
        return -ENOEXEC;
}

static int hand_over(Launch *l)
{
        char message[256];
        int r;

        snprintf(message, sizeof(message), "MAINPID=%i\n%s", l->pid,
                 l->plan->forward_ready ? "STATUS=The system inside is starting." : "READY=1\nSTATUS=");
        r = notify_manager(message, true);
        if (r < 0)
                return log_error_errno(r, "Failed to hand the machine over to systemd");
        return 0;
}

/* UNIT= names the unit, since we may be gone before the journal looks where the entry came from. */
static void log_lifecycle(const char *message_id, const char *event, MachineUnitKind kind, const char *name,
                          pid_t leader, const char *root)
{
        _cleanup_free_ char *unit = machine_unit_name(kind, name);
        _cleanup_free_ char *lines = strf(
                "MESSAGE_ID=%s\nPRIORITY=6\nSYSLOG_IDENTIFIER=mctl-launch\n"
                "MESSAGE=Machine %s %s.\nNAME=%s\nMACHINE=%s\nUNIT=%s\nINVOCATION_ID=%s\n"
                "LEADER=%i\nIMAGE=%s\n",
                message_id, name, event, name, name, strna(unit), getenv("INVOCATION_ID") ?: "", leader,
                strna(root));
        if (lines)
                (void) journal_send(lines);
}

int launch_run(const Plan *plan, MachineUnitKind kind, int machine_fd, const Tree *tree, Record *record,
               int *ret_status)
{
        _cleanup_(launch_clear) Launch l = {
                .plan = plan,
                .unit = machine_unit_name(kind, plan->spec->name),
                .machine_fd = machine_fd,
                .root_fd = -EBADF,
                .tree = tree,
                .userns_fd = -EBADF,
                .unit_fd = -EBADF,
                .payload_fd = -EBADF,
                .control_fd = -EBADF,
                .self_fd = -EBADF,
                .channel_fd = -EBADF,
                .child_channel_fd = -EBADF,
                .console_fd = -EBADF,
        };
        int r;

        if (!l.unit)
                return log_oom();
        umask(0);
        r = journal_link(plan->spec, plan->root, plan->uuid);
        if (r < 0)
                return r;
        checkpoint();
        r = prepare_filter(&l);
        if (r < 0)
                return r;
        prepare_console(&l);
        checkpoint();
        r = join_network(&l);
        if (r >= 0)
                r = prepare_cgroup(&l);
        if (r < 0)
                return r;
        checkpoint();
        r = start_child(&l);
        if (r < 0)
                return r;
        checkpoint();
        r = map_users(&l);
        if (r >= 0)
                r = limit_child(&l);
        if (r >= 0)
                r = enter_namespaces(&l);
        if (r >= 0)
                r = build_tree(&l);
        if (r < 0)
                return r;
        checkpoint();
        r = say(&l, CHILD_MAY_ENTER, l.root_fd);
        if (r >= 0)
                r = hear_ready(&l, ret_status);
        if (r < 0)
                return r;
        checkpoint();

        record->leader = l.pid;
        record->handed_over = true;
        snprintf(record->tree, sizeof(record->tree), "%s", tree->id);
        r = process_start_time(l.pid, &record->start_time);
        if (r >= 0)
                r = record_write(machine_fd, record);
        if (r < 0)
                return log_error_errno(r, "Failed to record the leader of the machine");
        checkpoint();
        r = hand_over(&l);
        if (r < 0)
                return r;
        checkpoint();
        log_lifecycle(MESSAGE_ID_MACHINE_START, "started", kind, plan->spec->name, l.pid, plan->root);
        return say(&l, CHILD_MAY_EXEC, -EBADF);
}

int launch_cleanup(MachineUnitKind kind, const char *name)
{
        _cleanup_free_ char *holder = machine_dir_path(kind, name), *unit = machine_unit_name(kind, name);
        _cleanup_record_ Record record = {};
        char users[CLAIM_MAX];
        int r, q = 0;

        if (!holder || !unit)
                return log_oom();

        _cleanup_close_ int unit_fd = cgroup_open_own_unit();
        if (unit_fd >= 0) {
                q = cgroup_remove_payload(unit_fd);
                if (q < 0)
                        log_warning_errno(q, "Failed to remove the cgroup of the payload");
        }

        _cleanup_close_ int run_fd = run_dir_open();
        _cleanup_close_ int lock_fd = run_fd < 0 ? run_fd : run_dir_lock(run_fd, true);
        if (lock_fd < 0)
                return log_error_errno(lock_fd, "Failed to lock '%s'", RUN_DIR);
        _cleanup_close_ int machine_fd = machine_dir_open(run_fd, kind, name, false);
        if (machine_fd < 0)
                return machine_fd == -ENOENT
                               ? q
                               : log_error_errno(machine_fd, "Failed to open '%s/%s'", RUN_DIR, holder);

        r = changes_end(unit, machine_fd);
        if (r < 0)
                log_warning_errno(r, "Failed to remove '" CHANGES_DIR "/%s'", unit);
        r = record_read(machine_fd, &record);
        if (r == -ENOENT)
                return q;
        if (r < 0)
                log_warning_errno(r, "Failed to read the record of machine '%s'", name);
        else {
                if (record.handed_over)
                        log_lifecycle(MESSAGE_ID_MACHINE_STOP, "terminated", kind, name, record.leader,
                                      record.root);
                if (record.root)
                        journal_unlink(record.root, record.uuid);
                claim_users_path(record.base, users);
                r = claim_release(run_fd, users, holder);
                if (r >= 0 && record.image_claim[0])
                        r = claim_release(run_fd, record.image_claim, holder);
                if (r < 0)
                        log_warning_errno(r, "Failed to give back the user ids and the image");
        }
        if (unlinkat(machine_fd, "leader", 0) < 0 && errno != ENOENT)
                return log_error_errno(-errno, "Failed to remove the record of machine '%s'", name);
        return q;
}
