/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/reader.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "builder/text.h"
#include <strings.h>

void reader_init(struct reader *r, const char *file, const char *text, size_t len)
{
	*r = (struct reader){
		.file = file, .at = text, .end = text + len, .line = 1, .escape = '\\'
	};
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) /* U+FEFF, as some editors write it */
		r->at += 3;
}

bool reader_line(struct reader *r, const char **ret, size_t *ret_len)
{
	const char *nl;

	if (r->at >= r->end)
		return false;
	nl = memchr(r->at, '\n', r->end - r->at);
	*ret = r->at;
	*ret_len = (nl ? nl : r->end) - r->at;
	r->at = nl ? nl + 1 : r->end;
	r->line++;
	if (*ret_len && (*ret)[*ret_len - 1] == '\r')
		--*ret_len;
	return true;
}

/* "NAME=VALUE" behind the '#' of a parser directive: the value of one that is known, or NULL. */
static const char *directive_value(char *text, const char **ret_name)
{
	static const char *const names[] = { "escape", "syntax", "check" };
	char *equals = strchr(text, '=');
	char *name = text + strspn(text, " \t");

	if (!equals)
		return NULL;
	name[strcspn(name, " \t=")] = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcasecmp(name, names[i]) == 0) {
			*ret_name = names[i];
			return equals + 1 + strspn(equals + 1, " \t");
		}
	}
	return NULL;
}

int reader_directives(struct reader *r)
{
	for (;;) {
		struct reader here = *r;
		const char *s, *name, *value;
		size_t len;
		_free_ char *text = NULL;

		if (!reader_line(r, &s, &len))
			return 0;
		text_trim(&s, &len);
		text = len && *s == '#' ? strndup(s + 1, len - 1) : NULL;
		value = text ? directive_value(text, &name) : NULL;
		if (!value) {
			*r = here;
			return 0;
		}
		if (!streq(name, "escape"))
			continue;
		if (!streq(value, "\\") && !streq(value, "`"))
			return err(-EINVAL, "%s:%u: the escape must be \\ or `", r->file,
				   r->line - 1);
		r->escape = *value;
	}
}

/*
 * Adds a line to @b; true when it goes on with the next: it ends with one escape, two are one of
 * the text.
 */
static bool add_line(const struct reader *r, struct buf *b, const char *s, size_t len)
{
	size_t cut = len;

	while (cut && (s[cut - 1] == ' ' || s[cut - 1] == '\t'))
		cut--;
	if (cut && s[cut - 1] == r->escape && (cut == 1 || s[cut - 2] != r->escape)) {
		buf_add(b, s, cut - 1);
		return true;
	}
	buf_add(b, s, len);
	return false;
}

int reader_logical(struct reader *r, struct buf *b, unsigned *ret_line)
{
	const char *s;
	size_t len;
	bool more = false;

	buf_reset(b);
	while (reader_line(r, &s, &len)) {
		const char *t = s;
		size_t tlen = len;

		text_trim(&t, &tlen);
		if (!tlen || *t == '#') /* between the parts of one instruction too */
			continue;
		if (!b->len && !more)
			*ret_line = r->line - 1;
		more = add_line(r, b, s, len);
		if (!more)
			break;
	}
	if (b->failed)
		return -ENOMEM;
	return b->len > 0;
}
