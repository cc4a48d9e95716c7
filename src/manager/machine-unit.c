/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/machine-unit.h"

#include <signal.h>

#include "basic/parse.h"

/* The properties of each machine's unit. The template container@.service has the same ones. */
static const char *const machine_assignments[] = {
        "Type=notify",
        "NotifyAccess=main",
        "Delegate=yes",
        "KillMode=mixed",
        "Slice=machine.slice",
        "TimeoutStartSec=10min",
        "FileDescriptorStoreMax=2",
        "TasksMax=16384",
        "RuntimeDirectoryMode=0700",
        "RuntimeDirectoryPreserve=restart",
        "IOAccounting=yes",
};

static int add_devices(const Spec *spec, Strv *l)
{
        int r = 0;

        if (spec->profile == PROFILE_PRIVILEGED)
                return 0;
        r = strv_append(l, "DevicePolicy=closed");
        if (r >= 0)
                r = strv_append(l, "DeviceAllow=char-pts rw");
        return r < 0 ? r : spec_allow_devices(spec, l);
}

/* Whether the unit needs a clean-up process. A cgroup of the payload with controllers would prevent another
 * start, and an init may have a link to its journal. For a command that runs once, systemd removes the
 * cgroup, and the registry removes the claims: no process is needed. */
static bool needs_cleanup(const Spec *spec)
{
        STRV_FOREACH (s, spec->resources)
                if (startswith(*s, "Restart"))
                        return true;
        return spec->boot || spec->volatile_mode == VOLATILE_DISK;
}

static int add_scope(const Scope *scope, Strv *l)
{
        _cleanup_strv_ Strv environment = NULL;
        int r = scope_environment(scope, &environment);

        STRV_FOREACH (s, environment)
                if (r >= 0)
                        r = strv_appendf(l, "Environment=%s", *s);
        return r;
}

int machine_unit_assignments(const Scope *scope, const Spec *spec, Strv *ret)
{
        char signal_name[SIGNAL_NAME_MAX];
        _cleanup_strv_ Strv l = NULL;
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(machine_assignments) && r >= 0; i++)
                r = strv_append(&l, machine_assignments[i]);
        if (r >= 0)
                r = strv_appendf(&l, "Description=Machine %s", spec->name);
        if (r >= 0)
                r = strv_appendf(&l, "SyslogIdentifier=%s", spec->name);
        if (r >= 0)
                r = strv_appendf(&l, "LogExtraFields=MACHINE=%s", spec->name);
        if (r >= 0)
                r = strv_appendf(&l, "RuntimeDirectory=%s/machines/%s", scope->runtime, spec->name);
        if (r >= 0)
                r = strv_appendf(&l, "KillSignal=%s",
                                 signal_to_string(spec->kill_signal > 0 ? spec->kill_signal
                                                  : spec->boot          ? SIGRTMIN + 4
                                                                        : SIGTERM,
                                                  signal_name));
        if (r >= 0)
                r = strv_appendf(&l, "ExecStart=%s start %s", LAUNCHER, spec->name);
        if (r >= 0 && needs_cleanup(spec))
                r = strv_appendf(&l, "ExecStopPost=-%s cleanup %s", LAUNCHER, spec->name);
        if (r >= 0 && spec->boot)
                r = strv_append(
                        &l, "RestartForceExitStatus=SIGHUP"); /* the kernel's report of a reboot inside */
        /* The kernel delivers no signal without a handler to PID 1 of a namespace, so a command may ignore
         * the signal. */
        if (r >= 0 && !spec->boot)
                r = strv_append(&l, "TimeoutStopSec=10s");
        if (r >= 0 && !spec->boot)
                r = strv_append(&l, "SuccessExitStatus=143"); /* the exit status of shells and of mctl-init
                                                                 after SIGTERM */
        if (r >= 0)
                r = add_scope(scope, &l);
        if (r >= 0)
                r = add_devices(spec, &l);
        if (r < 0)
                return r;

        r = strv_extend(&l, spec->resources);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}
