/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of a device: they wait in epoll for kicks and files, and for the end. */
#ifndef VIRTIO_THREAD_H
#define VIRTIO_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct virtio_mmio;

/*
 * The events of a queue's kick. Each kick wakes once (epoll(7), edge-triggered: an eventfd tells of
 * every write), so nobody reads it: a system call less for each, and no wait for who shares it, a
 * front end of vhost-user, to leave something to be read.
 */
#define VIRTIO_KICKED (EPOLLIN | EPOLLET)

struct virtio_thread {
	pthread_t thread;
	struct virtio_mmio *mmio;
	int epoll_fd;
	int stop_fd; /* an eventfd of a device's only thread */
	bool started;
	/* Called for each event with the @tag that its descriptor was added with. */
	void (*event)(void *ctx, uint32_t tag, uint32_t events);
	void *ctx;
};

/* Makes the epoll descriptor: 0 or -errno. */
int virtio_thread_init(struct virtio_thread *t,
		       void (*event)(void *ctx, uint32_t tag, uint32_t events), void *ctx);
/* Watches @fd for @events (EPOLLIN...), or for others than before. */
int virtio_thread_watch(struct virtio_thread *t, int fd, uint32_t events, uint32_t tag);
int virtio_thread_rewatch(struct virtio_thread *t, int fd, uint32_t events, uint32_t tag);
/* No longer watches @fd: a file that has hung up would call again and again. */
void virtio_thread_unwatch(struct virtio_thread *t, int fd);
/* Starts it, all signals blocked; it ends when @stop_fd becomes readable. */
int virtio_thread_start(struct virtio_thread *t, struct virtio_mmio *m, int stop_fd);
/*
 * The same at the first event, where the bus can say when that is: for what many a guest never
 * uses.
 */
int virtio_thread_start_late(struct virtio_thread *t, struct virtio_mmio *m, int stop_fd);
void virtio_thread_join(struct virtio_thread *t);
void virtio_thread_done(struct virtio_thread *t);

/* ---- the only thread of a device ---- */

struct virtio_thread_work {
	void (*event)(void *ctx, uint32_t tag, uint32_t events);
	int (*watch)(void *ctx); /* 0 or -errno: what it waits for at first */
	bool late;		 /* as virtio_thread_start_late() has it */
};

/* For activate() and reset() of struct virtio_ops. It begins whole or not at all. */
int virtio_thread_begin(struct virtio_thread *t, struct virtio_mmio *m,
			const struct virtio_thread_work *w, void *ctx);
void virtio_thread_end(struct virtio_thread *t);

#endif
