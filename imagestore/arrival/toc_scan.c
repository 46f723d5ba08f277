/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table's text, entry by entry: as one document it would take twenty times its own size of
 * memory, and whatever somebody puts into it.
 */
#include "imagestore/arrival/toc_scan.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define VALUE_MAX (1u << 20) /* bytes of one entry, or of another member */

struct scan {
	const char *at, *end;
};

static int malformed(void)
{
	return err(-EBADMSG, "table of contents: not the JSON it should be");
}

/* The next character that is no blank, or 0 at the end. */
static char peek(struct scan *s)
{
	while (s->at < s->end && strchr(" \t\r\n", *s->at) && *s->at)
		s->at++;
	return s->at < s->end ? *s->at : '\0';
}

static bool take(struct scan *s, char c)
{
	if (peek(s) != c)
		return false;
	s->at++;
	return true;
}

static int take_value(struct scan *s, json_t **ret)
{
	size_t len = MIN((size_t)(s->end - s->at), (size_t)VALUE_MAX);
	json_error_t e = { 0 };

	*ret = json_loadb(s->at, len,
			  JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &e);
	if (!*ret)
		return malformed();
	s->at += e.position;
	return 0;
}

static int take_entries(struct scan *s, int (*entry)(void *ctx, const json_t *j), void *ctx)
{
	if (!take(s, '['))
		return malformed();
	if (take(s, ']'))
		return 0;
	do {
		_json_ json_t *j = NULL;
		int r = take_value(s, &j);

		if (r >= 0)
			r = entry(ctx, j);
		if (r < 0)
			return r;
	} while (take(s, ','));
	return take(s, ']') ? 0 : malformed();
}

static int take_member(struct scan *s, struct toc_scan *t)
{
	_json_ json_t *key = NULL, *value = NULL;
	const char *name;
	int r = peek(s) == '"' ? take_value(s, &key) : malformed();

	if (r < 0)
		return r;
	name = json_string_value(key);
	if (!name || !take(s, ':'))
		return malformed();
	if (streq(name, "entries")) {
		if (t->has_entries)
			return malformed();
		t->has_entries = true;
		return take_entries(s, t->entry, t->ctx);
	}
	r = take_value(s, &value);
	if (r >= 0 && streq(name, "version") && !t->version)
		t->version = json_integer_value(value);
	return r;
}

int toc_scan(const char *text, size_t len, struct toc_scan *t)
{
	struct scan s = { .at = text, .end = text + len };

	if (!take(&s, '{'))
		return malformed();
	do {
		int r = take_member(&s, t);

		if (r < 0)
			return r;
	} while (take(&s, ','));
	return take(&s, '}') && !peek(&s) && s.at == s.end ? 0 : malformed();
}
