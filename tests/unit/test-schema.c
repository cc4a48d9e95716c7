/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A struct with one field of each type, and the tables of work.c, which everything that travels between
 * programs goes through. */

#include <fcntl.h>
#include <unistd.h>

#include "basic/fd.h"
#include "spec/schema.h"
#include "spec/work.h"
#include "test.h"

#define ID128 "0123456789abcdef0123456789abcdef"

typedef struct Part {
        char *name;
        uint32_t size;
} Part;

typedef struct Whole {
        char *string, *job, *machine;
        char id[33];
        bool flag;
        int choice;
        int32_t number;
        uint32_t natural;
        int64_t number64;
        uint64_t natural64;
        double real;
        Strv strings, pairs;
        int32_t *ints;
        size_t n_ints;
        Part *parts;
        size_t n_parts;
        int fd;
} Whole;

static DEFINE_SCHEMA(part_schema, Part, FIELD(Part, FIELD_STRING, "name", name),
                     FIELD(Part, FIELD_UINT, "size", size));
static DEFINE_SCHEMA(whole_schema, Whole, FIELD(Whole, FIELD_STRING, "string", string),
                     FIELD(Whole, FIELD_JOB, "job", job), FIELD(Whole, FIELD_MACHINE, "machine", machine),
                     FIELD(Whole, FIELD_ID128, "id", id), FIELD(Whole, FIELD_BOOL, "flag", flag),
                     FIELD(Whole, FIELD_CHOICE, "choice", choice), FIELD(Whole, FIELD_INT, "number", number),
                     FIELD(Whole, FIELD_UINT, "natural", natural),
                     FIELD(Whole, FIELD_INT64, "number64", number64),
                     FIELD(Whole, FIELD_UINT64, "natural64", natural64),
                     FIELD(Whole, FIELD_DOUBLE, "real", real),
                     FIELD(Whole, FIELD_STRINGS, "strings", strings),
                     FIELD(Whole, FIELD_PAIRS, "pairs", pairs), FIELD_NUMBERS(Whole, "ints", ints, n_ints),
                     FIELD_LIST(Whole, "parts", parts, n_parts, &part_schema),
                     FIELD(Whole, FIELD_FD, "fd", fd));

static void clear_whole(Whole *w)
{
        schema_clear(&whole_schema, w);
}
#define WHOLE_EMPTY     ((Whole){ .fd = -EBADF })
#define _cleanup_whole_ _cleanup_(clear_whole)

static void json_decref_pointer(json_t **json)
{
        json_decref(*json);
}
#define _cleanup_json_ _cleanup_(json_decref_pointer)

/* Reads a text with single quotes. The key lives as long as *ret. */
static int read_text(const char *text, bool lenient, Whole *w, json_t **ret, const char **ret_key)
{
        _cleanup_free_ char *json = strdup(text);

        if (!json)
                abort();
        for (char *p = json; *p; p++)
                *p = *p == '\'' ? '"' : *p;
        *ret = json_loads(json, JSON_DECODE_ANY, NULL);
        CHECK(*ret);
        return schema_from_json(&whole_schema, *ret, lenient, w, ret_key);
}

/* --- round trips --------------------------------------------------------------------------------------- */

static const char all[] =
        "{\"string\":\"text\",\"job\":\"/job/7\",\"machine\":\"web\",\"id\":\"" ID128
        "\",\"flag\":true,\"choice\":false,\"number\":-5,\"natural\":5,\"number64\":-9223372036854775808,"
        "\"natural64\":-1,\"real\":0.5,\"strings\":[\"a\",\"\"],\"pairs\":[\"k\",\"v\"],\"ints\":[1,-2,0],"
        "\"parts\":[{\"name\":\"one\",\"size\":1},{},{\"name\":\"three\"}]}";

static void test_values(void)
{
        _cleanup_whole_ Whole w = WHOLE_EMPTY;
        _cleanup_json_ json_t *json = NULL;
        const char *key;

        CHECK_INT(read_text(all, false, &w, &json, &key), 0);
        CHECK_TEXT(w.string, "text");
        CHECK_TEXT(w.job, "/job/7");
        CHECK_TEXT(w.machine, "web");
        CHECK_TEXT(w.id, ID128);
        CHECK(w.flag);
        CHECK_INT(w.choice, -1);
        CHECK_INT(w.number, -5);
        CHECK_INT(w.natural, 5);
        CHECK(w.number64 == INT64_MIN);
        CHECK(w.natural64 == UINT64_MAX);
        CHECK(w.real == 0.5);
        CHECK_INT(strv_length(w.strings), 2);
        CHECK_TEXT(w.strings[1], "");
        CHECK_INT(strv_length(w.pairs), 2);
        CHECK_TEXT(w.pairs[0], "k");
        CHECK_INT(w.n_ints, 3);
        CHECK_INT(w.ints[1], -2);
        CHECK_INT(w.n_parts, 3);
        CHECK_TEXT(w.parts[0].name, "one");
        CHECK_INT(w.parts[0].size, 1);
        CHECK(!w.parts[1].name);
        CHECK_TEXT(w.parts[2].name, "three");
        CHECK_INT(w.fd, -EBADF);

        _cleanup_json_ json_t *again = schema_to_json(&whole_schema, &w);
        _cleanup_free_ char *text = json_dumps(again, JSON_COMPACT);
        CHECK_TEXT(text, all);
}

/* What nobody set is not written, whichever way it was said. */
static void test_empty(void)
{
        static const char *const texts[] = {
                "null",
                "{}",
                "{'string':null,'id':null,'choice':null,'natural':null,'strings':null,'parts':null,"
                "'fd':null}",
                "{'flag':false,'number':0,'natural64':0,'real':0,'strings':[],'pairs':[],'ints':[],"
                "'parts':[]}",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_whole_ Whole w = WHOLE_EMPTY;
                _cleanup_json_ json_t *json = NULL;
                const char *key;

                CHECK_INT(read_text(texts[i], false, &w, &json, &key), 0);
                _cleanup_json_ json_t *again = schema_to_json(&whole_schema, &w);
                CHECK_INT(json_object_size(again), 0);
        }
        Whole w = WHOLE_EMPTY;
        const char *key;
        CHECK_INT(schema_from_json(&whole_schema, NULL, false, &w, &key), 0);
        CHECK(!schema_new(NULL));
        schema_clear(&whole_schema, NULL);
        schema_free(NULL, NULL);

        /* An empty text was set. */
        w.string = strdup("");
        _cleanup_json_ json_t *json = schema_to_json(&whole_schema, &w);
        CHECK_TEXT(json_string_value(json_object_get(json, "string")), "");
        clear_whole(&w);
}

/* A UUID becomes what machine-id(5) has. */
static void test_id(void)
{
        _cleanup_whole_ Whole w = WHOLE_EMPTY;
        _cleanup_json_ json_t *json = NULL;
        const char *key;

        CHECK_INT(read_text("{'id':'01234567-89AB-CDEF-0123-456789abcdef'}", false, &w, &json, &key), 0);
        CHECK_TEXT(w.id, ID128);
}

/* --- what is refused ----------------------------------------------------------------------------------- */

static const struct {
        const char *text, *key;
} refused[] = {
        { "[]", "" },
        { "'text'", "" },
        { "7", "" },
        { "{'strin':'text'}", "strin" },
        { "{'string':'text','strings ':[]}", "strings " },
        { "{'String':'text'}", "String" },
        { "{'strin':null}", "strin" },
        { "{'string':7}", "string" },
        { "{'string':['text']}", "string" },
        { "{'job':true}", "job" },
        { "{'machine':{}}", "machine" },
        { "{'id':'0123'}", "id" },
        { "{'id':'" ID128 "0'}", "id" },
        { "{'id':'g123456789abcdef0123456789abcdef'}", "id" },
        { "{'id':7}", "id" },
        { "{'flag':1}", "flag" },
        { "{'flag':'yes'}", "flag" },
        { "{'choice':0}", "choice" },
        { "{'number':'7'}", "number" },
        { "{'number':7.0}", "number" },
        { "{'number':2147483648}", "number" },
        { "{'number':-2147483649}", "number" },
        { "{'natural':-1}", "natural" },
        { "{'natural':4294967296}", "natural" },
        { "{'number64':1.5}", "number64" },
        { "{'natural64':true}", "natural64" },
        { "{'real':'0.5'}", "real" },
        { "{'strings':'text'}", "strings" },
        { "{'strings':['text',7]}", "strings" },
        { "{'pairs':{'k':'v'}}", "pairs" },
        { "{'ints':7}", "ints" },
        { "{'ints':[1,2147483648]}", "ints" },
        { "{'ints':['1']}", "ints" },
        { "{'parts':{}}", "parts" },
        { "{'parts':['text']}", "parts" },
        { "{'parts':[{'name':'one'},{'nam':'two'}]}", "nam" },
        { "{'parts':[{'size':-1}]}", "size" },
        { "{'fd':3}", "fd" },
};

static void test_refused(void)
{
        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                _cleanup_whole_ Whole w = WHOLE_EMPTY;
                _cleanup_json_ json_t *json = NULL;
                const char *key = "(not set)";

                if (!CHECK_INT(read_text(refused[i].text, false, &w, &json, &key), -EINVAL) ||
                    !CHECK_TEXT(key, refused[i].key))
                        fprintf(stderr, "\tthat is: %s\n", refused[i].text);
                CHECK_INT(w.fd, -EBADF);
        }
}

static void test_limits(void)
{
        _cleanup_whole_ Whole w = WHOLE_EMPTY;
        _cleanup_json_ json_t *json = NULL;
        const char *key;

        CHECK_INT(read_text("{'number':-2147483648,'natural':4294967295,'natural64':9223372036854775807,"
                            "'ints':[-2147483648,2147483647],'real':7}",
                            false, &w, &json, &key),
                  0);
        CHECK_INT(w.number, INT32_MIN);
        CHECK_INT(w.natural, UINT32_MAX);
        CHECK_INT(w.natural64, INT64_MAX);
        CHECK_INT(w.ints[0], INT32_MIN);
        CHECK_INT(w.ints[1], INT32_MAX);
        CHECK(w.real == 7);
}

/* A newer client may know more keys, and no other types. */
static void test_lenient(void)
{
        _cleanup_whole_ Whole w = WHOLE_EMPTY;
        _cleanup_json_ json_t *json = NULL, *wrong = NULL;
        const char *key;

        CHECK_INT(read_text("{'new':{'a':[1]},'string':'text','newer':null}", true, &w, &json, &key), 0);
        CHECK_TEXT(w.string, "text");
        CHECK_INT(read_text("{'new':1,'natural':-1}", true, &w, &wrong, &key), -EINVAL);
        CHECK_TEXT(key, "natural");
}

/* --- memory -------------------------------------------------------------------------------------------- */

static void test_clear(void)
{
        static const Whole nothing = { .fd = -EBADF };
        _cleanup_json_ json_t *json = NULL;
        Whole *w = schema_new(&whole_schema);
        const char *key;

        if (!CHECK(w))
                return;
        CHECK_INT(w->fd, -EBADF);
        CHECK_INT(read_text(all, false, w, &json, &key), 0);
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        w->fd = fd;
        schema_clear(&whole_schema, w);
        CHECK_INT(fcntl(fd, F_GETFD), -1);
        CHECK_INT(w->fd, -EBADF);
        CHECK(!w->string && !w->strings && !w->pairs && !w->ints && !w->parts && w->n_parts == 0);
        CHECK(memcmp(w, &nothing, offsetof(Whole, id)) == 0);
        CHECK_TEXT(w->id, "");
        /* It can be used again. */
        CHECK_INT(schema_from_json(&whole_schema, json, false, w, &key), 0);
        CHECK_INT(w->n_parts, 3);
        schema_free(&whole_schema, w);
}

/* --- work ---------------------------------------------------------------------------------------------- */

static void check_schema(const Schema *schema, const char *what)
{
        for (const Field *f = schema->fields; f->key; f++) {
                bool counted = f->type == FIELD_ARRAY || f->type == FIELD_INTS;
                if (!CHECK(!isempty(f->key) && f->type < _FIELD_TYPE_MAX && f->offset < schema->size) ||
                    !CHECK(schema_find(schema, f->key) == f) ||
                    !CHECK(!counted || (f->count_offset > 0 && f->count_offset < schema->size)) ||
                    !CHECK((f->type == FIELD_ARRAY) == (f->element != NULL)))
                        fprintf(stderr, "\tthat is: '%s' of %s\n", f->key, what);
                /* Two fields in one place would free it twice. */
                for (const Field *other = schema->fields; other < f; other++)
                        if (!CHECK(other->offset != f->offset))
                                fprintf(stderr, "\tthat is: '%s' and '%s' of %s\n", other->key, f->key,
                                        what);
                if (f->element)
                        check_schema(f->element, what);
        }
        CHECK(!schema_find(schema, ""));
}

static void test_work(void)
{
        for (int work = 0; work < _WORK_MAX; work++) {
                const WorkType *type = work_types + work;

                if (!CHECK(!isempty(type->name)))
                        continue;
                CHECK_INT(work_from_string(type->name), work);
                if (type->request)
                        check_schema(type->request, type->name);
                if (type->answer)
                        check_schema(type->answer, type->name);
                /* A machine is told by its leader and when that was started. */
                const Field *leader = type->machine ? schema_find(type->request, "leader") : NULL;
                const Field *start = type->machine ? schema_find(type->request, "startTime") : NULL;
                CHECK(!type->machine ||
                      (leader && leader->type == FIELD_INT && leader->offset == offsetof(Target, leader)));
                CHECK(!type->machine || (start && start->type == FIELD_UINT64 &&
                                         start->offset == offsetof(Target, start_time)));
        }
        CHECK_INT(work_from_string(""), -EINVAL);
        CHECK_INT(work_from_string("copy"), -EINVAL);
        CHECK_INT(work_from_string("copy-to "), -EINVAL);
        CHECK_INT(work_from_string("Clone"), -EINVAL);
}

int main(void)
{
        test_values();
        test_empty();
        test_id();
        test_refused();
        test_limits();
        test_lenient();
        test_clear();
        test_work();
        return test_end();
}
