/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "basic/str.h"

/* The instance of mctl that a program belongs to: its bus, its directories, its store of images, and its
 * owner. main() makes the scope and passes it on. No other code knows a path of the system's instance.
 *
 * Without $MCTL_SCOPE, it is the system's instance. Otherwise, $MCTL_SCOPE is the directory with all files
 * of another instance. This instance belongs to a service manager with its own runtime directory,
 * $XDG_RUNTIME_DIR, and its own bus, the socket "bus" in that directory. A user manager has both. */

typedef struct Scope {
        char *name;       /* the directory of another instance, or NULL for the system's */
        char *bus;        /* an address, or NULL for the system bus */
        char *run_dir;    /* removed by a reboot: /run/mctl */
        char *config_dir; /* the administrator's: /etc/mctl */
        char *vendor_dir; /* the distribution's: /usr/lib/mctl */
        char *state_dir;  /* /var/lib/mctl */
        char *cache_dir;  /* /var/cache/mctl */
        char *store;      /* of images: /var/lib/machines */
        /* RuntimeDirectory= of units, relative to the runtime directory of the service manager: "mctl" */
        char *runtime;
        uid_t owner; /* the user who needs no authorization by polkit */
} Scope;

/* Makes the scope from the environment. -EINVAL if $MCTL_SCOPE is no absolute path, or if $XDG_RUNTIME_DIR
 * is not set. */
int scope_new(Scope **ret);
void scope_free(Scope *scope);
DEFINE_CLEANUP(Scope *, scope_free);
#define _cleanup_scope_ _cleanup_(scope_free_cleanup)

/* Appends the variables for the environment of another program in the same scope. The system's instance
 * needs none. */
int scope_environment(const Scope *scope, Strv *environment);

/* Return the path of a file in the store, in the configuration directory, or in the runtime directory of the
 * scope. The caller frees it. NULL when out of memory. */
char *scope_store_path(const Scope *scope, const char *file);
char *scope_config_path(const Scope *scope, const char *file);
char *scope_run_path(const Scope *scope, const char *file);
