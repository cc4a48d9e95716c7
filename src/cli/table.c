/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verbs and options of mctl. Parsing, --help and completion come from these tables. */

#include "cli/table.h"

#include "cli/complete.h"
#include "cli/logs.h"
#include "cli/options.h"
#include "cli/stats.h"
#include "cli/usage.h"
#include "cli/verb-console.h"
#include "cli/verb-exec.h"
#include "cli/verb-run.h"
#include "cli/verb-update.h"
#include "cli/verbs-config.h"
#include "cli/verbs-files.h"
#include "cli/verbs-images.h"
#include "cli/verbs-machine.h"
#include "cli/verbs-start.h"
#include "cli/verbs-transfers.h"

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
        { "start", NULL, START_COMMANDS, "NAME…", "Start machines that have a machine file", 1, -1, "files",
          verb_start },
        { "enable", NULL, START_COMMANDS, "NAME…", "Start machines when the host boots", 1, -1, "files",
          verb_enable },
        { "disable", NULL, START_COMMANDS, "NAME…", "Do not start machines when the host boots", 1, -1,
          "files", verb_disable },
        { "list", NULL, MACHINE_COMMANDS, NULL, "List running machines", 0, 0, NULL, verb_list },
        { "status", NULL, MACHINE_COMMANDS, "NAME…",
          "Show the state, processes and last log lines of machines", 1, -1, "machines", verb_status },
        { "show", NULL, MACHINE_COMMANDS, "NAME…", "Show the properties of machines", 1, -1, "machines",
          verb_show },
        { "stats", NULL, MACHINE_COMMANDS, "[NAME…]",
          "Show the processor time, memory, tasks and disk I/O of machines", 0, -1, "machines", verb_stats },
        { "top", NULL, MACHINE_COMMANDS, "[NAME…]", "Show the processes of machines, the busiest first", 0,
          -1, "machines", verb_top, .remote = REMOTE_SHELL },
        { "logs", NULL, MACHINE_COMMANDS, "NAME",
          "Show the log of a machine: from its unit and from its journal", 1, 1, "machine", verb_logs,
          .remote = REMOTE_SHELL },
        { "wait", NULL, MACHINE_COMMANDS, "NAME…", "Wait until machines are up, or have stopped", 1, -1,
          "machines", verb_wait },
        { "exec", NULL, MACHINE_COMMANDS, "NAME COMMAND…", "Run a command in a running machine", 0, -1,
          "machine", verb_exec, true, NULL, REMOTE_ATTACHED },
        { "shell", NULL, MACHINE_COMMANDS, "[USER@][NAME] [COMMAND…]", "Open a shell in a running machine",
          0, -1, "machine", verb_shell, true, NULL, REMOTE_SHELL },
        { "login", NULL, MACHINE_COMMANDS, "[NAME]", "Open a login prompt in a running machine", 0, 1,
          "machine", verb_login, true, NULL, REMOTE_SHELL },
        { "console", "attach", MACHINE_COMMANDS, "NAME", "Attach to the console of a machine (also: attach)",
          1, 1, "machine", verb_console, false, "read-only", REMOTE_SHELL },
        { "poweroff", "stop", MACHINE_COMMANDS, "NAME…", "Power off machines cleanly (also: stop)", 1, -1,
          "machines", verb_power_off },
        { "reboot", NULL, MACHINE_COMMANDS, "NAME…", "Reboot machines", 1, -1, "machines", verb_reboot },
        { "pause", NULL, MACHINE_COMMANDS, "NAME…", "Pause machines: freeze all of their processes", 1, -1,
          "machines", verb_pause },
        { "resume", NULL, MACHINE_COMMANDS, "NAME…", "Resume machines that are paused", 1, -1, "machines",
          verb_resume },
        { "terminate", NULL, MACHINE_COMMANDS, "NAME…", "Kill all processes of machines at once", 1, -1,
          "machines", verb_terminate },
        { "kill", NULL, MACHINE_COMMANDS, "NAME…", "Send a signal to the processes of machines", 1, -1,
          "machines", verb_kill },
        { "set-property", NULL, MACHINE_COMMANDS, "NAME KEY=VALUE…", "Change properties of a machine's unit",
          2, -1, "machine", verb_set_property },
        { "copy-to", NULL, TREE_COMMANDS, "NAME SOURCE [DESTINATION]",
          "Copy files of the host into a machine", 2, 3, "machine", verb_copy_to },
        { "copy-from", NULL, TREE_COMMANDS, "NAME SOURCE [DESTINATION]",
          "Copy files of a machine to the host", 2, 3, "machine", verb_copy_from },
        { "cp", NULL, TREE_COMMANDS, "SOURCE DESTINATION",
          "Copy files between the host and a machine (NAME:PATH)", 2, 2, NULL, verb_cp },
        { "bind", NULL, TREE_COMMANDS, "NAME SOURCE [DESTINATION]",
          "Bind-mount files of the host into a running machine", 2, 3, "machine", verb_bind, false,
          "read-only" },
        { "mount-image", NULL, TREE_COMMANDS, "NAME IMAGE DESTINATION",
          "Mount an image into a running machine", 3, 3, "machine image", verb_mount_image, false,
          "read-only" },
        { "mount", NULL, TREE_COMMANDS, "IMAGE DIRECTORY", "Mount an image on a directory of the host", 2, 2,
          "image", verb_mount, false, "read-only" },
        { "umount", NULL, TREE_COMMANDS, "DIRECTORY", "Unmount an image from a directory of the host", 1, 1,
          "image", verb_umount },
        { "unbind", NULL, TREE_COMMANDS, "NAME DESTINATION", "Unmount a bind mount in a running machine", 2,
          2, "machine", verb_unbind },
        { "images", NULL, IMAGE_COMMANDS, NULL, "List images", 0, 0, NULL, verb_images },
        { "image-status", NULL, IMAGE_COMMANDS, "IMAGE…",
          "Show the state and size of images, and the images that share their data", 1, -1, "images",
          verb_image_status },
        { "show-image", NULL, IMAGE_COMMANDS, "IMAGE…", "Show the properties of images", 1, -1, "images",
          verb_show_image },
        { "clone", NULL, IMAGE_COMMANDS, "IMAGE NAME", "Copy an image", 2, 2, "image", verb_clone, false,
          "read-only" },
        { "rename", NULL, IMAGE_COMMANDS, "IMAGE NAME", "Rename an image", 2, 2, "image", verb_rename },
        { "remove", NULL, IMAGE_COMMANDS, "IMAGE…", "Remove images", 1, -1, "images", verb_remove },
        { "prune", NULL, IMAGE_COMMANDS, NULL,
          "Remove unused hidden images, or with --all all unused images", 0, 0, NULL, verb_prune },
        { "snapshot", NULL, IMAGE_COMMANDS, "IMAGE [NAME]", "Make a snapshot of an image", 1, 2, "image",
          verb_snapshot },
        { "snapshots", NULL, IMAGE_COMMANDS, "IMAGE", "List the snapshots of an image", 1, 1, "image",
          verb_snapshots },
        { "rollback", NULL, IMAGE_COMMANDS, "IMAGE [SNAPSHOT]", "Roll an image back to a snapshot", 1, 2,
          "image snapshot", verb_rollback },
        { "remove-snapshot", NULL, IMAGE_COMMANDS, "IMAGE SNAPSHOT…", "Remove snapshots of an image", 2, -1,
          "image snapshots", verb_remove_snapshot },
        { "diff", NULL, IMAGE_COMMANDS, "IMAGE [SNAPSHOT]",
          "List the files of an image that have changed since a snapshot", 1, 2, "image snapshot",
          verb_diff },
        { "commit", NULL, IMAGE_COMMANDS, "IMAGE NAME", "Merge all layers of an image into a new image", 2,
          2, "image", verb_commit, false, "read-only" },
        { "update", NULL, IMAGE_COMMANDS, "NAME",
          "Update a machine to another image; roll back if it does not become healthy", 1, 1, "machine",
          verb_update },
        { "read-only", NULL, IMAGE_COMMANDS, "IMAGE [BOOL]", "Make an image read-only, or writable again", 1,
          2, "image", verb_read_only },
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
        { "transfers", NULL, IMAGE_COMMANDS, NULL, "List running imports, exports, downloads and clones", 0,
          0, NULL, verb_transfers },
        { "cancel", NULL, IMAGE_COMMANDS, "ID…", "Cancel imports, exports, downloads and clones", 1, -1,
          NULL, verb_cancel },
        { "create", NULL, FILE_COMMANDS, "NAME IMAGE", "Write a machine file from options", 2, 2,
          "new image", verb_create, false, "all", REMOTE_SHELL },
        { "edit", NULL, FILE_COMMANDS, "NAME", "Edit a machine file", 1, 1, "files", verb_edit,
          .remote = REMOTE_SHELL },
        { "cat", NULL, FILE_COMMANDS, "NAME", "Show the files of a machine", 1, 1, "files", verb_cat,
          .remote = REMOTE_SHELL },
        { "verify", NULL, FILE_COMMANDS, "WHAT…", "Check machine files and digests of images", 1, -1,
          "images", verb_verify, .remote = REMOTE_SHELL },
        { "update-undo", NULL, NULL, NULL, NULL, 1, 1, NULL, verb_update_undo },
        { "__complete", NULL, NULL, NULL, NULL, 0, -1, NULL, verb_complete },
        {},
};

/* Initializers of OptionTarget: where the value of an option is stored. */
#define SETS(member)                                  \
        {                                             \
                PLACE_TRUE, offsetof(Context, member) \
        }
#define CLEARS(member)                                 \
        {                                              \
                PLACE_FALSE, offsetof(Context, member) \
        }
#define TEXT(member)                                  \
        {                                             \
                PLACE_TEXT, offsetof(Context, member) \
        }
#define APPENDS(member)                               \
        {                                             \
                PLACE_LIST, offsetof(Context, member) \
        }
#define ASSIGNS(key)                  \
        {                             \
                PLACE_SETTING, 0, key \
        }
#define ASSIGNS_YES(key)                  \
        {                                 \
                PLACE_SETTING_YES, 0, key \
        }
#define CAPABILITY(key)                  \
        {                                \
                PLACE_CAPABILITY, 0, key \
        }
#define CALLS(function)                           \
        {                                         \
                PLACE_FUNCTION, .parse = function \
        }

const Option options[] = {
        { "help", 'h', SETS(help), NULL, NULL, "Show this help" },
        { "version", 0, SETS(version), NULL, NULL, "Show the version" },
        { "host", 'H', CALLS(option_parse_host), "[USER@]HOST", NULL, "Act on another host, over ssh" },
        { "json", 0, CALLS(option_parse_json), "[pretty]", NULL, "Print JSON", "pretty short" },
        { "quiet", 'q', SETS(quiet), NULL, NULL, "Print only the requested output" },
        { "debug", 0, CALLS(option_parse_debug), NULL, NULL,
          "Print on standard error where a failure begins" },
        { "no-legend", 0, CLEARS(legend), NULL, NULL, "Print no headings and totals" },
        { "no-pager", 0, CLEARS(pager), NULL, NULL, "Print without a pager" },
        { "no-ask-password", 0, CLEARS(ask_password), NULL, NULL, "Do not ask for passwords" },
        { "all", 'a', SETS(all), NULL, "list prune",
          "Include failed machines; include images that are not hidden" },
        { "name", 0, TEXT(name), "NAME", "boot run", "Name of the machine (name of the image)" },
        { "property", 'p', APPENDS(properties), "KEY=VALUE", "boot run create",
          "Set a property of the unit, such as MemoryMax=1G" },
        { "slice", 0, TEXT(slice), "SLICE", "boot run create", "Put the unit into this slice" },
        { "no-wait", 0, CLEARS(wait), NULL, "boot start enable disable poweroff reboot terminate",
          "Return before the job is done" },
        { "dry-run", 0, SETS(dry_run), NULL, "boot run prune", "Show what would be done" },
        { "now", 0, SETS(now), NULL, "enable disable", "Start or power off the machines as well" },
        { "signal", 's', TEXT(signal), "SIGNAL", "kill", "Signal to send (SIGTERM)",
          "SIGTERM SIGKILL SIGINT SIGHUP SIGQUIT SIGUSR1 SIGUSR2 SIGSTOP SIGCONT" },
        { "kill-whom", 0, TEXT(kill_whom), "WHOM", "kill", "Receiver of the signal: leader or all (all)",
          "leader all" },
        { "for", 0, TEXT(wait_for), "WHAT", "wait", "Event to wait for: ready or stopped (ready)",
          "ready stopped" },
        { "follow", 'f', SETS(follow), NULL, "logs", "Show new lines as they come" },
        { "lines", 'n', CALLS(option_parse_lines), "NUMBER", "logs status", "Show this many lines" },
        { "since", 0, TEXT(since), "TIME", "logs",
          "Show lines since a date, or since a time span such as 10min" },
        { "raw", 0, SETS(raw), NULL, "logs console", "Print control characters as they are" },
        { "effective", 0, SETS(effective), NULL, "show",
          "Show all settings that apply, including defaults" },
        { "runtime", 0, SETS(runtime), NULL, "set-property",
          "Change properties only until the host reboots" },
        { "no-stream", 0, CLEARS(stream), NULL, "stats top console",
          "Print the current state once, and end" },
        { "force", 0, SETS(force), NULL, "copy-to copy-from import export pull-tar pull-raw prune",
          "Replace existing files or images; remove images without asking" },
        { "format", 0, TEXT(format), "FORMAT", "export", "Compression (by the suffix of the file)",
          "uncompressed gzip xz zstd bzip2" },
        { "copy", 0, SETS(copy), NULL, "clone", "Copy all data instead of sharing it" },
        { "enable-quotas", 0, SETS(enable_quotas), NULL, "set-limit", "Enable quotas of btrfs" },
        { "keep-identity", 0, SETS(keep_identity), NULL, "clone commit",
          "Keep the machine ID, host keys and other identities" },
        { "type", 0, TEXT(image_type), "TYPE", "import", "Type of the file: tar or raw (by its suffix)",
          "tar raw" },
        { "verify", 0, TEXT(verify), "HOW", "pull-tar pull-raw",
          "Verification: signature, checksum or no (from trust.d)", "signature checksum no" },
        { "size", 0, SETS(size), NULL, "images", "Print the disk space that images take" },
        { "sign", 0, TEXT(sign), "KEY", "export",
          "Add the checksum to SHA256SUMS beside the file, and sign it" },
        { "digest", 0, TEXT(digest), "SHA256", "verify", "The expected digest of the image" },
        { "to", 0, TEXT(to), "IMAGE", "update", "The new image" },
        { "health", 0, TEXT(health), "COMMAND", "update", "Shell command that must succeed in the machine" },
        { "timeout", 0, TEXT(timeout), "SECONDS", "update",
          "Time until the machine must be up and healthy (90)" },
        { "mkdir", 0, SETS(make_target), NULL, "bind mount-image", "Make a missing mount point" },
        { "ephemeral", 'x', CALLS(option_parse_ephemeral), "[WHERE]", "boot run create",
          "Keep changes only until the machine ends: on disk, or in ram", "disk ram" },
        { "console", 0, CALLS(option_parse_console), "[MODE]", "boot run create",
          "Attach to the console at once, or set the kind of console", "pty pipe interactive auto" },
        { "detach-keys", 0, CALLS(option_parse_detach_keys), "KEYS", "boot run console exec shell login",
          "Keys that leave a terminal (ctrl-],ctrl-],ctrl-])", "ctrl-p,ctrl-q none" },
        { "interactive", 'i', SETS(run.interactive), NULL, "run exec",
          "Pass standard input to the command" },
        { "tty", 't', SETS(run.terminal), NULL, "run exec", "Run the command on a terminal" },
        { "detach", 'd', SETS(run.detach), NULL, "run exec import export pull-tar pull-raw clone commit",
          "Run in the background, and print an ID" },
        { "rm", 0, SETS(run.remove), NULL, "run", "Remove the unit of the machine, even after a failure" },
        { "env", 'e', APPENDS(run.environment), "NAME[=VALUE]", "run exec shell",
          "Set an environment variable, or pass it on" },
        { "env-file", 0, APPENDS(run.environment_files), "FILE", "run exec shell",
          "Set the environment variables in a file" },
        { "user", 'u', ASSIGNS("User"), "USER", "run exec", "User of the command, inside the machine" },
        { "workdir", 'w', ASSIGNS("WorkingDirectory"), "PATH", "run exec shell",
          "Working directory of the command, inside the machine" },
        { "init", 0, ASSIGNS_YES("ProcessTwo"), NULL, "run", "Run the command below a small init" },
        { "entrypoint", 0, TEXT(run.entrypoint), "COMMAND", "run",
          "Program that gets the command as its arguments" },
        { "volume", 'v', APPENDS(run.volumes), "SOURCE:TARGET[:OPTION]", "run",
          "Bind-mount a file or directory of the host" },
        { "mount", 0, APPENDS(run.mounts), "type=TYPE,…", "run",
          "Mount a file or directory of the host, or a tmpfs" },
        { "list", 0, SETS(run.list), NULL, "exec", "List programs that were run with -d" },
        { "wait", 0, SETS(run.wait), NULL, "exec", "Wait for the end of a program that was run with -d" },
        { "privileged", 0, SETS(run.privileged), NULL, "exec",
          "Run with all capabilities, and without the system call filter" },
        { "cap-add", 0, CAPABILITY("Capability"), "CAP", "run", "Add a capability, or all" },
        { "cap-drop", 0, CAPABILITY("DropCapability"), "CAP", "run", "Drop a capability, or all" },
        { "ulimit", 0, APPENDS(run.ulimits), "NAME=SOFT[:HARD]", "run",
          "Set a resource limit, such as nofile=1024" },
        { "memory", 'm', TEXT(run.memory), "SIZE", "run", "Limit memory (MemoryMax=)" },
        { "cpus", 0, TEXT(run.cpus), "NUMBER", "run",
          "Limit processor time to this many processors (CPUQuota=)" },
        { "pids-limit", 0, TEXT(run.pids_limit), "NUMBER", "run",
          "Limit the number of processes (TasksMax=)" },
        { "restart", 0, TEXT(run.restart), "POLICY", "run",
          "Restart: no, always, unless-stopped, on-failure[:TIMES]", "no always unless-stopped on-failure" },
        { "stop-signal", 0, ASSIGNS("KillSignal"), "SIGNAL", "run",
          "Signal that asks the command to end (SIGTERM)", "SIGTERM SIGINT SIGQUIT SIGHUP SIGUSR1 SIGUSR2" },
        { "stop-timeout", 0, TEXT(run.stop_timeout), "SECONDS", "run",
          "Time until a stopped command is killed (10)" },
        { "pull", 0, TEXT(run.pull), "POLICY", "run", "Accepted without effect: never or missing",
          "never missing" },
        {},
};

static_assert(ELEMENTSOF(options) <= OPTIONS_MAX, "OPTIONS_MAX is too small");
