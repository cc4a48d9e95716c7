/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/mount.h"
#include "spec/spec.h"
#include "state/scope.h"

/* What the launcher will do, as plain data: made from a validated spec and a look at the image, complete
 * before the first side effect, printable, and the same for the same input.
 *
 * A machine's tree is put together by the launcher, as the host's root, in a mount namespace of its own;
 * what shows namespaces of the machine (proc, sysfs, mqueue) it mounts while it is in these. The first
 * process of the container then takes a copy of that mount namespace into one that its user namespace owns:
 * the kernel locks every mount in the copy, so that no privilege inside can lift a read-only flag or look
 * below a mount. Only the cgroup file system is mounted by that process itself: its root is where the
 * process is. */

typedef enum StepKind {
        STEP_TMPFS,     /* an empty file system; mode, options */
        STEP_DEV,       /* a tmpfs with the standard device nodes and links */
        STEP_DEVPTS,    /* its own instance of the pseudo terminals */
        STEP_NODE,      /* a device node like the host's source */
        STEP_DIR,       /* a directory; mode */
        STEP_FILE,      /* a file with the text in source; mode */
        STEP_COPY,      /* a file with what the host's file source holds; mode */
        STEP_REPLACE,   /* the same, in the place of what is there */
        STEP_LINK,      /* a symbolic link to source */
        STEP_REMOVE,    /* no file */
        STEP_BIND,      /* the host's source at target, or the image's */
        STEP_OVERLAY,   /* the layers of an entry */
        STEP_READ_ONLY, /* what is at target, not to be written from here on */
        STEP_WRITABLE, /* what is at target, kept as it is when the step before hides or locks what is around
                          it */
        STEP_COVER,    /* what is at source inside, also at target */
        STEP_HIDE,     /* nothing to be seen at target */
        STEP_PROC,
        STEP_SYSFS,
        STEP_CGROUP,
        STEP_MQUEUE,
        STEP_SYSCTL, /* the text in source written to target */
        _STEP_KIND_MAX,
} StepKind;

/* What says whose a directory is. */
#define OWNER_XATTR "user.mctl.machine"

typedef struct Step {
        StepKind kind;
        const char *target; /* as seen inside */
        const char *source;
        mode_t mode;
        const char *options; /* of a tmpfs */
        unsigned attr;       /* MOUNT_ATTR_… */
        bool optional;       /* a target, or a bind's source, that is not there is left out */
        bool strict;         /* the target is no link */
        const char *owner;   /* the source is a directory, no link, with the name of this machine on it */
        const MountEntry *entry; /* more about what is in [Files] */
} Step;

typedef struct Plan {
        const Scope *scope;
        const Spec *spec;
        const char *root;               /* the directory, on the host */
        uint64_t namespaces;            /* CLONE_NEW… */
        Step *host_steps, *inner_steps; /* of the launcher, and of the first process */
        size_t n_host_steps, n_inner_steps;
        uint64_t capabilities; /* the bounding set, a bit for each CAP_… */
        char *filter;          /* the name of the seccomp program; NULL for none */
        Strv argv, environment;
        char uuid[33];
        char boot_id[37]; /* a UUID, "" in a machine that has the boot ID of the host */
        const char *hostname;
        ConsoleMode console; /* not auto */
        bool has_notify;     /* the init has a socket to notify */
        bool relaxes_proc;   /* services inside run without settings that need a new proc */
        bool forward_ready; /* the init says when the machine is up; else the launcher does, at the hand-over
                             */
        MountEntry *entries;
        size_t n_entries;
        Strv texts; /* owns strings of the steps */
} Plan;

/* What only the image and the moment can tell. */
typedef struct PlanInput {
        const Scope *scope;
        const char *root;
        const char *init; /* the program to run, as seen inside; for Boot=yes */
        const char
                *uuid; /* 32 hexadecimal digits, or in a plan that is only shown, a word for those to come */
        const char *boot_id; /* a UUID */
        const char *notify;  /* the path of the socket that an init notifies */
        Strv host_os;        /* the fields of the host's os-release(5): key, value, and so on */
        bool has_localtime;  /* the image says where it is */
        bool silent;         /* the init does not say when the machine is up */
        unsigned systemd;    /* the version of systemd in the image, 0 if unknown */
} PlanInput;

/* Makes the plan; it refers to spec and input, which must outlive it. -ENOMEM only. */
int plan_new(const Spec *spec, const PlanInput *input, Plan **ret);
void plan_free(Plan *plan);
DEFINE_CLEANUP(Plan *, plan_free);
#define _cleanup_plan_ _cleanup_(plan_free_cleanup)

/* The variables that every program of a machine has. */
int plan_base_environment(Strv *environment);

/* For people and golden tests. A new reference. */
json_t *plan_to_json(const Plan *plan);
