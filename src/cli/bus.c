/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "basic/time.h"
#include "cli/cli.h"

/* A person may be asked for a password meanwhile, and copies take their time: the registry answers, or is gone. */
#define CALL_TIMEOUT_USEC USEC_INFINITY

/* The registry dies over a question once, if somebody kills it; over and over, the question is what kills it. */
#define QUESTION_TRIES 10

/* polkit asks whoever sits at this terminal through an agent of its own. It ends with us. */
static void start_polkit_agent(const Context *c)
{
        pid_t parent = getpid();

        if (!c->ask_password || geteuid() == 0 || c->host || !isatty(STDIN_FILENO))
                return;
        if (fork() == 0) {
                _cleanup_free_ char *process = strf("%i", parent);
                (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
                if (!freopen("/dev/null", "w", stderr))
                        _exit(EXIT_FAILURE);
                execlp("pkttyagent", "pkttyagent", "--fallback", "--process", process, NULL);
                _exit(EXIT_FAILURE);
        }
}

int bus_connect(Context *c)
{
        int r;

        if (c->bus)
                return 0;
        r = c->host ? sd_bus_open_system_remote(&c->bus, c->host) : sd_bus_open_system(&c->bus);
        if (r < 0 && c->host)
                return log_error_errno(r, "Failed to connect to the system bus of '%s'", c->host);
        if (r < 0)
                return log_error_errno(r, "Failed to connect to the system bus (is systemd running here?)");
        (void) sd_bus_set_allow_interactive_authorization(c->bus, c->ask_password);
        start_polkit_agent(c);
        return 0;
}

/* Sends a call up to `tries` times, as long as who was asked dies over it. */
static int call_tries(Context *c, const char *what, sd_bus_message *request, unsigned tries,
                      sd_bus_message **ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        do {
                sd_bus_error_free(&error);
                r = sd_bus_call(c->bus, request, CALL_TIMEOUT_USEC, &error, ret);
                if (r >= 0)
                        return 0;
        } while (--tries > 0 && sd_bus_error_has_name(&error, SD_BUS_ERROR_NO_REPLY));
        if (c->host && (r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE))
                return log_error_return(r, "%s: ssh does not reach a system bus on '%s'.", what, c->host);
        _cleanup_free_ char *text = error.message ? str_escape(error.message) : NULL;
        return log_error_return(r, "%s: %s", what, text ?: strerror(-r));
}

int bus_call(Context *c, const char *what, sd_bus_message *request, sd_bus_message **ret)
{
        return call_tries(c, what, request, 1, ret);
}

int bus_ask(Context *c, const char *what, sd_bus_message *request, sd_bus_message **ret)
{
        return call_tries(c, what, request, QUESTION_TRIES, ret);
}

static int call_with(Context *c, const char *what, const char *const object[3], const char *method,
                     unsigned tries, sd_bus_message **ret, const char *types, va_list ap)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        int r;

        r = bus_connect(c);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(c->bus, &request, object[0], object[1], object[2], method);
        if (r >= 0)
                r = sd_bus_message_appendv(request, types, ap);
        return r < 0 ? log_error_errno(r, "Failed to make a message")
                     : call_tries(c, what, request, tries, ret);
}

static const char *const registry[3] = { REGISTRY_NAME, REGISTRY_PATH, REGISTRY_INTERFACE };

int bus_call_registry(Context *c, const char *what, const char *method, sd_bus_message **ret,
                      const char *types, ...)
{
        va_list ap;
        int r;

        va_start(ap, types);
        r = call_with(c, what, registry, method, 1, ret, types, ap);
        va_end(ap);
        return r;
}

int bus_ask_registry(Context *c, const char *what, const char *method, sd_bus_message **ret,
                     const char *types, ...)
{
        va_list ap;
        int r;

        va_start(ap, types);
        r = call_with(c, what, registry, method, QUESTION_TRIES, ret, types, ap);
        va_end(ap);
        return r;
}

int bus_call_manager(Context *c, const char *what, const char *method, sd_bus_message **ret,
                     const char *types, ...)
{
        static const char *const manager[3] = { SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER };
        va_list ap;
        int r;

        va_start(ap, types);
        r = call_with(c, what, manager, method, 1, ret, types, ap);
        va_end(ap);
        return r;
}

/* A basic value as JSON; NULL for a type that has no use here. */
static json_t *read_basic(sd_bus_message *m, char type)
{
        union {
                const char *s;
                int b;
                uint8_t y;
                uint16_t q;
                uint32_t u;
                int32_t i;
                uint64_t t;
                int64_t x;
                double d;
        } v;

        if (sd_bus_message_read_basic(m, type, &v) < 0)
                return NULL;
        switch (type) {
        case 's':
        case 'o':
        case 'g':
                return json_string(v.s);
        case 'b':
                return json_boolean(v.b);
        case 'y':
                return json_integer(v.y);
        case 'q':
                return json_integer(v.q);
        case 'i':
                return json_integer(v.i);
        case 'u':
                return json_integer(v.u);
        case 't':
                /* JSON's integers are signed here; what is beyond is "infinity" and its like. */
                return v.t > INT64_MAX ? json_string("infinity") : json_integer(v.t);
        case 'x':
                return json_integer(v.x);
        case 'd':
                return json_real(v.d);
        default:
                return json_null();
        }
}

static json_t *read_strings(sd_bus_message *m)
{
        json_t *array = json_array();
        const char *s;

        if (sd_bus_message_enter_container(m, 'a', "s") >= 0) {
                while (sd_bus_message_read(m, "s", &s) > 0)
                        json_array_append_new(array, json_string(s));
                (void) sd_bus_message_exit_container(m);
        }
        return array;
}

int bus_read_properties(sd_bus_message *m, json_t **ret)
{
        json_t *object = json_object();
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *key, *types;
                json_t *value = NULL;

                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0)
                        r = sd_bus_message_peek_type(m, NULL, &types);
                if (r >= 0 && (strlen(types) == 1 || streq(types, "as"))) {
                        r = sd_bus_message_enter_container(m, 'v', types);
                        if (r >= 0)
                                value = types[1] ? read_strings(m) : read_basic(m, types[0]);
                        if (r >= 0 && value)
                                json_object_set_new(object, key, value);
                        if (r >= 0)
                                r = sd_bus_message_exit_container(m);
                } else if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0) {
                json_decref(object);
                return r;
        }
        *ret = object;
        return 0;
}

int bus_get_unit(Context *c, const char *unit, json_t **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = bus_connect(c);
        if (r < 0)
                return r;
        r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);
        if (r >= 0)
                r = sd_bus_call_method(c->bus, SYSTEMD_NAME, path, "org.freedesktop.DBus.Properties",
                                       "GetAll", &error, &reply, "s", "");
        if (r >= 0)
                r = bus_read_properties(reply, ret);
        return r < 0 ? log_error_return(r, "Failed to read unit '%s': %s", unit,
                                        error.message ?: strerror(-r))
                     : 0;
}

static int list_properties(Context *c, const char *what, const char *method, json_t **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        json_t *array, *object;
        int r;

        r = bus_ask_registry(c, what, method, &reply, "");
        if (r < 0)
                return r;
        array = json_array();
        r = sd_bus_message_enter_container(reply, 'a', "a{sv}");
        while (r >= 0 && (r = !sd_bus_message_at_end(reply, false)) > 0) {
                r = bus_read_properties(reply, &object);
                if (r >= 0)
                        json_array_append_new(array, object);
        }
        if (r < 0) {
                json_decref(array);
                return log_error_errno(r, "%s", what);
        }
        *ret = array;
        return 0;
}

int bus_list_machines(Context *c, json_t **ret)
{
        return list_properties(c, "Failed to list machines", "ListMachines", ret);
}

int bus_list_images(Context *c, json_t **ret)
{
        return list_properties(c, "Failed to list images", "ListImages", ret);
}

int bus_list_snapshots(Context *c, const char *what, const char *image, json_t **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *name;
        uint64_t time;
        int r;

        r = bus_ask_registry(c, what, "ListSnapshots", &reply, "s", image);
        if (r < 0)
                return r;
        json_t *array = json_array();
        r = sd_bus_message_enter_container(reply, 'a', "(st)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(st)", &name, &time)) > 0)
                json_array_append_new(array, json_pack("{ss sI}", "name", name, "time", (json_int_t) time));
        if (r < 0) {
                json_decref(array);
                return log_error_errno(r, "%s", what);
        }
        *ret = array;
        return 0;
}

int bus_find_machine(Context *c, const char *name, json_t **ret)
{
        json_t *array, *object, *found = NULL;
        size_t i;
        int r;

        r = bus_list_machines(c, &array);
        if (r < 0)
                return r;
        json_array_foreach (array, i, object)
                if (streq(json_text(object, "Name"), name) &&
                    (!found || !streq_ptr(json_text(object, "State"), "failed")))
                        found = object;
        json_incref(found);
        json_decref(array);
        *ret = found;
        return 0;
}

int bus_get_machine(Context *c, const char *name, json_t **ret)
{
        int r = bus_find_machine(c, name, ret);

        if (r < 0)
                return r;
        return *ret ? 0 : log_error_return(-ESRCH, "No machine '%s' is running.", name);
}

static int compare_processes(const void *a, const void *b)
{
        const CgroupProcess *x = a, *y = b;
        int r = strcmp(x->cgroup, y->cgroup);

        return r != 0 ? r : (int) x->pid - (int) y->pid;
}

int bus_get_processes(Context *c, const char *unit, CgroupProcess **ret, size_t *ret_n)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *cgroup, *command;
        CgroupProcess *processes = NULL;
        size_t n = 0;
        uint32_t pid;
        int r;

        r = bus_call_manager(c, "Failed to list processes", "GetUnitProcesses", &reply, "s", unit);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(sus)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(sus)", &cgroup, &pid, &command)) > 0) {
                CgroupProcess *p = reallocarray(processes, n + 1, sizeof(CgroupProcess));
                if (!p)
                        break;
                processes = p;
                p[n++] = (CgroupProcess){ strdup(cgroup), pid, str_escape(command) };
        }
        if (n > 0)
                qsort(processes, n, sizeof(CgroupProcess), compare_processes);
        *ret = processes;
        *ret_n = n;
        return 0;
}

void processes_free(CgroupProcess *processes, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                free(processes[i].cgroup);
                free(processes[i].command);
        }
        free(processes);
}

void jobs_clear(Jobs *jobs)
{
        for (size_t i = 0; i < jobs->n; i++) {
                free(jobs->items[i].path);
                free(jobs->items[i].unit);
                free(jobs->items[i].name);
                free(jobs->items[i].result);
        }
        free(jobs->items);
        *jobs = (Jobs){};
}

/* A job may end before the answer that names it has been read; but signals are only handled in jobs_wait(), when all
 * jobs are known. */
static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Jobs *jobs = userdata;
        const char *path, *unit, *result;

        (void) error;
        if (sd_bus_message_read(m, "uoss", NULL, &path, &unit, &result) < 0)
                return 0;
        for (size_t i = 0; i < jobs->n; i++)
                if (streq(jobs->items[i].path, path) && !jobs->items[i].result)
                        jobs->items[i].result = strdup(result);
        return 0;
}

int jobs_watch(Context *c, Jobs *jobs)
{
        int r;

        if (jobs->watched)
                return 0;
        jobs->watched = true;
        r = bus_connect(c);
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(c->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                      "JobRemoved", on_job_removed, NULL, jobs);
        if (r >= 0)
                r = sd_bus_call_method_async(c->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                             "Subscribe", NULL, NULL, "");
        return r < 0 ? log_error_errno(r, "Failed to watch jobs") : 0;
}

int jobs_add(Jobs *jobs, const char *path, const char *unit, const char *name)
{
        struct Job *p = reallocarray(jobs->items, jobs->n + 1, sizeof(*p));

        if (!p)
                return log_oom();
        jobs->items = p;
        p[jobs->n] = (struct Job){ strdup(path), strdup(unit), strdup(name), NULL };
        if (!p[jobs->n].path || !p[jobs->n].unit || !p[jobs->n].name)
                return log_oom();
        jobs->n++;
        return 0;
}

bool jobs_done(const Jobs *jobs)
{
        for (size_t i = 0; i < jobs->n; i++)
                if (!jobs->items[i].result)
                        return false;
        return true;
}

int jobs_wait(Context *c, Jobs *jobs)
{
        return jobs_wait_until(c, jobs, UINT64_MAX);
}

int jobs_wait_until(Context *c, Jobs *jobs, uint64_t until)
{
        int r;

        while (!jobs_done(jobs)) {
                uint64_t now = now_usec(CLOCK_MONOTONIC);
                if (now >= until)
                        return -ETIMEDOUT;
                r = sd_bus_process(c->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(c->bus, until == UINT64_MAX ? until : until - now);
                if (r < 0 && r != -EINTR)
                        return log_error_errno(r, "Failed to wait for systemd");
        }
        return 0;
}
