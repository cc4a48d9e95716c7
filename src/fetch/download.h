/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "basic/fd.h"
#include "basic/str.h"

/* A separate process receives what a server sends: user nobody, without any descriptor but a pipe. The
 * process fetches one URL into the pipe. If the connection breaks, the process connects again and
 * resumes. */

typedef struct Download {
        pid_t pid;                     /* 0 for a local file */
        int fd;                        /* the content */
        struct DownloadReport *report; /* shared with the process, and not trusted */
} Download;

/* Begins a download. The protocols are http and https, and no redirection leads from https to http.
 * "file:///PATH" is opened with the rights of the caller. `environment` lists assignments ("https_proxy=…"),
 * or is NULL. Each download that has begun needs download_end(). -ENOENT if a local file does not exist,
 * -EBADFD if it is not a regular file. */
int download_begin(const char *url, const Strv environment, Download *ret);

/* Returns the size of the content as the server announces it, or 0 as long as that is unknown. */
uint64_t download_size(const Download *download);

/* Ends a download, and stops the process if it still sends. -ENOENT if the server has no such file, -EIO for
 * other failures, both with a text, which the caller frees. */
int download_end(Download *download, char **ret_error);

/* Fetches a small file into memory. -EFBIG if it has more than `max` bytes. The caller frees the content and
 * the text of an error. */
int download_text(const char *url, const Strv environment, size_t max, char **ret, size_t *ret_size,
                  char **ret_error);
