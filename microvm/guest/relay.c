/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries bytes between the command and the VMM's ports, does what the VMM asks, and reaps. Nothing
 * here blocks but poll(2). The command's files are pipes and not the ports themselves, since a port
 * can be opened only once and programs open /dev/stdout.
 */
#include "microvm/guest/init.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* One direction. */
struct stream {
	int from, to; /* -1 = over */
	bool to_port; /* the VMM's; its hang-up means that nobody reads */
	bool shared;  /* @to or @from is the terminal's, which another stream uses too */
	size_t off, len;
	char buf[32768]; /* as much as the port takes in one write */
};

enum { IN, OUT, ERR, STREAMS };

struct relay {
	const struct ports *ports;
	const struct config *config;
	struct command *command;
	struct stream streams[STREAMS];
	int signal_fd, listener; /* -1 = none */
	bool exited;
	unsigned status;
};

/* ---- streams ---- */

static void stream_end(struct stream *s)
{
	if (s->from >= 0 && s->to_port && !s->shared)
		close(s->from); /* the command gets SIGPIPE */
	if (s->to >= 0 && !s->to_port && !s->shared)
		close(s->to); /* the command reads the end */
	s->from = s->to = -1;
	s->len = 0;
}

static void stream_read(struct stream *s)
{
	ssize_t n = read(s->from, s->buf, sizeof(s->buf));

	if (n > 0) {
		s->off = 0;
		s->len = (size_t)n;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		stream_end(s); /* EIO is how a terminal says it */
	}
}

static void stream_write(struct stream *s)
{
	ssize_t n = write(s->to, s->buf + s->off, s->len);

	if (n >= 0) {
		s->off += (size_t)n;
		s->len -= (size_t)n;
	} else if (errno != EAGAIN && errno != EINTR) {
		stream_end(s);
	}
}

/* What to wait for: input when there is none, else room for it; and that the VMM's reader goes. */
static void stream_poll(const struct stream *s, struct pollfd p[2])
{
	p[0] = (struct pollfd){ .fd = s->len ? -1 : s->from, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = s->len || s->to_port ? s->to : -1,
				.events = s->len ? POLLOUT : 0 };
}

static void stream_step(struct stream *s, const struct pollfd p[2])
{
	if (s->to >= 0 && s->to_port && (p[1].revents & POLLHUP)) {
		stream_end(s);
		return;
	}
	if (p[0].revents)
		stream_read(s);
	/* Tried at once: there is room as a rule. */
	if (s->len && s->to >= 0 && (p[0].revents || p[1].revents))
		stream_write(s);
}

static void streams_init(struct relay *r)
{
	const struct command *c = r->command;
	bool tty = c->in >= 0 && c->in == c->out;
	struct stream *s = r->streams;

	s[IN].from = c->in >= 0 ? r->ports->in : -1;
	s[IN].to = c->in;
	s[OUT].from = c->out;
	s[OUT].to = r->ports->out;
	s[ERR].from = c->err;
	s[ERR].to = c->err >= 0 ? r->ports->err : -1;
	s[OUT].to_port = s[ERR].to_port = true;
	s[IN].shared = s[OUT].shared = tty;
}

/* ---- the VMM's wishes ---- */

static void resize(const struct relay *r, const struct guest_size *size)
{
	struct winsize w = { .ws_row = size->rows, .ws_col = size->cols };

	if (r->command->out >= 0)
		ioctl(r->command->out, TIOCSWINSZ, &w); /* no terminal: no harm */
}

static void obey(const struct relay *r)
{
	uint8_t data[GUEST_WISH_MAX];
	uint32_t type, len;
	int n = control_next(r->ports->control, &type, data, &len);
	struct guest_identity identity;
	struct guest_clone clone;
	struct guest_signal sig;
	struct guest_size size;

	if (n < 0) {
		sync();
		machine_end(); /* nobody is left who would be told */
	}
	if (n == 0)
		return;
	if (type == GUEST_SIGNAL && len == sizeof(sig)) {
		memcpy(&sig, data, sizeof(sig));
		if (!r->exited && sig.signal >= 1 && sig.signal <= 64)
			kill(r->command->pid, (int)sig.signal);
	} else if (type == GUEST_RESIZE && len == sizeof(size)) {
		memcpy(&size, data, sizeof(size));
		resize(r, &size);
	} else if (type == GUEST_RESTORED && len == sizeof(identity)) {
		memcpy(&identity, data, sizeof(identity));
		machine_restored(&identity);
	} else if (type == GUEST_CLONED && len == sizeof(clone)) {
		memcpy(&clone, data, sizeof(clone));
		machine_cloned(&clone);
	}
}

/* ---- children ---- */

static void command_ended(struct relay *r, int wait_status)
{
	r->exited = true;
	r->status = WIFSIGNALED(wait_status) ? 128 + (unsigned)WTERMSIG(wait_status) :
					       (unsigned)WEXITSTATUS(wait_status);
	machine_mark(GUEST_MARK_EXITED);
	/*
	 * As in a container, what the command started ends with it; then the pipes have an end as
	 * well.
	 */
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	stream_end(&r->streams[IN]);
}

static void reap(struct relay *r)
{
	struct signalfd_siginfo si;
	int wait_status;
	pid_t pid;

	(void)!read(r->signal_fd, &si, sizeof(si));
	while (!r->exited && (pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		if (pid == r->command->pid)
			command_ended(r, wait_status);
	}
}

/* ---- all together ---- */

static bool busy(const struct relay *r)
{
	return !r->exited || r->streams[OUT].from >= 0 || r->streams[OUT].len ||
	       r->streams[ERR].from >= 0 || r->streams[ERR].len;
}

#define OTHERS 3u /* beside the streams */

static void step(struct relay *r)
{
	struct pollfd p[OTHERS + 2 * STREAMS] = {
		{ .fd = r->signal_fd, .events = POLLIN },
		{ .fd = r->ports->control, .events = POLLIN },
		{ .fd = r->exited ? -1 : r->listener, .events = POLLIN },
	};

	for (unsigned i = 0; i < STREAMS; i++)
		stream_poll(&r->streams[i], &p[OTHERS + 2 * i]);
	if (poll(p, ARRAY_SIZE(p), -1) < 0)
		return;
	for (unsigned i = 0; i < STREAMS; i++)
		stream_step(&r->streams[i], &p[OTHERS + 2 * i]);
	if (p[1].revents)
		obey(r);
	if (p[2].revents)
		session_accept(r->listener, r->config);
	if (p[0].revents)
		reap(r);
}

unsigned relay(const struct ports *p, const struct config *config, struct command *c)
{
	static struct relay r;
	sigset_t chld;

	r = (struct relay){ .ports = p, .config = config, .command = c };
	r.listener = c->listener;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	r.signal_fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	streams_init(&r);
	while (busy(&r))
		step(&r);
	return r.status;
}
