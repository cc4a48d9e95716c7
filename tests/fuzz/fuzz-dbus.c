/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls of the registry's methods with the right types and any values, as the message bus lets them through.
 * The other end of the connection plays systemd, polkit and the caller: it knows of one machine, allows
 * everything, and fails at all else. */

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/import1.h"
#include "api/machine1.h"
#include "api/registry1.h"
#include "manager/console.h"
#include "manager/machine.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CALLS_MAX  8U
#define ROUNDS_MAX 64U
#define DEPTH_MAX  4U

static Scope *scope;
static sd_event *event;
static sd_bus *bus, *client;
static Manager *manager;
static Registry1 registry1;
static Machine1 machine1;
static Import1 import1;

typedef struct Input {
        const uint8_t *data;
        size_t size;
} Input;

static unsigned take(Input *in)
{
        if (in->size == 0)
                return 0;
        in->size--;
        return *in->data++;
}

static uint64_t take_u64(Input *in)
{
        uint64_t value = 0;

        for (unsigned n = take(in) % 9; n > 0; n--)
                value = value << 8 | take(in);
        return value;
}

/* Names that lead somewhere, or any text that the bus lets through. */
static const char *take_text(Input *in, char text[static 256])
{
        static const char *const known[] = { "m",
                                             ".host",
                                             "",
                                             "/",
                                             "/etc/hostname",
                                             "../x",
                                             "root",
                                             "all",
                                             "leader",
                                             "debian",
                                             "container",
                                             "tar",
                                             "gzip",
                                             "hidden",
                                             "machine",
                                             "http://127.0.0.1/x.tar" };
        unsigned which = take(in);

        if (which < ELEMENTSOF(known))
                return known[which];
        size_t wanted = take(in), n = MIN(wanted, in->size);
        for (size_t i = 0; i < n; i++)
                text[i] = in->data[i] == 0 || in->data[i] >= 0x80 ? '?' : (char) in->data[i];
        text[n] = 0;
        in->data += n;
        in->size -= n;
        return text;
}

/* --- arguments by their types -------------------------------------------------------------------------- */

static int append(sd_bus_message *m, const char *types, Input *in, unsigned depth);

/* How many characters the first complete type of a signature has. */
static size_t type_size(const char *types)
{
        size_t n = 0;

        while (types[n] == 'a')
                n++;
        if (types[n] != '(' && types[n] != '{')
                return n + 1;
        for (unsigned open = 0;; n++) {
                open += types[n] == '(' || types[n] == '{';
                open -= types[n] == ')' || types[n] == '}';
                if (open == 0)
                        return n + 1;
        }
}

static int append_container(sd_bus_message *m, char kind, const char *contents, Input *in, unsigned depth)
{
        int r = sd_bus_message_open_container(m, kind, contents);

        for (unsigned n = kind == 'a' ? take(in) % 4 : 1; n > 0 && r >= 0; n--)
                r = append(m, contents, in, depth + 1);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_basic(sd_bus_message *m, char type, Input *in)
{
        uint64_t number = take_u64(in);
        int null_fd = -1, flag = number & 1;
        char text[256];

        switch (type) {
        case 's':
                return sd_bus_message_append_basic(m, 's', take_text(in, text));
        case 'o':
                return sd_bus_message_append_basic(m, 'o', "/org/mctl/Registry1/machine/m");
        case 'g':
                return sd_bus_message_append_basic(m, 'g', "s");
        case 'b':
                return sd_bus_message_append_basic(m, 'b', &flag);
        case 'h': {
                null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
                int r = sd_bus_message_append_basic(m, 'h', &null_fd);
                close(null_fd);
                return r;
        }
        default: /* all of these begin with the lowest byte, on the machines that this is for */
                return sd_bus_message_append_basic(m, type, &number);
        }
}

static int append(sd_bus_message *m, const char *types, Input *in, unsigned depth)
{
        static const char *const variants[] = { "s", "u", "as", "ay", "b", "t", "ai", "a(sv)", "h", "i" };
        char contents[256];
        int r = 0;

        for (size_t n; *types && r >= 0; types += n) {
                n = type_size(types);
                if (*types == 'a') {
                        snprintf(contents, sizeof(contents), "%.*s", (int) n - 1, types + 1);
                        r = append_container(m, 'a', contents, in, depth);
                } else if (*types == '(' || *types == '{') {
                        snprintf(contents, sizeof(contents), "%.*s", (int) n - 2, types + 1);
                        r = append_container(m, *types == '(' ? 'r' : 'e', contents, in, depth);
                } else if (*types == 'v')
                        r = append_container(
                                m, 'v', depth < DEPTH_MAX ? variants[take(in) % ELEMENTSOF(variants)] : "s",
                                in, depth);
                else
                        r = append_basic(m, *types, in);
        }
        return r;
}

/* --- the other end ------------------------------------------------------------------------------------- */

static int answer(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        (void) userdata;
        (void) error;
        if (sd_bus_message_is_method_call(call, NULL, "ListUnitsByPatterns"))
                return sd_bus_reply_method_return(call, "a(ssssssouso)", 1, "machine-m.service", "m",
                                                  "loaded", "active", "running", "", "/u", 0, "", "/");
        if (sd_bus_message_is_method_call(call, NULL, "CheckAuthorization"))
                return sd_bus_reply_method_return(call, "(bba{ss})", 1, 0, 0);
        if (sd_bus_message_is_method_call(call, NULL, NULL))
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_NOT_SUPPORTED, "No.");
        return 1;
}

static void settle(void)
{
        bool busy = true;

        for (unsigned i = 0; i < ROUNDS_MAX && busy; i++) {
                busy = sd_event_run(event, 0) > 0;
                while (sd_bus_process(client, NULL) > 0)
                        busy = true;
        }
}

static void add_machine(void)
{
        Machine *m = machine_new(manager);

        if (!m)
                abort();
        m->name = strdup("m");
        m->unit = strdup("machine-m.service");
        m->class = strdup("container");
        m->service = strdup("mctl");
        m->state = MACHINE_RUNNING;
        m->record.leader = getpid();
        if (manager_add(manager, m) < 0)
                abort();
}

static int allow(void *userdata, const PolicyQuestion *question)
{
        (void) userdata;
        question->told(question->userdata, POLICY_GRANTED, NULL);
        return 0;
}

/* Below a directory that does not last: what is allowed here is not to be done to this machine. */
static void make_scope(void)
{
        static char dir[] = "/tmp/fuzz-dbus-XXXXXX";

        if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
                abort();
        if (!mkdtemp(dir) || setenv("MCTL_SCOPE", dir, true) < 0 ||
            setenv("XDG_RUNTIME_DIR", dir, true) < 0 || scope_new(&scope) < 0)
                abort();
        scope->owner = 1;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        const sd_id128_t id = { .bytes = { 1 } };
        sigset_t mask;
        int fds[2];

        (void) argc;
        (void) argv;
        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        make_scope();
        if (sd_event_default(&event) < 0 ||
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 ||
            sd_bus_new(&bus) < 0 || sd_bus_new(&client) < 0 || sd_bus_set_fd(bus, fds[0], fds[0]) < 0 ||
            sd_bus_set_server(bus, 1, id) < 0 || sd_bus_negotiate_fds(bus, 1) < 0 || sd_bus_start(bus) < 0 ||
            sd_bus_attach_event(bus, event, 0) < 0 || sd_bus_set_fd(client, fds[1], fds[1]) < 0 ||
            sd_bus_negotiate_fds(client, 1) < 0 || sd_bus_start(client) < 0 ||
            sd_bus_add_filter(client, NULL, answer, NULL) < 0)
                abort();
        if (manager_new(scope, event, bus, &manager) < 0 || registry1_add(&registry1, manager, bus) < 0 ||
            machine1_add(&machine1, manager, bus) < 0 || import1_add(&import1, manager, bus) < 0 ||
            consoles_new(manager) < 0)
                abort();
        machine1_tell(&machine1);
        import1_tell(&import1);
        manager->provider = PROVIDER_OURS;
        manager->ask_policy = allow;
        add_machine();
        settle();
        return 0;
}

/* The method of that number in a table, or NULL. */
static const sd_bus_vtable *find_method(const sd_bus_vtable *table, unsigned number)
{
        for (const sd_bus_vtable *v = table; v->type != _SD_BUS_VTABLE_END; v++)
                if (v->type == _SD_BUS_VTABLE_METHOD && number-- == 0)
                        return v;
        return NULL;
}

static void call_one(Input *in)
{
        /* The tables of a door, the last one first. */
        static const struct {
                const char *path, *interface;
                const BusDoor *door;
                size_t table;
        } objects[] = {
                { REGISTRY1_MACHINES "/m", REGISTRY1_MACHINE, &registry1.door, 0 },
                { REGISTRY1_PATH, REGISTRY1_INTERFACE, &registry1.door, 1 },
                { MACHINE1_IMAGES "/m", MACHINE1_IMAGE, &machine1.door, 0 },
                { MACHINE1_MACHINES "/m", MACHINE1_MACHINE, &machine1.door, 1 },
                { MACHINE1_PATH, MACHINE1_MANAGER, &machine1.door, 2 },
                { IMPORT1_TRANSFERS "/_1", IMPORT1_TRANSFER, &import1.door, 0 },
                { IMPORT1_PATH, IMPORT1_MANAGER, &import1.door, 1 },
        };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        unsigned object = take(in) % ELEMENTSOF(objects);
        const sd_bus_vtable *method = find_method(
                bus_door_table(objects[object].door, objects[object].table), take(in));

        if (method &&
            sd_bus_message_new_method_call(client, &m, NULL, objects[object].path, objects[object].interface,
                                           method->x.method.member) >= 0 &&
            append(m, method->x.method.signature ?: "", in, 0) >= 0)
                (void) sd_bus_send(client, m, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Input in = { data, size };

        for (unsigned i = 0; i < CALLS_MAX && in.size > 0; i++)
                call_one(&in);
        settle();
        return 0;
}
