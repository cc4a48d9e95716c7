/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* -H for verbs that need more than the bus of the other host: streams, a terminal or files. ssh runs the
 * same command there. */

#include "cli/remote.h"

#include <unistd.h>

/* Quotes a word for the shell on the other host: nothing within '…' has a special meaning. */
static char *quote(const char *word)
{
        static const char apostrophe[] = "'\\''";
        _cleanup_free_ char *quoted = malloc(strlen(word) * strlen(apostrophe) + sizeof("''"));
        size_t n = 0;

        if (!quoted)
                return NULL;
        quoted[n++] = '\'';
        for (; *word; word++)
                if (*word == '\'') {
                        memcpy(quoted + n, apostrophe, strlen(apostrophe));
                        n += strlen(apostrophe);
                } else
                        quoted[n++] = *word;
        quoted[n++] = '\'';
        quoted[n] = 0;
        return TAKE_PTR(quoted);
}

int remote_run(Context *c, char **words, bool terminal)
{
        _cleanup_strv_ Strv command = NULL;
        int r;

        r = strv_extend(&command, (char *[]){ (char *) "ssh", (char *) (terminal ? "-t" : "-T"),
                                              (char *) "--", (char *) c->host, (char *) "mctl", NULL });
        STRV_FOREACH (word, words)
                if (r >= 0)
                        r = strv_consume(&command, quote(*word));
        if (r < 0)
                return log_oom();
        execvp(command[0], command);
        return log_error_errno(-errno, "Failed to execute ssh");
}
