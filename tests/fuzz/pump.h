/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio/thread.h without threads, in place of virtio/thread.c: what is watched is polled by
 * pump(), which calls the device by the caller's own thread. A run costs a hundredth of one that
 * makes a thread, and the same input does the same each time.
 */
#ifndef TESTS_FUZZ_PUMP_H
#define TESTS_FUZZ_PUMP_H

#include "base/mem.h"
#include "virtio/thread.h"
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define PUMP_FDS 128u
#define PUMP_ROUNDS \
	8u /* then it is the input's end: a device that kicks itself has had its turns */

struct pump_file {
	int fd;
	uint32_t events, tag;
	bool off; /* EPOLLONESHOT, and it has been told of */
};

static struct {
	struct virtio_thread *t; /* started */
	struct pump_file files[PUMP_FDS];
	unsigned n;
} pump_of;

static struct pump_file *pump_find(int fd)
{
	for (unsigned i = 0; i < pump_of.n; i++)
		if (pump_of.files[i].fd == fd)
			return &pump_of.files[i];
	return NULL;
}

int virtio_thread_init(struct virtio_thread *t,
		       void (*event)(void *ctx, uint32_t tag, uint32_t events), void *ctx)
{
	*t = (struct virtio_thread){ .event = event, .ctx = ctx, .epoll_fd = -1 };
	pump_of.n = 0;
	pump_of.t = NULL;
	return 0;
}

int virtio_thread_watch(_unused_ struct virtio_thread *t, int fd, uint32_t events, uint32_t tag)
{
	if (pump_find(fd))
		return -EEXIST;
	if (pump_of.n == PUMP_FDS)
		return -ENOSPC;
	pump_of.files[pump_of.n++] = (struct pump_file){ fd, events, tag, false };
	return 0;
}

int virtio_thread_rewatch(_unused_ struct virtio_thread *t, int fd, uint32_t events, uint32_t tag)
{
	struct pump_file *f = pump_find(fd);

	if (!f)
		return -ENOENT;
	*f = (struct pump_file){ fd, events, tag, false };
	return 0;
}

void virtio_thread_unwatch(_unused_ struct virtio_thread *t, int fd)
{
	struct pump_file *f = pump_find(fd);

	if (f)
		*f = pump_of.files[--pump_of.n];
}

int virtio_thread_start(struct virtio_thread *t, struct virtio_mmio *m, _unused_ int stop_fd)
{
	t->mmio = m;
	pump_of.t = t;
	return 0;
}

int virtio_thread_start_late(struct virtio_thread *t, struct virtio_mmio *m, int stop_fd)
{
	return virtio_thread_start(t, m, stop_fd);
}

void virtio_thread_join(_unused_ struct virtio_thread *t)
{
	pump_of.t = NULL;
}

void virtio_thread_done(_unused_ struct virtio_thread *t)
{
	pump_of.n = 0;
}

/* poll(2) has epoll's bits; a file below 0 is passed by. */
static int pump_poll(struct pollfd *ready)
{
	for (unsigned i = 0; i < pump_of.n; i++) {
		const struct pump_file *f = &pump_of.files[i];

		ready[i] = (struct pollfd){ .fd = f->off ? -1 : f->fd,
					    .events = (short)(f->events & 0xffff) };
	}
	return poll(ready, pump_of.n, 0);
}

/* Has the device do what it can without waiting. */
static void pump(void)
{
	static struct pump_file files[PUMP_FDS];
	static struct pollfd ready[PUMP_FDS];
	eventfd_t count;

	for (unsigned r = 0; pump_of.t && r < PUMP_ROUNDS; r++) {
		unsigned n = pump_of.n;

		memcpy(files, pump_of.files, n * sizeof(*files));
		if (pump_poll(ready) <= 0)
			return;
		for (unsigned i = 0; i < n; i++) {
			struct pump_file *f = ready[i].revents ? pump_find(files[i].fd) : NULL;

			/* What another event has ended since is not told of. */
			if (!f || f->tag != files[i].tag)
				continue;
			f->off = f->events & EPOLLONESHOT;
			/* An edge is told of once: the device leaves the eventfd as it is. */
			if (f->events & EPOLLET)
				eventfd_read(f->fd, &count);
			pump_of.t->event(pump_of.t->ctx, f->tag, (uint32_t)ready[i].revents);
		}
	}
}

#endif
