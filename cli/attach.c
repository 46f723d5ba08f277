/* SPDX-License-Identifier: Apache-2.0 */
/* strata attach: our standard streams beside those of a command that runs. */
#include "base/detach_keys.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/foreground.h"
#include "cli/terminal.h"
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define GONE_MS 1000 /* by then a killed process is gone; one that lives is waited for in vain */

struct options {
	bool no_stdin, sig_proxy;
	const char *detach_keys;
};

struct session {
	const struct options *o;
	struct attach a;
	struct detach_keys keys;
	int signals;
	bool input;    /* what is typed gets there */
	bool detached; /* by the keys */
	bool ended;    /* the command has, and all was shown */
	int signal;    /* what ends us, 0 = nothing */
	size_t len;    /* a message, not yet taken by the other side */
	char typed[1 + ATTACH_CHUNK];
};

static int hand_on(struct session *s)
{
	ssize_t n = send(s->a.link.stream, s->typed, s->len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	s->len = 0;
	/* It has gone: reading says how. */
	s->input = s->input && n >= 0;
	return 0;
}

/* One message of what is typed; only a terminal is looked at for the keys. */
static int take_typed(struct session *s)
{
	char buf[ATTACH_CHUNK - DETACH_KEYS_MAX];
	ssize_t n = read(0, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	s->typed[0] = ATTACH_IN;
	if (n <= 0) {
		s->input = false;
		s->len = 1;
		return hand_on(s);
	}
	s->len = 1 + detach_keys_scan(&s->keys, buf, (size_t)n, s->typed + 1, &s->detached);
	if (s->len == 1)
		s->len = 0;
	return s->len ? hand_on(s) : 0;
}

/* 1: no more is to come. */
static int show(struct session *s)
{
	char message[1 + ATTACH_CHUNK];
	ssize_t n = recv(s->a.link.stream, message, sizeof(message), 0);

	/* The command may end with input of ours unread. */
	if (n < 0 && fd_recv_again(errno))
		return 0;
	if (n <= 0)
		return 1;
	switch (message[0]) {
	case ATTACH_BEGIN:
		s->input = s->input && n > 1 && message[1];
		return 0;
	case ATTACH_OUT:
		return fd_write_full(1, message + 1, (size_t)n - 1);
	case ATTACH_ERR:
		return fd_write_full(2, message + 1, (size_t)n - 1);
	default:
		s->ended = message[0] == ATTACH_END;
		return 1;
	}
}

static void hand_on_size(const struct session *s)
{
	unsigned rows, cols;

	if (s->a.tty && terminal_size(0, &rows, &cols) == 0)
		inst_resize(s->a.inst, rows, cols);
	err_clear();
}

/* With a terminal ^C is typed, and no signal. */
static void take_signal(struct session *s)
{
	struct signalfd_siginfo si;

	if (read(s->signals, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGWINCH)
		hand_on_size(s);
	else if (s->o->sig_proxy)
		inst_kill(s->a.inst, (int)si.ssi_signo);
	else if (si.ssi_signo != SIGCONT)
		s->signal = (int)si.ssi_signo;
	err_clear();
}

static int turn(struct session *s)
{
	struct pollfd p[] = {
		{ .fd = s->a.link.stream, .events = POLLIN | (s->len ? POLLOUT : 0) },
		{ .fd = s->input && !s->len ? 0 : -1, .events = POLLIN },
		{ .fd = s->signals, .events = POLLIN },
	};
	int r = 0;

	if (poll(p, ARRAY_SIZE(p), -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[2].revents)
		take_signal(s);
	if (s->len && p[0].revents & POLLOUT)
		r = hand_on(s);
	if (r == 0 && p[1].revents)
		r = take_typed(s);
	if (r == 0 && p[0].revents & (POLLIN | POLLHUP | POLLERR))
		r = show(s);
	return r;
}

static int relay(struct session *s)
{
	_cleanup_(terminal_restore) struct terminal term = TERMINAL_NONE;
	int r = 0;

	hand_on_size(s);
	if (s->a.tty && s->input)
		terminal_raw(0, &term);
	while (r == 0 && !s->signal && !(s->detached && !s->len))
		r = turn(s);
	return r < 0 ? err(r, "attach: %s", strerror(-r)) : 0;
}

/* How it went: the command's status, if that has ended. */
static int verdict(struct session *s, const char *name)
{
	struct inst_state state = { 0 };
	int r;

	if (s->detached)
		return 0;
	if (s->signal)
		return 128 + s->signal;
	r = s->ended ? inst_attachment_end(s->a.inst, &s->a.link) : 0;
	/* One that is killed lets go of the stream a moment before it is known to be gone. */
	if (!s->ended && inst_wait(s->a.inst, GONE_MS) < 0)
		err_clear();
	if (r >= 0)
		r = inst_state(s->a.inst, &state);
	if (r < 0)
		return cli_fail(r);
	if (state.status == INST_STOPPED && state.exit_code < 0)
		return cli_fail_text("the supervisor of %s was killed; `strata rm -f %s` clears "
				     "what is left",
				     name, name);
	/* A supervisor that lives says when it is the end. */
	if (!s->ended)
		return cli_fail_text("detached: what %s printed was not read for %d s", name,
				     ATTACH_PATIENCE_MS / 1000);
	return state.exit_code;
}

static int attach(struct engine *e, const char *name, const struct options *o)
{
	struct session s = { .o = o };
	_close_ int signals = -1;
	int status, r;

	if (detach_keys_parse(o->detach_keys, &s.keys) < 0)
		return cli_fail_text("attach: --detach-keys cannot be %s", o->detach_keys);
	/* Before anything is handed on, so that none is lost. */
	signals = foreground_signals();
	r = signals < 0 ? signals : engine_attach(e, name, &s.a);
	if (r < 0)
		return cli_fail(r);
	s.signals = signals;
	s.input = !o->no_stdin;
	if (!isatty(0))
		s.keys.n = 0;
	if (s.a.tty && s.input && !isatty(0)) {
		attach_done(&s.a);
		return cli_fail_text("%s has a terminal and standard input is none: --no-stdin "
				     "shows what it prints",
				     name);
	}
	r = relay(&s);
	status = r < 0 ? cli_fail(r) : verdict(&s, name);
	attach_done(&s.a);
	return status;
}

int verb_attach(struct cli *c, int argc, char **argv)
{
	struct options o = { .sig_proxy = true, .detach_keys = DETACH_KEYS };
	const struct option_def options[] = {
		{ 0, "no-stdin", OPT_FLAG, &o.no_stdin, NULL, "hand on nothing that is typed" },
		{ 0, "sig-proxy", OPT_BOOL, &o.sig_proxy, "true|false",
		  "hand on the signals that we get (true)" },
		{ 0, "detach-keys", OPT_STR, &o.detach_keys, "KEYS",
		  "typed, they end attach alone (" DETACH_KEYS "; \"\": none)" },
		{ 0 },
	};
	const struct usage u = {
		"attach",
		"[OPTIONS] INSTANCE",
		"Shows what a running instance prints from now on, and hands on what is typed.\n"
		"Exit status: the command's; 0 after the keys that detach.",
		options,
		1,
		1,
		false
	};
	int status;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	return attach(c->engine, argv[0], &o);
}
