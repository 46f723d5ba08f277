/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/typed.h"

#include "base/fd.h"
#include "base/mem.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#define END_OF_FILE "\004" /* VEOF as a terminal has it at first (termios(3)) */

bool typed_busy(const struct typed *t)
{
	return t->len > 0;
}

void typed_close(struct typed *t)
{
	if (t->waits)
		loop_remove(t->loop, t->fd);
	t->waits = t->ends = false;
	t->off = t->len = 0;
	t->fd = fd_close(t->fd);
}

static void end_now(struct typed *t)
{
	t->ends = false;
	if (!t->tty)
		typed_close(t);
	else if (write(t->fd, END_OF_FILE, 1) < 0)
		return;
}

static int on_writable(void *ctx, int fd, uint32_t events);

static void push(struct typed *t)
{
	ssize_t n = 0;

	while (t->off < t->len) {
		n = write(t->fd, t->buf + t->off, t->len - t->off);
		if (n < 0 && errno != EINTR)
			break;
		t->off += n > 0 ? (size_t)n : 0;
	}
	if (n < 0 && errno == EAGAIN) {
		if (!t->waits && loop_add(t->loop, t->fd, EPOLLOUT, on_writable, t) == 0)
			t->waits = true;
		if (t->waits)
			return;
	}
	/* It is a command that does not want it. */
	if (n < 0) {
		typed_close(t);
		return;
	}
	if (t->waits)
		loop_remove(t->loop, t->fd);
	t->waits = false;
	t->off = t->len = 0;
	if (t->ends)
		end_now(t);
}

static int on_writable(void *ctx, _unused_ int fd, _unused_ uint32_t events)
{
	struct typed *t = ctx;

	push(t);
	if (!t->len)
		t->taken(t->ctx);
	return 0;
}

void typed_put(struct typed *t, const char *data, size_t len)
{
	if (t->fd < 0 || t->len || len > sizeof(t->buf))
		return;
	memcpy(t->buf, data, len);
	t->len = len;
	push(t);
}

void typed_end(struct typed *t)
{
	if (t->fd < 0)
		return;
	t->ends = t->len > 0;
	if (!t->ends)
		end_now(t);
}
