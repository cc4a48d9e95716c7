/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/operation.h"

#include "manager/foreign.h"
#include "manager/machine.h"
#include "manager/manager.h"

static const Policy *policy_of(const Call *call)
{
        return policy_find(call->operation->policy, call->family);
}

/* For clients of systemd, "self" is the machine of the caller. */
static Machine *find_machine(const Call *call)
{
        Machine *m;

        if (streq(call->target, HOST_NAME) && policy_of(call)->host_action)
                return call->manager->host;
        if (call->family == FAMILY_MCTL)
                return manager_find(call->manager, call->target);
        m = manager_find_registered(call->manager, call->target);
        if (m)
                return m;
        return streq(call->target, "self") ? machine_of_process(call->manager, call->caller.pid) : NULL;
}

static void fail_unknown(Call *call)
{
        _cleanup_free_ char *shown = call_show(call->target);

        call_fail(call, ERROR_NO_SUCH_MACHINE, "No machine '%s' is running.", strna(shown));
}

static void run(Call *call)
{
        const Operation *o = call->operation;
        Machine *m = NULL;
        int r;

        if (o->target == TARGET_MACHINE) {
                m = find_machine(call);
                if (!m)
                        return fail_unknown(call);
        }
        r = o->run(call, m, call->arguments);
        if (r < 0)
                call_fail_error(call, &(Error){ ERROR_ERRNO, -r, .message = strerror(-r) });
}

/* A password may have taken long, so the machine is looked up anew. */
static void run_granted(Call *call)
{
        if (call->operation->refresh)
                manager_refresh_then(call->manager, call, run);
        else
                run(call);
}

static void on_verdict(void *userdata, PolicyVerdict verdict, const char *message)
{
        Call *call = userdata;

        call->manager->n_pending--;
        manager_touch(call->manager);
        if (verdict == POLICY_GRANTED)
                run_granted(call);
        else
                call_fail(call, verdict == POLICY_DENIED ? ERROR_DENIED : ERROR_ASK_PASSWORD, "%s", message);
}

static const char *verb_of(const Call *call)
{
        const Operation *o = call->operation;

        if (policy_of(call)->verb)
                return policy_of(call)->verb;
        return o->find_verb ? o->find_verb(call, call->arguments) : o->verb;
}

static int ask(Call *call, const char *action)
{
        const Operation *o = call->operation;
        _cleanup_strv_ Strv details = NULL;
        int r;

        if (!call->manager->ask_policy) {
                call_fail(call, ERROR_DENIED,
                          "Only the owner of this instance may call this method: there is no polkit.");
                return 0;
        }
        r = o->details ? o->details(call, call->arguments, &details) : 0;
        if (r < 0)
                return r;
        call->manager->n_pending++;
        r = call->manager->ask_policy(
                call->manager->policy_userdata,
                &(PolicyQuestion){ .caller = &call->caller,
                                   .action = action,
                                   .verb = verb_of(call),
                                   .machine = o->target == TARGET_MACHINE || o->target == TARGET_MACHINE_NAME
                                                      ? call->target
                                                      : "",
                                   .details = details,
                                   .told = on_verdict,
                                   .userdata = call });
        if (r < 0)
                call->manager->n_pending--;
        if (r == -EUSERS) {
                call_fail(call, ERROR_LIMIT,
                          "Too many questions to polkit are waiting for an answer; try again later.");
                return 0;
        }
        return r;
}

/* polkit is not asked for the owner of the scope, and need not be installed. */
static void authorize(Call *call, const Machine *m)
{
        const Policy *policy = policy_of(call);
        const char *action = m && machine_is_host(m) ? policy->host_action : policy->action;
        int r;

        if (!action || call->granted || call->caller.uid == call->manager->scope->owner ||
            (policy->owner && m && foreign_is_of(m, call->caller.uid)))
                return run_granted(call);
        r = ask(call, action);
        if (r < 0)
                call_fail_errno(call, r, "polkit cannot be asked");
}

static void authorize_machine(Call *call)
{
        const Machine *m = find_machine(call);

        if (m)
                authorize(call, m);
        else
                fail_unknown(call);
}

void operation_begin(Call *call)
{
        const Operation *o = call->operation;

        manager_touch(call->manager);
        if (o->judge) {
                int r = o->judge(call, call->arguments);
                if (r < 0)
                        call_fail_error(call, &(Error){ ERROR_ERRNO, -r, .message = strerror(-r) });
                if (r <= 0)
                        return;
        }
        if (o->target == TARGET_MACHINE)
                manager_refresh_then(call->manager, call, authorize_machine);
        else
                authorize(call, NULL);
}
