/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the sanitizers are told in builds with them (-Db_sanitize=address,undefined): a report ends the program, and goes where it is looked
 * for. Leaks are looked for where a program lives long, by $ASAN_OPTIONS. */

#define REPORTS "log_path=/run/mctl-sanitizer:abort_on_error=1"

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
        return REPORTS ":detect_leaks=0";
}

__attribute__((visibility("default"))) const char *__ubsan_default_options(void)
{
        return REPORTS ":halt_on_error=1:print_stacktrace=1";
}
