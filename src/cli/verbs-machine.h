/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/bus.h"

/* Verbs about running machines. Each returns an exit status, or a negative errno, logged. */
int verb_list(Context *c, char **args);
int verb_show(Context *c, char **args);
int verb_status(Context *c, char **args);
int verb_power_off(Context *c, char **args);
int verb_reboot(Context *c, char **args);
int verb_pause(Context *c, char **args);
int verb_resume(Context *c, char **args);
int verb_terminate(Context *c, char **args);
int verb_kill(Context *c, char **args);
int verb_wait(Context *c, char **args);

/* Returns the exit status for jobs that stop machines, and logs the result of each job that failed. */
int machine_report_jobs(const Jobs *jobs);
