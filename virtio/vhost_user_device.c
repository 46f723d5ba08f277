/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/vhost_user_device.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "virtio/mmio.h"
#include <assert.h>
#include <sys/eventfd.h>

#define STATUS_DRIVER 3u /* ACKNOWLEDGE, DRIVER */

/* rx and tx: the front end has the event queue itself. */
#define VSOCK_RINGS 2u

static void window_put(struct vhost_user *u, uint32_t off, uint32_t v)
{
	virtio_mmio_access(u->window, off, &v, sizeof(v), true);
}

static bool window_refused(struct vhost_user *u)
{
	uint32_t v;

	virtio_mmio_access(u->window, REG_STATUS, &v, sizeof(v), false);
	return !(v & STATUS_DRIVER_OK); /* NEEDS_RESET comes by window_irq() */
}

/* Only of a device that needs a reset: the queues have a notify of ours. */
static void window_irq(void *ctx, _unused_ unsigned gsi)
{
	struct vhost_user *u = ctx;

	eventfd_write(u->broken_fd, 1);
}

static void ring_call(void *ctx, _unused_ unsigned queue)
{
	const struct vring *v = ctx;

	if (v->call_fd >= 0)
		eventfd_write(v->call_fd, 1);
}

/* What the used ring of queue @i says, as the guest can see it. */
static uint16_t used_idx(const struct vhost_user *u, unsigned i)
{
	uint64_t gpa = vhost_user_mem_gpa(&u->mem, u->rings[i].used);
	const uint16_t *p = mem_at(&u->mem.mem, gpa + RING_IDX, sizeof(*p));

	return p && (uintptr_t)p % sizeof(*p) == 0 ? __atomic_load_n(p, __ATOMIC_SEQ_CST) : 0;
}

void vhost_user_stop(struct vhost_user *u)
{
	if (!u->running)
		return;
	window_put(u, REG_STATUS, 0);
	for (unsigned i = 0; i < u->nqueues; i++)
		if (u->rings[i].ready) {
			struct vring *v = &u->rings[i];

			v->base = (uint16_t)(v->base + used_idx(u, i) - v->used_start);
		}
	u->running = false;
}

static int queue_set(struct vhost_user *u, unsigned i)
{
	struct virtq *q = virtio_mmio_queue(u->window, i);
	struct vring *v = &u->rings[i];

	v->ready = v->addressed && v->started && v->enabled;
	if (!v->ready)
		return 0;
	q->num = (uint16_t)v->num;
	q->desc = vhost_user_mem_gpa(&u->mem, v->desc);
	q->avail = vhost_user_mem_gpa(&u->mem, v->avail);
	q->used = vhost_user_mem_gpa(&u->mem, v->used);
	q->event_idx = u->features & VIRTIO_F_EVENT_IDX;
	q->indirect = u->features & VIRTIO_F_INDIRECT_DESC;
	if (virtq_check(q, &u->mem.mem) < 0)
		return err(-EPROTO, "vhost-user: ring %u is not in the guest's memory", i);
	q->last_avail = v->base;
	q->used_idx = q->signalled = v->used_start = used_idx(u, i);
	q->notify = ring_call;
	q->notify_ctx = v;
	q->ready = true;
	return 1;
}

int vhost_user_start(struct vhost_user *u)
{
	uint64_t features = u->features & ~VHOST_USER_F_PROTOCOL_FEATURES;
	int ready = 0;

	if (u->running)
		return 0;
	window_put(u, REG_STATUS, 0);
	for (unsigned i = 0; i < u->nqueues; i++) {
		int r = queue_set(u, i);

		if (r < 0)
			return r;
		ready += r;
	}
	if (!ready)
		return 0;
	for (unsigned i = 0; i < 2; i++) {
		window_put(u, REG_DRIVER_FEATURES_SEL, i);
		window_put(u, REG_DRIVER_FEATURES, (uint32_t)(features >> 32 * i));
	}
	window_put(u, REG_STATUS, STATUS_DRIVER | STATUS_FEATURES_OK);
	window_put(u, REG_STATUS, STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
	u->running = true;
	if (window_refused(u))
		return err(-EPROTO, "vhost-user: the front end's features do not fit together");
	/*
	 * Also where nothing waits: who served the ring before may have died before it asked for
	 * the guest's next kick.
	 */
	for (unsigned i = 0; i < u->nqueues; i++)
		if (u->rings[i].ready)
			eventfd_write(virtio_mmio_queue(u->window, i)->kick_fd, 1);
	return 0;
}

void vhost_user_reset(struct vhost_user *u)
{
	eventfd_t count;

	vhost_user_stop(u);
	vhost_user_mem_unmap(&u->mem);
	for (unsigned i = 0; i < u->nqueues; i++) {
		fd_close(u->rings[i].call_fd);
		u->rings[i] = (struct vring){ .call_fd = -1 };
	}
	u->features = u->protocol = 0;
	eventfd_read(u->broken_fd, &count);
}

/* Without a device yet. */
static struct vhost_user *new (unsigned nqueues)
{
	struct vhost_user *u = new0(struct vhost_user);

	if (!u) {
		err(-ENOMEM, "vhost-user: no memory");
		return NULL;
	}
	u->nqueues = nqueues;
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		u->rings[i].call_fd = -1;
	u->broken_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (u->broken_fd >= 0)
		return u;
	err_sys("vhost-user: eventfd");
	free(u);
	return NULL;
}

static struct virtio_bus bus_of(struct vhost_user *u)
{
	return (struct virtio_bus){ .mem = &u->mem.mem, .irq = window_irq, .ctx = u };
}

/*
 * Hands @u out, or ends it with @r. Each queue comes with a kick of its own, which takes the place
 * of what the device listens to.
 */
static int made(struct vhost_user *u, int r, struct vhost_user **ret)
{
	assert(r < 0 || !u->window->ops->one_kick);
	if (r == 0)
		r = mmio_kicks_open(u->window);
	if (r < 0)
		vhost_user_free(u);
	else
		*ret = u;
	return r;
}

int vhost_user_fs_new(const struct virtio_fs_config *cfg, struct vhost_user **ret)
{
	struct vhost_user *u = new (1 + MAX(cfg->queues, 1u));
	struct virtio_bus bus;

	if (!u)
		return -ENOMEM;
	bus = bus_of(u);
	return made(u, virtio_fs_new(cfg, &bus, 0, 0, &u->window), ret);
}

int vhost_user_vsock_new(const struct virtio_vsock_config *cfg, struct vhost_user **ret)
{
	struct vhost_user *u = new (VSOCK_RINGS);
	struct virtio_bus bus;

	if (!u)
		return -ENOMEM;
	u->config_len = sizeof(uint64_t); /* guest_cid (virtio 1.2, 5.10.4) */
	bus = bus_of(u);
	return made(u, virtio_vsock_new(cfg, &bus, 0, 0, &u->vsock, &u->window), ret);
}

void vhost_user_vsock_stats(const struct vhost_user *u, struct virtio_vsock_stats *ret)
{
	virtio_vsock_stats(u->vsock, ret);
}

void vhost_user_config(const struct vhost_user *u, uint32_t off, uint8_t *data, uint32_t len)
{
	virtio_mmio_access(u->window, REG_CONFIG + off, data, len, false);
}

void vhost_user_free(struct vhost_user *u)
{
	if (!u)
		return;
	virtio_mmio_free(u->window);
	vhost_user_mem_unmap(&u->mem);
	fd_close(u->broken_fd);
	free(u);
}
