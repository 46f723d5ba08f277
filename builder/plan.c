/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/plan.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <ctype.h>

/* docs.docker.com/reference/dockerfile, "Automatic platform ARGs in the global scope" */
static const char *const platform_args[] = {
	"TARGETPLATFORM=linux/amd64", "TARGETOS=linux", "TARGETARCH=amd64", "TARGETVARIANT=",
	"BUILDPLATFORM=linux/amd64",  "BUILDOS=linux",	"BUILDARCH=amd64",  "BUILDVARIANT=",
};

static const char *lookup_strv(void *ctx, const char *name)
{
	return strv_getenv(*(char ***)ctx, name);
}

static int copy_value(const char *s, char **ret)
{
	*ret = s ? strdup(s) : NULL;
	return s && !*ret ? -ENOMEM : 0;
}

static int arg_name(const char *word, char **ret)
{
	static const char good[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
	size_t len = strcspn(word, "=");

	if (!len || strspn(word, good) < len)
		return err(-EINVAL, "'%.*s' is no name of an argument", (int)MIN(len, (size_t)64),
			   word);
	*ret = strndup(word, len);
	return *ret ? 0 : -ENOMEM;
}

/* @dflt is what follows the name: "=DEFAULT", or NULL. */
static int choose_value(const char *name, const char *dflt, const struct words_scope *scope,
			char *const *build_args, char *const *globals, char **ret)
{
	if (strv_getenv(build_args, name))
		return copy_value(strv_getenv(build_args, name), ret);
	if (dflt)
		return words_expand(dflt + 1, scope, ret);
	return copy_value(strv_getenv(globals, name), ret);
}

int arg_value(const char *word, const struct words_scope *scope, char *const *build_args,
	      char *const *globals, char **ret_name, char **ret_value)
{
	_free_ char *name = NULL, *value = NULL;
	int r = arg_name(word, &name);

	if (r == 0)
		r = choose_value(name, strchr(word, '='), scope, build_args, globals, &value);
	if (r < 0)
		return r;
	*ret_name = take_ptr(name);
	*ret_value = take_ptr(value);
	return 0;
}

/* ---- before the first FROM ---- */

static int add_global(struct build_plan *p, const struct instruction *i, char escape,
		      char *const *build_args)
{
	const struct words_scope scope = { lookup_strv, &p->globals, escape };
	_strv_free_ char **words = NULL;
	int r = i->op == OP_ARG ? words_split(i->args, escape, &words) :
				  err(-EINVAL, "%s before the first FROM", op_name(i->op));

	for (char **w = words; r == 0 && w && *w; w++) {
		_free_ char *name = NULL, *value = NULL, *assignment = NULL;

		r = arg_value(*w, &scope, build_args, p->globals, &name, &value);
		if (r < 0 || !value)
			continue;
		assignment = str_fmt("%s=%s", name, value);
		r = assignment ? strv_setenv(&p->globals, assignment) : -ENOMEM;
	}
	return r;
}

static int add_platform(struct build_plan *p)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(platform_args); i++)
		r = strv_add(&p->globals, platform_args[i]);
	return r;
}

/* ---- FROM ---- */

static int check_platform(const struct instruction *i, const struct words_scope *scope)
{
	int r = 0;

	for (char **f = i->flags; r == 0 && f && *f; f++) {
		const char *raw = str_after(*f, "--platform=");
		_free_ char *platform = NULL;

		if (!raw)
			return err(-EINVAL, "%s is not supported", *f);
		r = words_expand(raw, scope, &platform);
		if (r == 0 && !streq(platform, "linux/amd64"))
			r = err(-EINVAL, "platform '%s' is not supported, only linux/amd64",
				platform);
	}
	return r;
}

static void to_lower(char *s)
{
	for (; *s; s++)
		*s = tolower((unsigned char)*s);
}

static bool name_is_good(const char *s)
{
	return isalpha((unsigned char)*s) &&
	       !s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_.")];
}

static int name_stage(struct planned *s, const char *name)
{
	s->name = strdup(name);
	if (!s->name)
		return -ENOMEM;
	to_lower(s->name);
	return name_is_good(s->name) ? 0 : err(-EINVAL, "'%s' is no name of a stage", name);
}

/* IMAGE [AS NAME] */
static int read_from(const struct build_plan *p, const struct instruction *i, char escape,
		     struct planned *s)
{
	const struct words_scope scope = { lookup_strv, (void *)&p->globals, escape };
	_strv_free_ char **words = NULL;
	int r = check_platform(i, &scope);

	if (r == 0)
		r = words_split(i->args, escape, &words);
	if (r < 0)
		return r;
	if (!words ||
	    (strv_len(words) != 1 && (strv_len(words) != 3 || strcasecmp(words[1], "as") != 0)))
		return err(-EINVAL, "expected IMAGE [AS NAME]");
	r = words_expand(words[0], &scope, &s->image);
	if (r == 0 && (!s->image || !*s->image))
		r = err(-EINVAL, "'%s' expands to nothing: is its ARG before the first FROM?",
			words[0]);
	if (r == 0 && words[1])
		r = name_stage(s, words[2]);
	return r;
}

static size_t find_name(const struct build_plan *p, size_t before, const char *name)
{
	for (size_t i = before; i-- > 0;)
		if (p->stages[i].name && strcasecmp(p->stages[i].name, name) == 0)
			return i;
	return PLAN_NONE;
}

size_t build_plan_find(const struct build_plan *p, size_t before, const char *name)
{
	size_t i = find_name(p, before, name);
	uint64_t n;

	if (i == PLAN_NONE && before && str_u64(name, 0, before - 1, &n) == 0)
		i = n;
	return i;
}

static int add_stage(struct build_plan *p, const struct containerfile *c, size_t at)
{
	struct planned *s;
	int r = mem_grow(&p->stages, &p->cap, p->n + 1, sizeof(*p->stages));

	if (r < 0)
		return r;
	if (p->n == PLAN_STAGES_MAX)
		return err(-EFBIG, "more than %u stages", PLAN_STAGES_MAX);
	s = &p->stages[p->n++];
	*s = (struct planned){ .from = at, .end = at + 1, .base = PLAN_NONE };
	r = read_from(p, &c->all[at], c->escape, s);
	if (r < 0 || !s->image)
		return r;
	if (s->name && find_name(p, p->n - 1, s->name) != PLAN_NONE)
		return err(-EINVAL, "a second stage named '%s'", s->name);
	s->base = find_name(p, p->n - 1, s->image);
	return 0;
}

/* ---- who needs whom ---- */

static void need(struct build_plan *p, const struct containerfile *c, size_t at)
{
	const struct planned *s = &p->stages[at];

	p->stages[at].needed = true;
	if (s->base != PLAN_NONE)
		p->stages[s->base].needed = true;
	for (size_t i = s->from + 1; i < s->end; i++) {
		for (char **f = c->all[i].flags; f && *f; f++) {
			const char *name = str_after(*f, "--from=");
			size_t other = name ? build_plan_find(p, at, name) : PLAN_NONE;

			if (other != PLAN_NONE)
				p->stages[other].needed = true;
		}
	}
}

static int find_target(const struct build_plan *p, const char *file, const char *name, size_t *ret)
{
	size_t i = name ? build_plan_find(p, p->n, name) : p->n - 1;

	if (i == PLAN_NONE)
		return err(-ENOENT, "%s: there is no stage '%s'", file, name);
	*ret = i;
	return 0;
}

static int read_stages(struct build_plan *p, const char *file, const struct containerfile *c,
		       char *const *build_args)
{
	int r = add_platform(p);

	for (size_t i = 0; r == 0 && i < c->n; i++) {
		const struct instruction *in = &c->all[i];

		if (in->op == OP_FROM)
			r = add_stage(p, c, i);
		else if (!p->n)
			r = add_global(p, in, c->escape, build_args);
		else
			p->stages[p->n - 1].end = i + 1;
		if (r < 0)
			return err(r, "%s:%u: %s: %s", file, in->line, op_name(in->op),
				   err_take(r));
	}
	if (r == 0 && !p->n)
		r = err(-EINVAL, "%s: there is no FROM in it", file);
	return r;
}

int build_plan_make(const char *file, const struct containerfile *c, char *const *build_args,
		    const char *target, struct build_plan *ret)
{
	struct build_plan p = { 0 };
	int r = read_stages(&p, file, c, build_args);

	if (r == 0)
		r = find_target(&p, file, target, &p.target);
	if (r < 0) {
		build_plan_done(&p);
		return r;
	}
	p.stages[p.target].needed = true;
	for (size_t i = p.target + 1; i-- > 0;)
		if (p.stages[i].needed)
			need(&p, c, i);
	*ret = p;
	return 0;
}

void build_plan_done(struct build_plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->stages[i].name);
		free(p->stages[i].image);
	}
	free(p->stages);
	strv_free(p->globals);
	*p = (struct build_plan){ 0 };
}
