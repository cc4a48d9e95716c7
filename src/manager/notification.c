/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/notification.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "basic/fd.h"
#include "basic/list.h"
#include "basic/log.h"
#include "manager/machine.h"

#define MESSAGE_MAX 4096U
/* The number of messages that are read at once. The last assignment of each kind is passed on. */
#define MESSAGES_AT_ONCE 64U
#define STATUS_LENGTH    255U
/* The time that an init that mctl does not know has for READY=1. */
#define GRACE_USEC (5 * USEC_PER_SEC)
#define FDS_MAX    253U /* SCM_MAX_FD of the kernel */

struct Notification {
        Notifications *all;
        char *unit;
        pid_t leader;
        int fd;
        sd_event_source *source, *grace_source;
        bool recent; /* taken over after the current refresh had begun */
        Notification *next;
};

/* --- messages ------------------------------------------------------------------------------------------ */

/* The assignments that a machine may make. All others, such as MAINPID=, FDSTORE= and WATCHDOG=, are for
 * processes that the service manager trusts. */
typedef enum Key {
        KEY_READY,
        KEY_RELOADING,
        KEY_STOPPING,
        KEY_MONOTONIC_USEC,
        KEY_ERRNO,
        KEY_EXTEND_TIMEOUT_USEC,
        KEY_STATUS,
        _KEY_MAX,
} Key;

static const char *const keys[_KEY_MAX] = {
        [KEY_READY] = "READY=",       [KEY_RELOADING] = "RELOADING=",
        [KEY_STOPPING] = "STOPPING=", [KEY_MONOTONIC_USEC] = "MONOTONIC_USEC=",
        [KEY_ERRNO] = "ERRNO=",       [KEY_EXTEND_TIMEOUT_USEC] = "EXTEND_TIMEOUT_USEC=",
        [KEY_STATUS] = "STATUS=",
};

static bool value_is_valid(Key key, const char *value)
{
        if (key == KEY_STATUS)
                return strlen(value) <= STATUS_LENGTH && str_is_clean(value);
        if (key < KEY_MONOTONIC_USEC)
                return streq(value, "1");
        return *value && strlen(value) <= 20 && strspn(value, "0123456789") == strlen(value);
}

int notification_filter(char *text, size_t size, char ret[static 512])
{
        const char *values[_KEY_MAX] = {};
        size_t n = 0;

        if (memchr(text, 0, size))
                return -EBADMSG;
        text[size] = 0;
        for (char *state, *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
                for (Key key = 0; key < _KEY_MAX; key++) {
                        const char *value = startswith(line, keys[key]);
                        if (value && value_is_valid(key, value))
                                values[key] = value;
                }
        ret[0] = 0;
        for (Key key = 0; key < _KEY_MAX; key++)
                if (values[key])
                        n += (size_t) snprintf(ret + n, 512 - n, "%s%s\n", keys[key], values[key]);
        return 0;
}

/* Closes descriptors that a message has. The sender of BARRIER=1 waits for that. */
static void close_received(struct msghdr *message)
{
        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
                        int fd;
                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                        fd_close(fd);
                }
        }
}

static pid_t sender_of(struct msghdr *message)
{
        struct ucred sender = {};

        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS &&
                    c->cmsg_len == CMSG_LEN(sizeof(sender)))
                        memcpy(&sender, CMSG_DATA(c), sizeof(sender));
        return sender.pid;
}

/* Receives one message. Returns its size, 0 for a message that is dropped, -EAGAIN without a message. */
static ssize_t receive(const Notification *n, char text[static MESSAGE_MAX + 1])
{
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(FDS_MAX * sizeof(int))];
        } control;
        struct iovec iov = { .iov_base = text, .iov_len = MESSAGE_MAX };
        struct msghdr message = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
        };
        ssize_t size = recvmsg(n->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (size < 0)
                return errno == EINTR ? 0 : -errno;
        close_received(&message);
        return message.msg_flags & MSG_TRUNC || sender_of(&message) != n->leader ? 0 : size;
}

/* Reads the messages, and passes on the last assignment of each kind, with the leader as the sender. */
static int on_message(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Notification *n = userdata;
        char said[_KEY_MAX * 512] = "", text[MESSAGE_MAX + 1], message[512];
        size_t length = 0;

        (void) source;
        (void) fd;
        (void) events;
        for (unsigned i = 0; i < MESSAGES_AT_ONCE; i++) {
                ssize_t size = receive(n, text);
                if (size < 0)
                        break;
                if (size == 0 || notification_filter(text, (size_t) size, message) < 0)
                        continue;
                /* Filtered once more, the result is shorter than the buffer: it has at most one assignment
                 * of each kind. */
                length += (size_t) snprintf(said + length, sizeof(said) - length, "%s", message);
                if (length + sizeof(message) >= sizeof(said)) {
                        (void) notification_filter(said, length, message);
                        length = (size_t) snprintf(said, sizeof(said), "%s", message);
                }
        }
        if (length == 0 || notification_filter(said, length, message) < 0 || !message[0])
                return 0;
        int r = sd_pid_notify(n->leader, false, message);
        if (r < 0)
                log_warning_errno(r, "Failed to pass on what unit '%s' notifies", n->unit);
        return 0;
}

/* --- sockets ------------------------------------------------------------------------------------------- */

static void notification_free(Notification *n)
{
        (void) LIST_REMOVE(&n->all->list, n);
        sd_event_source_disable_unref(n->source);
        sd_event_source_disable_unref(n->grace_source);
        fd_close(n->fd);
        free(n->unit);
        free(n);
}
DEFINE_CLEANUP(Notification *, notification_free);

static Notification *find(const Notifications *all, const char *unit)
{
        for (Notification *n = all->list; n; n = n->next)
                if (streq(n->unit, unit))
                        return n;
        return NULL;
}

static const Machine *find_machine(const Notification *n)
{
        const Manager *manager = n->all->manager;

        for (size_t i = 0; i < manager->n_machines; i++)
                if (!manager->machines[i]->foreign && streq(manager->machines[i]->unit, n->unit))
                        return manager->machines[i];
        return NULL;
}

/* An init that mctl does not know may never send READY=1. */
static int on_grace(sd_event_source *source, uint64_t usec, void *userdata)
{
        const Notification *n = userdata;
        const Machine *m = find_machine(n);

        (void) source;
        (void) usec;
        if (!m || m->state != MACHINE_STARTING || m->record.init_notifies)
                return 0;
        int r = sd_pid_notify(n->leader, false,
                              "READY=1\nSTATUS=The init has not said that the system is up.");
        if (r < 0)
                log_warning_errno(r, "Failed to notify that unit '%s' is up", n->unit);
        return 0;
}

bool notifications_has(const Notifications *all, const char *unit)
{
        return find(all, unit);
}

int notifications_take(Notifications *all, const char *unit, pid_t leader, int *notify_fd)
{
        _cleanup_(notification_free_cleanup) Notification *n = calloc(1, sizeof(Notification));
        Notification *earlier = find(all, unit);
        int r;

        OOM_CHECK(n);
        *n = (Notification){ .all = all,
                             .unit = strdup(unit),
                             .leader = leader,
                             .fd = TAKE_FD(*notify_fd),
                             .recent = all->manager->refreshing };
        LIST_PREPEND(&all->list, n);
        OOM_CHECK(n->unit);
        if (earlier)
                notification_free(earlier);
        r = sd_event_add_io(all->manager->event, &n->source, n->fd, EPOLLIN, on_message, n);
        if (r >= 0)
                r = sd_event_source_set_ratelimit(n->source, USEC_PER_SEC, NOTIFY_RATE);
        if (r >= 0)
                r = sd_event_add_time_relative(all->manager->event, &n->grace_source, CLOCK_MONOTONIC,
                                               GRACE_USEC, 0, on_grace, n);
        if (r < 0)
                return r;
        TAKE_PTR(n);
        return 0;
}

/* --- the end of a machine ------------------------------------------------------------------------------ */

static bool is_there(const Notification *n)
{
        const Machine *m = find_machine(n);

        return m && m->state != MACHINE_FAILED;
}

/* A socket ends with its machine. */
static void on_refreshed(void *userdata)
{
        Notifications *all = userdata;

        for (Notification *n = all->list, *next; n; n = next) {
                next = n->next;
                if (!n->recent && !is_there(n))
                        notification_free(n);
                else
                        n->recent = false;
        }
}

void notifications_begin(Notifications *all, Manager *manager)
{
        *all = (Notifications){ .manager = manager,
                                .observer = { .refreshed = on_refreshed, .userdata = all } };
        manager_observe(manager, &all->observer);
}

void notifications_end(Notifications *all)
{
        while (all->list)
                notification_free(all->list);
}
