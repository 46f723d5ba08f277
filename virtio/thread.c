/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/thread.h"

#include "base/fd.h"
#include "base/mem.h"
#include "base/thread.h"
#include "virtio/mmio.h"
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>

#define TAG_STOP UINT32_MAX
#define EVENTS	 8 /* taken at a time */

int virtio_thread_init(struct virtio_thread *t,
		       void (*event)(void *ctx, uint32_t tag, uint32_t events), void *ctx)
{
	*t = (struct virtio_thread){ .event = event, .ctx = ctx };
	t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return t->epoll_fd < 0 ? -errno : 0;
}

void virtio_thread_done(struct virtio_thread *t)
{
	t->epoll_fd = fd_close(t->epoll_fd);
}

static int control(struct virtio_thread *t, int op, int fd, uint32_t events, uint32_t tag)
{
	struct epoll_event e = { .events = events, .data.u32 = tag };

	return epoll_ctl(t->epoll_fd, op, fd, &e) < 0 ? -errno : 0;
}

int virtio_thread_watch(struct virtio_thread *t, int fd, uint32_t events, uint32_t tag)
{
	return control(t, EPOLL_CTL_ADD, fd, events, tag);
}

int virtio_thread_rewatch(struct virtio_thread *t, int fd, uint32_t events, uint32_t tag)
{
	return control(t, EPOLL_CTL_MOD, fd, events, tag);
}

void virtio_thread_unwatch(struct virtio_thread *t, int fd)
{
	epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* Named after its device; and as narrow as who carries the device has it. */
static int thread_begin(const struct virtio_thread *t)
{
	const struct virtio_mmio *m = t->mmio;

	pthread_setname_np(pthread_self(), m->ops->name);
	return m->bus.thread_begins ? m->bus.thread_begins(m->bus.ctx, m->ops->name) : 0;
}

static void *thread_main(void *arg)
{
	struct virtio_thread *t = arg;

	if (thread_begin(t) < 0) {
		virtio_mmio_needs_reset(t->mmio);
		return NULL;
	}
	for (;;) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(t->epoll_fd, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u32 == TAG_STOP)
				return NULL;
			t->event(t->ctx, events[i].data.u32, events[i].events);
		}
		if (n < 0 && errno != EINTR)
			return NULL;
	}
}

static int start(struct virtio_thread *t)
{
	/*
	 * What a thread does to itself: a lost page of a file under a map has a handler (layer/).
	 */
	int r = thread_start(thread_main, t, SIGBUS, &t->thread);

	t->started = r == 0;
	return r;
}

int virtio_thread_start(struct virtio_thread *t, struct virtio_mmio *m, int stop_fd)
{
	int r = virtio_thread_watch(t, stop_fd, EPOLLIN, TAG_STOP);

	t->mmio = m;
	return r < 0 ? r : start(t);
}

static void start_now(void *arg)
{
	struct virtio_thread *t = arg;

	if (start(t) < 0)
		virtio_mmio_needs_reset(t->mmio);
}

int virtio_thread_start_late(struct virtio_thread *t, struct virtio_mmio *m, int stop_fd)
{
	int r;

	if (!m->bus.when)
		return virtio_thread_start(t, m, stop_fd);
	r = virtio_thread_watch(t, stop_fd, EPOLLIN, TAG_STOP);
	t->mmio = m;
	return r < 0 ? r : m->bus.when(m->bus.ctx, t->epoll_fd, start_now, t);
}

void virtio_thread_join(struct virtio_thread *t)
{
	const struct virtio_bus *bus = &t->mmio->bus;

	if (t->started)
		pthread_join(t->thread, NULL);
	else if (bus->when)
		bus->when(bus->ctx, -1, NULL, t);
	t->started = false;
}
