/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/verb-update.h"

#include "basic/parse.h"
#include "cli/bus.h"
#include "cli/output.h"
#include "cli/usage.h"

/* mctl-update makes the update for the registry, and goes on if mctl ends. */

static int report(Context *c, const char *name, const char *image, const char *snapshot, bool running)
{
        if (c->output != OUTPUT_TEXT)
                return output_json(c, json_pack("{ss ss ss ss}", "machine", name, "image", image, "to",
                                                c->to, "snapshot", snapshot));
        if (!c->quiet)
                printf("Machine '%s' %s up%s with the contents of image '%s'. "
                       "Snapshot '%s' keeps the previous version.\n",
                       name, running ? "is" : "was", isempty(c->health) ? "" : " and healthy", c->to,
                       snapshot);
        return 0;
}

int verb_update(Context *c, char **args)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *image, *snapshot;
        uint64_t seconds = 0;
        int running, r;

        if (!machine_name_valid(args[0]))
                return usage_bad_name(args[0]);
        if (!c->to)
                return log_error("--to=IMAGE is missing: the image to update the machine to."),
                       EXIT_STATUS_USAGE;
        if (c->timeout && parse_u64(c->timeout, 1, INT32_MAX, &seconds) < 0)
                return log_error("--timeout= takes a number of seconds, not '%s'.", c->timeout),
                       EXIT_STATUS_USAGE;
        r = bus_call_registry(c, "Not updated", "UpdateMachine", &reply, "ssst", args[0], c->to,
                              c->health ?: "", seconds * USEC_PER_SEC);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "ssb", &image, &snapshot, &running);
        return r < 0 ? log_error_errno(r, "The registry sent an invalid answer")
                     : report(c, args[0], image, snapshot, running);
}

int verb_update_undo(Context *c, char **args)
{
        int r = bus_call_registry(c, "Not undone", "UndoUpdate", NULL, "s", args[0]);

        if (r >= 0 && !c->quiet)
                printf("The update of image '%s' is undone. Snapshot 'failed-update' keeps the version that "
                       "failed.\n",
                       args[0]);
        return r;
}
