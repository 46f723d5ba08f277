/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our standard streams and a command in a guest. What it prints is written as it comes, waiting for
 * whoever reads: a guest that prints without end is held up by its own credit, and costs no memory
 * here.
 */
#include "engine/exec_vm.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "engine/vm_vsock.h"
#include "microvm/microvm.h"
#include <poll.h>

#define START_MS 60000 /* until a guest has started a command: far more than one that lives needs */
#define BUDGET	 4     /* messages of the guest's, then our input has its turn */

struct vm_exec {
	struct vm_session *session;
	bool input;	/* ours is read */
	bool detached;	/* what it prints goes nowhere */
	bool unread[2]; /* nobody reads our standard output, errors */
};

static int lost(void)
{
	return err(-EPIPE, "the microVM ended, or let go of the command");
}

/* The next event, waiting for it until @until. */
static int wait_event(struct vm_session *s, uint64_t until, struct vm_session_event *ret)
{
	for (;;) {
		struct pollfd p = { .fd = vm_session_fd(s), .events = vm_session_events(s) };
		int r = vm_session_next(s, ret);
		uint64_t now = clock_ns();

		if (r != 0)
			return r;
		if (now >= until)
			return err(-ETIMEDOUT, "the microVM's init does not answer");
		if (poll(&p, 1, (int)((until - now) / 1000000) + 1) < 0 && errno != EINTR)
			return err_sys("poll");
	}
}

static int started(struct vm_exec *x)
{
	struct vm_session_event e;
	int r = wait_event(x->session, clock_ns() + START_MS * UINT64_C(1000000), &e);

	if (r < 0)
		return r == -EPIPE ? lost() : r;
	if (e.kind == VM_SESSION_STARTED)
		return 0;
	if (e.kind != VM_SESSION_FAILED)
		return err(-EPROTO, "the VM's init sent what is no message of it");
	return err(e.status == 127 ? -ENOENT : e.status == 126 ? -EACCES : -EIO, "%s", e.text);
}

int vm_exec_start(const struct run_spec *spec, int dir, const struct exec_options *o,
		  char *const *env, struct vm_exec **ret)
{
	const struct vm_guest_exec g = { .argv = o->command,
					 .env = env,
					 .cwd = o->workdir ? o->workdir : spec->cwd,
					 .user = o->user ? o->user : spec->user,
					 .tty = o->tty,
					 .stdin_open = o->interactive && !o->detach,
					 .rows = o->rows,
					 .cols = o->cols };
	int r = vm_vsock_connect(dir, VM_SESSION_PORT);
	struct vm_exec *x;

	if (r < 0)
		return r;
	x = new0(struct vm_exec);
	if (!x) {
		fd_close(r);
		return err(-ENOMEM, "no memory");
	}
	x->input = (o->interactive || o->tty) && !o->detach;
	x->detached = o->detach;
	r = vm_session_exec(r, &g, &x->session);
	if (r >= 0)
		r = started(x);
	if (r < 0) {
		vm_exec_free(x);
		return r;
	}
	*ret = x;
	return 0;
}

/* Waits for whoever reads, also where our streams do not block. */
static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EAGAIN)
			poll(&p, 1, -1);
		else if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* A reader that has gone: the command hears of it, as from a pipe. */
static int show(struct vm_exec *x, const struct vm_session_event *e)
{
	bool errors = e->kind == VM_SESSION_ERRORS;
	int r;

	if (x->detached || x->unread[errors])
		return 0;
	r = write_all(errors ? STDERR_FILENO : STDOUT_FILENO, e->data, e->len);
	if (r >= 0)
		return 0;
	x->unread[errors] = true;
	return vm_session_unread(x->session, errors);
}

static int take_input(struct vm_exec *x)
{
	char buf[32768];
	ssize_t n = read(STDIN_FILENO, buf, MIN(sizeof(buf), vm_session_room(x->session)));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	x->input = n > 0;
	return vm_session_input(x->session, buf, n > 0 ? (size_t)n : 0);
}

enum taken { TAKEN_ALL, TAKEN_SOME, TAKEN_LAST };

/*
 * Of what has come, some: where a guest prints faster than ours is read, all of it has no end.
 * TAKEN_LAST sets *@ret_status.
 */
static int take_events(struct vm_exec *x, int *ret_status)
{
	struct vm_session_event e;
	int r = 1;

	for (int i = 0; i < BUDGET && (r = vm_session_next(x->session, &e)) == 1; i++) {
		if (e.kind == VM_SESSION_EXITED) {
			*ret_status = e.status;
			return TAKEN_LAST;
		}
		if (e.kind == VM_SESSION_OUTPUT || e.kind == VM_SESSION_ERRORS)
			r = show(x, &e);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r == -EPIPE ? lost() : r;
	return r == 0 ? TAKEN_ALL : TAKEN_SOME;
}

int vm_exec_relay(struct vm_exec *x, int wake_fd)
{
	for (;;) {
		struct pollfd p[] = {
			{ .fd = vm_session_fd(x->session) },
			{ .fd = -1, .events = POLLIN },
			{ .fd = wake_fd, .events = POLLIN },
		};
		int status, r = take_events(x, &status);

		if (r < 0 || r == TAKEN_LAST)
			return r < 0 ? r : status;
		p[0].events = vm_session_events(x->session);
		if (x->input && vm_session_room(x->session))
			p[1].fd = STDIN_FILENO;
		if (poll(p, ARRAY_SIZE(p), r == TAKEN_ALL ? -1 : 0) < 0 && errno != EINTR)
			return err_sys("poll");
		if (p[1].revents && (r = take_input(x)) < 0)
			return r;
		if (p[2].revents)
			return -EAGAIN;
	}
}

int vm_exec_signal(struct vm_exec *x, int sig)
{
	return vm_session_signal(x->session, sig);
}

int vm_exec_resize(struct vm_exec *x, unsigned rows, unsigned cols)
{
	return vm_session_resize(x->session, rows, cols);
}

void vm_exec_free(struct vm_exec *x)
{
	if (!x)
		return;
	vm_session_free(x->session);
	free(x);
}
