/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "archive/source.h"

#include <signal.h>

#include "config.h"

#define PIPE_SIZE (1024 * 1024)

/* Counts and reports bytes of the archive, before decompression. */
static void see(Source *s, const void *data, size_t n)
{
        s->n_read += n;
        if (s->job->seen)
                s->job->seen(s->job->userdata, data, n);
}

/* After EINTR, job->progress() tells whether the job is to end. */
static ssize_t read_some(Source *s, int fd, char *buffer)
{
        for (;;) {
                ssize_t n = read(fd, buffer, SOURCE_BLOCK);
                if (n >= 0)
                        return n;
                if (errno != EINTR)
                        return -errno;
                int r = s->job->progress ? s->job->progress(s->job->userdata, s->n_read) : 0;
                if (r < 0)
                        return r;
        }
}

#if HAVE_ISAL
#include <isa-l/igzip_lib.h>

/* Inflates the input into the pipe. Returns 1 at the end of a gzip member. */
static int inflate_some(Source *s, struct inflate_state *state, uint8_t *out)
{
        do {
                state->next_out = out;
                state->avail_out = SOURCE_BLOCK;
                if (isal_inflate(state) < 0)
                        return -EBADMSG;
                int r = fd_write_all(s->pipe_fds[1], out, SOURCE_BLOCK - state->avail_out);
                if (r < 0)
                        return r;
        } while (state->avail_out == 0 && state->block_state != ISAL_BLOCK_FINISH);
        return state->block_state == ISAL_BLOCK_FINISH;
}

/* A gzip file may have several members (RFC 1952, 2.2), and zeros behind the last one. */
static int inflate_all(Source *s, struct inflate_state *state, uint8_t *in, uint8_t *out)
{
        bool between = false;
        size_t n = s->n_first;
        int r = 0;

        memcpy(in, s->first, n);
        for (;;) {
                state->next_in = in;
                state->avail_in = n;
                while (r >= 0 && state->avail_in > 0) {
                        if (between && *state->next_in == 0) {
                                state->next_in++;
                                state->avail_in--;
                                continue;
                        }
                        between = false;
                        r = inflate_some(s, state, out);
                        if (r > 0) {
                                between = true;
                                isal_inflate_reset(state);
                                state->crc_flag = ISAL_GZIP;
                        }
                }
                if (r < 0)
                        return r;
                ssize_t k = read(s->fd, in, SOURCE_BLOCK);
                if (k < 0)
                        return -errno;
                if (k == 0)
                        return between ? 0 : -EBADMSG; /* truncated */
                see(s, in, k);
                n = k;
        }
}

static void *inflate_thread(void *userdata)
{
        Source *s = userdata;
        struct inflate_state *state = s->state;

        isal_inflate_init(state);
        state->crc_flag = ISAL_GZIP;
        s->failed = inflate_all(s, state, s->in, s->out);
        s->pipe_fds[1] = fd_close(s->pipe_fds[1]);
        return NULL;
}

/* The thread blocks all signals: a signal that ends the job must interrupt the main thread. */
static bool start_inflating(Source *s)
{
        sigset_t all, before;

        if (s->n_first < 3 || memcmp(s->first, "\x1f\x8b\x08", 3) != 0)
                return false;
        s->state = malloc(sizeof(struct inflate_state));
        s->in = malloc(SOURCE_BLOCK);
        s->out = malloc(SOURCE_BLOCK);
        if (!s->state || !s->in || !s->out || pipe2(s->pipe_fds, O_CLOEXEC) < 0)
                return false;
        (void) fcntl(s->pipe_fds[1], F_SETPIPE_SZ, PIPE_SIZE);
        sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &before);
        s->inflating = pthread_create(&s->thread, NULL, inflate_thread, s) == 0;
        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        return s->inflating;
}
#else
static bool start_inflating(Source *s)
{
        (void) s;
        return false;
}
#endif

static la_ssize_t fail(Source *s, struct archive *archive, ssize_t r)
{
        s->error = (int) r;
        archive_set_error(archive, (int) -r, "%s",
                          r == -EBADMSG ? "damaged or truncated gzip input" : strerror((int) -r));
        return ARCHIVE_FATAL;
}

static la_ssize_t read_block(struct archive *archive, void *userdata, const void **ret)
{
        Source *s = userdata;
        ssize_t n;

        *ret = s->block;
        if (!s->begun) {
                s->begun = true;
                n = read_some(s, s->fd, s->first);
                if (n < 0)
                        return fail(s, archive, n);
                see(s, s->first, n);
                s->n_first = n;
                if (!start_inflating(s)) {
                        *ret = s->first;
                        return n;
                }
        }
        n = read_some(s, s->inflating ? s->pipe_fds[0] : s->fd, s->block);
        if (n > 0 && !s->inflating)
                see(s, s->block, n);
        if (n == 0 && s->inflating && s->failed < 0)
                return fail(s, archive, s->failed);
        return n < 0 ? fail(s, archive, n) : n;
}

bool source_add_filters(struct archive *archive)
{
        return archive_read_support_filter_gzip(archive) >= ARCHIVE_WARN &&
               archive_read_support_filter_xz(archive) >= ARCHIVE_WARN &&
               archive_read_support_filter_zstd(archive) >= ARCHIVE_WARN &&
               archive_read_support_filter_bzip2(archive) >= ARCHIVE_WARN;
}

static int skip(Source *s, int fd, bool is_archive)
{
        ssize_t n;

        while ((n = read_some(s, fd, s->block)) > 0)
                if (is_archive)
                        see(s, s->block, n);
        return (int) n;
}

int source_drain(Source *s)
{
        int r = 0;

        if (!s->job->seen || !s->begun)
                return 0;
        if (s->inflating) {
                r = skip(s, s->pipe_fds[0], false);
                if (r >= 0)
                        (void) pthread_join(s->thread, NULL);
                s->inflating = r < 0;
        }
        /* The thread may have ended before the end of the input. */
        if (r >= 0)
                r = skip(s, s->fd, true);
        s->error = r < 0 ? r : s->failed;
        return s->error;
}

int source_open(Source *s, struct archive *archive)
{
        s->pipe_fds[0] = s->pipe_fds[1] = -EBADF;
        s->block = malloc(SOURCE_BLOCK);
        s->first = malloc(SOURCE_BLOCK);
        if (!s->block || !s->first)
                return ARCHIVE_FATAL;
        return archive_read_open(archive, s, NULL, read_block, NULL);
}

void source_close(Source *s)
{
        if (s->inflating) {
                (void) pthread_cancel(s->thread);
                (void) pthread_join(s->thread, NULL);
        }
        if (s->begun) {
                fd_close(s->pipe_fds[0]);
                fd_close(s->pipe_fds[1]);
        }
        free(s->state);
        free(s->in);
        free(s->out);
        free(s->block);
        free(s->first);
}
