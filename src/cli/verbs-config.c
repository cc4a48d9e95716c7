/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verbs about machine files and properties of machines. */

#include "cli/verbs-config.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "cli/bus.h"
#include "cli/output.h"
#include "cli/usage.h"
#include "cli/verbs-images.h"
#include "cli/verbs-start.h"
#include "state/spec-load.h"
#include "systemd/bus.h"

static int check_name(const char *name)
{
        return machine_name_valid(name) && !streq(name, "_default") ? 0 : usage_bad_name(name);
}

/* Lets systemd check the assignments of [Resources]. Without a bus or a registry, nothing is checked. */
static int check_resources(Context *c, const Spec *spec, char **ret_error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL, *reply = NULL;
        _cleanup_strv_ Strv problems = NULL;
        int r;

        if (!spec->resources || (!c->bus && bus_open(c->scope->bus, &c->bus) < 0))
                return 0;
        r = sd_bus_message_new_method_call(c->bus, &request, REGISTRY_NAME, REGISTRY_PATH,
                                           REGISTRY_INTERFACE, "CheckProperties");
        if (r >= 0)
                r = sd_bus_message_append_strv(request, spec->resources);
        if (r >= 0 && sd_bus_call(c->bus, request, 0, NULL, &reply) < 0)
                return 0; /* the registry cannot be reached */
        if (r >= 0)
                r = sd_bus_message_read_strv(reply, &problems);
        if (r < 0)
                return r;
        return problems ? set_invalid(ret_error, "%s", problems[0]) : 0;
}

/* Reads and checks one file, as the file of machine `name`. On failure, ret_error says what is wrong. */
static int judge_file(Context *c, const char *path, const char *name, Strv *warnings, char **ret_error)
{
        _cleanup_spec_ Spec *spec = spec_new(name);
        _cleanup_free_ char *error = NULL;
        int r;

        OOM_CHECK(spec);
        r = spec_read_path(spec, SPEC_SOURCE_FILE, path, warnings, ret_error);
        if (r == 0)
                return set_invalid(ret_error, "There is no file '%s'.", path);
        if (r < 0)
                return *ret_error ? r
                                  : set_invalid(ret_error, "Failed to read '%s': %s", path, strerror(-r));
        if (!spec->image && free_and_strdup(&spec->image, name) < 0)
                return -ENOMEM;
        r = spec_validate(spec, &error);
        if (r >= 0)
                r = check_resources(c, spec, &error);
        return error ? set_invalid(ret_error, "%s: %s", path, error) : r;
}

/* Checks a file, and logs warnings and errors. Returns the number of warnings, or a negative errno. */
static int verify_file(Context *c, const char *path, const char *name)
{
        _cleanup_strv_ Strv warnings = NULL;
        _cleanup_free_ char *error = NULL;
        int r = judge_file(c, path, name, &warnings, &error);

        STRV_FOREACH (warning, warnings)
                log_warning("%s", *warning);
        if (r < 0)
                return error ? log_error_return(r, "%s", error) : log_oom();
        return strv_length(warnings);
}

static int verify_as_json(Context *c, const char *path, const char *name, json_t *all)
{
        _cleanup_strv_ Strv warnings = NULL;
        _cleanup_free_ char *error = NULL;
        int r = judge_file(c, path, name, &warnings, &error);

        if (r < 0 && !error)
                return log_oom();
        json_t *texts = json_array();
        STRV_FOREACH (warning, warnings)
                json_array_append_new(texts, json_string(*warning));
        json_array_append_new(all, json_pack("{ss sb so ss*}", "file", path, "valid", r >= 0, "warnings",
                                             texts, "error", error));
        return r;
}

static int verify_path(Context *c, const char *path, json_t *all)
{
        const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
        _cleanup_free_ char *name = strndup(base, strcspn(base, ".")), *valid = NULL;
        int r;

        if (!name)
                return log_oom();
        if (machine_name_from(name, &valid) < 0)
                valid = strdup("machine");
        if (!valid)
                return log_oom();
        r = all ? verify_as_json(c, path, valid, all) : verify_file(c, path, valid);
        if (r >= 0 && !all && !c->quiet)
                printf("%s: no %serrors.\n", path, r > 0 ? "further " : "");
        return r;
}

/* Whether a word is a path of a machine file, and not the name of an image, which has no slash. */
static bool is_path(const char *word)
{
        return strchr(word, '/') || endswith(word, ".machine") || endswith(word, ".nspawn") ||
               endswith(word, ".json");
}

int verb_verify(Context *c, char **args)
{
        json_t *all = c->output == OUTPUT_TEXT ? NULL : json_array();
        int status = 0;

        if (c->digest && (args[1] || is_path(args[0])))
                return log_error("--digest= needs exactly one image."), EXIT_STATUS_USAGE;
        if (c->digest)
                c->digest = startswith(c->digest, "sha256:") ?: c->digest;
        if (c->digest && (strlen(c->digest) != 64 || strspn(c->digest, "0123456789abcdefABCDEF") != 64))
                return log_error("--digest= takes a SHA-256 in hexadecimal, not '%s'.", c->digest),
                       EXIT_STATUS_USAGE;
        STRV_FOREACH (word, args)
                if ((is_path(*word) ? verify_path(c, *word, all) : image_verify(c, *word, all)) < 0)
                        status = EXIT_STATUS_FAILURE;
        if (all && output_json(c, all) < 0)
                status = EXIT_STATUS_FAILURE;
        return status;
}

int verb_cat(Context *c, char **args)
{
        if (check_name(args[0]) != 0)
                return EXIT_STATUS_USAGE;

        json_t *all = json_array();
        _cleanup_strv_ Strv files = NULL;
        int r = spec_list_files(c->scope, args[0], &files);
        if (r < 0)
                return log_error_errno(r, "Failed to look for the files of machine '%s'", args[0]);
        if (!files)
                return log_error_return(-ENOENT, "Machine '%s' has no file.", args[0]);
        pager_open(c);
        STRV_FOREACH (file, files) {
                _cleanup_free_ char *text = NULL;
                r = file_read_at(AT_FDCWD, *file, SPEC_FILE_MAX, &text, NULL);
                if (r < 0)
                        return log_error_errno(r, "Failed to read '%s'", *file);
                if (c->output == OUTPUT_TEXT)
                        printf("%s# %s\n%s", file == files ? "" : "\n", *file, text);
                else
                        json_array_append_new(all, json_pack("{ss ss}", "file", *file, "text", text));
        }
        return c->output == OUTPUT_TEXT ? 0 : output_json(c, all);
}

/* mctl-generator reads the files at each reload of systemd. */
static int reload(Context *c)
{
        return bus_call_manager(c, "Failed to reload systemd", "Reload", NULL, "");
}

static int write_file(Context *c, const char *path, const char *text)
{
        int r;

        if (mkdir(c->scope->config_dir, 0755) < 0 && errno != EEXIST)
                return log_error_errno(-errno, "Failed to make '%s'", c->scope->config_dir);
        r = file_write_atomic_at(AT_FDCWD, path, 0644, text, strlen(text));
        if (r < 0)
                return log_error_errno(r, "Failed to write '%s'", path);
        return reload(c);
}

/* A missing image is only a warning: it may be made later. */
static void warn_of_missing_image(Context *c)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *text = spec_to_json_text(c->spec, false, JSON_COMPACT);

        if (text &&
            sd_bus_call_method(c->bus, REGISTRY_NAME, REGISTRY_PATH, REGISTRY_INTERFACE, "PlanMachine",
                               &error, NULL, "s", text) < 0 &&
            sd_bus_error_has_name(&error, "org.mctl.Registry1.NoSuchImage"))
                log_warning("%s", error.message);
}

int verb_create(Context *c, char **args)
{
        _cleanup_free_ char *path = NULL, *text = NULL, *error = NULL;
        int r;

        if (check_name(args[0]) != 0)
                return EXIT_STATUS_USAGE;
        path = strf("%s/%s.machine", c->scope->config_dir, args[0]);
        if (!path || free_and_strdup(&c->spec->name, args[0]) < 0)
                return log_oom();
        if (access(path, F_OK) >= 0)
                return log_error_return(-EEXIST, "Machine '%s' has a file already: '%s'.", args[0], path);
        r = start_fill_image(c, args[1]);
        if (r >= 0) {
                r = spec_validate(c->spec, &error);
                if (r >= 0)
                        r = check_resources(c, c->spec, &error);
                if (r < 0)
                        log_error("%s", strna(error));
        }
        if (r < 0)
                return r == -EINVAL ? EXIT_STATUS_USAGE : r;
        r = spec_to_text(c->spec, false, &text);
        if (r == -EINVAL)
                return log_error("A machine file cannot hold a value that begins or ends with a blank, or "
                                 "that ends with a backslash."),
                       EXIT_STATUS_USAGE;
        if (r < 0)
                return log_oom();
        r = write_file(c, path, text);
        if (r < 0)
                return r;
        warn_of_missing_image(c);
        if (c->output != OUTPUT_TEXT)
                return output_json(c, json_pack("{ss ss}", "name", args[0], "file", path));
        if (!c->quiet)
                printf("Wrote '%s'. Start the machine with: mctl start %s\n", path, args[0]);
        return 0;
}

static int run_editor(const char *path)
{
        const char *editor = getenv("SYSTEMD_EDITOR") ?: getenv("VISUAL") ?: getenv("EDITOR") ?: "editor";
        int status;
        pid_t pid = fork();

        if (pid < 0)
                return log_error_errno(-errno, "Failed to start the editor");
        if (pid == 0) {
                _cleanup_free_ char *command = strf("%s \"$1\"", editor);
                if (command)
                        execlp("sh", "sh", "-c", command, editor, path, NULL);
                _exit(EXIT_FAILURE);
        }
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return log_error_return(-EIO, "The editor failed; nothing was changed.");
        return 0;
}

static const char template_text[] = "# A machine of mctl; see mctl.machine(5).\n"
                                    "[Image]\n"
                                    "#Image=\n"
                                    "\n"
                                    "[Exec]\n"
                                    "\n"
                                    "[Resources]\n"
                                    "#MemoryMax=1G\n";

int verb_edit(Context *c, char **args)
{
        _cleanup_free_ char *path = NULL, *present = NULL, *text = NULL, *edited = NULL;
        char temp[] = "/tmp/mctl-edit-XXXXXX";
        int r;

        if (check_name(args[0]) != 0)
                return EXIT_STATUS_USAGE;
        path = strf("%s/%s.machine", c->scope->config_dir, args[0]);
        if (!path)
                return log_oom();
        /* If only the distribution has a file, start with its text. The file of the administrator then
         * overrides it. */
        r = spec_find_file(c->scope, args[0], &present);
        if (r >= 0 && !endswith(present, ".nspawn"))
                r = file_read_at(AT_FDCWD, present, SPEC_FILE_MAX, &text, NULL);
        else if (r >= 0 || r == -ENOENT)
                r = free_and_strdup(&text, template_text);
        if (r < 0)
                return log_error_errno(r, "Failed to read '%s'", present ?: path);

        _cleanup_close_ int fd = mkostemp(temp, O_CLOEXEC);
        r = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
        if (r < 0)
                return log_error_errno(r, "Failed to write '%s'", temp);
        r = run_editor(temp);
        if (r < 0) {
                (void) unlink(temp);
                return r;
        }
        r = file_read_at(AT_FDCWD, temp, SPEC_FILE_MAX, &edited, NULL);
        if (r < 0)
                return log_error_errno(r, "Failed to read the edited text in '%s'; '%s' was not changed",
                                       temp, path);
        if (streq(edited, text)) {
                (void) unlink(temp);
                if (!c->quiet)
                        printf("Nothing was changed.\n");
                return 0;
        }
        r = verify_file(c, temp, args[0]);
        if (r < 0) {
                log_error("'%s' was not changed; the edited text is in '%s'.", path, temp);
                return r;
        }
        r = write_file(c, path, edited);
        if (r >= 0)
                (void) unlink(temp);
        return r;
}

int verb_set_property(Context *c, char **args)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        if (check_name(args[0]) != 0)
                return EXIT_STATUS_USAGE;
        STRV_FOREACH (assignment, args + 1)
                if (!strchr(*assignment, '='))
                        return log_error("Expected KEY=VALUE, not '%s'.", *assignment), EXIT_STATUS_USAGE;
        r = bus_connect(c);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(c->bus, &request, REGISTRY_NAME, REGISTRY_PATH,
                                           REGISTRY_INTERFACE, "SetMachineProperties");
        if (r >= 0)
                r = sd_bus_message_append(request, "sb", args[0], c->runtime);
        if (r >= 0)
                r = sd_bus_message_append_strv(request, args + 1);
        if (r >= 0)
                r = sd_bus_call(c->bus, request, 0, &error, NULL);
        return r < 0 ? log_error_return(r, "Failed to set properties of machine '%s': %s", args[0],
                                        error.message ?: strerror(-r))
                     : 0;
}
