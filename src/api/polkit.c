/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/polkit.h"

#include "basic/list.h"
#include "basic/str.h"
#include "basic/time.h"
#include "manager/call.h"

#define POLKIT_NAME "org.freedesktop.PolicyKit1"

/* An administrator may be typing a password. */
#define TIMEOUT_USEC (10 * 60 * USEC_PER_SEC)

/* The bus limits the number of pending replies of a connection, and those of systemd count as well. */
#define QUESTIONS_MAX         64U
#define QUESTIONS_OF_USER_MAX 8U

typedef struct PolkitQuestion {
        Polkit *polkit;
        uid_t uid;
        void (*told)(void *userdata, PolicyVerdict verdict, const char *message);
        void *userdata;
        struct PolkitQuestion *next;
} PolkitQuestion;

static void question_free(PolkitQuestion *q)
{
        if (LIST_REMOVE(&q->polkit->questions, q))
                q->polkit->n_questions--;
        free(q);
}
DEFINE_CLEANUP(PolkitQuestion *, question_free);

static PolicyVerdict read_verdict(sd_bus_message *reply, char **ret_message)
{
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        const char *message = "Permission denied.";
        int authorized = 0, challenge = 0, r;

        if (e && (sd_bus_error_has_name(e, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
                  sd_bus_error_has_name(e, SD_BUS_ERROR_NAME_HAS_NO_OWNER)))
                message = "Only root may do that: polkit is not there to allow it to others.";
        else if (e) {
                *ret_message = strf("polkit failed: %s", e->message);
                return POLICY_DENIED;
        } else {
                r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
                if (r > 0)
                        r = sd_bus_message_read(reply, "bb", &authorized, &challenge);
                if (r < 0)
                        message = "polkit sent an invalid answer.";
                else if (authorized)
                        return POLICY_GRANTED;
                else if (challenge)
                        message = "Interactive authentication is required.";
        }
        *ret_message = strdup(message);
        return challenge ? POLICY_ASK_PASSWORD : POLICY_DENIED;
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(question_free_cleanup) PolkitQuestion *q = userdata;
        _cleanup_free_ char *message = NULL;
        PolicyVerdict verdict = read_verdict(reply, &message);

        (void) ret_error;
        q->told(q->userdata, verdict, strna(message));
        return 0;
}

/* A caller on the bus is described by the bus name, another caller by the process. */
static int append_subject(sd_bus_message *m, const Caller *caller)
{
        if (caller->bus_name)
                return sd_bus_message_append(m, "(sa{sv})", "system-bus-name", 1, "name", "s",
                                             caller->bus_name);
        return sd_bus_message_append(m, "(sa{sv})", "unix-process", 3, "pid", "u", (uint32_t) caller->pid,
                                     "start-time", "t", caller->start_time, "uid", "i",
                                     (int32_t) caller->uid);
}

static int append_details(sd_bus_message *m, const PolicyQuestion *question)
{
        const Strv details = question->details;
        int r = sd_bus_message_open_container(m, 'a', "{ss}");

        if (r >= 0)
                r = sd_bus_message_append(m, "{ss}{ss}", "machine", question->machine, "verb",
                                          question->verb);
        for (size_t i = 0; r >= 0 && details && details[i]; i += 2)
                r = sd_bus_message_append(m, "{ss}", details[i], details[i + 1]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int polkit_ask(Polkit *polkit, const PolicyQuestion *question)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_(question_free_cleanup) PolkitQuestion *q = NULL;
        const Caller *caller = question->caller;
        unsigned n = 0;
        int r;

        /* The caller had ended before the process was opened, so its PID may belong to another process. */
        if (!caller->bus_name && caller->start_time == 0)
                return -EACCES;
        for (const PolkitQuestion *other = polkit->questions; other; other = other->next)
                n += other->uid == caller->uid;
        if (polkit->n_questions >= QUESTIONS_MAX || n >= QUESTIONS_OF_USER_MAX)
                return -EUSERS;
        r = sd_bus_message_new_method_call(polkit->bus, &request, POLKIT_NAME,
                                           "/org/freedesktop/PolicyKit1/Authority", POLKIT_NAME ".Authority",
                                           "CheckAuthorization");
        if (r >= 0)
                r = append_subject(request, caller);
        if (r >= 0)
                r = sd_bus_message_append(request, "s", question->action);
        if (r >= 0)
                r = append_details(request, question);
        if (r >= 0)
                r = sd_bus_message_append(request, "us", caller->interactive ? 1U : 0U, "");
        if (r < 0)
                return r;
        q = malloc(sizeof(PolkitQuestion));
        OOM_CHECK(q);
        *q = (PolkitQuestion){ polkit, caller->uid, question->told, question->userdata, NULL };
        LIST_PREPEND(&polkit->questions, q);
        polkit->n_questions++;
        r = sd_bus_call_async(polkit->bus, NULL, request, on_answer, q, TIMEOUT_USEC);
        if (r < 0)
                return r;
        TAKE_PTR(q);
        return 0;
}
