/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl-enter: runs one more program in a running machine, for "mctl exec" and "mctl shell". See mctl(1). */

#include <getopt.h>
#include <string.h>

#include "basic/log.h"
#include "basic/names.h"
#include "config.h"
#include "launch/enter.h"

static void help(void)
{
        printf("mctl-enter [OPTION…] NAME [COMMAND…]\n"
               "\n"
               "Runs a command in a machine that is up; without one, the shell of the user.\n"
               "\n"
               "  -h --help        Show this help\n"
               "     --version     Show the version\n"
               "  -u --user=       User inside\n"
               "  -w --workdir=    Directory inside\n"
               "  -e --env=        Environment variable\n"
               "  -i --interactive Keep standard input\n"
               "  -t --tty         Make a terminal, and send it over standard input\n"
               "  -l --login       The program is a login shell\n"
               "     --privileged  With all capabilities of the user namespace, and no filter\n");
}

static void tell(const char *text)
{
        log_error("%s", text);
}

int main(int argc, char *argv[])
{
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },       { "version", no_argument, NULL, 'v' },
                { "user", required_argument, NULL, 'u' }, { "workdir", required_argument, NULL, 'w' },
                { "env", required_argument, NULL, 'e' },  { "interactive", no_argument, NULL, 'i' },
                { "tty", no_argument, NULL, 't' },        { "login", no_argument, NULL, 'l' },
                { "privileged", no_argument, NULL, 'p' }, {},
        };
        _cleanup_scope_ Scope *scope = NULL;
        _cleanup_free_ char *error = NULL;
        _cleanup_strv_ Strv environment = NULL;
        EnterRequest q = {};
        int c, r;

        log_open();
        while ((c = getopt_long(argc, argv, "+hu:w:e:itl", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return 0;
                case 'v':
                        puts("mctl " MCTL_VERSION);
                        return 0;
                case 'u':
                        q.user = optarg;
                        break;
                case 'w':
                        q.directory = optarg;
                        break;
                case 'e':
                        if (strv_append(&environment, optarg) < 0)
                                return log_oom(), STATUS_NOT_RUN;
                        break;
                case 'i':
                        q.flags |= ENTER_INTERACTIVE;
                        break;
                case 't':
                        q.flags |= ENTER_TERMINAL;
                        break;
                case 'l':
                        q.flags |= ENTER_LOGIN;
                        break;
                case 'p':
                        q.flags |= ENTER_PRIVILEGED;
                        break;
                default:
                        return STATUS_NOT_RUN;
                }
        q.machine = argv[optind];
        if (!q.machine || !machine_name_valid(q.machine)) {
                log_error("Expected the name of a machine; see 'mctl-enter --help'.");
                return STATUS_NOT_RUN;
        }
        q.command = argv + optind + 1;
        if (!q.command[0] && !(q.flags & ENTER_LOGIN)) {
                log_error("Expected a command; see 'mctl-enter --help'.");
                return STATUS_NOT_RUN;
        }
        r = scope_new(&scope);
        if (r < 0) {
                log_error_errno(r, "Failed to find out which instance this is");
                return STATUS_NOT_RUN;
        }
        q.environment = environment;
        r = enter_run(scope, &q, argv, tell, &error);
        if (r >= 0)
                return r;
        log_error("%s", error ?: strerror(-r));
        return STATUS_NOT_RUN;
}
