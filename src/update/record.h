/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "state/scope.h"

/* The record of an update exists from the beginning of the update until it has succeeded or is undone. It is
 * a file for each image in STATE/updates: {"name": the machine, "runs": whether the machine was running,
 * "spec": the spec of a running machine that has no machine file}. A process that works on an update holds
 * the lock of the image, which ends with the process. A record without a lock is an interrupted update. Only
 * root can read the files, since specs may have secrets. Failures have a text (basic/failure.h). */

typedef struct UpdateRecord {
        char *name, *image; /* the machine, and its image in the store */
        bool runs;
        char *spec; /* JSON, or "" */
} UpdateRecord;

void update_record_clear(UpdateRecord *record);
#define _cleanup_update_record_ _cleanup_(update_record_clear)

/* Locks an image. -EBUSY with a text if an update is under way. Returns a descriptor, which holds the lock
 * until it is passed to update_unlock(). update_unlock() returns -EBADF. */
int update_lock(const Scope *scope, const char *image, char **ret_error);
int update_unlock(const Scope *scope, const char *image, int lock_fd);

/* Writes the record, and returns when it is on disk. */
int update_record_write(const Scope *scope, const UpdateRecord *record, char **ret_error);

/* Reads a record. -ENOENT without a text if there is none. */
int update_record_read(const Scope *scope, const char *image, UpdateRecord *ret, char **ret_error);

/* Removes a record. A missing record is no error. */
int update_record_remove(const Scope *scope, const char *image, char **ret_error);

/* Lists the images that have a record, readable or not. The caller frees the list. */
int update_record_list(const Scope *scope, Strv *ret, char **ret_error);
