/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/dax.h"

#include "unionfs/union.h"

#include <errno.h>

void dax_init(struct dax *d)
{
	pthread_mutex_init(&d->lock, NULL);
}

void dax_done(struct dax *d)
{
	pthread_mutex_destroy(&d->lock);
	free(d->slots);
	d->slots = NULL;
	d->n = 0;
}

int dax_open(struct dax *d, const struct ufs_carrier *carrier, void *ctx)
{
	size_t n = carrier->dax_len / DAX_SLOT;

	if (!n || !carrier->dax_map || !carrier->dax_unmap)
		return 0;
	d->slots = mem_new(n, sizeof(*d->slots));
	if (!d->slots)
		return -ENOMEM;
	d->n = n;
	d->carrier = *carrier;
	d->ctx = ctx;
	return 0;
}

bool dax_takes(struct ufs *u, uint64_t nodeid)
{
	struct node *n;
	bool own;

	if (!lower_is_object(&u->lower, nodeid))
		return false;
	n = node_get(u, nodeid);
	own = n && !n->data;
	node_put(u, n);
	return !own;
}

/* ---- under the lock ---- */

static int map(struct dax *d, size_t i, const struct dax_slot *s, int fd)
{
	return d->carrier.dax_map(d->ctx, fd, s->off, i * DAX_SLOT, s->len, s->write);
}

/* What the client still reads there is nobody's. */
static void drop(struct dax *d, size_t i)
{
	if (d->slots[i].nodeid)
		d->carrier.dax_unmap(d->ctx, i * DAX_SLOT, DAX_SLOT);
	d->slots[i] = (struct dax_slot){ 0 };
}

/* ---- with it ---- */

int dax_map(struct dax *d, size_t i, const struct dax_slot *s, int fd, uint64_t turn)
{
	int e = -EAGAIN;

	pthread_mutex_lock(&d->lock);
	if (atomic_load(&d->turns) == turn) {
		/* A shorter mapping would leave the rest of the one before. */
		if (d->slots[i].len > s->len)
			drop(d, i);
		e = map(d, i, s, fd);
		if (e)
			drop(d, i);
		else
			d->slots[i] = *s;
	}
	pthread_mutex_unlock(&d->lock);
	return e;
}

void dax_unmap(struct dax *d, size_t i)
{
	pthread_mutex_lock(&d->lock);
	drop(d, i);
	pthread_mutex_unlock(&d->lock);
}

void dax_reset(struct dax *d)
{
	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < d->n; i++)
		drop(d, i);
	pthread_mutex_unlock(&d->lock);
}

void dax_switch(struct dax *d, uint64_t nodeid, int fd)
{
	if (!dax_has(d))
		return;
	pthread_mutex_lock(&d->lock);
	atomic_fetch_add(&d->turns, 1);
	for (size_t i = 0; i < d->n; i++)
		if (d->slots[i].nodeid == nodeid && map(d, i, &d->slots[i], fd))
			drop(d, i);
	pthread_mutex_unlock(&d->lock);
}
