/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl-update: updates of machines, and undoing interrupted updates. */

#include <signal.h>
#include <string.h>

#include "basic/log.h"
#include "update/record.h"
#include "update/update.h"
#include "worker/job.h"

static int work_update(const Job *job, char **ret_error)
{
        /* SIGTERM kills the process. ExecStopPost= of the unit then undoes the update: undo_killed(). */
        (void) signal(SIGTERM, SIG_DFL);
        return update_run(job->scope, job->request, job->answer, ret_error);
}

static int work_undo_update(const Job *job, char **ret_error)
{
        const ImageRequest *request = job->request;
        int r = update_undo(job->scope, request->name, false, ret_error);

        return r == 0 ? set_failure(ret_error, -ENOENT, "No update of image '%s' was interrupted.",
                                    request->name)
                      : MIN(r, 0);
}

static const WorkFunction functions[_WORK_MAX] = {
        [WORK_UPDATE] = work_update,
        [WORK_UNDO_UPDATE] = work_undo_update,
};

/* ExecStopPost= of an update. A process that has exited has undone a failed update itself. For a process
 * that was killed, undo_killed() undoes the update, and writes the answer. */
static int undo_killed(const Scope *scope, const char *machine)
{
        _cleanup_free_ char *image = NULL, *error = NULL, *message = NULL;
        const char *code = getenv("EXIT_CODE");
        int r;

        if (streq_ptr(code, "exited"))
                return 0;
        r = update_find_interrupted(scope, machine, &image, &error);
        if (r >= 0 && image)
                r = update_undo(scope, image, false, &error);
        message = strf("The update was interrupted.%s%s", error ? " " : "", error ?: "");
        (void) job_answer(-ECANCELED, NULL, message);
        return MIN(r, 0);
}

/* Undoes all interrupted updates when the host boots. Returns the last error, or 0. */
static int undo_all(const Scope *scope)
{
        _cleanup_free_ char *error = NULL;
        _cleanup_strv_ Strv images = NULL;
        int result = 0, r = update_record_list(scope, &images, &error);

        if (r < 0)
                return log_error_return(r, "%s", strna(error));
        STRV_FOREACH (image, images) {
                _cleanup_free_ char *text = NULL;
                r = update_undo(scope, *image, true, &text);
                if (r == -EBUSY)
                        continue; /* another process is at work on this update */
                if (r > 0)
                        log_warning("%s", strna(text));
                else if (r < 0)
                        result = log_error_return(r, "The update of image '%s' is not undone: %s", *image,
                                                  text ?: strerror(-r));
        }
        return result;
}

int main(int argc, char *argv[])
{
        _cleanup_scope_ Scope *scope = NULL;
        int r;

        log_open();
        if (argc == 1)
                return job_main(argc, functions);
        r = scope_new(&scope);
        if (r < 0)
                log_error_errno(r, "Failed to find out which instance this is");
        else if (argc == 2 && streq(argv[1], "undo-all"))
                r = undo_all(scope);
        else if (argc == 3 && streq(argv[1], "undo-killed"))
                r = undo_killed(scope, argv[2]);
        else
                r = log_error_return(-EINVAL,
                                     "mctl-registryd and units run mctl-update: without arguments, with "
                                     "'undo-all', or with 'undo-killed MACHINE'.");
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
