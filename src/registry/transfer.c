/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "registry/transfer.h"

#include <fcntl.h>
#include <syslog.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/names.h"
#include "basic/parse.h"
#include "image/archive.h"
#include "image/image.h"
#include "registry/machine1.h"
#include "registry/polkit.h"
#include "registry/worker.h"

#define URL_MAX 4096

/* Flags of both. */
#define TRANSFER_REPLACE   UINT64_C(1)
#define TRANSFER_READ_ONLY UINT64_C(2)
/* Those of clones, all of them. */
#define CLONE_FLAGS UINT64_C(15)
/* Of pulls over import1: a second copy is kept as it came. There is none: who wants one clones the image. */
#define PULL_KEEP UINT64_C(4)

static void transfer_free(Transfer *t)
{
        for (Transfer **p = &t->registry->transfers; *p; p = &(*p)->next)
                if (*p == t) {
                        *p = t->next;
                        break;
                }
        free(t->local);
        free(t->remote);
        free(t->verify);
        free(t->unit);
        free(t);
}
DEFINE_CLEANUP(Transfer *, transfer_free);

void transfers_free(Registry *registry)
{
        while (registry->transfers)
                transfer_free(registry->transfers);
}

bool transfer_is_making(const Registry *registry, const char *name)
{
        for (const Transfer *t = registry->transfers; t; t = t->next)
                if (streq(t->local, name) && !startswith(t->type, "export"))
                        return true;
        return false;
}

/* --- over a crash ------------------------------------------------------------------------------------------------- */

/* systemd keeps the descriptor that a worker answers over, and what it is for is in a file. */
#define STORED_PREFIX "transfer-"
#define STATE_MAX     (64U * 1024U)

static char *state_name(uint32_t id)
{
        return strf("transfers/%u", id);
}

static int state_write(const Transfer *t)
{
        _cleanup_free_ char *name = state_name(t->id), *text = NULL;
        json_t *o = json_pack("{ss ss ss ss ss sI}", "type", t->type, "local", t->local, "remote", t->remote,
                              "verify", t->verify, "unit", t->unit, "owner", (json_int_t) t->owner);

        text = o ? json_dumps(o, JSON_COMPACT) : NULL;
        json_decref(o);
        if (!name || !text)
                return -ENOMEM;
        _cleanup_close_ int dir_fd = dir_open_or_make_at(t->registry->run_fd, "transfers", 0700);
        return dir_fd < 0 ? dir_fd
                          : file_write_atomic_at(dir_fd, strchr(name, '/') + 1, 0600, text, strlen(text));
}

static void state_remove(const Transfer *t)
{
        _cleanup_free_ char *name = state_name(t->id);

        if (name)
                (void) unlinkat(t->registry->run_fd, name, 0);
}

char *transfer_path(const Transfer *t)
{
        return strf(TRANSFERS_PATH "/_%u", t->id);
}

/* What import1 knows nothing of. */
static bool is_on_import1(const Transfer *t)
{
        return t->registry->import1 && !streq(t->type, "clone");
}

/* --- signals ------------------------------------------------------------------------------------------------------ */

static void emit_removed(const Transfer *t, const char *result, const char *message)
{
        _cleanup_free_ char *path = transfer_path(t);
        sd_bus *bus = t->registry->bus;

        (void) sd_bus_emit_signal(bus, REGISTRY_PATH, REGISTRY_INTERFACE, "TransferRemoved", "uss", t->id,
                                  result, message ?: "");
        if (!path || !is_on_import1(t))
                return;
        if (message)
                (void) sd_bus_emit_signal(bus, path, IMPORT1_TRANSFER, "LogMessage", "us",
                                          (uint32_t) LOG_ERR, message);
        (void) sd_bus_emit_signal(bus, IMPORT1_PATH, IMPORT1_MANAGER, "TransferRemoved", "uos", t->id, path,
                                  result);
}

static void on_progress(void *userdata, double share, uint64_t bytes)
{
        Transfer *t = userdata;
        _cleanup_free_ char *path = transfer_path(t);

        t->progress = share;
        (void) sd_bus_emit_signal(t->registry->bus, REGISTRY_PATH, REGISTRY_INTERFACE, "TransferProgress",
                                  "udt", t->id, share, bytes);
        if (path && is_on_import1(t))
                (void) sd_bus_emit_signal(t->registry->bus, path, IMPORT1_TRANSFER, "ProgressUpdate", "d",
                                          share);
}

static void on_finished(void *userdata, int error, const char *message, const json_t *answer)
{
        _cleanup_(transfer_free_cleanup) Transfer *t = userdata;
        state_remove(t);
        json_int_t left_out = json_integer_value(json_object_get(answer, "leftOut"));
        _cleanup_free_ char *note = NULL;

        /* One that had not come to its main() could not say so. */
        if (error != 0 && t->cancelled) {
                error = ECANCELED;
                message = "It was cancelled.";
        }
        if (error == 0 && left_out > 0)
                note = strf("%lld %s left out.", (long long) left_out,
                            left_out == 1 ? "device node or socket was" : "device nodes or sockets were");
        emit_removed(t,
                     error == 0           ? "done"
                     : error == ECANCELED ? "canceled"
                                          : "failed",
                     error == 0 ? note : message ?: strerror(error));
}

/* --- what is asked for -------------------------------------------------------------------------------------------- */

typedef struct Wanted {
        const char *type, *local, *format;
        const char *source;       /* of a clone, or NULL */
        const char *url, *verify; /* of a pull */
        Strv environment;         /* of it */
        int fd;                   /* the message's, or negative for a pull */
        uint64_t flags;
        int64_t clamp; /* seconds since 1970, -1 for none */
} Wanted;

static void wanted_clear(Wanted *w)
{
        strv_free(w->environment);
}

static int read_import(sd_bus_message *call, Wanted *w)
{
        const char *type;
        int r = sd_bus_message_read(call, "ssht", &w->local, &type, &w->fd, &w->flags);

        if (r < 0)
                return r;
        w->type = streq(type, "tar")         ? "import-tar"
                  : streq(type, "raw")       ? "import-raw"
                  : streq(type, "directory") ? "import-fs"
                                             : NULL;
        return w->type ? 0 : -EOPNOTSUPP;
}

static int read_export(sd_bus_message *call, Wanted *w)
{
        int r = sd_bus_message_read(call, "sshx", &w->local, &w->format, &w->fd, &w->clamp);

        w->type = r >= 0 && machine1_image_is_disk(w->local) ? "export-raw" : "export-tar";
        return r;
}

/* With the flags of clones. */
static int read_copy(sd_bus_message *call, Wanted *w)
{
        w->type = "clone";
        return sd_bus_message_read(call, "sst", &w->source, &w->local, &w->flags);
}

/* …Ex() have a class, and flags in the place of booleans. */
static int read_class(sd_bus_message *call)
{
        const char *class;
        int r = sd_bus_message_read(call, "s", &class);

        return r < 0 ? r : streq(class, "machine") ? 0 : -EOPNOTSUPP;
}

static int read_import1_import(sd_bus_message *call, Wanted *w)
{
        const char *member = sd_bus_message_get_member(call);
        int replace, read_only, r;

        w->type = startswith(member, "ImportTar")   ? "import-tar"
                  : startswith(member, "ImportRaw") ? "import-raw"
                                                    : "import-fs";
        r = sd_bus_message_read(call, "hs", &w->fd, &w->local);
        if (r >= 0 && endswith(member, "Ex")) {
                r = read_class(call);
                return r < 0 ? r : sd_bus_message_read(call, "t", &w->flags);
        }
        if (r >= 0)
                r = sd_bus_message_read(call, "bb", &replace, &read_only);
        if (r >= 0)
                w->flags = (replace ? TRANSFER_REPLACE : 0) | (read_only ? TRANSFER_READ_ONLY : 0);
        return r;
}

static int read_import1_export(sd_bus_message *call, Wanted *w)
{
        const char *member = sd_bus_message_get_member(call);
        bool extended = endswith(member, "Ex");
        uint64_t flags = 0;
        int r;

        w->type = startswith(member, "ExportRaw") ? "export-raw" : "export-tar";
        r = sd_bus_message_read(call, "s", &w->local);
        if (r >= 0 && extended)
                r = read_class(call);
        if (r >= 0)
                r = sd_bus_message_read(call, "hs", &w->fd, &w->format);
        if (r >= 0 && extended)
                r = sd_bus_message_read(call, "t", &flags);
        return r < 0 ? r : flags != 0 ? -EINVAL : 0;
}

/* What leads to a server: nothing else of somebody's environment is the worker's. */
static int read_environment(sd_bus_message *call, Wanted *w)
{
        static const char *const names[] = { "http_proxy=", "https_proxy=", "HTTPS_PROXY=", "all_proxy=",
                                             "ALL_PROXY=",  "no_proxy=",    "NO_PROXY=" };
        const char *assignment;
        int r;

        r = sd_bus_message_enter_container(call, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(call, "s", &assignment)) > 0) {
                bool known = false;
                for (size_t i = 0; i < ELEMENTSOF(names); i++)
                        known = known || startswith(assignment, names[i]);
                r = known && str_is_clean(assignment) ? strv_append(&w->environment, assignment) : -EINVAL;
        }
        return r < 0 ? r : sd_bus_message_exit_container(call);
}

static int read_pull(sd_bus_message *call, Wanted *w)
{
        const char *type;
        int r = sd_bus_message_read(call, "sssst", &w->url, &w->local, &type, &w->verify, &w->flags);

        if (r >= 0)
                r = read_environment(call, w);
        if (r < 0)
                return r;
        w->type = streq(type, "tar") ? "pull-tar" : streq(type, "raw") ? "pull-raw" : NULL;
        return w->type ? 0 : -EOPNOTSUPP;
}

static int read_import1_pull(sd_bus_message *call, Wanted *w)
{
        const char *member = sd_bus_message_get_member(call);
        int force = false, r;

        w->type = startswith(member, "PullTar") ? "pull-tar" : "pull-raw";
        r = sd_bus_message_read(call, "ss", &w->url, &w->local);
        if (r >= 0 && endswith(member, "Ex")) {
                r = read_class(call);
                if (r >= 0)
                        r = sd_bus_message_read(call, "st", &w->verify, &w->flags);
                w->flags &= ~PULL_KEEP;
                return r;
        }
        if (r >= 0)
                r = sd_bus_message_read(call, "sb", &w->verify, &force);
        w->flags = force ? TRANSFER_REPLACE : 0;
        return r;
}

static const struct Method {
        const char *member;
        const char *action;
        int (*read)(sd_bus_message *call, Wanted *w);
} methods[] = {
        { "ImportImage", REGISTRY_NAME ".manage-images", read_import },
        { "ExportImage", REGISTRY_NAME ".manage-images", read_export },
        { "PullImage", REGISTRY_NAME ".manage-images", read_pull },
        { "CopyImage", REGISTRY_NAME ".manage-images", read_copy },
        { "ImportTar", IMPORT1_NAME ".import", read_import1_import },
        { "ImportTarEx", IMPORT1_NAME ".import", read_import1_import },
        { "ImportFileSystem", IMPORT1_NAME ".import", read_import1_import },
        { "ImportFileSystemEx", IMPORT1_NAME ".import", read_import1_import },
        { "ExportTar", IMPORT1_NAME ".export", read_import1_export },
        { "ExportTarEx", IMPORT1_NAME ".export", read_import1_export },
        { "ImportRaw", IMPORT1_NAME ".import", read_import1_import },
        { "ImportRawEx", IMPORT1_NAME ".import", read_import1_import },
        { "ExportRaw", IMPORT1_NAME ".export", read_import1_export },
        { "ExportRawEx", IMPORT1_NAME ".export", read_import1_export },
        { "PullTar", IMPORT1_NAME ".pull", read_import1_pull },
        { "PullTarEx", IMPORT1_NAME ".pull", read_import1_pull },
        { "PullRaw", IMPORT1_NAME ".pull", read_import1_pull },
        { "PullRawEx", IMPORT1_NAME ".pull", read_import1_pull },
};

static const struct Method *find_method(sd_bus_message *call)
{
        const char *member = sd_bus_message_get_member(call);
        size_t i = 0;

        while (i + 1 < ELEMENTSOF(methods) && !streq(methods[i].member, member))
                i++;
        assert(streq(methods[i].member, member)); /* the vtables have no other methods for us */
        return methods + i;
}

static int reply_bad_name(sd_bus_message *call)
{
        return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS,
                                          "That is no name for an image of the store.");
}

/* What is wrong with where it comes from, or NULL. Files of the host are root's, as far as we know. */
static const char *find_mistake(sd_bus_message *call, const Wanted *w)
{
        bool is_file = startswith(w->url, "file:///");
        uid_t uid;

        if (!startswith(w->url, "https://") && !startswith(w->url, "http://") && !is_file)
                return "A URL begins with https://, http:// or file:///.";
        for (const char *c = w->url; *c; c++)
                if (*c <= ' ' || *c >= 0x7f || c - w->url > URL_MAX)
                        return "A URL has no spaces, and only characters of ASCII; others are written with '%'.";
        if (is_file && (caller_read(call, NULL, &uid) < 0 || uid != 0))
                return "Only root can have a file of the host by its URL; an import takes any file that you can open.";
        return verify_mode_from_string(w->verify) < 0
                       ? "An image is verified by signature, by checksum, or with no not at all."
                       : NULL;
}

/* Returns 0 when an error has been replied. */
static int judge(Registry *registry, sd_bus_message *call, const Wanted *w)
{
        const char *mistake = w->url ? find_mistake(call, w) : NULL;
        const Machine *user;

        if (!image_new_name_valid(w->local))
                return MIN(reply_bad_name(call), 0);
        if (mistake)
                return MIN(sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS, "%s", mistake), 0);
        bool from_file = !w->url && !w->source;
        int mode = from_file ? fcntl(w->fd, F_GETFL) : 0;
        if (mode < 0 || mode & O_PATH ||
            (from_file && (mode & O_ACCMODE) == (startswith(w->type, "export") ? O_RDONLY : O_WRONLY)))
                return MIN(sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS,
                                                      "That descriptor was not opened for this."),
                           0);
        if (w->flags > (w->source ? CLONE_FLAGS : TRANSFER_REPLACE | TRANSFER_READ_ONLY))
                return MIN(sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS,
                                                      "There are no such flags."),
                           0);
        if (w->format && archive_format_from_string(isempty(w->format) ? "uncompressed" : w->format) < 0)
                return MIN(sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS,
                                                      "A format is uncompressed, gzip, xz, zstd or bzip2."),
                           0);
        user = !w->source && w->flags & TRANSFER_REPLACE ? machine1_image_user(registry, w->local) : NULL;
        if (user)
                return MIN(sd_bus_reply_method_errorf(call, ERROR_IMAGE_BUSY,
                                                      "Machine '%s' runs from image '%s'.", user->name,
                                                      w->local),
                           0);
        for (const Transfer *t = registry->transfers; t; t = t->next)
                if (streq(t->local, w->local) &&
                    !(startswith(w->type, "export") && startswith(t->type, "export")))
                        return MIN(sd_bus_reply_method_errorf(call, IMPORT1_NAME ".TransferInProgress",
                                                              "A transfer of '%s' is under way.", w->local),
                                   0);
        return 1;
}

static json_t *make_request(const Wanted *w)
{
        if (w->source)
                return json_pack("{ss ss ss sI}", "operation", "image-clone", "name", w->source, "newName",
                                 w->local, "flags", (json_int_t) w->flags);
        json_t *request = json_pack("{ss ss sb sb sb}", "operation", w->type, "name", w->local, "data",
                                    !w->url, "replace", (w->flags & TRANSFER_REPLACE) != 0, "readOnly",
                                    (w->flags & TRANSFER_READ_ONLY) != 0);

        if (w->format)
                json_object_set_new(request, "format",
                                    json_string(isempty(w->format) ? "uncompressed" : w->format));
        if (w->clamp >= 0)
                json_object_set_new(request, "clamp", json_integer(w->clamp));
        if (w->url) {
                json_t *environment = json_array();
                STRV_FOREACH (s, w->environment)
                        json_array_append_new(environment, json_string(*s));
                json_object_set_new(request, "url", json_string(w->url));
                json_object_set_new(request, "verify", json_string(w->verify));
                json_object_set_new(request, "environment", environment);
        }
        return request;
}

static int reply_begun(const Transfer *t, sd_bus_message *call)
{
        _cleanup_free_ char *path = transfer_path(t);

        OOM_CHECK(path);
        (void) sd_bus_emit_signal(t->registry->bus, REGISTRY_PATH, REGISTRY_INTERFACE, "TransferNew", "u",
                                  t->id);
        if (is_on_import1(t))
                (void) sd_bus_emit_signal(t->registry->bus, IMPORT1_PATH, IMPORT1_MANAGER, "TransferNew",
                                          "uo", t->id, path);
        return streq(sd_bus_message_get_path(call), REGISTRY_PATH)
                       ? sd_bus_reply_method_return(call, "u", t->id)
                       : sd_bus_reply_method_return(call, "uo", t->id, path);
}

static int begin(Registry *registry, sd_bus_message *call, const Wanted *w)
{
        _cleanup_(transfer_free_cleanup) Transfer *t = calloc(1, sizeof(Transfer));
        _cleanup_free_ char *what = strf("%s of image '%s'", w->type, w->local), *stored = NULL;
        int r;

        if (!t)
                return -ENOMEM;
        *t = (Transfer){
                .registry = registry,
                .id = ++registry->last_transfer,
                .type = w->type,
                .local = strdup(w->local),
                .remote = strdup(w->url ?: ""),
                .verify = strdup(w->verify ?: ""),
        };
        r = caller_read(call, NULL, &t->owner);
        if (r < 0 || !t->local || !t->remote || !t->verify || !what)
                return r < 0 ? r : -ENOMEM;
        stored = strf(STORED_PREFIX "%u", t->id);
        OOM_CHECK(stored);
        r = worker_run(registry,
                       &(WorkerTask){ .request = make_request(w),
                                      .what = what,
                                      .stored = stored,
                                      .data_fd = w->fd,
                                      .network = w->url,
                                      .progress = on_progress,
                                      .finished = on_finished,
                                      .userdata = t },
                       &t->unit);
        if (r == -EUSERS)
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                                  "Too much is under way.");
        if (r < 0)
                return r;
        r = state_write(t);
        if (r < 0)
                log_warning_errno(r, "Failed to write down a transfer");
        t->next = registry->transfers;
        registry->transfers = t;
        return reply_begun(TAKE_PTR(t), call);
}

/* Types are constants elsewhere. */
static const char *find_type(const char *type)
{
        static const char *const known[] = { "import-tar", "import-raw", "import-fs",  "pull-tar",
                                             "pull-raw",   "export-tar", "export-raw", "clone" };

        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (streq(known[i], type))
                        return known[i];
        return NULL;
}

static int state_read(Transfer *t)
{
        _cleanup_free_ char *name = state_name(t->id), *text = NULL;
        const char *type, *local, *remote, *verify, *unit;
        json_int_t owner;
        int r;

        OOM_CHECK(name);
        r = file_read_at(t->registry->run_fd, name, STATE_MAX, &text, NULL);
        if (r < 0)
                return r;
        json_t *o = json_loads(text, 0, NULL);
        r = json_unpack(o, "{ss ss ss ss ss sI}", "type", &type, "local", &local, "remote", &remote,
                        "verify", &verify, "unit", &unit, "owner", &owner) < 0
                    ? -EBADMSG
                    : 0;
        if (r >= 0) {
                t->type = find_type(type);
                t->local = strdup(local);
                t->remote = strdup(remote);
                t->verify = strdup(verify);
                t->unit = strdup(unit);
                t->owner = (uid_t) owner;
                r = !t->type ? -EBADMSG : t->local && t->remote && t->verify && t->unit ? 0 : -ENOMEM;
        }
        json_decref(o);
        return r;
}

bool transfer_restore(Registry *registry, const char *fd_name, int fd)
{
        const char *number = startswith(fd_name, STORED_PREFIX);
        _cleanup_(transfer_free_cleanup) Transfer *t = number ? calloc(1, sizeof(Transfer)) : NULL;
        _cleanup_free_ char *what = NULL;
        uint64_t id;

        if (!t || parse_u64(number, 1, UINT32_MAX, &id) < 0)
                return false;
        *t = (Transfer){ .registry = registry, .id = (uint32_t) id };
        if (state_read(t) < 0)
                return false;
        what = strf("%s of image '%s'", t->type, t->local);
        if (!what || worker_resume(registry,
                                   &(WorkerTask){ .what = what,
                                                  .stored = fd_name,
                                                  .data_fd = -EBADF,
                                                  .progress = on_progress,
                                                  .finished = on_finished,
                                                  .userdata = t },
                                   fd) < 0)
                return what; /* it is closed */
        t->next = registry->transfers;
        registry->transfers = TAKE_PTR(t);
        return true;
}

static int begin_refreshed(Registry *registry, sd_bus_message *call)
{
        _cleanup_(wanted_clear) Wanted w = { .fd = -EBADF, .clamp = -1 };
        int r;

        r = sd_bus_message_rewind(call, true);
        if (r >= 0)
                r = find_method(call)->read(call, &w);
        if (r == -EOPNOTSUPP)
                return sd_bus_reply_method_errorf(
                        call, SD_BUS_ERROR_NOT_SUPPORTED,
                        "Images are tar archives, disks and directories, and of the class "
                        "machine; there are no others.");
        if (r >= 0)
                r = judge(registry, call, &w);
        return r <= 0 ? r : begin(registry, call, &w);
}

static int begin_authorized(Registry *registry, sd_bus_message *call)
{
        return registry_refresh_then(registry, call, begin_refreshed);
}

int transfer_begin(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const struct Method *m = find_method(call);
        _cleanup_(wanted_clear) Wanted w = { .fd = -EBADF, .clamp = -1 };
        int r;

        (void) error;
        registry_touch(userdata);
        r = m->read(call, &w);
        if (r < 0 && r != -EOPNOTSUPP)
                return r;
        if (r >= 0 && (!image_name_valid(w.local) || (w.source && !image_name_valid(w.source))))
                return reply_bad_name(call);
        return polkit_authorize_with(
                userdata, call, m->action, "", strna(w.type),
                (char *[]){ (char *) "image", (char *) strna(w.source ?: w.local), NULL }, begin_authorized);
}

/* --- those under way ---------------------------------------------------------------------------------------------- */

int transfer_list(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const Registry *registry = userdata;
        bool ours = streq(sd_bus_message_get_path(call), REGISTRY_PATH),
             extended = endswith(sd_bus_message_get_member(call), "Ex");
        int r;

        (void) error;
        registry_touch(userdata);
        r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a',
                                                  ours       ? "(ussd)"
                                                  : extended ? "(ussssdo)"
                                                             : "(usssdo)");
        for (const Transfer *t = registry->transfers; t && r >= 0; t = t->next) {
                _cleanup_free_ char *path = transfer_path(t);
                OOM_CHECK(path);
                if (!ours && !is_on_import1(t))
                        continue;
                r = ours ? sd_bus_message_append(reply, "(ussd)", t->id, t->type, t->local, t->progress)
                    : extended ? sd_bus_message_append(reply, "(ussssdo)", t->id, t->type, t->remote,
                                                       t->local, "machine", t->progress, path)
                               : sd_bus_message_append(reply, "(usssdo)", t->id, t->type, t->remote,
                                                       t->local, t->progress, path);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(sd_bus_message_get_bus(call), reply, NULL);
}

/* By its object, else by the number that the call begins with. */
static int find_transfer(Registry *registry, sd_bus_message *call, Transfer **ret)
{
        const char *number = startswith(sd_bus_message_get_path(call), TRANSFERS_PATH "/_");
        uint32_t id;
        int r = 0;

        if (number)
                id = strtoul(number, NULL, 10);
        else
                r = sd_bus_message_read(call, "u", &id);
        if (r < 0)
                return r;
        for (*ret = registry->transfers; *ret; *ret = (*ret)->next)
                if ((*ret)->id == id &&
                    (streq(sd_bus_message_get_path(call), REGISTRY_PATH) || is_on_import1(*ret)))
                        return 1;
        return MIN(sd_bus_reply_method_errorf(call, IMPORT1_NAME ".NoSuchTransfer",
                                              "No transfer %u is under way.", id),
                   0);
}

/* The worker ends what it is at, and what it has made: its answer says so. */
static int cancel_authorized(Registry *registry, sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        Transfer *t;
        int r;

        r = sd_bus_message_rewind(call, true);
        if (r >= 0)
                r = find_transfer(registry, call, &t);
        if (r <= 0)
                return r;
        t->cancelled = true;
        r = systemd_call(registry->bus, &request, "StopUnit", "ss", t->unit, "replace");
        return r < 0 ? r : registry_forward(registry, TAKE_PTR(request), call, machine_reply_nothing, NULL);
}

int transfer_cancel(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        Transfer *t;
        uid_t uid;
        int r;

        (void) error;
        registry_touch(userdata);
        r = find_transfer(userdata, call, &t);
        if (r <= 0)
                return r;
        r = caller_read(call, NULL, &uid);
        if (r < 0)
                return r;
        if (uid == t->owner)
                return cancel_authorized(userdata, call);
        return polkit_authorize_with(
                userdata, call,
                streq(sd_bus_message_get_path(call), REGISTRY_PATH) ? REGISTRY_NAME ".manage-images"
                                                                    : IMPORT1_NAME ".import",
                "", "cancel", (char *[]){ (char *) "image", t->local, NULL }, cancel_authorized);
}
