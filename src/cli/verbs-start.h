/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/bus.h"

/* Verbs that start machines. Each returns an exit status, or a negative errno, logged. */
int verb_boot(Context *c, char **args);
int verb_start(Context *c, char **args);
int verb_enable(Context *c, char **args);
int verb_disable(Context *c, char **args);

/* For boot, run and create: puts the image, name, properties and slice into the spec. Errors are logged. */
int start_fill_image(Context *c, const char *image);
int start_print_plan(Context *c, const char *spec);
/* Reads the answer of StartMachine() or RunMachine(), and logs the warnings in it. The message owns the
 * strings. */
int start_read_reply(sd_bus_message *reply, const char **ret_unit, const char **ret_job);
/* Returns the exit status for jobs that start machines, and logs the reason of each job that failed. */
int start_report_jobs(Context *c, const Jobs *jobs);
