/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/output.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

char *format_timestamp(const json_t *usec)
{
        time_t t = json_integer_value(usec) / USEC_PER_SEC;
        struct tm tm;
        char text[64];

        if (t == 0 || !localtime_r(&t, &tm) ||
            strftime(text, sizeof(text), "%a %Y-%m-%d %H:%M:%S %Z", &tm) == 0)
                return strdup("-");
        return strdup(text);
}

char *format_bytes(const json_t *value)
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

size_t text_width(const char *s)
{
        size_t n = 0;

        for (; *s; s++)
                n += (*s & 0xc0) != 0x80;
        return n;
}

/* Strings may come from a machine: they are shown without control characters. */
static char *cell_text(const json_t *object, const Column *column)
{
        const json_t *value = json_object_get(object, column->key);

        if (!value || json_is_null(value))
                return strdup("-");
        if (column->format)
                return column->format(value);
        if (json_is_string(value))
                return str_escape(json_string_value(value));
        if (json_is_boolean(value))
                return strdup(json_is_true(value) ? "yes" : "no");
        return json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
}

/* Returns how many bytes the first `width` characters of a text have. */
static size_t text_cut(const char *s, size_t width)
{
        size_t i = 0;

        for (; s[i]; i++)
                if ((s[i] & 0xc0) != 0x80 && width-- == 0)
                        break;
        return i;
}

/* Prints a row of a table. The last cell is cut if the row is longer than line_width. */
static void print_row(char **cells, const size_t *widths, size_t n, size_t line_width)
{
        size_t at = 0;

        for (size_t i = 0; i + 1 < n; i++) {
                printf("%s%*s", cells[i], (int) (widths[i] - text_width(cells[i]) + 1), "");
                at += widths[i] + 1;
        }
        size_t rest = line_width == 0 ? SIZE_MAX : line_width - MIN(line_width, at);
        printf("%.*s\n", (int) MIN(text_cut(cells[n - 1], rest), (size_t) INT_MAX), cells[n - 1]);
}

static int collect_cells(json_t *array, const Column *columns, size_t n_columns, Strv *ret)
{
        _cleanup_strv_ Strv cells = NULL;
        json_t *object;
        size_t i;
        int r;

        for (size_t k = 0; k < n_columns; k++) {
                r = strv_append(&cells, columns[k].heading);
                if (r < 0)
                        return r;
        }
        json_array_foreach (array, i, object)
                for (size_t k = 0; k < n_columns; k++) {
                        r = strv_consume(&cells, cell_text(object, columns + k));
                        if (r < 0)
                                return r;
                }
        *ret = TAKE_PTR(cells);
        return 0;
}

int output_array(Context *c, json_t *array, const Column *columns, size_t n_columns, const char *what)
{
        size_t n = json_array_size(array);
        _cleanup_strv_ Strv cells = NULL;
        _cleanup_free_ size_t *widths = NULL;

        if (c->output != OUTPUT_TEXT)
                return output_json(c, json_incref(array));

        widths = calloc(n_columns, sizeof(size_t));
        if (!widths || collect_cells(array, columns, n_columns, &cells) < 0)
                return log_oom();
        for (size_t k = 0; k < (n + 1) * n_columns; k++)
                widths[k % n_columns] = MAX(widths[k % n_columns], text_width(cells[k]));

        if (c->legend && n > 0)
                print_row(cells, widths, n_columns, c->width);
        for (size_t k = 1; k <= n; k++)
                print_row(cells + k * n_columns, widths, n_columns, c->width);
        if (c->legend && !c->quiet && what)
                printf("%s%zu %s%s.\n", n > 0 ? "\n" : "", n, what, n == 1 ? "" : "s");
        return 0;
}

size_t output_json_flags(const Context *c)
{
        return (c->output == OUTPUT_JSON ? JSON_COMPACT : JSON_INDENT(2)) | JSON_ENCODE_ANY;
}

int output_json(Context *c, json_t *json)
{
        int r = json_dumpf(json, stdout, output_json_flags(c));

        json_decref(json);
        putchar('\n');
        return r < 0 ? log_error_errno(-EIO, "Failed to print") : 0;
}

static pid_t pager_pid;

void pager_open(Context *c)
{
        const char *program = getenv("MCTL_PAGER") ?: getenv("PAGER") ?: "less";
        int fds[2];

        if (!c->pager || pager_pid > 0 || c->output != OUTPUT_TEXT || !isatty(STDOUT_FILENO) ||
            isempty(program) || streq(program, "cat") || pipe2(fds, O_CLOEXEC) < 0)
                return;
        fflush(stdout);
        pager_pid = fork();
        if (pager_pid == 0) {
                (void) dup2(fds[0], STDIN_FILENO);
                close(fds[0]);
                close(fds[1]);
                (void) setenv("LESS", "FRSXMK", false);
                /* less can run commands and write files: LESSSECURE disables that. */
                (void) setenv("LESSSECURE", "1", true);
                execlp("sh", "sh", "-c", program, NULL);
                _exit(EXIT_FAILURE);
        }
        if (pager_pid > 0)
                (void) dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
}

void pager_close(void)
{
        if (pager_pid <= 0)
                return;
        fclose(stdout);
        close(STDOUT_FILENO);
        while (waitpid(pager_pid, NULL, 0) < 0 && errno == EINTR)
                ;
}
