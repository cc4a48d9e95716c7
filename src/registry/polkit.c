/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "registry/polkit.h"
#include "basic/str.h"

/* A person may be typing a password. */
#define POLKIT_TIMEOUT_USEC (10 * 60 * USEC_PER_SEC)

/* The bus lets us wait for a number of answers only, and systemd's are among them. */
#define QUESTIONS_MAX         64U
#define QUESTIONS_OF_USER_MAX 8U

typedef struct Question {
        uid_t uid;
        struct Question *next;
        Registry *registry;
        sd_bus_message *call;
        AuthorizedHandler handler;
} Question;

static void question_free(Question *q)
{
        for (Question **p = &q->registry->questions; *p; p = &(*p)->next)
                if (*p == q) {
                        *p = q->next;
                        break;
                }
        q->registry->n_pending--;
        q->registry->n_questions--;
        sd_bus_message_unref(q->call);
        free(q);
}
DEFINE_CLEANUP(Question *, question_free);

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(question_free_cleanup) Question *q = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        int authorized, challenge, r;

        (void) ret_error;
        registry_touch(q->registry);
        if (e && (sd_bus_error_has_name(e, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
                  sd_bus_error_has_name(e, SD_BUS_ERROR_NAME_HAS_NO_OWNER)))
                return sd_bus_reply_method_errorf(
                        q->call, SD_BUS_ERROR_ACCESS_DENIED,
                        "Only root may do that: polkit is not there to allow it to others.");
        if (e)
                return sd_bus_reply_method_errorf(q->call, SD_BUS_ERROR_ACCESS_DENIED, "polkit failed: %s",
                                                  e->message);

        r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
        if (r > 0)
                r = sd_bus_message_read(reply, "bb", &authorized, &challenge);
        if (r < 0)
                return sd_bus_reply_method_errorf(q->call, SD_BUS_ERROR_ACCESS_DENIED,
                                                  "polkit gave no clear answer.");
        if (authorized) {
                r = q->handler(q->registry, q->call);
                return r < 0 ? sd_bus_reply_method_errno(q->call, r, NULL) : 0;
        }
        if (challenge)
                return sd_bus_reply_method_errorf(q->call, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                                                  "Interactive authentication is required.");
        return sd_bus_reply_method_errorf(q->call, SD_BUS_ERROR_ACCESS_DENIED, "Permission denied.");
}

int caller_read(sd_bus_message *call, pid_t *ret_pid, uid_t *ret_uid)
{
        sd_bus_creds *creds = NULL;
        int r;

        r = sd_bus_query_sender_creds(call, SD_BUS_CREDS_PID | SD_BUS_CREDS_EUID, &creds);
        if (r >= 0 && ret_pid)
                r = sd_bus_creds_get_pid(creds, ret_pid);
        if (r >= 0 && ret_uid)
                r = sd_bus_creds_get_euid(creds, ret_uid);
        sd_bus_creds_unref(creds);
        return r;
}

int polkit_authorize(Registry *registry, sd_bus_message *call, const char *action, const char *machine,
                     const char *verb, AuthorizedHandler handler)
{
        return polkit_authorize_with(registry, call, action, machine, verb, NULL, handler);
}

static int append_details(sd_bus_message *m, const char *machine, const char *verb, const Strv details)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{ss}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{ss}{ss}", "machine", machine, "verb", verb);
        for (size_t i = 0; r >= 0 && details && details[i]; i += 2)
                r = sd_bus_message_append(m, "{ss}", details[i], details[i + 1]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* A question that is none of a call's. */
typedef struct Inquiry {
        Registry *registry;
        PolkitVerdict told;
        void *userdata;
} Inquiry;

static int on_verdict(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Inquiry q = *(Inquiry *) userdata;
        int authorized = 0, r;

        (void) ret_error;
        free(userdata);
        q.registry->n_pending--;
        q.registry->n_questions--;
        r = sd_bus_message_get_error(reply) ? 0 : sd_bus_message_enter_container(reply, 'r', "bba{ss}");
        if (r > 0)
                r = sd_bus_message_read(reply, "b", &authorized);
        q.told(q.userdata, r > 0 && authorized ? 0 : -EACCES);
        return 0;
}

int polkit_ask(Registry *registry, pid_t pid, uint64_t start_time, uid_t uid, const char *action,
               const char *machine, const char *verb, PolkitVerdict told, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_free_ Inquiry *q = malloc(sizeof(Inquiry));
        int r;

        OOM_CHECK(q);
        if (registry->n_questions >= QUESTIONS_MAX)
                return -EUSERS;
        r = sd_bus_message_new_method_call(registry->bus, &request, "org.freedesktop.PolicyKit1",
                                           "/org/freedesktop/PolicyKit1/Authority",
                                           "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_append(request, "(sa{sv})s", "unix-process", 3, "pid", "u",
                                          (uint32_t) pid, "start-time", "t", start_time, "uid", "i",
                                          (int32_t) uid, action);
        if (r >= 0)
                r = append_details(request, machine, verb, NULL);
        if (r >= 0)
                r = sd_bus_message_append(request, "us", 0U, "");
        if (r < 0)
                return r;
        *q = (Inquiry){ registry, told, userdata };
        r = sd_bus_call_async(registry->bus, NULL, request, on_verdict, q, POLKIT_TIMEOUT_USEC);
        if (r < 0)
                return r;
        registry->n_pending++;
        registry->n_questions++;
        TAKE_PTR(q);
        return 0;
}

int polkit_authorize_with(Registry *registry, sd_bus_message *call, const char *action, const char *machine,
                          const char *verb, const Strv details, AuthorizedHandler handler)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_(question_free_cleanup) Question *q = NULL;
        unsigned n = 0;
        uid_t uid;
        int r;

        r = caller_read(call, NULL, &uid);
        if (r < 0)
                return r;
        /* Root needs no polkit: neither the daemon nor an agent has to be there. */
        if (uid == 0) {
                /* 0 would tell sd-bus that nobody has answered. */
                r = handler(registry, call);
                return r < 0 ? r : 1;
        }

        for (const Question *other = registry->questions; other; other = other->next)
                n += other->uid == uid;
        if (registry->n_questions >= QUESTIONS_MAX || n >= QUESTIONS_OF_USER_MAX)
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                                  "Too many people are being asked for a password.");
        r = sd_bus_message_new_method_call(registry->bus, &request, "org.freedesktop.PolicyKit1",
                                           "/org/freedesktop/PolicyKit1/Authority",
                                           "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization");
        if (r < 0)
                return r;
        r = sd_bus_message_append(request, "(sa{sv})s", "system-bus-name", 1, "name", "s",
                                  sd_bus_message_get_sender(call), action);
        if (r >= 0)
                r = append_details(request, machine, verb, details);
        if (r >= 0)
                r = sd_bus_message_append(
                        request, "us",
                        sd_bus_message_get_allow_interactive_authorization(call) > 0 ? 1U : 0U, "");
        if (r < 0)
                return r;

        q = malloc(sizeof(Question));
        OOM_CHECK(q);
        *q = (Question){ uid, registry->questions, registry, sd_bus_message_ref(call), handler };
        registry->questions = q;
        registry->n_pending++;
        registry->n_questions++;
        r = sd_bus_call_async(registry->bus, NULL, request, on_answer, q, POLKIT_TIMEOUT_USEC);
        if (r < 0)
                return r;
        TAKE_PTR(q);
        return 1;
}
