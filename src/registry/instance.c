/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "registry/registry.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "registry/doors.h"
#include "registry/instance.h"

#define INSTANCE    "io.systemd.MachineInstance."
#define CONTROL_DIR "/run/mctl/control"

struct Instance {
        VarlinkServer *server;
        VarlinkListeners listeners;
};

static int control(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        Machine *m = userdata;

        (void) more;
        registry_touch(m->registry);
        return door_to_machine(c, parameters, m->registry, m);
}

static int describe(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        const Machine *m = userdata;
        const char *state = machine_state_to_string(m);

        (void) parameters;
        (void) more;
        registry_touch(m->registry);
        if (!varlink_was_held(c) && registry_hold(m->registry, c) >= 0)
                return 0; /* as it is by then */
        return varlink_reply(
                c,
                json_pack("{sb ss}", "running", m->state != MACHINE_FAILED && !m->paused, "status", state),
                false);
}

static int subscribe(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        const json_t *kinds = json_object_get(parameters, "filter");
        const Machine *m = userdata;

        registry_touch(m->registry);
        if (!more)
                return varlink_error(c, "org.varlink.service.ExpectedMore", NULL);
        if (kinds && !json_is_null(kinds) && !json_is_array(kinds))
                return varlink_invalid(c, "filter");
        return varlink_listen_in(&m->instance->listeners, c, kinds);
}

/* Disks are what virtual machines have. */
static int refuse(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        (void) parameters;
        (void) more;
        (void) userdata;
        return varlink_error(c, INSTANCE "NotSupported", NULL);
}

static const VarlinkMethod methods[] = {
        { INSTANCE "Terminate", control },
        { INSTANCE "PowerOff", control },
        { INSTANCE "Reboot", control },
        { INSTANCE "Pause", control },
        { INSTANCE "Resume", control },
        { INSTANCE "Describe", describe },
        { INSTANCE "SubscribeEvents", subscribe },
        { INSTANCE "AddStorage", refuse },
        { INSTANCE "RemoveStorage", refuse },
        { INSTANCE "ReplaceStorage", refuse },
        {},
};

void instances_sweep(void)
{
        _cleanup_(closedir_cleanup) DIR *dir = opendir(CONTROL_DIR);

        for (struct dirent *e; dir && (e = readdir(dir));)
                if (e->d_name[0] != '.')
                        (void) unlinkat(dirfd(dir), e->d_name, 0);
}

int instance_open(Machine *m)
{
        int r;

        if (mkdir(CONTROL_DIR, 0755) < 0 && errno != EEXIST)
                return -errno;
        m->control_address = strf(CONTROL_DIR "/%s", m->name);
        m->instance = calloc(1, sizeof(Instance));
        if (!m->control_address || !m->instance)
                return -ENOMEM;
        r = varlink_new(m->registry->event, methods, m, &m->instance->server);
        return r < 0 ? r : varlink_listen(m->instance->server, m->control_address);
}

void instance_close(Machine *m)
{
        if (!m->instance)
                return;
        varlink_listeners_clear(&m->instance->listeners);
        varlink_free(m->instance->server);
        free(m->instance);
        m->instance = NULL;
        free(m->control_address);
        m->control_address = NULL;
}

void instance_tell(Machine *m, const char *event)
{
        if (m->instance)
                varlink_tell(&m->instance->listeners, event, json_pack("{ss}", "event", event));
}
