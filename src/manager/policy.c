/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/policy.h"

#define OURS(name)     "org.mctl.Registry1." name
#define MACHINED(name) "org.freedesktop.machine1." name
#define IMPORTD(name)  "org.freedesktop.import1." name

/* For clients of systemd, the verbs are those of systemd's own policies. A copy to the host can be read by
 * its users, and a copy to a machine is written as root. So copies and binds need the permission to start a
 * machine. */
static const Policy policies[_POLICY_KIND_MAX][_FAMILY_MAX] = {
        [POLICY_MANAGE] = { { OURS("manage-machines") }, { MACHINED("manage-machines") } },
        [POLICY_MANAGE_OWN] = { { OURS("manage-machines") },
                                { MACHINED("manage-machines"), .owner = true } },
        [POLICY_START] = { { OURS("start-machine") }, { MACHINED("manage-machines") } },
        [POLICY_COPY] = { { OURS("start-machine") }, { MACHINED("manage-machines"), "copy" } },
        [POLICY_BIND] = { { OURS("start-machine") }, { MACHINED("manage-machines") } },
        [POLICY_EXEC] = { { OURS("exec") }, { MACHINED("shell") } },
        [POLICY_CONSOLE] = { { OURS("console") }, { MACHINED("login") } },
        [POLICY_OPEN_ROOT] = { { OURS("start-machine") }, { MACHINED("manage-machines") } },
        [POLICY_OPEN_PTY] = { { OURS("exec") },
                              { MACHINED("open-pty"), .host_action = MACHINED("host-open-pty") } },
        [POLICY_LOGIN] = { { OURS("exec") }, { MACHINED("login"), .host_action = MACHINED("host-login") } },
        [POLICY_SHELL] = { { OURS("exec") }, { MACHINED("shell"), .host_action = MACHINED("host-shell") } },
        [POLICY_REGISTER] = { { OURS("start-machine") }, { MACHINED("register-machine") } },
        [POLICY_CREATE] = { { OURS("start-machine") }, { MACHINED("create-machine") } },
        [POLICY_IMAGES] = { { OURS("manage-images") }, { MACHINED("manage-images") } },
        [POLICY_CLEAN] = { { OURS("manage-images"), "prune" },
                           { MACHINED("manage-machines"), "clean_pool" } },
        [POLICY_POOL] = { { OURS("manage-images") }, { MACHINED("manage-machines") } },
        [POLICY_IMPORT] = { { OURS("manage-images") }, { IMPORTD("import") } },
        [POLICY_EXPORT] = { { OURS("manage-images") }, { IMPORTD("export") } },
        [POLICY_UPDATE] = { { OURS("update-machine") }, { MACHINED("manage-machines") } },
        [POLICY_PULL] = { { OURS("manage-images") }, { IMPORTD("pull") } },
};

const Policy *policy_find(PolicyKind kind, Family family)
{
        return &policies[kind][family];
}
