/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/foreground.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
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
int foreground_signals(void)
{
	static const int signals[] = { SIGINT,	SIGTERM, SIGHUP,   SIGQUIT,
				       SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT };
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys("signals");
	fd = signalfd(-1, &set, SFD_CLOEXEC);
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
	case RUN_DETACHED:
		*ret_status = 0;
		return 1;
	default:
		if (report.text[0])
			cli_fail_text("%s: %s", inst_id(run->inst), report.text);
		*ret_status = report.code;
		return 1;
	}
}

int foreground_run(struct run *run, int signals, bool tty)
{
	_cleanup_(terminal_restore) struct terminal term = TERMINAL_NONE;
	struct pollfd fds[] = {
		{ .fd = run->report_fd, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	int status = EXIT_ERROR;

	/* Raw only now: what went wrong before was printed on a sane terminal. */
	if (tty)
		terminal_raw(0, &term);
	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return cli_fail_text("poll: %s", strerror(errno));
		if (fds[1].revents)
			forward_signal(signals, run, tty);
		if (fds[0].revents && take_report(run, tty, &status))
			return status;
	}
}

int foreground_started(struct run *run, const char *word)
{
	struct run_report report;
	int r = run_next(run, &report);

	if (r <= 0)
		return lost_supervisor(run);
	if (report.kind == RUN_FAILED)
		return failed_status(&report);
	printf("%s\n", word);
	return 0;
}
