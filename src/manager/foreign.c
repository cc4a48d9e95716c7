/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/foreign.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <systemd/sd-login.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/process.h"
#include "basic/time.h"
#include "manager/answer.h"
#include "manager/manager.h"
#include "systemd/unit-request.h"

/* The limit of interfaces of a machine: more than any registering program names. */
#define INTERFACES_MAX 64U
#define TEXT_MAX       1000U
/* The limit of machines that others register: in all, and for a user who does not own the scope. */
#define FOREIGN_MAX         1024U
#define FOREIGN_OF_USER_MAX 32U

static DEFINE_SCHEMA(register_arguments, RegisterArguments,
                     FIELD(RegisterArguments, FIELD_STRING, "name", name),
                     FIELD(RegisterArguments, FIELD_ID128, "id", id),
                     FIELD(RegisterArguments, FIELD_STRING, "service", service),
                     FIELD(RegisterArguments, FIELD_STRING, "class", class),
                     FIELD(RegisterArguments, FIELD_INT, "leader", leader),
                     FIELD(RegisterArguments, FIELD_FD, "leaderFileDescriptor", leader_fd),
                     FIELD(RegisterArguments, FIELD_STRING, "rootDirectory", root),
                     FIELD_NUMBERS(RegisterArguments, "ifIndices", interfaces, n_interfaces),
                     FIELD(RegisterArguments, FIELD_UINT, "vSockCid", vsock_cid),
                     FIELD(RegisterArguments, FIELD_STRING, "sshAddress", ssh_address),
                     FIELD(RegisterArguments, FIELD_STRING, "sshPrivateKeyPath", ssh_key),
                     FIELD(RegisterArguments, FIELD_STRING, "controlAddress", control_address));

/* --- the leader ---------------------------------------------------------------------------------------- */

static int on_leader_gone(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Machine *m = userdata;

        (void) source;
        (void) fd;
        (void) events;
        manager_remove(m->manager, m);
        return 0;
}

int foreign_add(Machine *m)
{
        int r;

        m->leader_fd = pidfd_open(m->record.leader, 0);
        if (m->leader_fd < 0)
                return -errno;
        /* The PID is that of the pidfd's process if the process still has the same start time. */
        if (!record_alive(&m->record)) {
                m->leader_fd = fd_close(m->leader_fd);
                return -ESRCH;
        }
        m->foreign = true;
        m->seen = true;
        m->state = MACHINE_RUNNING;
        r = sd_event_add_io(m->manager->event, &m->leader_source, m->leader_fd, EPOLLIN, on_leader_gone, m);
        if (r < 0)
                return r;
        machine_name_image(m);
        return manager_add(m->manager, m);
}

static bool leader_is_of(const Machine *m, uid_t uid)
{
        char path[32];
        struct stat st;

        snprintf(path, sizeof(path), "/proc/%i", m->record.leader);
        return stat(path, &st) >= 0 && st.st_uid == uid;
}

bool foreign_is_of(const Machine *m, uid_t uid)
{
        return m->foreign && m->owner != 0 && uid == m->owner && leader_is_of(m, uid);
}

int foreign_signal(const Machine *m, int sig)
{
        return pidfd_send_signal(m->leader_fd, sig, NULL, 0) < 0 ? -errno : 0;
}

/* --- what somebody registers --------------------------------------------------------------------------- */

/* Whether a text has at most so many characters, and no control characters. */
static bool is_short(const char *text, size_t max)
{
        return strlen(text) <= max && str_is_clean(text);
}

/* Returns what is wrong with the arguments, or NULL. */
static const char *find_mistake(const Machine *m)
{
        if (!m->name || !machine_name_valid(m->name))
                return "The name of a machine has " MACHINE_NAME_RULE ".";
        if (streq(m->name, "self"))
                return "'self' is the machine of who asks, and no name.";
        if (!streq_ptr(m->class, "container") && !streq_ptr(m->class, "vm"))
                return "The class of a machine is 'container' or 'vm'.";
        if (m->record.leader <= 1)
                return "The leader of a machine is a process, and not that of the host.";
        if (m->record.root && (m->record.root[0] != '/' || strlen(m->record.root) > TEXT_MAX))
                return "The root directory is an absolute path of at most 1000 characters.";
        if (!is_short(m->service, UNIT_NAME_MAX))
                return "Service names have at most 255 characters.";
        if (streq(m->service, "mctl"))
                return "Machines of the service 'mctl' are known by their units.";
        if (m->owner != 0 && !leader_is_of(m, m->owner))
                return "The leader of a user's machine is a process of that user.";
        if (m->ssh_address && !is_short(m->ssh_address, TEXT_MAX))
                return "An address for ssh has at most 1000 characters.";
        if (m->ssh_key && (m->ssh_key[0] != '/' || !is_short(m->ssh_key, TEXT_MAX)))
                return "The key for ssh is an absolute path of at most 1000 characters.";
        if (m->control_address && !is_short(m->control_address, TEXT_MAX))
                return "A control address has at most 1000 characters.";
        return NULL;
}

static bool is_taken(const Manager *manager, const char *name)
{
        const Machine *m = manager_find(manager, name);

        return m && m->state != MACHINE_FAILED;
}

static bool has_too_many(const Manager *manager, uid_t owner)
{
        size_t all = 0, of_owner = 0;

        for (size_t i = 0; i < manager->n_machines; i++) {
                const Machine *m = manager->machines[i];
                all += m->foreign;
                of_owner += m->foreign && m->owner == owner;
        }
        return all >= FOREIGN_MAX || (owner != 0 && of_owner >= FOREIGN_OF_USER_MAX);
}

int foreign_add_interface(Machine *m, int64_t index)
{
        if (index <= 0 || index > INT32_MAX || m->n_interfaces >= INTERFACES_MAX)
                return -EINVAL;
        int *p = reallocarray(m->interfaces, m->n_interfaces + 1, sizeof(int));
        OOM_CHECK(p);
        m->interfaces = p;
        p[m->n_interfaces++] = (int) index;
        return 0;
}

static int set_text(char **ret, const char *text)
{
        return isempty(text) ? 0 : free_and_strdup(ret, text);
}

static int set_texts(Machine *m, const RegisterArguments *a)
{
        const struct {
                char **target;
                const char *text;
        } texts[] = {
                { &m->name, a->name },        { &m->class, a->class },
                { &m->record.root, a->root }, { &m->ssh_address, a->ssh_address },
                { &m->ssh_key, a->ssh_key },  { &m->control_address, a->control_address },
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                int r = set_text(texts[i].target, texts[i].text);
                if (r < 0)
                        return r;
        }
        m->service = strdup(a->service ?: "");
        return m->service ? 0 : -ENOMEM;
}

/* The leader is the caller, unless the call names a process. */
static int set_leader(Machine *m, const Call *call, const RegisterArguments *a)
{
        if (a->leader_fd >= 0)
                return pidfd_to_pid(a->leader_fd, &m->record.leader);
        m->record.leader = a->leader != 0 ? a->leader : call->caller.pid;
        return 0;
}

static int machine_of_arguments(const Call *call, const RegisterArguments *a, Machine **ret)
{
        _cleanup_(machine_free_cleanup) Machine *m = machine_new(call->manager);
        int r;

        OOM_CHECK(m);
        m->owner = call->caller.uid;
        m->record.handed_over = true;
        m->record.since = now_usec(CLOCK_REALTIME);
        m->since_monotonic = now_usec(CLOCK_MONOTONIC);
        if (a->vsock_cid > 0)
                m->vsock_cid = a->vsock_cid;
        memcpy(m->record.uuid, a->id, sizeof(m->record.uuid));
        r = set_texts(m, a);
        if (r < 0)
                return r;
        r = set_leader(m, call, a);
        if (r < 0)
                return r;
        for (size_t i = 0; i < a->n_interfaces; i++) {
                r = foreign_add_interface(m, a->interfaces[i]);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(m);
        return 0;
}

/* Makes a machine of the arguments of a call. Returns 0 if the call has been answered. */
static int read_machine(Call *call, const RegisterArguments *a, Machine **ret)
{
        _cleanup_(machine_free_cleanup) Machine *m = NULL;
        const char *mistake;
        int r;

        r = machine_of_arguments(call, a, &m);
        if (r < 0)
                return r;
        mistake = find_mistake(m);
        if (mistake) {
                call_fail(call, ERROR_INVALID_ARGUMENT, "%s", mistake);
                return 0;
        }
        r = process_start_time(m->record.leader, &m->record.start_time);
        if (r < 0)
                return r;
        if (is_taken(call->manager, m->name)) {
                call_fail(call, ERROR_MACHINE_EXISTS, "Machine '%s' is there already.", m->name);
                return 0;
        }
        if (has_too_many(call->manager, m->owner)) {
                call_fail(call, ERROR_LIMIT,
                          "There are too many machines of others: at most %u, and %u of user %u.",
                          FOREIGN_MAX, FOREIGN_OF_USER_MAX, m->owner);
                return 0;
        }
        *ret = TAKE_PTR(m);
        return 1;
}

/* Adds the machine, and takes ownership of it. */
static int add(Call *call, Machine *machine)
{
        _cleanup_(machine_free_cleanup) Machine *m = machine;
        int r;

        if (is_taken(call->manager, m->name)) { /* another call has registered the name in the meantime */
                call_fail(call, ERROR_MACHINE_EXISTS, "Machine '%s' is there already.", m->name);
                return 0;
        }
        r = foreign_add(m);
        if (r < 0)
                return r;
        call_answer(call, &(MachineAnswer){ TAKE_PTR(m)->name });
        return 0;
}

/* Finds the unit of the leader. The unit belongs to the machine if the unit is in the slice of machines, and
 * no other machine has it. Units of users are in other slices. */
static int find_unit(Machine *m)
{
        const Manager *manager = m->manager;
        _cleanup_free_ char *slice = NULL;
        int r;

        r = sd_pid_get_unit(m->record.leader, &m->unit);
        if (r < 0)
                return log_debug_errno(r, "Process %i is in no unit", m->record.leader);
        m->owns_unit = m->owner == 0 && sd_pid_get_slice(m->record.leader, &slice) >= 0 &&
                       streq(slice, "machine.slice");
        for (size_t i = 0; i < manager->n_machines; i++)
                if (manager->machines[i]->owns_unit && streq(manager->machines[i]->unit, m->unit))
                        m->owns_unit = false;
        return 0;
}

static int register_machine(Call *call, Machine *unused, const void *arguments)
{
        _cleanup_(machine_free_cleanup) Machine *m = NULL;
        int r;

        (void) unused;
        r = read_machine(call, arguments, &m);
        if (r <= 0)
                return r;
        r = find_unit(m);
        return r < 0 ? r : add(call, TAKE_PTR(m));
}

/* --- with a scope that is made for it ------------------------------------------------------------------ */

typedef struct Creation {
        Call *call;
        Machine *machine;
} Creation;

static void creation_free(Creation *c)
{
        if (c->machine)
                machine_free(c->machine);
        free(c);
}
DEFINE_CLEANUP(Creation *, creation_free);

static void on_created(void *userdata, const sd_bus_error *error, const char *result)
{
        _cleanup_(creation_free_cleanup) Creation *c = userdata;
        int r;

        c->call->manager->n_pending--;
        if (error)
                return call_fail_bus(c->call, error);
        if (!streq(result, "done"))
                return call_fail_error(c->call,
                                       &(Error){ .kind = ERROR_BUS,
                                                 .name = "org.freedesktop.systemd1.JobFailed",
                                                 .message = "The scope of the machine was not made." });
        r = add(c->call, TAKE_PTR(c->machine));
        if (r < 0)
                call_fail_errno(c->call, r, "The leader of the machine cannot be watched");
}

static int name_scope(Machine *m)
{
        _cleanup_free_ char *service = machine_unit_name(MACHINE_UNIT_TRANSIENT, m->name);

        OOM_CHECK(service);
        m->unit = strf("%.*s.scope", (int) (strlen(service) - strlen(".service")), service);
        m->owns_unit = true;
        return m->unit ? 0 : -ENOMEM;
}

static int create_machine(Call *call, Machine *unused, const void *arguments)
{
        _cleanup_(creation_free_cleanup) Creation *c = calloc(1, sizeof(Creation));
        _cleanup_unit_request_ UnitRequest *q = NULL;
        int r;

        (void) unused;
        OOM_CHECK(c);
        c->call = call;
        r = read_machine(call, arguments, &c->machine);
        if (r <= 0)
                return r;
        r = name_scope(c->machine);
        if (r < 0)
                return r;
        q = unit_request_start(call->manager->systemd, c->machine->unit);
        OOM_CHECK(q);
        unit_request_add(q, "PIDs", "au", 1, (uint32_t) c->machine->record.leader);
        unit_request_add(q, "Slice", "s", "machine.slice");
        unit_request_add(q, "Delegate", "b", true);
        unit_request_add(q, "CollectMode", "s", "inactive-or-failed");
        unit_request_add(q, "TasksMax", "t", UINT64_C(16384));
        unit_request_add(q, "Description", "s", c->machine->name);
        unit_request_add_extra(q, call->extra);
        r = unit_request_run(q, on_created, c);
        if (r < 0)
                return r;
        call->manager->n_pending++;
        TAKE_PTR(c);
        return 0;
}

static int unregister_machine(Call *call, Machine *m, const void *arguments)
{
        (void) arguments;
        if (!m->foreign) {
                call_fail(call, ERROR_NOT_SUPPORTED,
                          "Machine '%s' is a unit of mctl, and is registered while it runs.", m->name);
                return 0;
        }
        manager_remove(m->manager, m);
        call_answer(call, NULL);
        return 0;
}

const Operation operation_register = { "register", .arguments = &register_arguments,
                                       .answer = &machine_answer_schema, .policy = POLICY_REGISTER,
                                       .run = register_machine };
const Operation operation_create = { "register", .arguments = &register_arguments,
                                     .answer = &machine_answer_schema, .policy = POLICY_CREATE,
                                     .run = create_machine };
const Operation operation_unregister = { "unregister", TARGET_MACHINE, .policy = POLICY_MANAGE_OWN,
                                         .run = unregister_machine };
