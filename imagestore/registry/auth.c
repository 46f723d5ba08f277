/* SPDX-License-Identifier: Apache-2.0 */
/* Answering a 401: Basic, or a Bearer token (token.c). And asking again what passes. */
#include "imagestore/registry/registry.h"

#include <strings.h>

#define WAIT_MAX 30 /* seconds */

int registry_into_buf(void *ctx, long status, const void *data, size_t len)
{
	struct buf *b = ctx;

	(void)status;
	if (b->len + len > JSON_MAX)
		return err(-EFBIG, "the registry sent a document of over %u bytes", JSON_MAX);
	return buf_add(b, data, len);
}

int registry_authorize(struct registry *r, const char *kind, const char *value)
{
	free(r->authorization);
	r->authorization = str_fmt("%s %s", kind, value);
	return r->authorization ? 0 : -ENOMEM;
}

int registry_denied(const struct registry *r)
{
	bool known = r->who.basic || r->who.identity;

	return err(-EACCES, known ? "%s: access denied" : "%s: access denied: `strata login %s`?",
		   r->host, r->host);
}

static int answer(struct registry *r, struct http_reply *p, const char *actions)
{
	const char *challenge = p->challenge;

	if (challenge && strncasecmp(challenge, "Bearer ", 7) == 0)
		return token_get(r, challenge, actions, &p->retry_after);
	if (challenge && strncasecmp(challenge, "Basic", 5) == 0 && r->who.basic)
		return registry_authorize(r, "Basic", r->who.basic);
	return registry_denied(r);
}

/* ---- asking ---- */

int registry_try(struct registry *r, const char *actions, const struct http_request *q,
		 struct http_reply *p)
{
	int e = http_do(r, q, p);

	if (e < 0 || p->status != 401)
		return e;
	e = answer(r, p, actions);
	if (e >= 0)
		e = http_do(r, q, p);
	if (e >= 0 && (p->status == 401 || p->status == 403))
		return registry_denied(r);
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
		return registry_denied(r);
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
	struct http_request q = {
		.url = url, .accept = accept, .sink = registry_into_buf, .ctx = ret
	};
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
