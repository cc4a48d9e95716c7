/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/door.h"

#include <errno.h>

#define MACHINE "io.systemd.Machine."
#define IMAGE   "io.systemd.MachineImage."
#define SYSTEM  "io.systemd.System"
#define DENIED  "org.varlink.service.PermissionDenied"

/* Names of errors, by the kind of the error, for machines and for images. An error that is not listed is a
 * system error. */
static const struct {
        ErrorKind kind;
        int number;
        const char *machine, *image;
} error_names[] = {
        { ERROR_NO_SUCH_MACHINE, ENXIO, MACHINE "NoSuchMachine" },
        { ERROR_MACHINE_EXISTS, EEXIST, MACHINE "MachineExists" },
        { ERROR_IMAGE_UNKNOWN, ENOENT, SYSTEM, IMAGE "NoSuchImage" },
        { ERROR_NOT_SUPPORTED, EOPNOTSUPP, MACHINE "NotSupported", IMAGE "NotSupported" },
        { ERROR_LIMIT, ENOBUFS, MACHINE "NotAvailable", IMAGE "TooManyOperations" },
        { ERROR_DENIED, EACCES, DENIED },
        { ERROR_ASK_PASSWORD, EACCES, DENIED },
        { ERROR_INVALID_ARGUMENT, EINVAL, "org.varlink.service.InvalidParameter" },
        { ERROR_BUSY, EBUSY, SYSTEM },
        { ERROR_IMAGE_BUSY, EBUSY, SYSTEM },
};

static void on_answered(Call *call, const void *answer)
{
        DoorCall *c = (DoorCall *) call;

        if (c->method->answered)
                c->method->answered(TAKE_PTR(c->waiting), call, answer);
        else
                varlink_finish(TAKE_PTR(c->waiting), NULL, NULL, -EBADF);
}

static void on_failed(Call *call, const Error *error)
{
        DoorCall *c = (DoorCall *) call;
        bool image = startswith(c->method->name, IMAGE);
        const char *name = SYSTEM;
        int number = error->number > 0 ? error->number : EIO;

        for (size_t i = 0; i < ELEMENTSOF(error_names); i++)
                if (error_names[i].kind == error->kind) {
                        name = (image ? error_names[i].image : NULL) ?: error_names[i].machine;
                        number = error_names[i].number;
                }
        varlink_finish(TAKE_PTR(c->waiting), name,
                       json_pack("{ss* si ss*}", "message", error->message, "errno", number, "parameter",
                                 error->kind == ERROR_INVALID_ARGUMENT ? error->message : NULL),
                       -EBADF);
}

static void on_free(Call *call)
{
        DoorCall *c = (DoorCall *) call;

        if (c->waiting)
                varlink_finish(c->waiting, SYSTEM, NULL, -EBADF);
        free(c);
}

static const CallDoor varlink_door = { on_answered, on_failed, on_free, NULL };

static Caller caller_of(const VarlinkConnection *c)
{
        return (Caller){ .uid = varlink_peer(c),
                         .pid = varlink_peer_process(c),
                         .start_time = varlink_peer_start_time(c) };
}

static int read_arguments(const DoorMethod *method, const json_t *parameters, void *arguments,
                          const char **ret_wrong)
{
        int r;

        if (method->required && json_is_null(json_object_get(parameters, method->required) ?: json_null())) {
                *ret_wrong = method->required;
                return -EINVAL;
        }
        r = schema_from_json(method->operation->arguments, parameters, true, arguments, ret_wrong);
        return r < 0 || !method->read ? r : method->read(parameters, arguments, ret_wrong);
}

const DoorMethod *door_find(const DoorMethod *methods, const VarlinkConnection *c)
{
        while (methods->name && !streq(methods->name, varlink_method(c)))
                methods++;
        assert(methods->name); /* the varlink server runs methods of the table only */
        return methods;
}

int door_call(VarlinkConnection *c, Manager *manager, const DoorMethod *method, const json_t *parameters,
              const char *target)
{
        const Schema *schema = method->operation->arguments;
        void *arguments = schema_new(schema);
        DoorCall *d = calloc(1, sizeof(DoorCall));
        char *name = target ? strdup(target) : NULL;
        const char *wrong = NULL;
        int r = d && (!schema || arguments) && (!target || name) ? 0 : -ENOMEM;

        if (r >= 0 && schema)
                r = read_arguments(method, parameters, arguments, &wrong);
        VarlinkCall *waiting = r < 0 ? NULL : varlink_defer(c);
        if (r < 0 || !waiting) {
                schema_free(schema, arguments);
                free(name);
                free(d);
                return wrong ? varlink_invalid(c, wrong) : MIN(r, -ENOMEM);
        }
        *d = (DoorCall){ .call = { .manager = manager,
                                   .door = &varlink_door,
                                   .family = FAMILY_SYSTEMD,
                                   .caller = caller_of(c),
                                   .operation = method->operation,
                                   .target = name,
                                   .arguments = arguments },
                         .method = method,
                         .waiting = waiting };
        operation_begin(&d->call);
        return 0;
}

/* --- calls that wait for a refresh --------------------------------------------------------------------- */

typedef struct HeldCall {
        Call call;
        VarlinkCall *held;
} HeldCall;

static void on_held_failed(Call *call, const Error *error)
{
        (void) call;
        (void) error; /* without the refresh, the call is answered with the facts that are known */
}

static void on_held_free(Call *call)
{
        HeldCall *h = (HeldCall *) call;

        varlink_release(h->held);
        free(h);
}

static const CallDoor held_door = { .failed = on_held_failed, .free = on_held_free };

int door_hold(VarlinkConnection *c, Manager *manager)
{
        HeldCall *h;

        if (varlink_was_held(c))
                return -EALREADY;
        h = calloc(1, sizeof(HeldCall));
        OOM_CHECK(h);
        h->held = varlink_hold(c);
        if (!h->held) {
                free(h);
                return -ENOMEM;
        }
        h->call = (Call){ .manager = manager, .door = &held_door, .caller = caller_of(c) };
        manager_refresh_then(manager, &h->call, call_free);
        return 0;
}
