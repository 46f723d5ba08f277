/* SPDX-License-Identifier: Apache-2.0 */
/* The flags and the words of COPY and ADD. */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "builder/path.h"
#include "builder/step_copy.h"

static int copy_word(const char *s, char **ret)
{
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}

static int read_flag(struct builder *b, struct step_copy *c, const char *flag)
{
	static const char *const names[] = { "--from=", "--chown=", "--chmod=" };
	char **const values[] = { &c->from, &c->chown, &c->chmod };

	for (size_t i = b->i->op == OP_ADD; i < ARRAY_SIZE(names); i++) {
		const char *value = str_after(flag, names[i]);
		char *expanded = NULL;
		int r;

		if (!value)
			continue;
		/* Which stages are needed was read before there were variables. */
		r = i == 0 ? copy_word(value, &expanded) :
			     words_expand(value, &b->scope, &expanded);
		if (r == 0 && !*expanded)
			r = err(-EINVAL, "%s needs a value", names[i]);
		free(*values[i]);
		*values[i] = expanded;
		return r;
	}
	return err(-EINVAL, "%s is not supported", flag);
}

static int parse_mode(const char *s, int *ret)
{
	int mode = 0;

	for (const char *p = s; *p; p++) {
		if (*p < '0' || *p > '7' || p - s > 4)
			return err(-EINVAL, "--chmod=%s: expected an octal number", s);
		mode = mode << 3 | (*p - '0');
	}
	if (mode > 07777)
		return err(-EINVAL, "--chmod=%s: more than 7777", s);
	*ret = mode;
	return 0;
}

static int read_flags(struct builder *b, struct step_copy *c)
{
	int r = 0;

	c->mode = -1;
	for (char **f = b->i->flags; r == 0 && f && *f; f++)
		r = read_flag(b, c, *f);
	return r < 0 || !c->chmod ? r : parse_mode(c->chmod, &c->mode);
}

/* ---- words ---- */

static int expand_json(struct builder *b, char **raw, char ***ret)
{
	int r = 0;

	for (; r == 0 && raw && *raw; raw++) {
		_free_ char *word = NULL;

		r = words_expand_raw(*raw, &b->scope, &word);
		if (r == 0)
			r = strv_add(ret, word);
	}
	return r;
}

static int read_words(struct builder *b, struct step_copy *c)
{
	_strv_free_ char **raw = NULL;
	size_t n;
	int r = words_json(b->i->args, &raw);

	if (r >= 0)
		r = r ? expand_json(b, raw, &c->words) :
			words_expand_all(b->i->args, &b->scope, &c->words);
	if (r < 0)
		return r;
	n = strv_len(c->words);
	if (n < 2)
		return err(-EINVAL, "expected a source and a destination");
	c->dst = c->words[n - 1];
	if (!*c->dst)
		return err(-EINVAL, "the destination is empty");
	return path_join(config_workdir(b->s->image), c->dst, &c->dst_path);
}

int copy_read(struct builder *b, struct step_copy *c)
{
	int r = read_flags(b, c);

	return r < 0 ? r : read_words(b, c);
}
