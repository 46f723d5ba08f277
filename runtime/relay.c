/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/relay.h"

#include "base/fd.h"
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

#define ROUNDS	       16  /* chunks carried before others get their turn */
#define CLOSING_ROUNDS 512 /* more than a pipe can hold: whoever still writes is none of ours */

static int pump(struct relay *r);

static int on_ready(void *ctx, _unused_ int fd, _unused_ uint32_t events)
{
	return pump(ctx);
}

static void wait_for(struct relay *r, enum relay_wait what)
{
	int fd = what == RELAY_SINK ? r->sink : r->source;
	uint32_t events = what == RELAY_SINK ? EPOLLOUT : EPOLLIN;

	if (r->waits == what)
		return;
	if (r->waits != RELAY_NOTHING)
		loop_remove(r->loop, r->waits == RELAY_SINK ? r->sink : r->source);
	r->waits = what;
	if (what == RELAY_NOTHING)
		return;
	if (loop_add(r->loop, fd, events, on_ready, r) < 0)
		r->waits = RELAY_NOTHING;
}

/* Whether a read or a write now will not block. */
static bool ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do {
		n = poll(&p, 1, 0);
	} while (n < 0 && errno == EINTR);
	return n != 0;
}

static int at_end(struct relay *r)
{
	wait_for(r, RELAY_NOTHING);
	if (r->over)
		return 0;
	r->over = true;
	/* Its writer is to have the SIGPIPE that our reader gave us. */
	if (!r->drain)
		r->source = fd_close(r->source);
	return r->ended ? r->ended(r->ctx, r) : 0;
}

static void sink_close(struct relay *r)
{
	if (r->waits == RELAY_SINK)
		wait_for(r, RELAY_NOTHING);
	r->sink = fd_close(r->sink);
	r->len = 0;
}

/*
 * To the sink what it takes: 0 = all of it, 1 = it is full. A sink that is gone takes everything.
 */
static int push(struct relay *r)
{
	ssize_t n;

	while (r->sink >= 0 && r->len) {
		if (!ready(r->sink, POLLOUT))
			return 1;
		n = write(r->sink, r->buf + r->off, r->len);
		if (n < 0 && errno == EAGAIN)
			return 1;
		if (n < 0 && errno != EINTR) {
			r->drain = r->drain && !(r->breaks && errno == EPIPE);
			sink_close(r);
		}
		if (n > 0) {
			r->off += (size_t)n;
			r->len -= (size_t)n;
		}
	}
	r->len = 0;
	return 0;
}

/* The next chunk: 1, 0 = the source has ended, -EAGAIN. */
static ssize_t pull(struct relay *r)
{
	ssize_t n;

	if (r->last)
		return 0;
	if (!ready(r->source, POLLIN))
		return r->closing ? 0 : -EAGAIN;
	n = read(r->source, r->buf, sizeof(r->buf) - (r->filter ? RELAY_ROOM : 0));
	if (n < 0 && (errno == EINTR || (errno == EAGAIN && !r->closing)))
		return -EAGAIN;
	/* A terminal's master gives EIO when nobody holds the other side. */
	if (n <= 0)
		return 0;
	r->off = 0;
	r->len = r->filter ? r->filter(r->ctx, r, r->buf, (size_t)n) : (size_t)n;
	if (r->tap)
		r->tap(r->ctx, r, r->buf, r->len);
	return 1;
}

/* What one chunk came to. */
enum step { STEP_ON, STEP_FULL, STEP_HELD, STEP_EMPTY, STEP_OVER };

static enum step step(struct relay *r)
{
	ssize_t n;

	if (push(r))
		return STEP_FULL;
	if (r->sink < 0 && !r->drain)
		return STEP_OVER;
	if (r->held)
		return STEP_HELD;
	n = pull(r);
	if (n <= 0)
		return n == 0 ? STEP_OVER : STEP_EMPTY;
	return push(r) ? STEP_FULL : STEP_ON;
}

static int pump(struct relay *r)
{
	int rounds = r->closing ? CLOSING_ROUNDS : ROUNDS;
	enum step s = STEP_ON;

	while (s == STEP_ON && rounds--)
		s = step(r);
	if (s == STEP_OVER || (s == STEP_ON && r->closing))
		return at_end(r);
	if (s == STEP_HELD) {
		wait_for(r, RELAY_NOTHING);
		return 0;
	}
	wait_for(r, s == STEP_FULL ? RELAY_SINK : RELAY_SOURCE);
	/* A regular file cannot be waited for: it goes at the sink's pace. */
	if (r->waits == RELAY_NOTHING)
		wait_for(r, RELAY_SINK);
	return 0;
}

int relay_start(struct relay *r)
{
	wait_for(r, RELAY_SOURCE);
	if (r->waits == RELAY_NOTHING && r->sink >= 0)
		wait_for(r, RELAY_SINK);
	return r->waits == RELAY_NOTHING ? -EPERM : 0;
}

int relay_closing(struct relay *r)
{
	r->closing = true;
	if (r->over)
		return 0;
	/* While the sink is full, it calls. */
	return r->waits == RELAY_SINK && r->len ? 0 : pump(r);
}

int relay_hold(struct relay *r, bool held)
{
	r->held = held;
	/* It finds out that it is held at its next step. */
	return held || r->over || r->waits != RELAY_NOTHING ? 0 : pump(r);
}

int relay_drop_sink(struct relay *r)
{
	if (r->over)
		return 0;
	sink_close(r);
	return pump(r);
}

void relay_done(struct relay *r)
{
	r->over = true;
	wait_for(r, RELAY_NOTHING);
	r->source = fd_close(r->source);
	r->sink = fd_close(r->sink);
}
