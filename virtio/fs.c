/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file system device (virtio 1.2, section 5.11): hands FUSE requests to whoever serves them.
 *
 * Each thread waits for the kicks of all queues in an epoll instance of its own with
 * EPOLLEXCLUSIVE, so that a kick wakes one idle thread, the same one again and again while the
 * others sleep. Who takes a request and sees a further one waiting passes the kick on.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "virtio/ring.h"
#include "virtio/thread.h"
#include "virtio/virtio.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define FS_DEVICE_ID   26
#define FS_QUEUE_SIZE  512 /* Linux fits a request into the ring's size less 4: 1 MiB of pages */
#define FS_QUEUES_HIGH 1   /* queue 0 has priority: FORGET and INTERRUPT */

struct fs_config_space {
	char tag[VIRTIO_FS_TAG_MAX];
	uint32_t num_request_queues;
};

struct fs;

struct fs_thread {
	struct virtio_thread t;
	struct fs *fs;
	struct virtq_chain chain;
};

struct fs {
	struct virtio_mmio *mmio;
	struct fs_config_space config;
	virtio_fs_serve_fn *serve;
	void *ctx;
	struct mem_region dax;
	int stop_fd;
	unsigned nqueues, nthreads;
	struct fs_thread *threads; /* while active */
	pthread_mutex_t locks[FS_QUEUES_HIGH +
			      VIRTIO_FS_QUEUES_MAX]; /* of the queues; the last lock taken */
};

/* Takes a request; whether yet another waits is for a thread that sleeps. */
static int take(struct fs *fs, unsigned i, struct virtq_chain *c)
{
	struct virtq *q = virtio_mmio_queue(fs->mmio, i);
	const struct mem *mem = virtio_mmio_mem(fs->mmio);
	bool more;
	int r;

	pthread_mutex_lock(&fs->locks[i]);
	r = virtq_pop(q, mem, c);
	more = r > 0 && fs->nthreads > 1 && virtq_pending(q, mem) > 0;
	pthread_mutex_unlock(&fs->locks[i]);
	if (more)
		eventfd_write(q->kick_fd, 1);
	return r;
}

static int give(struct fs *fs, unsigned i, uint16_t head, uint32_t written)
{
	struct virtq *q = virtio_mmio_queue(fs->mmio, i);
	const struct mem *mem = virtio_mmio_mem(fs->mmio);
	int r;

	pthread_mutex_lock(&fs->locks[i]);
	r = virtq_push(q, mem, head, written);
	virtq_flush(q, mem);
	pthread_mutex_unlock(&fs->locks[i]);
	return r;
}

static void fs_event(void *ctx, uint32_t queue, _unused_ uint32_t events)
{
	struct fs_thread *t = ctx;
	struct fs *fs = t->fs;
	struct virtq_chain *c = &t->chain;
	int r;

	while ((r = take(fs, queue, c)) > 0) {
		ssize_t n = fs->serve(fs->ctx, c->in, (int)c->nin, c->out, (int)c->nout);

		r = give(fs, queue, c->head, n > 0 ? (uint32_t)n : 0);
		if (r < 0)
			break;
	}
	if (r < 0)
		virtio_mmio_needs_reset(fs->mmio);
}

static int thread_start(struct fs *fs, struct fs_thread *t)
{
	int r = virtio_thread_init(&t->t, fs_event, t);

	t->fs = fs;
	for (unsigned i = 0; r == 0 && i < fs->nqueues; i++)
		r = virtio_thread_watch(&t->t, virtio_mmio_queue(fs->mmio, i)->kick_fd,
					VIRTIO_KICKED | EPOLLEXCLUSIVE, i);
	if (r == 0)
		r = virtio_thread_start(&t->t, fs->mmio, fs->stop_fd);
	if (r < 0)
		virtio_thread_done(&t->t);
	return r;
}

static void threads_stop(struct fs *fs, unsigned n)
{
	eventfd_write(fs->stop_fd, 1);
	for (unsigned i = 0; i < n; i++) {
		virtio_thread_join(&fs->threads[i].t);
		virtio_thread_done(&fs->threads[i].t);
	}
	fs->stop_fd = fd_close(fs->stop_fd);
	free(fs->threads);
	fs->threads = NULL;
}

static int fs_activate(void *dev)
{
	struct fs *fs = dev;

	fs->stop_fd = eventfd(0, EFD_CLOEXEC);
	fs->threads = malloc(MAX(fs->nthreads, 1u) * sizeof(*fs->threads));
	if (fs->stop_fd < 0 || !fs->threads) {
		threads_stop(fs, 0);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < fs->nthreads; i++) {
		int r = thread_start(fs, &fs->threads[i]);

		if (r < 0) {
			threads_stop(fs, i);
			return r;
		}
	}
	return 0;
}

static void fs_reset(void *dev)
{
	struct fs *fs = dev;

	threads_stop(fs, fs->nthreads);
}

static void fs_free(void *dev)
{
	struct fs *fs = dev;

	for (size_t i = 0; i < ARRAY_SIZE(fs->locks); i++)
		pthread_mutex_destroy(&fs->locks[i]);
	free(fs);
}

static const void *fs_config(void *dev)
{
	return &((struct fs *)dev)->config;
}

static const struct mem_region *fs_shm(const void *dev)
{
	return &((const struct fs *)dev)->dax;
}

static const struct virtio_ops fs_ops = {
	.name = "fs",
	.device_id = FS_DEVICE_ID,
	.queue_size = FS_QUEUE_SIZE,
	.config_len = sizeof(struct fs_config_space),
	.config = fs_config,
	.shm = fs_shm,
	.activate = fs_activate,
	.reset = fs_reset,
	.free = fs_free,
};

int virtio_fs_new(const struct virtio_fs_config *cfg, const struct virtio_bus *bus, uint64_t gpa,
		  unsigned gsi, struct virtio_mmio **ret)
{
	struct fs *fs;
	size_t len = strlen(cfg->tag);
	int r;

	if (!len || len > VIRTIO_FS_TAG_MAX || cfg->queues > VIRTIO_FS_QUEUES_MAX ||
	    cfg->threads > VIRTIO_FS_THREADS_MAX)
		return err(-EINVAL, "virtio fs: bad tag \"%s\" or too many queues or threads",
			   cfg->tag);
	fs = new0(struct fs);
	if (!fs)
		return err(-ENOMEM, "virtio fs: no memory");
	memcpy(fs->config.tag, cfg->tag, len);
	fs->config.num_request_queues = MAX(cfg->queues, 1u);
	fs->serve = cfg->serve;
	fs->ctx = cfg->ctx;
	fs->dax = (struct mem_region){ cfg->dax_gpa, cfg->dax_len, NULL };
	fs->stop_fd = -1;
	fs->nqueues = FS_QUEUES_HIGH + fs->config.num_request_queues;
	fs->nthreads = !cfg->serve ? 0 : cfg->threads ? cfg->threads : 2;
	for (size_t i = 0; i < ARRAY_SIZE(fs->locks); i++)
		pthread_mutex_init(&fs->locks[i], NULL);
	r = virtio_mmio_new(bus, gpa, gsi, &fs_ops, fs->nqueues, fs, &fs->mmio);
	if (r < 0) {
		fs_free(fs);
		return r;
	}
	*ret = fs->mmio;
	return 0;
}
