/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/console.h"

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "basic/fd.h"
#include "basic/list.h"
#include "basic/log.h"
#include "basic/socket.h"
#include "basic/time.h"
#include "manager/console-log.h"
#include "manager/machine.h"

#define CHUNK        4096U
#define SCROLL_SIZE  UINT64_C(65536)
#define ATTACHED_MAX 64U
/* A machine that floods its console is slowed down: the registry reads at most this many chunks in the
 * interval. */
#define PATIENCE_USEC (30 * USEC_PER_SEC)
#define AWAITING_MAX  256U
#define RATE_CHUNKS   64U
#define RATE_USEC     (50 * USEC_PER_MSEC)

static DEFINE_SCHEMA(console_arguments, ConsoleArguments,
                     FIELD(ConsoleArguments, FIELD_UINT64, "flags", flags));
static DEFINE_SCHEMA(console_answer, ConsoleAnswer, FIELD(ConsoleAnswer, FIELD_FD, "fd", fd),
                     FIELD(ConsoleAnswer, FIELD_BOOL, "writes", writes),
                     FIELD(ConsoleAnswer, FIELD_UINT64, "backlog", backlog));

typedef struct Console Console;

/* A client that is attached, over a socket of messages. Output is sent unchanged. A message from the client
 * is 'D' and bytes of input, or 'W' and the size of the window, two uint16_t: rows and columns. */
typedef struct Attached {
        Console *console;
        int fd;
        sd_event_source *source;
        uint64_t position; /* position of the next byte to send */
        bool writes;
        bool once;
        struct Attached *next;
} Attached;

struct Console {
        Manager *manager;
        char *name, *unit; /* unit of the machine */
        int master_fd;
        int terminal_fd; /* the slave of the terminal: while a process has the slave open, the master does
                            not hang up */
        ConsoleLog log;
        int scroll_fd; /* a Scroll structure */
        uint64_t end;  /* number of all bytes of output */
        sd_event_source *source;
        char input[CHUNK]; /* input that the terminal has not taken yet */
        size_t input_begin, input_end;
        Attached *attached;
        bool recent; /* the terminal came after the current refresh had begun */
        bool ended;  /* the machine has ended; readers that have not read all are kept for a while */
        uint64_t ended_usec;
        Console *next;
};

/* The file in memory that keeps output: this structure, and then a ring of SCROLL_SIZE bytes. */
typedef struct Scroll {
        uint64_t end;
} Scroll;

/* A call that waits for a console that does not exist yet. */
typedef struct Awaiting {
        Call *call;
        uint64_t flags;
        char machine[MACHINE_NAME_MAX + 1];
        struct Awaiting *next;
} Awaiting;

struct Consoles {
        Console *list;
        Awaiting *awaiting;
        Observer observer;
};

/* --- systemd's store of descriptors -------------------------------------------------------------------- */

static const char *const stored_kinds[] = { "master", "scroll" };

/* With FDPOLL=0, systemd keeps a terminal that no process inside has open for the moment. */
static void store(const Console *c)
{
        const int fds[ELEMENTSOF(stored_kinds)] = { c->master_fd, c->scroll_fd };

        for (size_t i = 0; i < ELEMENTSOF(stored_kinds); i++) {
                _cleanup_free_ char *message = strf("FDSTORE=1\nFDPOLL=0\nFDNAME=%s-%s", stored_kinds[i],
                                                    c->unit);
                int r = message ? sd_pid_notify_with_fds(0, false, message, fds + i, 1) : -ENOMEM;
                if (r < 0)
                        log_warning_errno(r, "Failed to store the console of machine '%s'", c->name);
        }
}

static void unstore(const char *unit)
{
        for (size_t i = 0; i < ELEMENTSOF(stored_kinds); i++) {
                _cleanup_free_ char *message = strf("FDSTOREREMOVE=1\nFDNAME=%s-%s", stored_kinds[i], unit);
                if (message)
                        (void) sd_notify(false, message);
        }
}

/* --- what was said ------------------------------------------------------------------------------------- */

static int scroll_new(void)
{
        _cleanup_close_ int fd = memfd_create("mctl-console", MFD_CLOEXEC);

        return fd < 0 || ftruncate(fd, sizeof(Scroll) + SCROLL_SIZE) < 0 ? -errno : TAKE_FD(fd);
}

static bool scroll_read(int fd, uint64_t *ret_end)
{
        Scroll scroll;
        struct stat st;

        if (fstat(fd, &st) < 0 || st.st_size != sizeof(Scroll) + SCROLL_SIZE ||
            pread(fd, &scroll, sizeof(scroll), 0) != sizeof(scroll))
                return false;
        *ret_end = scroll.end;
        return true;
}

/* Position of the oldest byte that is kept. */
static uint64_t scroll_begin(const Console *c)
{
        return c->end > SCROLL_SIZE ? c->end - SCROLL_SIZE : 0;
}

static void scroll_append(Console *c, const char *data, size_t n)
{
        while (n > 0) {
                size_t at = c->end % SCROLL_SIZE, k = MIN(n, SCROLL_SIZE - at);
                if (pwrite(c->scroll_fd, data, k, sizeof(Scroll) + at) != (ssize_t) k)
                        return;
                c->end += k;
                data += k;
                n -= k;
        }
        (void) !pwrite(c->scroll_fd, &(Scroll){ c->end }, sizeof(Scroll), 0);
}

static size_t scroll_get(const Console *c, uint64_t position, char buffer[CHUNK])
{
        size_t at = position % SCROLL_SIZE, n = MIN(MIN(SCROLL_SIZE - at, c->end - position), CHUNK);
        ssize_t k = pread(c->scroll_fd, buffer, n, sizeof(Scroll) + at);

        return k < 0 ? 0 : k;
}

/* The position where a new reader begins: at the begin of a line, unless there is only one line. */
static uint64_t scroll_first_line(const Console *c)
{
        uint64_t begin = scroll_begin(c);
        char buffer[CHUNK];

        if (begin == 0)
                return 0;
        size_t n = scroll_get(c, begin, buffer);
        const char *newline = memchr(buffer, '\n', n);
        return newline ? begin + (newline - buffer) + 1 : begin;
}

/* --- who is attached ----------------------------------------------------------------------------------- */

static void console_free(Console *c);

static void attached_free(Attached *a)
{
        (void) LIST_REMOVE(&a->console->attached, a);
        sd_event_source_disable_unref(a->source);
        fd_close(a->fd);
        free(a);
}

/* While earlier input waits for the terminal, no input is read. */
static void attached_watch(Attached *a, bool full)
{
        const Console *c = a->console;
        bool busy = a->writes && c->input_begin < c->input_end;

        (void) sd_event_source_set_io_events(a->source, (busy ? 0 : EPOLLIN) | (full ? EPOLLOUT : 0));
}

/* Sends the output to a client. Returns false after the last byte of a console that has ended. */
static bool attached_feed(Attached *a)
{
        const Console *c = a->console;
        char buffer[CHUNK];

        a->position = MAX(a->position, scroll_begin(c));
        while (a->position < c->end) {
                size_t n = scroll_get(c, a->position, buffer);
                if (n == 0 || send(a->fd, buffer, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
                        bool full = n > 0 && errno == EAGAIN;
                        attached_watch(a, full);
                        return full;
                }
                a->position += n;
        }
        attached_watch(a, false);
        return !a->once && !c->ended;
}

static void feed_all(Console *c)
{
        for (Attached *a = c->attached, *next; a; a = next) {
                next = a->next;
                if (!attached_feed(a))
                        attached_free(a);
        }
        if (c->ended && !c->attached)
                console_free(c);
}

static void hold_terminal(Console *c);

static void pass_input(Console *c)
{
        bool tried = false;

        while (c->input_begin < c->input_end) {
                ssize_t n = write(c->master_fd, c->input + c->input_begin, c->input_end - c->input_begin);
                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0 && errno == EIO && !tried) {
                        tried = true;
                        hold_terminal(c); /* no process inside has the terminal open for the moment */
                        continue;
                }
                if (n < 0)
                        c->input_begin = c->input_end; /* no process takes the input */
                else
                        c->input_begin += n;
        }
        (void) sd_event_source_set_io_events(c->source,
                                             EPOLLIN | (c->input_begin < c->input_end ? EPOLLOUT : 0));
}

static int on_attached(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Attached *a = userdata;
        Console *c = a->console;
        char frame[1 + CHUNK];
        uint16_t size[2];
        ssize_t n = -1;

        (void) source;
        if (events & EPOLLIN)
                n = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && events & (EPOLLHUP | EPOLLERR))) {
                attached_free(a);
                if (c->ended)
                        feed_all(c);
                return 0;
        }
        if (n > 0 && a->writes && !c->ended) {
                if (frame[0] == 'D' && c->input_begin == c->input_end) {
                        memcpy(c->input, frame + 1, n - 1);
                        c->input_begin = 0;
                        c->input_end = n - 1;
                        pass_input(c);
                } else if (frame[0] == 'W' && n == 1 + sizeof(size)) {
                        memcpy(size, frame + 1, sizeof(size));
                        (void) ioctl(c->master_fd, TIOCSWINSZ,
                                     &(struct winsize){ .ws_row = size[0], .ws_col = size[1] });
                }
        }
        feed_all(c);
        return 0;
}

static bool has_writer(const Console *c)
{
        for (const Attached *a = c->attached; a; a = a->next)
                if (a->writes)
                        return true;
        return false;
}

/* Answers the call that attaches a client. */
static int attach(Console *c, Call *call, uint64_t flags)
{
        size_t n = 0;
        int fds[2], r;

        for (const Attached *a = c->attached; a; a = a->next)
                n++;
        if (n >= ATTACHED_MAX) {
                call_fail(call, ERROR_LIMIT,
                          "Too many clients are attached to the console of machine '%s': at most %u.",
                          c->name, ATTACHED_MAX);
                return 0;
        }
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return -errno;
        _cleanup_close_ int fd = fds[0], peer_fd = fds[1];
        Attached *a = calloc(1, sizeof(Attached));
        OOM_CHECK(a);
        *a = (Attached){
                .console = c,
                .fd = TAKE_FD(fd),
                .position = flags & CONSOLE_NEW ? c->end : scroll_first_line(c),
                .once = flags & CONSOLE_ONCE,
                .writes = !(flags & (CONSOLE_READ_ONLY | CONSOLE_ONCE)) && !has_writer(c),
        };
        LIST_PREPEND(&c->attached, a);
        r = sd_event_add_io(c->manager->event, &a->source, a->fd, EPOLLIN, on_attached, a);
        if (r < 0) {
                attached_free(a);
                return r;
        }
        call_answer(call, &(ConsoleAnswer){ peer_fd, a->writes, c->end - a->position });
        if (!attached_feed(a))
                attached_free(a);
        return 0;
}

/* --- the consoles -------------------------------------------------------------------------------------- */

static void console_free(Console *c)
{
        (void) LIST_REMOVE(&c->manager->consoles->list, c);
        while (c->attached)
                attached_free(c->attached);
        sd_event_source_disable_unref(c->source);
        fd_close(c->master_fd);
        fd_close(c->terminal_fd);
        fd_close(c->scroll_fd);
        free(c->name);
        free(c->unit);
        free(c);
}

static Console *console_find(Manager *manager, const char *name)
{
        for (Console *c = manager->consoles->list; c; c = c->next)
                if (!c->ended && streq(c->name, name))
                        return c;
        return NULL;
}

/* Reads output of the terminal. Returns false if there is none now. */
static bool console_read(Console *c)
{
        char buffer[CHUNK];
        ssize_t n = read(c->master_fd, buffer, sizeof(buffer));

        if (n > 0) {
                scroll_append(c, buffer, n);
                console_log_write(&c->log, c->name, c->unit, buffer, n);
        }
        return n > 0;
}

static void hold_terminal(Console *c)
{
        fd_close(c->terminal_fd);
        c->terminal_fd = ioctl(c->master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static int on_master(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Console *c = userdata;

        (void) source;
        (void) fd;
        if (events & EPOLLOUT)
                pass_input(c);
        if (events & EPOLLIN)
                (void) console_read(c);
        else if (events & EPOLLHUP)
                hold_terminal(c); /* vhangup() of a getty has closed the slave */
        feed_all(c);
        return 0;
}

/* Watches the master of a new terminal. */
static int console_watch(Console *c)
{
        int r;

        (void) fcntl(c->master_fd, F_SETFL, O_NONBLOCK);
        hold_terminal(c);
        r = sd_event_add_io(c->manager->event, &c->source, c->master_fd, EPOLLIN, on_master, c);
        return r < 0 ? r : sd_event_source_set_ratelimit(c->source, RATE_USEC, RATE_CHUNKS);
}

/* Takes the last output of a machine. Clients stay attached, since the machine may start again. */
static void console_unwatch(Console *c)
{
        for (uint64_t i = 0; i < SCROLL_SIZE / CHUNK && console_read(c); i++)
                ;
        console_log_flush(&c->log, c->name, c->unit);
        c->source = sd_event_source_disable_unref(c->source);
        c->master_fd = fd_close(c->master_fd);
        c->terminal_fd = fd_close(c->terminal_fd);
        c->input_begin = c->input_end = 0;
}

static bool is_master(int fd)
{
        unsigned number;

        return ioctl(fd, TIOCGPTN, &number) >= 0;
}

/* Makes an empty console for the unit of a machine. */
static Console *console_new(Manager *manager, const char *unit)
{
        _cleanup_free_ char *copy = strdup(unit), *name = NULL;
        Console *c;

        if (!copy || machine_name_from_unit(unit, &name, NULL) < 0)
                return NULL;
        c = calloc(1, sizeof(Console));
        if (!c)
                return NULL;
        *c = (Console){
                .manager = manager,
                .name = TAKE_PTR(name),
                .unit = TAKE_PTR(copy),
                .master_fd = -EBADF,
                .terminal_fd = -EBADF,
                .scroll_fd = -EBADF,
        };
        LIST_PREPEND(&manager->consoles->list, c);
        return c;
}

/* Finds the console of a unit, or makes one. */
static Console *console_get(Manager *manager, const char *unit)
{
        for (Console *c = manager->consoles->list; c; c = c->next)
                if (!c->ended && streq(c->unit, unit))
                        return c;
        return console_new(manager, unit);
}

static void awaiting_free(Awaiting *w, Manager *manager)
{
        (void) LIST_REMOVE(&manager->consoles->awaiting, w);
        manager->n_pending--;
        if (w->call)
                call_free(w->call);
        free(w);
}

static void answer_awaiting(Console *c)
{
        for (Awaiting *w = c->manager->consoles->awaiting, *next; w; w = next) {
                next = w->next;
                if (!streq(w->machine, c->name))
                        continue;
                Call *call = TAKE_PTR(w->call);
                int r = attach(c, call, w->flags);
                if (r < 0)
                        call_fail_errno(call, r, "Failed to open the console of machine '%s'", c->name);
                awaiting_free(w, c->manager);
        }
}

bool consoles_has(const Manager *manager, const char *unit)
{
        for (const Console *c = manager->consoles->list; c; c = c->next)
                if (!c->ended && streq(c->unit, unit))
                        return true;
        return false;
}

int consoles_take(Manager *manager, const char *unit, int *master_fd)
{
        Console *c = is_master(*master_fd) ? console_get(manager, unit) : NULL;
        int r;

        if (!c)
                return -EBADMSG;
        if (c->master_fd >= 0) {
                console_unwatch(c);
                unstore(unit);
        }
        if (c->scroll_fd < 0)
                c->scroll_fd = scroll_new();
        c->master_fd = TAKE_FD(*master_fd);
        c->recent = manager->refreshing;
        r = c->scroll_fd < 0 ? c->scroll_fd : console_watch(c);
        if (r < 0) {
                console_free(c);
                return r;
        }
        store(c);
        manager_refresh_soon(manager);
        answer_awaiting(c);
        return 0;
}

/* --- restart ------------------------------------------------------------------------------------------- */

/* Gives a descriptor from the store to the console and the use that its name says. */
static bool restore_fd(Manager *manager, const char *fd_name, int fd)
{
        const char *dash = strchr(fd_name, '-');

        for (size_t kind = 0; dash && kind < ELEMENTSOF(stored_kinds); kind++) {
                if (strncmp(fd_name, stored_kinds[kind], dash - fd_name) != 0)
                        continue;
                Console *c = console_get(manager, dash + 1);
                int *slot = !c ? NULL : kind == 0 ? &c->master_fd : &c->scroll_fd;
                if (slot && *slot < 0)
                        *slot = fd;
                return slot && *slot == fd;
        }
        return false;
}

bool consoles_restore(Manager *manager, const char *fd_name, int fd)
{
        return restore_fd(manager, fd_name, fd);
}

void consoles_restored(Manager *manager)
{
        for (Console *c = manager->consoles->list, *next; c; c = next) {
                next = c->next;
                if (is_master(c->master_fd) && scroll_read(c->scroll_fd, &c->end) && console_watch(c) >= 0)
                        continue;
                unstore(c->unit);
                console_free(c);
        }
}

static void on_refreshed(void *userdata);

int consoles_new(Manager *manager)
{
        struct Consoles *consoles = calloc(1, sizeof(struct Consoles));

        OOM_CHECK(consoles);
        manager->consoles = consoles;
        consoles->observer = (Observer){ .refreshed = on_refreshed, .userdata = manager };
        manager_observe(manager, &consoles->observer);
        return 0;
}

void consoles_free(Manager *manager)
{
        struct Consoles *consoles = manager->consoles;

        if (!consoles)
                return;
        while (consoles->list)
                console_free(consoles->list);
        while (consoles->awaiting)
                awaiting_free(consoles->awaiting, manager);
        free(consoles);
}

/* --- calls --------------------------------------------------------------------------------------------- */

static void fail_none(Call *call, const char *name)
{
        call_fail(call, ERROR_NOT_SUPPORTED,
                  "Machine '%s' has no console that is kept here: it has none (see Console=), has ended, "
                  "or the "
                  "registry was stopped.",
                  name);
}

static int await_console(Manager *manager, const char *name, Call *call, uint64_t flags)
{
        size_t n = 0;

        for (const Awaiting *other = manager->consoles->awaiting; other; other = other->next)
                n++;
        if (n >= AWAITING_MAX) {
                call_fail(call, ERROR_LIMIT, "Too many clients wait for consoles: at most %u.",
                          AWAITING_MAX);
                return 0;
        }
        Awaiting *w = malloc(sizeof(Awaiting));
        OOM_CHECK(w);
        *w = (Awaiting){ call, flags, "", NULL };
        snprintf(w->machine, sizeof(w->machine), "%s", name);
        LIST_PREPEND(&manager->consoles->awaiting, w);
        manager->n_pending++;
        return 0;
}

static int open_console(Call *call, Machine *m, const void *arguments)
{
        const ConsoleArguments *a = arguments;
        Manager *manager = m->manager;

        if (a->flags > (CONSOLE_READ_ONLY | CONSOLE_ONCE | CONSOLE_NEW)) {
                call_fail(call, ERROR_INVALID_ARGUMENT, "The flags have an unknown bit.");
                return 0;
        }
        Console *c = m->foreign ? NULL : console_find(manager, m->name);
        if (c)
                return attach(c, call, a->flags);
        if (!m->foreign && m->state == MACHINE_STARTING)
                return await_console(manager, m->name, call, a->flags);
        fail_none(call, m->name);
        return 0;
}

/* A console ends with its machine. Calls that wait for a console of the machine then fail. */
static void on_refreshed(void *userdata)
{
        Manager *manager = userdata;

        for (Console *c = manager->consoles->list, *next; c; c = next) {
                next = c->next;
                const Machine *m = manager_find(manager, c->name);
                bool there = c->recent ||
                             (m && !m->foreign && m->state != MACHINE_FAILED && streq(m->unit, c->unit));
                c->recent = false;
                if (c->ended && now_usec(CLOCK_MONOTONIC) - c->ended_usec > PATIENCE_USEC) {
                        console_free(c);
                        continue;
                }
                if (there || c->ended)
                        continue;
                c->ended_usec = now_usec(CLOCK_MONOTONIC);
                console_unwatch(c);
                unstore(c->unit);
                c->ended = true;
                feed_all(c);
        }
        for (Awaiting *w = manager->consoles->awaiting, *next; w; w = next) {
                next = w->next;
                const Machine *m = manager_find(manager, w->machine);
                if (m && !m->foreign && m->state == MACHINE_STARTING)
                        continue;
                fail_none(TAKE_PTR(w->call), w->machine);
                awaiting_free(w, manager);
        }
}

const Operation operation_open_console = { "console",
                                           TARGET_MACHINE,
                                           .arguments = &console_arguments,
                                           .answer = &console_answer,
                                           .policy = POLICY_CONSOLE,
                                           .run = open_console };
