/* SPDX-License-Identifier: Apache-2.0 */
/* A process in the foreground: its terminal is ours, signals are handed on, its end is awaited. */
#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "oci/oci.h"
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>

struct relay {
	int console, pidfd, signals;
	bool raw; /* our terminal is, and @saved is how it was */
	struct termios saved;
};

static void set_raw(struct relay *r)
{
	struct termios t;

	if (r->console < 0 || tcgetattr(STDIN_FILENO, &r->saved) < 0)
		return;
	t = r->saved;
	cfmakeraw(&t);
	r->raw = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
}

static void resize(const struct relay *r)
{
	struct winsize w;

	if (r->console >= 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &w) == 0)
		ioctl(r->console, TIOCSWINSZ, &w);
}

static void take_signal(const struct relay *r)
{
	struct signalfd_siginfo si;

	if (read(r->signals, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGWINCH)
		resize(r);
	else if (si.ssi_signo != SIGCHLD)
		proc_pidfd_kill(r->pidfd, (int)si.ssi_signo);
}

static bool copy(int from, int to)
{
	char data[16384];
	ssize_t n = read(from, data, sizeof(data));

	return n > 0 && fd_write_full(to, data, (size_t)n) == 0;
}

static void loop(struct relay *r)
{
	struct pollfd p[4] = {
		{ .fd = r->pidfd, .events = POLLIN },
		{ .fd = r->signals, .events = POLLIN },
		{ .fd = r->console, .events = POLLIN },
		{ .fd = r->console >= 0 ? STDIN_FILENO : -1, .events = POLLIN },
	};

	while (!p[0].revents) {
		if (poll(p, 4, -1) < 0 && errno != EINTR)
			return;
		if (p[1].revents)
			take_signal(r);
		if (p[2].revents && !copy(r->console, STDOUT_FILENO))
			p[2].fd = -1;
		if (p[3].revents && !copy(STDIN_FILENO, r->console))
			p[3].fd = -1;
	}
	/* What it had written when it ended. */
	if (p[2].fd >= 0)
		fd_nonblock(r->console, true);
	while (p[2].fd >= 0 && copy(r->console, STDOUT_FILENO))
		;
}

static int open_signals(sigset_t *old)
{
	sigset_t all;
	int fd;

	sigfillset(&all);
	/* Ours: of the program itself, and what stops it in its shell. */
	for (const int *s = (int[]){ SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTSTP, SIGTTIN,
				     SIGTTOU, SIGPIPE, 0 };
	     *s; s++)
		sigdelset(&all, *s);
	sigprocmask(SIG_BLOCK, &all, old);
	fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_sys("signalfd") : fd;
}

int oci_relay(int console, int pidfd, int *ret_status)
{
	struct relay r = { .console = console, .pidfd = pidfd };
	sigset_t old;

	r.signals = open_signals(&old);
	if (r.signals < 0)
		return r.signals;
	set_raw(&r);
	resize(&r);
	loop(&r);
	if (r.raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &r.saved);
	fd_close(r.signals);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return proc_wait(pidfd, ret_status);
}
