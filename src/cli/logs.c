/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The log of a machine comes from several journals, and is merged by time. The journal of the host has the
 * messages of systemd and of the launcher about the unit, and the output of the first process. A system in
 * the machine has its own journal, on disk or in /run. */

#include "cli/logs.h"

#include <inttypes.h>
#include <poll.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "basic/parse.h"
#include "basic/rootfs.h"
#include "cli/bus.h"
#include "cli/output.h"
#include "cli/usage.h"
#include "sandbox/notify.h"

#define SOURCES_MAX 3

/* Number of runs of a machine whose journals inside are shown. */
#define RUNS_MAX 64

typedef struct Source {
        sd_journal *journal;
        bool has;      /* the journal has an entry at the cursor */
        uint64_t time; /* of this entry; µs since 1970 */
        size_t taken;  /* entries that seek_tail() counts from the end */
} Source;

typedef struct Log {
        Source sources[SOURCES_MAX];
        size_t n;
        uint64_t start; /* of the last run of the machine; µs since 1970, 0 if unknown */
        char *root;     /* root directory of the image, for a machine that does not run */
        Strv boot_ids;  /* of the runs of the machine, which its journals inside have; empty if unknown */
} Log;

static void reader_close(Log *log)
{
        for (size_t i = 0; i < log->n; i++)
                sd_journal_close(log->sources[i].journal);
        free(log->root);
        strv_free(log->boot_ids);
}

static int get_field(sd_journal *j, const char *field, char **ret)
{
        const char *data;
        size_t size, skip = strlen(field) + 1;
        int r;

        r = sd_journal_get_data(j, field, (const void **) &data, &size);
        if (r < 0)
                return r;
        *ret = strndup(data + skip, size - skip);
        return *ret ? 0 : -ENOMEM;
}

static int add_match(sd_journal *j, const char *field, const char *value)
{
        _cleanup_free_ char *match = strf("%s=%s", field, value);

        return match ? sd_journal_add_match(j, match, 0) : -ENOMEM;
}

/* Matches messages of the unit, and messages of root about the unit. The latter come from systemd, and from
 * a launcher that ended before the journal could find the unit of its process. Fields that begin with an
 * underscore cannot be forged. Messages of a payload are in the journal of its user, so the journals of
 * users must be open as well. */
static int match_unit(sd_journal *j, const char *unit, bool console)
{
        int r;

        r = add_match(j, "_SYSTEMD_UNIT", unit);
        if (r >= 0)
                r = sd_journal_add_disjunction(j);
        if (r >= 0)
                r = add_match(j, "UNIT", unit);
        if (r >= 0)
                r = add_match(j, "_UID", "0");
        if (r >= 0 && console)
                r = sd_journal_add_disjunction(j);
        if (r >= 0 && console)
                r = add_match(j, "OBJECT_SYSTEMD_UNIT", unit);
        if (r >= 0 && console)
                r = add_match(j, "_UID", "0");
        return r;
}

/* Returns the time of the first message of an invocation of the unit. */
static int find_invocation(sd_journal *j, const char *invocation, uint64_t *ret_usec)
{
        int r;

        sd_journal_flush_matches(j);
        r = add_match(j, "_SYSTEMD_INVOCATION_ID", invocation);
        if (r >= 0)
                r = sd_journal_add_disjunction(j);
        if (r >= 0)
                r = add_match(j, "INVOCATION_ID", invocation);
        if (r >= 0)
                r = add_match(j, "_UID", "0");
        if (r >= 0)
                r = sd_journal_seek_head(j);
        if (r >= 0)
                r = sd_journal_next(j);
        return r <= 0 ? r : sd_journal_get_realtime_usec(j, ret_usec);
}

/* Finds the messages that the launcher logs after it has handed a machine over to the payload: the last one
 * describes the last run. Several machines can run from one image, whose journals then have entries of all:
 * the boot IDs tell the entries of this machine. */
static int find_start(Log *log, const char *unit)
{
        _cleanup_free_ char *invocation = NULL;
        sd_journal *j;
        int r;

        r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
        if (r < 0)
                return r;
        r = add_match(j, "MESSAGE_ID", MESSAGE_ID_MACHINE_START);
        if (r >= 0)
                r = add_match(j, "UNIT", unit);
        if (r >= 0)
                r = add_match(j, "_UID", "0");
        if (r >= 0)
                r = sd_journal_seek_tail(j);
        if (r >= 0)
                r = sd_journal_previous(j);
        int found = r;
        if (found > 0) {
                (void) sd_journal_get_realtime_usec(j, &log->start);
                (void) get_field(j, "IMAGE", &log->root);
                (void) get_field(j, "INVOCATION_ID", &invocation);
        }
        for (size_t i = 0; r > 0 && i < RUNS_MAX; i++) {
                char *boot_id = NULL;
                if (get_field(j, "BOOT_ID", &boot_id) >= 0)
                        r = strv_consume(&log->boot_ids, boot_id);
                if (r >= 0)
                        r = sd_journal_previous(j);
        }
        if (r >= 0 && invocation)
                (void) find_invocation(j, invocation, &log->start);
        sd_journal_close(j);
        return r < 0 ? r : found;
}

/* Whether a journal in the machine has messages of the current run. */
static bool inner_speaks(const Log *log)
{
        for (size_t i = 0; i < log->n; i++)
                if (sd_journal_seek_realtime_usec(log->sources[i].journal, log->start) >= 0 &&
                    sd_journal_next(log->sources[i].journal) > 0)
                        return true;
        return false;
}

static int open_host(Log *log, const char *unit, bool console)
{
        sd_journal *j;
        int r;

        r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
        if (r < 0)
                return log_error_errno(r, "Failed to open the journal");
        log->sources[log->n++].journal = j;
        r = match_unit(j, unit, console);
        return r < 0 ? log_error_errno(r, "Failed to search the journal") : 0;
}

static int match_boots(sd_journal *j, const Strv boot_ids)
{
        int r = 0;

        STRV_FOREACH (id, boot_ids)
                if (r >= 0)
                        r = add_match(j, "_BOOT_ID", *id);
        return r;
}

/* Opens the journals below a root directory: of a running machine, or of the image. */
static void open_inner(Log *log, const char *root)
{
        static const char *const paths[] = { "/var/log/journal", "/run/log/journal" };

        _cleanup_close_ int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return;
        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                _cleanup_close_ int fd = rootfs_open(root_fd, paths[i], O_RDONLY | O_DIRECTORY);
                sd_journal *j;

                if (fd < 0 || sd_journal_open_directory_fd(&j, fd, 0) < 0)
                        continue;
                TAKE_FD(fd); /* sd_journal uses the descriptor, which is closed when the process ends */
                if (match_boots(j, log->boot_ids) < 0) {
                        sd_journal_close(j);
                        continue;
                }
                log->sources[log->n++].journal = j;
        }
}

static int reader_open(const char *unit, uint64_t leader, Log *log)
{
        _cleanup_free_ char *root = leader > 0 ? strf("/proc/%" PRIu64 "/root", leader) : NULL;

        journal_sync();
        (void) find_start(log, unit);
        if (root || log->root)
                open_inner(log, root ?: log->root);
        /* The journal in the machine has the messages of the console as well, with more details: leave out
         * those of the console. */
        return open_host(log, unit, !inner_speaks(log));
}

static int source_step(Source *s, int (*step)(sd_journal *j))
{
        int r = step(s->journal);

        s->has = r > 0;
        if (s->has)
                r = sd_journal_get_realtime_usec(s->journal, &s->time);
        return MIN(r, 0);
}

/* Returns the source with the earliest entry or, with `last`, with the latest. NULL for none. */
static Source *choose(Log *log, bool last)
{
        Source *best = NULL;

        for (size_t i = 0; i < log->n; i++) {
                Source *s = log->sources + i;
                if (s->has && (!best || (last ? s->time > best->time : s->time < best->time)))
                        best = s;
        }
        return best;
}

/* Moves the sources to the first of the last `lines` entries that are not older than `since`. */
static int seek_tail(Log *log, size_t lines, uint64_t since)
{
        Source *s;
        int r;

        for (size_t i = 0; i < log->n; i++) {
                s = log->sources + i;
                s->taken = 0;
                r = sd_journal_seek_tail(s->journal);
                if (r >= 0)
                        r = source_step(s, sd_journal_previous);
                if (r < 0)
                        return r;
        }
        for (size_t k = 0; k < lines; k++) {
                s = choose(log, true);
                if (!s || s->time < since)
                        break;
                s->taken++;
                r = source_step(s, sd_journal_previous);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < log->n; i++) {
                s = log->sources + i;
                r = sd_journal_seek_tail(s->journal);
                if (r >= 0 && s->taken > 0)
                        r = sd_journal_previous_skip(s->journal, s->taken);
                if (r < 0)
                        return r;
                s->has = s->taken > 0;
                if (s->has)
                        r = sd_journal_get_realtime_usec(s->journal, &s->time);
                else
                        r = sd_journal_previous(s->journal); /* then sd_journal_next() returns new entries */
                if (r < 0)
                        return r;
        }
        return 0;
}

static int seek_since(Log *log, uint64_t since)
{
        for (size_t i = 0; i < log->n; i++) {
                int r = sd_journal_seek_realtime_usec(log->sources[i].journal, since);
                if (r >= 0)
                        r = source_step(log->sources + i, sd_journal_next);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The output file and the format of lines. */
typedef struct Printer {
        FILE *f;
        const char *prefix;
        bool json, raw;
        size_t json_flags;
} Printer;

static void print_message(const Printer *p, const char *message, int indent)
{
        for (const char *line = message;;) {
                size_t n = strcspn(line, "\n");
                _cleanup_free_ char *part = strndup(line, n),
                                    *shown = part && !p->raw ? str_escape(part) : NULL;

                fprintf(p->f, "%s\n", shown ?: strna(part));
                if (!line[n] || !line[n + 1])
                        break;
                line += n + 1;
                fprintf(p->f, "%s%*s", p->prefix, indent, "");
        }
}

/* Converts a numeric field to JSON. Any program can log another text in the field: then returns NULL. */
static json_t *number(const char *field)
{
        uint64_t v;

        return field && parse_u64(field, 0, INT32_MAX, &v) >= 0 ? json_integer(v) : NULL;
}

static int print_entry(const Source *s, const Printer *p)
{
        _cleanup_free_ char *message = NULL, *identifier = NULL, *pid = NULL, *host = NULL, *priority = NULL;
        time_t t = s->time / USEC_PER_SEC;
        char stamp[64] = "";
        struct tm tm;

        if (get_field(s->journal, "MESSAGE", &message) < 0)
                return 0;
        if (get_field(s->journal, "SYSLOG_IDENTIFIER", &identifier) < 0)
                (void) get_field(s->journal, "_COMM", &identifier);
        if (get_field(s->journal, "SYSLOG_PID", &pid) < 0)
                (void) get_field(s->journal, "_PID", &pid);
        (void) get_field(s->journal, "_HOSTNAME", &host);
        (void) get_field(s->journal, "PRIORITY", &priority);

        if (p->json) {
                json_t *o = json_pack("{sI ss* ss* so* so* ss*}", "time", (json_int_t) s->time, "host", host,
                                      "identifier", identifier, "pid", number(pid), "priority",
                                      number(priority), "message", message);
                /* JSON strings are UTF-8: escape a message of other bytes. */
                _cleanup_free_ char *escaped = o ? NULL : str_escape(message);
                if (!o)
                        o = json_pack("{sI ss*}", "time", (json_int_t) s->time, "message", escaped);
                if (json_dumpf(o, p->f, p->json_flags) >= 0)
                        fputc('\n', p->f);
                json_decref(o);
                return 0;
        }

        if (localtime_r(&t, &tm))
                (void) strftime(stamp, sizeof(stamp), "%b %d %H:%M:%S", &tm);
        _cleanup_free_ char *head = strf("%s %s %s%s%s%s: ", stamp, strna(host), strna(identifier),
                                         pid ? "[" : "", pid ?: "", pid ? "]" : "");
        _cleanup_free_ char *shown = head ? str_escape(head) : NULL;
        if (!shown)
                return log_oom();
        fprintf(p->f, "%s%s", p->prefix, shown);
        print_message(p, message, strlen(shown));
        return 0;
}

static int print_all(Log *log, const Printer *p)
{
        for (Source *s; (s = choose(log, false));) {
                int r = print_entry(s, p);
                if (r >= 0)
                        r = source_step(s, sd_journal_next);
                if (r < 0)
                        return r;
        }
        return fflush(p->f) == 0 ? 0 : -errno;
}

static int follow(Log *log, const Printer *p)
{
        struct pollfd fds[SOURCES_MAX];
        int r;

        for (;;) {
                for (size_t i = 0; i < log->n; i++) {
                        int fd = sd_journal_get_fd(log->sources[i].journal);
                        if (fd < 0)
                                return fd;
                        fds[i] = (struct pollfd){ .fd = fd, .events = POLLIN };
                }
                if (poll(fds, log->n, -1) < 0 && errno != EINTR)
                        return -errno;
                for (size_t i = 0; i < log->n; i++) {
                        r = sd_journal_process(log->sources[i].journal);
                        if (r >= 0 && !log->sources[i].has)
                                r = source_step(log->sources + i, sd_journal_next);
                        if (r < 0)
                                return r;
                }
                r = print_all(log, p);
                if (r < 0)
                        return r;
        }
}

/* Parses "2026-11-22", "2026-11-22 14:00[:30]", "14:00[:30]", "today", "yesterday", "now", "@SECONDS" or a
 * span of time before now. *ret is in µs since 1970. */
static int parse_time(const char *s, uint64_t *ret)
{
        static const char *const formats[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%H:%M:%S",
                                               "%H:%M" };
        time_t now = time(NULL);
        struct tm today;
        uint64_t usec;

        localtime_r(&now, &today);
        today.tm_hour = today.tm_min = today.tm_sec = 0;
        today.tm_isdst = -1;

        if (streq(s, "now"))
                usec = now * USEC_PER_SEC;
        else if (s[0] == '@') {
                if (parse_u64(s + 1, 0, INT32_MAX, &usec) < 0)
                        return -EINVAL;
                usec *= USEC_PER_SEC;
        } else if (streq(s, "today") || streq(s, "yesterday")) {
                today.tm_mday -= streq(s, "yesterday");
                usec = mktime(&today) * USEC_PER_SEC;
        } else if (parse_timespan(s, USEC_PER_SEC, &usec) >= 0)
                usec = now * USEC_PER_SEC - MIN(usec, now * USEC_PER_SEC);
        else {
                for (size_t i = 0;; i++) {
                        if (i == ELEMENTSOF(formats))
                                return -EINVAL;
                        struct tm tm = today;
                        const char *end = strptime(s, formats[i], &tm);
                        if (end && !*end) {
                                usec = mktime(&tm) * USEC_PER_SEC;
                                break;
                        }
                }
        }
        *ret = usec;
        return 0;
}

int logs_print_tail(Context *c, const char *name, const char *unit, int lines, uint64_t since, FILE *f,
                    const char *prefix)
{
        _cleanup_(reader_close) Log log = {};
        uint64_t leader = 0;
        json_t *machines, *machine;
        size_t i;
        int r;

        if (bus_list_machines(c, &machines) >= 0) {
                json_array_foreach (machines, i, machine)
                        if (streq_ptr(json_text(machine, "Unit"), unit))
                                leader = json_number(machine, "Leader");
                json_decref(machines);
        }
        r = reader_open(unit, leader, &log);
        if (r < 0)
                return r;
        r = seek_tail(&log, lines, since == LOGS_LAST_RUN ? log.start : since);
        if (r >= 0)
                r = print_all(&log, &(Printer){ .f = f, .prefix = prefix });
        return r < 0 ? log_error_errno(r, "Failed to read the log of machine '%s'", name) : 0;
}

/* Finds the unit of a machine: as the registry says or, for a machine that the registry does not know, the
 * first unit that has a start in the journal. */
static int find_unit(Context *c, const char *name, char **ret_unit, uint64_t *ret_leader)
{
        json_t *machine;
        int r;

        *ret_leader = 0;
        r = bus_find_machine(c, name, &machine);
        if (r < 0)
                return r;
        if (machine) {
                *ret_leader = json_number(machine, "Leader");
                r = free_and_strdup(ret_unit, json_text(machine, "Unit"));
                json_decref(machine);
                if (r < 0)
                        return log_oom();
        }

        for (MachineUnitKind kind = 0; kind < _MACHINE_UNIT_KIND_MAX && !*ret_unit; kind++) {
                _cleanup_(reader_close) Log log = {};
                char *unit = machine_unit_name(kind, name);

                if (!unit)
                        return log_oom();
                if (find_start(&log, unit) > 0)
                        *ret_unit = unit;
                else
                        free(unit);
        }
        return *ret_unit ? 0
                         : log_error_return(-ESRCH,
                                            "Machine '%s' does not run, and has no log of an earlier run.",
                                            name);
}

int verb_logs(Context *c, char **args)
{
        _cleanup_(reader_close) Log log = {};
        _cleanup_free_ char *unit = NULL;
        uint64_t leader, since = 0;
        int r;

        if (!machine_name_valid(args[0]))
                return usage_bad_name(args[0]);
        if (c->since && parse_time(c->since, &since) < 0)
                return log_error("--since= takes a date, a time or a span, not '%s'.", c->since),
                       EXIT_STATUS_USAGE;

        r = find_unit(c, args[0], &unit, &leader);
        if (r >= 0)
                r = reader_open(unit, leader, &log);
        if (r < 0)
                return r;
        if (geteuid() != 0 && !c->quiet)
                log_warning("Only root can read the journal inside a machine.");

        /* Without --since= and --lines=, show the last run of the machine. */
        if (!c->since && c->lines < 0)
                since = log.start;
        if (!c->follow)
                pager_open(c);
        const Printer printer = {
                .f = stdout,
                .prefix = "",
                .json = c->output != OUTPUT_TEXT,
                .json_flags = output_json_flags(c),
                .raw = c->raw,
        };
        /* sd_journal_get_fd() starts watching a journal. That comes before reading, so that no entry is
         * missed between the last line and follow(). */
        for (size_t i = 0; i < log.n && c->follow; i++)
                (void) sd_journal_get_fd(log.sources[i].journal);
        r = c->lines >= 0 ? seek_tail(&log, c->lines, since) : seek_since(&log, since);
        if (r >= 0)
                r = print_all(&log, &printer);
        if (r >= 0 && c->follow)
                r = follow(&log, &printer);
        if (r == -EPIPE)
                return 0;
        return r < 0 ? log_error_errno(r, "Failed to read the log of machine '%s'", args[0]) : 0;
}
