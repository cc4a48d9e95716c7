/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verbs about images of the store. Workers of the registry change the images. */

#include "cli/verbs-images.h"

#include <inttypes.h>
#include <unistd.h>

#include "basic/parse.h"
#include "cli/bus.h"
#include "cli/output.h"
#include "cli/verbs-transfers.h"

/* Adds the fields of one image in the answer of MeasureImages() to the object of this image. */
static int read_size(sd_bus_message *reply, json_t *images)
{
        _cleanup_strv_ Strv shares = NULL;
        uint64_t size, exclusive, limit;
        const char *name;
        json_t *image;
        size_t i;
        int r = sd_bus_message_enter_container(reply, 'r', "stttas");

        if (r > 0)
                r = sd_bus_message_read(reply, "sttt", &name, &size, &exclusive, &limit);
        if (r > 0)
                r = sd_bus_message_read_strv(reply, &shares);
        if (r < 0)
                return r;
        json_array_foreach (images, i, image)
                if (streq_ptr(json_text(image, "Name"), name)) {
                        json_t *list = json_array();
                        STRV_FOREACH (other, shares)
                                json_array_append_new(list, json_string(*other));
                        json_object_set_new(image, "Size", json_integer((json_int_t) size));
                        json_object_set_new(image, "ExclusiveSize", json_integer((json_int_t) exclusive));
                        if (limit != UINT64_MAX)
                                json_object_set_new(image, "Limit", json_integer((json_int_t) limit));
                        json_object_set_new(image, "SharedWith", list);
                }
        return sd_bus_message_exit_container(reply);
}

static int measure_images(Context *c, json_t *images)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL, *reply = NULL;
        json_t *image;
        size_t i;
        int r = sd_bus_message_new_method_call(c->bus, &request, REGISTRY_NAME, REGISTRY_PATH,
                                               REGISTRY_INTERFACE, "MeasureImages");

        if (r >= 0)
                r = sd_bus_message_open_container(request, 'a', "s");
        json_array_foreach (images, i, image)
                if (r >= 0)
                        r = sd_bus_message_append(request, "s", strna(json_text(image, "Name")));
        if (r >= 0)
                r = sd_bus_message_close_container(request);
        if (r < 0)
                return log_error_errno(r, "Failed to make a message");
        r = bus_ask(c, "Failed to measure images", request, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(stttas)");
        while (r >= 0 && (r = sd_bus_message_at_end(reply, false)) == 0)
                r = read_size(reply, images);
        return r < 0 ? log_error_errno(r, "Failed to read the sizes of images") : 0;
}

int verb_images(Context *c, char **args)
{
        static const Column columns[] = {
                { "Name", "IMAGE", NULL },         { "Type", "TYPE", NULL },
                { "ReadOnly", "READ-ONLY", NULL }, { "OS", "OS", NULL },
                { "Machine", "MACHINE", NULL },    { "Modified", "MODIFIED", format_timestamp },
                { "Size", "SIZE", format_bytes },  { "ExclusiveSize", "EXCLUSIVE", format_bytes },
        };
        json_t *images;
        int r = bus_list_images(c, &images);

        (void) args;
        if (r < 0)
                return r;
        if (c->size)
                r = measure_images(c, images);
        if (r >= 0)
                r = output_array(c, images, columns, ELEMENTSOF(columns) - (c->size ? 0 : 2), "image");
        json_decref(images);
        return r;
}

static int find_image(Context *c, const char *name, json_t **ret)
{
        json_t *images, *image;
        size_t i;
        int r = bus_list_images(c, &images);

        if (r < 0)
                return r;
        *ret = NULL;
        json_array_foreach (images, i, image)
                if (streq_ptr(json_text(image, "Name"), name))
                        *ret = json_incref(image);
        json_decref(images);
        return *ret ? 0 : log_error_return(-ENOENT, "There is no image '%s'.", name);
}

static char *join_names(const json_t *list)
{
        _cleanup_strv_ Strv names = NULL;
        json_t *name;
        size_t i;

        json_array_foreach (list, i, name)
                if (strv_consume(&names, str_escape(strna(json_string_value(name)))) < 0)
                        return NULL;
        return names ? strv_join(names, ", ") : NULL;
}

static void print_image(const char *name, const json_t *value)
{
        _cleanup_free_ char *shown = json_is_string(value)  ? str_escape(json_string_value(value))
                                     : json_is_array(value) ? join_names(value)
                                                            : NULL;

        if (json_is_boolean(value))
                printf("%s=%s\n", name, json_is_true(value) ? "yes" : "no");
        else if (json_is_integer(value))
                printf("%s=%" JSON_INTEGER_FORMAT "\n", name, json_integer_value(value));
        else
                printf("%s=%s\n", name, strna(shown));
}

int verb_show_image(Context *c, char **args)
{
        json_t *all = json_array(), *image, *value;
        const char *key;
        int r = 0;

        STRV_FOREACH (name, args) {
                r = find_image(c, *name, &image);
                if (r < 0)
                        break;
                if (c->output == OUTPUT_TEXT) {
                        if (name != args)
                                putchar('\n');
                        json_object_foreach (image, key, value)
                                print_image(key, value);
                }
                json_array_append_new(all, image);
        }
        if (r < 0 || c->output == OUTPUT_TEXT) {
                json_decref(all);
                return r;
        }
        return output_json(c, all);
}

static void print_line(const char *label, char *text)
{
        if (text && !streq(text, "-"))
                printf("%12s: %s\n", label, text);
        free(text);
}

static void print_status(const json_t *image)
{
        const json_t *size = json_object_get(image, "Size"),
                     *exclusive = json_object_get(image, "ExclusiveSize");
        _cleanup_free_ char *all = format_bytes(size), *own = format_bytes(exclusive);
        uint64_t layers = json_number(image, "Layers"), snapshots = json_number(image, "Snapshots");

        printf("%s\n", strna(json_text(image, "Name")));
        print_line("OS", json_text(image, "OS") ? str_escape(json_text(image, "OS")) : NULL);
        print_line("Type", strf("%s%s", strna(json_text(image, "Type")),
                                json_is_true(json_object_get(image, "ReadOnly")) ? ", read-only" : ""));
        print_line("Path", str_escape(strna(json_text(image, "Path"))));
        if (size)
                print_line("Size", strf("%s, %s of it exclusive", strna(all), strna(own)));
        print_line("Limit", format_bytes(json_object_get(image, "Limit")));
        if (layers > 0)
                print_line("Layers", strf("%" PRIu64, layers));
        if (snapshots > 0)
                print_line("Snapshots", strf("%" PRIu64, snapshots));
        print_line("Over", json_text(image, "Base") ? str_escape(json_text(image, "Base")) : NULL);
        print_line("Shares with", join_names(json_object_get(image, "SharedWith")));
        print_line("Machines", join_names(json_object_get(image, "Machines")));
        print_line("Created", format_timestamp(json_object_get(image, "Created")));
        print_line("Modified", format_timestamp(json_object_get(image, "Modified")));
}

int verb_image_status(Context *c, char **args)
{
        json_t *wanted = json_array(), *image;
        size_t i;
        int r = 0;

        STRV_FOREACH (name, args) {
                r = r < 0 ? r : find_image(c, *name, &image);
                if (r >= 0)
                        json_array_append_new(wanted, image);
        }
        if (r >= 0)
                r = measure_images(c, wanted);
        if (r < 0 || c->output != OUTPUT_TEXT) {
                if (r >= 0)
                        return output_json(c, wanted);
                json_decref(wanted);
                return r;
        }
        json_array_foreach (wanted, i, image) {
                if (i > 0)
                        putchar('\n');
                print_status(image);
        }
        json_decref(wanted);
        return 0;
}

/* Flags of CloneImageWithFlags(). */
enum {
        CLONE_READ_ONLY = 1,
        CLONE_COPY = 2,
        CLONE_KEEP_IDENTITY = 4,
        CLONE_PLAIN = 8, /* no stack: all layers become one tree */
};

static int clone(Context *c, char **args, uint64_t flags, const char *what)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_free_ char *title = strf("%s of '%s'", what, args[0]);
        int r = title ? transfer_new(c, "CopyImage", &call) : log_oom();

        flags |= (c->spec->read_only ? CLONE_READ_ONLY : 0) | (c->keep_identity ? CLONE_KEEP_IDENTITY : 0);
        if (r >= 0)
                r = sd_bus_message_append(call, "sst", args[0], args[1], flags);
        return r < 0 ? r : transfer_run(c, call, title);
}

int verb_clone(Context *c, char **args)
{
        return clone(c, args, c->copy ? CLONE_COPY : 0, "Clone");
}

int verb_commit(Context *c, char **args)
{
        return clone(c, args, CLONE_PLAIN, "Commit");
}

/* --- prune --------------------------------------------------------------------------------------------- */

/* Calls PruneImages(). *ret lists the images that were removed or, with dry_run, would be removed. The
 * caller releases it, also after an error. */
static int call_prune(Context *c, bool dry_run, json_t **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        json_t *images = json_array();
        const char *name;
        uint64_t bytes;
        int r = bus_call_registry(c, "Not pruned", "PruneImages", &reply, "sb", c->all ? "all" : "hidden",
                                  dry_run);

        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(st)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(st)", &name, &bytes)) > 0)
                json_array_append_new(images, bytes == UINT64_MAX ? json_pack("{ss}", "Name", name)
                                                                  : json_pack("{ss sI}", "Name", name,
                                                                              "Size", (json_int_t) bytes));
        *ret = images;
        return r;
}

static int print_pruned(Context *c, json_t *images, bool done)
{
        static const Column columns[] = { { "Name", "IMAGE", NULL }, { "Size", "SIZE", format_bytes } };
        uint64_t sum = 0;
        json_t *image;
        size_t i;

        json_array_foreach (images, i, image)
                sum += json_number(image, "Size");
        int r = output_array(c, images, columns, ELEMENTSOF(columns), "image");
        if (r < 0 || c->output != OUTPUT_TEXT || c->quiet || sum == 0)
                return r;
        json_t *total = json_integer((json_int_t) sum);
        _cleanup_free_ char *text = format_bytes(total);
        printf("%s %s.\n", done ? "Freed" : "Would free", strna(text));
        json_decref(total);
        return 0;
}

/* Removing all images is dangerous: ask on a terminal, and require --force otherwise. */
int verb_prune(Context *c, char **args)
{
        json_t *images = NULL;
        char answer[16];
        int r;

        (void) args;
        if (c->all && !c->force && !c->dry_run) {
                if (!isatty(STDIN_FILENO))
                        return log_error("'mctl prune --all' removes all images that are not in use; "
                                         "confirm it with --force."),
                               EXIT_STATUS_USAGE;
                r = call_prune(c, true, &images);
                if (r >= 0)
                        r = print_pruned(c, images, false);
                bool nothing = json_array_size(images) == 0;
                json_decref(images);
                images = NULL;
                if (r < 0 || nothing)
                        return r;
                fprintf(stderr, "Remove these images? [y/N] ");
                if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
                        return EXIT_STATUS_FAILURE;
        }
        r = call_prune(c, c->dry_run, &images);
        if (r >= 0)
                r = print_pruned(c, images, !c->dry_run);
        json_decref(images);
        return r;
}

/* --- snapshots ----------------------------------------------------------------------------------------- */

/* Calls a method with an image and a snapshot, and prints the name of the snapshot in the answer. */
static int call_and_name(Context *c, char **args, const char *failure, const char *method)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *shown = NULL;
        const char *name;
        int r = bus_call_registry(c, failure, method, &reply, "ss", args[0], args[1] ?: "");

        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &name);
        if (r < 0 || c->quiet)
                return MIN(r, 0);
        shown = str_escape(name);
        puts(strna(shown));
        return 0;
}

int verb_snapshot(Context *c, char **args)
{
        return call_and_name(c, args, "No snapshot was made", "SnapshotImage");
}

int verb_rollback(Context *c, char **args)
{
        return call_and_name(c, args, "Not rolled back", "RollBackImage");
}

int verb_remove_snapshot(Context *c, char **args)
{
        int status = 0;

        STRV_FOREACH (name, args + 1)
                if (bus_call_registry(c, "Not removed", "RemoveSnapshot", NULL, "ss", args[0], *name) < 0)
                        status = EXIT_STATUS_FAILURE;
        return status;
}

int verb_snapshots(Context *c, char **args)
{
        static const Column columns[] = { { "name", "SNAPSHOT", NULL },
                                          { "time", "MADE", format_timestamp } };
        json_t *rows;
        int r = bus_list_snapshots(c, "Failed to list snapshots", args[0], &rows);

        if (r >= 0) {
                r = output_array(c, rows, columns, ELEMENTSOF(columns), "snapshot");
                json_decref(rows);
        }
        return r;
}

int image_verify(Context *c, const char *name, json_t *all)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *digest = NULL, *hash = "";
        int is_signed = 0, r = bus_ask_registry(c, "Not verified", "VerifyImage", &reply, "s", name);

        if (r >= 0)
                r = sd_bus_message_read(reply, "ssb", &digest, &hash, &is_signed);
        if (r >= 0 && c->digest && strcasecmp(c->digest, digest) != 0)
                r = log_error_return(-EBADMSG, "Image '%s' has the digest sha256:%s, not sha256:%s.", name,
                                     digest, c->digest);
        if (all)
                json_array_append_new(all, json_pack("{ss sb ss* ss* sb}", "image", name, "valid", r >= 0,
                                                     "digest", digest, "rootHash",
                                                     isempty(hash) ? NULL : hash, "signed", is_signed));
        else if (r >= 0 && !c->quiet)
                printf("%s: sha256:%s%s%s%s\n", name, digest, isempty(hash) ? "" : ", matches root hash ",
                       hash, is_signed ? " (trusted signature)" : "");
        return r;
}

static int compare_rows(const void *a, const void *b)
{
        return strcmp(json_text(*(json_t *const *) a, "path"), json_text(*(json_t *const *) b, "path"));
}

/* Prints one change a line, as 'docker diff' does. Paths are escaped already. Takes over the rows. */
static int print_changes(Context *c, json_t **rows, size_t n)
{
        json_t *all = json_array();

        if (n > 0)
                qsort(rows, n, sizeof(json_t *), compare_rows);
        for (size_t i = 0; i < n; i++) {
                if (c->output == OUTPUT_TEXT)
                        printf("%s %s\n", json_text(rows[i], "change"), json_text(rows[i], "path"));
                json_array_append_new(all, rows[i]);
        }
        if (c->output != OUTPUT_TEXT)
                return output_json(c, all);
        json_decref(all);
        return 0;
}

int verb_diff(Context *c, char **args)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ json_t **rows = NULL;
        const char *change, *path;
        size_t n = 0;
        int r;

        r = bus_ask_registry(c, "Not compared", "DiffImage", &reply, "ss", args[0], args[1] ?: "");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ss)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(ss)", &change, &path)) > 0) {
                json_t **more = reallocarray(rows, n + 1, sizeof(json_t *));
                if (!more)
                        return log_oom();
                rows = more;
                rows[n++] = json_pack("{ss ss}", "change", change, "path", path);
        }
        return r < 0 ? r : print_changes(c, rows, n);
}

/* --- names, flags, limits ------------------------------------------------------------------------------ */

int verb_rename(Context *c, char **args)
{
        return bus_call_registry(c, "Not renamed", "RenameImage", NULL, "ss", args[0], args[1]);
}

int verb_remove(Context *c, char **args)
{
        int r, status = 0;

        STRV_FOREACH (name, args) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                const char *left = "";
                r = bus_call_registry(c, "Not removed", "RemoveImage", &reply, "s", *name);
                if (r < 0)
                        status = EXIT_STATUS_FAILURE;
                else if (sd_bus_message_read(reply, "s", &left) >= 0 && !isempty(left))
                        log_warning(
                                "Image '%s' is removed, but %s. The next change of the store tries again.",
                                *name, left);
        }
        return status;
}

int verb_read_only(Context *c, char **args)
{
        int read_only = args[1] ? parse_boolean(args[1]) : true;

        if (read_only < 0)
                return log_error("'%s' is neither yes nor no.", args[1]), EXIT_STATUS_USAGE;
        return bus_call_registry(c, "Not changed", "MarkImageReadOnly", NULL, "sb", args[0], read_only);
}

int verb_set_limit(Context *c, char **args)
{
        uint64_t limit = UINT64_MAX;

        if (!streq(args[1], "-") && !streq(args[1], "infinity") &&
            (parse_size(args[1], 1024, &limit) < 0 || limit == 0))
                return log_error("A limit is a size such as 10G, or - for none, not '%s'.", args[1]),
                       EXIT_STATUS_USAGE;
        if (limit == UINT64_MAX && c->enable_quotas)
                return log_error("--enable-quotas needs a limit; '%s' removes the limit.", args[1]),
                       EXIT_STATUS_USAGE;
        int r = !c->enable_quotas ? 0
                                  : bus_call_registry(c, "Not limited", "EnableQuotas", NULL, "s", args[0]);
        return r < 0 ? r : bus_call_registry(c, "Not limited", "SetImageLimit", NULL, "st", args[0], limit);
}
