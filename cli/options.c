/* SPDX-License-Identifier: Apache-2.0 */
/* One table describes a verb's options: it parses them and prints their help. */
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#define OPTIONS_MAX 72

static void print_option(const struct option_def *o)
{
	char left[64];
	char letter[5] = "    ";

	if (o->letter)
		snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name,
		 !o->arg	     ? "" :
		 o->kind == OPT_BOOL ? "=" :
				       " ",
		 o->arg ? o->arg : "");
	printf("  %-28s %s\n", left, o->help);
}

static void print_help(const struct usage *u)
{
	printf("usage: strata %s %s\n\n%s\n", u->verb, u->args, u->summary);
	printf("\noptions:\n");
	for (const struct option_def *o = u->options; o->name; o++)
		print_option(o);
	print_option(&(struct option_def){ 'h', "help", .help = "print this and exit" });
}

static int parse_cpus(const char *text, uint64_t *ret)
{
	char *end;
	double cpus = strtod(text, &end);

	if (*end || end == text || !(cpus >= 0.01) || cpus > 8192)
		return -EINVAL;
	*ret = cpus * 1e9;
	return 0;
}

/* Without a value it is true. */
static int parse_bool(const char *text, bool *ret)
{
	if (text && !streq(text, "true") && !streq(text, "false"))
		return -EINVAL;
	*ret = !text || streq(text, "true");
	return 0;
}

static int store_value(const struct option_def *o, const char *arg)
{
	uint64_t n;
	int r;

	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)o->dst = true;
		return 0;
	case OPT_BOOL:
		return parse_bool(arg, o->dst);
	case OPT_STR:
		*(const char **)o->dst = arg;
		return 0;
	case OPT_LIST:
		return strv_add(o->dst, arg);
	case OPT_SIZE:
		return str_size(arg, o->dst);
	case OPT_CPUS:
		return parse_cpus(arg, o->dst);
	case OPT_UINT:
		r = str_u64(arg, 0, UINT32_MAX, &n);
		if (r == 0)
			*(unsigned *)o->dst = n;
		return r;
	}
	return -EINVAL;
}

/* The tables getopt_long(3) wants; long options answer 256 + their place. */
struct getopt_tables {
	struct option longs[OPTIONS_MAX + 2];
	char shorts[3 * OPTIONS_MAX + 4];
	size_t n;
};

static void make_tables(const struct usage *u, struct getopt_tables *t)
{
	char *s = t->shorts;

	if (u->stop_at_first)
		*s++ = '+';
	*s++ = ':';
	*s++ = 'h';
	for (t->n = 0; u->options[t->n].name; t->n++) {
		const struct option_def *o = &u->options[t->n];
		int arg = o->kind == OPT_FLAG ? no_argument :
			  o->kind == OPT_BOOL ? optional_argument :
						required_argument;

		t->longs[t->n] = (struct option){ o->name, arg, NULL, 256 + (int)t->n };
		if (o->letter)
			*s++ = o->letter;
		if (o->letter && arg == required_argument)
			*s++ = ':';
	}
	t->longs[t->n] = (struct option){ "help", no_argument, NULL, 'h' };
	*s = '\0';
}

static const struct option_def *find_option(const struct usage *u, const struct getopt_tables *t,
					    int c)
{
	if (c >= 256)
		return &u->options[c - 256];
	for (size_t i = 0; i < t->n; i++)
		if (u->options[i].letter == c)
			return &u->options[i];
	return NULL;
}

static int fail(const struct usage *u, int *ret_status, const char *what, const char *which)
{
	*ret_status = cli_fail_text("%s: %s%s%s; see `strata %s --help`", u->verb, what,
				    which ? " " : "", which ? which : "", u->verb);
	return 1;
}

static int take_option(const struct usage *u, const struct getopt_tables *t, int c, char **argv,
		       int *ret_status)
{
	const struct option_def *o;
	char what[160], letter[3] = { '-', (char)optopt, '\0' };
	/* Of several letters in one word getopt names the bad one by optopt alone. */
	const char *word = optopt > 0 && optopt < 256 ? letter : argv[optind - 1];

	if (c == 'h') {
		print_help(u);
		*ret_status = 0;
		return 1;
	}
	if (c == ':')
		return fail(u, ret_status, "a value is missing after", word);
	o = find_option(u, t, c);
	if (!o)
		return fail(u, ret_status, "unknown option", word);
	if (store_value(o, optarg) < 0) {
		snprintf(what, sizeof(what), "--%s cannot be", o->name);
		return fail(u, ret_status, what, optarg);
	}
	return 0;
}

int options_parse(const struct usage *u, int argc, char **argv, char ***ret_args, int *ret_status)
{
	struct getopt_tables t = { 0 };
	int c, n;

	make_tables(u, &t);
	optind = 0;
	while ((c = getopt_long(argc, argv, t.shorts, t.longs, NULL)) != -1)
		if (take_option(u, &t, c, argv, ret_status))
			return 1;
	n = argc - optind;
	if (n < u->min_args)
		return fail(u, ret_status, "too few arguments:", u->args);
	if (u->max_args >= 0 && n > u->max_args)
		return fail(u, ret_status, "too many arguments at", argv[optind + u->max_args]);
	*ret_args = argv + optind;
	return 0;
}
