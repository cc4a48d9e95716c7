/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verbs and options of mctl. Parsing, --help and completion come from these tables. */

#include "cli/table.h"

#include "cli/cli.h"

#define MACHINE_COMMANDS "Machine Commands"
#define START_COMMANDS   "Start Commands"
#define FILE_COMMANDS    "File Commands"
#define TREE_COMMANDS    "Copy and Mount Commands"
#define IMAGE_COMMANDS   "Image Commands"

const Verb verbs[] = {
        { "boot", NULL, START_COMMANDS, "IMAGE [ARGUMENT…]", "Boot an image as a machine", 1, -1, "image",
          verb_boot, false, "all", REMOTE_ATTACHED },
        { "run", NULL, START_COMMANDS, "IMAGE [COMMAND…]", "Run a command in a machine", 1, -1, "image",
          verb_run, true, "all", REMOTE_ATTACHED },
        { "start", NULL, START_COMMANDS, "NAME…", "Start machines that have a file", 1, -1, "files",
          verb_start },
        { "enable", NULL, START_COMMANDS, "NAME…", "Start machines when the host boots", 1, -1, "files",
          verb_enable },
        { "disable", NULL, START_COMMANDS, "NAME…", "Do not start machines when the host boots", 1, -1,
          "files", verb_disable },
        { "list", NULL, MACHINE_COMMANDS, NULL, "List running machines", 0, 0, NULL, verb_list },
        { "status", NULL, MACHINE_COMMANDS, "NAME…",
          "Show how machines are, their processes and last log lines", 1, -1, "machines", verb_status },
        { "show", NULL, MACHINE_COMMANDS, "NAME…", "Show the properties of machines", 1, -1, "machines",
          verb_show },
        { "stats", NULL, MACHINE_COMMANDS, "[NAME…]",
          "Show what machines use: processor, memory, tasks, disks", 0, -1, "machines", verb_stats },
        { "top", NULL, MACHINE_COMMANDS, "[NAME…]", "Show the processes of machines, the busiest first", 0,
          -1, "machines", verb_top, .remote = REMOTE_SHELL },
        { "logs", NULL, MACHINE_COMMANDS, "NAME", "Show the log of a machine, of its unit and from inside",
          1, 1, "machine", verb_logs, .remote = REMOTE_SHELL },
        { "wait", NULL, MACHINE_COMMANDS, "NAME…", "Wait until machines are up, or gone", 1, -1, "machines",
          verb_wait },
        { "exec", NULL, MACHINE_COMMANDS, "NAME COMMAND…", "Run a command in a machine that is up", 0, -1,
          "machine", verb_exec, true, NULL, REMOTE_ATTACHED },
        { "shell", NULL, MACHINE_COMMANDS, "[USER@][NAME] [COMMAND…]", "Get a shell in a machine that is up",
          0, -1, "machine", verb_shell, true, NULL, REMOTE_SHELL },
        { "login", NULL, MACHINE_COMMANDS, "[NAME]", "Get a login prompt in a machine that is up", 0, 1,
          "machine", verb_login, true, NULL, REMOTE_SHELL },
        { "console", "attach", MACHINE_COMMANDS, "NAME",
          "Attach to the terminal that a machine was started on (also: attach)", 1, 1, "machine",
          verb_console, false, "read-only", REMOTE_SHELL },
        { "poweroff", "stop", MACHINE_COMMANDS, "NAME…",
          "Ask machines to power off, and see that they do (also: stop)", 1, -1, "machines",
          verb_power_off },
        { "reboot", NULL, MACHINE_COMMANDS, "NAME…", "Ask machines to reboot", 1, -1, "machines",
          verb_reboot },
        { "pause", NULL, MACHINE_COMMANDS, "NAME…", "Stop the processes of machines for a while", 1, -1,
          "machines", verb_pause },
        { "resume", NULL, MACHINE_COMMANDS, "NAME…", "Let them go on", 1, -1, "machines", verb_resume },
        { "terminate", NULL, MACHINE_COMMANDS, "NAME…", "End machines at once", 1, -1, "machines",
          verb_terminate },
        { "kill", NULL, MACHINE_COMMANDS, "NAME…", "Send a signal to the processes of machines", 1, -1,
          "machines", verb_kill },
        { "set-property", NULL, MACHINE_COMMANDS, "NAME KEY=VALUE…", "Change properties of a machine's unit",
          2, -1, "machine", verb_set_property },
        { "copy-to", NULL, TREE_COMMANDS, "NAME SOURCE [DESTINATION]",
          "Copy files of the host into a machine", 2, 3, "machine", verb_copy_to },
        { "copy-from", NULL, TREE_COMMANDS, "NAME SOURCE [DESTINATION]",
          "Copy files of a machine to the host", 2, 3, "machine", verb_copy_from },
        { "cp", NULL, TREE_COMMANDS, "SOURCE DESTINATION", "The same, one of the two being NAME:PATH", 2, 2,
          NULL, verb_cp },
        { "bind", NULL, TREE_COMMANDS, "NAME SOURCE [DESTINATION]",
          "Show files of the host in a machine that runs", 2, 3, "machine", verb_bind, false, "read-only" },
        { "mount-image", NULL, TREE_COMMANDS, "NAME IMAGE DESTINATION",
          "Show the tree of an image in a machine that runs", 3, 3, "machine image", verb_mount_image, false,
          "read-only" },
        { "mount", NULL, TREE_COMMANDS, "IMAGE DIRECTORY",
          "Show the tree of an image on a directory of the host", 2, 2, "image", verb_mount, false,
          "read-only" },
        { "umount", NULL, TREE_COMMANDS, "WHERE", "Take it away again", 1, 1, "image", verb_umount },
        { "unbind", NULL, TREE_COMMANDS, "NAME DESTINATION", "Take a mount away in a machine that runs", 2,
          2, "machine", verb_unbind },
        { "images", NULL, IMAGE_COMMANDS, NULL, "List images", 0, 0, NULL, verb_images },
        { "image-status", NULL, IMAGE_COMMANDS, "IMAGE…",
          "Show how images are, how large, and who has a share in them", 1, -1, "images",
          verb_image_status },
        { "show-image", NULL, IMAGE_COMMANDS, "IMAGE…", "Show the properties of images", 1, -1, "images",
          verb_show_image },
        { "clone", NULL, IMAGE_COMMANDS, "IMAGE NAME", "Copy an image", 2, 2, "image", verb_clone, false,
          "read-only" },
        { "rename", NULL, IMAGE_COMMANDS, "IMAGE NAME", "Give an image another name", 2, 2, "image",
          verb_rename },
        { "remove", NULL, IMAGE_COMMANDS, "IMAGE…", "Remove images", 1, -1, "images", verb_remove },
        { "prune", NULL, IMAGE_COMMANDS, NULL, "Remove hidden images that are not in use, or all", 0, 0,
          NULL, verb_prune },
        { "snapshot", NULL, IMAGE_COMMANDS, "IMAGE [NAME]", "Keep what an image has now", 1, 2, "image",
          verb_snapshot },
        { "snapshots", NULL, IMAGE_COMMANDS, "IMAGE", "List the snapshots of an image", 1, 1, "image",
          verb_snapshots },
        { "rollback", NULL, IMAGE_COMMANDS, "IMAGE [SNAPSHOT]", "Let an image have what it had", 1, 2,
          "image snapshot", verb_rollback },
        { "remove-snapshot", NULL, IMAGE_COMMANDS, "IMAGE SNAPSHOT…", "Remove snapshots of an image", 2, -1,
          "image snapshots", verb_remove_snapshot },
        { "diff", NULL, IMAGE_COMMANDS, "IMAGE [SNAPSHOT]", "Show what was added, changed and deleted since",
          1, 2, "image snapshot", verb_diff },
        { "commit", NULL, IMAGE_COMMANDS, "IMAGE NAME", "Make an image of all that one has now", 2, 2,
          "image", verb_commit, false, "read-only" },
        { "update", NULL, IMAGE_COMMANDS, "NAME",
          "Give a machine another image, and its own again if it does not do", 1, 1, "machine", verb_update,
          .remote = REMOTE_SHELL },
        { "read-only", NULL, IMAGE_COMMANDS, "IMAGE [BOOL]", "Let nobody write to an image, or again", 1, 2,
          "image", verb_read_only },
        { "set-limit", NULL, IMAGE_COMMANDS, "IMAGE SIZE", "Limit the size of an image", 2, 2, "image",
          verb_set_limit },
        { "import", NULL, IMAGE_COMMANDS, "FILE [NAME]",
          "Make an image from a tar archive, a disk or a directory", 1, 2, NULL, verb_import, false,
          "read-only", REMOTE_SHELL },
        { "export", NULL, IMAGE_COMMANDS, "IMAGE [FILE]",
          "Write an image to a file: a tar archive, or a disk", 1, 2, "image", verb_export,
          .remote = REMOTE_SHELL },
        { "pull-tar", NULL, IMAGE_COMMANDS, "URL [NAME]", "Make an image from a tar archive on a server", 1,
          2, NULL, verb_pull_tar, false, "read-only" },
        { "pull-raw", NULL, IMAGE_COMMANDS, "URL [NAME]", "Make an image from a disk on a server", 1, 2,
          NULL, verb_pull_raw, false, "read-only" },
        { "transfers", NULL, IMAGE_COMMANDS, NULL, "List imports, exports and downloads under way", 0, 0,
          NULL, verb_transfers },
        { "cancel", NULL, IMAGE_COMMANDS, "ID…", "Cancel imports, exports and downloads", 1, -1, NULL,
          verb_cancel },
        { "create", NULL, FILE_COMMANDS, "NAME IMAGE", "Write a machine file from options", 2, 2,
          "new image", verb_create, false, "all", REMOTE_SHELL },
        { "edit", NULL, FILE_COMMANDS, "NAME", "Edit a machine file", 1, 1, "files", verb_edit,
          .remote = REMOTE_SHELL },
        { "cat", NULL, FILE_COMMANDS, "NAME", "Show the files of a machine", 1, 1, "files", verb_cat,
          .remote = REMOTE_SHELL },
        { "verify", NULL, FILE_COMMANDS, "FILE…", "Say what is wrong with machine files", 1, -1, NULL,
          verb_verify, .remote = REMOTE_SHELL },
        { "update-run", NULL, NULL, NULL, NULL, 0, 0, NULL, verb_update_run },
        { "update-undo", NULL, NULL, NULL, NULL, 0, 1, NULL, verb_update_undo },
        { "__complete", NULL, NULL, NULL, NULL, 0, -1, NULL, verb_complete },
        {},
};

const Option options[] = {
        { OPT_HELP, "help", 'h', NULL, NULL, "Show this help" },
        { OPT_VERSION, "version", 0, NULL, NULL, "Show the version" },
        { OPT_HOST, "host", 'H', "[USER@]HOST", NULL, "Act on another host, over ssh" },
        { OPT_JSON, "json", 0, "[pretty]", NULL, "Print JSON", "pretty short" },
        { OPT_QUIET, "quiet", 'q', NULL, NULL, "Print only what was asked for" },
        { OPT_NO_LEGEND, "no-legend", 0, NULL, NULL, "Print no headings and totals" },
        { OPT_NO_PAGER, "no-pager", 0, NULL, NULL, "Print without a pager" },
        { OPT_NO_ASK_PASSWORD, "no-ask-password", 0, NULL, NULL, "Do not ask for passwords" },
        { OPT_ALL, "all", 'a', NULL, "list prune",
          "Machines that failed, too; images that are not hidden, too" },
        { OPT_NAME, "name", 0, "NAME", "boot run", "Name of the machine (the image's)" },
        { OPT_PROPERTY, "property", 'p', "KEY=VALUE", "boot run create",
          "Set a property of the unit, such as MemoryMax=1G" },
        { OPT_SLICE, "slice", 0, "SLICE", "boot run create", "Put the unit into this slice" },
        { OPT_NO_WAIT, "no-wait", 0, NULL, "boot start enable disable poweroff terminate",
          "Return at once, not when it is done" },
        { OPT_DRY_RUN, "dry-run", 0, NULL, "boot run prune", "Show what would be done" },
        { OPT_NOW, "now", 0, NULL, "enable disable", "Start or power off the machines as well" },
        { OPT_SIGNAL, "signal", 's', "SIGNAL", "kill", "Signal to send (SIGTERM)",
          "SIGTERM SIGKILL SIGINT SIGHUP SIGQUIT SIGUSR1 SIGUSR2 SIGSTOP SIGCONT" },
        { OPT_KILL_WHOM, "kill-whom", 0, "WHOM", "kill", "Whom to send it to: leader or all (all)",
          "leader all" },
        { OPT_FOR, "for", 0, "WHAT", "wait", "What to wait for: ready or stopped (ready)", "ready stopped" },
        { OPT_FOLLOW, "follow", 'f', NULL, "logs", "Show new lines as they come" },
        { OPT_LINES, "lines", 'n', "NUMBER", "logs status", "Show this many lines" },
        { OPT_SINCE, "since", 0, "TIME", "logs", "Show lines since then: a date, or a span such as 10min" },
        { OPT_RAW, "raw", 0, NULL, "logs console", "Print control characters as they are" },
        { OPT_EFFECTIVE, "effective", 0, NULL, "show", "Show all settings that count, whoever said them" },
        { OPT_RUNTIME, "runtime", 0, NULL, "set-property", "Only until the host reboots" },
        { OPT_NO_STREAM, "no-stream", 0, NULL, "stats top console",
          "Show it once, not each second anew, nor what comes" },
        { OPT_FORCE, "force", 0, NULL, "copy-to copy-from import export pull-tar pull-raw prune",
          "Replace what is there; ask nothing" },
        { OPT_FORMAT, "format", 0, "FORMAT", "export", "Compression (what the name of the file says)",
          "uncompressed gzip xz zstd bzip2" },
        { OPT_COPY, "copy", 0, NULL, "clone", "Copy all of it, and share nothing" },
        { OPT_KEEP_IDENTITY, "keep-identity", 0, NULL, "clone commit",
          "Keep the machine ID, and what else is one machine's" },
        { OPT_TYPE, "type", 0, "TYPE", "import", "What the file is: tar or raw (what its name says)",
          "tar raw" },
        { OPT_VERIFY, "verify", 0, "HOW", "pull-tar pull-raw",
          "Verify by signature, by checksum, or no (what trust.d says)", "signature checksum no" },
        { OPT_SIZE, "size", 0, NULL, "images", "Count how much images take on disk" },
        { OPT_TO, "to", 0, "IMAGE", "update", "Image that it is to have" },
        { OPT_HEALTH, "health", 0, "COMMAND", "update", "Shell command inside that must do well" },
        { OPT_TIMEOUT, "timeout", 0, "SECONDS", "update", "Time until it is to be up and healthy (90)" },
        { OPT_MKDIR, "mkdir", 0, NULL, "bind mount-image",
          "Make what is to be mounted on, where it is missing" },
        { OPT_EPHEMERAL, "ephemeral", 'x', "[WHERE]", "boot run create",
          "Keep changes until the machine is gone: on disk, or in ram", "disk ram" },
        { OPT_CONSOLE, "console", 0, "[MODE]", "boot run create",
          "Attach to the console at once, or say what it is to be", "pty pipe interactive auto" },
        { OPT_DETACH_KEYS, "detach-keys", 0, "KEYS", "boot run console exec shell login",
          "Keys that leave a terminal (ctrl-],ctrl-],ctrl-])", "ctrl-p,ctrl-q none" },
        { OPT_INTERACTIVE, "interactive", 'i', NULL, "run exec", "Pass standard input on" },
        { OPT_TTY, "tty", 't', NULL, "run exec", "Run on a terminal" },
        { OPT_DETACH, "detach", 'd', NULL, "run exec import export pull-tar pull-raw",
          "Return when it runs, and print a name for it" },
        { OPT_RM, "rm", 0, NULL, "run", "Keep no trace of a failure" },
        { OPT_ENV, "env", 'e', "NAME[=VALUE]", "run exec shell",
          "Set an environment variable, or pass it on" },
        { OPT_ENV_FILE, "env-file", 0, "FILE", "run exec shell", "Set the environment variables in a file" },
        { OPT_USER, "user", 'u', "USER", "run exec", "User inside that the command runs as" },
        { OPT_WORKDIR, "workdir", 'w', "PATH", "run exec shell",
          "Directory inside that the command starts in" },
        { OPT_INIT, "init", 0, NULL, "run", "Run the command below a small init" },
        { OPT_ENTRYPOINT, "entrypoint", 0, "COMMAND", "run", "Put this in front of the command" },
        { OPT_VOLUME, "volume", 'v', "SOURCE:TARGET[:OPTION]", "run",
          "Show a file or directory of the host inside" },
        { OPT_MOUNT, "mount", 0, "type=TYPE,…", "run", "The same, or an empty file system (type=tmpfs)" },
        { OPT_LIST, "list", 0, NULL, "exec", "List programs that were run with -d" },
        { OPT_WAIT, "wait", 0, NULL, "exec", "Wait for the end of one of these" },
        { OPT_PRIVILEGED, "privileged", 0, NULL, "exec",
          "With all capabilities that root inside can have, and no filter" },
        { OPT_CAP_ADD, "cap-add", 0, "CAP", "run", "Add a capability, or all" },
        { OPT_CAP_DROP, "cap-drop", 0, "CAP", "run", "Drop a capability, or all" },
        { OPT_ULIMIT, "ulimit", 0, "NAME=SOFT[:HARD]", "run", "Set a resource limit, such as nofile=1024" },
        { OPT_MEMORY, "memory", 'm', "SIZE", "run", "Limit memory (MemoryMax=)" },
        { OPT_CPUS, "cpus", 0, "NUMBER", "run", "Limit processor time to that of so many (CPUQuota=)" },
        { OPT_PIDS_LIMIT, "pids-limit", 0, "NUMBER", "run", "Limit the number of processes (TasksMax=)" },
        { OPT_RESTART, "restart", 0, "POLICY", "run", "no, always, unless-stopped, on-failure[:TIMES]",
          "no always unless-stopped on-failure" },
        { OPT_STOP_SIGNAL, "stop-signal", 0, "SIGNAL", "run",
          "Signal that asks the command to end (SIGTERM)", "SIGTERM SIGINT SIGQUIT SIGHUP SIGUSR1 SIGUSR2" },
        { OPT_STOP_TIMEOUT, "stop-timeout", 0, "SECONDS", "run", "Time until it is killed (10)" },
        { OPT_PULL, "pull", 0, "POLICY", "run", "never or missing", "never missing" },
        {},
};

static_assert(ELEMENTSOF(options) <= OPTIONS_MAX, "OPTIONS_MAX is too small");

const Verb *verb_find(const char *name)
{
        for (const Verb *v = verbs; v->name; v++)
                if (streq(v->name, name) || streq_ptr(v->alias, name))
                        return v;
        return NULL;
}

bool option_goes_with(const Option *option, const Verb *verb)
{
        const char *list = option->verbs;
        size_t n = verb ? strlen(verb->name) : 0;

        if (!list)
                return true;
        for (const char *p = list; verb && *p; p += strspn(p, " ")) {
                size_t length = strcspn(p, " ");
                if (length == n && strncmp(p, verb->name, n) == 0)
                        return true;
                p += length;
        }
        return false;
}

bool setting_goes_with(const Setting *setting, const Verb *verb)
{
        return setting->option &&
               (!verb || streq_ptr(verb->settings, "all") || streq_ptr(verb->settings, setting->option));
}
