/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/str.h"

/* The entries of [Files]: colon-separated, "\:" being a colon, as systemd-nspawn has them. */

typedef enum IdMap {
        ID_MAP_AUTO,  /* as the root's: what belongs to a user outside belongs to the same number inside */
        ID_MAP_NONE,  /* owners stay what they are on the host: nobody inside, unless mapped */
        ID_MAP_ROOT,  /* the host's root is root inside, others are nobody */
        ID_MAP_OWNER, /* the owner of the source is root inside */
} IdMap;

typedef struct MountEntry {
        char *source; /* on the host; of a bind, "" for a new directory in memory; of an overlay, its upper one */
        char *target;  /* inside */
        Strv lower;    /* of an overlay, topmost first */
        char *options; /* of a tmpfs */
        IdMap id_map;
        bool in_image; /* "+": the source is relative to the image */
        bool optional; /* "-": left out where the source is not there */
        bool recursive;
} MountEntry;

void mount_entry_clear(MountEntry *entry);
#define _cleanup_mount_entry_ _cleanup_(mount_entry_clear)

/* [+-]SOURCE[:TARGET[:OPTION,…]], with options rbind, norbind, idmap, noidmap, rootidmap, owneridmap. An empty source
 * is a new directory in memory. */
int mount_entry_parse_bind(const char *s, MountEntry *ret);
/* PATH[:OPTIONS] */
int mount_entry_parse_tmpfs(const char *s, MountEntry *ret);
/* LOWER:…:UPPER[:TARGET]; with read_only, all are lower: LOWER:LOWER:…:TARGET */
int mount_entry_parse_overlay(const char *s, bool read_only, MountEntry *ret);

/* PATH[:INSIDE][:rwm] */
typedef struct DeviceEntry {
        char *source, *target;
        char permissions[4]; /* of "rwm" */
} DeviceEntry;

void device_entry_clear(DeviceEntry *entry);
#define _cleanup_device_entry_ _cleanup_(device_entry_clear)

/* The target is below /dev; permissions are "rwm" where none are given. */
int device_entry_parse(const char *s, DeviceEntry *ret);

/* An absolute path in normal form: no "//", no "." and "..". */
bool path_is_normal(const char *path) _pure_;
