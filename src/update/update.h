/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/work.h"
#include "state/scope.h"

/* Updates that are undone if they fail. The machine's image gets the content of another image, and snapshot
 * "update-trial" keeps the old version. The machine is then started. If the machine comes up healthy, the
 * snapshot is renamed to "before-update", and from then on the update is final. If the update is undone,
 * snapshot "failed-update" keeps the version that failed.
 *
 * An update runs in a unit of its own, so it does not depend on the client. If its process is killed,
 * ExecStopPost= of the unit undoes the update. After a power cut, mctl-undo.service undoes the update before
 * machines start. Failures have a text (basic/failure.h). */

/* Updates a machine, and returns when the update has succeeded or is undone. Returns the error that made the
 * update fail. */
int update_run(const Scope *scope, const UpdateRequest *request, UpdateAnswer *answer, char **ret_error);

/* Undoes the interrupted update of an image. Returns 1 with a text if an update was undone, otherwise 0.
 * With `booting`, the machine is not started: other units start the machines of the host. -EBUSY if the
 * update is still under way. */
int update_undo(const Scope *scope, const char *image, bool booting, char **ret_error);

/* Finds the image of the interrupted update of a machine. *ret_image is NULL if there is none. The caller
 * frees it. */
int update_find_interrupted(const Scope *scope, const char *machine, char **ret_image, char **ret_error);
