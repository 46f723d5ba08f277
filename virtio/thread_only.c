/* SPDX-License-Identifier: Apache-2.0 */
/* The only thread of a device; beside virtio/thread.c, whose place tests/fuzz/pump.h takes. */
#include "base/fd.h"
#include "virtio/thread.h"
#include <sys/eventfd.h>

static void free_fds(struct virtio_thread *t)
{
	virtio_thread_done(t);
	t->stop_fd = fd_close(t->stop_fd);
}

int virtio_thread_begin(struct virtio_thread *t, struct virtio_mmio *m,
			const struct virtio_thread_work *w, void *ctx)
{
	int r = virtio_thread_init(t, w->event, ctx);

	t->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (r == 0)
		r = w->watch(ctx);
	if (r == 0)
		r = (w->late ? virtio_thread_start_late : virtio_thread_start)(t, m, t->stop_fd);
	if (r < 0)
		free_fds(t);
	return r;
}

void virtio_thread_end(struct virtio_thread *t)
{
	eventfd_write(t->stop_fd, 1);
	virtio_thread_join(t);
	free_fds(t);
}
