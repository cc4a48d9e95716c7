/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/bus.h"

#include <fcntl.h>

#include "basic/fd.h"
#include "basic/list.h"
#include "basic/log.h"
#include "basic/parse.h"

/* --- errors -------------------------------------------------------------------------------------------- */

#define OURS     "org.mctl.Registry1."
#define MACHINED "org.freedesktop.machine1."
#define IMPORTD  "org.freedesktop.import1."

/* Names of errors, by the kind of the error and the family of the interface. If both families use the same
 * name, there is one name. */
static const char *const error_names[_ERROR_KIND_MAX][_FAMILY_MAX] = {
        [ERROR_INVALID_ARGUMENT] = { SD_BUS_ERROR_INVALID_ARGS },
        [ERROR_NOT_SUPPORTED] = { SD_BUS_ERROR_NOT_SUPPORTED },
        [ERROR_DENIED] = { SD_BUS_ERROR_ACCESS_DENIED },
        [ERROR_ASK_PASSWORD] = { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED },
        [ERROR_LIMIT] = { SD_BUS_ERROR_LIMITS_EXCEEDED },
        [ERROR_NO_SUCH_MACHINE] = { OURS "NoSuchMachine", MACHINED "NoSuchMachine" },
        [ERROR_MACHINE_EXISTS] = { OURS "MachineExists", MACHINED "MachineExists" },
        [ERROR_NO_MACHINE_OF_PROCESS] = { MACHINED "NoMachineForPID" },
        [ERROR_NO_PRIVATE_NETWORK] = { MACHINED "NoPrivateNetworking" },
        [ERROR_NO_SUCH_USER] = { MACHINED "NoSuchUserMapping" },
        [ERROR_NO_SUCH_GROUP] = { MACHINED "NoSuchGroupMapping" },
        [ERROR_USER_OF_HOST] = { SD_BUS_ERROR_INVALID_ARGS },
        [ERROR_INVALID_SPEC] = { OURS "InvalidSpec" },
        [ERROR_NO_SUCH_IMAGE] = { OURS "NoSuchImage" },
        [ERROR_IMAGE_UNKNOWN] = { MACHINED "NoSuchImage" },
        [ERROR_IMAGE_BUSY] = { OURS "ImageBusy" },
        [ERROR_BUSY] = { "System.Error.EBUSY" },
        [ERROR_NO_SUCH_TRANSFER] = { IMPORTD "NoSuchTransfer" },
        [ERROR_TRANSFER_UNDER_WAY] = { IMPORTD "TransferInProgress" },
};

static const char *error_name(const Error *error, Family family)
{
        return error->kind == ERROR_BUS ? error->name
                                        : error_names[error->kind][family] ?: error_names[error->kind][0];
}

/* --- values -------------------------------------------------------------------------------------------- */

char *bus_path(const char *prefix, const char *name)
{
        char *path = NULL;

        return sd_bus_path_encode(prefix, name, &path) < 0 ? NULL : path;
}

static int append_path(sd_bus_message *m, const char *prefix, const char *name)
{
        _cleanup_free_ char *path = bus_path(prefix, name);

        OOM_CHECK(path);
        return sd_bus_message_append(m, "o", path);
}

int bus_append_text(sd_bus_message *m, const char *key, const char *value)
{
        return isempty(value) ? 0 : sd_bus_message_append(m, "{sv}", key, "s", value);
}

int bus_append_id(sd_bus_message *m, const char *id)
{
        uint8_t bytes[16];

        return sd_bus_message_append_array(m, 'y', bytes, parse_id128(id, bytes) >= 0 ? sizeof(bytes) : 0);
}

static int append_pairs(sd_bus_message *m, const Strv pairs)
{
        int r = sd_bus_message_open_container(m, 'a', "{ss}");

        for (size_t i = 0; r >= 0 && pairs && pairs[i]; i += 2)
                r = sd_bus_message_append(m, "{ss}", pairs[i], pairs[i + 1]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* The signature of a type. In that of an array, the signature of the elements is between the parentheses. */
static const char *const signatures[_FIELD_TYPE_MAX] = {
        [FIELD_STRING] = "s",    [FIELD_JOB] = "o",    [FIELD_MACHINE] = "o", [FIELD_ID128] = "ay",
        [FIELD_BOOL] = "b",      [FIELD_CHOICE] = "b", [FIELD_INT] = "i",     [FIELD_UINT] = "u",
        [FIELD_INT64] = "x",     [FIELD_UINT64] = "t", [FIELD_DOUBLE] = "d",  [FIELD_STRINGS] = "as",
        [FIELD_PAIRS] = "a{ss}", [FIELD_INTS] = "ai",  [FIELD_FD] = "h",
};

/* The signature of an array's elements. */
static char *element_signature(const Schema *schema)
{
        char *types = strdup("");

        for (const Field *f = schema->fields; types && f->key; f++) {
                char *longer = strf("%s%s", types, signatures[f->type]);
                free(types);
                types = longer;
        }
        return types;
}

static int append_array(const BusDoor *door, sd_bus_message *m, const Field *field, const void *object)
{
        const uint8_t *element = *(void *const *) field_of(field, object);
        size_t n = *(const size_t *) ((const uint8_t *) object + field->count_offset);
        _cleanup_free_ char *types = element_signature(field->element), *type = strf("(%s)", strna(types));
        int r;

        if (!types || !type)
                return -ENOMEM;
        r = sd_bus_message_open_container(m, 'a', type);
        for (size_t i = 0; i < n && r >= 0; i++, element += field->element->size) {
                r = sd_bus_message_open_container(m, 'r', types);
                for (const Field *f = field->element->fields; f->key && r >= 0; f++)
                        r = bus_append_field(door, m, f, element);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int bus_append_field(const BusDoor *door, sd_bus_message *m, const Field *field, const void *object)
{
        const void *value = field_of(field, object);
        const char *const *text = value; /* fields that are strings */

        switch (field->type) {
        case FIELD_STRING:
                return sd_bus_message_append(m, "s", *text ?: "");
        case FIELD_JOB:
                return sd_bus_message_append(m, "o", isempty(*text) ? "/" : *text);
        case FIELD_MACHINE:
                return append_path(m, door->machines, *text ?: "");
        case FIELD_ID128:
                return bus_append_id(m, value);
        case FIELD_BOOL:
                return sd_bus_message_append(m, "b", (int) *(const bool *) value);
        case FIELD_CHOICE:
                return sd_bus_message_append(m, "b", *(const int *) value > 0);
        case FIELD_STRINGS:
                return sd_bus_message_append_strv(m, *(const Strv *) value);
        case FIELD_PAIRS:
                return append_pairs(m, *(const Strv *) value);
        case FIELD_INTS:
                return sd_bus_message_append_array(
                        m, 'i', *(int32_t *const *) value,
                        *(const size_t *) ((const uint8_t *) object + field->count_offset) *
                                sizeof(int32_t));
        case FIELD_ARRAY:
                return append_array(door, m, field, object);
        default: /* fields that are numbers or descriptors */
                return sd_bus_message_append_basic(m, signatures[field->type][0], value);
        }
}

static int read_text(sd_bus_message *m, char **ret)
{
        const char *text;
        int r = sd_bus_message_read(m, "s", &text);

        return r < 0 ? r : free_and_strdup(ret, text);
}

static int read_id(sd_bus_message *m, char ret[static 33])
{
        const uint8_t *id;
        size_t size;
        int r = sd_bus_message_read_array(m, 'y', (const void **) &id, &size);

        if (r >= 0 && size != 0 && size != 16)
                r = -EINVAL;
        for (size_t i = 0; r >= 0 && i < size; i++)
                snprintf(ret + i * 2, 3, "%02x", id[i]);
        return r;
}

static int read_numbers(sd_bus_message *m, const Field *field, void *object)
{
        const void *numbers;
        size_t size;
        int r = sd_bus_message_read_array(m, 'i', &numbers, &size);
        void *copy = r < 0 || size == 0 ? NULL : malloc(size);

        if (r < 0 || size == 0)
                return r;
        OOM_CHECK(copy);
        memcpy(copy, numbers, size);
        free(*(void **) field_of(field, object));
        *(void **) field_of(field, object) = copy;
        *(size_t *) ((uint8_t *) object + field->count_offset) = size / sizeof(int32_t);
        return 0;
}

static int read_fd(sd_bus_message *m, int *ret)
{
        int fd, r = sd_bus_message_read(m, "h", &fd);

        if (r < 0)
                return r;
        fd_close(*ret);
        *ret = RET_NERRNO(fcntl(fd, F_DUPFD_CLOEXEC, 3));
        return MIN(*ret, 0);
}

int bus_read_field(sd_bus_message *m, const Field *field, void *object)
{
        void *value = field_of(field, object);
        int flag, r;

        switch (field->type) {
        case FIELD_STRING:
                return read_text(m, value);
        case FIELD_ID128:
                return read_id(m, value);
        case FIELD_BOOL:
                r = sd_bus_message_read(m, "b", &flag);
                if (r >= 0)
                        *(bool *) value = flag;
                return r;
        case FIELD_STRINGS:
                strv_free(TAKE_PTR(*(Strv *) value));
                return sd_bus_message_read_strv(m, value);
        case FIELD_INTS:
                return read_numbers(m, field, object);
        case FIELD_FD:
                return read_fd(m, value);
        default: /* numbers; no other types are arguments */
                return sd_bus_message_read_basic(m, signatures[field->type][0], value);
        }
}

/* --- keys of rows -------------------------------------------------------------------------------------- */

/* Reads the next key of a list, and its name in introspection. The caller frees both. Returns 0 at the end.
 */
static int next_key(const char **list, char **ret_key, char **ret_name)
{
        const char *word = *list + strspn(*list, " "), *end = word + strcspn(word, " ");
        const char *colon = memchr(word, ':', end - word);

        if (word == end)
                return 0;
        *list = end;
        free(*ret_key);
        free(*ret_name);
        *ret_key = strndup(word, (colon ?: end) - word);
        *ret_name = colon ? strndup(colon + 1, end - colon - 1) : calloc(1, (end - word) * 2 + 1);
        if (!*ret_key || !*ret_name)
                return -ENOMEM;
        for (char *from = *ret_key, *to = *ret_name; !colon && *from; from++) {
                if (*from >= 'A' && *from <= 'Z')
                        *to++ = '_';
                *to++ = *from >= 'A' && *from <= 'Z' ? *from - 'A' + 'a' : *from;
        }
        return 1;
}

/* Arguments that functions read and append have only a description. */
static bool is_described(const char *key)
{
        return key[0] == '=';
}

#define FOREACH_KEY(list) \
        for (_cleanup_free_ char *_key = NULL, *_name = NULL; list && next_key(&list, &_key, &_name) > 0;)

/* --- calls --------------------------------------------------------------------------------------------- */

static void on_answered(Call *call, const void *answer)
{
        BusCall *c = (BusCall *) call;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *keys = c->method->out;
        int r;

        r = sd_bus_message_new_method_return(c->message, &reply);
        if (r >= 0 && c->method->append)
                r = c->method->append(c, reply, answer);
        FOREACH_KEY(keys)
        if (r >= 0 && !is_described(_key))
                r = bus_append_field(c->door, reply, schema_find(call->operation->answer, _key), answer);
        if (r >= 0)
                r = sd_bus_send(c->door->bus, reply, NULL);
        if (r < 0)
                (void) sd_bus_reply_method_errno(c->message, r, NULL);
}

static void on_failed(Call *call, const Error *error)
{
        BusCall *c = (BusCall *) call;

        int r = error->kind == ERROR_ERRNO
                        ? sd_bus_reply_method_errnof(c->message, error->number, "%s", error->message)
                        : sd_bus_reply_method_errorf(c->message, error_name(error, call->family), "%s",
                                                     error->message);
        if (r < 0) /* no caller waits for ever */
                (void) sd_bus_reply_method_errno(c->message, error->number > 0 ? error->number : EIO, NULL);
}

static void on_free(Call *call)
{
        BusCall *c = (BusCall *) call;

        sd_bus_track_unref(c->track);
        sd_bus_message_unref(c->message);
        free(c);
}

static int on_gone(sd_bus_track *track, void *userdata)
{
        BusCall *c = userdata;

        (void) track;
        if (c->call.gone)
                c->call.gone(&c->call, c->call.gone_userdata);
        return 1; /* the bus would report the name again */
}

static int on_watch(Call *call)
{
        BusCall *c = (BusCall *) call;
        int r = sd_bus_track_new(c->door->bus, &c->track, on_gone, c);

        return r < 0 ? r : sd_bus_track_add_sender(c->track, c->message);
}

static const CallDoor bus_call_door = { on_answered, on_failed, on_free, on_watch };

static int read_caller(sd_bus_message *m, Caller *caller)
{
        sd_bus_creds *creds = NULL;
        int r;

        r = sd_bus_query_sender_creds(m, SD_BUS_CREDS_PID | SD_BUS_CREDS_EUID, &creds);
        if (r >= 0)
                r = sd_bus_creds_get_euid(creds, &caller->uid);
        if (r >= 0)
                r = sd_bus_creds_get_pid(creds, &caller->pid);
        sd_bus_creds_unref(creds);
        caller->interactive = sd_bus_message_get_allow_interactive_authorization(m) > 0;
        return r < 0 ? r : free_and_strdup(&caller->bus_name, sd_bus_message_get_sender(m));
}

static int read_arguments(BusCall *c, sd_bus_message *m, void *arguments)
{
        const char *keys = c->method->in;
        int r = c->method->read ? c->method->read(c, m, arguments) : 0;

        FOREACH_KEY(keys)
        if (r >= 0 && !is_described(_key))
                r = bus_read_field(m, schema_find(c->call.operation->arguments, _key), arguments);
        return r;
}

/* Reads the arguments of a call. If this fails, answers the call. */
static int read_call(BusCall *c, const char *target)
{
        Call *call = &c->call;
        const Operation *o = call->operation;
        int r = read_caller(c->message, &call->caller);

        if (r >= 0 && target)
                r = free_and_strdup(&call->target, target);
        else if (r >= 0 && o->target != TARGET_NONE)
                r = read_text(c->message, &call->target);
        if (r >= 0 && o->arguments) {
                call->arguments = schema_new(o->arguments);
                r = call->arguments ? read_arguments(c, c->message, call->arguments) : -ENOMEM;
        }
        return r;
}

int bus_door_call(BusDoor *door, sd_bus_message *message, const BusMethod *method, const char *target)
{
        BusCall *c = calloc(1, sizeof(BusCall));
        int r;

        OOM_CHECK(c);
        *c = (BusCall){ .call = { .manager = door->manager,
                                  .door = &bus_call_door,
                                  .family = door->family,
                                  .operation = method->operation },
                        .message = sd_bus_message_ref(message),
                        .method = method,
                        .door = door };
        r = read_call(c, target);
        if (r == -EINVAL)
                call_fail(&c->call, ERROR_INVALID_ARGUMENT, "An argument has a bad value.");
        else if (r < 0)
                call_fail_errno(&c->call, r, "Failed to read the call");
        else
                operation_begin(&c->call);
        return 1; /* the call has been answered, or will be */
}

/* --- tables -------------------------------------------------------------------------------------------- */

/* The userdata that sd-bus passes to the handler of a method. */
typedef struct BusSlot {
        BusDoor *door;
        const BusMethod *method;
        const char *prefix; /* the object that has the method; NULL for methods of the manager */
} BusSlot;

/* The methods of one interface at one path, with the strings that sd-bus borrows. */
typedef struct BusTable {
        sd_bus_vtable *vtable;
        BusSlot *slots;
        size_t n;
        Strv texts;
        struct BusTable *next;
} BusTable;

static int on_method(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const BusSlot *slot = userdata;
        _cleanup_free_ char *target = NULL;
        int r;

        (void) error;
        /* A call that only reads, and wants no reply, is dropped. */
        if (!sd_bus_message_get_expect_reply(message) && slot->method->operation->policy == POLICY_ANYBODY)
                return 1;
        if (slot->prefix && slot->method->operation->target != TARGET_NONE) {
                r = sd_bus_path_decode(sd_bus_message_get_path(message), slot->prefix, &target);
                if (r <= 0)
                        return r;
        }
        return bus_door_call(slot->door, message, slot->method, target);
}

/* sd-bus takes the names for introspection in one string, where each name ends with a NUL byte. */
typedef struct Description {
        char types[256], names[512];
        size_t n_types, n_names;
} Description;

static void describe(Description *d, const char *types, const char *name)
{
        size_t n_types = strlen(types) + 1, n_names = strlen(name) + 1;

        assert(d->n_types + n_types < sizeof(d->types) && d->n_names + n_names < sizeof(d->names));
        memcpy(d->types + d->n_types, types, n_types);
        memcpy(d->names + d->n_names, name, n_names);
        d->n_types += n_types - 1;
        d->n_names += n_names;
}

static void describe_fields(Description *d, const Schema *schema, const char *keys)
{
        FOREACH_KEY(keys)
        {
                const Field *f = is_described(_key) ? NULL : schema_find(schema, _key);

                assert(f || is_described(_key)); /* each key is in the schema, or has its types in the row */
                if (!f)
                        describe(d, _key + 1, _name);
                else if (f->type == FIELD_ARRAY) {
                        _cleanup_free_ char *types = element_signature(f->element),
                                            *type = strf("a(%s)", strna(types));
                        describe(d, strna(type), _name);
                } else
                        describe(d, signatures[f->type], _name);
        }
}

/* Makes the entry of sd-bus for a row. */
static int add_row(BusTable *t, const BusSlot *slot, const char *member)
{
        const BusMethod *m = slot->method;
        Description in = {}, out = {};
        _cleanup_free_ char *signature = NULL, *result = NULL, *names = NULL;

        if (!slot->prefix && m->operation->target != TARGET_NONE)
                describe(&in, "s", "name");
        describe_fields(&in, m->operation->arguments, m->in);
        describe_fields(&out, m->operation->answer, m->out);
        signature = strdup(in.types);
        result = strdup(out.types);
        names = calloc(1, in.n_names + out.n_names + 1);
        if (!signature || !result || !names)
                return -ENOMEM;
        memcpy(names, in.names, in.n_names);
        memcpy(names + in.n_names, out.names, out.n_names);
        t->slots[t->n] = *slot;
        /* Unused bytes of the entry are zero already. */
        sd_bus_vtable *v = t->vtable + t->n + 1;
        v->type = _SD_BUS_VTABLE_METHOD;
        v->flags = SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_ABSOLUTE_OFFSET;
        v->x.method.member = member;
        v->x.method.signature = signature;
        v->x.method.result = result;
        v->x.method.handler = on_method;
        v->x.method.offset = (size_t) (t->slots + t->n);
        v->x.method.names = names;
        t->n++;
        if (strv_consume(&t->texts, TAKE_PTR(signature)) < 0 ||
            strv_consume(&t->texts, TAKE_PTR(result)) < 0)
                return -ENOMEM;
        return strv_consume(&t->texts, TAKE_PTR(names));
}

static void table_free(BusTable *t)
{
        free(t->vtable);
        free(t->slots);
        strv_free(t->texts);
        free(t);
}
DEFINE_CLEANUP(BusTable *, table_free);

static size_t count_rows(const sd_bus_vtable *others)
{
        size_t n = 0;

        while (others && others[n].type != _SD_BUS_VTABLE_END)
                n++;
        return n;
}

/* Makes a table: the methods whose rows `prefix` selects, and then the other entries. */
static int make_table(BusDoor *door, const char *prefix, TargetKind target, const BusMethod *methods,
                      const sd_bus_vtable *others, BusTable **ret)
{
        _cleanup_(table_free_cleanup) BusTable *t = calloc(1, sizeof(BusTable));
        static const sd_bus_vtable ends[] = { SD_BUS_VTABLE_START(0), SD_BUS_VTABLE_END };
        size_t n = 0, n_others = count_rows(others);

        while (methods[n].operation)
                n++;
        OOM_CHECK(t);
        t->vtable = calloc(n + n_others + 2, sizeof(sd_bus_vtable));
        t->slots = calloc(n + 1, sizeof(BusSlot));
        if (!t->vtable || !t->slots)
                return -ENOMEM;
        memcpy(t->vtable, ends, sizeof(sd_bus_vtable));
        for (const BusMethod *m = methods; m->operation; m++) {
                const char *member = prefix ? m->object : m->manager;
                if (!member || (prefix && m->operation->target != target))
                        continue;
                int r = add_row(t, &(BusSlot){ door, m, prefix }, member);
                if (r < 0)
                        return r;
        }
        if (n_others > 0)
                memcpy(t->vtable + 1 + t->n, others, n_others * sizeof(sd_bus_vtable));
        memcpy(t->vtable + 1 + t->n + n_others, ends + 1, sizeof(sd_bus_vtable));
        LIST_PREPEND(&door->tables, t);
        *ret = TAKE_PTR(t);
        return 0;
}

void bus_door_init(BusDoor *door, Manager *manager, sd_bus *bus, Family family, const char *machines)
{
        *door = (BusDoor){ manager, bus, family, machines };
}

void bus_door_clear(BusDoor *door)
{
        while (door->tables) {
                BusTable *t = door->tables;
                door->tables = t->next;
                table_free(t);
        }
}

const sd_bus_vtable *bus_door_table(const BusDoor *door, size_t n)
{
        const BusTable *t = door->tables;

        while (t && n-- > 0)
                t = t->next;
        return t ? t->vtable : NULL;
}

int bus_door_add_manager(BusDoor *door, const char *path, const char *interface, const BusMethod *methods,
                         const sd_bus_vtable *others)
{
        BusTable *t;
        int r = make_table(door, NULL, TARGET_NONE, methods, others, &t);

        return r < 0 ? r : sd_bus_add_object_vtable(door->bus, NULL, path, interface, t->vtable, door);
}

int bus_door_add_objects(BusDoor *door, const char *prefix, const char *interface, TargetKind target,
                         const BusMethod *methods, const sd_bus_vtable *others, sd_bus_object_find_t find)
{
        BusTable *t;
        int r = make_table(door, prefix, target, methods, others, &t);

        return r < 0 ? r
                     : sd_bus_add_fallback_vtable(door->bus, NULL, prefix, interface, t->vtable, find, door);
}
