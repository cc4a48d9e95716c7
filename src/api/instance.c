/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/instance.h"

#include <sys/stat.h>
#include <unistd.h>

#include "api/door.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "manager/machine-control.h"

#define INSTANCE "io.systemd.MachineInstance."
#define CONTROL  "control"

typedef struct Instance {
        VarlinkServer *server;
        VarlinkListeners listeners;
} Instance;

static const DoorMethod changes[] = {
        { INSTANCE "Terminate", &operation_terminate }, { INSTANCE "PowerOff", &operation_power_off },
        { INSTANCE "Reboot", &operation_reboot },       { INSTANCE "Pause", &operation_pause },
        { INSTANCE "Resume", &operation_resume },       {},
};

static int control(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        const Machine *m = userdata;

        (void) more;
        return door_call(c, m->manager, door_find(changes, c), parameters, m->name);
}

static int describe(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        const Machine *m = userdata;
        const char *state = machine_state_to_string(m);

        (void) parameters;
        (void) more;
        manager_touch(m->manager);
        if (door_hold(c, m->manager) >= 0)
                return 0; /* runs again after the refresh, with the new state */
        return varlink_reply(
                c,
                json_pack("{sb ss}", "running", m->state != MACHINE_FAILED && !m->paused, "status", state),
                false);
}

static int subscribe(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        const json_t *kinds = json_object_get(parameters, "filter");
        const Machine *m = userdata;
        Instance *instance = m->control;

        manager_touch(m->manager);
        if (!more)
                return varlink_error(c, "org.varlink.service.ExpectedMore", NULL);
        if (kinds && !json_is_null(kinds) && !json_is_array(kinds))
                return varlink_invalid(c, "filter");
        return varlink_listen_in(&instance->listeners, c, kinds);
}

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

/* --- one instance -------------------------------------------------------------------------------------- */

static int instance_open(Machine *m)
{
        _cleanup_free_ char *dir = scope_run_path(m->manager->scope, CONTROL);
        Instance *instance;
        int r;

        OOM_CHECK(dir);
        if (mkdir(dir, 0755) < 0 && errno != EEXIST)
                return -errno;
        free(m->control_address);
        m->control_address = strf("%s/%s", dir, m->name);
        m->control = instance = calloc(1, sizeof(Instance));
        if (!m->control_address || !instance)
                return -ENOMEM;
        r = varlink_new(m->manager->event, methods, m, &instance->server);
        return r < 0 ? r : varlink_listen(instance->server, m->control_address);
}

static void instance_close(Machine *m)
{
        Instance *instance = m->control;

        if (!instance)
                return;
        varlink_listeners_clear(&instance->listeners);
        varlink_free(instance->server);
        free(instance);
        m->control = NULL;
        free(m->control_address);
        m->control_address = NULL;
}

static void instance_tell(Machine *m, const char *event)
{
        Instance *instance = m->control;

        if (instance)
                varlink_tell(&instance->listeners, event, json_pack("{ss}", "event", event));
}

/* --- all of them --------------------------------------------------------------------------------------- */

static void on_published(void *userdata, Machine *m, bool there)
{
        int r;

        (void) userdata;
        if (m->foreign)
                return;
        if (!there) {
                instance_tell(m, "SHUTDOWN");
                instance_close(m);
                return;
        }
        r = instance_open(m);
        if (r < 0) /* the machine is published without a socket */
                log_warning_errno(r, "Failed to open '%s'", strna(m->control_address));
}

static void on_paused(void *userdata, Machine *m)
{
        (void) userdata;
        instance_tell(m, m->paused ? "STOP" : "RESUME");
}

static void sweep(const Manager *manager)
{
        _cleanup_free_ char *path = scope_run_path(manager->scope, CONTROL);
        _cleanup_(closedir_cleanup) DIR *dir = path ? opendir(path) : NULL;

        for (struct dirent *e; dir && (e = readdir(dir));)
                if (e->d_name[0] != '.')
                        (void) unlinkat(dirfd(dir), e->d_name, 0);
}

void instances_open(Instances *instances, Manager *manager)
{
        sweep(manager);
        *instances = (Instances){
                manager,
                { .machine_published = on_published, .machine_paused = on_paused, .userdata = instances }
        };
        manager_observe(manager, &instances->observer);
}

void instances_close(Instances *instances)
{
        for (size_t i = 0; instances->manager && i < instances->manager->n_machines; i++)
                instance_close(instances->manager->machines[i]);
}
