/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/bus.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "systemd/bus.h"

/* Starts a polkit agent, which asks for passwords on this terminal. The agent ends with mctl. */
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
        r = c->host ? sd_bus_open_system_remote(&c->bus, c->host) : bus_open(c->scope->bus, &c->bus);
        if (r < 0 && c->host)
                return log_error_errno(r, "Failed to connect to the system bus of '%s'", c->host);
        if (r < 0)
                return log_error_errno(r, "Failed to connect to the system bus (is systemd running here?)");
        (void) sd_bus_set_allow_interactive_authorization(c->bus, c->ask_password);
        start_polkit_agent(c);
        return 0;
}

/* Logs an error of client/ as "WHAT: …". */
static int log_failure(const Context *c, const char *what, int r, const char *error)
{
        if (c->host && (r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE))
                return log_error_return(r, "%s: ssh does not reach a system bus on '%s'.", what, c->host);
        return log_error_return(r, "%s: %s", what, error ?: strerror(-r));
}

static int send(Context *c, ClientKind kind, const char *what, sd_bus_message *request, sd_bus_message **ret)
{
        _cleanup_free_ char *error = NULL;
        int r = client_send(c->bus, kind, request, ret, &error);

        return r < 0 ? log_failure(c, what, r, error) : 0;
}

int bus_call(Context *c, const char *what, sd_bus_message *request, sd_bus_message **ret)
{
        return send(c, CLIENT_CHANGE, what, request, ret);
}

int bus_ask(Context *c, const char *what, sd_bus_message *request, sd_bus_message **ret)
{
        return send(c, CLIENT_QUESTION, what, request, ret);
}

static int call(Context *c, ClientKind kind, const ClientObject *object, const char *what,
                const char *method, sd_bus_message **ret, const char *types, va_list ap)
{
        _cleanup_free_ char *error = NULL;
        int r = bus_connect(c);

        if (r < 0)
                return r;
        r = client_callv(c->bus, kind, object, method, ret, &error, types, ap);
        return r < 0 ? log_failure(c, what, r, error) : 0;
}

int bus_call_registry(Context *c, const char *what, const char *method, sd_bus_message **ret,
                      const char *types, ...)
{
        va_list ap;

        va_start(ap, types);
        int r = call(c, CLIENT_CHANGE, &client_registry, what, method, ret, types, ap);
        va_end(ap);
        return r;
}

int bus_ask_registry(Context *c, const char *what, const char *method, sd_bus_message **ret,
                     const char *types, ...)
{
        va_list ap;

        va_start(ap, types);
        int r = call(c, CLIENT_QUESTION, &client_registry, what, method, ret, types, ap);
        va_end(ap);
        return r;
}

int bus_call_manager(Context *c, const char *what, const char *method, sd_bus_message **ret,
                     const char *types, ...)
{
        va_list ap;

        va_start(ap, types);
        int r = call(c, CLIENT_CHANGE, &client_systemd, what, method, ret, types, ap);
        va_end(ap);
        return r;
}

int bus_get_unit(Context *c, const char *unit, json_t **ret)
{
        _cleanup_free_ char *error = NULL, *what = strf("Failed to read unit '%s'", unit);
        int r = bus_connect(c);

        if (r < 0)
                return r;
        r = client_get_unit(c->bus, unit, ret, &error);
        return r < 0 ? log_failure(c, strna(what), r, error) : 0;
}

static int list(Context *c, const char *what, const char *method, json_t **ret)
{
        _cleanup_free_ char *error = NULL;
        int r = bus_connect(c);

        if (r < 0)
                return r;
        r = client_list(c->bus, method, ret, &error);
        return r < 0 ? log_failure(c, what, r, error) : 0;
}

int bus_list_machines(Context *c, json_t **ret)
{
        return list(c, "Failed to list machines", "ListMachines", ret);
}

int bus_list_images(Context *c, json_t **ret)
{
        return list(c, "Failed to list images", "ListImages", ret);
}

int bus_list_snapshots(Context *c, const char *what, const char *image, json_t **ret)
{
        _cleanup_free_ char *error = NULL;
        int r = bus_connect(c);

        if (r < 0)
                return r;
        r = client_list_snapshots(c->bus, image, ret, &error);
        return r < 0 ? log_failure(c, what, r, error) : 0;
}

int bus_find_machine(Context *c, const char *name, json_t **ret)
{
        _cleanup_free_ char *error = NULL;
        int r = bus_connect(c);

        if (r < 0)
                return r;
        r = client_find_machine(c->bus, name, ret, &error);
        return r < 0 ? log_failure(c, "Failed to list machines", r, error) : 0;
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

int bus_watch_jobs(Context *c, Jobs *jobs)
{
        _cleanup_free_ char *error = NULL;
        int r = bus_connect(c);

        if (r < 0)
                return r;
        r = jobs_watch(jobs, c->bus, &error);
        return r < 0 ? log_error_return(r, "%s", strna(error)) : 0;
}

int bus_add_job(Jobs *jobs, const char *path, const char *unit, const char *name)
{
        return jobs_add(jobs, path, unit, name) < 0 ? log_oom() : 0;
}

int bus_wait_jobs(Jobs *jobs)
{
        _cleanup_free_ char *error = NULL;
        int r = jobs_wait(jobs, UINT64_MAX, &error);

        return r < 0 ? log_error_return(r, "%s", strna(error)) : 0;
}
