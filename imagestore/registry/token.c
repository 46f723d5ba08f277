/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bearer tokens (distribution-spec, "token authentication"): got with a password by GET, or with an
 * identity token by POST, as OAuth2 has it (distribution's docs/spec/auth/token.md, oauth.md).
 */
#include "imagestore/registry/registry.h"

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

/* ---- the question ---- */

/* &NAME=VALUE, escaped. */
static void add(struct registry *r, struct buf *b, const char *name, const char *value)
{
	char *escaped = curl_easy_escape(r->curl, value, 0);

	buf_addf(b, "%s%s=%s", b->len ? "&" : "", name, escaped ? escaped : "");
	b->failed |= !escaped;
	curl_free(escaped);
}

/* For what: the repository, and the one that a blob is to be taken over from. */
static int add_scope(struct registry *r, struct buf *b, const char *actions, bool oauth)
{
	_free_ char *own = str_fmt("repository:%s:%s", r->repo, actions);
	_free_ char *from = str_fmt("repository:%s:pull", r->from ? r->from : "");
	_free_ char *both = own && from ? str_fmt("%s %s", own, from) : NULL;

	if (!both)
		return -ENOMEM;
	if (!*r->repo)
		return 0;
	/* OAuth2 has one scope, of words; the other says it again for each. */
	add(r, b, "scope", oauth && r->from ? both : own);
	if (!oauth && r->from)
		add(r, b, "scope", from);
	return 0;
}

static int fill_form(struct registry *r, struct buf *b, const char *challenge, const char *actions)
{
	const char *identity = r->who.identity;
	char service[FIELD_MAX] = "";
	int e;

	field(challenge, "service", service, sizeof(service));
	if (identity)
		add(r, b, "grant_type", "refresh_token");
	add(r, b, "service", service);
	if (identity)
		add(r, b, "client_id", "strata");
	e = add_scope(r, b, actions, identity != NULL);
	if (identity)
		add(r, b, "refresh_token", identity);
	return e < 0 || b->failed ? -ENOMEM : 0;
}

static int ask(struct registry *r, const char *challenge, const char *actions, struct buf *ret,
	       struct http_reply *p)
{
	char realm[FIELD_MAX];
	_buf_done_ struct buf form = { 0 };
	_free_ char *url = NULL, *basic = NULL;
	struct http_request q = { .sink = registry_into_buf, .ctx = ret };
	int e;

	if (field(challenge, "realm", realm, sizeof(realm)) < 0 || !header_safe(realm))
		return err(-EPROTO, "%s: it asks for a token, but does not say where", r->host);
	e = fill_form(r, &form, challenge, actions);
	if (e < 0)
		return e;
	if (r->who.identity) {
		q.method = "POST";
		q.upload = true;
		q.content_type = "application/x-www-form-urlencoded";
		q.body = form.data;
		q.body_size = form.len;
	} else {
		url = str_fmt("%s%c%s", realm, strchr(realm, '?') ? '&' : '?', form.data);
		basic = r->who.basic ? str_fmt("Basic %s", r->who.basic) : NULL;
		if (!url || (r->who.basic && !basic))
			return -ENOMEM;
	}
	q.url = url ? url : realm;
	q.authorization = basic;
	e = http_do(r, &q, p);
	if (e < 0 || p->status == 200)
		return e;
	/* 400 is OAuth2's word for a token that is none. */
	return p->status == 401 || p->status == 403 || (p->status == 400 && r->who.identity) ?
		       registry_denied(r) :
		       registry_status_err(r, q.url, p);
}

int token_get(struct registry *r, const char *challenge, const char *actions,
	      uint64_t *ret_retry_after)
{
	_cleanup_(http_reply_done) struct http_reply p = { 0 };
	_buf_done_ struct buf b = { 0 };
	_json_ json_t *doc = NULL;
	const char *token;
	int e = ask(r, challenge, actions, &b, &p);

	if (e < 0) {
		*ret_retry_after = p.retry_after;
		return registry_passes(0, &p) ? -EAGAIN : e;
	}
	e = json_parse(b.data ? b.data : "", b.len, "token", &doc);
	if (e < 0)
		return e;
	token = json_get_str(doc, "token") ?: json_get_str(doc, "access_token");
	if (!token || !header_safe(token))
		return err(-EPROTO, "%s: its token is none", r->host);
	return registry_authorize(r, "Bearer", token);
}
