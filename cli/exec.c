/* SPDX-License-Identifier: Apache-2.0 */
/* strata exec: a further command in a running instance. */
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static int failed(int r)
{
	int status = r == -ENOENT ? EXIT_NOTFOUND : r == -EACCES ? EXIT_NOEXEC : EXIT_ERROR;

	cli_fail(r);
	return status;
}

/* The command, and us until its end. */
static int run_command(struct cli *c, const char *name, const struct exec_options *o)
{
	struct exec x;
	int r = engine_exec(c->engine, name, o, &x), status;

	/* The word of a missing instance is not that of a missing command. */
	if (r < 0)
		return failed(r);
	status = session_wait(&x, o->tty);
	exec_done(&x);
	if (status >= 0)
		return status;
	/* It ended with its microVM: as if killed. */
	return status == -EPIPE ? (cli_fail(status), 128 + SIGKILL) : cli_fail(status);
}

/*
 * A child in a session of its own stands for the command; we go when it has been started, or
 * say why not.
 */
static int run_detached(struct cli *c, const char *name, const struct exec_options *o)
{
	_close_ int told = -1;
	int pair[2], status = EXIT_ERROR;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return cli_fail_text("pipe: %s", strerror(errno));
	told = pair[0];
	pid = fork();
	if (pid == 0) {
		struct exec x;
		int r;

		setsid();
		r = engine_exec(c->engine, name, o, &x);
		status = r < 0 ? failed(r) : 0;
		if (fd_write_full(pair[1], &status, sizeof(status)) < 0 || status)
			_exit(EXIT_ERROR);
		for (int i = 0; i < 3; i++)
			close(i);
		close(pair[1]);
		exec_wait(&x, -1);
		_exit(0);
	}
	close(pair[1]);
	if (pid < 0)
		return cli_fail_text("fork: %s", strerror(errno));
	if (fd_read_full(told, &status, sizeof(status)) != sizeof(status))
		return cli_fail_text("exec: the process that was to start the command ended");
	return status;
}

int verb_exec(struct cli *c, int argc, char **argv)
{
	struct exec_options o = { 0 };
	_strv_free_ char **env = NULL, **env_files = NULL;
	_cleanup_(terminal_restore) struct terminal term = TERMINAL_NONE;
	const struct option_def options[] = {
		{ 'i', "interactive", OPT_FLAG, &o.interactive, NULL, "hand on standard input" },
		{ 't', "tty", OPT_FLAG, &o.tty, NULL, "give the command a terminal" },
		{ 'd', "detach", OPT_FLAG, &o.detach, NULL, "do not wait for its end" },
		{ 'e', "env", OPT_LIST, &env, "NAME[=VALUE]",
		  "set in the environment (VALUE from ours without =)" },
		{ 0, "env-file", OPT_LIST, &env_files, "FILE",
		  "lines of NAME[=VALUE], # for comments; -e wins over them" },
		{ 'u', "user", OPT_STR, &o.user, "USER[:GROUP]",
		  "by name or number, from the instance's own passwd" },
		{ 'w', "workdir", OPT_STR, &o.workdir, "DIR", "working directory" },
		{ 0 },
	};
	const struct usage u = {
		"exec",
		"[OPTIONS] INSTANCE COMMAND [ARGUMENT...]",
		"Runs a further command in a running container or microVM. Exit status: the\n"
		"command's; 125 strata failed, 126 the command cannot be executed, 127 it is\n"
		"not there.",
		options,
		2,
		-1,
		true
	};
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (o.tty && !o.detach && (!isatty(0) || !isatty(1)))
		return cli_fail_text("exec: -t needs a terminal as standard input and output");
	r = engine_become_root(&c->where, argv[0]);
	if (r >= 0)
		r = exec_protect(c->argv);
	if (r < 0)
		return cli_fail(r);
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	o.env = env;
	o.env_files = env_files;
	o.command = argv + 1;
	if (o.detach)
		return run_detached(c, argv[0], &o);
	if (o.tty && terminal_size(0, &o.rows, &o.cols) == 0)
		terminal_raw(0, &term);
	return run_command(c, argv[0], &o);
}
