/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/dockerignore.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "builder/path.h"
#include "builder/text.h"
#include <stdlib.h>

#define PATTERNS_MAX 4096u

/* [a-z^x]: *@p stands behind the bracket and is moved behind the closing one. */
static bool match_class(const char **p, char c)
{
	bool negated = **p == '^', found = false;

	*p += negated;
	while (**p && **p != ']') {
		char low, high;

		*p += **p == '\\' && (*p)[1];
		low = high = *(*p)++;
		if (**p == '-' && (*p)[1] && (*p)[1] != ']') {
			++*p;
			*p += **p == '\\' && (*p)[1];
			high = *(*p)++;
		}
		found = found || (low <= c && c <= high);
	}
	*p += **p == ']';
	return found != negated;
}

/* One character of @path against one element of the pattern that is no star. */
static bool match_one(const char **p, char c)
{
	switch (*(*p)++) {
	case '?':
		return c != '/';
	case '[':
		return match_class(p, c) && c != '/';
	case '\\':
		return **p && *(*p)++ == c;
	default:
		return (*p)[-1] == c;
	}
}

/*
 * Without recursion: the last single star and the last double star are remembered, and on a
 * mismatch the nearest one that can take a character more does.
 */
bool pattern_match(const char *p, const char *s)
{
	const char *star = NULL, *star_s = NULL, *deep = NULL, *deep_s = NULL;

	for (;;) {
		if (p[0] == '*' && p[1] == '*') {
			p += 2;
			p += *p == '/';
			deep = p;
			deep_s = s;
			star = NULL;
			continue;
		}
		if (*p == '*') {
			star = ++p;
			star_s = s;
			continue;
		}
		if (!*s && !*p)
			return true;
		if (*s && *p) {
			const char *q = p;

			if (match_one(&q, *s)) {
				p = q;
				s++;
				continue;
			}
		}
		if (star && *star_s && *star_s != '/') {
			s = ++star_s;
			p = star;
		} else if (deep && *deep_s) {
			/*
			 * A double star takes whole folders when a name follows it, anything at
			 * the end.
			 */
			do
				deep_s++;
			while (*deep_s && *deep && deep_s[-1] != '/');
			if (!*deep_s && *deep)
				return false;
			s = deep_s;
			p = deep;
			star = NULL;
		} else {
			return false;
		}
	}
}

static int add_pattern(struct dockerignore *d, const char *line, size_t len)
{
	_free_ char *text = NULL;
	bool negated;

	if (len && *line == '#')
		return 0;
	text_trim(&line, &len);
	negated = len && *line == '!';
	line += negated;
	len -= negated;
	text_trim(&line, &len);
	if (!len)
		return negated ? err(-EINVAL, ".dockerignore: a '!' without a pattern") : 0;
	text = strndup(line, len);
	if (!text || mem_grow(&d->patterns, &d->patterns_cap, d->n + 1, sizeof(*d->patterns)) < 0 ||
	    mem_grow(&d->negated, &d->negated_cap, d->n + 1, sizeof(*d->negated)) < 0)
		return -ENOMEM;
	if (d->n == PATTERNS_MAX)
		return err(-EFBIG, ".dockerignore: more than %u patterns", PATTERNS_MAX);
	if (path_clean(text, &d->patterns[d->n], NULL) < 0)
		return err(-ENAMETOOLONG, ".dockerignore: a pattern too long");
	d->negated[d->n] = negated;
	d->any_negated = d->any_negated || negated;
	d->n++;
	return 0;
}

int dockerignore_parse(const char *text, struct dockerignore *ret)
{
	struct dockerignore d = { 0 };

	if (str_after(text, "\xef\xbb\xbf")) /* U+FEFF, as some editors write it */
		text += 3;
	while (*text) {
		size_t len = strcspn(text, "\n");
		int r = add_pattern(&d, text, len);

		if (r < 0) {
			dockerignore_done(&d);
			return r;
		}
		text += len;
		text += *text == '\n';
	}
	*ret = d;
	return 0;
}

void dockerignore_done(struct dockerignore *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->patterns[i]);
	free(d->patterns);
	free(d->negated);
	*d = (struct dockerignore){ 0 };
}

/* The path itself, or a folder above it. */
static bool fits(const char *pattern, const char *path)
{
	_free_ char *prefix = strdup(path);

	while (prefix && *prefix) {
		char *slash;

		if (pattern_match(pattern, prefix))
			return true;
		slash = strrchr(prefix, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	return false;
}

bool dockerignore_excludes(const struct dockerignore *d, const char *path)
{
	for (size_t i = d->n; i-- > 0;)
		if (fits(d->patterns[i], path))
			return !d->negated[i];
	return false;
}
