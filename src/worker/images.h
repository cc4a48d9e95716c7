/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/store.h"
#include "worker/job.h"

/* Changes of images in the store; see work.h. */
int work_clone(const Job *job, char **ret_error);
int work_rename(const Job *job, char **ret_error);
int work_remove(const Job *job, char **ret_error);
int work_read_only(const Job *job, char **ret_error);
int work_limit(const Job *job, char **ret_error);
int work_enable_quotas(const Job *job, char **ret_error);
int work_clean(const Job *job, char **ret_error);
int work_sweep(const Job *job, char **ret_error);
