/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/resolve-hook.h"

#include <arpa/inet.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "manager/inspect.h"
#include "manager/machine.h"

#define HOOK   "io.systemd.Resolve.Hook."
#define SOCKET "/run/systemd/resolve.hook/io.systemd.Machine"

/* Constants of DNS: classes, types, results (RFC 1035, RFC 3596), and the longest name as text. */
#define CLASS_IN       1
#define TYPE_A         1
#define TYPE_AAAA      28
#define RCODE_SUCCESS  0
#define RCODE_NXDOMAIN 3
#define NAME_MAX_TEXT  253U
#define LABEL_MAX      63U
#define QUESTIONS_MAX  16U

/* --- whose name it is ---------------------------------------------------------------------------------- */

static json_t *make_filter(const Manager *manager)
{
        json_t *names = json_array();

        for (size_t i = 0; i < manager->n_machines; i++)
                if (manager->machines[i]->published && streq(manager->machines[i]->class, "container"))
                        json_array_append_new(names, json_string(manager->machines[i]->name));
        return json_pack("{so}", "filterDomains", names);
}

static bool is_name(const char *text, size_t n, const char *name)
{
        return strlen(name) == n && strncasecmp(text, name, n) == 0;
}

/* Finds the machine with this name. For a name below that of a machine, ret_below is true. */
static const Machine *find_owner(const Manager *manager, const char *name, bool *ret_below)
{
        size_t n = strlen(name);

        if (n > 0 && name[n - 1] == '.')
                n--;
        for (size_t i = 0; i < manager->n_machines; i++) {
                const Machine *m = manager->machines[i];
                if (!m->published || !streq(m->class, "container"))
                        continue;
                for (size_t at = 0; at < n; at++)
                        if ((at == 0 || name[at - 1] == '.') && is_name(name + at, n - at, m->name)) {
                                *ret_below = at > 0;
                                return m;
                        }
        }
        return NULL;
}

/* --- records ------------------------------------------------------------------------------------------- */

static char *base64(const uint8_t *data, size_t size)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        char *text = malloc((size + 2) / 3 * 4 + 1), *p = text;

        for (size_t i = 0; text && i < size; i += 3) {
                uint32_t bits = data[i] << 16 | (i + 1 < size ? data[i + 1] : 0) << 8 |
                                (i + 2 < size ? data[i + 2] : 0);
                *p++ = digits[bits >> 18];
                *p++ = digits[bits >> 12 & 63];
                *p++ = i + 1 < size ? digits[bits >> 6 & 63] : '=';
                *p++ = i + 2 < size ? digits[bits & 63] : '=';
        }
        if (text)
                *p = 0;
        return text;
}

/* Encodes a name as labels, each after its length. -EINVAL for an invalid name. */
static int put_name(uint8_t *out, const char *name)
{
        uint8_t *p = out;

        for (const char *label = name; *label;) {
                size_t n = strcspn(label, ".");
                if (n == 0 || n > LABEL_MAX)
                        return -EINVAL;
                *p++ = n;
                memcpy(p, label, n);
                p += n;
                label += n + (label[n] == '.');
        }
        *p++ = 0;
        return p - out;
}

static uint8_t *put_u16(uint8_t *p, uint16_t value)
{
        p[0] = value >> 8;
        p[1] = value;
        return p + 2;
}

/* Makes a record, in JSON and in the format of DNS. A resolver must not cache the record, since the machine
 * may end. */
static json_t *make_answer(const char *name, const Address *a)
{
        size_t size = a->family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
        uint8_t wire[NAME_MAX_TEXT + 32], *p = wire;
        json_t *bytes = json_array();
        uint16_t type = a->family == AF_INET ? TYPE_A : TYPE_AAAA;

        p += put_name(p, name);
        p = put_u16(p, type);
        p = put_u16(p, CLASS_IN);
        p = put_u16(p, 0); /* time to live, 32 bits, in seconds */
        p = put_u16(p, 0);
        p = put_u16(p, size);
        memcpy(p, a->bytes, size);
        p += size;
        for (size_t i = 0; i < size; i++)
                json_array_append_new(bytes, json_integer(a->bytes[i]));

        _cleanup_free_ char *raw = base64(wire, p - wire);
        return json_pack("{s{s{si si ss} so} ss*}", "rr", "key", "class", CLASS_IN, "type", type, "name",
                         name, "address", bytes, "raw", raw);
}

/* --- the calls ----------------------------------------------------------------------------------------- */

/* Answers one question. Returns the result code of DNS, or -1 for a name that is not of a machine. */
static int answer(const Manager *manager, const char *name, json_int_t class, json_int_t type,
                  json_t *answers)
{
        _cleanup_free_ Address *addresses = NULL;
        size_t n = 0;
        bool below;
        const Machine *m = class == CLASS_IN ? find_owner(manager, name, &below) : NULL;

        _cleanup_close_ int proc_fd = m ? machine_open(m) : -EBADF;
        if (proc_fd < 0 || inspect_addresses(proc_fd, &addresses, &n) < 0)
                return -1;
        for (size_t i = 0; i < n && !below; i++)
                if (type == (addresses[i].family == AF_INET ? TYPE_A : TYPE_AAAA))
                        json_array_append_new(answers, make_answer(name, addresses + i));
        return below ? RCODE_NXDOMAIN : RCODE_SUCCESS;
}

static int resolve(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        const json_t *questions = json_object_get(parameters, "question"), *question;
        const ResolveHook *hook = userdata;
        json_t *answers = json_array();
        int rcode = -1;
        size_t i;

        (void) more;
        manager_touch(hook->manager);
        bool valid = json_is_array(questions) && json_array_size(questions) > 0 &&
                     json_array_size(questions) <= QUESTIONS_MAX;
        json_array_foreach (questions, i, question) {
                uint8_t wire[NAME_MAX_TEXT + 32];
                json_int_t class, type;
                const char *name;
                valid = valid &&
                        json_unpack((json_t *) question, "{s{sI sI ss}}", "key", "class", &class, "type",
                                    &type, "name", &name) >= 0 &&
                        strlen(name) <= NAME_MAX_TEXT && (streq(name, ".") || put_name(wire, name) >= 0);
                int r = valid ? answer(hook->manager, name, class, type, answers) : -1;
                rcode = rcode == RCODE_SUCCESS || r < 0 ? rcode : r;
        }
        if (valid && rcode == RCODE_SUCCESS)
                return varlink_reply(c, json_pack("{si so}", "rcode", rcode, "answer", answers), false);
        json_decref(answers);
        return !valid      ? varlink_invalid(c, "question")
               : rcode < 0 ? varlink_reply(c, NULL, false) /* the resolver asks other servers */
                           : varlink_reply(c, json_pack("{si}", "rcode", rcode), false);
}

static int filter(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        ResolveHook *hook = userdata;

        (void) parameters;
        manager_touch(hook->manager);
        int r = varlink_reply(c, make_filter(hook->manager), more);
        return r < 0 || !more ? r : varlink_listen_in(&hook->listeners, c, NULL);
}

static const VarlinkMethod methods[] = {
        { HOOK "QueryFilter", filter },
        { HOOK "ResolveRecord", resolve },
        {},
};

/* Tells resolvers that the filter may have changed. They may get the same filter again. */
static void on_published(void *userdata, Machine *m, bool there)
{
        ResolveHook *hook = userdata;

        (void) m;
        (void) there;
        varlink_tell(&hook->listeners, NULL, make_filter(hook->manager));
}

int resolve_hook_open(ResolveHook *hook, Manager *manager)
{
        int r;

        *hook = (ResolveHook){ manager, { .machine_published = on_published, .userdata = hook } };
        r = varlink_new(manager->event, methods, hook, &hook->server);
        if (r >= 0)
                r = varlink_listen(hook->server, SOCKET);
        if (r < 0)
                return log_error_errno(r, "Failed to listen on '%s'", SOCKET);
        manager_observe(manager, &hook->observer);
        return 0;
}

void resolve_hook_close(ResolveHook *hook)
{
        varlink_listeners_clear(&hook->listeners);
        varlink_free(hook->server);
}
