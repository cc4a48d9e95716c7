/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Defaults of the sanitizers, for builds with -Db_sanitize=address,undefined. A report ends the program, and
 * goes to a file where the tests look for it. Leaks are not reported; for programs that live long,
 * $ASAN_OPTIONS enables the search for leaks. */

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
