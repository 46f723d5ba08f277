/* SPDX-License-Identifier: Apache-2.0 */
/* What happens before a verb: global options, finding it, or the program that has it. */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "cli/cli.h"
#include <stdio.h>
#include <unistd.h>

static void print_help(const struct verb *verbs)
{
	printf("usage: strata [--root DIR] [--runroot DIR] [--debug] VERB [OPTIONS] [ARGUMENTS]\n\n"
	       "Layered images, run as containers and as microVMs. `strata VERB --help` has a "
	       "verb's options.\n\n");
	for (const struct verb *v = verbs; v->name; v++)
		if (v->summary)
			printf("  %-10s %s\n", v->name, v->summary);
	printf("\nglobal options:\n"
	       "  --root DIR      the store (STRATA_ROOT; /var/lib/strata, or "
	       "~/.local/share/strata)\n"
	       "  --runroot DIR   state of instances (STRATA_RUNROOT; /run/strata, or "
	       "$XDG_RUNTIME_DIR/strata)\n"
	       "  --debug         say more of what goes on\n"
	       "  --version       print the version\n");
}

struct engine *cli_engine(struct cli *c, unsigned store_flags)
{
	if (!c->engine) {
		int r = engine_open(&c->where, store_flags, &c->engine);

		if (r < 0)
			cli_fail(r);
	}
	return c->engine;
}

struct engine *cli_root_engine(struct cli *c, const char *instance)
{
	int r = c->engine ? 0 : engine_become_root(&c->where, instance);

	if (r < 0)
		cli_fail(r);
	return r < 0 ? NULL : cli_engine(c, STORE_CREATE);
}

struct engine *cli_tops_engine(struct cli *c)
{
	if (!c->engine && engine_become_root(&c->where, NULL) < 0)
		err_clear();
	return cli_engine(c, STORE_CREATE);
}

static int exec_heavy(char **argv)
{
	_free_ char *path = NULL;
	int r = proc_sibling("strata-image", &path);

	if (r < 0)
		return cli_fail(r);
	argv[0] = (char[]){ "strata-image" };
	execv(path, argv);
	return cli_fail_text("%s: %s", path, strerror(errno));
}

static const struct verb *find_verb(const struct verb *verbs, const char *name)
{
	for (const struct verb *v = verbs; v->name; v++)
		if (streq(v->name, name))
			return v;
	return NULL;
}

/* The value of `--name VALUE` or `--name=VALUE` at argv[*i], or NULL. */
static const char *global_value(const char *name, char **argv, int *i)
{
	const char *rest = str_after(argv[*i], name);

	if (rest && *rest == '=')
		return rest + 1;
	if (rest && !*rest && argv[*i + 1])
		return argv[++*i];
	return NULL;
}

/* Gives the place of the verb in argv, or -1 when all is done (*@ret_status). */
static int global_options(struct cli *c, const struct verb *verbs, int argc, char **argv,
			  int *ret_status)
{
	for (int i = 1; i < argc; i++) {
		const char *value;

		if (argv[i][0] != '-')
			return i;
		if (streq(argv[i], "--help") || streq(argv[i], "-h")) {
			print_help(verbs);
			*ret_status = 0;
			return -1;
		}
		if (streq(argv[i], "--version")) {
			printf("strata " STRATA_VERSION "\n");
			*ret_status = 0;
			return -1;
		}
		if (streq(argv[i], "--debug")) {
			setenv("STRATA_DEBUG", "1", 1); /* for the programs that we start, too */
			continue;
		}
		if ((value = global_value("--root", argv, &i)))
			c->where.root = value;
		else if ((value = global_value("--runroot", argv, &i)))
			c->where.runroot = value;
		else {
			*ret_status =
				streq(argv[i], "--root") || streq(argv[i], "--runroot") ?
					cli_fail_text("a value is missing after %s", argv[i]) :
					cli_fail_text("unknown option %s; see `strata --help`",
						      argv[i]);
			return -1;
		}
	}
	*ret_status = cli_fail_text("which verb? see `strata --help`");
	return -1;
}

/*
 * A standard stream that is closed would be the number of the next file opened, a folder of the
 * store even, and the command of a run would get it. It becomes /dev/null, which gives nothing to
 * read and takes nothing.
 */
static int fill_stdio(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && fd < 3)
			fd_cloexec(fd, false);
	} while (fd >= 0 && fd < 3);
	if (fd < 0)
		return -errno;
	fd_close(fd);
	return 0;
}

int cli_main(const struct verb *verbs, int argc, char **argv)
{
	struct cli c = { .argv = argv };
	const struct verb *v;
	int status = EXIT_ERROR, at;

	at = fill_stdio();
	if (at < 0)
		return cli_fail_text("/dev/null: %s", strerror(-at));
	at = global_options(&c, verbs, argc, argv, &status);
	if (at < 0)
		return status;
	v = find_verb(verbs, argv[at]);
	if (!v)
		return cli_fail_text("unknown verb '%s'; see `strata --help`", argv[at]);
	if (!v->main)
		return exec_heavy(argv);
	status = v->main(&c, argc - at, argv + at);
	engine_close(c.engine);
	if (fflush(stdout) != 0 && status == 0)
		return cli_fail_text("standard output: %s", strerror(errno));
	return status;
}
