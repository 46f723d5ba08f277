/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A further command: as relay.c does for the first, with messages in place of ports. Its input is
 * kept here, never more than the host was told there is room for, so that a signal or a new size is
 * heard however little the command reads.
 */
#include "microvm/guest/init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEAD	sizeof(struct guest_head)
#define TTY_MAX 65536 /* bytes; a terminal of Linux holds fewer */

struct session {
	int fd, signal_fd;
	struct command command;
	bool exited, host_gone;
	unsigned status;
	/* from the host: the message that is coming */
	size_t in_len;
	uint8_t in[HEAD + GUEST_CHUNK_MAX];
	/* input that the command has not read, a ring; what has left it since the host was told */
	uint32_t at, len, taken;
	bool input_ended;
	uint8_t input[GUEST_WINDOW];
	/* to the host: the messages that are going */
	size_t out_off, out_len;
	uint8_t out[2 * HEAD + sizeof(uint32_t) + GUEST_CHUNK_MAX];
};

/* ---- to the host ---- */

/* There is always room: a stream is read only when all has gone, and then this is called once. */
static void put(struct session *s, uint32_t type, const void *body, size_t len)
{
	const struct guest_head head = { type, (uint32_t)len };

	memcpy(s->out + s->out_len, &head, HEAD);
	memmove(s->out + s->out_len + HEAD, body, len);
	s->out_len += HEAD + len;
}

static void flush(struct session *s)
{
	while (s->out_off < s->out_len) {
		ssize_t n = write(s->fd, s->out + s->out_off, s->out_len - s->out_off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			s->host_gone = s->host_gone || errno != EAGAIN;
			return;
		}
		s->out_off += (size_t)n;
	}
	s->out_off = s->out_len = 0;
}

/* Reads straight behind the head; gives false at the end. */
static bool take_output(struct session *s, int fd, uint32_t type)
{
	ssize_t n = read(fd, s->out + s->out_len + HEAD, GUEST_CHUNK_MAX);

	if (n > 0)
		put(s, type, s->out + s->out_len + HEAD, (size_t)n);
	/* EIO is how a terminal says it. */
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void tell_taken(struct session *s)
{
	if (s->out_len || s->taken < GUEST_WINDOW / 4)
		return;
	put(s, GUEST_TAKEN, &s->taken, sizeof(s->taken));
	s->taken = 0;
}

/* ---- the command's files ---- */

static bool is_tty(const struct session *s)
{
	return s->command.in >= 0 && s->command.in == s->command.out;
}

static void close_input(struct session *s)
{
	if (s->command.in >= 0 && !is_tty(s))
		close(s->command.in);
	if (!is_tty(s))
		s->command.in = -1;
	s->len = 0;
}

static void close_output(struct session *s, int *fd)
{
	if (fd == &s->command.out && is_tty(s))
		s->command.in = -1;
	close(*fd);
	*fd = -1;
}

static void give_input(struct session *s)
{
	while (s->len && s->command.in >= 0) {
		uint32_t m = s->len < GUEST_WINDOW - s->at ? s->len : GUEST_WINDOW - s->at;
		ssize_t n = write(s->command.in, s->input + s->at, m);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			close_input(s); /* the command reads no more, and the host need not send */
		if (n <= 0)
			return;
		s->at = (s->at + (uint32_t)n) % GUEST_WINDOW;
		s->len -= (uint32_t)n;
		s->taken += (uint32_t)n;
	}
	if (s->input_ended && !s->len)
		close_input(s);
}

/* ---- from the host ---- */

static void keep_input(struct session *s, const uint8_t *data, uint32_t len)
{
	if (!len)
		s->input_ended = true;
	if (s->command.in < 0)
		return;
	if (len > GUEST_WINDOW - s->len) {
		s->host_gone = true;
		return;
	}
	for (uint32_t i = 0; i < len; i++)
		s->input[(s->at + s->len + i) % GUEST_WINDOW] = data[i];
	s->len += len;
}

static void obey(struct session *s, uint32_t type, const uint8_t *data, uint32_t len)
{
	struct guest_signal sig;
	struct guest_size size;
	uint32_t stream;

	if (type == GUEST_INPUT) {
		keep_input(s, data, len);
	} else if (type == GUEST_SIGNAL && len == sizeof(sig)) {
		memcpy(&sig, data, sizeof(sig));
		if (!s->exited && sig.signal >= 1 && sig.signal <= 64)
			kill(s->command.pid, (int)sig.signal);
	} else if (type == GUEST_RESIZE && len == sizeof(size)) {
		memcpy(&size, data, sizeof(size));
		if (is_tty(s))
			ioctl(s->command.out, TIOCSWINSZ,
			      &(struct winsize){ .ws_row = size.rows, .ws_col = size.cols });
	} else if (type == GUEST_UNREAD && len == sizeof(stream)) {
		memcpy(&stream, data, sizeof(stream));
		if (stream == GUEST_OUTPUT && s->command.out >= 0)
			close_output(s, &s->command.out);
		else if (stream == GUEST_ERRORS && s->command.err >= 0)
			close_output(s, &s->command.err);
	}
}

static void hear(struct session *s)
{
	ssize_t n = read(s->fd, s->in + s->in_len, sizeof(s->in) - s->in_len);
	struct guest_head head;

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		s->host_gone = true;
	s->in_len += n > 0 ? (size_t)n : 0;
	while (!s->host_gone && s->in_len >= HEAD) {
		memcpy(&head, s->in, HEAD);
		if (head.len > GUEST_CHUNK_MAX)
			s->host_gone = true;
		if (head.len > GUEST_CHUNK_MAX || s->in_len < HEAD + head.len)
			return;
		obey(s, head.type, s->in + HEAD, head.len);
		s->in_len -= HEAD + head.len;
		memmove(s->in, s->in + HEAD + head.len, s->in_len);
	}
}

/* ---- all together ---- */

static void reap(struct session *s)
{
	struct signalfd_siginfo si;
	int status;

	(void)!read(s->signal_fd, &si, sizeof(si));
	if (s->exited || waitpid(s->command.pid, &status, WNOHANG) != s->command.pid)
		return;
	s->exited = true;
	s->status = WIFSIGNALED(status) ? 128 + (unsigned)WTERMSIG(status) :
					  (unsigned)WEXITSTATUS(status);
}

static void step(struct session *s)
{
	bool room = !s->out_len;
	struct pollfd p[] = {
		{ .fd = s->fd, .events = POLLIN | (room ? 0 : POLLOUT) },
		{ .fd = s->signal_fd, .events = POLLIN },
		{ .fd = s->len ? s->command.in : -1, .events = POLLOUT },
		{ .fd = room ? s->command.out : -1, .events = POLLIN },
		{ .fd = room ? s->command.err : -1, .events = POLLIN },
	};

	if (poll(p, ARRAY_SIZE(p), -1) < 0)
		return;
	if (p[1].revents)
		reap(s);
	if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
		hear(s);
	give_input(s);
	tell_taken(s);
	if (p[3].revents && !s->out_len && s->command.out >= 0 &&
	    !take_output(s, s->command.out, GUEST_OUTPUT))
		close_output(s, &s->command.out);
	if (p[4].revents && !s->out_len && s->command.err >= 0 &&
	    !take_output(s, s->command.err, GUEST_ERRORS))
		close_output(s, &s->command.err);
	flush(s);
}

/*
 * What the command has left in its pipes and terminal, which is no more than they hold; what it
 * started and left running may write on, to nobody.
 */
static void send_rest(struct session *s, int fd, uint32_t type)
{
	ssize_t n, left = fcntl(fd, F_GETPIPE_SZ);
	uint8_t *data = s->out + HEAD;

	for (left = left < 0 ? TTY_MAX : left; fd >= 0 && left > 0; left -= n) {
		n = read(fd, data, GUEST_CHUNK_MAX);
		if (n <= 0 || !session_send(s->fd, type, data, (size_t)n, "", 0))
			break;
	}
}

static void run(struct session *s)
{
	struct guest_exited e;
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	s->signal_fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	while (!s->host_gone && (!s->exited || s->out_len))
		step(s);
	if (s->host_gone) {
		kill(s->command.pid,
		     SIGKILL); /* as in a container: it ends with who asked for it */
		return;
	}
	send_rest(s, s->command.out, GUEST_OUTPUT);
	send_rest(s, s->command.err, GUEST_ERRORS);
	e.status = s->status;
	session_send(s->fd, GUEST_EXITED, &e, sizeof(e), "", 0);
}

static void failed(int fd, int e)
{
	struct guest_failed f = { (uint32_t)-e, failing_status };
	char text[GUEST_REPLY_MAX - sizeof(f)];

	failing_line(text, sizeof(text), e);
	session_send(fd, GUEST_FAILED, &f, sizeof(f), text, strlen(text));
}

void session_exec(int fd, const struct config *main, const uint8_t *data, size_t len)
{
	static struct config config;
	static struct session s;
	int r = config_parse(&config, data, len);

	if (r == 0) {
		config.pids = main->pids;
		config.caps_drop = main->caps_drop;
		config.nrlimits = main->nrlimits;
		memcpy(config.rlimits, main->rlimits, sizeof(config.rlimits));
		r = command_start(&config, &s.command);
	}
	if (r < 0) {
		failed(fd, r);
		return;
	}
	s.fd = fd;
	if (session_send(fd, GUEST_STARTED, "", 0, "", 0))
		run(&s);
	else
		kill(s.command.pid, SIGKILL);
}
