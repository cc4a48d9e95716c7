/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Machine files: the syntax of systemd.syntax(7). */

#include <ctype.h>
#include <stdarg.h>

#include "basic/parse.h"
#include "spec/spec.h"
#include "spec/specifier.h"

#define LINE_MAX_BYTES 65536U

/* The section for properties of units. It has no rows in the table of settings. */
#define SECTION_RESOURCES _SPEC_SECTION_MAX
/* [Unit], [Service] and [Install]: lines for systemd, which the generator passes on. */
#define SECTION_SYSTEMD (_SPEC_SECTION_MAX + 1)
#define SECTION_NONE    (_SPEC_SECTION_MAX + 2)

/* Keys in files of systemd-nspawn that mctl does not support. */
static const char *const nspawn_only[] = {
        "BindUser",
        "BindUserShell",
        "Bridge",
        "IPVLAN",
        "MACVLAN",
        "PivotRoot",
        "Port",
        "PrivateUsersDelegate",
        "PrivateUsersOwnership",
        "RestrictAddressFamilies",
        "SuppressSync",
        "VirtualEthernet",
        "VirtualEthernetExtra",
        "Zone",
};

typedef struct Reader {
        Spec *spec;
        SpecSource source;
        const char *file;
        bool nspawn;
        unsigned line;
        int section;
        Strv *warnings;
        char **ret_error;
} Reader;

static int _printf_(2, 3) reader_fail(Reader *r, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0)
                return -ENOMEM;
        *r->ret_error = strf("%s:%u: %s", r->file, r->line, text);
        return *r->ret_error ? -EINVAL : -ENOMEM;
}

static int reader_warn(Reader *r, const char *key, const char *why)
{
        return strv_appendf(r->warnings, "%s:%u: %s= %s.", r->file, r->line, key, why);
}

static char *strip(char *s)
{
        s += strspn(s, " \t\r");
        for (char *e = s + strlen(s); e > s && strchr(" \t\r", e[-1]);)
                *--e = 0;
        return s;
}

static int read_section(Reader *r, const char *name)
{
        for (SpecSection s = 0; s < _SPEC_SECTION_MAX; s++)
                if (streq(name, spec_section_name(s))) {
                        r->section = s;
                        return 0;
                }
        if (streq(name, "Resources")) {
                r->section = SECTION_RESOURCES;
                return 0;
        }
        if (streq(name, "Unit") || streq(name, "Service") || streq(name, "Install")) {
                r->section = SECTION_SYSTEMD;
                return r->source == SPEC_SOURCE_IMAGE
                               ? reader_warn(r, name, "came with the image; it was left out")
                               : strv_appendf(&r->spec->unit_lines, "[%s]", name);
        }
        return reader_fail(
                r,
                "Unknown section [%.40s]: expected [Image], [Exec], [Files], [Network], [Resources], "
                "[Unit], [Service] or [Install].",
                name);
}

static int fail_unknown_key(Reader *r, const char *key)
{
        const char *section = spec_section_name(r->section);
        const Setting *best = NULL;
        unsigned best_distance = 4;

        for (size_t i = 0; i < n_settings; i++) {
                if (streq(settings[i].key, key))
                        return reader_fail(r, "%s= belongs in section [%s], not in [%s].", key,
                                           spec_section_name(settings[i].section), section);

                unsigned distance = edit_distance(key, settings[i].key);
                if (settings[i].section == (SpecSection) r->section && distance < best_distance) {
                        best = settings + i;
                        best_distance = distance;
                }
        }
        if (best)
                return reader_fail(r, "Unknown key '%.40s' in section [%s]: did you mean %s=?", key, section,
                                   best->key);
        return reader_fail(r, "Unknown key '%.40s' in section [%s]: see mctl.machine(5).", key, section);
}

static int read_setting(Reader *r, const char *key, const char *value, char **ret_error)
{
        const Setting *setting = setting_find(r->section, key);
        _cleanup_free_ char *expanded = NULL;
        int q;

        /* For Ephemeral=, systemd-nspawn runs the machine from a copy of the image. Volatile=disk is the
         * equivalent. */
        if (r->nspawn && r->section == SPEC_SECTION_EXEC && streq(key, "Ephemeral")) {
                q = parse_boolean(value);
                setting = setting_find(SPEC_SECTION_FILES, "Volatile");
                value = q > 0 ? "disk" : "no";
                if (q < 0)
                        return reader_fail(r, "Ephemeral= takes yes or no.");
        }

        if (!setting) {
                for (size_t i = 0; i < ELEMENTSOF(nspawn_only) && r->nspawn; i++)
                        if (streq(nspawn_only[i], key))
                                return reader_warn(r, key, "is not supported and was left out");
                return fail_unknown_key(r, key);
        }
        if (r->source == SPEC_SOURCE_IMAGE && !setting->image_may)
                return reader_warn(r, key, "came with the image, which may not say that; it was left out");
        if (!r->nspawn && strchr(value, '%')) {
                q = spec_expand(r->spec, value, &expanded);
                if (q == -EINVAL)
                        return reader_fail(
                                r,
                                "Unknown specifier in '%.80s': expected %%i, %%m, %%v, %%H, %%b, %%a or "
                                "%%%%.",
                                value);
                if (q < 0)
                        return q;
        }
        return spec_assign(r->spec, setting, r->source, expanded ?: value, ret_error);
}

static int read_assignment(Reader *r, char *line)
{
        _cleanup_free_ char *error = NULL;
        char *equals = strchr(line, '=');
        int q;

        if (r->section == SECTION_SYSTEMD && r->source == SPEC_SOURCE_IMAGE)
                return 0;
        if (r->section == SECTION_SYSTEMD && spec_property_reserved(line))
                return reader_fail(r, "'%.40s' makes the unit a machine; it cannot be set.", line);
        if (r->section == SECTION_SYSTEMD)
                return strv_append(&r->spec->unit_lines, line);
        if (!equals)
                return reader_fail(r, "Expected KEY=VALUE or [SECTION], not '%.40s'.", line);
        *equals = 0;
        const char *key = strip(line), *value = strip(equals + 1);

        if (r->section == SECTION_NONE)
                return reader_fail(r, "%.40s= stands before the first section.", key);
        if (r->section != SECTION_RESOURCES)
                q = read_setting(r, key, value, &error);
        else if (r->source == SPEC_SOURCE_IMAGE)
                q = reader_warn(r, key, "came with the image, which may not say that; it was left out");
        else {
                _cleanup_free_ char *assignment = strf("%s=%s", key, value);
                OOM_CHECK(assignment);
                q = spec_assign_resource(r->spec, assignment, &error);
        }
        return error ? reader_fail(r, "%s", error) : q;
}

static int read_line(Reader *r, char *line)
{
        line = strip(line);
        if (!str_is_clean(line))
                return reader_fail(r, "Line is no clean UTF-8 text (a control character or a broken one).");
        if (*line == '[') {
                size_t n = strlen(line);
                if (line[n - 1] != ']')
                        return reader_fail(r, "Section is not closed: expected ']' at the end of '%.40s'.",
                                           line);
                line[n - 1] = 0;
                return read_section(r, line + 1);
        }
        return read_assignment(r, line);
}

int spec_read_file(Spec *spec, SpecSource source, const char *file, bool nspawn, char *text, Strv *warnings,
                   char **ret_error)
{
        Reader reader = {
                .spec = spec,
                .source = source,
                .file = file,
                .nspawn = nspawn,
                .section = SECTION_NONE,
                .warnings = warnings,
                .ret_error = ret_error,
        };
        char joined[LINE_MAX_BYTES];
        size_t n = 0;
        int r;

        for (char *line = text, *next; line; line = next) {
                next = strchr(line, '\n');
                if (next)
                        *next++ = 0;
                reader.line++;

                /* A comment does not end a continued line, as in unit files. */
                char *start = line + strspn(line, " \t\r");
                if (*start == '#' || *start == ';' || (*start == 0 && n == 0))
                        continue;

                size_t length = strlen(line);
                while (length > 0 && line[length - 1] == '\r')
                        length--;
                bool continues = length > 0 && line[length - 1] == '\\';
                if (continues)
                        line[length - 1] = ' ';
                if (n + length >= sizeof(joined))
                        return reader_fail(&reader, "Line is longer than %u bytes.", LINE_MAX_BYTES);
                memcpy(joined + n, line, length);
                n += length;
                joined[n] = 0;
                if (continues && next)
                        continue;

                r = read_line(&reader, joined);
                if (r < 0)
                        return r;
                n = 0;
        }
        return 0;
}

/* A single percent sign would begin a specifier. */
static char *escape_percent(const char *s)
{
        char *out = malloc(strlen(s) * 2 + 1), *p = out;

        for (; out && *s; s++) {
                if (*s == '%')
                        *p++ = '%';
                *p++ = *s;
        }
        if (out)
                *p = 0;
        return out;
}

/* A reader strips blanks at both ends of a value, and a backslash at the end of a line continues the
 * line. */
static bool fits_line(const char *value)
{
        size_t n = strlen(value);

        return n == 0 || (!strchr(" \t", value[0]) && !strchr(" \t\\", value[n - 1]));
}

static int append_text(Strv *lines, const char *key, const char *value)
{
        _cleanup_free_ char *escaped = NULL;

        if (!fits_line(value))
                return -EINVAL;
        escaped = escape_percent(value);
        return escaped ? strv_appendf(lines, "%s=%s", key, escaped) : -ENOMEM;
}

static int append_value(Strv *lines, const char *key, const json_t *value)
{
        if (json_is_null(value))
                return 0;
        if (json_is_boolean(value))
                return strv_appendf(lines, "%s=%s", key, json_is_true(value) ? "yes" : "no");
        if (json_is_integer(value))
                return strv_appendf(lines, "%s=%" JSON_INTEGER_FORMAT, key, json_integer_value(value));
        return append_text(lines, key, json_string_value(value));
}

/* A list of entries has a line for each entry, a list of words has one line. */
static int append_setting(Strv *lines, const Setting *setting, const json_t *value)
{
        size_t i;
        json_t *element;
        int r;

        if (!json_is_array(value))
                return append_value(lines, setting->key, value);
        if (setting->type->list) {
                json_array_foreach (value, i, element) {
                        r = append_value(lines, setting->key, element);
                        if (r < 0)
                                return r;
                }
                return 0;
        }

        _cleanup_strv_ Strv words = NULL;
        json_array_foreach (value, i, element) {
                r = strv_append(&words, json_string_value(element));
                if (r < 0)
                        return r;
        }
        _cleanup_free_ char *line = words ? strv_join_words(words) : NULL;
        return line ? append_text(lines, setting->key, line) : 0;
}

int spec_to_text(const Spec *spec, bool all, char **ret)
{
        _cleanup_strv_ Strv lines = NULL;
        SpecSection section = _SPEC_SECTION_MAX;
        int r = 0;

        for (size_t i = 0; i < n_settings && r >= 0; i++) {
                if (!all && spec->source[i] == SPEC_SOURCE_DEFAULT)
                        continue;
                if (settings[i].section != section) {
                        r = strv_appendf(&lines, "%s[%s]", lines ? "\n" : "",
                                         spec_section_name(settings[i].section));
                        section = settings[i].section;
                }
                json_t *value = settings[i].type->to_json(settings[i].type,
                                                          (const uint8_t *) spec + settings[i].offset);
                if (r >= 0)
                        r = append_setting(&lines, settings + i, value);
                json_decref(value);
        }
        if (r >= 0 && spec->resources)
                r = strv_appendf(&lines, "%s[Resources]", lines ? "\n" : "");
        STRV_FOREACH (s, spec->resources)
                if (r >= 0)
                        r = fits_line(strchr(*s, '=') + 1) ? strv_append(&lines, *s) : -EINVAL;
        if (r >= 0)
                r = strv_append(&lines, ""); /* for a line break at the end */
        if (r < 0)
                return r;
        *ret = strv_join(lines, "\n");
        return *ret ? 0 : -ENOMEM;
}
