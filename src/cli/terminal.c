/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>

#include "basic/fd.h"
#include "basic/socket.h"
#include "cli/terminal.h"

#define BUFFER_SIZE 16384U

/* What came from one side and waits for the other. */
typedef struct Buffer {
        char data[BUFFER_SIZE];
        size_t begin, end;
} Buffer;

struct Terminal {
        int socket_fd; /* until the master has come */
        int master_fd;
        int window_fd; /* signalfd for changes of the size */
        bool raw;
        bool input_ended, output_ended;
        struct termios saved;
        Buffer in, out;
};

int terminal_new(Terminal **ret, int *ret_machine_fd)
{
        sigset_t window;
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return -errno;
        Terminal *t = calloc(1, sizeof(Terminal));
        if (!t) {
                fd_close(fds[0]);
                fd_close(fds[1]);
                return -ENOMEM;
        }
        /* Whoever reads our output may go: the terminal has to be set back all the same. */
        (void) signal(SIGPIPE, SIG_IGN);
        sigemptyset(&window);
        sigaddset(&window, SIGWINCH);
        (void) sigprocmask(SIG_BLOCK, &window, NULL);
        t->socket_fd = fds[0];
        t->master_fd = -EBADF;
        t->window_fd = signalfd(-1, &window, SFD_CLOEXEC | SFD_NONBLOCK);
        *ret = t;
        *ret_machine_fd = fds[1];
        return 0;
}

void terminal_free(Terminal *t)
{
        if (t->raw)
                (void) tcsetattr(STDIN_FILENO, TCSADRAIN, &t->saved);
        fd_close(t->socket_fd);
        fd_close(t->master_fd);
        fd_close(t->window_fd);
        free(t);
}

static void pass_window_size(Terminal *t)
{
        struct winsize size;

        if (t->master_fd >= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) >= 0)
                (void) ioctl(t->master_fd, TIOCSWINSZ, &size);
}

static void receive_master(Terminal *t)
{
        char c;
        int r = socket_receive_fd(t->socket_fd, &c, &t->master_fd);

        if (r == -EAGAIN)
                return;
        t->socket_fd = fd_close(t->socket_fd);
        if (r <= 0 || t->master_fd < 0) {
                t->output_ended = true; /* the machine ended before it had a terminal */
                return;
        }
        (void) fcntl(t->master_fd, F_SETFL, O_NONBLOCK);
        pass_window_size(t);

        /* Only now, with somebody at the other end, do keys lose their meaning here. */
        if (tcgetattr(STDIN_FILENO, &t->saved) >= 0) {
                struct termios raw = t->saved;
                cfmakeraw(&raw);
                t->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) >= 0;
        }
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

/* Reads when the buffer is empty. 0 at the end. */
static int fill(Buffer *b, int fd)
{
        ssize_t n;

        if (b->begin < b->end)
                return 1;
        n = read(fd, b->data, sizeof(b->data));
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 1 : errno == EIO ? 0 : -errno;
        b->begin = 0;
        b->end = n;
        return n > 0;
}

static int drain(Buffer *b, int fd)
{
        while (b->begin < b->end) {
                ssize_t n = write(fd, b->data + b->begin, b->end - b->begin);
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

int terminal_process(Terminal *t)
{
        struct signalfd_siginfo info;
        int r;

        if (t->socket_fd >= 0)
                receive_master(t);
        while (read(t->window_fd, &info, sizeof(info)) > 0)
                pass_window_size(t);
        if (t->master_fd >= 0) {
                r = fill(&t->out, t->master_fd);
                if (r < 0)
                        return r;
                t->output_ended = r == 0;
                if (!t->input_ended && readable(STDIN_FILENO)) {
                        r = fill(&t->in, STDIN_FILENO);
                        t->input_ended = r <= 0;
                }
                r = drain(&t->in, t->master_fd);
                if (r < 0)
                        t->in.begin = t->in.end = 0; /* nobody reads any more */
        }
        r = drain(&t->out, STDOUT_FILENO);
        if (r == -EPIPE)
                t->out.begin = t->out.end = 0; /* the machine goes on, unheard */
        else if (r < 0)
                return r;
        return !t->output_ended || t->out.begin < t->out.end;
}
