/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fetch/download.h"

#include <curl/curl.h>
#include <grp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NOBODY      65534
#define RETRIES     5U
#define CONNECT_SEC 30L
#define STALL_SEC   60L
#define REDIRECTS   10L
#define ETAG_MAX    256U
#define PIPE_SIZE   (1024 * 1024)
#define ERROR_MAX   512U

struct DownloadReport {
        _Atomic uint64_t size;
        _Atomic bool missing;
        char error[ERROR_MAX];
};

/* --- the process that fetches -------------------------------------------------------------------------- */

typedef struct Fetch {
        CURL *curl;
        struct DownloadReport *report;
        int fd;
        uint64_t n_received;
        char etag[ETAG_MAX];
} Fetch;

static size_t on_data(char *data, size_t size, size_t n, void *userdata)
{
        Fetch *f = userdata;
        curl_off_t length = -1;

        if (f->n_received == 0 &&
            curl_easy_getinfo(f->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) == CURLE_OK &&
            length > 0)
                f->report->size = length;
        if (fd_write_all(f->fd, data, size * n) < 0)
                return CURL_WRITEFUNC_ERROR;
        f->n_received += size * n;
        return size * n;
}

/* Remembers the ETag of the first answer, so that resume() does not continue with another version of the
 * file. */
static size_t on_header(char *data, size_t size, size_t n, void *userdata)
{
        Fetch *f = userdata;
        size_t length = size * n;

        if (f->n_received == 0 && length > 5 && strncasecmp(data, "etag:", 5) == 0) {
                while (length > 0 && strchr("\r\n ", data[length - 1]))
                        length--;
                size_t skip = 5 + strspn(data + 5, " ");
                if (length > skip)
                        snprintf(f->etag, sizeof(f->etag), "%.*s", (int) (length - skip), data + skip);
        }
        return size * n;
}

static bool is_passing(CURLcode code)
{
        return code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING ||
               code == CURLE_OPERATION_TIMEDOUT || code == CURLE_SEND_ERROR || code == CURLE_HTTP2 ||
               code == CURLE_HTTP2_STREAM;
}

static bool set_options(CURL *curl, Fetch *f, const char *url, char error[static CURL_ERROR_SIZE])
{
        bool secure = startswith(url, "https:");

        return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https") ==
                       CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SEC) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALL_SEC) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 256L * 1024L) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_USERAGENT, "mctl/" MCTL_VERSION) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_WRITEDATA, f) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_HEADERDATA, f) == CURLE_OK;
}

static CURLcode resume(Fetch *f)
{
        struct curl_slist *headers = NULL;
        char text[ETAG_MAX + 16];

        if (f->etag[0]) {
                snprintf(text, sizeof(text), "If-Range: %s", f->etag);
                headers = curl_slist_append(NULL, text);
        }
        (void) curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, headers);
        (void) curl_easy_setopt(f->curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t) f->n_received);
        CURLcode code = curl_easy_perform(f->curl);
        (void) curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, NULL);
        curl_slist_free_all(headers);
        return code;
}

static int fetch(Fetch *f, const char *url)
{
        char error[CURL_ERROR_SIZE] = "";
        CURLcode code = CURLE_FAILED_INIT;
        long status = 0;

        f->curl = curl_easy_init();
        if (f->curl && set_options(f->curl, f, url, error))
                code = curl_easy_perform(f->curl);
        for (unsigned i = 0; i < RETRIES && is_passing(code); i++) {
                sleep(1U << i);
                code = resume(f);
        }
        if (code == CURLE_OK)
                return 0;
        (void) curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
        f->report->missing = code == CURLE_HTTP_RETURNED_ERROR && (status == 404 || status == 410);
        snprintf(f->report->error, ERROR_MAX, "%s",
                 code == CURLE_RANGE_ERROR ? "the connection broke, and the server cannot resume a download"
                 : error[0]                ? error
                                           : curl_easy_strerror(code));
        return -EIO;
}

/* Drops all privileges. The unit's NoNewPrivileges= keeps the process from regaining them. */
static int become_nobody(void)
{
        if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
            setresuid(NOBODY, NOBODY, NOBODY) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return -errno;
        return chdir("/") < 0 ? -errno : 0;
}

static void run_child(const char *url, const Strv environment, struct DownloadReport *report, int fd)
{
        Fetch f = { .report = report };

        (void) signal(SIGTERM, SIG_DFL);
        (void) signal(SIGALRM, SIG_DFL);
        STRV_FOREACH (s, environment)
                (void) putenv(*s);
        /* The process must not reach the descriptors of the worker: its socket, and the files it works
         * on. */
        f.fd = dup2(fd, 3);
        if (f.fd < 0 || close_range(4, ~0U, 0) < 0 || dup2(3, STDOUT_FILENO) < 0 ||
            dup2(3, STDIN_FILENO) < 0 || become_nobody() < 0)
                _exit(EXIT_FAILURE);
        _exit(fetch(&f, url) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* --- who wants it -------------------------------------------------------------------------------------- */

static int open_file(const char *path, Download *ret)
{
        struct stat st;

        _cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADFD;
        *ret = (Download){ .fd = TAKE_FD(fd) };
        return 0;
}

int download_begin(const char *url, const Strv environment, Download *ret)
{
        const char *path = startswith(url, "file://");
        struct DownloadReport *report;
        int fds[2];

        if (path)
                return open_file(path, ret);
        report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (report == MAP_FAILED)
                return -errno;
        if (pipe2(fds, O_CLOEXEC) < 0) {
                int e = errno;
                (void) munmap(report, sizeof(*report));
                return -e;
        }
        (void) fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE);
        pid_t pid = fork();
        if (pid == 0)
                run_child(url, environment, report, fds[1]);
        int e = errno;
        fd_close(fds[1]);
        if (pid < 0) {
                fd_close(fds[0]);
                (void) munmap(report, sizeof(*report));
                return -e;
        }
        *ret = (Download){ pid, fds[0], report };
        return 0;
}

uint64_t download_size(const Download *d)
{
        struct stat st;

        if (d->report)
                return d->report->size;
        return fstat(d->fd, &st) >= 0 ? (uint64_t) st.st_size : 0;
}

int download_end(Download *d, char **ret_error)
{
        int status = -1, r = 0;
        char text[ERROR_MAX];

        if (d->pid == 0) {
                fd_close(d->fd);
                return 0;
        }
        /* If the process still writes, it may wait for a server, and there is no reason to wait with it. */
        char c;
        ssize_t n = read(d->fd, &c, 1);
        fd_close(d->fd);
        if (n != 0)
                (void) kill(d->pid, SIGKILL);
        while (waitpid(d->pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS) {
                r = d->report->missing ? -ENOENT : -EIO;
                memcpy(text, d->report->error, sizeof(text));
                text[sizeof(text) - 1] = 0;
                *ret_error = strdup(text[0] ? text : "the download was interrupted");
        }
        (void) munmap(d->report, sizeof(*d->report));
        return r;
}

int download_text(const char *url, const Strv environment, size_t max, char **ret, size_t *ret_size,
                  char **ret_error)
{
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        Download d;
        int r, q;

        r = download_begin(url, environment, &d);
        if (r < 0)
                return r;
        r = fd_read_all(d.fd, max, &text, &size);
        q = download_end(&d, ret_error);
        if (r == -EFBIG || r == -E2BIG) {
                free(*ret_error);
                *ret_error = strf("the file is larger than %zu bytes", max);
                return -EFBIG;
        }
        if (r < 0 || q < 0)
                return q < 0 ? q : r;
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}
