/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Command lines, by small tables of options and verbs: what becomes of each word, and what is said of a
 * wrong one. */

#include <sys/mman.h>
#include <unistd.h>

#include "basic/fd.h"
#include "cli/options.h"
#include "test.h"

#define WORDS_MAX 16U

/* --- tables -------------------------------------------------------------------------------------------- */

#define PLACE(kind, member)                                                \
        {                                                                  \
                .place = PLACE_##kind, .offset = offsetof(Context, member) \
        }
#define CALL(function)                                     \
        {                                                  \
                .place = PLACE_FUNCTION, .parse = function \
        }
#define KEY(kind, name)                            \
        {                                          \
                .place = PLACE_##kind, .key = name \
        }

static const Option own_options[] = {
        { "help", 'h', PLACE(TRUE, help) },
        { "quiet", 'q', PLACE(TRUE, quiet) },
        { "no-legend", 0, PLACE(FALSE, legend) },
        { "host", 'H', CALL(option_parse_host), "HOST" },
        { "json", 'j', CALL(option_parse_json), "[FORMAT]" },
        { "lines", 'n', CALL(option_parse_lines), "N", "logs status" },
        { "name", 0, PLACE(TEXT, name), "NAME", "boot run" },
        { "interactive", 'i', PLACE(TRUE, run.interactive), NULL, "run exec" },
        { "env", 'e', PLACE(LIST, run.environment), "VARIABLE", "run exec" },
        { "user", 'u', KEY(SETTING, "User"), "USER", "run exec" },
        { "cap-add", 0, KEY(CAPABILITY, "Capability"), "CAPABILITY", "run" },
        { "init", 0, KEY(SETTING_YES, "ProcessTwo"), NULL, "run" },
        { "detach-keys", 0, CALL(option_parse_detach_keys), "KEYS" },
        { "ephemeral", 'x', CALL(option_parse_ephemeral), "[WHERE]", "boot run" },
        { "console", 0, CALL(option_parse_console), "[MODE]", "boot" },
        {},
};

static const Verb own_verbs[] = {
        { .name = "list" },
        { .name = "logs" },
        { .name = "boot", .settings = "all" },
        { .name = "run", .settings = "all", .command = true },
        { .name = "exec", .alias = "execute", .command = true },
        { .name = "console", .alias = "attach", .settings = "read-only" },
        {},
};

/* --- one command line ---------------------------------------------------------------------------------- */

static struct {
        Context context;
        Parsed parsed;
        char *argv[WORDS_MAX + 2], *words[WORDS_MAX + 2];
        Strv split;
        char *said; /* what was logged, without the end of the line */
} line;

static void forget(void)
{
        strv_free(line.split);
        strv_free(line.context.run.environment);
        if (line.context.spec)
                spec_free(line.context.spec);
        free(line.said);
        memset(&line, 0, sizeof(line));
}

static void hold_stderr(int *ret_own, int *ret_held)
{
        *ret_own = dup(STDERR_FILENO);
        *ret_held = memfd_create("stderr", MFD_CLOEXEC);
        if (*ret_own < 0 || *ret_held < 0 || dup2(*ret_held, STDERR_FILENO) < 0)
                abort();
}

static void release_stderr(int own, int held)
{
        char text[1024];
        ssize_t n = pread(held, text, sizeof(text) - 1, 0);

        (void) dup2(own, STDERR_FILENO);
        fd_close(own);
        fd_close(held);
        if (n < 0)
                abort();
        text[n] = 0;
        if (n > 0 && text[n - 1] == '\n')
                text[n - 1] = 0;
        (void) free_and_strdup(&line.said, text);
}

/* Parses what stands behind "mctl", split as a shell would. */
static int parse(const char *text)
{
        int own, held, r;

        forget();
        if (strv_split_words(text, &line.split) < 0 || strv_length(line.split) > WORDS_MAX)
                abort();
        line.argv[0] = (char *) "mctl";
        for (size_t i = 0; i < strv_length(line.split); i++)
                line.argv[i + 1] = line.split[i];
        line.context = (Context){ .verbs = own_verbs,
                                  .options = own_options,
                                  .legend = true,
                                  .default_keys = true,
                                  .lines = -1,
                                  .spec = spec_new(NULL) };
        line.parsed.words = line.words;
        hold_stderr(&own, &held);
        r = options_parse(&line.context, line.argv, &line.parsed);
        release_stderr(own, held);
        return r;
}

/* Whether the options go with the verb, which is the first word. */
static int check(const char *text)
{
        int own, held, r;

        if (!CHECK_INT(parse(text), 0))
                return -EINVAL;
        hold_stderr(&own, &held);
        r = options_check(&line.context, verb_find(&line.context, line.words[0]), &line.parsed);
        release_stderr(own, held);
        return r;
}

static void check_words(const char *expected)
{
        _cleanup_free_ char *joined = strv_join(line.words, "|");

        CHECK_TEXT(joined, expected);
        CHECK_INT(line.parsed.n_words, strv_length(line.words));
}

static const SpecSource *source_of(SpecSection section, const char *key)
{
        return line.context.spec->source + (setting_find(section, key) - settings);
}

/* --- words and values ---------------------------------------------------------------------------------- */

static const struct {
        const char *text, *words;
} lines[] = {
        { "", "" },
        { "list", "list" },
        { "list -q web", "list|web" },
        { "-q list", "list" },
        { "list - ''", "list|-|" },
        { "list -- -q --quiet", "list|-q|--quiet" },
        { "-- list -- -q", "list|--|-q" },
        { "list a b -q", "list|a|b" },
        /* A value may look like anything. */
        { "list --name -q", "list" },
        { "list --name -- a", "list|a" },
        { "list --name=-- a", "list|a" },
        { "list -u '' a", "list|a" },
        /* What may be left out is never the next word. */
        { "list --json pretty", "list|pretty" },
        { "list -j pretty", "list|pretty" },
        { "boot --read-only no", "boot|no" },
        /* From the first word of a command on, all is the command's. */
        { "run -q image -i sh -c 'echo a' -q --name=x", "run|image|sh|-c|echo a|-q|--name=x" },
        { "run image sh -- -q", "run|image|sh|--|-q" },
        { "run image -- -q", "run|image|-q" },
        { "run -- image sh -q", "run|image|sh|-q" },
        { "exec web ls --host=x", "exec|web|ls|--host=x" },
        { "execute web ls -l", "execute|web|ls|-l" },
        { "-e A=1 exec --env B=2 web ls -l", "exec|web|ls|-l" },
};

static void test_words(void)
{
        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                if (!CHECK_INT(parse(lines[i].text), 0))
                        fprintf(stderr, "\tthat is: %s\n\t%s\n", lines[i].text, line.said);
                check_words(lines[i].words);
                CHECK_TEXT(line.said, "");
        }
        CHECK_INT(parse("run -q image -i sh -h"), 0);
        CHECK(line.context.quiet && line.context.run.interactive && !line.context.help);
        CHECK_INT(parse("list -- -q"), 0);
        CHECK(!line.context.quiet);
}

static void test_values(void)
{
        static const char *const texts[] = {
                "run --name=web --user=root", "run --name web --user root",
                "run --name=web -u root",     "run --name=web -uroot",
                "run --name=web -iuroot",     "run --name=web -iu root",
                "--name web -qiuroot run",    "run --name=x --name=web -ux -uroot"
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                if (!CHECK_INT(parse(texts[i]), 0) || !CHECK_TEXT(line.context.name, "web") ||
                    !CHECK_TEXT(line.context.spec->user, "root"))
                        fprintf(stderr, "\tthat is: %s\n\t%s\n", texts[i], line.said);
                check_words("run");
                CHECK_INT(*source_of(SPEC_SECTION_EXEC, "User"), SPEC_SOURCE_COMMAND);
        }

        /* The letters behind one that takes a value are its value. */
        CHECK_INT(parse("run -uiq"), 0);
        CHECK_TEXT(line.context.spec->user, "iq");
        CHECK(!line.context.run.interactive && !line.context.quiet);
        /* Those behind one that may have a value are not. */
        CHECK_INT(parse("run -xq"), 0);
        CHECK(line.context.quiet);
        CHECK_INT(line.context.spec->volatile_mode, VOLATILE_DISK);

        CHECK_INT(parse("run --name="), 0);
        CHECK_TEXT(line.context.name, "");
        CHECK_INT(parse("run --name=a=b -eA=1 --env=B=2=3 --env C= --no-legend"), 0);
        CHECK_TEXT(line.context.name, "a=b");
        _cleanup_free_ char *joined = strv_join(line.context.run.environment, "|");
        CHECK_TEXT(joined, "A=1|B=2=3|C=");
        CHECK(!line.context.legend);
        CHECK_INT(parse("run --user=root --user="), 0);
        CHECK(!line.context.spec->user);
}

/* Options that settings have, and those that are settings by another name. */
static void test_settings(void)
{
        CHECK_INT(parse("boot --read-only --hostname web --bind-ro=/srv --notify-ready=no"), 0);
        CHECK(line.context.spec->read_only && !line.context.spec->notify_ready);
        CHECK_TEXT(line.context.spec->hostname, "web");
        CHECK_INT(strv_length(line.context.spec->bind_read_only), 1);
        CHECK_INT(*source_of(SPEC_SECTION_FILES, "ReadOnly"), SPEC_SOURCE_COMMAND);
        CHECK_INT(*source_of(SPEC_SECTION_FILES, "Bind"), SPEC_SOURCE_DEFAULT);
        CHECK(line.parsed.settings[setting_find(SPEC_SECTION_FILES, "ReadOnly") - settings]);
        CHECK(!line.parsed.settings[setting_find(SPEC_SECTION_FILES, "Bind") - settings]);
        CHECK_INT(parse("boot --read-only=off"), 0);
        CHECK(!line.context.spec->read_only);

        CHECK_INT(parse("run --cap-add ALL --init"), 0);
        CHECK(line.context.spec->capability != 0 && line.context.spec->process_two);
        uint64_t all = line.context.spec->capability;
        CHECK_INT(parse("run --cap-add=kill"), 0);
        CHECK(line.context.spec->capability != 0 && line.context.spec->capability != all);
}

/* What the functions of the table judge. */
static void test_functions(void)
{
        CHECK_INT(parse("logs -n 20 --json=pretty --detach-keys=ctrl-p,q"), 0);
        CHECK_INT(line.context.lines, 20);
        CHECK_INT(line.context.output, OUTPUT_JSON_PRETTY);
        CHECK_INT(line.context.keys.n, 2);
        CHECK_INT(line.context.keys.keys[0], 'p' - '`');
        CHECK(!line.context.default_keys);
        CHECK_INT(parse("logs -j"), 0);
        CHECK_INT(line.context.output, OUTPUT_JSON);
        CHECK_INT(parse("boot --ephemeral=ram --console=pipe"), 0);
        CHECK_INT(line.context.spec->volatile_mode, VOLATILE_OVERLAY);
        CHECK_INT(line.context.spec->console, CONSOLE_PIPE);
        CHECK(!line.context.attach);
        CHECK_INT(parse("boot --console"), 0);
        CHECK_INT(line.context.spec->console, CONSOLE_AUTO);
        CHECK(line.context.attach);
}

/* mctl on another host is told all words but these. */
static void test_host(void)
{
        static const struct {
                const char *text;
                int at, words;
        } hosts[] = {
                { "list --host=there", 2, 1 }, { "list --host there", 2, 2 }, { "-H there list", 1, 2 },
                { "-q -Hthere list", 2, 1 },   { "list -qH there", 2, 2 },
        };

        for (size_t i = 0; i < ELEMENTSOF(hosts); i++) {
                CHECK_INT(parse(hosts[i].text), 0);
                CHECK_TEXT(line.context.host, "there");
                CHECK_INT(line.parsed.host_at, hosts[i].at);
                CHECK_INT(line.parsed.host_words, hosts[i].words);
                check_words("list");
        }
        CHECK_INT(parse("exec web ssh -H there"), 0);
        CHECK(!line.context.host);
        CHECK_INT(line.parsed.host_words, 0);
}

/* --- what is refused ----------------------------------------------------------------------------------- */

static const struct {
        const char *text, *said;
} refused[] = {
        /* Names are told in full. */
        { "run --us=root", "Unknown option '--us': did you mean '--user'?" },
        { "run --interact", "Unknown option '--interact': did you mean '--interactive'?" },
        { "run --uesr root", "Unknown option '--uesr': did you mean '--user'?" },
        { "boot --hostnam=web", "Unknown option '--hostnam': did you mean '--hostname'?" },
        { "boot --private-net", "Unknown option '--private-net': did you mean '--private-network'?" },
        { "boot --User=root", "Unknown option '--User': did you mean '--user'?" },
        { "list --something", "Unknown option '--something'; see 'mctl --help'." },
        { "list --something=quiet", "Unknown option '--something'; see 'mctl --help'." },
        { "list -Z", "Unknown option '-Z'; see 'mctl --help'." },
        { "list -qZh", "Unknown option '-Z'; see 'mctl --help'." },
        { "list -q=yes", "Unknown option '-='; see 'mctl --help'." },
        /* Values. */
        { "run image --user", "--user takes a value." },
        { "run image -u", "-u takes a value." },
        { "run image -iu", "-u takes a value." },
        { "boot image --hostname", "--hostname takes a value." },
        { "list --quiet=yes", "--quiet takes no value." },
        { "list --quiet=", "--quiet takes no value." },
        { "list --init=no", "--init takes no value." },
        { "logs -n many", "--lines= takes a number, not 'many'." },
        { "logs --lines=-1", "--lines= takes a number, not '-1'." },
        { "logs --lines=2147483648", "--lines= takes a number, not '2147483648'." },
        { "list --json=long", "--json takes 'pretty' or nothing, not 'long'." },
        { "list --json=", "--json takes 'pretty' or nothing, not ''." },
        { "boot --ephemeral=cloud", "--ephemeral takes disk or ram, not 'cloud'." },
        { "list --detach-keys=ctrl-",
          "--detach-keys= takes keys such as ctrl-p,ctrl-q, or none, not 'ctrl-'." },
        { "list -H here --host=there", "--host= can be given only once." },
        { "list -H here -H here", "--host= can be given only once." },
};

/* What is wrong with a value is said of what was typed. */
static const struct {
        const char *text, *typed;
} typed[] = {
        { "run -u a:b", "-u: " },
        { "run --user a:b", "--user: " },
        { "run -iua:b", "-u: " },
        { "boot --read-only=maybe", "--read-only: " },
        { "boot --hostname=-", "--hostname: " },
        { "run --cap-add=nothing", "--cap-add: " },
        { "boot --console=tube", "--console: " },
};

static void test_refused(void)
{
        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                CHECK_INT(parse(refused[i].text), -EINVAL);
                CHECK_TEXT(line.said, refused[i].said);
                /* Who goes on finds the words up to there. */
                CHECK_INT(line.parsed.n_words, strv_length(line.words));
        }
        for (size_t i = 0; i < ELEMENTSOF(typed); i++)
                if (!CHECK_INT(parse(typed[i].text), -EINVAL) ||
                    !CHECK(startswith(line.said, typed[i].typed)))
                        fprintf(stderr, "\tthat is: %s\n\t%s\n", typed[i].text, line.said);
}

/* --- options and verbs --------------------------------------------------------------------------------- */

static const struct {
        const char *text, *said; /* NULL: they go together */
} pairs[] = {
        { "list -q --json", NULL },
        { "logs -n 5", NULL },
        { "run -u root -i --name=web --hostname=web", NULL },
        { "boot --read-only --private-network=no", NULL },
        { "console --read-only", NULL },
        { "attach --read-only", NULL },
        { "exec -u root", NULL },
        { "list -n 5", "Option -n does not go with 'list'; see 'mctl list --help'." },
        { "list --lines=5", "Option --lines does not go with 'list'; see 'mctl list --help'." },
        { "boot -u root", "Option -u does not go with 'boot'; see 'mctl boot --help'." },
        { "boot --user root", "Option --user does not go with 'boot'; see 'mctl boot --help'." },
        { "boot -qu root", "Option -u does not go with 'boot'; see 'mctl boot --help'." },
        { "boot --user=a -ub", "Option -u does not go with 'boot'; see 'mctl boot --help'." },
        { "boot -ua --user=b", "Option --user does not go with 'boot'; see 'mctl boot --help'." },
        { "execute --name=x", "Option --name does not go with 'exec'; see 'mctl exec --help'." },
        { "console --hostname=x",
          "Option --hostname does not go with 'console'; see 'mctl console --help'." },
        { "attach --bind=/srv", "Option --bind does not go with 'console'; see 'mctl console --help'." },
        { "list --read-only", "Option --read-only does not go with 'list'; see 'mctl list --help'." },
};

static void test_pairs(void)
{
        for (size_t i = 0; i < ELEMENTSOF(pairs); i++) {
                if (!CHECK_INT(check(pairs[i].text), pairs[i].said ? -EINVAL : 0))
                        fprintf(stderr, "\tthat is: %s\n", pairs[i].text);
                CHECK_TEXT(line.said, pairs[i].said ?: "");
        }
}

static void test_tables(void)
{
        const Option listed = { .name = "x", .verbs = "remove-snapshot  exec" };
        const Context c = { .verbs = own_verbs, .options = own_options };
        const Verb *exec = verb_find(&c, "exec"), *boot = verb_find(&c, "boot"),
                   *list = verb_find(&c, "list");
        const Verb remove = { .name = "remove" };

        CHECK(exec && exec == verb_find(&c, "execute"));
        CHECK(!verb_find(&c, "exe"));
        CHECK(!verb_find(&c, ""));
        /* A verb is a whole word of the list. */
        CHECK(option_goes_with(&listed, exec));
        CHECK(!option_goes_with(&listed, &remove));
        CHECK(!option_goes_with(&listed, boot));
        CHECK(!option_goes_with(&listed, NULL));
        CHECK(option_goes_with(own_options, NULL) && option_goes_with(own_options, list));

        const Setting *image = setting_find(SPEC_SECTION_IMAGE, "Image");
        const Setting *hostname = setting_find(SPEC_SECTION_EXEC, "Hostname");
        CHECK(!setting_goes_with(image, boot)); /* that is no option */
        CHECK(setting_goes_with(hostname, boot) && setting_goes_with(hostname, NULL));
        CHECK(!setting_goes_with(hostname, list));

        CHECK(option_value_is_optional("[FORMAT]"));
        CHECK(!option_value_is_optional("FORMAT"));
        CHECK(!option_value_is_optional("[USER@]HOST"));
        CHECK(!option_value_is_optional("HOST[:PORT]"));
}

static void test_bad_name(void)
{
        int own, held;

        forget();
        hold_stderr(&own, &held);
        CHECK_INT(usage_bad_name("a b\n"), EXIT_STATUS_USAGE);
        release_stderr(own, held);
        CHECK_TEXT(line.said, "Invalid name of a machine: 'a b?'. A name has " MACHINE_NAME_RULE ".");
}

int main(void)
{
        (void) unsetenv("JOURNAL_STREAM");
        test_words();
        test_values();
        test_settings();
        test_functions();
        test_host();
        test_refused();
        test_pairs();
        test_tables();
        test_bad_name();
        forget();
        return test_end();
}
