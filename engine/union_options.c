/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/union_options.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/union_option.h"

#include <getopt.h>
#include <sys/mount.h>

/* ---- the string ---- */

/* The end of the option that begins at @s: a comma that no backslash and no quotes protect. */
static const char *option_end(const char *s, bool quotes)
{
	bool quoted = false;

	for (; *s && (quoted || *s != ','); s++) {
		if (quotes && *s == '"')
			quoted = !quoted;
		else if (!quotes && *s == '\\' && s[1])
			s++;
	}
	return s;
}

/* A label has commas of its own, and quotes around it for that. */
static void drop_quotes(char *value)
{
	size_t len = strlen(value);

	if (len < 2 || value[0] != '"' || value[len - 1] != '"')
		return;
	memmove(value, value + 1, len - 2);
	value[len - 2] = 0;
}

static int add_one(struct union_options *o, const char *s, const char **ret_end)
{
	size_t keylen = strcspn(s, "=,");
	_free_ char *key = strndup(s, keylen), *value = NULL;
	const char *end;
	bool quotes;

	if (!key)
		return -ENOMEM;
	quotes = union_option_is_context(key);
	end = option_end(s, quotes);
	*ret_end = end;
	if (s[keylen] != '=')
		return *key ? union_option_flag(o, key) : 0;
	value = strndup(s + keylen + 1, (size_t)(end - s) - keylen - 1);
	if (!value)
		return -ENOMEM;
	if (quotes)
		drop_quotes(value);
	return union_option_value(o, key, value);
}

int union_options_add(struct union_options *o, const char *text)
{
	const char *end = text;
	int e = 0;

	while (!e && *text) {
		e = add_one(o, text, &end);
		text = end + (*end == ',');
	}
	return e;
}

/* ---- all of it ---- */

static int check(struct union_options *o)
{
	if (!o->lowers)
		return err(-EINVAL, "lowerdir= is missing");
	if (o->upper && !o->work && !o->rdonly)
		return err(-EINVAL, "upperdir= needs workdir=");
	if (!o->mountpoint)
		return err(-EINVAL, "where to mount is missing");
	/* By 0, unless another id was said. */
	if (o->squash_to_root)
		o->uids.squash = o->gids.squash = true;
	return 0;
}

static const struct option long_options[] = {
	{ "debug", no_argument, NULL, 'd' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

static int take_option(struct union_options *o, int c, char *const *argv)
{
	switch (c) {
	case 'o':
		return union_options_add(o, optarg);
	case 'd':
		o->debug = true;
		/* fall through */
	case 'f':
		o->foreground = true;
		return 0;
	case 's':
		o->single = true;
		return 0;
	case 'h':
		o->help = true;
		return 0;
	case 'V':
		o->version = true;
		return 0;
	default:
		return err(-EINVAL, optopt == 'o' ? "option -o: no value" : "unknown option: %s",
			   argv[optind - 1]);
	}
}

int union_options_parse(int argc, char **argv, struct union_options *ret)
{
	int c, e = 0;

	*ret = (struct union_options){ 0 };
	opterr = 0;
	optind = 0;
	while (!e && (c = getopt_long(argc, argv, "o:fdshV", long_options, NULL)) != -1)
		e = take_option(ret, c, argv);
	if (e || ret->help || ret->version)
		return e;
	if (argc - optind > 1)
		return err(-EINVAL, "one place to mount, not %d", argc - optind);
	if (optind < argc && !(ret->mountpoint = strdup(argv[optind])))
		return -ENOMEM;
	return check(ret);
}

void union_options_done(struct union_options *o)
{
	strv_free(o->lowers);
	strv_free(o->context);
	free(o->upper);
	free(o->work);
	free(o->mountpoint);
	free(o->source);
	free(o->uids.ranges);
	free(o->gids.ranges);
	*o = (struct union_options){ 0 };
}
