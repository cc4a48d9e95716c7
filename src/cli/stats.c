/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl stats: what systemd has counted for the units of machines. Nothing runs to sample them but us. */

#include <unistd.h>

#include "basic/time.h"
#include "cli/cli.h"

/* A property that is unknown, unlimited or not counted is UINT64_MAX for systemd, which JSON for people has as a text. */
static json_t *number(const json_t *unit, const char *key)
{
        const json_t *value = json_object_get(unit, key);

        return json_is_integer(value) ? json_integer(json_integer_value(value)) : json_null();
}

static json_t *sample(Context *c, const json_t *machine)
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
                return NULL;
        row = json_pack("{ss ss}", "name", json_text(machine, "Name"), "state",
                        strna(json_text(machine, "State")));
        json_object_set_new(row, "time", json_integer(now_usec(CLOCK_MONOTONIC)));
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                json_object_set_new(row, names[i].field, number(unit, names[i].property));
        json_decref(unit);
        return row;
}

/* All machines that run, or those that were named. */
static int sample_all(Context *c, char **names, json_t **ret)
{
        json_t *machines, *machine, *rows = json_array();
        size_t i;
        int r = 0;

        if (names[0])
                STRV_FOREACH (name, names) {
                        r = bus_get_machine(c, *name, &machine);
                        if (r < 0)
                                break;
                        json_array_append_new(rows, sample(c, machine));
                        json_decref(machine);
                }
        else {
                r = bus_list_machines(c, &machines);
                if (r >= 0) {
                        json_array_foreach (machines, i, machine)
                                if (!streq_ptr(json_text(machine, "State"), "failed"))
                                        json_array_append_new(rows, sample(c, machine));
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

/* Adds the share of one processor that each had since the sample before. */
static void compare(json_t *rows, const json_t *before)
{
        json_t *row, *old;
        size_t i, j;

        json_array_foreach (rows, i, row)
                json_array_foreach (before, j, old) {
                        if (!streq_ptr(json_text(row, "name"), json_text(old, "name")) ||
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

static char *format_bytes(const json_t *value)
{
        static const char units[] = "BKMGTPE";
        double n = json_integer_value(value);
        size_t i = 0;

        if (!json_is_integer(value))
                return strdup("-");
        for (; n >= 1024 && units[i + 1]; i++)
                n /= 1024;
        return i == 0 ? strf("%.0fB", n) : strf("%.1f%c", n, units[i]);
}

static int print(Context *c, const json_t *samples)
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

        /* The moments are ours to compare, and mean nothing to others. */
        json_array_foreach (rows, i, row)
                (void) json_object_del(row, "time");
        r = output_array(c, rows, columns, ELEMENTSOF(columns), "machine");
        json_decref(rows);
        return r;
}

int verb_stats(Context *c, char **args)
{
        bool stream = c->stream && c->output == OUTPUT_TEXT;
        json_t *before, *rows;
        int r;

        r = sample_all(c, args, &before);
        while (r >= 0) {
                sleep(1);
                r = sample_all(c, args, &rows);
                if (r < 0)
                        break;
                compare(rows, before);
                json_decref(before);
                before = rows;
                if (stream && isatty(STDOUT_FILENO))
                        fputs("\033[H\033[J", stdout);
                r = print(c, rows);
                if (!stream || fflush(stdout) != 0)
                        break;
        }
        if (r >= 0)
                json_decref(before);
        return r;
}
