/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "basic/log.h"
#include "basic/names.h"
#include "cli/terminal.h"
#include "spec/enter.h"
#include "spec/spec.h"
#include "state/scope.h"

/* Exit statuses that mean the same for every verb; see mctl(1). */
enum {
        EXIT_STATUS_FAILURE = 1,              /* the operation failed */
        EXIT_STATUS_USAGE = 2,                /* the command line was wrong */
        EXIT_STATUS_NOT_RUN = STATUS_NOT_RUN, /* run and exec: the command was not run */
};

typedef enum OutputMode {
        OUTPUT_TEXT,
        OUTPUT_JSON,
        OUTPUT_JSON_PRETTY,
} OutputMode;

/* Options of run and exec that are not settings of machine files, as they were given. */
typedef struct RunOptions {
        bool interactive, terminal, detach, remove, privileged, list, wait;
        Strv environment, environment_files, volumes, mounts, ulimits;
        const char *entrypoint, *memory, *cpus, *pids_limit, *restart, *stop_timeout, *pull;
} RunOptions;

/* The parsed command line, and what all verbs share. */
typedef struct Context {
        const Scope *scope;       /* of this host */
        const struct Verb *verbs; /* table of verbs, and below of options; an empty row ends each */
        const struct Option *options;
        sd_bus *bus;
        const char *host; /* the host of -H, or NULL */
        size_t width;     /* maximal width of table rows, in characters; 0: unlimited */

        OutputMode output;
        bool help, version;
        bool quiet, legend, pager, ask_password;
        bool all, dry_run, wait, follow, raw, now, effective, runtime, force, copy, keep_identity,
                enable_quotas, make_target, stream, attach, default_keys, size;
        const char *name, *slice, *signal, *kill_whom, *wait_for, *since, *format, *image_type, *verify, *to,
                *health, *timeout, *digest, *sign;
        Strv properties;
        int lines;  /* -1: the default of the verb */
        Spec *spec; /* settings given as options */
        RunOptions run;
        DetachKeys keys;
} Context;
