/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/words.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include <ctype.h>

#define NESTING_MAX 32

int words_split(const char *s, char escape, char ***ret)
{
	_strv_free_ char **words = NULL;

	for (;;) {
		const char *begin;
		char quote = 0;
		_free_ char *word = NULL;

		s += strspn(s, " \t\n");
		if (!*s)
			break;
		for (begin = s; *s && (quote || !strchr(" \t\n", *s)); s++) {
			if (*s == escape && quote != '\'' && s[1])
				s++;
			else if (quote)
				quote = *s == quote ? 0 : quote;
			else if (*s == '\'' || *s == '"')
				quote = *s;
		}
		word = strndup(begin, s - begin);
		if (!word || strv_add(&words, word) < 0)
			return -ENOMEM;
	}
	*ret = take_ptr(words);
	return 0;
}

enum quoting { QUOTES, HEREDOC, RAW };

struct expansion {
	const struct words_scope *scope;
	enum quoting quoting;
	struct buf out;
	unsigned depth;
};

static int expand_until(struct expansion *x, const char **s, char end);

static size_t name_length(const char *s)
{
	size_t len = 0;

	if (isdigit((unsigned char)*s))
		return 0;
	while (isalnum((unsigned char)s[len]) || s[len] == '_')
		len++;
	return len;
}

/* The word of ${NAME:-word} and its kin, from *@s to the closing brace; kept only when @use. */
static int expand_word(struct expansion *x, const char **s, bool use)
{
	size_t before = x->out.len;
	int r;

	if (++x->depth > NESTING_MAX)
		return err(-EINVAL, "variables nested deeper than %d", NESTING_MAX);
	r = expand_until(x, s, '}');
	x->depth--;
	if (r == 0 && !use && x->out.data) {
		x->out.len = before;
		x->out.data[before] = '\0';
	}
	return r;
}

static int expand_operator(struct expansion *x, const char **s, const char *name, const char *value)
{
	bool colon = **s == ':', set = value && (!colon || *value);
	char op;

	*s += colon;
	op = **s;
	if (!op)
		return err(-EINVAL, "${%s: a brace is not closed", name);
	if (!strchr("-+?", op))
		return err(-EINVAL, "${%s...}: unknown modifier", name);
	++*s;
	if (op == '?' && !set)
		return err(-EINVAL, "%s is not set", name);
	if (op != '+' && set)
		buf_adds(&x->out, value);
	return expand_word(x, s, op == '+' ? set : op == '-' && !set);
}

/* *@s stands behind the dollar. */
static int expand_variable(struct expansion *x, const char **s)
{
	bool brace = **s == '{';
	size_t len = name_length(*s + brace);
	_free_ char *name = strndup(*s + brace, len);
	const char *value;

	if (!name)
		return -ENOMEM;
	if (!len) {
		if (brace)
			return err(-EINVAL, "${: a name is missing");
		return buf_addc(&x->out, '$');
	}
	*s += brace + len;
	value = x->scope->lookup(x->scope->ctx, name);
	if (!brace)
		return value ? buf_adds(&x->out, value) : 0;
	if (**s != '}')
		return expand_operator(x, s, name, value);
	++*s;
	return value ? buf_adds(&x->out, value) : 0;
}

static int expand_single(struct expansion *x, const char **s)
{
	const char *close = strchr(*s, '\'');

	if (!close)
		return err(-EINVAL, "a quote ' is not closed");
	buf_add(&x->out, *s, close - *s);
	*s = close + 1;
	return 0;
}

/* In double quotes and here-documents it counts only before what it could protect. */
static int expand_escape(struct expansion *x, const char **s, char quote)
{
	char c = *(*s)++;

	if (x->quoting == HEREDOC && c == '\n')
		return 0;
	if (x->quoting == HEREDOC ?
		    c != '$' && c != '`' && c != x->scope->escape :
		    quote && c != '"' && c != '$' && c != '`' && c != x->scope->escape)
		buf_addc(&x->out, x->scope->escape);
	return buf_addc(&x->out, c);
}

static int expand_one(struct expansion *x, const char **s, char *quote)
{
	char c = *(*s)++;

	if (c == '\'' && !*quote && x->quoting == QUOTES)
		return expand_single(x, s);
	if (c == '"' && x->quoting == QUOTES) {
		*quote = *quote ? 0 : '"';
		return 0;
	}
	if (c == x->scope->escape && **s && x->quoting != RAW)
		return expand_escape(x, s, *quote);
	if (c == '$')
		return expand_variable(x, s);
	return buf_addc(&x->out, c);
}

static int expand_until(struct expansion *x, const char **s, char end)
{
	char quote = 0;
	int r = 0;

	while (r == 0 && **s && (quote || **s != end)) {
		r = expand_one(x, s, &quote);
		if (r == 0 && x->out.len > EXPANSION_MAX)
			r = err(-EFBIG, "an expansion longer than %u bytes", EXPANSION_MAX);
	}
	if (r < 0)
		return r;
	if (quote)
		return err(-EINVAL, "a quote \" is not closed");
	if (end && **s != end)
		return err(-EINVAL, "a brace { is not closed");
	*s += end != 0;
	return 0;
}

static int expand(const char *s, const struct words_scope *scope, enum quoting quoting, char **ret)
{
	struct expansion x = { .scope = scope, .quoting = quoting };
	int r = buf_add(&x.out, "", 0);

	if (r == 0)
		r = expand_until(&x, &s, '\0');
	if (r == 0)
		*ret = buf_take(&x.out);
	buf_done(&x.out);
	return r < 0 ? r : *ret ? 0 : -ENOMEM;
}

int words_expand(const char *s, const struct words_scope *scope, char **ret)
{
	return expand(s, scope, QUOTES, ret);
}

int words_expand_raw(const char *s, const struct words_scope *scope, char **ret)
{
	return expand(s, scope, RAW, ret);
}

int words_expand_heredoc(const char *s, const struct words_scope *scope, char **ret)
{
	return expand(s, scope, HEREDOC, ret);
}

int words_expand_all(const char *s, const struct words_scope *scope, char ***ret)
{
	_strv_free_ char **raw = NULL, **words = NULL;
	int r = words_split(s, scope->escape, &raw);

	for (char **w = raw; r == 0 && w && *w; w++) {
		_free_ char *word = NULL;

		r = words_expand(*w, scope, &word);
		if (r == 0)
			r = strv_add(&words, word);
	}
	if (r < 0)
		return r;
	*ret = take_ptr(words);
	return 0;
}

int words_json(const char *s, char ***ret)
{
	_json_ json_t *j = NULL;
	int r;

	if (*s != '[')
		return 0;
	if (json_parse(s, strlen(s), "words", &j) < 0 || !json_is_array(j)) {
		err_clear();
		return 0;
	}
	r = json_to_strv(j, ret);
	if (r == -EBADMSG) {
		err_clear();
		return 0;
	}
	return r < 0 ? r : 1;
}
