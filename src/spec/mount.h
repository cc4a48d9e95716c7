/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "basic/str.h"

/* The entries of [Files], in the form of systemd-nspawn: parts are separated by colons, and "\:" is a
 * colon. */

typedef enum IdMap {
        ID_MAP_AUTO, /* as for the root: the owner on the host has the same number inside */
        /* owners keep their number on the host; owners outside of the machine's range are nobody inside */
        ID_MAP_NONE,
        ID_MAP_ROOT,  /* root of the host is root inside, all others are nobody */
        ID_MAP_OWNER, /* the owner of the source is root inside */
} IdMap;

typedef struct MountEntry {
        /* on the host. Of a bind: "" for a new directory in memory. Of an overlay: the upper directory */
        char *source;
        char *target;         /* inside the machine */
        Strv lower;           /* lower directories of an overlay, topmost first */
        char *options;        /* of a tmpfs, for the kernel */
        uid_t uid, gid;       /* owners of a tmpfs inside */
        unsigned attr;        /* MOUNT_ATTR_… to set, see mount_setattr(2) */
        unsigned propagation; /* MS_PRIVATE or MS_SLAVE */
        IdMap id_map;
        bool in_image; /* "+": the source is relative to the image */
        bool optional; /* "-": left out if the source is missing */
        bool recursive;
} MountEntry;

void mount_entry_clear(MountEntry *entry);
#define _cleanup_mount_entry_ _cleanup_(mount_entry_clear)

/* [+-]SOURCE[:TARGET[:OPTION,…]], with the options rbind, norbind, idmap, noidmap, rootidmap, owneridmap,
 * private, slave, and the flags of mount(8). An empty source is a new directory in memory. */
int mount_entry_parse_bind(const char *s, MountEntry *ret);
/* Whether a word is an option of a bind. */
bool mount_option_is_of_bind(const char *word);
/* PATH[:OPTION,…], with options of tmpfs(5) and the flags of mount(8). */
int mount_entry_parse_tmpfs(const char *s, MountEntry *ret);
/* LOWER:…:UPPER[:TARGET]. If read_only is true, all directories are lower: LOWER:LOWER:…:TARGET. */
int mount_entry_parse_overlay(const char *s, bool read_only, MountEntry *ret);

/* PATH[:INSIDE][:rwm] */
typedef struct DeviceEntry {
        char *source, *target;
        char permissions[4]; /* letters of "rwm" */
} DeviceEntry;

void device_entry_clear(DeviceEntry *entry);
#define _cleanup_device_entry_ _cleanup_(device_entry_clear)

/* Parses a device. The target is below /dev. Permissions are "rwm" if none are given. */
int device_entry_parse(const char *s, DeviceEntry *ret);

/* Whether `path` is absolute and in normal form: without "//", "." and "..". */
bool path_is_normal(const char *path) _pure_;
