/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/console.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "cli/terminal.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>

struct console {
	int fd, pidfd, signals;
	bool input, ended;
	size_t len; /* typed, and not yet taken by the other side */
	char typed[4096];
};

int console_signals(const sigset_t *set)
{
	int fd;

	if (sigprocmask(SIG_BLOCK, set, NULL) < 0)
		return err_sys("signals");
	fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_sys("signalfd") : fd;
}

static void hand_on_size(const struct console *c)
{
	struct winsize w = { 0 };
	unsigned rows, cols;

	if (c->fd < 0 || terminal_size(0, &rows, &cols) < 0)
		return;
	w.ws_row = (unsigned short)rows;
	w.ws_col = (unsigned short)cols;
	ioctl(c->fd, TIOCSWINSZ, &w);
}

static void take_signal(const struct console *c)
{
	struct signalfd_siginfo si;

	if (read(c->signals, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGWINCH)
		hand_on_size(c);
	else
		proc_pidfd_kill(c->pidfd, (int)si.ssi_signo);
}

static void take_typed(struct console *c)
{
	ssize_t n = read(0, c->typed, sizeof(c->typed));

	if (n > 0)
		c->len = (size_t)n;
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		c->input = false;
}

static void give_typed(struct console *c)
{
	ssize_t n = write(c->fd, c->typed, c->len);

	if (n > 0) {
		c->len -= (size_t)n;
		memmove(c->typed, c->typed + n, c->len);
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		c->len = 0;
		c->input = false;
	}
}

/* 1: the other side is closed, or empty after the end of the command. */
static int show(struct console *c)
{
	char buf[4096];
	ssize_t n = read(c->fd, buf, sizeof(buf));

	if (n > 0)
		return fd_write_full(1, buf, (size_t)n);
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? c->ended : 1;
}

static int turn(struct console *c)
{
	struct pollfd p[] = {
		{ .fd = c->fd, .events = POLLIN | (c->len ? POLLOUT : 0) },
		{ .fd = c->input && !c->len ? 0 : -1, .events = POLLIN },
		{ .fd = c->ended ? -1 : c->pidfd, .events = POLLIN },
		{ .fd = c->signals, .events = POLLIN },
	};
	int r = 0;

	if (poll(p, 4, c->ended ? 0 : -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[3].revents)
		take_signal(c);
	if (p[1].revents)
		take_typed(c);
	if (c->len && p[0].revents & POLLOUT)
		give_typed(c);
	if (p[2].revents)
		c->ended = true;
	if (c->fd >= 0 && (c->ended || p[0].revents & (POLLIN | POLLHUP | POLLERR)))
		r = show(c);
	if (r > 0) {
		c->fd = -1;
		c->input = false;
		c->len = 0;
	}
	return r < 0 ? r : c->ended && c->fd < 0;
}

int console_relay(int console, int pidfd, int signals)
{
	struct console c = {
		.fd = console, .pidfd = pidfd, .signals = signals, .input = console >= 0
	};
	int r = console >= 0 ? fd_nonblock(console, true) : 0;

	/* It may have changed since somebody asked for it. */
	hand_on_size(&c);
	while (r == 0)
		r = turn(&c);
	return r < 0 ? err(r, "terminal: %s", strerror(-r)) : 0;
}
