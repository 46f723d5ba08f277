/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a window and of its device, saved and loaded (docs/formats/snapshot.md, "Devices").
 * What is loaded is checked as a driver's writes are: it may have been tampered with.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "virtio/mmio.h"
#include "virtio/ring.h"
#include <errno.h>

#define STATE_VERSION 1u

struct state_head {
	uint32_t version, device_id, nqueues, own_len;
	uint32_t status, interrupt_status, config_generation;
	uint32_t device_features_sel, driver_features_sel, queue_sel;
	uint64_t driver_features;
};

struct state_queue {
	uint64_t desc, avail, used;
	uint16_t num, last_avail, used_idx, signalled;
	uint8_t ready, broken, reserved[6];
};

/* ---- saving ---- */

static struct state_queue queue_state(const struct virtq *q)
{
	return (struct state_queue){
		.desc = q->desc,
		.avail = q->avail,
		.used = q->used,
		.num = q->num,
		.last_avail = q->last_avail,
		.used_idx = q->used_idx,
		.signalled = q->signalled,
		.ready = q->ready,
		.broken = q->broken,
	};
}

static int save(struct virtio_mmio *m, struct buf *own, struct buf *out)
{
	struct state_head h = {
		.version = STATE_VERSION,
		.device_id = m->ops->device_id,
		.nqueues = m->nqueues,
		.status = reg_load(m, REG_STATUS),
		.interrupt_status = reg_load(m, REG_INTERRUPT_STATUS),
		.config_generation = reg_load(m, REG_CONFIG_GENERATION),
		.device_features_sel = m->device_features_sel,
		.driver_features_sel = m->driver_features_sel,
		.queue_sel = m->queue_sel,
		.driver_features = m->driver_features,
	};
	int r = m->ops->save ? m->ops->save(m->dev, own) : 0;

	if (r < 0)
		return r;
	h.own_len = (uint32_t)own->len;
	buf_add(out, &h, sizeof(h));
	for (unsigned i = 0; i < m->nqueues; i++) {
		struct state_queue q = queue_state(&m->queues[i]);

		buf_add(out, &q, sizeof(q));
	}
	buf_add(out, own->data, own->len);
	return own->failed || out->failed ? err(-ENOMEM, "virtio %s: no memory", m->ops->name) : 0;
}

int virtio_mmio_save(struct virtio_mmio *m, struct buf *out)
{
	_buf_done_ struct buf own = { 0 };
	int r;

	pthread_mutex_lock(&m->lock);
	mmio_deactivate(m);
	r = save(m, &own, out);
	pthread_mutex_unlock(&m->lock);
	return r;
}

/* ---- loading ---- */

static int bad(const struct virtio_mmio *m, const char *what)
{
	return err(-EBADMSG, "snapshot: virtio %s: %s", m->ops->name, what);
}

/* As the driver could have brought it about, and no other way. */
static int head_check(const struct virtio_mmio *m, const struct state_head *h, size_t len)
{
	const uint32_t known = 3 | STATUS_DRIVER_OK | STATUS_FEATURES_OK | STATUS_NEEDS_RESET |
			       0x80 /* FAILED */;

	if (h->version != STATE_VERSION || h->device_id != m->ops->device_id ||
	    h->nqueues != m->nqueues)
		return bad(m, "of another device");
	if (len != sizeof(*h) + m->nqueues * sizeof(struct state_queue) + h->own_len ||
	    (h->own_len && !m->ops->load))
		return bad(m, "impossible length");
	if (h->status & ~known ||
	    ((h->status & STATUS_DRIVER_OK) && !(h->status & STATUS_FEATURES_OK)) ||
	    h->interrupt_status & ~(INTERRUPT_QUEUE | INTERRUPT_CONFIG))
		return bad(m, "impossible status");
	if ((h->status & STATUS_FEATURES_OK) && (!(h->driver_features & VIRTIO_F_VERSION_1) ||
						 (h->driver_features & ~mmio_features_offered(m))))
		return bad(m, "features that were not offered");
	return 0;
}

static int queue_load(const struct virtio_mmio *m, const struct state_queue *s, struct virtq *q)
{
	q->desc = s->desc;
	q->avail = s->avail;
	q->used = s->used;
	q->num = s->num;
	q->last_avail = s->last_avail;
	q->used_idx = s->used_idx;
	q->signalled = s->signalled;
	q->ready = s->ready;
	q->broken = s->broken;
	if (s->ready > 1 || s->broken > 1 || s->num > m->ops->queue_size)
		return bad(m, "impossible queue");
	return s->ready && virtq_check(q, m->bus.mem) < 0 ? bad(m, "a queue outside memory") : 0;
}

static void head_load(struct virtio_mmio *m, const struct state_head *h)
{
	m->driver_features = h->driver_features;
	m->device_features_sel = h->device_features_sel;
	m->driver_features_sel = h->driver_features_sel;
	m->queue_sel = h->queue_sel;
	reg_store(m, REG_STATUS, h->status);
	reg_store(m, REG_INTERRUPT_STATUS, h->interrupt_status);
	reg_store(m, REG_CONFIG_GENERATION, h->config_generation);
}

static int load(struct virtio_mmio *m, const uint8_t *data, size_t len)
{
	const uint8_t *at = data + sizeof(struct state_head);
	struct state_head h;
	int r;

	if (len < sizeof(h))
		return bad(m, "cut off");
	memcpy(&h, data, sizeof(h));
	r = head_check(m, &h, len);
	mmio_reset(m);
	for (unsigned i = 0; r == 0 && i < m->nqueues; i++, at += sizeof(struct state_queue)) {
		struct state_queue q;

		memcpy(&q, at, sizeof(q));
		r = queue_load(m, &q, &m->queues[i]);
	}
	if (r == 0 && m->ops->load && m->ops->load(m->dev, at, h.own_len) < 0)
		r = bad(m, "impossible state of its own");
	mmio_config_show(m);
	if (r == 0)
		head_load(m, &h);
	else
		mmio_reset(m);
	mmio_page_follow(m);
	return r;
}

int virtio_mmio_load(struct virtio_mmio *m, const void *data, size_t len)
{
	int r;

	pthread_mutex_lock(&m->lock);
	r = load(m, data, len);
	pthread_mutex_unlock(&m->lock);
	return r;
}

int virtio_mmio_resume(struct virtio_mmio *m)
{
	int r = 0;

	pthread_mutex_lock(&m->lock);
	if (!m->active && (reg_load(m, REG_STATUS) & STATUS_DRIVER_OK)) {
		mmio_activate(m);
		r = m->active ? 0 : err(-EAGAIN, "virtio %s: cannot be resumed", m->ops->name);
	}
	pthread_mutex_unlock(&m->lock);
	return r;
}
