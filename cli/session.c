/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include "base/fd.h"
#include "base/mem.h"
#include "cli/console.h"
#include "cli/terminal.h"
#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int watch(const int *signals, size_t n)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < n; i++)
		sigaddset(&set, signals[i]);
	return console_signals(&set);
}

static int relay(const struct exec *x)
{
	_close_ int winch = watch((const int[]){ SIGWINCH }, 1);

	return winch < 0 ? winch : console_relay(x->console, x->pidfd, winch);
}

static void hand_on_to_vm(struct exec *x, int signals)
{
	struct signalfd_siginfo si;
	unsigned rows, cols;

	if (read(signals, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo != SIGWINCH)
		exec_signal(x, (int)si.ssi_signo);
	else if (terminal_size(0, &rows, &cols) == 0)
		exec_resize(x, rows, cols);
}

/* The engine relays; only what comes as signals is ours: no process here is the command. */
static int wait_vm(struct exec *x, bool tty)
{
	static const int signals[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH
	};
	_close_ int fd = watch(signals, ARRAY_SIZE(signals) - !tty);
	int r;

	while ((r = exec_wait(x, fd)) == -EAGAIN)
		hand_on_to_vm(x, fd);
	return r;
}

int session_wait(struct exec *x, bool tty)
{
	int r;

	/* Who reads our output may go: that is for the command to hear, and to make of it. */
	if (x->vm) {
		signal(SIGPIPE, SIG_IGN);
		return wait_vm(x, tty);
	}
	r = tty ? relay(x) : 0;
	return r < 0 ? r : exec_wait(x, -1);
}
