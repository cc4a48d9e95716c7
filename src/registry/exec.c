/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "registry/exec.h"

#include <signal.h>

#include "registry/polkit.h"
#include "registry/unit.h"
#include "spec/enter.h"

#define WORDS_MAX 4096U

/* What a call says, up to its descriptors. The texts are the message's. */
typedef struct Exec {
        const char *id;
        EnterRequest request;
} Exec;

/* The caller chooses it, so that he can watch the unit before it is there: 12 digits are enough for all. */
static bool is_id(const char *id)
{
        return strlen(id) == 12 && strspn(id, "0123456789abcdef") == 12;
}

static char *unit_name(const Machine *machine, const char *id)
{
        return strf("mctl-exec-%s-%s.service", machine->name, id);
}

static void exec_clear(Exec *e)
{
        strv_free(e->request.environment);
        strv_free(e->request.command);
}

static int read_exec(sd_bus_message *call, Exec *e)
{
        EnterRequest *request = &e->request;
        int r;

        r = sd_bus_message_read(call, "sss", &e->id, &request->user, &request->directory);
        if (r >= 0)
                r = sd_bus_message_read_strv(call, &request->environment);
        if (r >= 0)
                r = sd_bus_message_read_strv(call, &request->command);
        return r < 0 ? r : sd_bus_message_read(call, "t", &request->flags);
}

int exec_details(sd_bus_message *call, Strv *ret)
{
        _cleanup_(exec_clear) Exec e = {};
        _cleanup_free_ char *line = NULL;
        int r;

        r = read_exec(call, &e);
        if (r < 0)
                return r;
        line = e.request.command ? strv_join_words(e.request.command) : strdup("");
        OOM_CHECK(line);
        return strv_extend(ret, (char *[]){ (char *) "user",
                                            (char *) (isempty(e.request.user) ? "root" : e.request.user),
                                            (char *) "command_line", line, NULL });
}

/* Nothing in the command is systemd's to expand. */
static int append_command(sd_bus_message *m, const Strv command)
{
        int r;

        r = unit_open_property(m, "ExecStartEx", "a(sasas)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sasas)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "sasas");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", command[0]);
        if (r >= 0)
                r = sd_bus_message_append_strv(m, command);
        if (r >= 0)
                r = sd_bus_message_append(m, "as", 1, "no-env-expand");
        return r < 0 ? r : unit_close_containers(m, 4);
}

/* How a program ends that nobody waits for is no failure of the host: any status will do, and is remembered. */
static int append_successes(sd_bus_message *m)
{
        int32_t statuses[255], signals[64];
        int r;

        for (int i = 0; i < (int) ELEMENTSOF(statuses); i++)
                statuses[i] = i + 1;
        for (int i = 0; i < (int) ELEMENTSOF(signals); i++)
                signals[i] = i + 1;
        r = unit_open_property(m, "SuccessExitStatus", "(aiai)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "aiai");
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'i', statuses, sizeof(statuses));
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'i', signals, sizeof(signals));
        return r < 0 ? r : unit_close_containers(m, 3);
}

/* It ends with the machine. Who waits for the end of a detached one finds out how it ended while the machine runs. */
static int append_properties(sd_bus_message *m, const Machine *machine, const EnterRequest *e,
                             const int *stdio)
{
        _cleanup_free_ char *line = e->command ? strv_join_words(e->command) : strdup("a shell"),
                            *shown = line ? str_escape(line) : NULL,
                            *what = shown ? strf("%s: %.200s", machine->name, shown) : NULL,
                            *field = strf("MACHINE=%s", machine->name);
        _cleanup_strv_ Strv command = NULL;
        int r;

        if (!what || !field)
                return -ENOMEM;
        r = enter_command(e, &command);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s", what, "BindsTo",
                                          "as", 1, machine->unit, "After", "as", 1, machine->unit,
                                          "SyslogIdentifier", "s", machine->name, "TimeoutStopUSec", "t",
                                          10 * USEC_PER_SEC, "SendSIGHUP", "b", true);
        if (r >= 0)
                r = stdio ? sd_bus_message_append(m, "(sv)", "CollectMode", "s", "inactive-or-failed")
                          : sd_bus_message_append(m, "(sv)", "RemainAfterExit", "b", true);
        if (r >= 0 && !stdio)
                r = append_successes(m);
        if (r >= 0 && stdio)
                r = unit_append_stdio(m, stdio);
        if (r >= 0)
                r = unit_append_field(m, "LogExtraFields", field);
        if (r >= 0)
                r = append_command(m, command);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Returns 0 when an error has been replied. */
static int check(const Machine *machine, sd_bus_message *call, const Exec *e)
{
        uid_t uid;
        int r;

        if (machine->foreign || !machine->record.handed_over)
                return MIN(sd_bus_reply_method_errorf(call, SD_BUS_ERROR_NOT_SUPPORTED,
                                                      "Machine '%s' is none of mctl, or not up yet.",
                                                      machine->name),
                           0);
        if (!is_id(e->id))
                return MIN(sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS,
                                                      "An ID is 12 hexadecimal digits."),
                           0);
        if ((!e->request.command && !(e->request.flags & ENTER_LOGIN)) ||
            strv_length(e->request.command) > WORDS_MAX || e->request.flags > ENTER_FLAGS)
                return MIN(sd_bus_reply_method_errorf(
                                   call, SD_BUS_ERROR_INVALID_ARGS,
                                   "There is no command, or too much of it, or no such flag."),
                           0);
        r = caller_read(call, NULL, &uid);
        if (r >= 0 && (e->request.flags & ENTER_PRIVILEGED) && uid != 0)
                return MIN(sd_bus_reply_method_errorf(
                                   call, SD_BUS_ERROR_ACCESS_DENIED,
                                   "Only root runs programs without the bounds of the machine."),
                           0);
        return r < 0 ? r : 1;
}

int exec_in_machine(Registry *registry, Machine *machine, sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_(exec_clear) Exec e = { .request.machine = machine->name };
        _cleanup_free_ char *unit = NULL;
        int stdio[3], r;

        r = read_exec(call, &e);
        if (r >= 0)
                r = check(machine, call, &e);
        bool attached = r > 0 && !sd_bus_message_at_end(call, true);
        if (attached)
                r = unit_read_stdio(call, stdio);
        if (r <= 0)
                return r;
        unit = unit_name(machine, e.id);
        OOM_CHECK(unit);
        r = systemd_call(registry->bus, &request, "StartTransientUnit", "ss", unit, "fail");
        if (r >= 0)
                r = append_properties(request, machine, &e.request, attached ? stdio : NULL);
        if (r >= 0)
                r = sd_bus_message_append(request, "a(sa(sv))", 0);
        return r < 0 ? r : registry_forward(registry, TAKE_PTR(request), call, machine_reply_job, NULL);
}

int exec_kill(Registry *registry, Machine *machine, sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_free_ char *unit = NULL;
        const char *id;
        int32_t sig;
        int r;

        r = sd_bus_message_read(call, "si", &id, &sig);
        if (r < 0)
                return r;
        if (!is_id(id) || sig < 1 || sig > SIGRTMAX)
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS,
                                                  "That is no program in machine '%s', or no signal.",
                                                  machine->name);
        unit = unit_name(machine, id);
        OOM_CHECK(unit);
        r = systemd_call(registry->bus, &request, "KillUnit", "ssi", unit, "main", sig);
        return r < 0 ? r : registry_forward(registry, TAKE_PTR(request), call, machine_reply_nothing, NULL);
}
