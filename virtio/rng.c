/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy device (virtio 1.2, section 5.4). */
#include "base/count.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "virtio/mmio.h"
#include "virtio/ring.h"
#include "virtio/thread.h"
#include "virtio/virtio.h"
#include <sys/random.h>

#define RNG_DEVICE_ID  4
#define RNG_QUEUE_SIZE 8
#define RNG_REQUEST_MAX \
	256 /* bytes for one request, as getrandom(2) gives in one go; the guest asks again */

struct rng {
	struct virtio_mmio *mmio;
	struct virtio_thread thread;
	uint64_t bytes; /* atomic */
	struct virtq_chain chain;
};

static uint32_t fill(struct rng *g)
{
	const struct virtq_chain *c = &g->chain;
	size_t len = c->nout ? MIN(c->out[0].iov_len, (size_t)RNG_REQUEST_MAX) : 0;
	ssize_t n = len ? getrandom(c->out[0].iov_base, len, 0) : 0;

	if (n <= 0)
		return 0;
	count_add(&g->bytes, (uint64_t)n);
	return (uint32_t)n;
}

uint64_t virtio_rng_bytes(const struct virtio_mmio *m)
{
	const struct rng *g = m->dev;

	return count_get(&g->bytes);
}

static void rng_event(void *ctx, _unused_ uint32_t tag, _unused_ uint32_t events)
{
	struct rng *g = ctx;
	struct virtq *q = virtio_mmio_queue(g->mmio, 0);
	const struct mem *mem = virtio_mmio_mem(g->mmio);
	int r;

	while ((r = virtq_pop(q, mem, &g->chain)) > 0)
		virtq_push(q, mem, g->chain.head, fill(g));
	virtq_flush(q, mem);
	if (r < 0)
		virtio_mmio_needs_reset(g->mmio);
}

static int rng_watch(void *ctx)
{
	struct rng *g = ctx;

	return virtio_thread_watch(&g->thread, virtio_mmio_queue(g->mmio, 0)->kick_fd,
				   VIRTIO_KICKED, 0);
}

static int rng_activate(void *dev)
{
	static const struct virtio_thread_work work = { rng_event, rng_watch, .late = true };
	struct rng *g = dev;

	return virtio_thread_begin(&g->thread, g->mmio, &work, g);
}

static void rng_reset(void *dev)
{
	struct rng *g = dev;

	virtio_thread_end(&g->thread);
}

static const struct virtio_ops rng_ops = {
	.name = "rng",
	.device_id = RNG_DEVICE_ID,
	.queue_size = RNG_QUEUE_SIZE,
	.activate = rng_activate,
	.reset = rng_reset,
	.free = free,
};

int virtio_rng_new(const struct virtio_bus *bus, uint64_t gpa, unsigned gsi,
		   struct virtio_mmio **ret)
{
	_free_ struct rng *g = new_head0(struct rng, chain);
	int r;

	if (!g)
		return err(-ENOMEM, "virtio rng: no memory");
	r = virtio_mmio_new(bus, gpa, gsi, &rng_ops, 1, g, &g->mmio);
	if (r < 0)
		return r;
	*ret = take_ptr(g)->mmio;
	return 0;
}
