/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "basic/fd.h"
#include "basic/str.h"

/* What a server sends is read by a process of its own that is nobody, and has nothing but the network: it fetches one URL into a
 * pipe. A connection that breaks is made again, and goes on where it was. */

typedef struct Download {
        pid_t pid;                     /* 0 for a file */
        int fd;                        /* what comes */
        struct DownloadReport *report; /* what the process says; it is not to be trusted */
} Download;

/* Begins. Only http and https are spoken, and from https nothing leads to http; "file:///PATH" is that file, with our own rights.
 * `environment` is assignments ("https_proxy=…") or NULL. What was begun has to be ended. -ENOENT for a file that is not there. */
int download_begin(const char *url, const Strv environment, Download *ret);

/* How many bytes there are in all, as the server says; 0 as long as it has not. */
uint64_t download_size(const Download *download);

/* Ends it. Where that is before all has come, it is broken off. -ENOENT where there is no such file, -EIO for all else; with a text,
 * which the caller frees. */
int download_end(Download *download, char **ret_error);

/* Fetches a small file, as text; -EFBIG for more than `max` bytes. */
int download_text(const char *url, const Strv environment, size_t max, char **ret, size_t *ret_size,
                  char **ret_error);
