/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/sched.h>
#include <sys/mount.h>

#include "basic/capability.h"
#include "basic/parse.h"
#include "sandbox/filter.h"
#include "sandbox/plan.h"
#include "sandbox/privileges.h"
#include "sandbox/users.h"

#define NO_EXEC (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define NO_DEV  (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

/* File systems that are mounted before an init starts. A system inside mounts each of these that is missing,
 * and reads its mount table after each mount, so the launcher mounts them faster. Sizes are shares of the
 * memory. */
static const Step host_steps[] = {
        { STEP_PROC, "/proc", .mode = 0555, .attr = NO_EXEC, .strict = true },
        { STEP_SYSFS, "/sys", .mode = 0555, .attr = MOUNT_ATTR_RDONLY | NO_EXEC, .strict = true },
        { STEP_DEV, "/dev", .mode = 0755, .attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, .strict = true },
        { STEP_DEVPTS, "/dev/pts", .attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC },
        { STEP_MQUEUE, "/dev/mqueue", .attr = NO_EXEC },
        { STEP_TMPFS, "/dev/shm", .mode = 01777, .options = "size=10%", .attr = NO_DEV },
        { STEP_TMPFS, "/run", .mode = 0755, .options = "size=20%", .attr = NO_DEV, .strict = true },
        { STEP_TMPFS, "/tmp", .mode = 01777, .options = "size=10%", .attr = NO_DEV },
};

/* Only for an init: an application may have files of its image in /run. */
static const Step boot_steps[] = {
        { STEP_TMPFS, "/run/lock", .mode = 01777, .options = "size=5M", .attr = NO_EXEC },
};

/* /run/host, the container's view of its host (systemd.io/CONTAINER_INTERFACE). */
static const Step run_host_steps[] = {
        { STEP_TMPFS, "/run/host", .mode = 0755, .options = "size=4M", .attr = NO_EXEC, .strict = true },
        { STEP_BIND, "/run/host/os-release", "/etc/os-release", .attr = MOUNT_ATTR_RDONLY | NO_EXEC,
          .optional = true },
        { STEP_FILE, "/run/host/container-manager", "mctl\n", .mode = 0444 },
        { STEP_DIR, "/run/host/empty", .mode = 0555 },
        { STEP_DIR, "/run/host/inaccessible/dir", .mode = 0 },
        { STEP_FILE, "/run/host/inaccessible/reg", "", .mode = 0 },
};

/* The target of the mount of the first process's terminal. */
static const Step console_steps[] = {
        { STEP_FILE, "/dev/console", "", .mode = 0600 },
};

static const Step inner_steps[] = {
        { STEP_CGROUP, "/sys/fs/cgroup", .attr = NO_EXEC },
};

/* Files of the kernel that do not belong to the container. Files of the network stay, since they belong to
 * its network namespace. Directories of sysfs are empty, as on a host without the hardware:
 * systemd-hostnamed of 262 fails if a directory is missing. */
static const Step mask_steps[] = {
        { STEP_READ_ONLY, "/proc/sys" },
        { STEP_WRITABLE, "/proc/sys/net" },
        { STEP_COVER, "/proc/sys/kernel/random/boot_id", "/run/host/boot_id" },
        { STEP_READ_ONLY, "/proc/acpi", .optional = true },
        { STEP_READ_ONLY, "/proc/asound", .optional = true },
        { STEP_READ_ONLY, "/proc/bus", .optional = true },
        { STEP_READ_ONLY, "/proc/fs", .optional = true },
        { STEP_READ_ONLY, "/proc/irq", .optional = true },
        { STEP_READ_ONLY, "/proc/pressure", .optional = true },
        { STEP_READ_ONLY, "/proc/scsi", .optional = true },
        { STEP_HIDE, "/proc/kallsyms", .optional = true },
        { STEP_HIDE, "/proc/kcore", .optional = true },
        { STEP_HIDE, "/proc/keys", .optional = true },
        { STEP_HIDE, "/proc/latency_stats", .optional = true },
        { STEP_HIDE, "/proc/sched_debug", .optional = true },
        { STEP_HIDE, "/proc/sysrq-trigger", .optional = true },
        { STEP_HIDE, "/proc/timer_list", .optional = true },
        { STEP_COVER, "/sys/devices/virtual/powercap", "/run/host/empty", .attr = MOUNT_ATTR_RDONLY,
          .optional = true },
        { STEP_COVER, "/sys/firmware", "/run/host/empty", .attr = MOUNT_ATTR_RDONLY, .optional = true },
        { STEP_COVER, "/sys/fs/pstore", "/run/host/empty", .attr = MOUNT_ATTR_RDONLY, .optional = true },
        { STEP_COVER, "/sys/hypervisor", "/run/host/empty", .attr = MOUNT_ATTR_RDONLY, .optional = true },
        { STEP_COVER, "/sys/kernel/debug", "/run/host/empty", .attr = MOUNT_ATTR_RDONLY, .optional = true },
        { STEP_COVER, "/sys/kernel/security", "/run/host/empty", .attr = MOUNT_ATTR_RDONLY,
          .optional = true },
        { STEP_COVER, "/sys/kernel/tracing", "/run/host/empty", .attr = MOUNT_ATTR_RDONLY,
          .optional = true },
        { STEP_COVER, "/sys/power", "/run/host/empty", .attr = MOUNT_ATTR_RDONLY, .optional = true },
};

/* In a user namespace, the kernel allows to mount a procfs or sysfs only if a complete one is visible.
 * Container managers inside mount both, so a complete one of each is mounted in /run/host. */
static const Step nesting_steps[] = {
        { STEP_PROC, "/run/host/nesting/proc", .attr = NO_EXEC },
        { STEP_SYSFS, "/run/host/nesting/sys", .attr = MOUNT_ATTR_RDONLY | NO_EXEC },
        { STEP_HIDE, "/run/host/nesting" },
};

/* The files of the journal have the same owners inside and on the host. */
static const MountEntry journal_entry = { .id_map = ID_MAP_AUTO,
                                          .recursive = true,
                                          .propagation = MS_SLAVE };

static int append_steps(Step **steps, size_t *n, const Step *more, size_t n_more)
{
        Step *p = reallocarray(*steps, *n + n_more, sizeof(Step));
        OOM_CHECK(p);
        memcpy(p + *n, more, n_more * sizeof(Step));
        *steps = p;
        *n += n_more;
        return 0;
}

static int add_host_steps(Plan *plan, const Step *more, size_t n_more)
{
        return append_steps(&plan->host_steps, &plan->n_host_steps, more, n_more);
}

static int add_host_step(Plan *plan, Step step)
{
        return add_host_steps(plan, &step, 1);
}

/* Keeps a new string as long as the plan. Returns NULL when out of memory. */
static const char *keep(Plan *plan, char *text)
{
        return strv_consume(&plan->texts, text) < 0 ? NULL : plan->texts[strv_length(plan->texts) - 1];
}

static int add_host_file(Plan *plan, const char *target, char *text, mode_t mode)
{
        const char *kept = keep(plan, text);

        OOM_CHECK(kept);
        return add_host_step(plan, (Step){ STEP_FILE, target, kept, .mode = mode });
}

/* The entries of [Files], of all keys, in the order of their targets: a mount must not hide a mount below
 * its target. */
typedef struct EntryKind {
        const Strv *list;
        StepKind kind;
        bool read_only;
        bool overlay;
} EntryKind;

static int parse_entry(const EntryKind *kind, const char *text, MountEntry *ret)
{
        if (kind->kind == STEP_TMPFS)
                return mount_entry_parse_tmpfs(text, ret);
        if (kind->overlay)
                return mount_entry_parse_overlay(text, kind->read_only, ret);
        return mount_entry_parse_bind(text, ret);
}

static int compare_targets(const void *a, const void *b)
{
        const Step *x = a, *y = b;
        return strcmp(x->target, y->target);
}

static int add_entries(Plan *plan)
{
        const Spec *spec = plan->spec;
        const EntryKind kinds[] = {
                { &spec->bind, STEP_BIND, false, false },
                { &spec->bind_read_only, STEP_BIND, true, false },
                { &spec->temporary_file_system, STEP_TMPFS, false, false },
                { &spec->overlay, STEP_OVERLAY, false, true },
                { &spec->overlay_read_only, STEP_OVERLAY, true, true },
        };
        size_t first = plan->n_host_steps, n = 0;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                n += strv_length(*kinds[i].list);
        plan->entries = calloc(n + 1, sizeof(MountEntry));
        OOM_CHECK(plan->entries);

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                STRV_FOREACH (text, *kinds[i].list) {
                        MountEntry *entry = plan->entries + plan->n_entries;
                        r = parse_entry(kinds + i, *text, entry);
                        if (r < 0)
                                return r;
                        plan->n_entries++;
                        bool empty = kinds[i].kind == STEP_BIND && !entry->source[0];
                        r = add_host_step(plan, (Step){
                                                        .kind = empty ? STEP_TMPFS : kinds[i].kind,
                                                        .target = entry->target,
                                                        .source = entry->source,
                                                        .mode = 0755,
                                                        .options = entry->options,
                                                        .attr = entry->attr |
                                                                (kinds[i].read_only ? MOUNT_ATTR_RDONLY : 0),
                                                        .optional = entry->optional,
                                                        .entry = entry,
                                                });
                        if (r < 0)
                                return r;
                }
        if (plan->n_host_steps > first)
                qsort(plan->host_steps + first, plan->n_host_steps - first, sizeof(Step), compare_targets);
        STRV_FOREACH (path, spec->inaccessible) {
                r = add_host_step(plan, (Step){ STEP_HIDE, *path, .optional = true });
                if (r < 0)
                        return r;
        }
        return 0;
}

static const Step nesting_devices[] = {
        { STEP_NODE, "/dev/fuse", "/dev/fuse", .optional = true },
        { STEP_NODE, "/dev/net/tun", "/dev/net/tun", .optional = true },
};

static int add_devices(Plan *plan)
{
        if (plan->spec->profile == PROFILE_NESTING) {
                int r = add_host_steps(plan, nesting_devices, ELEMENTSOF(nesting_devices));
                if (r < 0)
                        return r;
        }
        STRV_FOREACH (text, plan->spec->device) {
                _cleanup_device_entry_ DeviceEntry entry = {};
                int r;

                r = device_entry_parse(*text, &entry);
                if (r < 0)
                        return r;
                const char *source = keep(plan, TAKE_PTR(entry.source)),
                           *target = keep(plan, TAKE_PTR(entry.target));
                if (!source || !target)
                        return -ENOMEM;
                r = add_host_step(plan, (Step){ STEP_NODE, target, source });
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Credentials are files for the first process alone, as in systemd.exec(5). They belong to root, or to the
 * user of the machine, who is known only inside. */
static int add_credentials(Plan *plan)
{
        const Spec *spec = plan->spec;
        int r;

        if (!spec->load_credential && !spec->set_credential)
                return 0;
        r = add_host_step(plan,
                          (Step){ STEP_TMPFS, "/run/host/credentials", .mode = spec->user ? 0755 : 0700,
                                  .options = "size=1M", .attr = NO_EXEC });
        STRV_FOREACH (s, spec->load_credential)
                if (r >= 0) {
                        size_t n = strcspn(*s, ":");
                        const char *target = keep(plan, strf("/run/host/credentials/%.*s", (int) n, *s));
                        r = target ? add_host_step(plan, (Step){ STEP_COPY, target, *s + n + 1,
                                                                 .mode = spec->user ? 0444 : 0400 })
                                   : -ENOMEM;
                }
        STRV_FOREACH (s, spec->set_credential)
                if (r >= 0) {
                        size_t n = strcspn(*s, ":");
                        const char *target = keep(plan, strf("/run/host/credentials/%.*s", (int) n, *s));
                        r = target ? add_host_step(plan, (Step){ STEP_FILE, target, *s + n + 1,
                                                                 .mode = spec->user ? 0444 : 0400 })
                                   : -ENOMEM;
                }
        if (r >= 0)
                r = add_host_step(plan, (Step){ STEP_READ_ONLY, "/run/host/credentials" });
        if (r >= 0)
                r = strv_append(&plan->environment, "CREDENTIALS_DIRECTORY=/run/host/credentials");
        return r;
}

static bool root_is_writable(const Spec *spec)
{
        return !spec->read_only && spec->volatile_mode != VOLATILE_STATE;
}

/* The file of the host that becomes /etc/resolv.conf, and the way in which it gets there. */
static int add_resolv_conf(Plan *plan)
{
        static const char *const sources[] = {
                "/etc/resolv.conf",
                "/usr/lib/systemd/resolv.conf",
                "/run/systemd/resolve/resolv.conf",
                "/run/systemd/resolve/stub-resolv.conf",
        };
        ResolvConf mode = plan->spec->resolv_conf;

        /* A machine with a network namespace knows its name servers better than the host does. */
        if (mode == RESOLV_CONF_AUTO) {
                if (plan->spec->private_network)
                        return 0;
                mode = root_is_writable(plan->spec) ? RESOLV_CONF_COPY_HOST : RESOLV_CONF_BIND_HOST;
        }
        if (mode == RESOLV_CONF_OFF)
                return 0;
        if (mode == RESOLV_CONF_DELETE)
                return add_host_step(plan, (Step){ STEP_REMOVE, "/etc/resolv.conf", .optional = true });

        unsigned n = mode - RESOLV_CONF_COPY_HOST, how = n / ELEMENTSOF(sources);
        static const StepKind kinds[] = { STEP_COPY, STEP_REPLACE, STEP_BIND };
        return add_host_step(plan, (Step){ kinds[how], "/etc/resolv.conf", sources[n % ELEMENTSOF(sources)],
                                           .mode = 0644, .attr = how == 2 ? MOUNT_ATTR_RDONLY : 0,
                                           .optional = true });
}

/* With the default, a machine that sets its time zone keeps it. Another machine gets the time zone of the
 * host. */
static int add_timezone(Plan *plan, const PlanInput *input)
{
        Timezone mode = plan->spec->timezone;

        if (mode == TIMEZONE_AUTO)
                mode = input->has_localtime || !root_is_writable(plan->spec) ? TIMEZONE_OFF : TIMEZONE_COPY;
        switch (mode) {
        case TIMEZONE_COPY:
                return add_host_step(plan, (Step){ STEP_REPLACE, "/etc/localtime", "/etc/localtime",
                                                   .mode = 0644, .optional = true });
        case TIMEZONE_BIND:
                return add_host_step(plan, (Step){ STEP_BIND, "/etc/localtime", "/etc/localtime",
                                                   .attr = MOUNT_ATTR_RDONLY, .optional = true });
        case TIMEZONE_SYMLINK:
                return add_host_step(
                        plan, (Step){ STEP_LINK, "/etc/localtime", "/etc/localtime", .optional = true });
        case TIMEZONE_DELETE:
                return add_host_step(plan, (Step){ STEP_REMOVE, "/etc/localtime", .optional = true });
        default:
                return 0;
        }
}

/* The launcher makes the directory. */
static int add_journal(Plan *plan)
{
        LinkJournal mode = plan->spec->link_journal;
        const char *path;

        if (!plan->spec->boot || (mode != LINK_JOURNAL_HOST && mode != LINK_JOURNAL_TRY_HOST))
                return 0;
        path = keep(plan, strf("/var/log/journal/%s", plan->uuid));
        OOM_CHECK(path);
        return add_host_step(plan,
                             (Step){ STEP_BIND, path, path, .entry = &journal_entry,
                                     .owner = plan->spec->name, .optional = mode == LINK_JOURNAL_TRY_HOST });
}

static int add_notify(Plan *plan, const PlanInput *input)
{
        const char *source = keep(plan, strdup(input->notify));

        OOM_CHECK(source);
        return add_host_step(plan, (Step){ STEP_BIND, "/run/host/notify", source });
}

static bool has_own_kernel_files(const Spec *spec)
{
        return spec->profile != PROFILE_PRIVILEGED;
}

static int add_run_host(Plan *plan, const PlanInput *input)
{
        const Spec *spec = plan->spec;
        int r;

        r = add_host_steps(plan, run_host_steps, ELEMENTSOF(run_host_steps));
        if (r >= 0)
                r = add_host_file(plan, "/run/host/container-uuid", strf("%s\n", plan->uuid), 0444);
        if (r >= 0)
                r = add_host_file(plan, "/run/host/boot_id", strf("%s\n", input->boot_id), 0444);
        if (r >= 0 && plan->relaxes_proc)
                r = add_host_step(plan, (Step){ STEP_FILE, "/run/systemd/system/service.d/10-mctl-proc.conf",
                                                "[Service]\nProtectProc=default\nProcSubset=all\n"
                                                "ProtectControlGroups=no\nProtectKernelTunables=no\n"
                                                "MountAPIVFS=no\n",
                                                .mode = 0644 });
        if (r >= 0 && plan->has_notify)
                r = add_notify(plan, input);
        if (r >= 0 && spec->process_two)
                r = add_host_step(plan, (Step){ STEP_BIND, "/run/host/mctl-init", LIBEXECDIR "/mctl-init",
                                                .attr = MOUNT_ATTR_RDONLY | NO_DEV });
        if (r >= 0)
                r = add_credentials(plan);
        return r;
}

/* Kernel parameters are set before their files become read-only. */
static int add_kernel(Plan *plan)
{
        const Spec *spec = plan->spec;
        int r = 0;

        STRV_FOREACH (s, spec->sysctl) {
                size_t n = strcspn(*s, "=");
                char *target = strf("/proc/sys/%.*s", (int) n, *s);

                for (char *p = target ? target + strlen("/proc/sys/") : NULL; p && *p; p++)
                        if (*p == '.' && !strchr(*s, '/'))
                                *p = '/';
                const char *kept = keep(plan, target);
                OOM_CHECK(kept);
                r = add_host_step(plan, (Step){ STEP_SYSCTL, kept, *s + n + 1 });
                if (r < 0)
                        return r;
        }
        if (spec->profile == PROFILE_NESTING)
                r = add_host_steps(plan, nesting_steps, ELEMENTSOF(nesting_steps));
        if (r >= 0 && has_own_kernel_files(spec))
                r = add_host_steps(plan, mask_steps, ELEMENTSOF(mask_steps));
        return r;
}

static int plan_host_steps(Plan *plan, const PlanInput *input)
{
        const Spec *spec = plan->spec;
        int r;

        r = add_host_steps(plan, host_steps, ELEMENTSOF(host_steps));
        if (r >= 0 && spec->boot)
                r = add_host_steps(plan, boot_steps, ELEMENTSOF(boot_steps));
        if (r >= 0 && plan->console != CONSOLE_PIPE)
                r = add_host_steps(plan, console_steps, ELEMENTSOF(console_steps));
        if (r >= 0 && spec->volatile_mode == VOLATILE_STATE)
                r = add_host_step(plan, (Step){ STEP_TMPFS, "/var", .mode = 0755, .attr = NO_DEV });
        if (r >= 0)
                r = add_run_host(plan, input);
        if (r >= 0)
                r = add_kernel(plan);
        if (r >= 0)
                r = add_devices(plan);
        if (r >= 0)
                r = add_resolv_conf(plan);
        if (r >= 0)
                r = add_timezone(plan, input);
        if (r >= 0)
                r = add_journal(plan);
        if (r >= 0)
                r = add_entries(plan);
        if (r >= 0)
                r = add_host_step(plan, (Step){ STEP_READ_ONLY, "/run/host" });
        if (r >= 0 && (spec->read_only || spec->volatile_mode == VOLATILE_STATE))
                r = add_host_step(plan, (Step){ STEP_READ_ONLY, "/" });
        return r;
}

int plan_base_environment(Strv *environment)
{
        int r = strv_append(environment,
                            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");

        return r < 0 ? r : strv_append(environment, "container=mctl");
}

/* The container interface of systemd names these variables. */
static int describe_host(Plan *plan, const Strv os)
{
        static const char *const keys[] = { "ID", "VERSION_ID", "BUILD_ID", "VARIANT_ID" };
        static const char *const variables[] = { "container_host_id", "container_host_version_id",
                                                 "container_host_build_id", "container_host_variant_id" };
        int r = 0;

        for (size_t k = 0; os && os[k] && os[k + 1] && r >= 0; k += 2)
                for (size_t i = 0; i < ELEMENTSOF(keys) && r >= 0; i++)
                        if (streq(os[k], keys[i]))
                                r = strv_appendf(&plan->environment, "%s=%s", variables[i], os[k + 1]);
        return r;
}

static int plan_environment(Plan *plan, const PlanInput *input)
{
        int r;

        r = plan_base_environment(&plan->environment);
        if (r >= 0)
                r = strlen(plan->uuid) == 32
                            ? strv_appendf(&plan->environment, "container_uuid=%.8s-%.4s-%.4s-%.4s-%.12s",
                                           plan->uuid, plan->uuid + 8, plan->uuid + 12, plan->uuid + 16,
                                           plan->uuid + 20)
                            : strv_appendf(&plan->environment, "container_uuid=%s", plan->uuid);
        if (r >= 0)
                r = describe_host(plan, input->host_os);
        /* For another user, these variables are set when the user database of the image has been read. */
        if (r >= 0 && !plan->spec->user)
                r = strv_append(&plan->environment, "HOME=/root");
        if (r >= 0 && !plan->spec->user)
                r = strv_append(&plan->environment, "USER=root");
        if (r >= 0 && !plan->spec->user)
                r = strv_append(&plan->environment, "LOGNAME=root");
        if (r >= 0 && plan->has_notify)
                r = strv_append(&plan->environment, "NOTIFY_SOCKET=/run/host/notify");
        /* A manager inside delays its boot for a second after five changes of its mount table in a second.
         * Each boot changes the mount table more often. */
        if (r >= 0 && plan->spec->boot)
                r = strv_append(&plan->environment, "SYSTEMD_DEFAULT_MOUNT_RATE_LIMIT_BURST=100");
        STRV_FOREACH (s, plan->spec->environment)
                if (r >= 0)
                        r = strv_env_set(&plan->environment, *s);
        return r;
}

static int plan_arguments(Plan *plan, const PlanInput *input)
{
        int r = 0;

        if (plan->spec->boot)
                r = strv_append(&plan->argv, input->init);
        if (r >= 0 && plan->spec->process_two) {
                r = strv_append(&plan->argv, "/run/host/mctl-init");
                if (r >= 0)
                        r = strv_append(&plan->argv, "--");
        }
        /* With an empty /etc, each boot is a first boot, which asks questions that nobody may answer
         * (kernel-command-line(7)). */
        if (r >= 0 && plan->spec->boot && plan->spec->volatile_mode == VOLATILE_YES)
                r = strv_append(&plan->argv, "systemd.firstboot=no");
        return r < 0 ? r : strv_extend(&plan->argv, plan->spec->parameters);
}

int plan_new(const Spec *spec, const PlanInput *input, Plan **ret)
{
        _cleanup_plan_ Plan *plan = calloc(1, sizeof(Plan));
        OOM_CHECK(plan);
        int r;

        plan->scope = input->scope;
        plan->spec = spec;
        plan->root = input->root;
        plan->hostname = spec->hostname ?: spec->name;
        plan->namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;
        plan->console = spec->console != CONSOLE_AUTO ? spec->console
                        : spec->boot                  ? CONSOLE_PTY
                                                      : CONSOLE_PIPE;
        if (spec->private_network && !spec->namespace_path)
                plan->namespaces |= CLONE_NEWNET;
        if (spec->private_users.mode != USERS_HOST)
                plan->namespaces |= CLONE_NEWUSER;
        plan->capabilities = capability_bounding_set(spec);
        snprintf(plan->uuid, sizeof(plan->uuid), "%s", input->uuid);
        if (has_own_kernel_files(spec))
                snprintf(plan->boot_id, sizeof(plan->boot_id), "%s", input->boot_id);

        /* A new proc file system would show what the plan covers, so the kernel refuses new ones in the user
         * namespace. Services with these settings then fail before systemd 252. */
        plan->relaxes_proc = spec->boot && input->systemd >= 247 && input->systemd < 252 &&
                             has_own_kernel_files(spec) && spec->profile != PROFILE_NESTING &&
                             spec->private_users.mode != USERS_HOST;
        plan->has_notify = spec->boot && spec->notify_ready && input->notify;
        plan->forward_ready = plan->has_notify && !input->silent;

        r = filter_name(spec, plan->capabilities, &plan->filter);
        if (r >= 0)
                r = plan_arguments(plan, input);
        if (r >= 0)
                r = plan_environment(plan, input);
        if (r >= 0)
                r = plan_host_steps(plan, input);
        if (r >= 0)
                r = append_steps(&plan->inner_steps, &plan->n_inner_steps, inner_steps,
                                 ELEMENTSOF(inner_steps));
        if (r < 0)
                return r;

        *ret = TAKE_PTR(plan);
        return 0;
}

void plan_free(Plan *plan)
{
        for (size_t i = 0; i < plan->n_entries; i++)
                mount_entry_clear(plan->entries + i);
        free(plan->entries);
        free(plan->host_steps);
        free(plan->inner_steps);
        free(plan->filter);
        strv_free(plan->argv);
        strv_free(plan->environment);
        strv_free(plan->texts);
        free(plan);
}

static const char *const step_names[_STEP_KIND_MAX] = {
        [STEP_TMPFS] = "tmpfs",         [STEP_DEV] = "dev",           [STEP_DEVPTS] = "devpts",
        [STEP_NODE] = "node",           [STEP_DIR] = "dir",           [STEP_FILE] = "file",
        [STEP_COPY] = "copy",           [STEP_REPLACE] = "replace",   [STEP_LINK] = "link",
        [STEP_REMOVE] = "remove",       [STEP_BIND] = "bind",         [STEP_OVERLAY] = "overlay",
        [STEP_READ_ONLY] = "read-only", [STEP_WRITABLE] = "writable", [STEP_COVER] = "cover",
        [STEP_HIDE] = "hide",           [STEP_PROC] = "proc",         [STEP_SYSFS] = "sysfs",
        [STEP_CGROUP] = "cgroup",       [STEP_MQUEUE] = "mqueue",     [STEP_SYSCTL] = "sysctl",
};

static const char *const id_map_names[] = {
        [ID_MAP_AUTO] = "idmap",
        [ID_MAP_NONE] = "noidmap",
        [ID_MAP_ROOT] = "rootidmap",
        [ID_MAP_OWNER] = "owneridmap",
};

static json_t *attr_to_json(unsigned attr)
{
        static const struct {
                unsigned bit;
                const char *name;
        } names[] = {
                { MOUNT_ATTR_RDONLY, "ro" },
                { MOUNT_ATTR_NOSUID, "nosuid" },
                { MOUNT_ATTR_NODEV, "nodev" },
                { MOUNT_ATTR_NOEXEC, "noexec" },
                { MOUNT_ATTR_NOATIME, "noatime" },
                { MOUNT_ATTR_STRICTATIME, "strictatime" },
                { MOUNT_ATTR_NODIRATIME, "nodiratime" },
                { MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow" },
        };
        json_t *array = json_array();

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (attr & names[i].bit)
                        json_array_append_new(array, json_string(names[i].name));
        return array;
}

static json_t *strings_to_json(const Strv l)
{
        json_t *array = json_array();

        STRV_FOREACH (s, l)
                json_array_append_new(array, json_string(*s));
        return array;
}

static json_t *steps_to_json(const Step *steps, size_t n)
{
        json_t *array = json_array();

        for (size_t i = 0; i < n; i++) {
                const Step *s = steps + i;
                json_t *o = json_object();

                json_object_set_new(o, "Kind", json_string(step_names[s->kind]));
                json_object_set_new(o, "Target", json_string(s->target));
                if (s->source)
                        json_object_set_new(o, "Source", json_string(s->source));
                if (s->mode)
                        json_object_set_new(o, "Mode", json_sprintf("%04o", s->mode));
                if (s->options)
                        json_object_set_new(o, "Options", json_string(s->options));
                if (s->entry && s->entry->lower)
                        json_object_set_new(o, "Lower", strings_to_json(s->entry->lower));
                if (s->entry && s->kind == STEP_BIND)
                        json_object_set_new(o, "IdMap", json_string(id_map_names[s->entry->id_map]));
                if (s->entry && s->kind == STEP_BIND && s->entry->propagation == MS_PRIVATE)
                        json_object_set_new(o, "Propagation", json_string("private"));
                if (s->entry && s->kind == STEP_TMPFS && s->entry->uid > 0)
                        json_object_set_new(o, "User", json_integer(s->entry->uid));
                if (s->entry && s->kind == STEP_TMPFS && s->entry->gid > 0)
                        json_object_set_new(o, "Group", json_integer(s->entry->gid));
                if (s->attr)
                        json_object_set_new(o, "Attributes", attr_to_json(s->attr));
                if (s->optional)
                        json_object_set_new(o, "Optional", json_true());
                json_array_append_new(array, o);
        }
        return array;
}

static json_t *namespaces_to_json(uint64_t namespaces)
{
        static const struct {
                uint64_t bit;
                const char *name;
        } names[] = {
                { CLONE_NEWUSER, "user" },     { CLONE_NEWNS, "mnt" },  { CLONE_NEWPID, "pid" },
                { CLONE_NEWUTS, "uts" },       { CLONE_NEWIPC, "ipc" }, { CLONE_NEWNET, "net" },
                { CLONE_NEWCGROUP, "cgroup" },
        };
        json_t *array = json_array();

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (namespaces & names[i].bit)
                        json_array_append_new(array, json_string(names[i].name));
        return array;
}

json_t *plan_to_json(const Plan *plan)
{
        json_t *o = json_object(), *capabilities = json_array();

        for (unsigned i = 0; i < 64; i++)
                if (plan->capabilities & CAPABILITY_BIT(i) && capability_to_string(i))
                        json_array_append_new(capabilities, json_string(capability_to_string(i)));

        json_object_set_new(o, "Root", json_string(plan->root));
        json_object_set_new(o, "Hostname", json_string(plan->hostname));
        json_object_set_new(o, "UUID", json_string(plan->uuid));
        json_object_set_new(o, "Namespaces", namespaces_to_json(plan->namespaces));
        json_object_set_new(o, "HostSteps", steps_to_json(plan->host_steps, plan->n_host_steps));
        json_object_set_new(o, "InnerSteps", steps_to_json(plan->inner_steps, plan->n_inner_steps));
        json_object_set_new(o, "Capabilities", capabilities);
        if (plan->filter)
                json_object_set_new(o, "Filter", json_string(plan->filter));
        json_object_set_new(o, "Console", json_string(console_mode_to_string(plan->console)));
        json_object_set_new(o, "ForwardReady", json_boolean(plan->forward_ready));
        json_object_set_new(o, "Arguments", strings_to_json(plan->argv));
        json_object_set_new(o, "Environment", strings_to_json(plan->environment));
        return o;
}
