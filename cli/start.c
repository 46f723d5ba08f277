/* SPDX-License-Identifier: Apache-2.0 */
/* strata start, restart, restore: an instance's next life, on the top that it has. */
#include "base/detach_keys.h"
#include "base/err.h"
#include "base/fd.h"
#include "cli/foreground.h"
#include <stdio.h>
#include <unistd.h>

static int start_detached(struct engine *e, const char *name, bool restore)
{
	const struct start_options o = { .restore = restore };
	struct run run;
	bool tty;
	int r = engine_start(e, name, &o, &tty, &run), status;

	/* One that runs is what was wanted, as docker has it; but not where it stood. */
	if (r == -EALREADY && !restore) {
		err_clear();
		printf("%s\n", name);
		return 0;
	}
	if (r < 0)
		return cli_fail(r);
	status = foreground_started(&run, name);
	run_done(&run);
	return status;
}

static int start_attached(struct engine *e, const char *name, const struct start_options *o)
{
	_close_ int signals = foreground_signals();
	struct run run;
	bool tty = false;
	int r = signals < 0 ? signals : engine_start(e, name, o, &tty, &run), status;

	if (r < 0)
		return cli_fail(r);
	status = foreground_run(&run, signals, tty && isatty(0));
	run_done(&run);
	return status;
}

static int start_verb(struct cli *c, int argc, char **argv, bool restore)
{
	struct start_options o = { .restore = restore, .detach_keys = DETACH_KEYS };
	struct detach_keys keys;
	const struct option_def options[] = {
		{ 'a', "attach", OPT_FLAG, &o.attach, NULL, "stand for it until it has ended" },
		{ 'i', "interactive", OPT_FLAG, &o.interactive, NULL,
		  "hand on standard input (with -a)" },
		{ 0, "detach-keys", OPT_STR, &o.detach_keys, "KEYS",
		  "typed on a terminal, they leave it to itself (" DETACH_KEYS ")" },
		{ 0 },
	};
	const struct usage u = { restore ? "restore" : "start",
				 "[OPTIONS] INSTANCE...",
				 restore ?
					 "Has checkpointed microVMs go on where they stood, once." :
					 "Starts instances that were created or have ended.",
				 options,
				 1,
				 -1,
				 false };
	int status, worst = 0;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if ((o.attach || o.interactive) && argv[1])
		return cli_fail_text("%s: one instance at a time can be attached to", u.verb);
	if (detach_keys_parse(o.detach_keys, &keys) < 0)
		return cli_fail_text("%s: --detach-keys cannot be %s", u.verb, o.detach_keys);
	if (!cli_root_engine(c, argv[0]))
		return EXIT_ERROR;
	engine_revive(c->engine);
	if (o.attach || o.interactive) {
		o.attach = true;
		return start_attached(c->engine, argv[0], &o);
	}
	for (; *argv; argv++) {
		status = start_detached(c->engine, *argv, restore);
		worst = status ? status : worst;
	}
	return worst;
}

int verb_start(struct cli *c, int argc, char **argv)
{
	return start_verb(c, argc, argv, false);
}

int verb_restore(struct cli *c, int argc, char **argv)
{
	return start_verb(c, argc, argv, true);
}

static int checkpoint_one(struct engine *e, const char *name, void *ctx)
{
	(void)ctx;
	return engine_checkpoint(e, name);
}

int verb_checkpoint(struct cli *c, int argc, char **argv)
{
	const struct option_def options[] = { { 0 } };
	const struct usage u = {
		"checkpoint",
		"INSTANCE...",
		"Keeps running microVMs in a file and ends them: `strata restore` has\n"
		"them go on.",
		options,
		1,
		-1,
		false
	};
	int status;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	return cli_each_instance(c, argv, checkpoint_one, NULL);
}

int verb_restart(struct cli *c, int argc, char **argv)
{
	const char *word = NULL;
	int seconds = -1;
	const struct option_def options[] = {
		{ 't', "time", OPT_STR, &word, "SECONDS",
		  "how long to wait before SIGKILL (its --stop-timeout, or 10)" },
		{ 0 },
	};
	const struct usage u = { "restart",
				 "[OPTIONS] INSTANCE...",
				 "Stops instances and starts them again.",
				 options,
				 1,
				 -1,
				 false };
	int status, worst = 0;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (cli_seconds("restart", word, &seconds) < 0)
		return EXIT_ERROR;
	if (!cli_root_engine(c, argv[0]))
		return EXIT_ERROR;
	engine_revive(c->engine);
	for (; *argv; argv++) {
		int r = engine_stop(c->engine, *argv, seconds);

		status = r < 0 ? cli_fail(r) : start_detached(c->engine, *argv, false);
		worst = status ? status : worst;
	}
	return worst;
}
