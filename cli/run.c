/* SPDX-License-Identifier: Apache-2.0 */
/* strata run: starts an instance, and in the foreground stands for it until it has ended. */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/terminal.h"
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>

static int failed_status(const struct run_report *r)
{
	cli_fail_text("%s", r->text);
	if (r->code == -ENOENT)
		return EXIT_NOTFOUND;
	return r->code == -EACCES ? EXIT_NOEXEC : EXIT_ERROR;
}

static int lost_supervisor(const struct run *run)
{
	return cli_fail_text(
		"the supervisor of %s was killed; `strata rm -f %s` clears what is left",
		inst_id(run->inst), inst_id(run->inst));
}

/* Everything a user or a script sends to the command in the foreground; the rest keeps its meaning
 * for us. */
static int forwarded_signals(sigset_t *set)
{
	static const int signals[] = { SIGINT,	SIGTERM, SIGHUP,   SIGQUIT,
				       SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT };
	int fd;

	sigemptyset(set);
	for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(set, signals[i]);
	if (sigprocmask(SIG_BLOCK, set, NULL) < 0)
		return err_sys("signals");
	fd = signalfd(-1, set, SFD_CLOEXEC);
	return fd < 0 ? err_sys("signalfd") : fd;
}

static void forward_signal(int signals, const struct run *run, bool tty)
{
	struct signalfd_siginfo si;
	unsigned rows, cols;

	if (read(signals, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGWINCH) {
		if (tty && terminal_size(0, &rows, &cols) == 0)
			inst_resize(run->inst, rows, cols);
	} else {
		inst_kill(run->inst, (int)si.ssi_signo);
	}
	err_clear(); /* it may have ended meanwhile: the report says so */
}

/* 1: *@ret_status is the end; 0: go on. */
static int take_report(struct run *run, bool tty, int *ret_status)
{
	struct run_report report;
	unsigned rows, cols;
	int r = run_next(run, &report);

	if (r <= 0) {
		*ret_status = lost_supervisor(run);
		return 1;
	}
	switch (report.kind) {
	case RUN_STARTED:
		if (tty && terminal_size(0, &rows, &cols) == 0)
			inst_resize(run->inst, rows, cols);
		return 0;
	case RUN_FAILED:
		*ret_status = failed_status(&report);
		return 1;
	default:
		*ret_status = report.code;
		return 1;
	}
}

static int stand_for(struct run *run, int signals, bool tty)
{
	struct pollfd fds[] = {
		{ .fd = run->report_fd, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	int status = EXIT_ERROR;

	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return cli_fail_text("poll: %s", strerror(errno));
		if (fds[1].revents)
			forward_signal(signals, run, tty);
		if (fds[0].revents && take_report(run, tty, &status))
			return status;
	}
}

/* Detached: until it runs, or says why not. */
static int wait_started(struct run *run)
{
	struct run_report report;
	int r = run_next(run, &report);

	if (r <= 0)
		return lost_supervisor(run);
	if (report.kind == RUN_FAILED)
		return failed_status(&report);
	printf("%s\n", inst_id(run->inst));
	return 0;
}

static int foreground(struct engine *e, const struct run_options *o)
{
	_cleanup_(terminal_restore) struct terminal term = TERMINAL_NONE;
	_close_ int signals = -1;
	struct run run;
	sigset_t set;
	int status, r;

	signals = forwarded_signals(&set);
	r = signals < 0 ? signals : engine_run(e, o, &run);
	if (r < 0)
		return cli_fail(r);
	/* Raw only now: what went wrong before was printed on a sane terminal. */
	if (o->tty)
		terminal_raw(0, &term);
	status = stand_for(&run, signals, o->tty);
	run_done(&run);
	return status;
}

static int run_image(struct cli *c, struct run_options *o, bool vm)
{
	struct run run;
	int status, r;

	if (vm)
		o->kind = RUN_VM;
	if (o->tty && !o->detach && (!isatty(0) || !isatty(1)))
		return cli_fail_text("run: -t needs a terminal as standard input and output");
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	if (!o->detach)
		return foreground(c->engine, o);
	r = engine_run(c->engine, o, &run);
	if (r < 0)
		return cli_fail(r);
	status = wait_started(&run);
	run_done(&run);
	return status;
}

int verb_run(struct cli *c, int argc, char **argv)
{
	struct run_options o = { 0 };
	_strv_free_ char **env = NULL, **volumes = NULL;
	bool vm = false;
	const struct option_def options[] = {
		{ 0, "vm", OPT_FLAG, &vm, NULL, "a microVM on KVM instead of a container" },
		{ 0, "rm", OPT_FLAG, &o.rm, NULL,
		  "remove the instance and its top when it has ended" },
		{ 'i', "interactive", OPT_FLAG, &o.interactive, NULL, "hand on standard input" },
		{ 't', "tty", OPT_FLAG, &o.tty, NULL, "give the command a terminal" },
		{ 'd', "detach", OPT_FLAG, &o.detach, NULL,
		  "do not wait; print the instance's id" },
		{ 'e', "env", OPT_LIST, &env, "NAME[=VALUE]",
		  "set in the environment (VALUE from ours without =)" },
		{ 'v', "volume", OPT_LIST, &volumes, "SRC:DST[:ro]",
		  "a host folder or file inside" },
		{ 'w', "workdir", OPT_STR, &o.workdir, "DIR", "working directory" },
		{ 'u', "user", OPT_STR, &o.user, "USER[:GROUP]",
		  "by name or number, from the image's own passwd" },
		{ 0, "entrypoint", OPT_STR, &o.entrypoint, "PROGRAM",
		  "in place of the image's entrypoint" },
		{ 'm', "memory", OPT_SIZE, &o.limits.memory, "BYTES[kmg]",
		  "at most this much memory (a microVM: 512m)" },
		{ 0, "cpus", OPT_CPUS, &o.limits.nano_cpus, "N",
		  "at most this many CPUs' time, e.g. 1.5" },
		{ 0, "vcpus", OPT_UINT, &o.vcpus, "N", "virtual CPUs of a microVM (1)" },
		{ 0, "pids-limit", OPT_SIZE, &o.limits.pids, "N", "at most this many processes" },
		{ 0, "name", OPT_STR, &o.name, "NAME", "a name for the instance" },
		{ 0, "hostname", OPT_STR, &o.hostname, "NAME", "its host name (the id)" },
		{ 0, "network", OPT_STR, &o.network, "none|host",
		  "none (default): a loopback of its own" },
		{ 0, "driver", OPT_STR, &o.driver, "fuse|overlay|auto",
		  "who serves a container's root (auto)" },
		{ 0, "read-only", OPT_FLAG, &o.read_only, NULL, "no writable top" },
		{ 0, "kernel", OPT_STR, &o.kernel, "FILE",
		  "guest kernel of a microVM (STRATA_KERNEL, or vmlinux beside us)" },
		{ 0, "trace", OPT_FLAG, &o.trace, NULL,
		  "a microVM's phases and exits, on its log" },
		{ 0 },
	};
	const struct usage u = {
		"run",
		"[OPTIONS] IMAGE [COMMAND [ARGUMENT...]]",
		"Runs a command in an image. Exit status: the command's; 125 strata failed, 126 the\n"
		"command cannot be executed, 127 it is not there, 128+n it died of signal n.",
		options,
		1,
		-1,
		true
	};
	int status;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	o.image = argv[0];
	o.command = argv + 1;
	o.env = env;
	o.volumes = volumes;
	return run_image(c, &o, vm);
}
