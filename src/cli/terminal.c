/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>

#include "basic/fd.h"
#include "basic/plain-text.h"
#include "basic/socket.h"
#include "basic/str.h"
#include "basic/time.h"
#include "cli/terminal.h"

#define BUFFER_SIZE 16384U

/* Bytes that were read from one side, and not written to the other side yet. */
typedef struct Buffer {
        char data[BUFFER_SIZE];
        size_t begin, end;
} Buffer;

struct Terminal {
        int socket_fd; /* to receive the master of the terminal; negative afterwards */
        int master_fd; /* master of the machine's terminal, or socket of a console */
        int window_fd; /* signalfd for SIGWINCH */
        bool console;
        uint64_t backlog; /* number of bytes that are still converted to plain text */
        PlainText plain;
        bool raw;
        bool mute; /* input is read and dropped */
        bool input_ended, output_ended;
        bool detached;
        DetachKeys keys;
        size_t n_matched;    /* keys that were typed already */
        uint64_t match_usec; /* when the first of these keys came */
        struct termios saved;
        Buffer in, out;
};

int detach_keys_parse(const char *text, DetachKeys *ret)
{
        *ret = (DetachKeys){};
        if (streq(text, "none") || isempty(text))
                return 0;
        for (const char *p = text;; p++) {
                const char *key = startswith(p, "ctrl-") ?: p;
                char c = *key;

                if (ret->n == DETACH_KEYS_MAX || c <= 0x20 || c == 0x7f || (key[1] && key[1] != ','))
                        return -EINVAL;
                if (key > p && c >= 'a' && c <= 'z')
                        c -= 'a' - 'A';
                if (key > p && (c < '@' || c > '_'))
                        return -EINVAL;
                ret->keys[ret->n++] = key > p ? c & 0x1f : c;
                p = key + 1;
                if (!*p)
                        return 0;
        }
}

static Terminal *make_terminal(const DetachKeys *keys)
{
        sigset_t window;
        Terminal *t = calloc(1, sizeof(Terminal));

        if (!t)
                return NULL;
        /* The reader of standard output may close it: mctl must live on to restore the terminal. */
        (void) signal(SIGPIPE, SIG_IGN);
        sigemptyset(&window);
        sigaddset(&window, SIGWINCH);
        (void) sigprocmask(SIG_BLOCK, &window, NULL);
        t->keys = *keys;
        t->socket_fd = t->master_fd = -EBADF;
        t->window_fd = signalfd(-1, &window, SFD_CLOEXEC | SFD_NONBLOCK);
        return t;
}

int terminal_new(const DetachKeys *keys, Terminal **ret, int *ret_machine_fd)
{
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return -errno;
        _cleanup_close_ int socket_fd = fds[0], machine_fd = fds[1];
        Terminal *t = make_terminal(keys);
        OOM_CHECK(t);
        t->socket_fd = TAKE_FD(socket_fd);
        *ret = t;
        *ret_machine_fd = TAKE_FD(machine_fd);
        return 0;
}

void terminal_restore(Terminal *t)
{
        if (t->raw)
                (void) tcsetattr(STDIN_FILENO, TCSADRAIN, &t->saved);
        t->raw = false;
}

void terminal_free(Terminal *t)
{
        terminal_restore(t);
        fd_close(t->socket_fd);
        fd_close(t->master_fd);
        fd_close(t->window_fd);
        free(t);
}

static void pass_window_size(Terminal *t)
{
        struct winsize size;

        if (t->master_fd < 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
                return;
        if (t->console) {
                const uint16_t rows_columns[2] = { size.ws_row, size.ws_col };
                char frame[1 + sizeof(rows_columns)] = "W";
                memcpy(frame + 1, rows_columns, sizeof(rows_columns));
                (void) send(t->master_fd, frame, sizeof(frame), MSG_NOSIGNAL);
        } else
                (void) ioctl(t->master_fd, TIOCSWINSZ, &size);
}

static bool same_modes(const struct termios *a, const struct termios *b)
{
        return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_lflag == b->c_lflag &&
               a->c_cflag == b->c_cflag;
}

/* mctl may be killed while the terminal is raw. A guard process waits for the end of mctl. It restores the
 * terminal, unless another program has changed the modes. The guard has a session of its own, so that the
 * terminal neither stops nor kills it, and lets it change the modes. */
static void start_guard(const struct termios *saved, const struct termios *raw)
{
        struct termios now;

        _cleanup_close_ int pid_fd = pidfd_open(getpid(), 0);
        if (pid_fd < 0 || fork() != 0)
                return;
        (void) setsid();
        (void) fd_close_others((const int[]){ pid_fd }, 1);
        fd_close(STDOUT_FILENO);
        fd_close(STDERR_FILENO);
        struct pollfd p = { .fd = pid_fd, .events = POLLIN };
        while (poll(&p, 1, -1) < 0 && errno == EINTR)
                ;
        if (tcgetattr(STDIN_FILENO, &now) >= 0 && same_modes(&now, raw))
                (void) tcsetattr(STDIN_FILENO, TCSANOW, saved);
        _exit(EXIT_SUCCESS);
}

/* In raw mode, keys such as ^C are passed on and raise no signals. */
static void make_raw(Terminal *t)
{
        if (tcgetattr(STDIN_FILENO, &t->saved) < 0)
                return;
        struct termios raw = t->saved;
        cfmakeraw(&raw);
        t->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) >= 0;
        if (t->raw && tcgetattr(STDIN_FILENO, &raw) >= 0)
                start_guard(&t->saved, &raw);
}

int terminal_new_console(const DetachKeys *keys, int console_fd, bool writes, uint64_t backlog,
                         Terminal **ret)
{
        _cleanup_close_ int fd = console_fd;
        Terminal *t = make_terminal(keys);

        OOM_CHECK(t);
        t->console = true;
        t->backlog = isatty(STDOUT_FILENO) ? backlog : 0;
        t->mute = !writes;
        t->master_fd = TAKE_FD(fd);
        (void) fcntl(t->master_fd, F_SETFL, O_NONBLOCK);
        if (writes)
                pass_window_size(t);
        make_raw(t);
        *ret = t;
        return 0;
}

int terminal_reconnect(Terminal *t, int console_fd, bool writes)
{
        fd_close(t->master_fd);
        t->master_fd = console_fd;
        t->mute = !writes;
        t->output_ended = false;
        (void) fcntl(t->master_fd, F_SETFL, O_NONBLOCK);
        if (writes)
                pass_window_size(t);
        return 0;
}

static void receive_master(Terminal *t)
{
        char c;
        int r = socket_receive(t->socket_fd, &c, 1, &t->master_fd);

        if (r == -EAGAIN)
                return;
        t->socket_fd = fd_close(t->socket_fd);
        if (r <= 0 || t->master_fd < 0) {
                t->output_ended = true; /* the machine ended before it had a terminal */
                return;
        }
        (void) fcntl(t->master_fd, F_SETFL, O_NONBLOCK);
        pass_window_size(t);
        make_raw(t); /* only now, since keys have a receiver now */
}

size_t terminal_poll(const Terminal *t, struct pollfd *fds)
{
        size_t n = 0;

        fds[n++] = (struct pollfd){ .fd = t->window_fd, .events = POLLIN };
        if (t->socket_fd >= 0)
                fds[n++] = (struct pollfd){ .fd = t->socket_fd, .events = POLLIN };
        if (t->master_fd >= 0) {
                short events = 0;
                if (t->out.begin == t->out.end)
                        events |= POLLIN;
                if (t->in.begin < t->in.end)
                        events |= POLLOUT;
                fds[n++] = (struct pollfd){ .fd = t->master_fd, .events = events };
                if (t->in.begin == t->in.end && !t->input_ended)
                        fds[n++] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
        }
        return n;
}

/* Reads if the buffer is empty. Returns 0 at the end of the file, otherwise 1 or a negative errno. */
static int fill(Buffer *b, int fd)
{
        ssize_t n;

        if (b->begin < b->end)
                return 1;
        n = read(fd, b->data, sizeof(b->data));
        if (n < 0)
                return errno == EAGAIN || errno == EINTR     ? 1
                       : errno == EIO || errno == ECONNRESET ? 0
                                                             : -errno;
        b->begin = 0;
        b->end = n;
        return n > 0;
}

/* Consoles take input as frames: 'D' and data, or 'W' and a window size. */
static ssize_t write_frame(int fd, const char *data, size_t n)
{
        char frame[4096] = "D";

        n = MIN(n, sizeof(frame) - 1);
        memcpy(frame + 1, data, n);
        return send(fd, frame, n + 1, MSG_NOSIGNAL) < 0 ? -1 : (ssize_t) n;
}

static int drain(Buffer *b, int fd, bool frames)
{
        while (b->begin < b->end) {
                size_t size = b->end - b->begin;
                ssize_t n = frames ? write_frame(fd, b->data + b->begin, size)
                                   : write(fd, b->data + b->begin, size);
                if (n < 0)
                        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
                b->begin += n;
        }
        return 0;
}

static bool readable(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };
        return poll(&p, 1, 0) > 0;
}

/* Looks for the detach keys in the input. All keys before the last of them are passed on all the same. */
static void look_for_keys(Terminal *t)
{
        for (size_t i = t->in.begin; i < t->in.end && t->keys.n > 0; i++) {
                uint64_t now = now_usec(CLOCK_MONOTONIC);

                if (t->n_matched > 0 && now - t->match_usec > USEC_PER_SEC)
                        t->n_matched = 0;
                if (t->in.data[i] != t->keys.keys[t->n_matched])
                        t->n_matched = 0;
                if (t->in.data[i] != t->keys.keys[t->n_matched])
                        continue;
                if (t->n_matched == 0)
                        t->match_usec = now;
                if (++t->n_matched == t->keys.n) {
                        t->detached = true;
                        t->in.end = i;
                        return;
                }
        }
}

static void read_input(Terminal *t)
{
        bool was_empty = t->in.begin == t->in.end;

        if (t->input_ended || !readable(STDIN_FILENO))
                return;
        t->input_ended = fill(&t->in, STDIN_FILENO) <= 0;
        if (was_empty && t->raw)
                look_for_keys(t);
        if (t->mute)
                t->in.begin = t->in.end = 0;
}

/* Converts the backlog to plain text. A raw terminal needs a carriage return with each line break. */
static void make_plain(Terminal *t)
{
        char text[BUFFER_SIZE + 1];
        size_t size = t->out.end - t->out.begin, n = MIN(size, t->backlog), k, at = 0;
        Buffer *b = &t->out;

        t->backlog -= n;
        k = plain_text(&t->plain, b->data + b->begin, n, text);
        if (k * 2 + size - n > sizeof(b->data))
                return; /* cannot happen: the registry sends less at a time */
        memmove(b->data + sizeof(b->data) - (size - n), b->data + b->begin + n, size - n);
        for (size_t i = 0; i < k; i++) {
                if (text[i] == '\n')
                        b->data[at++] = '\r';
                b->data[at++] = text[i];
        }
        memmove(b->data + at, b->data + sizeof(b->data) - (size - n), size - n);
        b->begin = 0;
        b->end = at + size - n;
}

bool terminal_detached(const Terminal *t)
{
        return t->detached;
}

int terminal_process(Terminal *t)
{
        struct signalfd_siginfo info;
        int r;

        if (t->socket_fd >= 0)
                receive_master(t);
        while (read(t->window_fd, &info, sizeof(info)) > 0)
                pass_window_size(t);
        if (t->master_fd >= 0) {
                bool was_empty = t->out.begin == t->out.end;
                r = fill(&t->out, t->master_fd);
                if (r < 0)
                        return r;
                if (was_empty && t->backlog > 0)
                        make_plain(t);
                t->output_ended = r == 0;
                read_input(t);
                r = drain(&t->in, t->master_fd, t->console);
                if (r < 0)
                        t->in.begin = t->in.end = 0; /* the machine has closed its side */
        }
        r = drain(&t->out, STDOUT_FILENO, false);
        if (r == -EPIPE && !t->console)
                t->out.begin = t->out.end = 0; /* the reader of standard output is gone */
        else if (r < 0)
                return r;
        if (t->detached)
                return 0;
        return !t->output_ended || t->out.begin < t->out.end;
}
