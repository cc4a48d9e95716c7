/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Operations of the manager, with a caller that is made up, beside a service manager that is: it knows the
 * units that a test says, writes down what it is told, and answers. Nothing here needs root, a bus or a
 * host. */

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "manager/image-change.h"
#include "manager/images.h"
#include "manager/machine-control.h"
#include "manager/machine-inspect.h"
#include "manager/machine.h"
#include "manager/manager.h"
#include "manager/notification.h"
#include "manager/update.h"
#include "test-dir.h"

#define STRANGER 54321U

/* --- the service manager ------------------------------------------------------------------------------- */

static sd_event *event;
static sd_bus *bus, *peer;
static Scope *scope;
static Manager *manager;

static struct {
        const char *unit, *active;
} units[4];
static size_t n_units;
static unsigned n_listings;
static Strv told; /* "KillUnit machine-m.service main 15" */

static int answer_listing(sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(call, &reply);

        n_listings++;
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ssssssouso)");
        for (size_t i = 0; i < n_units && r >= 0; i++)
                r = sd_bus_message_append(reply, "(ssssssouso)", units[i].unit, "", "loaded",
                                          units[i].active, "", "", "/u", 0U, "", "/");
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(peer, reply, NULL);
}

static int on_call(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const char *unit = "", *text = "";
        int32_t number = 0;

        (void) userdata;
        (void) error;
        if (sd_bus_message_is_method_call(call, NULL, "ListUnitsByPatterns") > 0)
                return answer_listing(call);
        if (sd_bus_message_is_method_call(call, NULL, NULL) <= 0)
                return 0;
        (void) sd_bus_message_read(call, "s", &unit);
        (void) sd_bus_message_read(call, "s", &text);
        (void) sd_bus_message_read(call, "i", &number);
        if (strv_appendf(&told, "%s %s %s %i", sd_bus_message_get_member(call), unit, text, number) < 0)
                return -ENOMEM;
        return sd_bus_message_is_method_call(call, NULL, "StopUnit") > 0
                       ? sd_bus_reply_method_return(call, "o", "/job/1")
                       : sd_bus_reply_method_return(call, "");
}

static void settle(void)
{
        for (unsigned quiet = 0; quiet < 3;)
                quiet = sd_event_run(event, 2000) > 0 ? 0 : quiet + 1;
}

static void forget(void)
{
        strv_free(TAKE_PTR(told));
        n_listings = 0;
}

/* --- the caller ---------------------------------------------------------------------------------------- */

typedef struct TestCall {
        Call call;
        char *answer; /* as JSON, or NULL */
} TestCall;

static struct {
        unsigned answered, failed;
        char *answer, *message;
        ErrorKind kind;
} result;

static void on_answered(Call *call, const void *answer)
{
        const Schema *schema = call->operation->answer;
        json_t *json = answer && schema ? schema_to_json(schema, answer) : NULL;

        result.answered++;
        free(result.answer);
        result.answer = json ? json_dumps(json, JSON_COMPACT) : NULL;
        json_decref(json);
}

static void on_failed(Call *call, const Error *error)
{
        (void) call;
        result.failed++;
        result.kind = error->kind;
        (void) free_and_strdup(&result.message, error->message);
}

static void on_free(Call *call)
{
        free(call);
}

static const CallDoor test_door = { on_answered, on_failed, on_free, NULL };

static void begin(const Operation *operation, Family family, uid_t uid, const char *target,
                  const char *arguments)
{
        TestCall *c = calloc(1, sizeof(TestCall));
        json_t *json = arguments ? json_loads(arguments, 0, NULL) : NULL;
        const char *wrong;

        if (!c)
                abort();
        c->call = (Call){ .manager = manager,
                          .door = &test_door,
                          .family = family,
                          .caller = { .uid = uid, .pid = getpid() },
                          .operation = operation,
                          .target = target ? strdup(target) : NULL,
                          .arguments = schema_new(operation->arguments) };
        if (operation->arguments)
                CHECK_INT(schema_from_json(operation->arguments, json, false, c->call.arguments, &wrong), 0);
        json_decref(json);
        operation_begin(&c->call);
}

/* As the owner of the scope. */
static void ask(const Operation *operation, const char *target, const char *arguments)
{
        forget();
        result.answered = result.failed = 0;
        begin(operation, FAMILY_MCTL, scope->owner, target, arguments);
        settle();
}

#define CHECK_FAILED(kind_, text)                 \
        do {                                      \
                CHECK_INT(result.failed, 1);      \
                CHECK_INT(result.answered, 0);    \
                CHECK_INT(result.kind, kind_);    \
                CHECK_TEXT(result.message, text); \
                CHECK_INT(strv_length(told), 0);  \
        } while (false)

/* --- tests --------------------------------------------------------------------------------------------- */

static void test_refresh(void)
{
        n_units = 0;
        ask(&operation_list_machines, NULL, NULL);
        CHECK_INT(manager->n_machines, 0);

        units[n_units].unit = "machine-m.service";
        units[n_units++].active = "active";
        units[n_units].unit = "container@dead.service";
        units[n_units++].active = "failed";
        units[n_units].unit = "machine-.service"; /* nobody's */
        units[n_units++].active = "active";
        units[n_units].unit = "machine-gone.service";
        units[n_units++].active = "inactive";
        ask(&operation_list_machines, NULL, NULL);
        CHECK_INT(result.answered, 1);
        CHECK_INT(n_listings, 1);
        CHECK_INT(manager->n_machines, 2);
        const Machine *m = manager_find(manager, "m"), *dead = manager_find(manager, "dead");
        CHECK(m && m->state == MACHINE_RUNNING && m->kind == MACHINE_UNIT_TRANSIENT && m->owns_unit);
        CHECK(dead && dead->state == MACHINE_FAILED && dead->kind == MACHINE_UNIT_TEMPLATE);
        CHECK(!manager_find(manager, "gone"));
        /* Without a leader nobody else knows it. */
        CHECK(!manager_find_registered(manager, "m"));

        /* Who asks while a listing is under way is owed the next one, and all of them that. */
        forget();
        result.answered = 0;
        for (unsigned i = 0; i < 5; i++)
                begin(&operation_list_machines, FAMILY_MCTL, scope->owner, NULL, NULL);
        settle();
        CHECK_INT(result.answered, 5);
        CHECK_INT(n_listings, 2);

        units[0].active = "deactivating";
        n_units = 1;
        ask(&operation_list_machines, NULL, NULL);
        CHECK_INT(manager->n_machines, 1);
        CHECK_INT(manager->machines[0]->state, MACHINE_STOPPING);
        units[0].active = "active";
        ask(&operation_list_machines, NULL, NULL);
}

static void test_ends(void)
{
        ask(&operation_power_off, "m", NULL);
        CHECK_TEXT(result.answer, "{\"job\":\"/job/1\"}");
        CHECK_INT(strv_length(told), 1);
        CHECK_TEXT(told[0], "StopUnit machine-m.service replace 0");

        ask(&operation_terminate, "m", NULL);
        CHECK_TEXT(result.answer, "{\"job\":\"/job/1\"}");
        CHECK_INT(strv_length(told), 2);
        CHECK_TEXT(told[0], "StopUnit machine-m.service replace 0");
        CHECK_TEXT(told[1], "KillUnit machine-m.service all 9");

        ask(&operation_kill, "m", "{\"whom\":\"leader\",\"signal\":15}");
        CHECK_INT(result.answered, 1);
        CHECK_TEXT(told[0], "KillUnit machine-m.service main 15");
        ask(&operation_kill, "m", "{\"signal\":10}");
        CHECK_TEXT(told[0], "KillUnit machine-m.service all 10");
        ask(&operation_kill, "m", "{\"signal\":0}");
        CHECK_FAILED(ERROR_INVALID_ARGUMENT, "There is no signal 0.");
        ask(&operation_kill, "m", "{\"whom\":\"wife\",\"signal\":9}");
        CHECK_FAILED(ERROR_INVALID_ARGUMENT, "A signal goes to 'leader' or to 'all', not to 'wife'.");

        ask(&operation_pause, "m", NULL);
        CHECK_TEXT(told[0], "FreezeUnit machine-m.service  0");
        ask(&operation_power_off, "nothing", NULL);
        CHECK_FAILED(ERROR_NO_SUCH_MACHINE, "No machine 'nothing' is running.");
        ask(&operation_power_off, "a\033[31m", NULL);
        CHECK_INT(result.kind, ERROR_NO_SUCH_MACHINE);
        CHECK(!strchr(result.message, '\033'));
}

/* --- who may ------------------------------------------------------------------------------------------- */

static struct {
        int r; /* of the question */
        PolicyVerdict verdict;
        unsigned n;
        char *action, *verb, *machine;
        void (*told)(void *userdata, PolicyVerdict verdict, const char *message);
        void *userdata;
} policy;

static int on_question(void *userdata, const PolicyQuestion *question)
{
        (void) userdata;
        policy.n++;
        (void) free_and_strdup(&policy.action, question->action);
        (void) free_and_strdup(&policy.verb, question->verb);
        (void) free_and_strdup(&policy.machine, question->machine);
        policy.told = question->told;
        policy.userdata = question->userdata;
        return policy.r;
}

static void ask_as_stranger(const Operation *operation, Family family, const char *target,
                            const char *arguments)
{
        forget();
        result.answered = result.failed = policy.n = 0;
        begin(operation, family, STRANGER, target, arguments);
        settle();
}

static void test_policy(void)
{
        ask_as_stranger(&operation_power_off, FAMILY_MCTL, "m", NULL);
        CHECK_FAILED(ERROR_DENIED,
                     "Only the owner of this instance may call this method: there is no polkit.");

        manager->ask_policy = on_question;
        ask_as_stranger(&operation_power_off, FAMILY_MCTL, "m", NULL);
        CHECK_INT(policy.n, 1);
        CHECK_INT(strv_length(told), 0);
        CHECK_TEXT(policy.action, "org.mctl.Registry1.manage-machines");
        CHECK_TEXT(policy.verb, "power-off");
        CHECK_TEXT(policy.machine, "m");
        CHECK(!manager_is_idle(manager));
        policy.told(policy.userdata, POLICY_GRANTED, NULL);
        settle();
        CHECK_INT(result.answered, 1);
        CHECK_INT(strv_length(told), 1);

        ask_as_stranger(&operation_kill, FAMILY_MCTL, "m", "{\"signal\":9}");
        policy.told(policy.userdata, POLICY_ASK_PASSWORD, "Interactive authentication is required.");
        settle();
        CHECK_FAILED(ERROR_ASK_PASSWORD, "Interactive authentication is required.");

        policy.r = -EUSERS;
        ask_as_stranger(&operation_kill, FAMILY_MCTL, "m", "{\"signal\":9}");
        CHECK_FAILED(ERROR_LIMIT,
                     "Too many questions to polkit are waiting for an answer; try again later.");
        policy.r = 0;

        /* What anybody may see, nobody is asked for. */
        ask_as_stranger(&operation_get_machine, FAMILY_MCTL, "m", NULL);
        CHECK_INT(policy.n, 0);
        CHECK_TEXT(result.answer, "{\"machine\":\"m\"}");
        /* A machine that is not there is told before anybody is asked. */
        ask_as_stranger(&operation_power_off, FAMILY_MCTL, "nothing", NULL);
        CHECK_INT(policy.n, 0);
        CHECK_FAILED(ERROR_NO_SUCH_MACHINE, "No machine 'nothing' is running.");
        /* Clients of systemd know no machine without a leader. */
        ask_as_stranger(&operation_power_off, FAMILY_SYSTEMD, "m", NULL);
        CHECK_INT(policy.n, 0);
        CHECK_INT(result.kind, ERROR_NO_SUCH_MACHINE);

        ask_as_stranger(&operation_remove_image, FAMILY_SYSTEMD, "x", NULL);
        CHECK_TEXT(policy.action, "org.freedesktop.machine1.manage-images");
        CHECK_TEXT(policy.verb, "remove");
        policy.told(policy.userdata, POLICY_DENIED, "Permission denied.");
        settle();
        CHECK_FAILED(ERROR_DENIED, "Permission denied.");
        manager->ask_policy = NULL;
}

/* Names are judged before anybody is asked and anything is done. */
static void test_names(void)
{
        ask(&operation_remove_image, ".host", NULL);
        CHECK_FAILED(ERROR_INVALID_ARGUMENT, "'.host' is the host, and no image of the store.");
        ask(&operation_remove_image, "../x", NULL);
        CHECK_FAILED(ERROR_IMAGE_UNKNOWN, "No image '../x' known.");
        ask(&operation_remove_image, "docker.io/library/alpine", NULL);
        CHECK_FAILED(ERROR_IMAGE_UNKNOWN,
                     "'docker.io/library/alpine' is an OCI image, and there is none of that name here.");
        ask(&operation_clone_image, "x", "{\"newName\":\"a b\"}");
        CHECK_FAILED(ERROR_INVALID_ARGUMENT, "No image of the store can be called 'a b'.");
}

/* An update is judged before polkit is asked, which is told what it would do. */
static void test_update(void)
{
        ask(&operation_update_machine, "../m", "{\"image\":\"good\"}");
        CHECK_FAILED(ERROR_INVALID_ARGUMENT, "'../m' is not a valid name of a machine.");
        ask(&operation_update_machine, "m", "{\"image\":\"/srv/tree\"}");
        CHECK_FAILED(ERROR_INVALID_ARGUMENT, "'/srv/tree' is not a valid name of an image.");
        ask(&operation_update_machine, "m", "{\"image\":\"good\",\"timeoutUSec\":18446744073709551615}");
        CHECK_INT(result.kind, ERROR_INVALID_ARGUMENT);

        manager->ask_policy = on_question;
        ask_as_stranger(&operation_update_machine, FAMILY_MCTL, "off",
                        "{\"image\":\"good\",\"health\":\"true\"}");
        CHECK_TEXT(policy.action, "org.mctl.Registry1.update-machine");
        CHECK_TEXT(policy.verb, "update");
        CHECK_TEXT(policy.machine, "off");
        policy.told(policy.userdata, POLICY_DENIED, "Permission denied.");
        settle();
        CHECK_FAILED(ERROR_DENIED, "Permission denied.");
        manager->ask_policy = NULL;
}

/* What a machine may say of itself, and what it may not. */
static void test_notification(void)
{
        static const struct {
                const char *said, *passed;
        } cases[] = {
                { "READY=1", "READY=1\n" },
                { "READY=1\nMAINPID=1\nSTATUS=up", "READY=1\nSTATUS=up\n" },
                { "STATUS=one\nSTATUS=two\n", "STATUS=two\n" },
                { "STOPPING=1\nEXTEND_TIMEOUT_USEC=5000000\nERRNO=2",
                  "STOPPING=1\nERRNO=2\nEXTEND_TIMEOUT_USEC=5000000\n" },
                { "RELOADING=1\nMONOTONIC_USEC=123", "RELOADING=1\nMONOTONIC_USEC=123\n" },
                { "READY=0\nREADY=11\nEXTEND_TIMEOUT_USEC=-1\nERRNO=\nSTATUS=\033[2J", "" },
                { "FDSTORE=1\nFDNAME=x\nWATCHDOG=1\nNOTIFYACCESS=all\nBARRIER=1\nFDSTOREREMOVE=1", "" },
                { "", "" },
        };
        char text[600], passed[512];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                snprintf(text, sizeof(text), "%s", cases[i].said);
                CHECK_INT(notification_filter(text, strlen(text), passed), 0);
                CHECK_TEXT(passed, cases[i].passed);
        }
        memcpy(text, "READY=1\0MAINPID=1", 17);
        CHECK_INT(notification_filter(text, 17, passed), -EBADMSG);
        /* A status is at most as long as systemd shows one. */
        memset(text, 'x', sizeof(text));
        memcpy(text, "STATUS=", 7);
        CHECK_INT(notification_filter(text, 7 + 255, passed), 0);
        CHECK_INT(strlen(passed), 7 + 255 + 1);
        memset(text, 'x', sizeof(text));
        memcpy(text, "STATUS=", 7);
        CHECK_INT(notification_filter(text, 7 + 256, passed), 0);
        CHECK_TEXT(passed, "");
}

/* One who floods is told so; others are answered. */
static void test_flood(void)
{
        forget();
        result.answered = result.failed = 0;
        for (unsigned i = 0; i < 300; i++)
                begin(&operation_get_machine, FAMILY_MCTL, STRANGER, "m", NULL);
        begin(&operation_get_machine, FAMILY_MCTL, STRANGER + 1, "m", NULL);
        CHECK_INT(result.failed, 300 - 256);
        CHECK_INT(result.kind, ERROR_LIMIT);
        settle();
        CHECK_INT(result.answered, 256 + 1);
        CHECK_INT(n_listings, 2);
}

/* --- the beginning ------------------------------------------------------------------------------------- */

static void set_up(const char *dir)
{
        const sd_id128_t id = { .bytes = { 1 } };
        int fds[2];

        if (setenv("MCTL_SCOPE", dir, true) < 0 || setenv("XDG_RUNTIME_DIR", dir, true) < 0 ||
            scope_new(&scope) < 0 || sd_event_new(&event) < 0 ||
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 ||
            sd_bus_new(&bus) < 0 || sd_bus_new(&peer) < 0 || sd_bus_set_fd(bus, fds[0], fds[0]) < 0 ||
            sd_bus_set_server(bus, 1, id) < 0 || sd_bus_start(bus) < 0 ||
            sd_bus_attach_event(bus, event, 0) < 0 || sd_bus_set_fd(peer, fds[1], fds[1]) < 0 ||
            sd_bus_start(peer) < 0 || sd_bus_attach_event(peer, event, 0) < 0 ||
            sd_bus_add_filter(peer, NULL, on_call, NULL) < 0 || manager_new(scope, event, bus, &manager) < 0)
                abort();
}

int main(void)
{
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        fd_close(test_dir_open());
        set_up(test_dir_path);
        test_refresh();
        test_ends();
        test_policy();
        test_names();
        test_update();
        test_notification();
        test_flood();
        manager_free(manager);
        sd_bus_flush_close_unref(bus);
        sd_bus_flush_close_unref(peer);
        sd_event_unref(event);
        scope_free(scope);
        strv_free(told);
        free(result.answer);
        free(result.message);
        free(policy.action);
        free(policy.verb);
        free(policy.machine);
        return test_end();
}
