/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl-launch: run by the unit of a machine. See mctl-launch(8). */

#include <fcntl.h>
#include <getopt.h>

#include "basic/failure.h"
#include "basic/log.h"
#include "basic/os-release.h"
#include "basic/random.h"
#include "basic/rootfs.h"
#include "config.h"
#include "launch/launch.h"
#include "launch/program.h"
#include "launch/tree.h"
#include "sandbox/notify.h"
#include "sandbox/users.h"
#include "state/spec-load.h"
#include "store/image.h"

static void help(void)
{
        printf("mctl-launch [--template] start NAME\n"
               "mctl-launch [--template] cleanup NAME\n"
               "\n"
               "Starts a machine as the main process of its unit, or removes what is left of it.\n"
               "\n"
               "  -h --help      Show this help\n"
               "     --version   Show the version\n"
               "     --template  The unit is container@NAME.service: read NAME.machine of the "
               "administrator\n");
}

static void tell(const char *text)
{
        log_warning("%s", text);
}

/* The registry has written the spec of a transient machine, merged and validated. The spec of a machine of
 * the template is merged here, from the files of the administrator. */
static int load_spec(const Scope *scope, MachineUnitKind kind, const char *name, int machine_fd, Spec **ret,
                     char **ret_error)
{
        _cleanup_strv_ Strv warnings = NULL;
        int r;

        if (kind == MACHINE_UNIT_TEMPLATE)
                r = spec_merge(scope, name, NULL, ret, &warnings, ret_error);
        else
                r = machine_spec_read(machine_fd, name, ret, ret_error);
        STRV_FOREACH (warning, warnings)
                log_warning("%s", *warning);
        if (r < 0)
                return *ret_error ? r
                                  : set_failure_errno(ret_error, r,
                                                      "Failed to read the settings of machine '%s'", name);
        if (kind == MACHINE_UNIT_TEMPLATE && r == 0)
                return set_failure(ret_error, -ENOENT, "There is no file '%s/%s.machine'.",
                                   scope->config_dir, name);
        return 0;
}

/* A random UUID (RFC 9562, version 4), in the form of systemd. */
static void make_uuid(char ret[33])
{
        const uint64_t random[2] = { random_u64(), random_u64() };
        uint8_t id[16];

        memcpy(id, random, sizeof(id));
        id[6] = (id[6] & 0x0f) | 0x40;
        id[8] = (id[8] & 0x3f) | 0x80;
        for (size_t i = 0; i < sizeof(id); i++)
                snprintf(ret + i * 2, 3, "%02x", id[i]);
}

/* Chooses the ID of the machine: the ID that the image has, the ID in the spec, or a new one. */
static void choose_uuid(const Spec *spec, const ImageInfo *info, char ret[33])
{
        const char *known = info->uuid[0] ? info->uuid : spec->machine_id;

        if (known)
                snprintf(ret, 33, "%s", known);
        else
                make_uuid(ret);
}

static int make_plan(const Scope *scope, const Spec *spec, MachineUnitKind kind, int image_fd,
                     ImageInfo *info, Record *record, Plan **ret, char **ret_error)
{
        _cleanup_free_ char *notify = machine_notify_path(scope, kind, spec->name);
        _cleanup_strv_ Strv host_os = NULL;
        char id[33], boot_id[37];
        int r;

        OOM_CHECK(notify);
        _cleanup_close_ int host_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        (void) os_release_read_all(host_fd, &host_os);

        r = image_inspect(image_fd, info);
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to inspect image '%s'", spec->image);
        if (spec->boot && !info->init)
                return set_failure(ret_error, -ENOEXEC,
                                   "Image '%s' has no init: neither systemd nor /sbin/init is there.",
                                   spec->image);
        r = free_and_strdup(&record->os, info->os);
        if (r < 0)
                return r;
        record->init_notifies = info->readiness == INIT_NOTIFIES;
        choose_uuid(spec, info, record->uuid);
        make_uuid(id);
        snprintf(boot_id, sizeof(boot_id), "%.8s-%.4s-%.4s-%.4s-%.12s", id, id + 8, id + 12, id + 16,
                 id + 20);

        const PlanInput input = {
                .scope = scope,
                .root = record->root,
                .init = info->init,
                .uuid = record->uuid,
                .boot_id = boot_id,
                .notify = notify,
                .host_os = host_os,
                .has_localtime = info->has_localtime,
                .silent = info->readiness == INIT_SILENT,
                .systemd = info->systemd,
        };
        r = plan_new(spec, &input, ret);
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to plan the machine");
        if ((*ret)->relaxes_proc)
                log_info("systemd %u in the machine runs services without ProtectProc=, ProcSubset=, "
                         "ProtectControlGroups= and ProtectKernelTunables=: the kernel allows no new "
                         "proc file system in the machine.",
                         info->systemd);
        return 0;
}

/* If nobody may write to the image, other images may be layers on top of it. */
static void note_read_only(Spec *spec, const char *path)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

        if (fd >= 0 && spec->volatile_mode == VOLATILE_NO && image_is_read_only(fd))
                spec->read_only = true;
}

static int start(const Scope *scope, MachineUnitKind kind, const char *name, char *argv[], int *ret_status,
                 char **ret_error)
{
        _cleanup_image_info_ ImageInfo info = {};
        _cleanup_record_ Record record = {};
        _cleanup_spec_ Spec *spec = NULL;
        _cleanup_plan_ Plan *plan = NULL;
        _cleanup_tree_ Tree tree = TREE_NONE;
        int r;

        _cleanup_close_ int run_fd = run_dir_open(scope);
        if (run_fd < 0)
                return set_failure_errno(ret_error, run_fd, "Failed to open '%s'", scope->run_dir);
        _cleanup_close_ int machine_fd = machine_dir_open(run_fd, kind, name, kind == MACHINE_UNIT_TEMPLATE);
        if (machine_fd < 0)
                return set_failure_errno(ret_error, machine_fd,
                                         "Failed to open the runtime directory of machine '%s'", name);

        r = load_spec(scope, kind, name, machine_fd, &spec, ret_error);
        if (r < 0)
                return r;
        r = program_seal(spec, argv);
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to run from a sealed copy");
        r = image_find(scope, spec->image, &record.root, ret_error);
        if (r < 0)
                return r;
        note_read_only(spec, record.root);
        r = launch_claim(scope, spec, kind, run_fd, machine_fd, &record, ret_error);
        if (r < 0)
                return r;
        r = tree_open(scope, spec, record.root, run_fd, &tree, ret_error);
        if (r < 0)
                return r;
        spec->read_only = spec->read_only || (tree.read_only && spec->volatile_mode == VOLATILE_NO);
        r = make_plan(scope, spec, kind, tree.fd, &info, &record, &plan, ret_error);
        if (r < 0)
                return r;
        tree_looked(&tree);
        /* The clean-up finds the journal by the ID of the machine, which the record has. */
        r = record_write(machine_fd, &record);
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to record the start of the machine");
        if (kind == MACHINE_UNIT_TEMPLATE) {
                r = machine_spec_write(machine_fd, spec);
                if (r < 0)
                        return set_failure_errno(ret_error, r, "Failed to write the spec of machine '%s'",
                                                 name);
        }
        return launch_run(plan, kind, machine_fd, &tree, &record, tell, ret_status, ret_error);
}

int main(int argc, char *argv[])
{
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'v' },
                { "template", no_argument, NULL, 't' },
                {},
        };
        MachineUnitKind kind = MACHINE_UNIT_TRANSIENT;
        _cleanup_scope_ Scope *scope = NULL;
        _cleanup_free_ char *error = NULL;
        int c, r, status = EXIT_FAILURE;

        log_open();
        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return 0;
                case 'v':
                        puts("mctl " MCTL_VERSION);
                        return 0;
                case 't':
                        kind = MACHINE_UNIT_TEMPLATE;
                        break;
                default:
                        return EXIT_FAILURE;
                }
        if (argc - optind != 2) {
                log_error("Expected a verb and the name of a machine; see 'mctl-launch --help'.");
                return EXIT_FAILURE;
        }
        const char *verb = argv[optind], *name = argv[optind + 1];
        if (!machine_name_valid(name)) {
                log_error("Invalid name of a machine: '%s'. It has " MACHINE_NAME_RULE ".", name);
                return EXIT_FAILURE;
        }

        r = scope_new(&scope);
        if (r < 0)
                (void) set_failure_errno(&error, r, "Failed to find out which instance this is");
        else if (streq(verb, "start"))
                r = start(scope, kind, name, argv, &status, &error);
        else if (streq(verb, "cleanup"))
                r = launch_cleanup(scope, kind, name, tell, &error);
        else
                r = set_failure(&error, -EINVAL, "Unknown verb '%s'; see 'mctl-launch --help'.", verb);
        if (r >= 0)
                return EXIT_SUCCESS;
        log_error("%s", error ?: strerror(-r));
        journal_sync();
        return status;
}
