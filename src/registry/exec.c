/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "registry/exec.h"

#include <signal.h>

#include "registry/polkit.h"
#include "registry/unit.h"

#define WORDS_MAX 4096U

enum {
        FLAG_INTERACTIVE = 1,
        FLAG_TERMINAL = 2,
        FLAG_PRIVILEGED = 4,
        FLAG_LOGIN = 8,
};

/* What a call says, up to its descriptors. The texts are the message's. */
typedef struct Exec {
        const char *id, *user, *directory;
        Strv environment, command;
        uint64_t flags;
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
        strv_free(e->environment);
        strv_free(e->command);
}

static int read_exec(sd_bus_message *call, Exec *e)
{
        int r;

        r = sd_bus_message_read(call, "sss", &e->id, &e->user, &e->directory);
        if (r >= 0)
                r = sd_bus_message_read_strv(call, &e->environment);
        if (r >= 0)
                r = sd_bus_message_read_strv(call, &e->command);
        return r < 0 ? r : sd_bus_message_read(call, "t", &e->flags);
}

int exec_details(sd_bus_message *call, Strv *ret)
{
        _cleanup_(exec_clear) Exec e = {};
        _cleanup_free_ char *line = NULL;
        int r;

        r = read_exec(call, &e);
        if (r < 0)
                return r;
        line = e.command ? strv_join_words(e.command) : strdup("");
        OOM_CHECK(line);
        return strv_extend(ret, (char *[]){ (char *) "user", (char *) (isempty(e.user) ? "root" : e.user),
                                            (char *) "command_line", line, NULL });
}

/* The command line of mctl-enter. Behind "--", nothing is an option. */
static int make_command(const Exec *e, const char *name, Strv *ret)
{
        static const struct {
                uint64_t flag;
                const char *option;
        } switches[] = { { FLAG_INTERACTIVE, "--interactive" },
                         { FLAG_TERMINAL, "--tty" },
                         { FLAG_PRIVILEGED, "--privileged" },
                         { FLAG_LOGIN, "--login" } };
        _cleanup_strv_ Strv l = NULL;
        int r;

        r = strv_append(&l, ENTER);
        if (r >= 0 && !isempty(e->user))
                r = strv_appendf(&l, "--user=%s", e->user);
        if (r >= 0 && !isempty(e->directory))
                r = strv_appendf(&l, "--workdir=%s", e->directory);
        STRV_FOREACH (s, e->environment)
                if (r >= 0)
                        r = strv_appendf(&l, "--env=%s", *s);
        for (size_t i = 0; i < ELEMENTSOF(switches) && r >= 0; i++)
                if (e->flags & switches[i].flag)
                        r = strv_append(&l, switches[i].option);
        if (r >= 0)
                r = strv_append(&l, "--");
        if (r >= 0)
                r = strv_append(&l, name);
        if (r >= 0)
                r = strv_extend(&l, e->command);
        if (r >= 0)
                *ret = TAKE_PTR(l);
        return r;
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
static int append_properties(sd_bus_message *m, const Machine *machine, const Exec *e, const Strv command,
                             const int *stdio)
{
        _cleanup_free_ char *line = e->command ? strv_join_words(e->command) : strdup("a shell"),
                            *shown = line ? str_escape(line) : NULL,
                            *what = shown ? strf("%s: %.200s", machine->name, shown) : NULL,
                            *field = strf("MACHINE=%s", machine->name);
        int r;

        if (!what || !field)
                return -ENOMEM;
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

/* The name of the unit goes back to the caller with the job. */
typedef struct Answer {
        sd_bus_message *call;
        char *unit;
} Answer;

static void answer_free(Answer *answer)
{
        sd_bus_message_unref(answer->call);
        free(answer->unit);
        free(answer);
}
DEFINE_CLEANUP(Answer *, answer_free);

static int on_started(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(answer_free_cleanup) Answer *answer = userdata;
        const char *job;
        int r;

        (void) ret_error;
        if (sd_bus_message_get_error(reply))
                r = sd_bus_reply_method_error(answer->call, sd_bus_message_get_error(reply));
        else {
                r = sd_bus_message_read(reply, "o", &job);
                if (r >= 0)
                        r = sd_bus_reply_method_return(answer->call, "so", answer->unit, job);
        }
        return r;
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
        if ((!e->command && !(e->flags & FLAG_LOGIN)) || strv_length(e->command) > WORDS_MAX ||
            e->flags > 15)
                return MIN(sd_bus_reply_method_errorf(
                                   call, SD_BUS_ERROR_INVALID_ARGS,
                                   "There is no command, or too much of it, or no such flag."),
                           0);
        r = caller_read(call, NULL, &uid);
        if (r >= 0 && (e->flags & FLAG_PRIVILEGED) && uid != 0)
                return MIN(sd_bus_reply_method_errorf(
                                   call, SD_BUS_ERROR_ACCESS_DENIED,
                                   "Only root runs programs without the bounds of the machine."),
                           0);
        return r < 0 ? r : 1;
}

int exec_in_machine(Registry *registry, Machine *machine, sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_(answer_free_cleanup) Answer *answer = NULL;
        _cleanup_(exec_clear) Exec e = {};
        _cleanup_strv_ Strv command = NULL;
        int stdio[3], r;

        r = read_exec(call, &e);
        bool attached = r >= 0 && !sd_bus_message_at_end(call, true);
        if (attached)
                r = sd_bus_message_read(call, "hhh", stdio, stdio + 1, stdio + 2); /* the message's */
        if (r >= 0)
                r = check(machine, call, &e);
        if (r <= 0)
                return r;
        r = make_command(&e, machine->name, &command);
        if (r < 0)
                return r;
        answer = calloc(1, sizeof(Answer));
        OOM_CHECK(answer);
        answer->call = sd_bus_message_ref(call);
        answer->unit = unit_name(machine, e.id);
        OOM_CHECK(answer->unit);
        r = systemd_call(registry->bus, &request, "StartTransientUnit", "ss", answer->unit, "fail");
        if (r >= 0)
                r = append_properties(request, machine, &e, command, attached ? stdio : NULL);
        if (r >= 0)
                r = sd_bus_message_append(request, "a(sa(sv))", 0);
        if (r < 0)
                return r;
        r = registry_forward(registry, TAKE_PTR(request), call, on_started, answer);
        if (r >= 0)
                TAKE_PTR(answer);
        return r;
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
