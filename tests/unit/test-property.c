/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Assignments to properties of units, as the messages that they become. The bus is a pair of sockets, of
 * which nobody reads the other end. */

#include <stdarg.h>
#include <sys/socket.h>

#include "basic/fd.h"
#include "systemd/property.h"
#include "test.h"

/* As systemd describes a service, but for most of it. */
static const char types[] =
        "<node><interface name=\"org.freedesktop.systemd1.Unit\">\n"
        "<property name=\"Description\" type=\"s\" access=\"read\">\n"
        "<property name=\"After\" type=\"as\" access=\"read\"/>\n"
        "<property name=\"StartLimitIntervalUSec\" type=\"t\" access=\"read\"/>\n"
        "<property name=\"StartLimitBurst\" type=\"u\" access=\"read\"/>\n"
        "<property name=\"Conditions\" type=\"a(sbbsi)\" access=\"read\"/>\n"
        "</interface><interface name=\"org.freedesktop.systemd1.Service\">\n"
        "<property name=\"RemainAfterExit\" type=\"b\" access=\"read\"/>\n"
        "<property name=\"RuntimeMaxUSec\" type=\"t\" access=\"read\"/>\n"
        "<property name=\"RestartPreventExitStatus\" type=\"(aiai)\" access=\"read\"/>\n"
        "<property name=\"ExecStartPre\" type=\"a(sasbttttuii)\" access=\"read\"/>\n"
        "<property name=\"MemoryMin\" type=\"t\" access=\"read\"/>\n"
        "<property name=\"MemoryLow\" type=\"t\" access=\"read\"/>\n"
        "<property name=\"MemoryMax\" type=\"t\" access=\"read\"/>\n"
        "<property name=\"CPUWeight\" type=\"t\" access=\"read\"/>\n"
        "<property name=\"CPUQuotaPerSecUSec\" type=\"t\" access=\"read\"/>\n"
        "<property name=\"AllowedCPUs\" type=\"ay\" access=\"read\"/>\n"
        "<property name=\"DeviceAllow\" type=\"a(ss)\" access=\"read\"/>\n"
        "<property name=\"IOReadBandwidthMax\" type=\"a(st)\" access=\"read\"/>\n"
        "<property name=\"IODeviceLatencyTargetUSec\" type=\"a(st)\" access=\"read\"/>\n"
        "<property name=\"LoadCredential\" type=\"a(ss)\" access=\"read\"/>\n"
        "<property name=\"IPAddressAllow\" type=\"a(iayu)\" access=\"read\"/>\n"
        "<property name=\"LogExtraFields\" type=\"aay\" access=\"read\"/>\n"
        "<property name=\"KillSignal\" type=\"i\" access=\"read\"/>\n"
        "<property name=\"Nice\" type=\"i\" access=\"read\"/>\n"
        "<property name=\"UMask\" type=\"u\" access=\"read\"/>\n"
        "<property name=\"RuntimeDirectoryMode\" type=\"u\" access=\"read\"/>\n"
        "<property name=\"LimitNOFILE\" type=\"t\" access=\"read\"/>\n"
        "<property name=\"LimitNOFILESoft\" type=\"t\" access=\"read\"/>\n"
        "<property name=\"Strange\" type=\"a(sssssssssssssssssssssssssssssssssss)\" access=\"read\"/>\n"
        "</interface></node>\n";

static sd_bus *bus;

/* --- messages ------------------------------------------------------------------------------------------ */

static sd_bus_message *begin(void)
{
        sd_bus_message *m = NULL;

        if (sd_bus_message_new_method_call(bus, &m, "x.y", "/x", "x.y", "Z") < 0 ||
            sd_bus_message_open_container(m, 'a', "(sv)") < 0)
                abort();
        return m;
}

static void add(char **text, const char *format, ...) _printf_(2, 3);
static void add(char **text, const char *format, ...)
{
        _cleanup_free_ char *old = *text, *more = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&more, format, ap) < 0)
                abort();
        va_end(ap);
        *text = strf("%s%s", old ?: "", more);
}

/* Blanks are between values. */
static const char *gap(const char *text)
{
        return !text || strchr("([", text[strlen(text) - 1]) ? "" : " ";
}

static void show_bytes(sd_bus_message *m, char **text)
{
        const uint8_t *bytes;
        size_t n;

        CHECK(sd_bus_message_read_array(m, 'y', (const void **) &bytes, &n) > 0);
        for (size_t i = 0; i < n; i++)
                add(text, "%s%02x", i == 0 ? " " : "", bytes[i]);
}

/* The values up to the end of a container: arrays in brackets, structs in parentheses, and variants with
 * their type. */
static void show(sd_bus_message *m, char **text)
{
        const char *contents, *s;
        char type;
        union {
                int32_t i;
                uint32_t u;
                uint64_t t;
                int b;
        } v;

        while (sd_bus_message_peek_type(m, &type, &contents) > 0) {
                if (type == 'a' && streq(contents, "y")) {
                        add(text, "%say", gap(*text));
                        show_bytes(m, text);
                        continue;
                }
                if (strchr("arv", type)) {
                        add(text, "%s%s", gap(*text), type == 'a' ? "[" : type == 'r' ? "(" : "<");
                        if (type == 'v')
                                add(text, "%s:", contents);
                        if (!CHECK(sd_bus_message_enter_container(m, type, contents) > 0))
                                return;
                        show(m, text);
                        CHECK(sd_bus_message_exit_container(m) > 0);
                        add(text, type == 'a' ? "]" : type == 'r' ? ")" : ">");
                        continue;
                }
                if (!CHECK(strchr("siutb", type)) ||
                    !CHECK(sd_bus_message_read_basic(m, type, type == 's' ? (void *) &s : &v) > 0))
                        return;
                if (type == 's')
                        add(text, "%s'%s'", gap(*text), s);
                else if (type == 'i')
                        add(text, "%s%i", gap(*text), v.i);
                else if (type == 'u')
                        add(text, "%s%u", gap(*text), v.u);
                else if (type == 't')
                        add(text, "%s%llu", gap(*text), (unsigned long long) v.t);
                else
                        add(text, "%s%s", gap(*text), v.b ? "yes" : "no");
        }
}

/* Ends the list, and reads it back. */
static char *end(sd_bus_message *m)
{
        char *text = NULL;

        if (!CHECK(sd_bus_message_close_container(m) >= 0) || !CHECK(sd_bus_message_seal(m, 1, 0) >= 0) ||
            !CHECK(sd_bus_message_enter_container(m, 'a', "(sv)") >= 0))
                return NULL;
        show(m, &text);
        return text ?: strdup("");
}

/* --- what is taken ------------------------------------------------------------------------------------- */

static const struct {
        const char *assignment, *message;
} taken[] = {
        { "RemainAfterExit=yes", "('RemainAfterExit' <b: yes>)" },
        { "RemainAfterExit=off", "('RemainAfterExit' <b: no>)" },
        { "Description=a 'b' c", "('Description' <s: 'a 'b' c'>)" },
        { "Description=a=b", "('Description' <s: 'a=b'>)" },
        { "After=a.service 'b c' d", "('After' <as: ['a.service' 'b c' 'd']>)" },
        /* sizes */
        { "MemoryMax=1G", "('MemoryMax' <t: 1073741824>)" },
        { "MemoryMax=1.5K", "('MemoryMax' <t: 1536>)" },
        { "MemoryMax=4096", "('MemoryMax' <t: 4096>)" },
        { "MemoryMax=infinity", "('MemoryMax' <t: 18446744073709551615>)" },
        { "MemoryMax=max", "('MemoryMax' <t: 18446744073709551615>)" },
        { "MemoryMax=0", "('MemoryMax' <t: 0>)" },
        /* shares */
        { "MemoryMax=100%", "('MemoryMaxScale' <u: 4294967295>)" },
        { "MemoryMax=50%", "('MemoryMaxScale' <u: 2147483647>)" },
        { "MemoryMax=0%", "('MemoryMaxScale' <u: 0>)" },
        { "CPUQuota=50%", "('CPUQuotaPerSecUSec' <t: 500000>)" },
        { "CPUQuota=1%", "('CPUQuotaPerSecUSec' <t: 10000>)" },
        { "CPUQuota=250%", "('CPUQuotaPerSecUSec' <t: 2500000>)" },
        { "CPUWeight=100", "('CPUWeight' <t: 100>)" },
        { "CPUWeight=idle", "('CPUWeight' <t: 0>)" },
        /* times, by the name that files have and by that of the bus */
        { "RuntimeMaxSec=1min 30s", "('RuntimeMaxUSec' <t: 90000000>)" },
        { "RuntimeMaxSec=5", "('RuntimeMaxUSec' <t: 5000000>)" },
        { "RuntimeMaxUSec=5ms", "('RuntimeMaxUSec' <t: 5000>)" },
        { "RuntimeMaxSec=infinity", "('RuntimeMaxUSec' <t: 18446744073709551615>)" },
        { "StartLimitIntervalSec=1h", "('StartLimitIntervalUSec' <t: 3600000000>)" },
        /* numbers */
        { "StartLimitBurst=10", "('StartLimitBurst' <u: 10>)" },
        { "StartLimitBurst=4294967295", "('StartLimitBurst' <u: 4294967295>)" },
        { "UMask=0022", "('UMask' <u: 18>)" },
        { "UMask=77", "('UMask' <u: 63>)" },
        { "RuntimeDirectoryMode=1755", "('RuntimeDirectoryMode' <u: 1005>)" },
        { "Nice=-5", "('Nice' <i: -5>)" },
        { "Nice=19", "('Nice' <i: 19>)" },
        /* signals */
        { "KillSignal=SIGINT", "('KillSignal' <i: 2>)" },
        { "KillSignal=TERM", "('KillSignal' <i: 15>)" },
        { "KillSignal=9", "('KillSignal' <i: 9>)" },
        { "RestartPreventExitStatus=255", "('RestartPreventExitStatus' <(aiai): ([255] [])>)" },
        { "RestartPreventExitStatus=SIGKILL", "('RestartPreventExitStatus' <(aiai): ([] [9])>)" },
        { "RestartPreventExitStatus=1 SIGKILL 2 TERM",
          "('RestartPreventExitStatus' <(aiai): ([1 2] [9 15])>)" },
        /* limits are two properties each */
        { "LimitNOFILE=1K:2K", "('LimitNOFILE' <t: 2048>) ('LimitNOFILESoft' <t: 1024>)" },
        { "LimitNOFILE=100", "('LimitNOFILE' <t: 100>) ('LimitNOFILESoft' <t: 100>)" },
        { "LimitNOFILE=100:infinity",
          "('LimitNOFILE' <t: 18446744073709551615>) ('LimitNOFILESoft' <t: 100>)" },
        /* lists of pairs */
        { "DeviceAllow=/dev/fuse rw", "('DeviceAllow' <a(ss): [('/dev/fuse' 'rw')]>)" },
        { "DeviceAllow=char-input", "('DeviceAllow' <a(ss): [('char-input' 'rwm')]>)" },
        { "DeviceAllow=/dev/fuse \t r", "('DeviceAllow' <a(ss): [('/dev/fuse' 'r')]>)" },
        { "IOReadBandwidthMax=/dev/sda 5M", "('IOReadBandwidthMax' <a(st): [('/dev/sda' 5000000)]>)" },
        { "IOReadBandwidthMax=/dev/sda infinity",
          "('IOReadBandwidthMax' <a(st): [('/dev/sda' 18446744073709551615)]>)" },
        { "IODeviceLatencyTargetSec=/dev/sda 25ms",
          "('IODeviceLatencyTargetUSec' <a(st): [('/dev/sda' 25000)]>)" },
        /* bytes */
        { "AllowedCPUs=0-3,9", "('AllowedCPUs' <ay: ay 0f02>)" },
        { "AllowedCPUs=7", "('AllowedCPUs' <ay: ay 80>)" },
        { "LogExtraFields=A=b", "('LogExtraFields' <aay: [ay 413d62]>)" },
        /* commands, which are written in another shape than they are read */
        { "ExecStartPre=/bin/echo 'a b' c",
          "('ExecStartPre' <a(sasb): [('/bin/echo' ['/bin/echo' 'a b' 'c'] no)]>)" },
        { "ExecStartPre=-/bin/false", "('ExecStartPre' <a(sasb): [('/bin/false' ['/bin/false'] yes)]>)" },
        /* addresses */
        { "IPAddressAllow=10.1.2.3", "('IPAddressAllow' <a(iayu): [(2 ay 0a010203 32)]>)" },
        { "IPAddressAllow=10.0.0.0/8", "('IPAddressAllow' <a(iayu): [(2 ay 0a000000 8)]>)" },
        { "IPAddressAllow=fe80::1/64",
          "('IPAddressAllow' <a(iayu): [(10 ay fe800000000000000000000000000001 64)]>)" },
        { "IPAddressAllow=::2",
          "('IPAddressAllow' <a(iayu): [(10 ay 00000000000000000000000000000002 128)]>)" },
        { "IPAddressAllow=any", "('IPAddressAllow' <a(iayu): [(2 ay 00000000 0)"
                                " (10 ay 00000000000000000000000000000000 0)]>)" },
        { "IPAddressAllow=localhost", "('IPAddressAllow' <a(iayu): [(2 ay 7f000000 8)"
                                      " (10 ay 00000000000000000000000000000001 128)]>)" },
        { "IPAddressAllow=10.1.2.3 ::2", "('IPAddressAllow' <a(iayu): [(2 ay 0a010203 32)"
                                         " (10 ay 00000000000000000000000000000002 128)]>)" },
        /* An empty value resets. */
        { "RestartPreventExitStatus=", "('RestartPreventExitStatus' <(aiai): ([] [])>)" },
        { "MemoryMax=", "('MemoryMax' <t: 18446744073709551615>)" },
        { "MemoryMin=", "('MemoryMin' <t: 0>)" },
        { "MemoryLow=", "('MemoryLow' <t: 0>)" },
        { "CPUQuota=", "('CPUQuotaPerSecUSec' <t: 18446744073709551615>)" },
        { "RuntimeMaxSec=", "('RuntimeMaxUSec' <t: 18446744073709551615>)" },
        { "Description=", "('Description' <s: ''>)" },
        { "After=", "('After' <as: []>)" },
        { "AllowedCPUs=", "('AllowedCPUs' <ay: ay>)" },
        { "DeviceAllow=", "('DeviceAllow' <a(ss): []>)" },
        { "IPAddressAllow=", "('IPAddressAllow' <a(iayu): []>)" },
        { "ExecStartPre=", "('ExecStartPre' <a(sasb): []>)" },
        { "LogExtraFields=", "('LogExtraFields' <aay: []>)" },
};

static void test_taken(void)
{
        for (size_t i = 0; i < ELEMENTSOF(taken); i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = begin();
                _cleanup_free_ char *error = NULL;

                if (!CHECK(property_append_assignment(m, types, taken[i].assignment, &error) >= 0)) {
                        fprintf(stderr, "\tthat is: %s\n\t%s\n", taken[i].assignment, strna(error));
                        continue;
                }
                _cleanup_free_ char *text = end(m);
                CHECK_TEXT(text, taken[i].message);
                CHECK(!error);
        }
}

static void test_several(void)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = begin();
        _cleanup_free_ char *error = NULL;

        CHECK_INT(property_append_field(m, "LogExtraFields", "X=1"), 0);
        CHECK_INT(property_open(m, "Nice", "i"), 0);
        CHECK(sd_bus_message_append(m, "i", 7) >= 0);
        CHECK_INT(property_close(m, 2), 0);
        CHECK(property_append_assignment(m, types, "MemoryMax=1K", &error) >= 0);
        _cleanup_free_ char *text = end(m);
        CHECK_TEXT(text, "('LogExtraFields' <aay: [ay 583d31]>) ('Nice' <i: 7>) ('MemoryMax' <t: 1024>)");
}

/* --- what is refused ----------------------------------------------------------------------------------- */

#define INVALID(value, key) "Invalid value '" value "' for property " key "="
#define UNKNOWN(key)        "systemd knows no property " key "= of a service."
#define NOT_A_QUOTA(value)  "Invalid value '" value "' for CPUQuota=: expected a percentage."

static const struct {
        const char *assignment, *error;
} refused[] = {
        { "MemoryMaxi=1G", UNKNOWN("MemoryMaxi") },
        { "Memory=1G", UNKNOWN("Memory") },
        { "memorymax=1G", UNKNOWN("memorymax") },
        { "=1G", UNKNOWN("") },
        { "Sec=1", UNKNOWN("Sec") },
        { "MemorySec=1", UNKNOWN("MemorySec") },
        { "Strange=x", UNKNOWN("Strange") },
        { "RemainAfterExit=maybe", INVALID("maybe", "RemainAfterExit") "." },
        { "MemoryMax=lots", INVALID("lots", "MemoryMax") "." },
        { "MemoryMax=idle", INVALID("idle", "MemoryMax") "." },
        { "MemoryMax=1X", INVALID("1X", "MemoryMax") "." },
        { "MemoryMax=-1", INVALID("-1", "MemoryMax") "." },
        { "MemoryMax= 1", INVALID(" 1", "MemoryMax") "." },
        { "MemoryMax=16E", INVALID("16E", "MemoryMax") "." },
        { "MemoryMax=101%", INVALID("101%", "MemoryMax") "." },
        { "MemoryMax=-1%", INVALID("-1%", "MemoryMax") "." },
        { "MemoryMax=%", INVALID("%", "MemoryMax") "." },
        { "CPUQuota=50", NOT_A_QUOTA("50") },
        { "CPUQuota=%", NOT_A_QUOTA("%") },
        { "CPUQuota=0%", NOT_A_QUOTA("0%") },
        { "CPUQuota=x%", NOT_A_QUOTA("x%") },
        { "CPUQuota=18446744073709551615%", NOT_A_QUOTA("18446744073709551615%") },
        { "CPUWeight=busy", INVALID("busy", "CPUWeight") "." },
        { "RuntimeMaxSec=soon", INVALID("soon", "RuntimeMaxSec") "." },
        { "RuntimeMaxSec=5 parsecs", INVALID("5 parsecs", "RuntimeMaxSec") "." },
        { "StartLimitBurst=-1", INVALID("-1", "StartLimitBurst") "." },
        { "StartLimitBurst=4294967296", INVALID("4294967296", "StartLimitBurst") "." },
        { "UMask=8", INVALID("8", "UMask") "." },
        { "UMask=-1", INVALID("-1", "UMask") "." },
        { "UMask=+22", INVALID("+22", "UMask") "." },
        { "UMask= 22", INVALID(" 22", "UMask") "." },
        { "UMask=-0", INVALID("-0", "UMask") "." },
        { "UMask=10000", INVALID("10000", "UMask") "." },
        { "Nice=--5", INVALID("--5", "Nice") "." },
        { "Nice=SIGINT", INVALID("SIGINT", "Nice") "." },
        { "Nice=2147483648", INVALID("2147483648", "Nice") "." },
        { "KillSignal=SIGNOTHING", INVALID("SIGNOTHING", "KillSignal") "." },
        { "KillSignal=0", INVALID("0", "KillSignal") "." },
        { "KillSignal=-9", INVALID("-9", "KillSignal") "." },
        { "RestartPreventExitStatus=256", INVALID("256", "RestartPreventExitStatus") "." },
        { "RestartPreventExitStatus=1 bad", INVALID("1 bad", "RestartPreventExitStatus") "." },
        { "RestartPreventExitStatus= ", INVALID(" ", "RestartPreventExitStatus") "." },
        { "IPAddressAllow=10.0.0.1 bad", INVALID("10.0.0.1 bad", "IPAddressAllow") "." },
        { "IPAddressAllow= ", INVALID(" ", "IPAddressAllow") "." },
        { "RestartPreventExitStatus=bad", INVALID("bad", "RestartPreventExitStatus") "." },
        { "LimitNOFILE=1:x", INVALID("1:x", "LimitNOFILE") "." },
        { "LimitNOFILE=:1", INVALID(":1", "LimitNOFILE") "." },
        { "LimitNOFILE=1:", INVALID("1:", "LimitNOFILE") "." },
        { "After=a 'b", INVALID("a 'b", "After") "." },
        { "AllowedCPUs=3-1", INVALID("3-1", "AllowedCPUs") "." },
        { "AllowedCPUs=9000", INVALID("9000", "AllowedCPUs") "." },
        { "IOReadBandwidthMax=/dev/sda", INVALID("/dev/sda", "IOReadBandwidthMax") "." },
        { "IOReadBandwidthMax=/dev/sda fast", INVALID("/dev/sda fast", "IOReadBandwidthMax") "." },
        { "ExecStartPre=echo", INVALID("echo", "ExecStartPre") "." },
        { "ExecStartPre=-", INVALID("-", "ExecStartPre") "." },
        { "ExecStartPre=/bin/echo 'a", INVALID("/bin/echo 'a", "ExecStartPre") "." },
        { "IPAddressAllow=10.0.0.0/33", INVALID("10.0.0.0/33", "IPAddressAllow") "." },
        { "IPAddressAllow=10.0.0.0/", INVALID("10.0.0.0/", "IPAddressAllow") "." },
        { "IPAddressAllow=fe80::/129", INVALID("fe80::/129", "IPAddressAllow") "." },
        { "IPAddressAllow=10.0.0", INVALID("10.0.0", "IPAddressAllow") "." },
        { "IPAddressAllow=host.example", INVALID("host.example", "IPAddressAllow") "." },
        { "RemainAfterExit=", INVALID("", "RemainAfterExit") "." },
        { "KillSignal=", INVALID("", "KillSignal") "." },
};

/* Nothing is half appended: others can follow. */
static void test_refused(void)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = begin();

        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                _cleanup_free_ char *error = NULL;

                if (!CHECK_INT(property_append_assignment(m, types, refused[i].assignment, &error), -EINVAL))
                        fprintf(stderr, "\tthat is: %s\n", refused[i].assignment);
                CHECK_TEXT(error, refused[i].error);
        }
        _cleanup_free_ char *error = NULL, *pairs = NULL, *none = NULL;
        CHECK_INT(property_append_assignment(m, types, "Conditions=x", &error), -EOPNOTSUPP);
        CHECK_INT(property_append_assignment(m, types, "LoadCredential=a:/b", &pairs), -EOPNOTSUPP);
        CHECK(pairs);
        CHECK_TEXT(error, "Property Conditions= cannot be set here; use a drop-in of container@.service.");
        CHECK(property_append_assignment(m, types, "Nice=1", &none) >= 0);
        CHECK(!none);
        _cleanup_free_ char *text = end(m);
        CHECK_TEXT(text, "('Nice' <i: 1>)");
}

static void test_sections(void)
{
        CHECK(property_is_of_unit(types, "Description"));
        CHECK(property_is_of_unit(types, "StartLimitIntervalSec"));
        CHECK(property_is_of_unit(types, "Conditions"));
        CHECK(!property_is_of_unit(types, "MemoryMax"));
        CHECK(!property_is_of_unit(types, "RuntimeMaxSec"));
        CHECK(!property_is_of_unit(types, "CPUQuota"));
        CHECK(!property_is_of_unit(types, "Nothing"));
        CHECK(!property_is_of_unit("", "Description"));
}

int main(void)
{
        _cleanup_close_ int other_fd = -EBADF;
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 ||
            sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fds[0], fds[0]) < 0 || sd_bus_start(bus) < 0)
                return EXIT_FAILURE;
        other_fd = fds[1];
        test_taken();
        test_several();
        test_refused();
        test_sections();
        sd_bus_close(bus);
        sd_bus_unref(bus);
        return test_end();
}
