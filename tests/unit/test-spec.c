/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>

#include "spec/spec.h"
#include "test.h"

static const Setting *find(const char *key)
{
        for (size_t i = 0; i < n_settings; i++)
                if (streq(settings[i].key, key))
                        return settings + i;
        return NULL;
}

static void test_defaults(void)
{
        _cleanup_spec_ Spec *spec = spec_new("web");

        CHECK_TEXT(spec->name, "web");
        CHECK(!spec->image);
        CHECK(spec->boot);
        CHECK(spec->notify_ready);
        CHECK(!spec->read_only);
        CHECK(spec->private_network);
        CHECK_INT(spec->private_users.mode, USERS_PICK);
        CHECK_INT(spec->private_users.size, USERS_RANGE_SIZE);
        CHECK_INT(spec->kill_signal, 0);
        CHECK_INT(strv_length(spec->parameters), 0);
        CHECK_INT(strv_length(spec->environment), 0);
        for (size_t i = 0; i < n_settings; i++)
                CHECK_INT(spec->source[i], SPEC_SOURCE_DEFAULT);
}

/* Two values of each setting that are not its default. */
static const struct {
        const char *key, *first, *second;
} samples[] = {
        { "Image", "debian", "/srv/tree" },
        { "Boot", "no", "off" },
        { "ProcessTwo", "yes", "on" },
        { "Parameters", "a b", "'c d' e" },
        { "WorkingDirectory", "/srv", "/tmp" },
        { "Environment", "A=1", "B=x y" },
        { "User", "user", "1000" },
        { "KillSignal", "SIGINT", "SIGRTMIN+3" },
        { "NotifyReady", "no", "false" },
        { "Console", "pty", "interactive" },
        { "Hostname", "one", "two.example" },
        { "MachineID", "0123456789abcdeffedcba9876543210", "11111111-2222-3333-4444-555555555555" },
        { "PrivateUsers", "identity", "131072:65536" },
        { "Profile", "strict", "nesting" },
        { "Capability", "CAP_SYS_TIME", "net_raw" },
        { "DropCapability", "CAP_MKNOD", "CAP_CHOWN" },
        { "AmbientCapability", "CAP_NET_RAW", "CAP_KILL" },
        { "NoNewPrivileges", "yes", "true" },
        { "SystemCallFilter", "@clock", "~ptrace" },
        { "Personality", "x86", "x86-64" },
        { "Sysctl", "net.ipv4.ip_forward=1", "kernel.msgmax=100" },
        { "LimitCPU", "20:30", "infinity" },
        { "LimitFSIZE", "20:30", "infinity" },
        { "LimitDATA", "20:30", "infinity" },
        { "LimitSTACK", "20:30", "infinity" },
        { "LimitCORE", "20:30", "infinity" },
        { "LimitRSS", "20:30", "infinity" },
        { "LimitNOFILE", "20:30", "infinity" },
        { "LimitAS", "20:30", "infinity" },
        { "LimitNPROC", "20:30", "infinity" },
        { "LimitMEMLOCK", "20:30", "infinity" },
        { "LimitLOCKS", "20:30", "infinity" },
        { "LimitSIGPENDING", "20:30", "infinity" },
        { "LimitMSGQUEUE", "20:30", "infinity" },
        { "LimitNICE", "20:30", "infinity" },
        { "LimitRTPRIO", "20:30", "infinity" },
        { "LimitRTTIME", "20:30", "infinity" },
        { "OOMScoreAdjust", "-5", "100" },
        { "CPUAffinity", "0-3", "0,2" },
        { "NUMAPolicy", "bind", "local" },
        { "NUMAMask", "0", "0-1" },
        { "ResolvConf", "off", "copy-host" },
        { "Timezone", "off", "copy" },
        { "LinkJournal", "no", "guest" },
        { "LoadCredential", "a:/etc/a", "b:/etc/b" },
        { "SetCredential", "a:1", "b:2" },
        { "ReadOnly", "yes", "true" },
        { "RootHash", "signed", "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef" },
        { "Volatile", "yes", "overlay" },
        { "Bind", "/a", "/b:/c" },
        { "BindReadOnly", "/a", "/b:/c" },
        { "TemporaryFileSystem", "/a", "/b:size=1M" },
        { "Overlay", "/a:/b:/c", "/d:/e:/f" },
        { "OverlayReadOnly", "/a:/b:/c", "/d:/e:/f" },
        { "Inaccessible", "/a", "/b" },
        { "Device", "/dev/fuse", "/dev/kvm:rw" },
        { "Private", "no", "0" },
        { "NamespacePath", "/run/netns/a", "/run/netns/b" },
        { "Interface", "eth0", "eth1:host1" },
};

static json_t *value_of(const Spec *spec, const Setting *s)
{
        json_t *json = spec_to_json(spec, true);
        json_t *value = json_incref(
                json_object_get(json_object_get(json, spec_section_name(s->section)), s->key));

        json_decref(json);
        return value;
}

/* Assigned, said as JSON, read back from there, and reset by the empty assignment, each setting is what it
 * was. */
static void test_each_setting(void)
{
        for (size_t i = 0; i < n_settings; i++) {
                bool found = false;
                for (size_t k = 0; k < ELEMENTSOF(samples); k++)
                        found = found || streq(samples[k].key, settings[i].key);
                if (!CHECK(found))
                        fprintf(stderr, "\tno samples for %s=\n", settings[i].key);
        }

        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                const Setting *s = find(samples[i].key);
                _cleanup_spec_ Spec *spec = spec_new("web"), *copy = spec_new("web");
                _cleanup_free_ char *error = NULL;

                if (!CHECK(s)) {
                        fprintf(stderr, "\tthat is: %s\n", samples[i].key);
                        continue;
                }
                json_t *initial = value_of(spec, s);

                if (!CHECK_INT(spec_assign(spec, s, SPEC_SOURCE_FILE, samples[i].first, &error), 0))
                        fprintf(stderr, "\t%s\n", strna(error));
                json_t *first = value_of(spec, s);
                CHECK(!json_equal(initial, first));
                CHECK_INT(spec->source[s - settings], SPEC_SOURCE_FILE);

                CHECK_INT(spec_assign(spec, s, SPEC_SOURCE_COMMAND, samples[i].second, &error), 0);
                json_t *second = value_of(spec, s);
                CHECK(!json_equal(initial, second));
                CHECK_INT(spec->source[s - settings], SPEC_SOURCE_COMMAND);
                if (!CHECK(!s->type->list || json_array_size(second) == 2))
                        fprintf(stderr, "\tthat is: %s\n", samples[i].key);

                json_t *json = spec_to_json(spec, false);
                CHECK_INT(spec_from_json(copy, SPEC_SOURCE_COMMAND, json, &error), 0);
                json_t *again = value_of(copy, s);
                if (!CHECK(json_equal(again, second)))
                        fprintf(stderr, "\tthat is: %s\n", samples[i].key);

                CHECK_INT(spec_assign(spec, s, SPEC_SOURCE_COMMAND, "", &error), 0);
                json_t *reset = value_of(spec, s);
                if (!CHECK(json_equal(initial, reset)))
                        fprintf(stderr, "\tthat is: %s\n", samples[i].key);
                CHECK(!error);

                json_decref(initial), json_decref(first), json_decref(second);
                json_decref(json), json_decref(again), json_decref(reset);
        }
}

/* What is refused changes nothing, and says what would be right. */
static void test_refused(void)
{
        static const struct {
                const char *key, *value, *error;
        } table[] = {
                { "Boot", "maybe", "Invalid value 'maybe' for Boot=: expected a boolean (yes or no)." },
                { "KillSignal", "SIGFOO",
                  "Invalid value 'SIGFOO' for KillSignal=: expected the name or number of a signal." },
                { "KillSignal", "0",
                  "Invalid value '0' for KillSignal=: expected the name or number of a signal." },
                { "Hostname", "a b", "Invalid value 'a b' for Hostname=: expected a host name." },
                { "MachineID", "123",
                  "Invalid value '123' for MachineID=: expected 32 hexadecimal digits or a UUID, not "
                  "all zero." },
                { "MachineID", "00000000000000000000000000000000",
                  "Invalid value '00000000000000000000000000000000' for MachineID=: expected 32 "
                  "hexadecimal digits "
                  "or a UUID, not all zero." },
                { "Environment", "1A=x",
                  "Invalid value '1A=x' for Environment=: expected NAME=VALUE, the value without control "
                  "characters." },
                { "Environment", "A=\x1b",
                  "Invalid value 'A=\\x1b' for Environment=: expected NAME=VALUE, the value without control "
                  "characters." },
                { "Environment", "A",
                  "Invalid value 'A' for Environment=: expected NAME=VALUE, the value without "
                  "control characters." },
                { "Parameters", "'a",
                  "Invalid value ''a' for Parameters=: expected words, quoted where they contain "
                  "blanks." },
                { "PrivateUsers", "some",
                  "Invalid value 'some' for PrivateUsers=: expected pick, identity, no, or BASE[:SIZE]." },
                { "PrivateUsers", "4294967295",
                  "Invalid value '4294967295' for PrivateUsers=: expected pick, identity, no, or "
                  "BASE[:SIZE]." },
                { "PrivateUsers", "65536:0",
                  "Invalid value '65536:0' for PrivateUsers=: expected pick, identity, no, or "
                  "BASE[:SIZE]." },
                { "PrivateUsers", "4294900000:100000",
                  "Invalid value '4294900000:100000' for PrivateUsers=: expected pick, identity, no, or "
                  "BASE[:SIZE]." },
                { "Image", "a\x07",
                  "Invalid value 'a\\x07' for Image=: expected a text without control characters." },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_spec_ Spec *spec = spec_new("web");
                _cleanup_free_ char *error = NULL;
                json_t *before = spec_to_json(spec, true);

                CHECK_INT(spec_assign(spec, find(table[i].key), SPEC_SOURCE_FILE, table[i].value, &error),
                          -EINVAL);
                CHECK_TEXT(error, table[i].error);
                json_t *after = spec_to_json(spec, true);
                CHECK(json_equal(before, after));
                CHECK_INT(spec->source[find(table[i].key) - settings], SPEC_SOURCE_DEFAULT);
                json_decref(before);
                json_decref(after);
        }
}

static void test_lists(void)
{
        _cleanup_spec_ Spec *spec = spec_new("web");
        _cleanup_free_ char *error = NULL;

        spec_assign(spec, find("Environment"), SPEC_SOURCE_FILE, "A=1", &error);
        spec_assign(spec, find("Environment"), SPEC_SOURCE_FILE, "B=2", &error);
        spec_assign(spec, find("Environment"), SPEC_SOURCE_FILE, "A=3", &error);
        CHECK_INT(strv_length(spec->environment), 2);
        CHECK_TEXT(spec->environment[0], "A=3");

        /* A command line is one value: the later one counts as a whole. */
        spec_assign(spec, find("Parameters"), SPEC_SOURCE_FILE, "a b c", &error);
        spec_assign(spec, find("Parameters"), SPEC_SOURCE_FILE, "d 'e f'", &error);
        CHECK_INT(strv_length(spec->parameters), 2);
        CHECK_TEXT(spec->parameters[1], "e f");
}

static void test_users(void)
{
        static const struct {
                const char *value;
                UsersMode mode;
                uid_t base;
                uint32_t size;
        } table[] = {
                { "pick", USERS_PICK, 0, 65536 },  { "yes", USERS_PICK, 0, 65536 },
                { "no", USERS_HOST, 0, 65536 },    { "identity", USERS_IDENTITY, 0, 65536 },
                { "0", USERS_EXPLICIT, 0, 65536 }, { "131072", USERS_EXPLICIT, 131072, 65536 },
                { "1:10", USERS_EXPLICIT, 1, 10 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_spec_ Spec *spec = spec_new("web");
                _cleanup_free_ char *error = NULL;

                CHECK_INT(spec_assign(spec, find("PrivateUsers"), SPEC_SOURCE_FILE, table[i].value, &error),
                          0);
                CHECK_INT(spec->private_users.mode, table[i].mode);
                CHECK_INT(spec->private_users.base, table[i].base);
                CHECK_INT(spec->private_users.size, table[i].size);
        }
}

static void test_resources(void)
{
        static const char *const bad[] = {
                "",
                "=",
                "=1",
                "MemoryMax",
                "memoryMax=1",
                "Memory Max=1",
                "Memory-Max=1",
                "A\x01=1",
                "ExecStart=a\nb",
        };
        _cleanup_spec_ Spec *spec = spec_new("web");
        char *error = NULL;

        CHECK_INT(spec_assign_resource(spec, "MemoryMax=1G", &error), 0);
        CHECK_INT(spec_assign_resource(spec, "DeviceAllow=/dev/null r", &error), 0);
        CHECK_INT(spec_assign_resource(spec, "Environment=", &error), 0);
        CHECK_INT(strv_length(spec->resources), 3);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                error = NULL;
                CHECK_INT(spec_assign_resource(spec, bad[i], &error), -EINVAL);
                CHECK(startswith(strna(error), "Invalid assignment '"));
                CHECK(str_is_clean(strna(error)));
                free(error);
        }
        CHECK_INT(strv_length(spec->resources), 3);
}

static void test_json_round_trip(void)
{
        _cleanup_spec_ Spec *spec = spec_new("web"), *copy = spec_new(NULL);
        _cleanup_free_ char *error = NULL;

        for (size_t i = 0; i < ELEMENTSOF(samples); i++)
                spec_assign(spec, find(samples[i].key), SPEC_SOURCE_FILE, samples[i].second, &error);
        spec_assign_resource(spec, "MemoryMax=1G", &error);
        spec_assign_resource(spec, "DeviceAllow=/dev/null r", &error);
        spec_assign_resource(spec, "DeviceAllow=/dev/zero r", &error);

        for (int all = 0; all < 2; all++) {
                json_t *json = spec_to_json(spec, all);
                _cleanup_free_ char *text = json_dumps(json, 0);

                copy = copy ?: spec_new(NULL);
                CHECK_INT(spec_from_json_text(copy, SPEC_SOURCE_COMMAND, text, &error), 0);
                json_t *again = spec_to_json(copy, all);
                CHECK(json_equal(json, again));
                CHECK_TEXT(error, NULL);
                CHECK_TEXT(copy->name, "web");
                json_decref(json);
                json_decref(again);
                spec_free(TAKE_PTR(copy));
        }

        /* Only what somebody assigned is said, without `all`. */
        _cleanup_spec_ Spec *fresh = spec_new("web");
        json_t *json = spec_to_json(fresh, false);
        CHECK_INT(json_object_size(json), 1);
        json_decref(json);
}

static void test_json_refused(void)
{
        static const struct {
                const char *text, *error;
        } table[] = {
                { "[]", "A spec is a JSON object." },
                { "1", "Not JSON: " },
                { "", "Not JSON: " },
                { "{", "Not JSON: line 1" },
                { "{\"Exec\":{},\"Exec\":{}}", "Not JSON: " },
                { "{\"Name\":1}", "Name is no string." },
                { "{\"Nonsense\":{}}", "Unknown section 'Nonsense'." },
                { "{\"Exec\":[]}", "Section 'Exec' is no object." },
                { "{\"Exec\":{\"Bot\":true}}", "Unknown key 'Bot' in section 'Exec'." },
                { "{\"Exec\":{\"Image\":\"a\"}}", "Unknown key 'Image' in section 'Exec'." },
                { "{\"Exec\":{\"Boot\":\"perhaps\"}}", "Invalid value 'perhaps' for Boot=" },
                { "{\"Exec\":{\"Boot\":{}}}", "Invalid value for Boot" },
                { "{\"Exec\":{\"Environment\":[1,{}]}}", "Invalid list for Environment" },
                { "{\"Resources\":{\"a b\":\"1\"}}", "Invalid assignment 'a b=1'" },
                { "{\"Resources\":{\"MemoryMax\":{}}}", "Invalid value for MemoryMax" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_spec_ Spec *spec = spec_new("web");
                _cleanup_free_ char *error = NULL;

                CHECK_INT(spec_from_json_text(spec, SPEC_SOURCE_COMMAND, table[i].text, &error), -EINVAL);
                if (!CHECK(startswith(strna(error), table[i].error)))
                        fprintf(stderr, "\t%s: %s\n", table[i].text, strna(error));
        }
}

static int read_text(Spec *spec, const char *text, char **ret_error)
{
        _cleanup_free_ char *copy = strdup(text);

        _cleanup_strv_ Strv warnings = NULL;
        int r;

        r = spec_read_file(spec, SPEC_SOURCE_FILE, "/etc/mctl/web.machine", false, copy, &warnings,
                           ret_error);
        CHECK_INT(strv_length(warnings), 0);
        return r;
}

static void test_file(void)
{
        static const char text[] = "# comment\n"
                                   "; comment\n"
                                   "\n"
                                   "[Image]\n"
                                   "  Image = debian  \r\n"
                                   "[Exec]\n"
                                   "Parameters=a \\\n"
                                   "# in between\n"
                                   "  b \\\n"
                                   "c\n"
                                   "Environment=A=1\n"
                                   "Environment=B=2 # no comment\n"
                                   "KillSignal=SIGINT\n"
                                   "KillSignal=\n"
                                   "[Resources]\n"
                                   "MemoryMax=1G\n"
                                   "[Image]\n"
                                   "[Exec]\n"
                                   "Boot=no";
        _cleanup_spec_ Spec *spec = spec_new("web");
        char *error = NULL;

        CHECK_INT(read_text(spec, text, &error), 0);
        CHECK_TEXT(error, NULL);
        CHECK_TEXT(spec->image, "debian");
        CHECK_INT(strv_length(spec->parameters), 3);
        CHECK_TEXT(spec->parameters[2], "c");
        CHECK_INT(strv_length(spec->environment), 2);
        CHECK_TEXT(spec->environment[1], "B=2 # no comment");
        CHECK_INT(spec->kill_signal, 0);
        CHECK(!spec->boot);
        CHECK_INT(strv_length(spec->resources), 1);
        CHECK_TEXT(spec->resources[0], "MemoryMax=1G");

        CHECK_INT(read_text(spec, "", &error), 0);
        CHECK_INT(read_text(spec, "\n\n# only that", &error), 0);
}

static void test_continued_at_end(void)
{
        _cleanup_spec_ Spec *spec = spec_new("web");
        char *error = NULL;

        CHECK_INT(read_text(spec, "[Image]\nImage=deb\\", &error), 0);
        CHECK_TEXT(spec->image, "deb");
        /* An empty line ends a continued one. */
        CHECK_INT(read_text(spec, "[Exec]\nParameters=a \\\n\nBoot=no\n", &error), 0);
        CHECK_INT(strv_length(spec->parameters), 1);
        CHECK(!spec->boot);
}

static void test_validate(void)
{
        static const struct {
                const char *text, *error;
        } table[] = {
                { "[Image]\nImage=debian\n", NULL },
                { "[Image]\nImage=/srv/x\n[Exec]\nBoot=no\nParameters=/bin/sh\n", NULL },
                { "", "No image was given (Image=)." },
                { "[Image]\nImage=A/b\n",
                  "Image= takes the name of an image, an absolute path, or a reference of an OCI image." },
                { "[Image]\nImage=.hidden\n",
                  "Image= takes the name of an image, an absolute path, or a reference of an OCI image." },
                { "[Image]\nImage=a\n[Exec]\nBoot=no\n",
                  "There is no command: Boot=no needs one, in Parameters= or on the command line." },
                { "[Image]\nImage=a\n[Network]\nPrivate=no\n", "Private=no needs PrivateUsers=no" },
                { "[Image]\nImage=a\n[Network]\nPrivate=no\n[Exec]\nPrivateUsers=no\n", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_spec_ Spec *spec = spec_new("web");
                _cleanup_free_ char *error = NULL;

                CHECK_INT(read_text(spec, table[i].text, &error), 0);
                CHECK_INT(spec_validate(spec, &error), table[i].error ? -EINVAL : 0);
                if (!CHECK(!table[i].error == !error && (!error || startswith(error, table[i].error))))
                        fprintf(stderr, "\t%s: %s\n", table[i].text, strna(error));
        }

        _cleanup_spec_ Spec *nameless = spec_new("a b");
        _cleanup_free_ char *error = NULL;
        CHECK_INT(spec_validate(nameless, &error), -EINVAL);
        CHECK(startswith(strna(error), "The name of a machine has "));
}

/* A line of any length, a file of any bytes: an error, no crash. */
static void test_hostile_files(void)
{
        _cleanup_spec_ Spec *spec = spec_new("web");
        _cleanup_free_ char *text = malloc(200001);
        _cleanup_strv_ Strv warnings = NULL;
        char *error = NULL;

        memset(text, 'x', 200000);
        text[200000] = 0;
        memcpy(text, "[Image]\nImage=", 14);
        CHECK_INT(spec_read_file(spec, SPEC_SOURCE_FILE, "f", false, text, &warnings, &error), -EINVAL);
        CHECK_TEXT(error, "f:2: Line is longer than 65536 bytes.");
        free(error);

        for (unsigned seed = 0; seed < 2000; seed++) {
                static const char alphabet[] = "[]=\\\n#; \tExecImagBot\"'\x01\xff\xc3";
                char random[64];
                uint32_t v = seed * 2654435761U + 1;
                for (size_t i = 0; i < sizeof(random) - 1; i++) {
                        v = v * 1664525U + 1013904223U;
                        random[i] = alphabet[(v >> 16) % (sizeof(alphabet) - 1)];
                }
                random[sizeof(random) - 1] = 0;
                error = NULL;
                int r = spec_read_file(spec, SPEC_SOURCE_FILE, "f", false, random, &warnings, &error);
                CHECK(r == 0 || (r == -EINVAL && startswith(strna(error), "f:") && str_is_clean(error)));
                free(error);
        }
}

int main(void)
{
        test_defaults();
        test_each_setting();
        test_refused();
        test_lists();
        test_users();
        test_resources();
        test_json_round_trip();
        test_json_refused();
        test_file();
        test_continued_at_end();
        test_validate();
        test_hostile_files();
        return test_end();
}
