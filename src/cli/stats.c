/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl stats and top: the counters of systemd for the units of machines, and of the kernel for their
 * processes. They are sampled only while mctl runs. */

#include "cli/stats.h"

#include <inttypes.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/time.h"
#include "cli/bus.h"
#include "cli/output.h"

/* If a property is unknown, unlimited or not counted, systemd says UINT64_MAX, which is a string in the JSON
 * of client/. Then returns null. */
static json_t *number(const json_t *unit, const char *key)
{
        const json_t *value = json_object_get(unit, key);

        return json_is_integer(value) ? json_integer(json_integer_value(value)) : json_null();
}

static int sample_unit(Context *c, const json_t *machine, json_t *rows)
{
        static const struct {
                const char *property, *field;
        } names[] = {
                { "CPUUsageNSec", "cpuNSec" }, { "MemoryCurrent", "memory" }, { "MemoryMax", "memoryMax" },
                { "TasksCurrent", "tasks" },   { "TasksMax", "tasksMax" },    { "IOReadBytes", "ioRead" },
                { "IOWriteBytes", "ioWrite" },
        };
        json_t *unit, *row;

        if (bus_get_unit(c, json_text(machine, "Unit"), &unit) < 0)
                return 0; /* the machine has ended meanwhile */
        row = json_pack("{ss ss}", "name", json_text(machine, "Name"), "state",
                        strna(json_text(machine, "State")));
        json_object_set_new(row, "time", json_integer(now_usec(CLOCK_MONOTONIC)));
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                json_object_set_new(row, names[i].field, number(unit, names[i].property));
        json_decref(unit);
        json_array_append_new(rows, row);
        return 0;
}

/* A table that is shown anew each second. */
typedef struct View {
        int (*sample)(Context *c, const json_t *machine, json_t *rows); /* appends the rows of a machine */
        const char *key;                                                /* field that identifies a row */
        int (*print)(Context *c, const json_t *rows);
} View;

/* Samples the machines in `names` or, if that is empty, all running machines. */
static int sample_all(Context *c, const View *view, char **names, json_t **ret)
{
        json_t *machines, *machine, *rows = json_array();
        size_t i;
        int r = 0;

        if (names[0])
                STRV_FOREACH (name, names) {
                        r = bus_get_machine(c, *name, &machine);
                        if (r < 0)
                                break;
                        r = view->sample(c, machine, rows);
                        json_decref(machine);
                        if (r < 0)
                                break;
                }
        else {
                r = bus_list_machines(c, &machines);
                if (r >= 0) {
                        json_array_foreach (machines, i, machine)
                                if (r >= 0 && !streq_ptr(json_text(machine, "State"), "failed"))
                                        r = view->sample(c, machine, rows);
                        json_decref(machines);
                }
        }
        if (r < 0) {
                json_decref(rows);
                return r;
        }
        *ret = rows;
        return 0;
}

/* Adds to each row the processor time since the sample before, as percentage of one processor. */
static void compare(json_t *rows, const json_t *before, const char *key)
{
        json_t *row, *old;
        size_t i, j;

        json_array_foreach (rows, i, row)
                json_array_foreach (before, j, old) {
                        if (!json_equal(json_object_get(row, key), json_object_get(old, key)) ||
                            !json_is_integer(json_object_get(row, "cpuNSec")) ||
                            json_number(row, "cpuNSec") < json_number(old, "cpuNSec"))
                                continue;
                        double used = json_number(row, "cpuNSec") - json_number(old, "cpuNSec");
                        double passed = json_number(row, "time") - json_number(old, "time");
                        json_object_set_new(row, "cpuPercent",
                                            json_real(passed > 0 ? used / passed / 10 : 0));
                }
}

static char *format_percent(const json_t *value)
{
        return json_is_real(value) ? strf("%.1f%%", json_real_value(value)) : strdup("-");
}

static int print_units(Context *c, const json_t *samples)
{
        static const Column columns[] = {
                { "name", "MACHINE", NULL },
                { "state", "STATE", NULL },
                { "cpuPercent", "CPU", format_percent },
                { "memory", "MEMORY", format_bytes },
                { "memoryMax", "LIMIT", format_bytes },
                { "tasks", "TASKS", NULL },
                { "ioRead", "READ", format_bytes },
                { "ioWrite", "WRITTEN", format_bytes },
        };
        json_t *rows = json_deep_copy(samples), *row;
        size_t i;
        int r;

        /* The field "time" is only for compare(). */
        json_array_foreach (rows, i, row)
                (void) json_object_del(row, "time");
        r = output_array(c, rows, columns, ELEMENTSOF(columns), "machine");
        json_decref(rows);
        return r;
}

static int watch(Context *c, const View *view, char **names)
{
        bool stream = c->stream && c->output == OUTPUT_TEXT;
        json_t *before, *rows;
        int r;

        r = sample_all(c, view, names, &before);
        while (r >= 0) {
                sleep(1);
                r = sample_all(c, view, names, &rows);
                if (r < 0)
                        break;
                compare(rows, before, view->key);
                json_decref(before);
                before = rows;
                if (stream && isatty(STDOUT_FILENO))
                        fputs("\033[H\033[J", stdout);
                r = view->print(c, rows);
                if (!stream || fflush(stdout) != 0)
                        break;
        }
        if (r >= 0)
                json_decref(before);
        return r;
}

int verb_stats(Context *c, char **args)
{
        return watch(c, &(View){ sample_unit, "name", print_units }, args);
}

/* --- processes ----------------------------------------------------------------------------------------- */

/* Reads /proc/PID/stat (proc(5)). A process chooses its own name, which may have parentheses: the fields
 * begin behind the last one. Times are in clock ticks. */
static int read_process(uint32_t pid, uint64_t *ret_ticks, uint64_t *ret_start, uint64_t *ret_pages)
{
        _cleanup_free_ char *path = strf("/proc/%" PRIu32 "/stat", pid), *text = NULL;
        unsigned long long user, system, start;
        long long pages;
        int r;

        OOM_CHECK(path);
        r = file_read_at(AT_FDCWD, path, 4096, &text, NULL);
        if (r < 0)
                return r;
        const char *rest = strrchr(text, ')');
        if (!rest ||
            sscanf(rest + 1,
                   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu "
                   "%*u %lld",
                   &user, &system, &start, &pages) != 4)
                return -EBADMSG;
        *ret_ticks = user + system;
        *ret_start = start;
        *ret_pages = MAX(pages, 0LL);
        return 0;
}

/* Returns the user ID of a process, as the machine numbers it. */
static json_t *read_user(uint32_t pid, uint64_t base)
{
        _cleanup_free_ char *path = strf("/proc/%" PRIu32 "/status", pid), *text = NULL;
        uint64_t uid;

        if (!path || file_read_at(AT_FDCWD, path, 16384, &text, NULL) < 0)
                return json_null();
        const char *line = strstr(text, "\nUid:\t");
        if (!line)
                return json_null();
        uid = strtoull(line + strlen("\nUid:\t"), NULL, 10);
        return json_integer(uid >= base ? uid - base : uid);
}

static int sample_processes(Context *c, const json_t *machine, json_t *rows)
{
        const uint64_t ticks_per_second = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
        uint64_t ticks, start, pages, base = json_number(machine, "UIDBase");
        CgroupProcess *processes;
        size_t n;

        if (bus_get_processes(c, json_text(machine, "Unit"), &processes, &n) < 0)
                return 0; /* the machine has ended meanwhile */
        for (size_t i = 0; i < n; i++) {
                uint32_t pid = processes[i].pid;
                if (read_process(pid, &ticks, &start, &pages) < 0)
                        continue;
                /* A PID may be used again: "id" has the start time as well. */
                json_array_append_new(rows,
                                      json_pack("{ss so si s[i,I] sI sI sI ss}", "machine",
                                                json_text(machine, "Name"), "user", read_user(pid, base),
                                                "pid", (int) pid, "id", (int) pid, (json_int_t) start,
                                                "time", (json_int_t) now_usec(CLOCK_MONOTONIC), "cpuNSec",
                                                (json_int_t) (ticks * NSEC_PER_SEC / ticks_per_second),
                                                "memory", (json_int_t) (pages * page), "command",
                                                strna(processes[i].command)));
        }
        processes_free(processes, n);
        return 0;
}

static char *format_cpu_time(const json_t *value)
{
        uint64_t seconds = json_integer_value(value) / NSEC_PER_SEC;

        return strf("%" PRIu64 ":%02u", seconds / 60, (unsigned) (seconds % 60));
}

static int compare_load(const void *a, const void *b)
{
        const json_t *x = *(json_t *const *) a, *y = *(json_t *const *) b;
        double d = json_real_value(json_object_get(y, "cpuPercent")) -
                   json_real_value(json_object_get(x, "cpuPercent"));
        json_int_t m = json_number(y, "memory") - json_number(x, "memory");

        return d != 0 ? (d > 0 ? 1 : -1) : m > 0 ? 1 : m < 0 ? -1 : 0;
}

/* Returns at most `max` rows, the busiest process first. */
static json_t *sort_processes(const json_t *samples, size_t max)
{
        size_t n = json_array_size(samples), i;
        _cleanup_free_ json_t **list = calloc(n + 1, sizeof(json_t *));
        json_t *rows = json_array(), *row;

        if (!list)
                return rows;
        json_array_foreach (samples, i, row)
                list[i] = row;
        qsort(list, n, sizeof(json_t *), compare_load);
        for (i = 0; i < MIN(n, max); i++) {
                row = json_copy(list[i]);
                (void) json_object_del(row, "time");
                (void) json_object_del(row, "id");
                json_array_append_new(rows, row);
        }
        return rows;
}

static int print_processes(Context *c, const json_t *samples)
{
        static const Column columns[] = {
                { "machine", "MACHINE", NULL },
                { "pid", "PID", NULL },
                { "user", "USER", NULL },
                { "cpuPercent", "CPU", format_percent },
                { "memory", "MEMORY", format_bytes },
                { "cpuNSec", "TIME", format_cpu_time },
                { "command", "COMMAND", NULL },
        };
        struct winsize size = {};
        double load = 0;
        json_t *rows, *row;
        size_t i;
        int r;

        json_array_foreach (samples, i, row)
                load += json_real_value(json_object_get(row, "cpuPercent"));
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) >= 0)
                c->width = size.ws_col;
        rows = sort_processes(samples, c->stream && size.ws_row > 5 ? size.ws_row - 4U : SIZE_MAX);
        if (c->legend && c->output == OUTPUT_TEXT)
                printf("%.1f%% of %ld processors, %zu processes\n\n", load, sysconf(_SC_NPROCESSORS_ONLN),
                       json_array_size(samples));
        r = output_array(c, rows, columns, ELEMENTSOF(columns), NULL);
        json_decref(rows);
        return r;
}

int verb_top(Context *c, char **args)
{
        return watch(c, &(View){ sample_processes, "id", print_processes }, args);
}
