/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Images from servers. What is expected of the file is known before the file is fetched: its digest, and who says so. */

#include <ctype.h>
#include <inttypes.h>

#include "image/digest.h"
#include "image/download.h"
#include "image/trust.h"
#include "worker/worker.h"

#define SUMS          "SHA256SUMS"
#define SUMS_MAX      (1024U * 1024U)
#define SIGNATURE_MAX (64U * 1024U)

typedef struct Pull {
        const Request *request;
        const char *url;
        Strv environment;
        bool disk;
        VerifyMode mode;
        char expected[DIGEST_LENGTH + 1]; /* in hexadecimal; "" where nothing is */
        Digest *digest;
        uint64_t n_bytes;
} Pull;

static void pull_clear(Pull *p)
{
        strv_free(p->environment);
        digest_free(p->digest);
}

/* --- what is expected --------------------------------------------------------------------------------------------- */

/* A file beside that of the URL, whose parameters are not the other's. */
static char *beside(const char *url, const char *name)
{
        size_t n = strcspn(url, "?#");

        while (n > 0 && url[n - 1] != '/')
                n--;
        return strf("%.*s%s", (int) n, url, name);
}

static char *base_name(const char *url)
{
        size_t end = strcspn(url, "?#"), begin = end;

        while (begin > 0 && url[begin - 1] != '/')
                begin--;
        return strndup(url + begin, end - begin);
}

/* Lines are a digest, white space, maybe a '*', and a name (sha256sum(1)). */
static bool find_sum(const char *text, const char *name, char ret[static DIGEST_LENGTH + 1])
{
        for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
                size_t n = strspn(line, "0123456789abcdefABCDEF");
                const char *file = line + n + strspn(line + n, " \t");
                if (n != DIGEST_LENGTH || file == line + n)
                        continue;
                file += *file == '*';
                if (strcspn(file, "\r\n") != strlen(name) || strncmp(file, name, strlen(name)) != 0)
                        continue;
                for (size_t i = 0; i < DIGEST_LENGTH; i++)
                        ret[i] = (char) tolower(line[i]);
                ret[DIGEST_LENGTH] = 0;
                return true;
        }
        return false;
}

static int fetch(const Pull *p, const char *url, size_t max, char **ret, size_t *ret_size, char **ret_error)
{
        _cleanup_free_ char *error = NULL;
        int r = download_text(url, p->environment, max, ret, ret_size, &error);

        return r < 0 ? set_failure(ret_error, r, "Cannot fetch '%s': %s", url, error ?: strerror(-r)) : 0;
}

/* Tries each kind of signature that there are keys for. */
static int check_signature(const Pull *p, const Trust *trust, const char *sums_url, const char *sums,
                           size_t size, char **ret_error)
{
        _cleanup_free_ char *missing = strdup("");
        bool found = false;

        OOM_CHECK(missing);
        for (SignatureKind kind = 0; kind < _SIGNATURE_KIND_MAX; kind++) {
                _cleanup_free_ char *url = strf("%s%s", sums_url, signature_suffixes[kind]),
                                    *signature = NULL, *error = NULL;
                size_t signature_size;
                OOM_CHECK(url);
                int r = trust_has(trust, kind, &error);
                if (r == 0)
                        continue;
                if (r < 0)
                        return set_failure(ret_error, r, "%s", strna(error));
                r = fetch(p, url, SIGNATURE_MAX, &signature, &signature_size, &error);
                if (r == -ENOENT) {
                        char *longer = strf("%s%s" SUMS "%s", missing, *missing ? ", " : "",
                                            signature_suffixes[kind]);
                        free(missing);
                        missing = longer;
                        OOM_CHECK(missing);
                        continue;
                }
                if (r < 0)
                        return set_failure(ret_error, r, "%s", strna(error));
                found = true;
                r = trust_check(trust, kind, sums, size, signature, signature_size, &error);
                if (r >= 0)
                        return 0;
                if (r != -EKEYREJECTED)
                        return set_failure(ret_error, r, "%s", error ?: strerror(-r));
        }
        return found ? set_failure(ret_error, -EKEYREJECTED,
                                   "The signature of '%s' is by none of the keys that %s names.", sums_url,
                                   trust->file)
                     : set_failure(ret_error, -ENOKEY,
                                   "'%s' is not signed in a way that the keys of %s are for (missing: %s).",
                                   sums_url, trust->file, *missing ? missing : "a key");
}

static int expect(Pull *p, char **ret_error)
{
        _cleanup_trust_ Trust trust = {};
        _cleanup_free_ char *error = NULL, *sums_url = NULL, *sums = NULL, *name = base_name(p->url);
        size_t size;
        int r;

        OOM_CHECK(name);
        r = trust_find(TRUST_DIR, p->url, &trust, &error);
        if (r < 0)
                return set_failure(ret_error, r, "%s", error ?: strerror(-r));
        if (p->mode == VERIFY_DEFAULT)
                p->mode = trust.mode == VERIFY_DEFAULT ? VERIFY_SIGNATURE : trust.mode;
        if (p->mode == VERIFY_NO)
                return 0;
        if (p->mode == VERIFY_SIGNATURE && !trust.file)
                return set_failure(ret_error, -ENOKEY,
                                   "No file in " TRUST_DIR
                                   " is about that source: there is no key to verify by. "
                                   "--verify=checksum asks for no signature.");
        if (p->mode == VERIFY_SIGNATURE && !trust.keys)
                return set_failure(ret_error, -ENOKEY, "%s names no key.", trust.file);
        if (p->mode == VERIFY_CHECKSUM && startswith(p->url, "http://"))
                return set_failure(ret_error, -EPERM,
                                   "Whoever changes what comes over http changes its checksum as well: "
                                   "use https, a signature, or --verify=no.");
        sums_url = beside(p->url, SUMS);
        OOM_CHECK(sums_url);
        r = fetch(p, sums_url, SUMS_MAX, &sums, &size, ret_error);
        if (r >= 0 && p->mode == VERIFY_SIGNATURE)
                r = check_signature(p, &trust, sums_url, sums, size, ret_error);
        if (r < 0)
                return r;
        return find_sum(sums, name, p->expected)
                       ? 0
                       : set_failure(ret_error, -EBADMSG, "'%s' has no checksum of '%s'.", sums_url, name);
}

/* --- what comes --------------------------------------------------------------------------------------------------- */

static void on_bytes(void *userdata, const void *data, size_t n)
{
        Pull *p = userdata;

        digest_add(p->digest, data, n);
        p->n_bytes += n;
}

static int compare(Pull *p, char **ret_error)
{
        char text[DIGEST_LENGTH + 1];
        int r = digest_end(p->digest, text);

        if (r < 0)
                return r;
        json_object_set_new(p->request->answer, "digest", json_string(text));
        if (!p->expected[0] || streq(text, p->expected))
                return 0;
        return set_failure(ret_error, -EBADMSG,
                           "What came is not what its checksum says: %" PRIu64
                           " bytes have %s, expected was %s.",
                           p->n_bytes, text, p->expected);
}

static int fill(const Request *request, int image_fd, char **ret_error)
{
        _cleanup_free_ char *error = NULL;
        Pull *p = request->userdata;
        Download download;
        int r, q;

        r = download_begin(p->url, p->environment, &download);
        if (r < 0)
                return r;
        Stream stream = { .fd = download.fd, .download = &download, .seen = on_bytes, .userdata = p };
        r = import_stream(request, &stream, p->disk, image_fd, ret_error);
        q = download_end(&download, &error);
        if (is_cancelled()) /* so was who fetches it */
                return -ECANCELED;
        /* What does not come is no archive either. */
        if (q < 0 && (r >= 0 || r == -EBADMSG)) {
                free(*ret_error);
                *ret_error = NULL;
                return set_failure(ret_error, q, "Cannot fetch '%s': %s", p->url, error ?: strerror(-q));
        }
        if (r < 0 && (r != -EBADMSG || !p->expected[0]))
                return r;
        /* What is no archive was none before, or has become that. */
        q = compare(p, &error);
        if (q < 0) {
                free(*ret_error);
                *ret_error = TAKE_PTR(error);
        }
        return q < 0 ? q : r;
}

static int pull(const Request *request, bool disk, char **ret_error)
{
        _cleanup_(pull_clear) Pull p = {
                .request = request,
                .url = request_text(request, "url"),
                .disk = disk,
                .mode = verify_mode_from_string(request_text(request, "verify")),
        };
        Request own = *request;
        const json_t *value;
        size_t i;
        int r = digest_begin(&p.digest);

        json_array_foreach (json_object_get(request->json, "environment"), i, value)
                if (r >= 0)
                        r = strv_append(&p.environment, strna(json_string_value(value)));
        if (r >= 0)
                r = expect(&p, ret_error);
        if (r < 0)
                return r;
        own.userdata = &p;
        return make_image(&own, disk ? IMAGE_RAW : IMAGE_DIRECTORY, fill, ret_error);
}

int work_pull_tar(const Request *request, char **ret_error)
{
        return pull(request, false, ret_error);
}

int work_pull_raw(const Request *request, char **ret_error)
{
        return pull(request, true, ret_error);
}
