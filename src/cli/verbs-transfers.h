/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "cli/context.h"

/* Verbs about transfers of images. Each returns an exit status, or a negative errno, logged. */
int verb_import(Context *c, char **args);
int verb_export(Context *c, char **args);
int verb_pull_tar(Context *c, char **args);
int verb_pull_raw(Context *c, char **args);
int verb_transfers(Context *c, char **args);
int verb_cancel(Context *c, char **args);

/* Makes a call of a method of the registry that starts a transfer. The caller releases it. */
int transfer_new(Context *c, const char *method, sd_bus_message **ret);
/* Starts the transfer, and waits for its end or, with --detach, prints its number. `what` is the title of
 * the progress and of errors. Returns an exit status, or a negative errno, logged. */
int transfer_run(Context *c, sd_bus_message *call, const char *what);
