/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/mount.h"
#include "spec/spec.h"
#include "state/scope.h"

/* The steps of the launcher, as plain data. A plan is made from a validated spec and a look at the image. It
 * is complete before the first side effect, can be printed, and is the same for the same input.
 *
 * The launcher, as the host's root, mounts the tree of a machine in a mount namespace of its own. For file
 * systems that show namespaces of the machine (proc, sysfs, mqueue), the launcher enters these namespaces.
 * The first process of the container then copies the mount namespace into one that the machine's user
 * namespace owns. The kernel locks all mounts in the copy: no privilege inside can lift a read-only flag, or
 * look below a mount. Only the cgroup file system is mounted by the first process, since its root is the
 * cgroup of the process that mounts it. */

typedef enum StepKind {
        STEP_TMPFS,     /* an empty file system; mode, options */
        STEP_DEV,       /* a tmpfs with the standard device nodes and links */
        STEP_DEVPTS,    /* an instance of the pseudo terminals */
        STEP_NODE,      /* a device node like the host's source */
        STEP_DIR,       /* a directory; mode */
        STEP_FILE,      /* a file with the text in source; mode */
        STEP_COPY,      /* a file with the contents of the host's file source; mode */
        STEP_REPLACE,   /* as STEP_COPY, but replaces the target */
        STEP_LINK,      /* a symbolic link to source */
        STEP_REMOVE,    /* removes the target */
        STEP_BIND,      /* binds source to target; source is a path on the host, or in the image */
        STEP_OVERLAY,   /* an overlay of the layers of an entry */
        STEP_READ_ONLY, /* makes target read-only */
        STEP_WRITABLE,  /* keeps target writable when the step before makes its surroundings read-only */
        STEP_COVER,     /* shows source, a path inside, at target */
        STEP_HIDE,      /* hides target */
        STEP_PROC,
        STEP_SYSFS,
        STEP_CGROUP,
        STEP_MQUEUE,
        STEP_SYSCTL, /* the text in source written to target */
        _STEP_KIND_MAX,
} StepKind;

/* The extended attribute with the owner of a directory. */
#define OWNER_XATTR "user.mctl.machine"

typedef struct Step {
        StepKind kind;
        const char *target; /* as seen inside */
        const char *source;
        mode_t mode;
        const char *options;     /* of a tmpfs */
        unsigned attr;           /* MOUNT_ATTR_… */
        bool optional;           /* a missing target, or a missing source of a bind, is left out */
        bool strict;             /* the target is not a symbolic link */
        const char *owner;       /* the source is a directory, not a symbolic link, that has the name of this
                                    machine in OWNER_XATTR */
        const MountEntry *entry; /* the entry of [Files], with more details */
} Step;

typedef struct Plan {
        const Scope *scope;
        const Spec *spec;
        const char *root;               /* the directory of the image on the host */
        uint64_t namespaces;            /* CLONE_NEW… flags */
        Step *host_steps, *inner_steps; /* steps of the launcher, and of the first process */
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
        bool forward_ready; /* the init reports when the machine is up; otherwise the launcher does so at the
                               hand-over */
        MountEntry *entries;
        size_t n_entries;
        Strv texts; /* owns strings of the steps */
} Plan;

/* Facts that only the image and the time of the start determine. */
typedef struct PlanInput {
        const Scope *scope;
        const char *root;
        const char *init;    /* the program to run, as a path inside; for Boot=yes */
        const char *uuid;    /* 32 hexadecimal digits; in a plan that is only shown, a placeholder */
        const char *boot_id; /* a UUID */
        const char *notify;  /* the path of the socket that an init notifies */
        Strv host_os;        /* the fields of the host's os-release(5): key, value, and so on */
        bool has_localtime;  /* the image sets its time zone */
        bool silent;         /* the init does not report when the machine is up */
        unsigned systemd;    /* the version of systemd in the image, 0 if unknown */
} PlanInput;

/* Makes the plan, which refers to spec and input: both must outlive the plan. -ENOMEM only. */
int plan_new(const Spec *spec, const PlanInput *input, Plan **ret);
void plan_free(Plan *plan);
DEFINE_CLEANUP(Plan *, plan_free);
#define _cleanup_plan_ _cleanup_(plan_free_cleanup)

/* Adds the environment variables of each program in a machine. */
int plan_base_environment(Strv *environment);

/* Describes the plan for people and golden tests. Returns a new reference. */
json_t *plan_to_json(const Plan *plan);
