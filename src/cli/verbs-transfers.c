/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verbs about transfers: import, export and download of images. A worker of the registry does the transfer;
 * mctl shows the progress. */

#include "cli/verbs-transfers.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/time.h"
#include "cli/bus.h"
#include "cli/output.h"

#define SIGN LIBEXECDIR "/mctl-sign"
#include "cli/process.h"

typedef struct Transfer {
        uint32_t id;
        const char *what; /* title of the progress line, or NULL for none */
        uint64_t begun;   /* µs of CLOCK_MONOTONIC */
        bool shown;
        bool cancelled;
        bool uncertain; /* the registry was restarted: the transfer may have ended or not */
        char *result, *message;
} Transfer;

static void transfer_clear(Transfer *t)
{
        free(t->result);
        free(t->message);
}

/* Shows a bar, the percentage, the speed, and an estimate of the time that is left. */
static void show_progress(Transfer *t, double share, uint64_t bytes)
{
        static const char bar[] = "########################################";
        uint64_t passed = now_usec(CLOCK_MONOTONIC) - t->begun;
        unsigned left = share > 0.01 ? (unsigned) ((double) passed / share * (1 - share) / USEC_PER_SEC) : 0;
        json_t *rate = json_integer((json_int_t) ((double) bytes * USEC_PER_SEC / (double) MAX(passed, 1U)));
        _cleanup_free_ char *speed = format_bytes(rate);

        json_decref(rate);
        fprintf(stderr, "\r%s [%-40.*s] %3.0f%%  %s/s  %u:%02u left\033[K", t->what, (int) (share * 40), bar,
                share * 100, strna(speed), left / 60, left % 60);
        t->shown = true;
}

static int on_progress(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Transfer *t = userdata;
        uint32_t id;
        uint64_t bytes;
        double share;

        (void) error;
        if (sd_bus_message_read(m, "udt", &id, &share, &bytes) >= 0 && id == t->id && t->what)
                show_progress(t, share, bytes);
        return 0;
}

static int on_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Transfer *t = userdata;
        const char *result, *message;
        uint32_t id;

        (void) error;
        if (sd_bus_message_read(m, "uss", &id, &result, &message) >= 0 && id == t->id) {
                t->result = strdup(result);
                t->message = strdup(message);
        }
        return 0;
}

/* The registry was restarted: ask it whether the transfer is still running. */
static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Transfer *t = userdata;
        const char *name, *old, *new;

        (void) error;
        if (sd_bus_message_read(m, "sss", &name, &old, &new) >= 0 && streq(name, REGISTRY_NAME) && *new &&
            t->id > 0 && !t->result)
                t->uncertain = true;
        return 0;
}

/* If the registry does not list the transfer any more, the transfer ended while the registry did not run, or
 * was lost. */
static int look_for(Context *c, Transfer *t)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint32_t id;
        int r;

        t->uncertain = false;
        r = bus_ask_registry(c, "Failed to look for the transfer", "ListTransfers", &reply, "");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ussd)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(ussd)", &id, NULL, NULL, NULL)) > 0)
                if (id == t->id)
                        return 0;
        if (r >= 0 && !t->result) {
                t->result = strdup("lost");
                t->message = strdup(
                        "The registry crashed, and the result of the transfer is unknown: see the unit "
                        "mctl-work-….service.");
        }
        return r;
}

static int watch(Context *c, Transfer *t)
{
        static const struct {
                const char *sender, *path, *interface, *member;
                sd_bus_message_handler_t handler;
        } signals[] = {
                { REGISTRY_NAME, REGISTRY_PATH, REGISTRY_INTERFACE, "TransferProgress", on_progress },
                { REGISTRY_NAME, REGISTRY_PATH, REGISTRY_INTERFACE, "TransferRemoved", on_removed },
                { "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                  "NameOwnerChanged", on_owner_changed },
        };
        int r = bus_connect(c);

        for (size_t i = 0; i < ELEMENTSOF(signals) && r >= 0; i++)
                r = sd_bus_match_signal(c->bus, NULL, signals[i].sender, signals[i].path,
                                        signals[i].interface, signals[i].member, signals[i].handler, t);
        return r < 0 ? log_error_errno(r, "Failed to watch transfers") : 0;
}

static int report(const Transfer *t)
{
        if (t->shown)
                fputs("\r\033[K", stderr);
        if (streq_ptr(t->result, "done")) {
                if (!isempty(t->message))
                        log_warning("%s", t->message);
                return 0;
        }
        log_error("%s: %s", streq_ptr(t->result, "canceled") ? "Cancelled" : "Failed",
                  isempty(t->message) ? strna(t->result) : t->message);
        return EXIT_STATUS_FAILURE;
}

/* The first signal cancels the transfer, and mctl waits for its end. The second signal ends mctl. */
static int wait_transfer(Context *c, Transfer *t, int signal_fd)
{
        struct signalfd_siginfo info;
        int r;

        while (!t->result) {
                r = sd_bus_process(c->bus, NULL);
                if (r < 0)
                        return log_error_errno(r, "Failed to wait for the transfer");
                bool asked = r == 0 && t->uncertain;
                if (asked)
                        r = look_for(c, t);
                if (r < 0)
                        return r;
                /* Messages that came with the answer are queued: process them before poll(). */
                if (r > 0 || asked)
                        continue;
                struct pollfd fds[] = {
                        { .fd = sd_bus_get_fd(c->bus), .events = sd_bus_get_events(c->bus) },
                        { .fd = signal_fd, .events = POLLIN },
                };
                if (poll(fds, ELEMENTSOF(fds), -1) < 0 && errno != EINTR)
                        return log_error_errno(-errno, "Failed to wait for the transfer");
                if (fds[1].revents && read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
                        if (t->cancelled)
                                return 128 + (int) info.ssi_signo;
                        t->cancelled = true;
                        (void) bus_call_registry(c, "Failed to cancel", "CancelTransfer", NULL, "u", t->id);
                }
        }
        return report(t);
}

int transfer_run(Context *c, sd_bus_message *call, const char *what)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(transfer_clear) Transfer t = {
                .what = isatty(STDERR_FILENO) && !c->quiet ? what : NULL,
                .begun = now_usec(CLOCK_MONOTONIC),
        };
        uint32_t id;
        int r;

        r = watch(c, &t);
        if (r < 0)
                return r;
        /* Signals are not blocked yet: the user may interrupt a question for a password. */
        r = bus_call(c, what, call, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "u", &id);
        if (r < 0)
                return r;
        t.id = id;
        _cleanup_close_ int signal_fd = process_block_signals();
        if (!c->run.detach)
                return wait_transfer(c, &t, signal_fd);
        printf("%u\n", id);
        return 0;
}

/* Compression by the suffix of a file name. */
static const struct {
        const char *suffix, *format;
} compressions[] = {
        { ".gz", "gzip" },
        { ".xz", "xz" },
        { ".zst", "zstd" },
        { ".bz2", "bzip2" },
};

static const struct {
        const char *suffix, *type;
} types[] = {
        { ".tar", "tar" },  { ".tgz", "tar" }, { ".txz", "tar" }, { ".tzst", "tar" },
        { ".tbz2", "tar" }, { ".raw", "raw" }, { ".img", "raw" }, { ".qcow2", "raw" },
};

static size_t strip(const char *name, size_t n, const char *suffix)
{
        size_t length = strlen(suffix);

        return n > length && strncmp(name + n - length, suffix, length) == 0 ? n - length : n;
}

/* Returns the name of a file or URL without the suffixes of type and compression, and its type: for
 * "debian-12.tar.xz", "debian-12" and "tar". Without a suffix, the type is "tar". The caller frees the
 * name. */
static char *name_from_file(const char *path, const char **ret_type)
{
        size_t end = strcspn(path, strstr(path, "://") ? "?#" : ""), begin, n;

        while (end > 1 && path[end - 1] == '/')
                end--;
        for (begin = end; begin > 0 && path[begin - 1] != '/';)
                begin--;
        const char *name = path + begin;
        n = end - begin;
        for (size_t i = 0; i < ELEMENTSOF(compressions); i++)
                n = strip(name, n, compressions[i].suffix);
        *ret_type = "tar";
        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (strip(name, n, types[i].suffix) < n) {
                        *ret_type = types[i].type;
                        return strndup(name, strip(name, n, types[i].suffix));
                }
        return strndup(name, n);
}

/* Flags of ImportImage() and PullImage(). */
enum {
        TRANSFER_REPLACE = 1,
        TRANSFER_READ_ONLY = 2,
};

static uint64_t transfer_flags(const Context *c)
{
        return (c->force ? TRANSFER_REPLACE : 0) | (c->spec->read_only ? TRANSFER_READ_ONLY : 0);
}

int transfer_new(Context *c, const char *method, sd_bus_message **ret)
{
        int r = bus_connect(c);

        return r < 0 ? r
                     : sd_bus_message_new_method_call(c->bus, ret, REGISTRY_NAME, REGISTRY_PATH,
                                                      REGISTRY_INTERFACE, method);
}

int verb_import(Context *c, char **args)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_free_ char *name = NULL, *what = NULL;
        bool from_stdin = streq(args[0], "-");
        const char *type;
        struct stat st;
        int r;

        if (from_stdin && !args[1])
                return log_error("An image from standard input needs a name: mctl import - NAME."),
                       EXIT_STATUS_USAGE;
        name = name_from_file(args[0], &type);
        if (args[1] && free_and_strdup(&name, args[1]) < 0)
                return log_oom();
        what = name ? strf("Import of '%s'", name) : NULL;
        if (!what)
                return log_oom();
        _cleanup_close_ int file_fd = from_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                                 : open(args[0], O_RDONLY | O_NOCTTY | O_CLOEXEC);
        if (file_fd < 0 || fstat(file_fd, &st) < 0)
                return log_error_errno(-errno, "Cannot open '%s'", args[0]);
        if (from_stdin && isatty(file_fd))
                return log_error_return(-EINVAL, "Standard input is a terminal: redirect an archive to it.");
        type = c->image_type         ? c->image_type
               : S_ISDIR(st.st_mode) ? "directory"
               : S_ISBLK(st.st_mode) ? "raw"
                                     : type;
        r = transfer_new(c, "ImportImage", &call);
        if (r >= 0)
                r = sd_bus_message_append(call, "ssht", name, type, file_fd, transfer_flags(c));
        return r < 0 ? r : transfer_run(c, call, what);
}

/* Passes the environment variables for proxies on; the names are those of curl(1). */
static int append_proxies(sd_bus_message *call)
{
        static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                             "ALL_PROXY",  "no_proxy",    "NO_PROXY" };
        int r = sd_bus_message_open_container(call, 'a', "s");

        for (size_t i = 0; i < ELEMENTSOF(names) && r >= 0; i++) {
                const char *value = getenv(names[i]);
                _cleanup_free_ char *assignment = value ? strf("%s=%s", names[i], value) : NULL;
                if (assignment)
                        r = sd_bus_message_append_basic(call, 's', assignment);
        }
        return r < 0 ? r : sd_bus_message_close_container(call);
}

static int pull(Context *c, char **args, const char *type)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_free_ char *name = NULL, *what = NULL;
        const char *unused;
        int r;

        if (!strstr(args[0], "://"))
                return log_error("'%s' is no URL; 'mctl import' takes a file.", args[0]), EXIT_STATUS_USAGE;
        name = args[1] ? strdup(args[1]) : name_from_file(args[0], &unused);
        what = name ? strf("Download of '%s'", name) : NULL;
        if (!what)
                return log_oom();
        r = transfer_new(c, "PullImage", &call);
        if (r >= 0)
                r = sd_bus_message_append(call, "sssst", args[0], name, type, c->verify ?: "",
                                          transfer_flags(c));
        if (r >= 0)
                r = append_proxies(call);
        return r < 0 ? r : transfer_run(c, call, what);
}

int verb_pull_tar(Context *c, char **args)
{
        return pull(c, args, "tar");
}

int verb_pull_raw(Context *c, char **args)
{
        return pull(c, args, "raw");
}

/* Returns the compression of --format= or, without this option, the compression that the file name stands
 * for. */
static const char *choose_format(Context *c, const char *path)
{
        const char *dot = strrchr(path, '.');

        if (c->format)
                return c->format;
        /* ".tgz" is short for ".tar.gz". */
        for (size_t i = 0; dot && i < ELEMENTSOF(compressions); i++)
                if (streq(dot, compressions[i].suffix) ||
                    (startswith(dot, ".t") && streq(dot + 2, compressions[i].suffix + 1)))
                        return compressions[i].format;
        return "uncompressed";
}

/* The file has no name (O_TMPFILE) until the export is complete. */
static int export_to_file(Context *c, sd_bus_message *call, const char *path, int fd, const char *what)
{
        _cleanup_free_ char *temporary = strf("%s.mctl-%i", path, getpid());
        char link[FD_PATH_MAX];
        int r = transfer_run(c, call, what);

        if (r != 0)
                return r;
        if (!temporary)
                return log_oom();
        if (fsync(fd) < 0)
                return log_error_errno(-errno, "Failed to write '%s'", path);
        r = RET_NERRNO(linkat(AT_FDCWD, fd_path(fd, link), AT_FDCWD, path, AT_SYMLINK_FOLLOW));
        if (r == -EEXIST && c->force) {
                r = RET_NERRNO(linkat(AT_FDCWD, fd_path(fd, link), AT_FDCWD, temporary, AT_SYMLINK_FOLLOW));
                if (r >= 0)
                        r = RET_NERRNO(rename(temporary, path));
        }
        return r < 0 ? log_error_errno(r, "Failed to write '%s'", path) : 0;
}

/* A process of mctl-sign, which has the libraries for signatures. When mctl ends, the socket closes, and
 * mctl-sign ends without signing. */
typedef struct Signer {
        pid_t pid;
        int fd;
} Signer;

static void signer_clear(Signer *s)
{
        fd_close(s->fd);
}

/* Starts mctl-sign, and waits until it has checked the key and existing checksums. mctl-sign logs its errors
 * itself. */
static int signer_start(Signer *s, const char *key, const char *path)
{
        int fds[2];
        char c;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return log_error_errno(-errno, "Failed to make a socket");
        s->fd = fds[0];
        s->pid = fork();
        if (s->pid == 0 && fcntl(fds[1], F_SETFD, 0) >= 0) {
                char number[16];
                snprintf(number, sizeof(number), "%i", fds[1]);
                execl(SIGN, SIGN, key, path, number, NULL);
                log_error_errno(-errno, "Failed to run '" SIGN "'");
        }
        if (s->pid == 0)
                _exit(EXIT_FAILURE);
        fd_close(fds[1]);
        return s->pid > 0 && recv(s->fd, &c, 1, 0) == 1 ? 0 : -EIO;
}

static int signer_go(Signer *s)
{
        siginfo_t end = {};
        bool told = send(s->fd, "G", 1, MSG_NOSIGNAL) == 1;

        while (waitid(P_PID, (id_t) s->pid, &end, WEXITED) < 0 && errno == EINTR)
                ;
        return told && end.si_code == CLD_EXITED && end.si_status == 0 ? 0 : -EIO;
}

int verb_export(Context *c, char **args)
{
        _cleanup_(signer_clear) Signer signer = { .fd = -EBADF };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_free_ char *directory = NULL, *what = strf("Export of '%s'", args[0]);
        const char *path = args[1] && !streq(args[1], "-") ? args[1] : NULL,
                   *epoch = getenv("SOURCE_DATE_EPOCH");
        uint64_t clamp = UINT64_MAX;
        struct stat st;
        int r;

        if (!path && isatty(STDOUT_FILENO))
                return log_error_return(-EINVAL, "Standard output is a terminal: name a file.");
        if (epoch && parse_u64(epoch, 0, INT64_MAX, &clamp) < 0)
                return log_error_return(-EINVAL, "$SOURCE_DATE_EPOCH must be a number of seconds.");
        if (path && c->run.detach)
                return log_error_return(
                        -EINVAL, "-d cannot be combined with a file: mctl names the file when the export "
                                 "is done.");
        if (c->sign && !path)
                return log_error_return(-EINVAL,
                                        "--sign needs a file: the signature is written beside the file.");
        if (path && stat(path, &st) >= 0 && !S_ISREG(st.st_mode))
                return log_error_return(-EEXIST, "'%s' exists already, and is not a regular file.", path);
        if (path && !c->force && access(path, F_OK) >= 0)
                return log_error_return(-EEXIST, "'%s' exists already; --force replaces the file.", path);
        directory = path ? strndup(path, strrchr(path, '/') ? strrchr(path, '/') - path + 1 : 0) : NULL;
        if (!what || (path && !directory))
                return log_oom();
        _cleanup_close_ int file_fd = path ? open(*directory ? directory : ".",
                                                  O_RDWR | O_TMPFILE | O_CLOEXEC, 0666)
                                           : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        if (file_fd < 0)
                return log_error_errno(-errno, "Cannot make a file for '%s'", path ?: "-");
        r = c->sign ? signer_start(&signer, c->sign, path) : 0;
        if (r >= 0)
                r = transfer_new(c, "ExportImage", &call);
        if (r >= 0)
                r = sd_bus_message_append(call, "sshx", args[0], choose_format(c, path ?: ""), file_fd,
                                          clamp == UINT64_MAX ? (int64_t) -1 : (int64_t) clamp);
        if (r < 0)
                return r;
        r = path ? export_to_file(c, call, path, file_fd, what) : transfer_run(c, call, what);
        return r == 0 && c->sign ? signer_go(&signer) : r;
}

static char *format_share(const json_t *value)
{
        return strf("%.0f%%", json_number_value(value) * 100);
}

int verb_transfers(Context *c, char **args)
{
        static const Column columns[] = {
                { "id", "ID", NULL },
                { "type", "TYPE", NULL },
                { "image", "IMAGE", NULL },
                { "progress", "PROGRESS", format_share },
        };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        json_t *rows = json_array();
        const char *type, *image;
        double progress;
        uint32_t id;
        int r;

        (void) args;
        r = bus_ask_registry(c, "Failed to list transfers", "ListTransfers", &reply, "");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ussd)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(ussd)", &id, &type, &image, &progress)) > 0)
                json_array_append_new(rows, json_pack("{si ss ss sf}", "id", (int) id, "type", type, "image",
                                                      image, "progress", progress));
        if (r >= 0)
                r = output_array(c, rows, columns, ELEMENTSOF(columns), "transfer");
        json_decref(rows);
        return r;
}

int verb_cancel(Context *c, char **args)
{
        uint64_t id;
        int r = 0;

        STRV_FOREACH (arg, args)
                if (parse_u64(*arg, 1, UINT32_MAX, &id) < 0)
                        return log_error("'%s' is no number of a transfer.", *arg), EXIT_STATUS_USAGE;
        STRV_FOREACH (arg, args)
                if (r >= 0 && parse_u64(*arg, 1, UINT32_MAX, &id) >= 0)
                        r = bus_call_registry(c, "Not cancelled", "CancelTransfer", NULL, "u",
                                              (uint32_t) id);
        return r;
}
