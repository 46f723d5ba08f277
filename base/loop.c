/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include "base/fd.h"
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>

#define BATCH 16 /* events fetched by one epoll_wait(2) */

/* What a descriptor calls; fn is NULL when it is not watched. */
struct watch {
	loop_fn *fn;
	void *ctx;
	uint32_t generation; /* tells an event of a removed watch from its successor's */
};

struct loop {
	int epfd;
	uint32_t generation;
	struct watch *watches; /* by descriptor */
	size_t nwatches;

	int sigfd;
	loop_signal_fn *signal_fn;
	void *signal_ctx;
};

int loop_new(struct loop **ret)
{
	struct loop *l = new0(struct loop);
	int r;

	if (!l)
		return -ENOMEM;
	l->sigfd = -1;
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd < 0) {
		r = -errno;
		loop_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	fd_close(l->sigfd);
	fd_close(l->epfd);
	free(l->watches);
	free(l);
}

static struct watch *watch_of(struct loop *l, int fd)
{
	if (fd < 0 || (size_t)fd >= l->nwatches || !l->watches[fd].fn)
		return NULL;
	return &l->watches[fd];
}

static int loop_ctl(struct loop *l, int op, int fd, uint32_t events, uint32_t generation)
{
	struct epoll_event ev = {
		.events = events,
		.data.u64 = (uint64_t)generation << 32 | (uint32_t)fd,
	};

	return epoll_ctl(l->epfd, op, fd, &ev) < 0 ? -errno : 0;
}

int loop_add(struct loop *l, int fd, uint32_t events, loop_fn *fn, void *ctx)
{
	uint32_t generation = ++l->generation;
	int r;

	if (fd < 0)
		return -EBADF;
	r = mem_grow(&l->watches, &l->nwatches, (size_t)fd + 1, sizeof(*l->watches));
	if (r < 0)
		return r;
	r = loop_ctl(l, EPOLL_CTL_ADD, fd, events, generation);
	if (r < 0)
		return r;
	l->watches[fd] = (struct watch){ .fn = fn, .ctx = ctx, .generation = generation };
	return 0;
}

int loop_modify(struct loop *l, int fd, uint32_t events)
{
	struct watch *w = watch_of(l, fd);

	return w ? loop_ctl(l, EPOLL_CTL_MOD, fd, events, w->generation) : -ENOENT;
}

void loop_remove(struct loop *l, int fd)
{
	struct watch *w = watch_of(l, fd);

	if (!w)
		return;
	loop_ctl(l, EPOLL_CTL_DEL, fd, 0, 0);
	*w = (struct watch){ 0 };
}

/*
 * One at a time: what a callback that ends the loop leaves unread is there in the next loop_run().
 */
static int on_signal(void *ctx, int fd, _unused_ uint32_t events)
{
	struct signalfd_siginfo si;
	struct loop *l = ctx;
	ssize_t n = read(fd, &si, sizeof(si));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return n == sizeof(si) ? l->signal_fn(l->signal_ctx, &si) : 0;
}

int loop_signals(struct loop *l, const int *signals, loop_signal_fn *fn, void *ctx)
{
	sigset_t set;
	int r;

	if (l->sigfd >= 0)
		return -EBUSY;
	sigemptyset(&set);
	for (; *signals; signals++)
		sigaddset(&set, *signals);
	r = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (r)
		return -r;
	l->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (l->sigfd < 0)
		return -errno;
	l->signal_fn = fn;
	l->signal_ctx = ctx;
	r = loop_add(l, l->sigfd, EPOLLIN, on_signal, l);
	if (r < 0)
		l->sigfd = fd_close(l->sigfd);
	return r;
}

static int dispatch(struct loop *l, const struct epoll_event *ev)
{
	int fd = (int)(uint32_t)ev->data.u64;
	struct watch *w = watch_of(l, fd);

	/* Removed, perhaps replaced, by a callback of the same batch. */
	if (!w || w->generation != ev->data.u64 >> 32)
		return 0;
	return w->fn(w->ctx, fd, ev->events);
}

int loop_run(struct loop *l)
{
	struct epoll_event events[BATCH];

	for (;;) {
		int n = epoll_wait(l->epfd, events, BATCH, -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++) {
			int r = dispatch(l, &events[i]);

			if (r)
				return r;
		}
	}
}
