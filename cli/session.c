/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "cli/terminal.h"
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct session {
	int console, pidfd, winch;
	bool input, ended;
	size_t len; /* typed, and not yet taken by the other side */
	char typed[4096];
};

static int watch(const int *signals, size_t n)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < n; i++)
		sigaddset(&set, signals[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int watch_size(void)
{
	const int winch = SIGWINCH;

	return watch(&winch, 1);
}

/* Whether it has changed, and to what. */
static bool new_size(int winch, unsigned *ret_rows, unsigned *ret_cols)
{
	struct signalfd_siginfo si;

	return read(winch, &si, sizeof(si)) == sizeof(si) &&
	       terminal_size(0, ret_rows, ret_cols) == 0;
}

static void hand_on_size(struct session *s)
{
	struct winsize w = { 0 };
	unsigned rows, cols;

	if (!new_size(s->winch, &rows, &cols))
		return;
	w.ws_row = (unsigned short)rows;
	w.ws_col = (unsigned short)cols;
	ioctl(s->console, TIOCSWINSZ, &w);
}

static void take_typed(struct session *s)
{
	ssize_t n = read(0, s->typed, sizeof(s->typed));

	if (n > 0)
		s->len = (size_t)n;
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		s->input = false;
}

static void give_typed(struct session *s)
{
	ssize_t n = write(s->console, s->typed, s->len);

	if (n > 0) {
		s->len -= (size_t)n;
		memmove(s->typed, s->typed + n, s->len);
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		s->len = 0;
		s->input = false;
	}
}

/* 1: the other side is closed, or empty after the end of the command. */
static int show(struct session *s)
{
	char buf[4096];
	ssize_t n = read(s->console, buf, sizeof(buf));

	if (n > 0)
		return fd_write_full(1, buf, (size_t)n);
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? s->ended : 1;
}

static int session_turn(struct session *s)
{
	struct pollfd p[] = {
		{ .fd = s->console, .events = POLLIN | (s->len ? POLLOUT : 0) },
		{ .fd = s->input && !s->len ? 0 : -1, .events = POLLIN },
		{ .fd = s->ended ? -1 : s->pidfd, .events = POLLIN },
		{ .fd = s->winch, .events = POLLIN },
	};

	if (poll(p, 4, s->ended ? 0 : -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[3].revents)
		hand_on_size(s);
	if (p[1].revents)
		take_typed(s);
	if (s->len && p[0].revents & POLLOUT)
		give_typed(s);
	if (p[2].revents)
		s->ended = true;
	if (s->ended || p[0].revents & (POLLIN | POLLHUP | POLLERR))
		return show(s);
	return 0;
}

static int relay(int console, int pidfd)
{
	struct session s = { .console = console, .pidfd = pidfd, .input = true };
	_close_ int winch = watch_size();
	int r = fd_nonblock(console, true);

	s.winch = winch;
	while (r == 0)
		r = session_turn(&s);
	return r < 0 ? err(r, "terminal: %s", strerror(-r)) : 0;
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
	r = tty ? relay(x->console, x->pidfd) : 0;
	return r < 0 ? r : exec_wait(x, -1);
}
