/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/sched.h>
#include <sys/mount.h>

#include "basic/parse.h"
#include "sandbox/capability.h"
#include "sandbox/plan.h"

#define NO_EXEC (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define NO_DEV (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

/* What is there before an init starts. A system inside mounts whatever of these it does not find, one after the
 * other, and reads its mount table after each; so it is quicker to find them. Sizes are shares of the memory. */
static const Step host_steps[] = {
        { STEP_DIR, "/proc", .mode = 0555 },
        { STEP_DIR, "/sys", .mode = 0555 },
        { STEP_DEV, "/dev", .mode = 0755, .attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC },
        { STEP_DEVPTS, "/dev/pts", .attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC },
        { STEP_TMPFS, "/dev/shm", .mode = 01777, .size = "10%", .attr = NO_DEV },
        { STEP_TMPFS, "/run", .mode = 0755, .size = "20%", .attr = NO_DEV },
        { STEP_TMPFS, "/tmp", .mode = 01777, .size = "10%", .attr = NO_DEV },
};

/* Only for an init: an application may have a /run of its own making. */
static const Step boot_steps[] = {
        { STEP_TMPFS, "/run/lock", .mode = 01777, .size = "5M", .attr = NO_EXEC },
};

/* /run/host, the container's view of its host (systemd.io/CONTAINER_INTERFACE). */
static const Step run_host_steps[] = {
        { STEP_TMPFS, "/run/host", .mode = 0755, .size = "1M", .attr = NO_EXEC },
        { STEP_BIND, "/run/host/os-release", "/etc/os-release", .attr = MOUNT_ATTR_RDONLY | NO_EXEC, .optional = true },
        { STEP_FILE, "/run/host/container-manager", "mctl\n", .mode = 0444 },
        { STEP_DIR, "/run/host/inaccessible/dir", .mode = 0 },
        { STEP_FILE, "/run/host/inaccessible/reg", "", .mode = 0 },
};

static const Step inner_steps[] = {
        { STEP_PROC, "/proc", .attr = NO_EXEC },
        { STEP_SYSFS, "/sys", .attr = MOUNT_ATTR_RDONLY | NO_EXEC },
        { STEP_CGROUP, "/sys/fs/cgroup", .attr = NO_EXEC },
        { STEP_MQUEUE, "/dev/mqueue", .attr = NO_EXEC },

        /* Of the kernel's files, what is not the container's own. The network's are: they belong to its
         * namespace. */
        { STEP_READ_ONLY, "/proc/sys" },
        { STEP_WRITABLE, "/proc/sys/net" },
        { STEP_READ_ONLY, "/proc/acpi", .optional = true },
        { STEP_READ_ONLY, "/proc/asound", .optional = true },
        { STEP_READ_ONLY, "/proc/bus", .optional = true },
        { STEP_READ_ONLY, "/proc/fs", .optional = true },
        { STEP_READ_ONLY, "/proc/irq", .optional = true },
        { STEP_READ_ONLY, "/proc/scsi", .optional = true },
        { STEP_HIDE, "/proc/kallsyms", .optional = true },
        { STEP_HIDE, "/proc/kcore", .optional = true },
        { STEP_HIDE, "/proc/keys", .optional = true },
        { STEP_HIDE, "/proc/latency_stats", .optional = true },
        { STEP_HIDE, "/proc/sysrq-trigger", .optional = true },
        { STEP_HIDE, "/proc/timer_list", .optional = true },
};

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

static int add_host_file(Plan *plan, const char *target, char *text)
{
        int r = strv_consume(&plan->texts, text);
        if (r < 0)
                return r;
        return add_host_steps(plan, &(Step){ STEP_FILE, target, text, .mode = 0444 }, 1);
}

static int plan_steps(Plan *plan)
{
        const Spec *spec = plan->spec;
        int r;

        r = add_host_steps(plan, host_steps, ELEMENTSOF(host_steps));
        if (r >= 0 && spec->boot)
                r = add_host_steps(plan, boot_steps, ELEMENTSOF(boot_steps));
        if (r >= 0)
                r = add_host_steps(plan, run_host_steps, ELEMENTSOF(run_host_steps));
        if (r >= 0)
                r = add_host_file(plan, "/run/host/container-uuid", strf("%s\n", plan->uuid));
        if (r >= 0 && plan->forward_ready)
                r = add_host_steps(plan, &(Step){ STEP_BIND, "/run/host/notify", "/run/systemd/notify" }, 1);
        if (r >= 0)
                r = add_host_steps(plan, &(Step){ STEP_READ_ONLY, "/run/host" }, 1);
        if (r >= 0 && spec->read_only)
                r = add_host_steps(plan, &(Step){ STEP_READ_ONLY, "/" }, 1);
        if (r >= 0)
                r = append_steps(&plan->inner_steps, &plan->n_inner_steps, inner_steps, ELEMENTSOF(inner_steps));
        return r;
}

static int plan_environment(Plan *plan)
{
        int r;

        r = strv_append(&plan->environment, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        if (r >= 0)
                r = strv_append(&plan->environment, "container=mctl");
        if (r >= 0)
                r = strv_appendf(&plan->environment, "container_uuid=%.8s-%.4s-%.4s-%.4s-%.12s", plan->uuid,
                                 plan->uuid + 8, plan->uuid + 12, plan->uuid + 16, plan->uuid + 20);
        if (r >= 0)
                r = strv_append(&plan->environment, "HOME=/root");
        if (r >= 0)
                r = strv_append(&plan->environment, "USER=root");
        if (r >= 0)
                r = strv_append(&plan->environment, "LOGNAME=root");
        if (r >= 0 && plan->forward_ready)
                r = strv_append(&plan->environment, "NOTIFY_SOCKET=/run/host/notify");
        /* A manager inside holds back its own boot for a second once it has seen five changes of its mount table in
         * another; a boot alone has more than that. */
        if (r >= 0 && plan->spec->boot)
                r = strv_append(&plan->environment, "SYSTEMD_DEFAULT_MOUNT_RATE_LIMIT_BURST=100");
        STRV_FOREACH (s, plan->spec->environment)
                if (r >= 0)
                        r = strv_env_set(&plan->environment, *s);
        return r;
}

int plan_new(const Spec *spec, const PlanInput *input, Plan **ret)
{
        _cleanup_plan_ Plan *plan = calloc(1, sizeof(Plan));
        OOM_CHECK(plan);
        int r;

        plan->spec = spec;
        plan->root = input->root;
        plan->hostname = spec->hostname ?: spec->name;
        plan->capabilities = capability_default_set;
        plan->namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;
        if (spec->private_network)
                plan->namespaces |= CLONE_NEWNET;
        if (spec->private_users.mode != USERS_HOST)
                plan->namespaces |= CLONE_NEWUSER;
        snprintf(plan->uuid, sizeof(plan->uuid), "%s", input->uuid);

        /* The notification socket takes the word of uid 0 about any process. A root without a user namespace is that
         * uid, so it does not get the socket. */
        plan->forward_ready = spec->boot && spec->notify_ready && spec->private_users.mode != USERS_HOST;

        if (spec->boot)
                r = strv_append(&plan->argv, input->init);
        else
                r = 0;
        if (r >= 0)
                r = strv_extend(&plan->argv, spec->parameters);
        if (r >= 0)
                r = plan_environment(plan);
        if (r >= 0)
                r = plan_steps(plan);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(plan);
        return 0;
}

void plan_free(Plan *plan)
{
        free(plan->host_steps);
        free(plan->inner_steps);
        strv_free(plan->argv);
        strv_free(plan->environment);
        strv_free(plan->texts);
        free(plan);
}

static const char *const step_names[_STEP_KIND_MAX] = {
        [STEP_TMPFS] = "tmpfs",
        [STEP_DEV] = "dev",
        [STEP_DEVPTS] = "devpts",
        [STEP_DIR] = "dir",
        [STEP_FILE] = "file",
        [STEP_BIND] = "bind",
        [STEP_READ_ONLY] = "read-only",
        [STEP_WRITABLE] = "writable",
        [STEP_HIDE] = "hide",
        [STEP_PROC] = "proc",
        [STEP_SYSFS] = "sysfs",
        [STEP_CGROUP] = "cgroup",
        [STEP_MQUEUE] = "mqueue",
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
        };
        json_t *array = json_array();

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (attr & names[i].bit)
                        json_array_append_new(array, json_string(names[i].name));
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
                if (s->size)
                        json_object_set_new(o, "Size", json_string(s->size));
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
                { CLONE_NEWUSER, "user" }, { CLONE_NEWNS, "mnt" }, { CLONE_NEWPID, "pid" },
                { CLONE_NEWUTS, "uts" },   { CLONE_NEWIPC, "ipc" }, { CLONE_NEWNET, "net" },
                { CLONE_NEWCGROUP, "cgroup" },
        };
        json_t *array = json_array();

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (namespaces & names[i].bit)
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

json_t *plan_to_json(const Plan *plan)
{
        json_t *o = json_object(), *capabilities = json_array();

        for (unsigned i = 0; i < 64; i++)
                if (plan->capabilities & (UINT64_C(1) << i))
                        json_array_append_new(capabilities, json_string(capability_to_string(i)));

        json_object_set_new(o, "Root", json_string(plan->root));
        json_object_set_new(o, "Hostname", json_string(plan->hostname));
        json_object_set_new(o, "UUID", json_string(plan->uuid));
        json_object_set_new(o, "Namespaces", namespaces_to_json(plan->namespaces));
        json_object_set_new(o, "HostSteps", steps_to_json(plan->host_steps, plan->n_host_steps));
        json_object_set_new(o, "InnerSteps", steps_to_json(plan->inner_steps, plan->n_inner_steps));
        json_object_set_new(o, "Capabilities", capabilities);
        json_object_set_new(o, "ForwardReady", json_boolean(plan->forward_ready));
        json_object_set_new(o, "Arguments", strings_to_json(plan->argv));
        json_object_set_new(o, "Environment", strings_to_json(plan->environment));
        return o;
}
