/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "basic/capability.h"
#include "basic/failure.h"
#include "basic/parse.h"
#include "basic/process.h"
#include "basic/rootfs.h"
#include "basic/socket.h"
#include "basic/syscalls.h"
#include "basic/time.h"
#include "launch/changes.h"
#include "launch/child.h"
#include "launch/journal.h"
#include "launch/launch.h"
#include "launch/notify.h"
#include "launch/program.h"
#include "launch/root.h"
#include "mount/id-map.h"
#include "sandbox/cgroup.h"
#include "sandbox/filter.h"
#include "sandbox/limits.h"
#include "sandbox/link.h"
#include "sandbox/mounts.h"
#include "sandbox/notify.h"
#include "sandbox/users.h"
#include "state/handover.h"

/* For the test that kills the launcher at each of its steps: $MCTL_LAUNCH_KILL_AT is the number of the step.
 * The environment comes from the settings of the unit, which only root can change. */
static void checkpoint(void)
{
        static int step;
        const char *e = getenv("MCTL_LAUNCH_KILL_AT");

        step++;
        if (e && atoi(e) == step)
                raise(SIGKILL);
}

/* Makes all claims, and writes the record that makes the claims valid. Called under the lock. -EAGAIN if
 * another machine has claimed the range in the meantime. */
static int claim_all(const Spec *spec, MachineUnitKind kind, int run_fd, int machine_fd, const char *holder,
                     Record *record, char **ret_error)
{
        _cleanup_free_ char *unit = NULL;
        char users[CLAIM_MAX];
        int r;

        _cleanup_close_ int lock_fd = run_dir_lock(run_fd, true);
        if (lock_fd < 0)
                return set_failure_errno(ret_error, lock_fd, "Failed to lock the runtime directory");

        /* The unit of the other kind, which could run the same machine. */
        r = machine_is_running(
                run_fd, kind == MACHINE_UNIT_TEMPLATE ? MACHINE_UNIT_TRANSIENT : MACHINE_UNIT_TEMPLATE,
                spec->name, &unit);
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to look for other machines");
        if (r > 0)
                return set_failure(ret_error, -EBUSY, "Machine '%s' is already running, as %s.", spec->name,
                                   unit);

        r = claim_look_image(run_fd, spec, record->root, holder, record->image_claim, ret_error);
        if (r == 0 && record->image_claim[0])
                r = claim_take(run_fd, record->image_claim, holder);
        if (r < 0)
                return *ret_error ? r : set_failure_errno(ret_error, r, "Failed to claim the image");

        if (spec->private_users.mode == USERS_PICK) {
                claim_users_path(spec->private_users.base, users);
                r = claim_look(run_fd, users, holder, NULL);
                if (r == -EBUSY)
                        return -EAGAIN;
                if (r == 0)
                        r = claim_take(run_fd, users, holder);
                if (r < 0)
                        return set_failure_errno(ret_error, r, "Failed to claim a range of user ids");
        }

        record->leader = getpid();
        record->since = now_usec(CLOCK_REALTIME);
        record->base = users_root(&spec->private_users);
        r = process_start_time(record->leader, &record->start_time);
        if (r >= 0)
                r = record_write(machine_fd, record);
        return r < 0 ? set_failure_errno(ret_error, r, "Failed to record the start of the machine") : 0;
}

int launch_claim(const Scope *scope, Spec *spec, MachineUnitKind kind, int run_fd, int machine_fd,
                 Record *record, char **ret_error)
{
        _cleanup_free_ char *holder = machine_dir_path(kind, spec->name);
        unsigned attempt = 0;
        int r;

        if (!holder)
                return -ENOMEM;
        do {
                if (spec->private_users.mode == USERS_PICK) {
                        r = users_propose_range(scope, run_fd, holder, &attempt, &spec->private_users.base);
                        if (r < 0)
                                return set_failure_errno(ret_error, r,
                                                         "Failed to find a free range of user ids");
                }
                r = claim_all(spec, kind, run_fd, machine_fd, holder, record, ret_error);
        } while (r == -EAGAIN);
        return r;
}

/* The resources of the launcher during a start. */
typedef struct Launch {
        const Plan *plan;
        char *unit;
        int machine_fd; /* borrowed from the caller */
        int root_fd;    /* the tree that becomes the root */
        const Tree *tree;
        int userns_fd;
        int unit_fd, payload_fd;
        int control_fd; /* cgroup.subtree_control */
        int self_fd;    /* pidfd of the launcher: tells the child when the launcher exits */
        int channel_fd, child_channel_fd;
        ConsoleMode console; /* the mode of the plan, or CONSOLE_PIPE */
        int registry_fd;     /* a connection to the registry, or negative */
        int notify_fd;       /* the notification socket of the machine, or negative */
        bool ready_later;    /* the init reports when the machine is up */
        char *controllers;
        void *filter;
        size_t filter_size;
        pid_t pid;
        Record *record; /* borrowed from the caller */
        LaunchTell tell;
        char **ret_error; /* borrowed from the caller */
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
        fd_close(l->registry_fd);
        fd_close(l->notify_fd);
        free(l->controllers);
        free(l->unit);
        free(l->filter);
}

/* Reports a failure that does not fail the start. */
static void warn(LaunchTell tell, int error, const char *what)
{
        _cleanup_free_ char *text = NULL;

        (void) set_failure_errno(&text, error, "%s", what);
        tell(strna(text));
}

/* An existing network namespace is joined before the child is cloned into it. */
static int join_network(Launch *l)
{
        const char *path = l->plan->spec->namespace_path;

        if (!path)
                return 0;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return set_failure_errno(l->ret_error, -errno, "Failed to open the network namespace '%s'",
                                         path);
        if (setns(fd, CLONE_NEWNET) < 0)
                return set_failure_errno(l->ret_error, -errno, "Failed to join the network namespace '%s'",
                                         path);
        return 0;
}

static int prepare_filter(Launch *l)
{
        const Plan *plan = l->plan;
        int r;

        if (!plan->filter)
                return 0;
        r = filter_read(plan->scope, plan->spec, plan->capabilities, plan->filter, &l->filter,
                        &l->filter_size, l->ret_error);
        if (r < 0 && !*l->ret_error)
                return set_failure_errno(l->ret_error, r,
                                         "Failed to read or make the system call filter '%s'", plan->filter);
        return r;
}

/* A machine starts without a registry, too. */
static int prepare_registry(Launch *l)
{
        const Plan *plan = l->plan;

        l->console = plan->console;
        if (l->console == CONSOLE_PTY || plan->has_notify)
                l->registry_fd = handover_connect(plan->scope);
        if (l->console == CONSOLE_PTY && l->registry_fd < 0) {
                warn(l->tell, l->registry_fd,
                     "The machine has no console: failed to connect to the registry (is "
                     "mctl-registryd.socket running?)");
                l->console = CONSOLE_PIPE;
        }
        if (!plan->has_notify)
                return 0;
        l->notify_fd = notify_make(l->machine_fd, users_root(&plan->spec->private_users),
                                   &l->record->notify);
        return l->notify_fd < 0 ? set_failure_errno(l->ret_error, l->notify_fd,
                                                    "Failed to make a socket for notifications")
                                : 0;
}

static int prepare_cgroup(Launch *l)
{
        int r;

        l->unit_fd = cgroup_open_own_unit();
        if (l->unit_fd == -ENOMEDIUM)
                return set_failure(l->ret_error, -ENOMEDIUM,
                                   "The unified cgroup hierarchy is not mounted on /sys/fs/cgroup; "
                                   "mctl needs it.");
        if (l->unit_fd < 0)
                return set_failure_errno(l->ret_error, l->unit_fd, "Failed to open the cgroup of the unit");

        l->payload_fd = cgroup_make_payload(l->unit_fd, users_root(&l->plan->spec->private_users));
        if (l->payload_fd < 0)
                return set_failure_errno(l->ret_error, l->payload_fd,
                                         "Failed to make the cgroup of the payload");
        r = cgroup_read_controllers(l->unit_fd, &l->controllers);
        if (r < 0)
                return set_failure_errno(l->ret_error, r, "Failed to read the controllers of the unit");
        l->control_fd = openat(l->unit_fd, "cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
        if (l->control_fd < 0)
                return set_failure_errno(l->ret_error, -errno, "Failed to open 'cgroup.subtree_control'");
        return 0;
}

/* The kernel takes the effective user as the maker of a user namespace. All capabilities are kept. */
static int act_as_owner(uid_t owner)
{
        if (setresgid(-1, owner, -1) < 0 || setresuid(-1, owner, -1) < 0)
                return -errno;
        return capability_raise();
}

static int act_as_root(void)
{
        return setresuid(-1, 0, -1) < 0 || setresgid(-1, 0, -1) < 0 ? -errno : 0;
}

/* The child is cloned into its cgroup and its namespaces. With CLONE_PARENT, the child is a child of the
 * service manager, which can then wait for the new main process. The mount namespace and the cgroup
 * namespace come later: the one copies the finished tree, and the root of the other is the cgroup of its
 * maker. */
static int start_child(Launch *l)
{
        int channel[2], r;

        l->self_fd = pidfd_open(getpid(), 0);
        if (l->self_fd < 0)
                return set_failure_errno(l->ret_error, -errno, "Failed to open a pidfd");
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0)
                return set_failure_errno(l->ret_error, -errno,
                                         "Failed to make a channel to the first process");
        l->channel_fd = channel[0];
        l->child_channel_fd = channel[1];

        const struct clone_args args = {
                .flags = CLONE_PARENT | CLONE_INTO_CGROUP |
                         (l->plan->namespaces & ~(CLONE_NEWNS | CLONE_NEWCGROUP)),
                .exit_signal = 0, /* CLONE_PARENT requires 0, and takes the signal of the parent */
                .cgroup = l->payload_fd,
        };
        r = l->plan->namespaces & CLONE_NEWUSER
                    ? act_as_owner(users_namespace_owner(l->plan->scope, l->plan->spec))
                    : 0;
        l->pid = r < 0 ? r : RET_NERRNO(sys_clone3(&args));
        if (l->pid != 0 && act_as_root() < 0)
                l->pid = l->pid < 0 ? l->pid : -EPERM;
        if (l->pid < 0)
                return set_failure_errno(l->ret_error, l->pid,
                                         "Failed to create the namespaces of the machine");
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
                        .last_words = l->tell,
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
        r = id_map_write(l->pid, 0, users_root(users), users->size);
        if (r < 0)
                return set_failure_errno(l->ret_error, r, "Failed to map user ids");
        if (users->mode == USERS_IDENTITY)
                return 0;

        snprintf(path, sizeof(path), "/proc/%i/ns/user", l->pid);
        l->userns_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (l->userns_fd < 0)
                return set_failure_errno(l->ret_error, -errno, "Failed to open the user namespace");
        return 0;
}

/* procfs, sysfs and mqueue show the namespaces of the process that mounts them. The launcher stays in its
 * own PID namespace; only its children are in that of the machine. */
static int enter_namespaces(Launch *l)
{
        _cleanup_close_ int fd = pidfd_open(l->pid, 0);

        if (fd < 0 || setns(fd, CLONE_NEWPID | CLONE_NEWIPC | (l->plan->namespaces & CLONE_NEWNET)) < 0)
                return set_failure_errno(l->ret_error, -errno,
                                         "Failed to enter the namespaces of the machine");
        return 0;
}

/* Fills the tree. */
static int build_tree(Launch *l)
{
        const Plan *plan = l->plan;
        Site site = {
                .scope = plan->scope,
                .image_fd = l->tree->fd,
                .userns_fd = l->userns_fd,
                .base = users_root(&plan->spec->private_users),
        };
        const Step *step = NULL;
        int r;

        _cleanup_close_ int changes_fd = plan->spec->volatile_mode == VOLATILE_DISK
                                                 ? changes_open(plan->scope, l->unit, l->machine_fd,
                                                                site.base)
                                                 : -EBADF;
        if (changes_fd < 0 && changes_fd != -EBADF)
                return set_failure_errno(l->ret_error, changes_fd,
                                         "Failed to make the directory for the changes of '%s'", l->unit);
        r = root_make(plan, l->tree, l->userns_fd, changes_fd, site.base, &l->root_fd, l->ret_error);
        if (r < 0)
                return r;
        site.root_fd = l->root_fd;
        r = mounts_carry_out(plan->host_steps, plan->n_host_steps, &site, &step);
        if (r == -EINVAL && step->kind == STEP_BIND && step->entry && step->entry->id_map != ID_MAP_NONE)
                return set_failure(l->ret_error, r,
                                   "Failed to bind '%s': its file system does not support id-mapped mounts "
                                   "here. With the option noidmap, owners stay what they are on the host.",
                                   step->source);
        if (r == -EINVAL && step->kind == STEP_OVERLAY)
                return set_failure(l->ret_error, r,
                                   "Failed to lay '%s' over others: the file system of a layer does not "
                                   "support id-mapped mounts here, or cannot be a layer.",
                                   step->target);
        if (r < 0)
                return set_failure_errno(l->ret_error, r, "Failed to set up '%s'%s%s%s", step->target,
                                         step->source ? " from '" : "", step->source ?: "",
                                         step->source ? "'" : "");
        return 0;
}

/* Settings of a process that need more privileges than the container's root has, so the launcher makes them.
 */
static int limit_child(Launch *l)
{
        const Spec *spec = l->plan->spec;
        int r;

        r = limits_apply(l->pid, spec);
        if (r < 0)
                return set_failure_errno(l->ret_error, r,
                                         "Failed to set resource limits, OOM score or CPU affinity");
        STRV_FOREACH (s, spec->interface) {
                r = link_move(*s, l->pid);
                if (r < 0)
                        return set_failure_errno(l->ret_error, r,
                                                 "Failed to move interface '%.*s' into the machine",
                                                 (int) strcspn(*s, ":"), *s);
        }
        return 0;
}

static int say(Launch *l, char byte, int fd)
{
        return socket_send(l->channel_fd, &byte, 1, fd);
}

/* Sends the terminal of the machine to the registry. The service manager keeps the terminal as well: without
 * a registry, the terminal does not hang up. */
static void pass_console(Launch *l, int master_fd)
{
        struct stat st;

        if (fstat(master_fd, &st) >= 0 && notify_keep("console", master_fd) >= 0)
                l->record->console = st.st_dev;
        int r = handover_send_console(l->registry_fd, l->unit, master_fd);

        if (r < 0) {
                fd_close(l->registry_fd);
                l->registry_fd = handover_connect(l->plan->scope);
                r = l->registry_fd < 0 ? l->registry_fd
                                       : handover_send_console(l->registry_fd, l->unit, master_fd);
        }
        if (r < 0)
                warn(l->tell, r, "Failed to hand the console over to the registry");
}

/* The service manager keeps the socket, so that a later registry finds it. If no registry can start, no
 * process forwards READY=1, so the machine counts as up when its init has been started. */
static int pass_notify(Launch *l)
{
        int r;

        if (l->notify_fd < 0)
                return 0;
        r = notify_keep(NOTIFY_FILE, l->notify_fd);
        if (r < 0)
                return set_failure_errno(l->ret_error, r, "Failed to have systemd keep a socket");
        r = l->registry_fd < 0 ? l->registry_fd
                               : handover_send_notify(l->registry_fd, l->unit, l->pid, l->notify_fd);
        l->ready_later = r >= 0 && l->plan->forward_ready;
        if (r < 0)
                warn(l->tell, r, "The registry cannot tell when the machine is up: failed to reach it");
        return 0;
}

/* Waits until the child is ready. ret_status is set if the child sends an exit status. */
static int hear_ready(Launch *l, int *ret_status)
{
        char message[CHILD_MESSAGE_MAX + 1];

        for (;;) {
                int fd;
                ssize_t n = socket_receive(l->channel_fd, message, CHILD_MESSAGE_MAX, &fd);
                _cleanup_close_ int received_fd = fd;
                if (n <= 0)
                        return set_failure(l->ret_error, n < 0 ? (int) n : -EPIPE,
                                           "The first process of the machine has ended.");
                message[n] = 0;
                if (message[0] == CHILD_IS_READY)
                        return 0;
                if (message[0] == PROGRAM_TERMINAL) {
                        pass_console(l, received_fd);
                        continue;
                }
                *ret_status = n > 1 ? (unsigned char) message[1] : EXIT_FAILURE;
                return set_failure(l->ret_error, -ENOEXEC, "%s", n > 2 ? message + 2 : "");
        }
}

static int hand_over(Launch *l)
{
        char message[256];
        int r;

        snprintf(message, sizeof(message), "MAINPID=%i\n%s", l->pid,
                 l->ready_later ? "STATUS=The system inside is starting." : "READY=1\nSTATUS=");
        r = notify_manager(message, true);
        if (r < 0)
                return set_failure_errno(l->ret_error, r, "Failed to hand the machine over to systemd");
        return 0;
}

/* The message has the field UNIT=, since the launcher may have ended before the journal finds the unit of
 * the launcher. `boot_id` is the boot ID of a journal in the machine, or "". */
static void note_lifecycle(const char *message_id, const char *event, MachineUnitKind kind, const char *name,
                           pid_t leader, const char *root, const char *boot_id)
{
        char boot[33] = "";
        uint8_t id[16];

        if (parse_id128(boot_id, id) >= 0)
                for (size_t i = 0; i < sizeof(id); i++)
                        sprintf(boot + 2 * i, "%02x", id[i]);
        _cleanup_free_ char *unit = machine_unit_name(kind, name);
        _cleanup_free_ char *lines = strf(
                "MESSAGE_ID=%s\nPRIORITY=6\nSYSLOG_IDENTIFIER=mctl-launch\n"
                "MESSAGE=Machine %s %s.\nNAME=%s\nMACHINE=%s\nUNIT=%s\nINVOCATION_ID=%s\n"
                "LEADER=%i\nIMAGE=%s\n%s%s%s",
                message_id, name, event, name, name, strna(unit), getenv("INVOCATION_ID") ?: "", leader,
                strna(root), boot[0] ? "BOOT_ID=" : "", boot, boot[0] ? "\n" : "");
        if (lines)
                (void) journal_send(lines);
}

int launch_run(const Plan *plan, MachineUnitKind kind, int machine_fd, const Tree *tree, Record *record,
               LaunchTell tell, int *ret_status, char **ret_error)
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
                .registry_fd = -EBADF,
                .notify_fd = -EBADF,
                .record = record,
                .tell = tell,
                .ret_error = ret_error,
        };
        int r;

        if (!l.unit)
                return -ENOMEM;
        umask(0);
        r = journal_link(plan->spec, plan->root, plan->uuid, ret_error);
        if (r < 0)
                return r;
        checkpoint();
        r = prepare_filter(&l);
        if (r < 0)
                return r;
        r = prepare_registry(&l);
        if (r < 0)
                return r;
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
                return set_failure_errno(ret_error, r, "Failed to record the leader of the machine");
        checkpoint();
        r = pass_notify(&l);
        if (r >= 0)
                r = hand_over(&l);
        if (r < 0)
                return r;
        checkpoint();
        note_lifecycle(MESSAGE_ID_MACHINE_START, "started", kind, plan->spec->name, l.pid, plan->root,
                       plan->boot_id);
        return say(&l, CHILD_MAY_EXEC, -EBADF);
}

/* Releases all that the record of a machine names, after the end of the machine. */
static void release(const Record *record, int run_fd, MachineUnitKind kind, const char *name,
                    LaunchTell tell)
{
        _cleanup_free_ char *holder = machine_dir_path(kind, name);
        char users[CLAIM_MAX];
        int r = holder ? 0 : -ENOMEM;

        if (record->handed_over)
                note_lifecycle(MESSAGE_ID_MACHINE_STOP, "terminated", kind, name, record->leader,
                               record->root, "");
        if (record->root)
                journal_unlink(record->root, record->uuid);
        claim_users_path(record->base, users);
        if (r >= 0)
                r = claim_release(run_fd, users, holder);
        if (r >= 0 && record->image_claim[0])
                r = claim_release(run_fd, record->image_claim, holder);
        if (r < 0)
                warn(tell, r, "Failed to give back the user ids and the image");
}

/* -ENOENT where there is none any more. */
static int clean_record(const Scope *scope, MachineUnitKind kind, const char *name, LaunchTell tell,
                        char **ret_error)
{
        _cleanup_free_ char *unit = machine_unit_name(kind, name);
        _cleanup_record_ Record record = {};
        int r;

        OOM_CHECK(unit);
        _cleanup_close_ int run_fd = run_dir_open(scope);
        _cleanup_close_ int lock_fd = run_fd < 0 ? run_fd : run_dir_lock(run_fd, true);
        if (lock_fd < 0)
                return set_failure_errno(ret_error, lock_fd, "Failed to lock the runtime directory");
        _cleanup_close_ int machine_fd = machine_dir_open(run_fd, kind, name, false);
        if (machine_fd == -ENOENT)
                return machine_fd;
        if (machine_fd < 0)
                return set_failure_errno(ret_error, machine_fd,
                                         "Failed to open the runtime directory of '%s'", name);
        r = changes_end(scope, unit, machine_fd);
        if (r < 0)
                warn(tell, r, "Failed to remove the changes of the machine");
        r = record_read(machine_fd, &record);
        if (r == -ENOENT)
                return r;
        if (r < 0)
                warn(tell, r, "Failed to read the record of the machine");
        else
                release(&record, run_fd, kind, name, tell);
        if (unlinkat(machine_fd, "leader", 0) < 0 && errno != ENOENT)
                return set_failure_errno(ret_error, -errno, "Failed to remove the record of machine '%s'",
                                         name);
        return 0;
}

int launch_cleanup(const Scope *scope, MachineUnitKind kind, const char *name, LaunchTell tell,
                   char **ret_error)
{
        int r, q = 0;

        _cleanup_close_ int unit_fd = cgroup_open_own_unit();
        if (unit_fd >= 0)
                q = cgroup_remove_payload(unit_fd);
        r = clean_record(scope, kind, name, tell, ret_error);
        if (r < 0 && r != -ENOENT)
                return r;
        return q < 0 ? set_failure_errno(ret_error, q, "Failed to remove the cgroup of the payload") : 0;
}
