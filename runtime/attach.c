/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attach.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#define PATIENCE_NS (ATTACH_PATIENCE_MS * UINT64_C(1000000))
#define SEND_BUFFER 212992 /* net.core.wmem_default; set, it counts double (socket(7)) */

struct attached {
	struct list link;
	struct attachments *all;
	int fd;
	uint32_t events;  /* watched for */
	uint64_t full_ns; /* since when it takes nothing */
	size_t len;
	char left[1 + ATTACH_CHUNK]; /* the message that it did not take */
};

static int on_attached(void *ctx, int fd, uint32_t events);

/* Nobody is read while the command has not taken what was typed before. */
static int watch(struct attached *t)
{
	uint32_t events = (typed_busy(&t->all->typed) ? 0u : EPOLLIN) | (t->len ? EPOLLOUT : 0u);
	int r = 0;

	if (events == t->events)
		return 0;
	if (!events)
		loop_remove(t->all->loop, t->fd);
	else if (t->events)
		r = loop_modify(t->all->loop, t->fd, events);
	else
		r = loop_add(t->all->loop, t->fd, events, on_attached, t);
	t->events = r < 0 ? 0 : events;
	return r;
}

static void attached_free(struct attached *t)
{
	if (t->events)
		loop_remove(t->all->loop, t->fd);
	if (t->len)
		t->all->nfull--;
	t->all->n--;
	fd_close(t->fd);
	list_remove(&t->link);
	free(t);
}

static void watch_all(void *ctx)
{
	struct attachments *a = ctx;

	list_for_each_safe(l, &a->list) {
		struct attached *t = list_entry(l, struct attached, link);

		if (watch(t) < 0)
			attached_free(t);
	}
}

/* ---- what is printed ---- */

/* Tells when it has changed whether somebody is full. */
static int hold_or_go_on(struct attachments *a, bool held)
{
	return held == attachments_full(a) ? 0 : a->hold(a->ctx, !held);
}

/* @ns > 0 */
static void arm(struct attachments *a, uint64_t ns)
{
	struct itimerspec t = { .it_value = { .tv_sec = (time_t)(ns / 1000000000),
					      .tv_nsec = (long)(ns % 1000000000) } };

	timerfd_settime(a->timer, 0, &t, NULL);
}

/* 0 = taken, 1 = it is full, -errno = it has gone. */
static int give(struct attached *t, struct iovec *v, size_t n)
{
	struct msghdr m = { .msg_iov = v, .msg_iovlen = n };

	if (sendmsg(t->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	return errno == EAGAIN ? 1 : -errno;
}

static void give_or_keep(struct attached *t, char stream, const char *data, size_t len)
{
	struct iovec v[2] = { { &stream, 1 }, { (char *)data, len } };
	int r = t->len ? -ENOBUFS : give(t, v, 2);

	if (r == 1) {
		t->left[0] = stream;
		memcpy(t->left + 1, data, len);
		t->len = 1 + len;
		t->full_ns = clock_ns();
		if (!t->all->nfull++)
			arm(t->all, PATIENCE_NS);
		r = watch(t);
	}
	if (r < 0)
		attached_free(t);
}

void attachments_give(struct attachments *a, enum attach_message stream, const char *data,
		      size_t len)
{
	bool held = attachments_full(a);

	list_for_each_safe(l, &a->list)
		give_or_keep(list_entry(l, struct attached, link), (char)stream, data, len);
	hold_or_go_on(a, held);
}

static int give_left(struct attached *t)
{
	struct iovec v = { t->left, t->len };
	int r = give(t, &v, 1);

	if (r)
		return MIN(r, 0);
	t->len = 0;
	t->all->nfull--;
	return watch(t);
}

/* Those who have been full since @until_ns or longer; the timer again for the rest. */
static int drop_full(struct attachments *a, uint64_t until_ns)
{
	bool held = attachments_full(a);
	uint64_t first = UINT64_MAX;

	list_for_each_safe(l, &a->list) {
		struct attached *t = list_entry(l, struct attached, link);

		if (t->len && t->full_ns <= until_ns)
			attached_free(t);
		else if (t->len)
			first = MIN(first, t->full_ns);
	}
	if (first != UINT64_MAX)
		arm(a, first - until_ns);
	return hold_or_go_on(a, held);
}

int attachments_drop_full(struct attachments *a)
{
	return drop_full(a, clock_ns());
}

static int on_timer(void *ctx, int fd, _unused_ uint32_t events)
{
	uint64_t times;

	if (read(fd, &times, sizeof(times)) < 0)
		return 0;
	return drop_full(ctx, clock_ns() - PATIENCE_NS);
}

bool attachments_full(const struct attachments *a)
{
	return a->nfull > 0;
}

/* ---- what is typed ---- */

/* One message; -EPIPE when it has gone, or says what is none. */
static int take_typed(struct attached *t)
{
	struct typed *typed = &t->all->typed;
	char message[1 + ATTACH_CHUNK];
	ssize_t n = recv(t->fd, message, sizeof(message), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0 || (size_t)n > sizeof(message) || message[0] != ATTACH_IN)
		return -EPIPE;
	if (n == 1)
		typed_end(typed);
	else
		typed_put(typed, message + 1, (size_t)n - 1);
	if (typed_busy(typed))
		watch_all(t->all);
	return 0;
}

static int on_attached(void *ctx, _unused_ int fd, uint32_t events)
{
	struct attached *t = ctx;
	struct attachments *a = t->all;
	bool held = attachments_full(a), reads = !typed_busy(&a->typed);
	int r = 0;

	if (t->len && events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		r = give_left(t);
	if (r >= 0 && reads && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		r = take_typed(t);
	if (r < 0)
		attached_free(t);
	return hold_or_go_on(a, held);
}

/* ---- all of them ---- */

void attachments_none(struct attachments *a)
{
	list_init(&a->list);
	a->typed.fd = a->timer = -1;
}

int attachments_init(struct attachments *a, int input, bool tty)
{
	int r;

	a->typed.loop = a->loop;
	a->typed.fd = input;
	a->typed.tty = tty;
	a->typed.taken = watch_all;
	a->typed.ctx = a;
	a->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (a->timer < 0)
		return err_sys("timer");
	r = loop_add(a->loop, a->timer, EPOLLIN, on_timer, a);
	return r < 0 ? err(r, "timer: %s", strerror(-r)) : 0;
}

/* Told first whether what it types gets there. */
static int attached_new(struct attachments *a, int fd)
{
	const char begin[2] = { ATTACH_BEGIN, a->typed.fd >= 0 };
	struct attached *t;
	int r;

	if (send(fd, begin, sizeof(begin), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	t = new0(struct attached);
	if (!t)
		return -ENOMEM;
	t->all = a;
	t->fd = fd;
	r = watch(t);
	if (r < 0) {
		free(t);
		return r;
	}
	list_append(&a->list, &t->link);
	a->n++;
	return 0;
}

int attachments_add(struct attachments *a, int *ret_fd)
{
	int pair[2], r;

	if (a->n >= ATTACH_MAX)
		return -EUSERS;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	r = attached_new(a, pair[0]);
	if (r < 0) {
		fd_close(pair[0]);
		fd_close(pair[1]);
		return r;
	}
	*ret_fd = pair[1];
	return 0;
}

/* All but the end was taken: a socket that is full now gets more room, by the system's default. */
static void tell_end(const struct attached *t)
{
	const int room = SEND_BUFFER;
	const char end = ATTACH_END;

	if (t->len)
		return;
	if (send(t->fd, &end, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EAGAIN &&
	    setsockopt(t->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0)
		send(t->fd, &end, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void attachments_done(struct attachments *a)
{
	list_for_each_safe(l, &a->list) {
		struct attached *t = list_entry(l, struct attached, link);

		tell_end(t);
		attached_free(t);
	}
	typed_close(&a->typed);
	if (a->timer >= 0)
		loop_remove(a->loop, a->timer);
	a->timer = fd_close(a->timer);
}
