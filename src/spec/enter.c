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

        r = strv_append(&l, ENTER_PROGRAM);
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
        /* All words after "--" are arguments. */
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

/* The service manager in the machine expands variables, and makes "$" of "$$" (systemd.service(5)). */
static int append_unexpanded(Strv *l, const char *word)
{
        _cleanup_free_ char *doubled = malloc(strlen(word) * 2 + 1);
        char *p = doubled;

        OOM_CHECK(doubled);
        for (const char *c = word; *c; c++) {
                if (*c == '$')
                        *p++ = '$';
                *p++ = *c;
        }
        *p = 0;
        return strv_append(l, doubled);
}

int session_command(const EnterRequest *request, const char *shell, Strv *ret)
{
        const char *streams = request->flags & ENTER_TERMINAL ? "--pty" : "--pipe";
        _cleanup_strv_ Strv l = NULL;
        int r;

        r = strv_extend(&l, (char *[]){ (char *) "/usr/bin/systemd-run", (char *) "--quiet",
                                        (char *) "--collect", (char *) "--wait", (char *) streams,
                                        (char *) "--service-type=exec", (char *) "--property=PAMName=login",
                                        (char *) "--property=SendSIGHUP=yes", NULL });
        if (r >= 0)
                r = strv_appendf(&l, "--property=User=%s", request->user);
        if (r >= 0)
                r = strv_appendf(&l, "--property=WorkingDirectory=%s", request->directory ?: "-~");
        STRV_FOREACH (s, request->environment)
                if (r >= 0)
                        r = strv_appendf(&l, "--setenv=%s", *s);
        if (r >= 0)
                r = strv_append(&l, "--");
        STRV_FOREACH (s, request->command)
                if (r >= 0)
                        r = append_unexpanded(&l, *s);
        if (r >= 0 && strv_length(request->command) == 0)
                r = strv_extend(&l, (char *[]){ (char *) (isempty(shell) ? "/bin/sh" : shell), (char *) "-l",
                                                NULL });
        if (r >= 0)
                *ret = TAKE_PTR(l);
        return r;
}
