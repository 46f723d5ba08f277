/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of a split ring. Whoever calls sees to it that one thread at a time is in here
 * for one queue.
 */
#include "virtio/ring.h"
#include "virtio/virtio.h"
#include <errno.h>

static int broken(struct virtq *q)
{
	q->broken = true;
	return -EPROTO;
}

/* A table of descriptors, the ring's own or an indirect one. */
struct table {
	const struct ring_desc *desc;
	unsigned num;
};

static bool placed(const struct mem *m, uint64_t gpa, uint64_t len, unsigned align)
{
	void *p = mem_at(m, gpa, len);

	return p && gpa % align == 0 && (uintptr_t)p % align == 0;
}

int virtq_check(const struct virtq *q, const struct mem *m)
{
	if (!q->num || q->num > VIRTQ_MAX || (q->num & (q->num - 1)))
		return -EINVAL;
	if (!placed(m, q->desc, RING_DESC_SIZE(q->num), RING_DESC_ALIGN) ||
	    !placed(m, q->avail, RING_AVAIL_SIZE(q->num), RING_AVAIL_ALIGN) ||
	    !placed(m, q->used, RING_USED_SIZE(q->num), RING_USED_ALIGN))
		return -EINVAL;
	return 0;
}

/*
 * A 16-bit field of the avail or used ring at @gpa; virtq_check() saw to its place. NULL if that
 * never passed.
 */
static uint16_t *field(const struct mem *m, uint64_t gpa, uint64_t off)
{
	return mem_at(m, gpa + off, sizeof(uint16_t));
}

static int avail_idx(const struct virtq *q, const struct mem *m, uint16_t *ret)
{
	const uint16_t *idx = field(m, q->avail, RING_IDX);

	if (!idx)
		return -EPROTO;
	*ret = __atomic_load_n(idx, __ATOMIC_SEQ_CST);
	return 0;
}

int virtq_pending(struct virtq *q, const struct mem *m)
{
	uint16_t idx, n;

	if (!q->ready || q->broken)
		return q->broken ? -EPROTO : 0;
	if (avail_idx(q, m, &idx) < 0)
		return broken(q);
	n = (uint16_t)(idx - q->last_avail);
	return n > q->num ? broken(q) : n;
}

/* Looks once more after arming: the guest may have put one before it could know. */
int virtq_arm(struct virtq *q, const struct mem *m)
{
	int n = virtq_pending(q, m);
	uint16_t *event;

	if (n != 0 || !q->event_idx || !q->ready)
		return n;
	event = field(m, q->used, RING_USED_SIZE(q->num) - 2);
	if (!event)
		return broken(q);
	__atomic_store_n(event, q->last_avail, __ATOMIC_SEQ_CST);
	return virtq_pending(q, m);
}

/* Copies a descriptor out of the guest's reach. */
static struct ring_desc desc_copy(const struct ring_desc *d)
{
	const uint64_t *word = (const uint64_t *)d;
	uint64_t tail = __atomic_load_n(&word[1], __ATOMIC_RELAXED);

	return (struct ring_desc){
		.addr = __atomic_load_n(&word[0], __ATOMIC_RELAXED),
		.len = (uint32_t)tail,
		.flags = (uint16_t)(tail >> 32),
		.next = (uint16_t)(tail >> 48),
	};
}

static bool in_window(const struct mem *m, const struct ring_desc *d)
{
	const struct mem_region *w = &m->window;

	return d->addr >= w->gpa && d->addr - w->gpa < w->len &&
	       d->len <= w->len - (d->addr - w->gpa);
}

static int chain_add(struct virtq_chain *c, const struct mem *m, const struct ring_desc *d)
{
	void *p;

	if (!(d->flags & DESC_F_WRITE) && c->nout)
		return -EPROTO; /* what the device reads comes before what it writes (2.7.4.2) */
	if (!d->len)
		return 0;
	/* A driver must not make a longer one (2.7.5.2), and the lengths of its parts add up. */
	if (c->in_len + c->out_len + d->len > UINT32_MAX)
		return -EPROTO;
	p = mem_at(m, d->addr, d->len);
	if (!p)
		return in_window(m, d) ? 0 : -EPROTO;
	if (d->flags & DESC_F_WRITE) {
		c->out[c->nout++] = (struct iovec){ p, d->len };
		c->out_len += d->len;
	} else {
		c->in[c->nin++] = (struct iovec){ p, d->len };
		c->in_len += d->len;
	}
	return 0;
}

/* Turns to the table that @d points to; in an indirect one there is no further (2.7.5.3.1). */
static int table_enter(struct table *t, const struct mem *m, const struct ring_desc *d)
{
	if (d->flags & DESC_F_NEXT || !d->len || d->len % sizeof(*d) ||
	    d->len / sizeof(*d) > VIRTQ_CHAIN_MAX)
		return -EPROTO;
	t->desc = mem_at(m, d->addr, d->len);
	if (!t->desc || (uintptr_t)t->desc % sizeof(uint64_t))
		return -EPROTO;
	t->num = d->len / (unsigned)sizeof(*d);
	return 0;
}

/*
 * Walks a chain from @i on: descriptors of the ring, the last of which may be a whole table
 * (2.7.5.3.2). All are counted, so that a loop ends and the arrays of @c suffice.
 */
static int chain_walk(struct virtq *q, const struct mem *m, unsigned i, struct virtq_chain *c)
{
	struct table t = { mem_at(m, q->desc, RING_DESC_SIZE(q->num)), q->num };
	bool indirect = false;

	for (unsigned count = 0; t.desc && i < t.num && count < VIRTQ_CHAIN_MAX; count++) {
		struct ring_desc d = desc_copy(&t.desc[i]);

		if (d.flags & DESC_F_INDIRECT) {
			if (indirect || !q->indirect || table_enter(&t, m, &d) < 0)
				return -EPROTO;
			indirect = true;
			i = 0;
			continue;
		}
		if (chain_add(c, m, &d) < 0)
			return -EPROTO;
		if (!(d.flags & DESC_F_NEXT))
			return 0;
		i = d.next;
	}
	return -EPROTO;
}

int virtq_pop(struct virtq *q, const struct mem *m, struct virtq_chain *ret)
{
	int n = virtq_arm(q, m);
	const uint16_t *entry;

	if (n <= 0)
		return n;
	entry = field(m, q->avail, RING_ENTRIES + 2u * (q->last_avail & (q->num - 1u)));
	if (!entry)
		return broken(q);
	ret->head = __atomic_load_n(entry, __ATOMIC_RELAXED);
	ret->nin = ret->nout = 0;
	ret->in_len = ret->out_len = 0;
	if (chain_walk(q, m, ret->head, ret) < 0)
		return broken(q);
	q->last_avail++;
	return 1;
}

void virtq_unpop(struct virtq *q)
{
	q->last_avail--;
}

int virtq_push(struct virtq *q, const struct mem *m, uint16_t head, uint32_t written)
{
	struct ring_used_elem *elem;
	uint16_t *idx;

	if (!q->ready || q->broken)
		return -EPROTO;
	elem = mem_at(m, q->used + RING_ENTRIES + sizeof(*elem) * (q->used_idx & (q->num - 1u)),
		      sizeof(*elem));
	idx = field(m, q->used, RING_IDX);
	if (!elem || !idx)
		return broken(q);
	__atomic_store_n(&elem->id, head, __ATOMIC_RELAXED);
	__atomic_store_n(&elem->len, written, __ATOMIC_RELAXED);
	__atomic_store_n(idx, ++q->used_idx, __ATOMIC_SEQ_CST);
	return 0;
}

/*
 * Whether the guest wants an interrupt for what was pushed since it was last asked (2.7.7, 2.7.10).
 * We write used.idx and then look what it wants, it writes what it wants and then looks at
 * used.idx: both in one order for all (SEQ_CST), so that one of the two sees the other. The same
 * with avail.idx in virtq_arm().
 */
static bool wanted(struct virtq *q, const struct mem *m)
{
	const uint16_t *flags = field(m, q->avail, 0);
	const uint16_t *event = field(m, q->avail, RING_AVAIL_SIZE(q->num) - 2);
	uint16_t old = q->signalled;

	if (!flags || !event || old == q->used_idx)
		return false;
	q->signalled = q->used_idx;
	if (!q->event_idx)
		return !(__atomic_load_n(flags, __ATOMIC_SEQ_CST) & RING_AVAIL_F_NO_INTERRUPT);
	return (uint16_t)(q->used_idx - __atomic_load_n(event, __ATOMIC_SEQ_CST) - 1) <
	       (uint16_t)(q->used_idx - old);
}

void virtq_flush(struct virtq *q, const struct mem *m)
{
	if (!q->ready || q->broken)
		return;
	if (wanted(q, m) && q->notify)
		q->notify(q->notify_ctx, q->index);
}
