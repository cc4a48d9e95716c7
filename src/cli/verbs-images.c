/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Images of the store. The registry has them changed. */

#include "basic/parse.h"
#include "cli/cli.h"

static int list_images(Context *c, json_t **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        json_t *images = json_array(), *image;
        int r;

        r = bus_call_registry(c, "Failed to list images", "ListImages", &reply, "");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "a{sv}");
        while (r >= 0 && (r = sd_bus_message_at_end(reply, false)) == 0) {
                r = bus_read_properties(reply, &image);
                if (r >= 0)
                        json_array_append_new(images, image);
        }
        if (r < 0) {
                json_decref(images);
                return r;
        }
        *ret = images;
        return 0;
}

int verb_images(Context *c, char **args)
{
        static const Column columns[] = {
                { "Name", "IMAGE", NULL },         { "Type", "TYPE", NULL },
                { "ReadOnly", "READ-ONLY", NULL }, { "OS", "OS", NULL },
                { "Machine", "MACHINE", NULL },    { "Modified", "MODIFIED", format_timestamp },
        };
        json_t *images;
        int r = list_images(c, &images);

        (void) args;
        if (r < 0)
                return r;
        r = output_array(c, images, columns, ELEMENTSOF(columns), "image");
        json_decref(images);
        return r;
}

static int find_image(Context *c, const char *name, json_t **ret)
{
        json_t *images, *image;
        size_t i;
        int r = list_images(c, &images);

        if (r < 0)
                return r;
        *ret = NULL;
        json_array_foreach (images, i, image)
                if (streq_ptr(json_text(image, "Name"), name))
                        *ret = json_incref(image);
        json_decref(images);
        return *ret ? 0 : log_error_return(-ENOENT, "There is no image '%s'.", name);
}

static void print_image(const char *name, const json_t *value)
{
        _cleanup_free_ char *shown = json_is_string(value) ? str_escape(json_string_value(value)) : NULL;

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

/* Flags of CloneImageWithFlags(). */
enum {
        CLONE_READ_ONLY = 1,
        CLONE_COPY = 2,
        CLONE_KEEP_IDENTITY = 4,
        CLONE_PLAIN = 8, /* in one piece */
};

static int clone(Context *c, char **args, uint64_t flags, const char *failure)
{
        flags |= (c->spec->read_only ? CLONE_READ_ONLY : 0) | (c->keep_identity ? CLONE_KEEP_IDENTITY : 0);
        return bus_call_registry(c, failure, "CloneImageWithFlags", NULL, "sst", args[0], args[1], flags);
}

int verb_clone(Context *c, char **args)
{
        return clone(c, args, c->copy ? CLONE_COPY : 0, "Not cloned");
}

int verb_commit(Context *c, char **args)
{
        return clone(c, args, CLONE_PLAIN, "Not committed");
}

/* --- snapshots ---------------------------------------------------------------------------------------------------- */

/* Calls a method with an image and a snapshot, and prints the name of that. */
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
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        json_t *rows = json_array();
        const char *name;
        uint64_t time;
        int r;

        r = bus_call_registry(c, "Failed to list snapshots", "ListSnapshots", &reply, "s", args[0]);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(st)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(st)", &name, &time)) > 0)
                json_array_append_new(rows, json_pack("{ss sI}", "name", name, "time", (json_int_t) time));
        if (r >= 0)
                r = output_array(c, rows, columns, ELEMENTSOF(columns), "snapshot");
        json_decref(rows);
        return r;
}

static int compare_rows(const void *a, const void *b)
{
        return strcmp(json_text(*(json_t *const *) a, "path"), json_text(*(json_t *const *) b, "path"));
}

/* A line each, as others have it. Paths are escaped already. */
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

        r = bus_call_registry(c, "Not compared", "DiffImage", &reply, "ss", args[0], args[1] ?: "");
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

/* --- names, flags, limits ------------------------------------------------------------------------------------------- */

int verb_rename(Context *c, char **args)
{
        return bus_call_registry(c, "Not renamed", "RenameImage", NULL, "ss", args[0], args[1]);
}

int verb_remove(Context *c, char **args)
{
        int r, status = 0;

        STRV_FOREACH (name, args) {
                r = bus_call_registry(c, "Not removed", "RemoveImage", NULL, "s", *name);
                if (r < 0)
                        status = EXIT_STATUS_FAILURE;
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

        if (!streq(args[1], "-") && !streq(args[1], "infinity") && parse_size(args[1], 1024, &limit) < 0)
                return log_error("A limit is a size such as 10G, or - for none, not '%s'.", args[1]),
                       EXIT_STATUS_USAGE;
        return bus_call_registry(c, "Not limited", "SetImageLimit", NULL, "st", args[0], limit);
}
