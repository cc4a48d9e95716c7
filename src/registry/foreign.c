/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Machines that are not started by us: registered here by others (systemd-nspawn, libvirt) where we are the provider of
 * org.freedesktop.machine1, or told by systemd-machined where that is. Their leader is watched by its descriptor. */

#include <signal.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <systemd/sd-login.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/process.h"
#include "basic/time.h"
#include "registry/machine1.h"
#include "registry/polkit.h"

#define ERROR_EXISTS "org.freedesktop.machine1.MachineExists"
/* As many as there are in a machine's own network, and more than anybody tells. */
#define INTERFACES_MAX 64U
#define ROOT_MAX       1000U
/* What others can have here, all together and a user who is not root. */
#define FOREIGN_MAX         1024U
#define FOREIGN_OF_USER_MAX 32U

static int on_leader_gone(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Machine *m = userdata;

        (void) source;
        (void) fd;
        (void) events;
        registry_remove(m->registry, m);
        return 0;
}

int foreign_add(Registry *registry, Machine *m)
{
        int r;

        m->leader_fd = pidfd_open(m->record.leader, 0);
        if (m->leader_fd < 0)
                return -errno;
        /* The number was the leader's before it was opened, if it is the same process now. */
        if (!record_alive(&m->record)) {
                m->leader_fd = fd_close(m->leader_fd);
                return -ESRCH;
        }
        m->foreign = true;
        m->seen = true;
        m->state = MACHINE_RUNNING;
        r = sd_event_add_io(registry->event, &m->leader_source, m->leader_fd, EPOLLIN, on_leader_gone, m);
        if (r < 0)
                return r;
        machine_read_os(m);
        return registry_add(registry, m);
}

static bool is_of(const Machine *m, uid_t uid)
{
        char path[32];
        struct stat st;

        snprintf(path, sizeof(path), "/proc/%i", m->record.leader);
        return stat(path, &st) >= 0 && st.st_uid == uid;
}

bool foreign_is_callers(const Machine *m, sd_bus_message *call)
{
        uid_t uid;

        return m->foreign && m->owner != 0 && caller_read(call, NULL, &uid) >= 0 && uid == m->owner &&
               is_of(m, uid);
}

/* --- what somebody registers ----------------------------------------------------------------------------------------- */

/* What is wrong with it, or NULL. */
static const char *find_mistake(const Machine *m)
{
        if (!m->name || !machine_name_valid(m->name))
                return "The name of a machine has " MACHINE_NAME_RULE ".";
        if (!streq_ptr(m->class, "container") && !streq_ptr(m->class, "vm"))
                return "The class of a machine is 'container' or 'vm'.";
        if (m->record.leader <= 1)
                return "The leader is a process, and not that of the host.";
        if (m->record.root && (m->record.root[0] != '/' || strlen(m->record.root) > ROOT_MAX))
                return "The root directory is an absolute path, and no long one.";
        if (!str_is_clean(m->service) || strlen(m->service) > UNIT_NAME_MAX)
                return "The service is a short text.";
        if (streq(m->service, "mctl"))
                return "The machines of mctl are its units.";
        if (m->owner != 0 && !is_of(m, m->owner))
                return "A machine of a user has a leader of that user.";
        if ((m->ssh_address && (!str_is_clean(m->ssh_address) || strlen(m->ssh_address) > ROOT_MAX)) ||
            (m->ssh_key &&
             (m->ssh_key[0] != '/' || !str_is_clean(m->ssh_key) || strlen(m->ssh_key) > ROOT_MAX)))
                return "An address for ssh is a short text, and its key an absolute path.";
        if (m->control_address &&
            (!str_is_clean(m->control_address) || strlen(m->control_address) > ROOT_MAX))
                return "The address that a machine is controlled at is a short text.";
        return NULL;
}

static bool is_taken(Registry *registry, const char *name)
{
        const Machine *m = registry_find(registry, name);

        return m && m->state != MACHINE_FAILED;
}

static bool is_too_much(const Registry *registry, uid_t owner)
{
        size_t all = 0, of_owner = 0;

        for (size_t i = 0; i < registry->n_machines; i++) {
                const Machine *m = registry->machines[i];
                all += m->foreign;
                of_owner += m->foreign && m->owner == owner;
        }
        return all >= FOREIGN_MAX || (owner != 0 && of_owner >= FOREIGN_OF_USER_MAX);
}

int foreign_judge(Registry *registry, Machine *m, const char **ret_mistake)
{
        int r;

        if (!m->service)
                m->service = strdup("");
        OOM_CHECK(m->service);
        if (isempty(m->record.root)) {
                free(m->record.root);
                m->record.root = NULL;
        }
        m->record.handed_over = true;
        m->record.since = now_usec(CLOCK_REALTIME);
        m->since_monotonic = now_usec(CLOCK_MONOTONIC);
        *ret_mistake = find_mistake(m);
        if (*ret_mistake)
                return -EINVAL;
        r = process_start_time(m->record.leader, &m->record.start_time);
        if (r < 0)
                return r;
        return is_taken(registry, m->name) ? -EEXIST : is_too_much(registry, m->owner) ? -EDQUOT : 0;
}

int foreign_set_id(Machine *m, const uint8_t *id, size_t size)
{
        if (size != 0 && size != 16)
                return -EINVAL;
        for (size_t i = 0; i < size; i++)
                snprintf(m->record.uuid + 2 * i, 3, "%02x", id[i]);
        return 0;
}

int foreign_add_interface(Machine *m, int64_t index)
{
        if (index <= 0 || index > INT32_MAX || m->n_interfaces >= INTERFACES_MAX)
                return -EINVAL;
        int *p = reallocarray(m->interfaces, m->n_interfaces + 1, sizeof(int));
        OOM_CHECK(p);
        m->interfaces = p;
        p[m->n_interfaces++] = index;
        return 0;
}

static int read_interfaces(Machine *m, sd_bus_message *call)
{
        const int32_t *indices;
        size_t size;
        int r = sd_bus_message_read_array(call, 'i', (const void **) &indices, &size);

        for (size_t i = 0; r >= 0 && i < size / sizeof(int32_t); i++)
                r = foreign_add_interface(m, indices[i]);
        return r;
}

static int read_id(Machine *m, sd_bus_message *call)
{
        const uint8_t *id;
        size_t size;
        int r = sd_bus_message_read_array(call, 'y', (const void **) &id, &size);

        return r < 0 ? r : foreign_set_id(m, id, size);
}

static int read_text(sd_bus_message *call, char **ret)
{
        const char *text;
        int r = sd_bus_message_read(call, "s", &text);

        return r < 0 ? r : free_and_strdup(ret, text);
}

static int read_leader(Machine *m, sd_bus_message *call)
{
        uint32_t leader;
        int r = sd_bus_message_read(call, "u", &leader);

        if (r >= 0 && leader > 0)
                m->record.leader = MIN(leader, (uint32_t) INT32_MAX);
        return r;
}

static int read_leader_fd(Machine *m, sd_bus_message *call)
{
        int fd, r = sd_bus_message_read(call, "h", &fd);

        if (r >= 0)
                r = pidfd_to_pid(fd, &m->record.leader);
        return r;
}

/* One property of RegisterMachineEx(), -EINVAL for one that there is not. */
static int read_property(Machine *m, const char *key, sd_bus_message *call)
{
        static const struct {
                const char *key;
                size_t field;
        } texts[] = {
                { "Service", offsetof(Machine, service) },
                { "Class", offsetof(Machine, class) },
                { "RootDirectory", offsetof(Machine, record.root) },
                { "SSHAddress", offsetof(Machine, ssh_address) },
                { "SSHPrivateKeyPath", offsetof(Machine, ssh_key) },
                { "ControlAddress", offsetof(Machine, control_address) },
        };
        uint64_t id;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (streq(key, texts[i].key))
                        return read_text(call, (char **) ((uint8_t *) m + texts[i].field));
        if (streq(key, "Id"))
                return read_id(m, call);
        if (streq(key, "LeaderPID"))
                return read_leader(m, call);
        if (streq(key, "LeaderPIDFD"))
                return read_leader_fd(m, call);
        if (streq(key, "LeaderPIDFDID")) /* says the same as the number, for this kernel */
                return sd_bus_message_read(call, "t", &id);
        if (streq(key, "NetworkInterfaces"))
                return read_interfaces(m, call);
        return streq(key, "VSockCID") ? sd_bus_message_read(call, "u", &m->vsock_cid) : -EINVAL;
}

static int read_properties(Machine *m, sd_bus_message *call)
{
        const char *key, *types;
        int r;

        r = sd_bus_message_enter_container(call, 'a', "(sv)");
        while (r >= 0 && (r = sd_bus_message_enter_container(call, 'r', "sv")) > 0) {
                r = sd_bus_message_read(call, "s", &key);
                if (r >= 0)
                        r = sd_bus_message_peek_type(call, NULL, &types);
                if (r >= 0)
                        r = sd_bus_message_enter_container(call, 'v', types);
                if (r >= 0)
                        r = read_property(m, key, call);
                if (r >= 0)
                        r = sd_bus_message_exit_container(call);
                if (r >= 0)
                        r = sd_bus_message_exit_container(call);
        }
        return r < 0 ? r : sd_bus_message_exit_container(call);
}

/* Reads the arguments up to the properties of a scope. */
static int read_arguments(Machine *m, sd_bus_message *call)
{
        const char *member = sd_bus_message_get_member(call);
        int r;

        r = read_text(call, &m->name);
        if (r >= 0 && endswith(member, "Ex"))
                return read_properties(m, call);
        if (r >= 0)
                r = read_id(m, call);
        if (r >= 0)
                r = read_text(call, &m->service);
        if (r >= 0)
                r = read_text(call, &m->class);
        if (r >= 0)
                r = read_leader(m, call);
        if (r >= 0)
                r = read_text(call, &m->record.root);
        return r >= 0 && endswith(member, "WithNetwork") ? read_interfaces(m, call) : r;
}

/* What foreign_judge() and foreign_add() say, as an answer. */
static int reply_refused(sd_bus_message *call, const char *name, int error, const char *mistake)
{
        if (mistake)
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS, "%s", mistake);
        if (error == -EINVAL)
                return sd_bus_reply_method_errorf(
                        call, SD_BUS_ERROR_INVALID_ARGS,
                        "There is a property that machines do not have, or a bad value.");
        if (error == -EEXIST)
                return sd_bus_reply_method_errorf(call, ERROR_EXISTS, "Machine '%s' is there already.",
                                                  name);
        if (error == -EDQUOT)
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                                  "There are too many machines of others.");
        return error;
}

/* Returns 0 when an error has been replied. Who calls is the leader, unless another is named. */
static int read_machine(Registry *registry, sd_bus_message *call, Machine **ret)
{
        _cleanup_(machine_free_cleanup) Machine *m = machine_new(registry);
        const char *mistake = NULL;
        int r;

        OOM_CHECK(m);
        r = caller_read(call, &m->record.leader, &m->owner);
        if (r >= 0)
                r = read_arguments(m, call);
        if (r >= 0)
                r = foreign_judge(registry, m, &mistake);
        if (r < 0)
                return MIN(reply_refused(call, m->name, r, mistake), 0);
        *ret = TAKE_PTR(m);
        return 1;
}

static int reply_added(Registry *registry, Machine *machine, sd_bus_message *call)
{
        _cleanup_(machine_free_cleanup) Machine *m = machine;
        _cleanup_free_ char *path = machine1_machine_path(m->name);
        int r;

        OOM_CHECK(path);
        r = is_taken(registry, m->name) ? -EEXIST : foreign_add(registry, m); /* meanwhile */
        if (r < 0)
                return reply_refused(call, m->name, r, NULL);
        TAKE_PTR(m);
        return sd_bus_reply_method_return(call, "o", path);
}

/* A machine whose scope is being made. */
typedef struct Creation {
        Registry *registry;
        sd_bus_message *call;
        Machine *machine;
        char *job;
        sd_bus_slot *slot;
} Creation;

static void creation_free(Creation *c)
{
        c->registry->n_pending--;
        if (c->machine)
                machine_free(c->machine);
        sd_bus_message_unref(c->call);
        sd_bus_slot_unref(c->slot);
        free(c->job);
        free(c);
}
DEFINE_CLEANUP(Creation *, creation_free);

static int on_job_removed(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
        Creation *creation = userdata;
        const char *job, *result;
        int r;

        (void) ret_error;
        if (sd_bus_message_read(signal, "uoss", NULL, &job, NULL, &result) < 0 ||
            !streq_ptr(creation->job, job))
                return 0;
        _cleanup_(creation_free_cleanup) Creation *c = creation;
        r = streq(result, "done") ? reply_added(c->registry, TAKE_PTR(c->machine), c->call)
                                  : sd_bus_reply_method_errorf(c->call, "org.freedesktop.systemd1.JobFailed",
                                                               "The scope of machine '%s' was not made: %s.",
                                                               c->machine->name, result);
        if (r < 0)
                (void) sd_bus_reply_method_errno(c->call, r, NULL);
        return 0;
}

/* Errors of systemd are the caller's to know. */
static int on_scope(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(creation_free_cleanup) Creation *c = userdata;
        const char *job;
        int r;

        (void) ret_error;
        if (sd_bus_message_get_error(reply))
                return sd_bus_reply_method_error(c->call, sd_bus_message_get_error(reply));
        r = sd_bus_message_read(reply, "o", &job);
        if (r >= 0)
                r = free_and_strdup(&c->job, job);
        if (r < 0)
                return sd_bus_reply_method_errno(c->call, r, NULL);
        TAKE_PTR(c); /* the job's end has it */
        return 0;
}

/* Signals and answers come in the order in which systemd sends them: the watch is there before the call. */
static int create_scope(Registry *registry, Machine *machine, sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_(creation_free_cleanup) Creation *c = calloc(1, sizeof(Creation));
        _cleanup_free_ char *service = NULL;
        int r;

        if (!c)
                machine_free(machine);
        OOM_CHECK(c);
        *c = (Creation){ .registry = registry, .call = sd_bus_message_ref(call), .machine = machine };
        registry->n_pending++;

        service = machine_unit_name(MACHINE_UNIT_TRANSIENT, machine->name);
        OOM_CHECK(service);
        machine->unit = strf("%.*s.scope", (int) (strlen(service) - strlen(".service")), service);
        OOM_CHECK(machine->unit);
        machine->owns_unit = true;

        r = sd_bus_match_signal_async(registry->bus, &c->slot, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                      "JobRemoved", on_job_removed, NULL, c);
        if (r >= 0)
                r = systemd_call(registry->bus, &request, "StartTransientUnit", "ss", machine->unit, "fail");
        if (r >= 0)
                r = sd_bus_message_open_container(request, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(request, "(sv)(sv)(sv)(sv)(sv)(sv)", "PIDs", "au", 1,
                                          (uint32_t) machine->record.leader, "Slice", "s", "machine.slice",
                                          "Delegate", "b", true, "CollectMode", "s", "inactive-or-failed",
                                          "TasksMax", "t", UINT64_C(16384), "Description", "s",
                                          machine->name);
        if (r >= 0)
                r = sd_bus_message_enter_container(call, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_copy(request, call, true);
        if (r >= 0)
                r = sd_bus_message_close_container(request);
        if (r >= 0)
                r = sd_bus_message_append(request, "a(sa(sv))", 0);
        if (r >= 0)
                r = sd_bus_call_async(registry->bus, NULL, request, on_scope, c, 0);
        if (r < 0)
                return r;
        TAKE_PTR(c);
        return 1;
}

int foreign_find_unit(Registry *registry, Machine *m)
{
        _cleanup_free_ char *slice = NULL;
        int r;

        r = sd_pid_get_unit(m->record.leader, &m->unit);
        if (r < 0)
                return r;
        m->owns_unit = m->owner == 0 && sd_pid_get_slice(m->record.leader, &slice) >= 0 &&
                       streq(slice, "machine.slice");
        for (size_t i = 0; i < registry->n_machines; i++)
                if (registry->machines[i]->owns_unit && streq(registry->machines[i]->unit, m->unit))
                        m->owns_unit = false;
        return 0;
}

int foreign_register(Registry *registry, sd_bus_message *call)
{
        Machine *m = NULL;
        int r;

        r = sd_bus_message_rewind(call, true);
        if (r >= 0)
                r = read_machine(registry, call, &m);
        if (r <= 0)
                return r;
        if (startswith(sd_bus_message_get_member(call), "Create"))
                return create_scope(registry, m, call);
        r = foreign_find_unit(registry, m);
        if (r < 0) {
                machine_free(m);
                return r;
        }
        return reply_added(registry, m, call);
}

int foreign_unregister(Registry *registry, Machine *m, sd_bus_message *call)
{
        if (!m->foreign)
                return sd_bus_reply_method_errorf(
                        call, SD_BUS_ERROR_NOT_SUPPORTED,
                        "Machine '%s' is a unit of mctl, and is registered while it runs.", m->name);
        registry_remove(registry, m);
        return sd_bus_reply_method_return(call, "");
}

int foreign_signal(Machine *m, int sig)
{
        return pidfd_send_signal(m->leader_fd, sig, NULL, 0) < 0 ? -errno : 0;
}

/* --- what systemd-machined tells ---------------------------------------------------------------------------------- */

static Machine *find_foreign(Registry *registry, const char *name)
{
        for (size_t i = 0; i < registry->n_machines; i++)
                if (registry->machines[i]->foreign && streq(registry->machines[i]->name, name))
                        return registry->machines[i];
        return NULL;
}

static int read_told(Machine *m, sd_bus_message *reply)
{
        const char *key, *text;
        uint32_t leader;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                char **target = NULL;
                r = sd_bus_message_read(reply, "s", &key);
                if (r < 0)
                        break;
                if (streq(key, "Name"))
                        target = &m->name;
                else if (streq(key, "Service"))
                        target = &m->service;
                else if (streq(key, "Class"))
                        target = &m->class;
                else if (streq(key, "Unit"))
                        target = &m->unit;
                else if (streq(key, "RootDirectory"))
                        target = &m->record.root;
                if (target) {
                        r = sd_bus_message_read(reply, "v", "s", &text);
                        if (r >= 0)
                                r = free_and_strdup(target, text);
                } else if (streq(key, "Leader")) {
                        r = sd_bus_message_read(reply, "v", "u", &leader);
                        m->record.leader = r < 0 ? 0 : (pid_t) leader;
                } else if (streq(key, "Timestamp"))
                        r = sd_bus_message_read(reply, "v", "t", &m->record.since);
                else
                        r = sd_bus_message_skip(reply, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return r;
}

static int on_told(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Registry *registry = userdata;
        _cleanup_(machine_free_cleanup) Machine *m = machine_new(registry);
        int r;

        (void) ret_error;
        if (!m || sd_bus_message_get_error(reply))
                return 0;
        m->record.handed_over = true;
        r = read_told(m, reply);
        /* Ours have been known before, by their units. */
        if (r < 0 || !m->name || !m->class || !m->service || !m->unit || streq(m->service, "mctl") ||
            streq(m->class, "host") || m->record.leader <= 1 || registry_find(registry, m->name) ||
            process_start_time(m->record.leader, &m->record.start_time) < 0)
                return 0;
        if (foreign_add(registry, m) >= 0)
                TAKE_PTR(m);
        return 0;
}

static int ask(Registry *registry, const char *path)
{
        return sd_bus_call_method_async(registry->bus, NULL, MACHINE1_NAME, path,
                                        "org.freedesktop.DBus.Properties", "GetAll", on_told, registry, "s",
                                        MACHINE1_MACHINE);
}

static int on_new(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
        const char *path;

        (void) ret_error;
        if (sd_bus_message_read(signal, "so", NULL, &path) >= 0)
                (void) ask(userdata, path);
        return 0;
}

static int on_removed(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
        const char *name;
        Machine *m;

        (void) ret_error;
        if (sd_bus_message_read(signal, "so", &name, NULL) >= 0 && (m = find_foreign(userdata, name)))
                registry_remove(userdata, m);
        return 0;
}

static int on_list(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        const char *path;

        (void) ret_error;
        if (sd_bus_message_get_error(reply) || sd_bus_message_enter_container(reply, 'a', "(ssso)") < 0)
                return 0;
        while (sd_bus_message_read(reply, "(ssso)", NULL, NULL, NULL, &path) > 0)
                (void) ask(userdata, path);
        return 0;
}

int foreign_follow(Registry *registry)
{
        static const struct {
                const char *signal;
                sd_bus_message_handler_t handler;
        } signals[] = { { "MachineNew", on_new }, { "MachineRemoved", on_removed } };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(signals) && r >= 0; i++)
                r = sd_bus_match_signal_async(registry->bus, NULL, MACHINE1_NAME, MACHINE1_PATH,
                                              MACHINE1_MANAGER, signals[i].signal, signals[i].handler, NULL,
                                              registry);
        return r < 0 ? r
                     : sd_bus_call_method_async(registry->bus, NULL, MACHINE1_NAME, MACHINE1_PATH,
                                                MACHINE1_MANAGER, "ListMachines", on_list, registry, "");
}
