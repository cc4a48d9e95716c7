/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/exec.h"

#include <signal.h>

#include "basic/fd.h"
#include "manager/answer.h"
#include "manager/machine.h"
#include "manager/manager.h"
#include "spec/enter.h"
#include "systemd/unit-request.h"

#define WORDS_MAX 4096U
#define ID_LENGTH 12U

#define EXEC_FIELDS                                                                                     \
        FIELD(ExecArguments, FIELD_STRING, "id", id), FIELD(ExecArguments, FIELD_STRING, "user", user), \
                FIELD(ExecArguments, FIELD_STRING, "directory", directory),                             \
                FIELD(ExecArguments, FIELD_STRINGS, "environment", environment),                        \
                FIELD(ExecArguments, FIELD_STRINGS, "command", command),                                \
                FIELD(ExecArguments, FIELD_UINT64, "flags", flags)

static DEFINE_SCHEMA(exec_arguments, ExecArguments, EXEC_FIELDS,
                     FIELD(ExecArguments, FIELD_FD, "stdin", in_fd),
                     FIELD(ExecArguments, FIELD_FD, "stdout", out_fd),
                     FIELD(ExecArguments, FIELD_FD, "stderr", error_fd));
static DEFINE_SCHEMA(detached_arguments, ExecArguments, EXEC_FIELDS);
static DEFINE_SCHEMA(kill_arguments, ExecKillArguments, FIELD(ExecKillArguments, FIELD_STRING, "id", id),
                     FIELD(ExecKillArguments, FIELD_INT, "signal", signal));

/* 12 digits make an ID that no other program has. */
static bool is_id(const char *id)
{
        return id && strlen(id) == ID_LENGTH && strspn(id, "0123456789abcdef") == ID_LENGTH;
}

static char *unit_name(const Machine *m, const char *id)
{
        return strf("mctl-exec-%s-%s.service", m->name, id);
}

static int details(const Call *call, const void *arguments, Strv *ret)
{
        const ExecArguments *a = arguments;
        _cleanup_free_ char *line = a->command ? strv_join_words(a->command) : strdup("");

        (void) call;
        OOM_CHECK(line);
        return strv_extend(ret, (char *[]){ (char *) "user", isempty(a->user) ? (char *) "root" : a->user,
                                            (char *) "command_line", line, NULL });
}

/* Makes the description of the unit. */
static char *describe(const Machine *m, const ExecArguments *a)
{
        _cleanup_free_ char *line = a->command ? strv_join_words(a->command) : strdup("a shell"),
                            *shown = line ? str_escape(line) : NULL;

        char *text = shown ? strf("%s: %.200s", m->name, shown) : NULL;
        if (text)
                str_repair(text);
        return text;
}

/* The unit ends with the machine. While the machine runs, a caller can read the result of a detached
 * program. A program that no caller waits for never counts as a failure of the host. */
static int start(Call *call, const Machine *m, const ExecArguments *a, bool attached)
{
        const EnterRequest enter = { m->name, a->user, a->directory, a->environment, a->command, a->flags };
        _cleanup_free_ char *unit = unit_name(m, a->id), *what = describe(m, a),
                            *field = strf("MACHINE=%s", m->name);
        _cleanup_unit_request_ UnitRequest *q = NULL;
        _cleanup_strv_ Strv command = NULL;
        int r;

        if (!unit || !what || !field)
                return -ENOMEM;
        r = enter_command(&enter, &command);
        if (r < 0)
                return r;
        q = unit_request_start(m->manager->systemd, unit);
        OOM_CHECK(q);
        unit_request_add(q, "Description", "s", what);
        unit_request_add(q, "BindsTo", "as", 1, m->unit);
        unit_request_add(q, "After", "as", 1, m->unit);
        unit_request_add(q, "SyslogIdentifier", "s", m->name);
        unit_request_add(q, "TimeoutStopUSec", "t", 10 * USEC_PER_SEC);
        unit_request_add(q, "SendSIGHUP", "b", true);
        if (attached) {
                unit_request_add(q, "CollectMode", "s", "inactive-or-failed");
                unit_request_add_stdio(q, (const int[]){ a->in_fd, a->out_fd, a->error_fd });
        } else {
                unit_request_add(q, "RemainAfterExit", "b", true);
                unit_request_add_all_successes(q);
        }
        unit_request_add_field(q, "LogExtraFields", field);
        unit_request_add_verbatim(q, "ExecStart", command);
        return unit_request_send(q, call_answer_job, call);
}

/* Returns what is wrong with the arguments, or NULL. */
static const char *find_mistake(const ExecArguments *a, bool attached)
{
        if (!is_id(a->id))
                return "An ID has 12 hexadecimal digits.";
        if (!a->command && !(a->flags & ENTER_LOGIN))
                return "There is no command to run.";
        if (strv_length(a->command) > WORDS_MAX)
                return "A command has at most 4096 words.";
        if (a->flags > ENTER_FLAGS)
                return "The flags have an unknown bit.";
        if (attached && (!fd_is_stream(a->in_fd) || !fd_is_stream(a->out_fd) || !fd_is_stream(a->error_fd)))
                return "Standard input and output cannot be directories.";
        return NULL;
}

static int exec(Call *call, Machine *m, const ExecArguments *a, bool attached)
{
        const char *mistake = find_mistake(a, attached);

        if (m->foreign || !m->record.handed_over)
                call_fail(call, ERROR_NOT_SUPPORTED,
                          "Machine '%s' was not started by mctl, or is not up yet.", m->name);
        else if (mistake)
                call_fail(call, ERROR_INVALID_ARGUMENT, "%s", mistake);
        else if ((a->flags & ENTER_PRIVILEGED) && call->caller.uid != m->manager->scope->owner)
                call_fail(call, ERROR_DENIED, "Only root runs programs without the bounds of the machine.");
        else
                return start(call, m, a, attached);
        return 0;
}

static int exec_attached(Call *call, Machine *m, const void *arguments)
{
        return exec(call, m, arguments, true);
}

static int exec_detached(Call *call, Machine *m, const void *arguments)
{
        return exec(call, m, arguments, false);
}

static int exec_kill(Call *call, Machine *m, const void *arguments)
{
        const ExecKillArguments *a = arguments;
        _cleanup_free_ char *unit = NULL;

        if (!is_id(a->id)) {
                _cleanup_free_ char *shown = call_show(strna(a->id));
                call_fail(call, ERROR_INVALID_ARGUMENT, "Machine '%s' has no program '%s'.", m->name,
                          strna(shown));
                return 0;
        }
        if (a->signal < 1 || a->signal > SIGRTMAX) {
                call_fail(call, ERROR_INVALID_ARGUMENT, "There is no signal %i.", a->signal);
                return 0;
        }
        unit = unit_name(m, a->id);
        OOM_CHECK(unit);
        return systemd_kill_unit(m->manager->systemd, unit, "main", a->signal, call_answer_nothing, call);
}

const Operation operation_exec = { "exec",
                                   TARGET_MACHINE,
                                   .arguments = &exec_arguments,
                                   .answer = &job_answer_schema,
                                   .policy = POLICY_EXEC,
                                   .run = exec_attached,
                                   .details = details };
const Operation operation_exec_detached = { "exec",
                                            TARGET_MACHINE,
                                            .arguments = &detached_arguments,
                                            .answer = &job_answer_schema,
                                            .policy = POLICY_EXEC,
                                            .run = exec_detached,
                                            .details = details };
const Operation operation_exec_kill = { "kill", TARGET_MACHINE, .arguments = &kill_arguments,
                                        .policy = POLICY_EXEC, .run = exec_kill };
