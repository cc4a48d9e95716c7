/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "api/varlink.h"
#include "basic/fd.h"
#include "basic/list.h"
#include "basic/log.h"
#include "basic/process.h"
#include "basic/socket.h"

#define CONNECTIONS_MAX 256U
/* These connections are for root and for system users, such as that of systemd-resolved: users who log in
 * cannot keep a resolver out. */
#define CONNECTIONS_RESERVED    64U
#define CONNECTIONS_OF_USER_MAX 32U
#define SYSTEM_USER_MAX         999U /* systemd.io/UIDS-GIDS */
#define MESSAGE_MAX             (64U * 1024U)
#define BACKLOG_MAX             (4U * 1024U * 1024U)
#define PATIENCE_USEC           (30 * USEC_PER_SEC)

struct VarlinkConnection {
        VarlinkServer *server;
        VarlinkConnection *next;
        int fd;
        uid_t uid;
        pid_t pid;
        sd_event_source *io_source, *timer_source;
        sd_event_source *turn_source; /* NULL unless a message waits for its turn */
        char in[MESSAGE_MAX];
        size_t n_in;
        char *out; /* bytes that wait to be sent */
        size_t n_out;
        bool oneway; /* the peer wants no answer to the current call */
        const char *method;
        bool handling; /* messages are being handled: answers are sent afterwards */
        VarlinkCall *deferred;
        bool held;  /* the deferred call has not been run: its message is still in the buffer */
        bool again; /* the current call has been held before */
        int out_fd; /* a descriptor to send with the next byte */
        uint64_t start_time;
};

struct VarlinkCall {
        VarlinkConnection *connection; /* NULL after the connection has ended */
        json_t *kinds;                 /* list of the listener */
        VarlinkCall *next;
};

static void call_free(VarlinkCall *call)
{
        json_decref(call->kinds);
        free(call);
}

struct VarlinkServer {
        sd_event *event;
        const VarlinkMethod *methods;
        void *userdata;
        char *path;
        int fd;
        sd_event_source *source;
        VarlinkConnection *connections;
        size_t n_connections;
};

static void connection_free(VarlinkConnection *c)
{
        if (LIST_REMOVE(&c->server->connections, c))
                c->server->n_connections--;
        sd_event_source_disable_unref(c->io_source);
        sd_event_source_disable_unref(c->timer_source);
        sd_event_source_disable_unref(c->turn_source);
        fd_close(c->fd);
        fd_close(c->out_fd);
        if (c->deferred)
                c->deferred->connection = NULL;
        free(c->out);
        free(c);
}
DEFINE_CLEANUP(VarlinkConnection *, connection_free);

static int queue(VarlinkConnection *c, json_t *message)
{
        _cleanup_free_ char *text = c->oneway ? NULL : json_dumps(message, JSON_COMPACT);

        json_decref(message);
        if (c->oneway)
                return 0;
        OOM_CHECK(text);
        size_t size = strlen(text) + 1;
        if (c->n_out + size > BACKLOG_MAX)
                return -ENOBUFS;
        char *out = realloc(c->out, c->n_out + size);
        OOM_CHECK(out);
        memcpy(out + c->n_out, text, size);
        c->out = out;
        c->n_out += size;
        return 0;
}

int varlink_reply(VarlinkConnection *c, json_t *parameters, bool continues)
{
        json_t *message = json_object();

        json_object_set_new(message, "parameters", parameters ?: json_object());
        if (continues)
                json_object_set_new(message, "continues", json_true());
        return queue(c, message);
}

int varlink_error(VarlinkConnection *c, const char *error, json_t *parameters)
{
        json_t *message = json_object();

        json_object_set_new(message, "error", json_string(error));
        json_object_set_new(message, "parameters", parameters ?: json_object());
        return queue(c, message);
}

int varlink_invalid(VarlinkConnection *c, const char *parameter)
{
        return varlink_error(c, "org.varlink.service.InvalidParameter",
                             json_pack("{ss}", "parameter", parameter));
}

uid_t varlink_peer(const VarlinkConnection *c)
{
        return c->uid;
}

pid_t varlink_peer_process(const VarlinkConnection *c)
{
        return c->pid;
}

uint64_t varlink_peer_start_time(const VarlinkConnection *c)
{
        return c->start_time;
}

const char *varlink_method(const VarlinkConnection *c)
{
        return c->method;
}

static int get_info(VarlinkConnection *c)
{
        json_t *interfaces = json_array();
        const char *last = "";

        for (const VarlinkMethod *m = c->server->methods; m->name; m++) {
                size_t n = strrchr(m->name, '.') - m->name;
                if (strncmp(last, m->name, n) != 0 || last[n] != '.')
                        json_array_append_new(interfaces, json_stringn(m->name, n));
                last = m->name;
        }
        json_array_append_new(interfaces, json_string("org.varlink.service"));
        return varlink_reply(c,
                             json_pack("{ss ss ss ss so}", "vendor", "mctl", "product", "mctl-registryd",
                                       "version", MCTL_VERSION, "url", "", "interfaces", interfaces),
                             false);
}

static int handle(VarlinkConnection *c, const json_t *message)
{
        const char *name = json_string_value(json_object_get(message, "method"));
        const json_t *parameters = json_object_get(message, "parameters");

        if (!name || (parameters && !json_is_object(parameters) && !json_is_null(parameters)))
                return -EBADMSG;
        c->oneway = json_is_true(json_object_get(message, "oneway"));
        if (streq(name, "org.varlink.service.GetInfo"))
                return get_info(c);
        for (const VarlinkMethod *m = c->server->methods; m->name; m++)
                if (streq(m->name, name)) {
                        c->method = m->name;
                        return m->run(c, json_is_object(parameters) ? parameters : NULL,
                                      json_is_true(json_object_get(message, "more")), c->server->userdata);
                }
        return varlink_error(c, "org.varlink.service.MethodNotFound", json_pack("{ss*}", "method", name));
}

/* Replaces numbers from 2⁶³ on, which jansson cannot parse. For systemd they mean "no limit". They become
 * the negative numbers with the same 64 bits, as in the schemas. Returns the end of the number. */
static const char *copy_number(const char *p, char **to)
{
        size_t n = strspn(p, "0123456789");
        char *end;

        errno = 0;
        unsigned long long value = n >= 19 && !strchr(".eE", p[n]) ? strtoull(p, &end, 10) : 0;
        if (value > INT64_MAX && errno == 0)
                *to += sprintf(*to, "%" PRIi64, (int64_t) value);
        else {
                memcpy(*to, p, n);
                *to += n;
        }
        return p + n;
}

/* Skips a string with its quotes. */
static const char *copy_string(const char *p, char **to)
{
        do {
                if (*p == '\\' && p[1])
                        *(*to)++ = *p++;
                *(*to)++ = *p++;
        } while (*p && *p != '"');
        if (*p)
                *(*to)++ = *p++;
        return p;
}

static json_t *parse_large(const char *text)
{
        /* A number of 19 digits gets at most one byte longer. */
        _cleanup_free_ char *copy = malloc(strlen(text) + strlen(text) / 19 + 1);
        char *to = copy;

        if (!copy)
                return NULL;
        for (const char *p = text; *p;)
                if (*p == '"')
                        p = copy_string(p, &to);
                else if (*p >= '0' && *p <= '9' && (p == text || p[-1] != '-'))
                        p = copy_number(p, &to);
                else
                        *to++ = *p++;
        *to = 0;
        return json_loads(copy, JSON_REJECT_DUPLICATES, NULL);
}

static json_t *parse(const char *text)
{
        json_error_t error;
        json_t *message = json_loads(text, JSON_REJECT_DUPLICATES, &error);

        return message || json_error_code(&error) != json_error_numeric_overflow ? message
                                                                                 : parse_large(text);
}

/* Whether a complete message is in the buffer, and may be handled. */
static bool has_message(const VarlinkConnection *c)
{
        return !c->deferred && c->out_fd < 0 && memchr(c->in, 0, c->n_in);
}

/* Handles one message. Further messages of the peer are handled after those of other peers. */
static int handle_next(VarlinkConnection *c)
{
        bool once_more = true;
        int r = 0;

        if (!has_message(c))
                return 0;
        size_t size = strlen(c->in) + 1;
        c->handling = true;
        while (once_more) {
                json_t *message = parse(c->in);
                bool made_anew = c->again;

                r = json_is_object(message) ? handle(c, message) : -EBADMSG;
                json_decref(message);
                once_more = r >= 0 && !c->held && c->again && !made_anew; /* held, and released at once */
        }
        c->handling = false;
        if (r < 0 || c->held)
                return r;
        c->again = false;
        memmove(c->in, c->in + size, c->n_in - size);
        c->n_in -= size;
        return 0;
}

static int receive(VarlinkConnection *c)
{
        ssize_t n;

        if (c->n_in == sizeof(c->in))
                return -EMSGSIZE;
        n = recv(c->fd, c->in + c->n_in, sizeof(c->in) - c->n_in, MSG_DONTWAIT);
        if (n == 0)
                return -ECONNRESET;
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        c->n_in += n;
        return handle_next(c);
}

static int send_out(VarlinkConnection *c)
{
        ssize_t n;

        if (c->n_out == 0)
                return 0;
        if (c->out_fd >= 0) {
                int r = socket_send(c->fd, c->out, 1, c->out_fd); /* the socket does not block */
                if (r < 0)
                        return r == -EAGAIN || r == -EINTR ? 0 : r;
                c->out_fd = fd_close(c->out_fd);
                n = 1;
        } else
                n = send(c->fd, c->out, c->n_out, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        memmove(c->out, c->out + n, c->n_out - n);
        c->n_out -= n;
        return 0;
}

static int on_turn(sd_event_source *source, void *userdata);

/* The next message is handled after all waiting ones. sd-event sorts deferred sources by the time when they
 * were made: a source that is enabled again would come before all others. So each turn has a new source. */
static int queue_turn(VarlinkConnection *c, bool wanted)
{
        c->turn_source = sd_event_source_disable_unref(c->turn_source);
        return wanted ? sd_event_add_defer(c->server->event, &c->turn_source, on_turn, c) : 0;
}

/* While an answer waits to be sent or to be found, no message is read. The time limit of the peer does not
 * run while the registry works. */
static int go_on(VarlinkConnection *c)
{
        int r = send_out(c);

        bool more = c->n_out == 0 && has_message(c);
        if (r >= 0)
                r = queue_turn(c, more);
        if (r >= 0)
                r = sd_event_source_set_io_events(c->io_source, c->n_out > 0          ? EPOLLOUT
                                                                : c->deferred || more ? 0
                                                                                      : EPOLLIN);
        if (r >= 0)
                r = sd_event_source_set_time_relative(c->timer_source, PATIENCE_USEC);
        return r < 0 ? r
                     : sd_event_source_set_enabled(c->timer_source,
                                                   c->deferred ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        VarlinkConnection *c = userdata;
        int r = 0;

        (void) source;
        (void) fd;
        if ((c->deferred || has_message(c)) && events & (EPOLLHUP | EPOLLERR))
                r = -ECONNRESET;
        else if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && c->n_out == 0)
                r = receive(c);
        if (r >= 0)
                r = go_on(c);
        if (r < 0)
                connection_free(c);
        return 0;
}

static int on_turn(sd_event_source *source, void *userdata)
{
        VarlinkConnection *c = userdata;
        int r = handle_next(c);

        (void) source;
        if (r >= 0)
                r = go_on(c);
        if (r < 0)
                connection_free(c);
        return 0;
}

VarlinkCall *varlink_defer(VarlinkConnection *c)
{
        VarlinkCall *call = malloc(sizeof(VarlinkCall));

        if (!call)
                return NULL;
        *call = (VarlinkCall){ c };
        c->deferred = call;
        return call;
}

/* Called after a call, whether an answer was queued or not. */
static void flush(VarlinkConnection *c, int r)
{
        if (c->handling)
                return; /* after a failure, which only a lack of memory causes, the peer waits until the time
                           limit */
        if (r >= 0)
                r = go_on(c);
        if (r < 0)
                connection_free(c);
}

void varlink_continue(VarlinkCall *call, json_t *parameters)
{
        if (call->connection)
                flush(call->connection, varlink_reply(call->connection, parameters, true));
        else
                json_decref(parameters);
}

VarlinkCall *varlink_hold(VarlinkConnection *c)
{
        VarlinkCall *call = varlink_defer(c);

        c->held = call;
        return call;
}

bool varlink_was_held(const VarlinkConnection *c)
{
        return c->again;
}

void varlink_release(VarlinkCall *call)
{
        VarlinkConnection *c = call->connection;

        call_free(call);
        if (!c)
                return;
        c->deferred = NULL;
        c->held = false;
        c->again = true;
        flush(c, 0);
}

static void forget_gone(VarlinkListeners *listeners)
{
        for (VarlinkCall **p = &listeners->first; *p;) {
                VarlinkCall *call = *p;
                if (!call->connection) {
                        *p = call->next;
                        call_free(call);
                } else
                        p = &call->next;
        }
}

int varlink_listen_in(VarlinkListeners *listeners, VarlinkConnection *c, const json_t *kinds)
{
        VarlinkCall *call = varlink_defer(c);

        OOM_CHECK(call);
        forget_gone(listeners);
        call->kinds = json_is_array(kinds) ? json_deep_copy(kinds) : NULL;
        LIST_PREPEND(&listeners->first, call);
        return 0;
}

static bool wants(const VarlinkCall *call, const char *kind)
{
        const json_t *wanted;
        size_t i;

        if (!kind || !call->kinds)
                return true;
        json_array_foreach (call->kinds, i, wanted)
                if (streq_ptr(json_string_value(wanted), kind))
                        return true;
        return false;
}

void varlink_tell(VarlinkListeners *listeners, const char *kind, json_t *parameters)
{
        for (VarlinkCall *call = listeners->first; call; call = call->next)
                if (wants(call, kind))
                        varlink_continue(call, json_incref(parameters));
        json_decref(parameters);
        forget_gone(listeners);
}

void varlink_listeners_clear(VarlinkListeners *listeners)
{
        while (listeners->first) {
                VarlinkCall *call = listeners->first;
                listeners->first = call->next;
                if (call->connection)
                        call->connection->deferred = NULL;
                call_free(call);
        }
}

void varlink_finish(VarlinkCall *call, const char *error, json_t *parameters, int fd)
{
        VarlinkConnection *c = call->connection;
        int r;

        call_free(call);
        if (!c) {
                json_decref(parameters);
                fd_close(fd);
                return;
        }
        c->deferred = NULL;
        if (c->oneway)
                fd = fd_close(fd);
        if (fd >= 0) {
                fd_close(c->out_fd);
                c->out_fd = fd;
        }
        r = error ? varlink_error(c, error, parameters) : varlink_reply(c, parameters, false);
        flush(c, r);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void) source;
        (void) usec;
        connection_free(userdata);
        return 0;
}

int varlink_serve(VarlinkServer *s, int fd)
{
        _cleanup_(connection_free_cleanup) VarlinkConnection *c = NULL;
        struct ucred peer;
        socklen_t size = sizeof(peer);
        size_t n = 0;
        int r;

        c = malloc(sizeof(VarlinkConnection));
        if (!c)
                fd_close(fd);
        OOM_CHECK(c);
        c->n_in = c->n_out = 0;
        c->out = NULL;
        c->deferred = NULL;
        c->handling = c->held = c->again = false;
        c->out_fd = -EBADF;
        c->io_source = c->timer_source = c->turn_source = NULL;
        c->server = s;
        c->fd = fd;
        LIST_PREPEND(&s->connections, c);
        s->n_connections++;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        c->uid = peer.uid;
        c->pid = peer.pid;
        if (process_start_time(peer.pid, &c->start_time) < 0)
                c->start_time = 0;
        for (const VarlinkConnection *other = s->connections; other; other = other->next)
                n += other->uid == peer.uid;
        if ((peer.uid != 0 && n > CONNECTIONS_OF_USER_MAX) ||
            (peer.uid > SYSTEM_USER_MAX && s->n_connections > CONNECTIONS_MAX))
                return -EUSERS;
        r = sd_event_add_io(s->event, &c->io_source, fd, EPOLLIN, on_io, c);
        if (r >= 0)
                r = sd_event_add_time_relative(s->event, &c->timer_source, CLOCK_MONOTONIC, PATIENCE_USEC, 0,
                                               on_timer, c);
        if (r < 0)
                return r;
        TAKE_PTR(c);
        return 0;
}

static int on_connect(sd_event_source *source, int listen_fd, uint32_t events, void *userdata)
{
        VarlinkServer *s = userdata;
        int r, fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        (void) source;
        (void) events;
        if (fd < 0)
                return 0;
        if (s->n_connections >= CONNECTIONS_MAX + CONNECTIONS_RESERVED) {
                fd_close(fd);
                return 0;
        }
        r = varlink_serve(s, fd);
        if (r < 0 && r != -EUSERS)
                log_warning_errno(r, "Failed to serve a connection to '%s'", s->path);
        return 0;
}

int varlink_new(sd_event *event, const VarlinkMethod *methods, void *userdata, VarlinkServer **ret)
{
        VarlinkServer *s = calloc(1, sizeof(VarlinkServer));

        OOM_CHECK(s);
        *s = (VarlinkServer){ .event = event, .methods = methods, .userdata = userdata, .fd = -EBADF };
        *ret = s;
        return 0;
}

int varlink_listen(VarlinkServer *s, const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        assert(strlen(path) < sizeof(address.sun_path));
        memcpy(address.sun_path, path, strlen(path) + 1);
        s->path = strdup(path);
        OOM_CHECK(s->path);
        s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s->fd < 0)
                return -errno;
        (void) unlink(path);
        if (bind(s->fd, (struct sockaddr *) &address, sizeof(address)) < 0 || chmod(path, 0666) < 0 ||
            listen(s->fd, SOMAXCONN) < 0)
                return -errno;
        int r = sd_event_add_io(s->event, &s->source, s->fd, EPOLLIN, on_connect, s);
        /* Without free descriptors, connections stay in the queue of the socket. */
        return r < 0 ? r : sd_event_source_set_ratelimit(s->source, USEC_PER_SEC, 1000);
}

void varlink_free(VarlinkServer *s)
{
        if (!s)
                return;
        while (s->connections)
                connection_free(s->connections);
        sd_event_source_disable_unref(s->source);
        fd_close(s->fd);
        if (s->path)
                (void) unlink(s->path);
        free(s->path);
        free(s);
}
