/* SPDX-License-Identifier: Apache-2.0 */
/* Answering a 401: Basic, or a Bearer token (distribution-spec, "token authentication"). */
#include "imagestore/registry/registry.h"

#include <strings.h>

#define WAIT_MAX  30 /* seconds */
#define FIELD_MAX 1024
#define TOKEN_MAX (64u << 10)

/* ---- the challenge ---- */

/* NAME="value" of a challenge; 0 or -ENOENT. */
static int field(const char *challenge, const char *name, char *ret, size_t size)
{
	_free_ char *key = str_fmt("%s=\"", name);
	const char *at = key ? strcasestr(challenge, key) : NULL, *end;

	if (!at)
		return -ENOENT;
	at += strlen(key);
	end = strchr(at, '"');
	if (!end || (size_t)(end - at) >= size)
		return -ENOENT;
	memcpy(ret, at, (size_t)(end - at));
	ret[end - at] = '\0';
	return 0;
}

static bool header_safe(const char *s)
{
	size_t n = 0;

	for (; s[n]; n++) {
		if (s[n] <= ' ' || s[n] > '~' || n >= TOKEN_MAX)
			return false;
	}
	return n > 0;
}

/* realm?service=...&scope=...[&scope=...] */
static char *token_url(struct registry *r, const char *challenge, const char *actions)
{
	char realm[FIELD_MAX], service[FIELD_MAX] = "";
	_free_ char *scope = str_fmt("repository:%s:%s", r->repo, actions);
	/* Names of repositories hold nothing that a URL would want escaped, but for the colons. */
	_free_ char *from = r->from ? str_fmt("&scope=repository%%3A%s%%3Apull", r->from) :
				      strdup("");
	char *es, *ec, *url = NULL;

	if (!scope || !from || field(challenge, "realm", realm, sizeof(realm)) < 0 ||
	    !header_safe(realm))
		return NULL;
	field(challenge, "service", service, sizeof(service));
	es = curl_easy_escape(r->curl, service, 0);
	ec = curl_easy_escape(r->curl, scope, 0);
	if (es && ec)
		url = str_fmt("%s%cservice=%s%s%s%s", realm, strchr(realm, '?') ? '&' : '?', es,
			      *r->repo ? "&scope=" : "", *r->repo ? ec : "", from);
	curl_free(es);
	curl_free(ec);
	return url;
}

static int into_buf(void *ctx, long status, const void *data, size_t len)
{
	struct buf *b = ctx;

	(void)status;
	if (b->len + len > JSON_MAX)
		return err(-EFBIG, "the registry sent a document of over %u bytes", JSON_MAX);
	return buf_add(b, data, len);
}

static int set_authorization(struct registry *r, const char *kind, const char *value)
{
	free(r->authorization);
	r->authorization = str_fmt("%s %s", kind, value);
	return r->authorization ? 0 : -ENOMEM;
}

static int denied(const struct registry *r)
{
	return err(-EACCES,
		   r->basic ? "%s: access denied" : "%s: access denied: `strata login %s`?",
		   r->host, r->host);
}

static int get_token(struct registry *r, const char *challenge, const char *actions)
{
	_cleanup_(http_reply_done) struct http_reply p = { 0 };
	_free_ char *url = token_url(r, challenge, actions);
	_free_ char *basic = r->basic ? str_fmt("Basic %s", r->basic) : NULL;
	_buf_done_ struct buf b = { 0 };
	_json_ json_t *doc = NULL;
	struct http_request q = { .url = url, .authorization = basic, .sink = into_buf, .ctx = &b };
	const char *token;
	int e;

	if (!url)
		return err(-EPROTO, "%s: it asks for a token, but does not say where", r->host);
	e = http_do(r, &q, &p);
	if (e < 0)
		return e;
	if (p.status == 401 || p.status == 403)
		return denied(r);
	if (p.status != 200)
		return registry_status_err(r, url, &p);
	e = json_parse(b.data ? b.data : "", b.len, "token", &doc);
	if (e < 0)
		return e;
	token = json_get_str(doc, "token") ?: json_get_str(doc, "access_token");
	if (!token || !header_safe(token))
		return err(-EPROTO, "%s: its token is none", r->host);
	return set_authorization(r, "Bearer", token);
}

static int answer(struct registry *r, const char *challenge, const char *actions)
{
	if (challenge && strncasecmp(challenge, "Bearer ", 7) == 0)
		return get_token(r, challenge, actions);
	if (challenge && strncasecmp(challenge, "Basic", 5) == 0 && r->basic)
		return set_authorization(r, "Basic", r->basic);
	return denied(r);
}

/* ---- asking ---- */

int registry_try(struct registry *r, const char *actions, const struct http_request *q,
		 struct http_reply *p)
{
	int e = http_do(r, q, p);

	if (e < 0 || p->status != 401)
		return e;
	e = answer(r, p->challenge, actions);
	if (e >= 0)
		e = http_do(r, q, p);
	if (e >= 0 && (p->status == 401 || p->status == 403))
		return denied(r);
	return e;
}

bool registry_passes(int error, const struct http_reply *p)
{
	return error == -EAGAIN ||
	       (error >= 0 && (p->status == 429 || p->status == 500 || p->status == 502 ||
			       p->status == 503 || p->status == 504));
}

bool registry_again(const struct registry *r, unsigned n, int error, const struct http_reply *p)
{
	uint64_t wait = 1ull << MIN(n - 1, 8u); /* seconds */

	if (!registry_passes(error, p) || n >= r->attempts)
		return false;
	err_clear();
	if (wait < p->retry_after)
		wait = p->retry_after;
	sleep((unsigned)MIN(wait, (uint64_t)WAIT_MAX));
	return true;
}

int registry_status_err(const struct registry *r, const char *url, const struct http_reply *p)
{
	char shown[256], where[256];

	str_printable(shown, sizeof(shown), p->text);
	str_printable(where, sizeof(where), url);
	if (p->status == 404)
		return err(-ENOENT, "%s: not found: %s", r->host, where);
	if (p->status == 401 || p->status == 403)
		return denied(r);
	return err(-EIO, "%s: status %ld for %s%s%s", r->host, p->status, where, *shown ? ": " : "",
		   shown);
}

int registry_do(struct registry *r, const char *actions, const struct http_request *q,
		struct http_reply *p)
{
	unsigned n = 0;
	int e;

	do {
		e = registry_try(r, actions, q, p);
	} while (registry_again(r, ++n, e, p));
	if (e == -EAGAIN)
		e = -EIO;
	if (e >= 0 && (p->status < 200 || p->status > 299))
		return registry_status_err(r, q->url, p);
	return e;
}

int registry_get(struct registry *r, const char *url, const char *accept, struct buf *ret,
		 char **ret_type)
{
	_cleanup_(http_reply_done) struct http_reply p = { 0 };
	struct http_request q = { .url = url, .accept = accept, .sink = into_buf, .ctx = ret };
	unsigned n = 0;
	int e;

	do {
		buf_reset(ret);
		e = registry_try(r, "pull", &q, &p);
	} while (registry_again(r, ++n, e, &p));
	if (e < 0)
		return e == -EAGAIN ? -EIO : e;
	if (p.status != 200)
		return registry_status_err(r, url, &p);
	if (ret_type)
		*ret_type = take_ptr(p.type);
	return 0;
}
