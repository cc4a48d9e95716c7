/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spec/enter.h"
#include "config.h"

int enter_command(const EnterRequest *request, Strv *ret)
{
        static const struct {
                uint64_t flag;
                const char *option;
        } switches[] = { { ENTER_INTERACTIVE, "--interactive" },
                         { ENTER_TERMINAL, "--tty" },
                         { ENTER_PRIVILEGED, "--privileged" },
                         { ENTER_LOGIN, "--login" } };
        _cleanup_strv_ Strv l = NULL;
        int r;

        r = strv_append(&l, ENTER);
        if (r >= 0 && !isempty(request->user))
                r = strv_appendf(&l, "--user=%s", request->user);
        if (r >= 0 && !isempty(request->directory))
                r = strv_appendf(&l, "--workdir=%s", request->directory);
        STRV_FOREACH (s, request->environment)
                if (r >= 0)
                        r = strv_appendf(&l, "--env=%s", *s);
        for (size_t i = 0; i < ELEMENTSOF(switches) && r >= 0; i++)
                if (request->flags & switches[i].flag)
                        r = strv_append(&l, switches[i].option);
        /* Behind this, nothing is an option. */
        if (r >= 0)
                r = strv_append(&l, "--");
        if (r >= 0)
                r = strv_append(&l, request->machine);
        if (r >= 0)
                r = strv_extend(&l, request->command);
        if (r >= 0)
                *ret = TAKE_PTR(l);
        return r;
}
