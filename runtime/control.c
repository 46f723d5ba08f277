/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever asks a supervisor for something. */
#include "runtime/control.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "runtime/inst.h"
#include "runtime/watch.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

/* a supervisor that has the lock listens within microseconds, a full one a moment later */
#define RETRY_MS     5
#define RETRY_FOR_MS 5000 /* then it hangs */
/* from SIGKILL to the end of the supervisor: tearing down, draining, cleaning up */
#define STOP_EXTRA_MS 30000

/* A connection, -ECONNREFUSED when nobody listens. */
static int control_dial(const struct inst *i)
{
	_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	if (fd < 0)
		return -errno;
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/" CONTROL_SOCKET, fd_path(i->dir).s);
	while (connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0) {
		if (errno == ENOENT)
			return -ECONNREFUSED;
		if (errno != EINTR)
			return -errno;
	}
	return take_fd(fd);
}

int watch_open(const struct inst *i)
{
	uint64_t until = clock_ns() + RETRY_FOR_MS * UINT64_C(1000000);
	int fd, locked;

	for (;;) {
		fd = control_dial(i);
		if (fd >= 0)
			return fd;
		if (fd != -ECONNREFUSED)
			return err(fd, "control socket of instance %s: %s", i->id, strerror(-fd));
		locked = inst_locked(i);
		if (locked < 0)
			return locked;
		if (!locked)
			return -ESRCH;
		if (clock_ns() > until)
			return err(-ETIMEDOUT, "the supervisor of instance %s does not listen",
				   i->id);
		poll(NULL, 0, RETRY_MS);
	}
}

/* How long until @deadline (0: for ever), for poll(2). */
static int remaining_ms(uint64_t deadline)
{
	uint64_t now = clock_ns();

	if (!deadline)
		return -1;
	return now >= deadline ? 0 : (int)MIN((deadline - now) / 1000000 + 1, (uint64_t)INT_MAX);
}

static uint64_t deadline_in(int64_t ms)
{
	return ms < 0 ? 0 : clock_ns() + (uint64_t)ms * 1000000;
}

/*
 * A supervisor that ends: EPIPE from one that had accepted, ECONNRESET from the listener's queue.
 */
static bool gone(int e)
{
	return e == EPIPE || e == ECONNRESET;
}

/* The next reply: 1, 0 = the supervisor has gone, -ETIMEDOUT, -errno. */
static int reply_next(int fd, uint64_t deadline, struct control_reply *ret)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;
	int r;

	r = poll(&p, 1, remaining_ms(deadline));
	if (r < 0)
		return errno == EINTR ? reply_next(fd, deadline, ret) : -errno;
	if (r == 0)
		return -ETIMEDOUT;
	do {
		n = recv(fd, ret, sizeof(*ret), 0);
	} while (n < 0 && fd_recv_again(errno));
	if (n < 0)
		return gone(errno) ? 0 : -errno;
	if (n == 0)
		return 0;
	return n == sizeof(*ret) ? 1 : -EBADMSG;
}

/* Asks and waits for the one reply, so long at most (< 0: for ever): its result. */
static int ask_for(const struct inst *i, const struct control_request *q, int64_t timeout_ms)
{
	struct control_reply reply = { 0 };
	_close_ int fd = -1;
	int r;

	fd = watch_open(i);
	if (fd < 0)
		return fd;
	if (send(fd, q, sizeof(*q), MSG_NOSIGNAL) != sizeof(*q))
		return gone(errno) ? -ESRCH : -errno;
	r = reply_next(fd, deadline_in(timeout_ms), &reply);
	if (r == 0)
		return -ESRCH;
	if (r < 0)
		return err(r, "instance %s: its supervisor does not answer", i->id);
	return reply.result;
}

static int control_ask(const struct inst *i, const struct control_request *q)
{
	return ask_for(i, q, RETRY_FOR_MS);
}

/* What is known of an instance whose directory may be gone any moment. */
static void remember_end(struct inst *i, const struct control_reply *reply)
{
	struct inst_record record = { 0 };

	if (inst_record_read(i, &record) < 0)
		err_clear();
	i->last = record.state;
	i->last.status = INST_STOPPED;
	i->last.pid = 0;
	i->last.exit_code = reply->exit_code;
	i->last.oom_killed = reply->oom_killed;
	i->ended = true;
}

/* Until the supervisor has gone, remembering what it says of the end. */
static int await_end(struct inst *i, int fd, uint64_t deadline)
{
	struct control_reply reply = { 0 };
	int r;

	for (;;) {
		r = reply_next(fd, deadline, &reply);
		if (r <= 0)
			return r;
		if (reply.result < 0)
			return reply.result;
		remember_end(i, &reply);
	}
}

/* Asks @q, which is answered at the end, and waits until the supervisor has gone. */
static int ask_end(struct inst *i, const struct control_request *q, int64_t timeout_ms)
{
	uint64_t deadline = deadline_in(timeout_ms);
	_close_ int fd = watch_open(i);

	if (fd < 0)
		return fd == -ESRCH ? 0 : fd;
	/* It is going just now: there is nothing to read but that. */
	if (send(fd, q, sizeof(*q), MSG_NOSIGNAL) < 0 && !gone(errno))
		return err_sys("instance %s", i->id);
	return await_end(i, fd, deadline);
}

int watch_end(struct inst *i, int fd)
{
	return await_end(i, fd, 0);
}

int inst_kill(const struct inst *i, int sig)
{
	return control_ask(i, &(struct control_request){ .kind = CONTROL_KILL, .a = sig });
}

int inst_clone(const struct inst *i, pid_t pid)
{
	return ask_for(i, &(struct control_request){ .kind = CONTROL_CLONE, .a = pid }, -1);
}

int inst_memory(const struct inst *i, unsigned mib)
{
	return control_ask(i, &(struct control_request){ .kind = CONTROL_MEMORY, .a = (int)mib });
}

int inst_pause(const struct inst *i, bool paused)
{
	return control_ask(i, &(struct control_request){ .kind = CONTROL_PAUSE, .a = paused });
}

int inst_resize(const struct inst *i, unsigned rows, unsigned cols)
{
	return control_ask(i, &(struct control_request){
				      .kind = CONTROL_RESIZE,
				      .a = (int32_t)MIN(rows, (unsigned)UINT16_MAX),
				      .b = (int32_t)MIN(cols, (unsigned)UINT16_MAX),
			      });
}

int inst_stop(struct inst *i, int sig, int timeout_ms)
{
	struct control_request q = { .kind = CONTROL_STOP, .a = sig, .b = timeout_ms };
	int64_t wait_ms = timeout_ms < 0 ? -1 : (int64_t)timeout_ms + STOP_EXTRA_MS;
	int r = ask_end(i, &q, wait_ms);

	return r == -ETIMEDOUT ? err(r, "instance %s does not end", i->id) : r;
}

int inst_checkpoint(struct inst *i)
{
	struct inst_state s;
	int r = inst_state(i, &s);

	if (r >= 0 && s.status != INST_RUNNING && s.status != INST_PAUSED)
		return -ESRCH;
	return r < 0 ? r : ask_end(i, &(struct control_request){ .kind = CONTROL_CHECKPOINT }, -1);
}

/* Turned away while many others wait, or met between the lock and the socket: ask again. */
int inst_wait(struct inst *i, int timeout_ms)
{
	uint64_t deadline = deadline_in(timeout_ms);
	int r, locked;

	for (;;) {
		r = ask_end(i, &(struct control_request){ .kind = CONTROL_WAIT },
			    timeout_ms < 0 ? -1 : remaining_ms(deadline));
		if (r < 0 || i->ended)
			return r;
		locked = inst_locked(i);
		if (locked <= 0)
			return locked;
		if (deadline && clock_ns() >= deadline)
			return -ETIMEDOUT;
		poll(NULL, 0, RETRY_MS);
	}
}
