/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Images from servers. Checksums and their signature are fetched and verified before the file itself is
 * fetched. */

#include <ctype.h>
#include <inttypes.h>

#include "fetch/digest.h"
#include "fetch/download.h"
#include "fetch/trust.h"
#include "worker/import.h"
#include "worker/make.h"
#include "worker/pull.h"

#define SUMS          "SHA256SUMS"
#define SUMS_MAX      (1024U * 1024U)
#define SIGNATURE_MAX (64U * 1024U)

typedef struct Pull {
        const Scope *scope;
        const TransferRequest *request;
        const char *url;
        char **digest_text; /* where the answer has the digest */
        bool disk;
        VerifyMode mode;
        char expected[DIGEST_LENGTH + 1]; /* hexadecimal; "" if none is expected */
        Digest *digest;
        uint64_t n_bytes;
} Pull;

static void pull_clear(Pull *p)
{
        digest_free(p->digest);
}

/* --- what is expected ---------------------------------------------------------------------------------- */

/* The URL of a file `name` in the same directory, without the query and fragment of `url`. */
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
        int r = download_text(url, p->request->environment, max, ret, ret_size, &error);

        return r < 0 ? set_failure(ret_error, r, "Cannot fetch '%s': %s", url, error ?: strerror(-r)) : 0;
}

/* Tries each kind of signature for which `trust` has keys. */
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
        _cleanup_free_ char *error = NULL, *sums_url = NULL, *sums = NULL, *name = base_name(p->url),
                            *dir = scope_config_path(p->scope, TRUST_DIR);
        size_t size;
        int r;

        if (!name || !dir)
                return -ENOMEM;
        r = trust_find(dir, p->url, &trust, &error);
        if (r < 0)
                return set_failure(ret_error, r, "%s", error ?: strerror(-r));
        if (p->mode == VERIFY_DEFAULT)
                p->mode = trust.mode == VERIFY_DEFAULT ? VERIFY_SIGNATURE : trust.mode;
        if (p->mode == VERIFY_NO)
                return 0;
        if (p->mode == VERIFY_SIGNATURE && !trust.file)
                return set_failure(
                        ret_error, -ENOKEY,
                        "No file in %s has a key for this source. --verify=checksum needs no key.", dir);
        if (p->mode == VERIFY_SIGNATURE && !trust.keys)
                return set_failure(ret_error, -ENOKEY, "%s names no key.", trust.file);
        if (p->mode == VERIFY_CHECKSUM && startswith(p->url, "http://"))
                return set_failure(ret_error, -EPERM,
                                   "http protects neither file nor checksum: "
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

/* --- what comes ---------------------------------------------------------------------------------------- */

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
        r = free_and_strdup(p->digest_text, text);
        if (r < 0)
                return r;
        if (!p->expected[0] || streq(text, p->expected))
                return 0;
        return set_failure(ret_error, -EBADMSG,
                           "The download does not match its checksum: %" PRIu64
                           " bytes have %s, expected was %s.",
                           p->n_bytes, text, p->expected);
}

static int fill(const Job *job, int image_fd, char **ret_error)
{
        _cleanup_free_ char *error = NULL;
        Pull *p = job->userdata;
        Download download;
        int r, q;

        r = download_begin(p->url, p->request->environment, &download);
        if (r < 0)
                return r;
        Stream stream = { .fd = download.fd, .download = &download, .seen = on_bytes, .userdata = p };
        r = import_stream(job, &stream, p->disk, image_fd, ret_error);
        q = download_end(&download, &error);
        if (is_cancelled()) /* SIGTERM has ended the download, too */
                return -ECANCELED;
        /* A broken download also looks like a damaged archive (-EBADMSG): report the download. */
        if (q < 0 && (r >= 0 || r == -EBADMSG)) {
                free(*ret_error);
                *ret_error = NULL;
                return set_failure(ret_error, q, "Cannot fetch '%s': %s", p->url, error ?: strerror(-q));
        }
        if (r < 0 && (r != -EBADMSG || !p->expected[0]))
                return r;
        /* A damaged archive has a wrong digest if it was damaged on its way: then report the digest. */
        q = compare(p, &error);
        if (q < 0) {
                free(*ret_error);
                *ret_error = TAKE_PTR(error);
        }
        return q < 0 ? q : r;
}

static int pull(const Job *job, bool disk, char **ret_error)
{
        const TransferRequest *request = job->request;
        TransferAnswer *answer = job->answer;
        _cleanup_(pull_clear) Pull p = {
                .scope = job->scope,
                .request = request,
                .url = request->url,
                .digest_text = &answer->digest,
                .disk = disk,
                .mode = verify_mode_from_string(request->verify ?: ""),
        };
        Job own = *job;
        int r = digest_begin(&p.digest);

        if (r >= 0)
                r = expect(&p, ret_error);
        if (r < 0)
                return r;
        own.userdata = &p;
        return make_image(&own, disk ? IMAGE_RAW : IMAGE_DIRECTORY, fill, ret_error);
}

int work_pull_tar(const Job *job, char **ret_error)
{
        return pull(job, false, ret_error);
}

int work_pull_raw(const Job *job, char **ret_error)
{
        return pull(job, true, ret_error);
}
