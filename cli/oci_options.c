/* SPDX-License-Identifier: Apache-2.0 */
/* The options of strata-oci's verbs: one table, of which each verb has some. */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/oci.h"
#include <getopt.h>
#include <stdio.h>

struct def {
	char letter;
	const char *name, *arg; /* NULL: a flag */
	int (*take)(struct oci_call *c, const char *arg);
	const char *part, *key; /* `update`: the member of resources that it is */
	bool text;
};

#define STR(fn, field)                                     \
	static int fn(struct oci_call *c, const char *arg) \
	{                                                  \
		c->field = arg;                            \
		return 0;                                  \
	}
#define FLAG(fn, field)                                             \
	static int fn(struct oci_call *c, const char *arg _unused_) \
	{                                                           \
		c->field = true;                                    \
		return 0;                                           \
	}
#define LIST(fn, field)                                    \
	static int fn(struct oci_call *c, const char *arg) \
	{                                                  \
		return strv_add(&c->field, arg);           \
	}
STR(take_bundle, o.bundle)
STR(take_pid_file, o.pid_file)
STR(take_console, o.console)
STR(take_process, o.process)
STR(take_cwd, o.cwd)
STR(take_user, o.user)
STR(take_format, format)
STR(take_resources, resources)
FLAG(take_no_pivot, o.no_pivot)
FLAG(take_no_keyring, o.no_new_keyring)
FLAG(take_tty, o.tty)
FLAG(take_no_new_privs, o.no_new_privs)
FLAG(take_all, all)
FLAG(take_force, force)
FLAG(take_detach, detach)
FLAG(take_quiet, quiet)
FLAG(take_keep, keep)
FLAG(take_rootless, rootless)
FLAG(take_stats, stats)
LIST(take_env, env)
LIST(take_cap, caps)
LIST(take_group, groups)

static int take_number(const char *arg, unsigned *ret)
{
	uint64_t n;

	if (str_u64(arg, 0, 1000000, &n) < 0)
		return err(-EINVAL, "\"%s\" is no number that can be meant", arg);
	*ret = (unsigned)n;
	return 0;
}

static int take_preserve(struct oci_call *c, const char *arg)
{
	return take_number(arg, &c->o.preserve_fds);
}

static int take_interval(struct oci_call *c, const char *arg)
{
	return take_number(str_ends(arg, "s") ? strndupa(arg, strlen(arg) - 1) : arg, &c->interval);
}

static int take_ignored(struct oci_call *c _unused_, const char *arg _unused_)
{
	return 0;
}

static const struct def defs[] = {
	{ 'b', "bundle", "DIR", take_bundle },
	{ 0, "pid-file", "FILE", take_pid_file },
	{ 0, "console-socket", "SOCKET", take_console },
	{ 0, "no-pivot", NULL, take_no_pivot },
	{ 0, "no-new-keyring", NULL, take_no_keyring },
	{ 0, "no-subreaper", NULL, take_ignored },
	{ 0, "preserve-fds", "N", take_preserve },
	{ 'd', "detach", NULL, take_detach },
	{ 0, "keep", NULL, take_keep },
	{ 'p', "process", "FILE", take_process },
	{ 't', "tty", NULL, take_tty },
	{ 0, "cwd", "DIR", take_cwd },
	{ 'u', "user", "UID[:GID]", take_user },
	{ 'e', "env", "NAME=VALUE", take_env },
	{ 'c', "cap", "CAPABILITY", take_cap },
	{ 'g', "additional-gids", "GID", take_group },
	{ 0, "no-new-privs", NULL, take_no_new_privs },
	{ 'a', "all", NULL, take_all },
	{ 'f', "force", NULL, take_force },
	{ 'q', "quiet", NULL, take_quiet },
	{ 'f', "format", "table|json", take_format },
	{ 'r', "resources", "FILE|-", take_resources },
	{ 0, "rootless", NULL, take_rootless },
	{ 0, "stats", NULL, take_stats },
	{ 0, "interval", "SECONDS", take_interval },
	{ 0, "memory", "BYTES", NULL, "memory", "limit" },
	{ 0, "memory-swap", "BYTES", NULL, "memory", "swap" },
	{ 0, "memory-reservation", "BYTES", NULL, "memory", "reservation" },
	{ 0, "cpu-share", "N", NULL, "cpu", "shares" },
	{ 0, "cpu-quota", "US", NULL, "cpu", "quota" },
	{ 0, "cpu-period", "US", NULL, "cpu", "period" },
	{ 0, "cpuset-cpus", "LIST", NULL, "cpu", "cpus", true },
	{ 0, "cpuset-mems", "LIST", NULL, "cpu", "mems", true },
	{ 0, "pids-limit", "N", NULL, "pids", "limit" },
	{ 0, "blkio-weight", "N", NULL, "blockIO", "weight" },
};

/* A member of what `update` asks for. */
static int take_resource(struct oci_call *c, const struct def *d, const char *arg)
{
	json_t *part, *value;
	uint64_t n = 0;

	if (!d->text && !streq(arg, "-1") && str_size(arg, &n) < 0)
		return err(-EINVAL, "--%s: \"%s\" is no number", d->name, arg);
	c->update = c->update ?: json_object();
	part = json_object_get(c->update, d->part);
	if (!part) {
		part = json_object();
		json_object_set_new(c->update, d->part, part);
	}
	value = d->text ? json_string(arg) : json_integer(streq(arg, "-1") ? -1 : (json_int_t)n);
	return json_object_set_new(part, d->key, value) < 0 ? -ENOMEM : 0;
}

static bool has(const struct oci_verb *v, const struct def *d)
{
	const char *at = v->options;
	size_t len = strlen(d->name);

	for (; *at; at += strcspn(at, " ") + 1) {
		if (strcspn(at, " ") == len && !memcmp(at, d->name, len))
			return true;
	}
	return false;
}

void oci_options_help(const struct oci_verb *v)
{
	printf("usage: strata-oci [GLOBAL OPTION...] %s [OPTION...] %s\n", v->name, v->args);
	for (size_t i = 0; i < ARRAY_SIZE(defs); i++) {
		const struct def *d = &defs[i];

		if (has(v, d))
			printf("  %c%c%s --%s%s%s\n", d->letter ? '-' : ' ', d->letter ?: ' ',
			       d->letter ? "," : " ", d->name, d->arg ? " " : "", d->arg ?: "");
	}
}

/* getopt_long's tables of what @v has; an option's value is its place in defs, and 256. */
static void fill(const struct oci_verb *v, struct option *longs, char *shorts)
{
	if (v->first)
		*shorts++ = '+';
	*shorts++ = ':';
	for (size_t i = 0; i < ARRAY_SIZE(defs); i++) {
		const struct def *d = &defs[i];

		if (!has(v, d))
			continue;
		*longs++ = (struct option){ d->name, d->arg ? required_argument : no_argument, NULL,
					    256 + (int)i };
		if (d->letter)
			*shorts++ = d->letter;
		if (d->letter && d->arg)
			*shorts++ = ':';
	}
	*shorts = '\0';
}

static const struct def *find(const struct oci_verb *v, int opt)
{
	for (size_t i = 0; i < ARRAY_SIZE(defs); i++) {
		if (opt == 256 + (int)i || (opt == defs[i].letter && has(v, &defs[i])))
			return &defs[i];
	}
	return NULL;
}

int oci_options_parse(struct oci_call *c, const struct oci_verb *v, int argc, char **argv)
{
	struct option longs[ARRAY_SIZE(defs) + 1] = { 0 };
	char shorts[2 * ARRAY_SIZE(defs) + 4];
	int opt, r = 0;

	fill(v, longs, shorts);
	optind = 0;
	opterr = 0;
	while (r >= 0 && (opt = getopt_long(argc, argv, shorts, longs, NULL)) >= 0) {
		const struct def *d = opt == '?' || opt == ':' ? NULL : find(v, opt);

		if (!d)
			return err(-EINVAL, "%s: %s %s", v->name,
				   opt == ':' ? "a value is missing behind" : "unknown option",
				   argv[optind - 1]);
		r = d->take ? d->take(c, optarg) : take_resource(c, d, optarg);
	}
	if (r < 0)
		return r;
	c->rest = argv + optind;
	c->nrest = (size_t)(argc - optind);
	if (c->nrest < v->min || c->nrest > v->max)
		return err(-EINVAL, "%s: usage: strata-oci %s [OPTION...] %s", v->name, v->name,
			   v->args);
	return 0;
}
