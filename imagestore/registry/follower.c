/* SPDX-License-Identifier: Apache-2.0 */
/* Who unpacks a blob while it comes: reads behind the download, from its ring or its file. */
#include "imagestore/import.h"
#include "imagestore/registry/pipeline.h"

#define FILE_CHUNK (256u << 10)
#define ACCOUNT_NS (2 * NS) /* of unpackers' time are remembered */

struct follower {
	struct pipeline *l;
	struct layer_job *j;
	int fd;
	uint64_t at;
	size_t taken;	   /* bytes from there that were given, and are in use */
	unsigned starts;   /* of the download, when this began */
	uint64_t since_ns; /* when it got its bytes */
	uint8_t chunk[FILE_CHUNK];
};

/* The download began again: other bytes may come, or have been read already. */
static bool is_stale(struct follower *w)
{
	bool stale;

	pthread_mutex_lock(&w->l->lock);
	stale = w->j->starts != w->starts;
	pthread_mutex_unlock(&w->l->lock);
	return stale;
}

/* The reader is at w->at: the download may have waited for it. Half a ring at once is enough. */
static void pass(struct follower *w)
{
	struct layer_job *j = w->j;

	j->at = w->at;
	if (j->held && j->at + RING_SIZE / 2 >= j->have)
		pthread_cond_broadcast(&j->moved);
}

/* Bytes are there after a wait since @from_ns; what is long ago counts less. */
static void account(struct follower *w, uint64_t from_ns)
{
	struct pipeline *l = w->l;
	uint64_t now = clock_ns();

	l->busy_ns += from_ns - w->since_ns;
	l->starved_ns += now - from_ns;
	if (l->busy_ns + l->starved_ns > ACCOUNT_NS) {
		l->busy_ns /= 2;
		l->starved_ns /= 2;
	}
	w->since_ns = now;
	pipeline_let_go(l);
}

/* -ESTALE: the download began again. Under the lock. */
static int wait_for_bytes(struct follower *w)
{
	struct pipeline *l = w->l;
	struct layer_job *j = w->j;
	uint64_t from_ns = clock_ns();

	while (l->failed >= 0 && !j->fetched && j->starts == w->starts &&
	       j->have < w->at + RING_PIECE)
		pthread_cond_wait(&j->moved, &l->lock);
	account(w, from_ns);
	if (l->failed < 0)
		return -ECANCELED;
	return j->starts != w->starts ? -ESTALE : 0;
}

static ssize_t read_file(struct follower *w, uint64_t have, const void **ret)
{
	size_t len = (size_t)MIN((uint64_t)FILE_CHUNK, have - w->at);
	ssize_t n = fd_pread_full(w->fd, w->chunk, len, (off_t)w->at);

	*ret = w->chunk;
	return n;
}

/* What is in the ring stays there until the reader has passed it: is_stale() or not. */
static ssize_t follow(void *ctx, const void **ret)
{
	struct follower *w = ctx;
	struct pipeline *l = w->l;
	uint64_t have;
	ssize_t n = 0;
	int r;

	w->at += w->taken;
	w->taken = 0;
	pthread_mutex_lock(&l->lock);
	pass(w);
	r = wait_for_bytes(w);
	have = w->j->fetched ? UINT64_MAX : w->j->have;
	if (r >= 0 && w->j->ring)
		n = (ssize_t)ring_look(w->j->ring, w->at, w->j->have, ret);
	pthread_mutex_unlock(&l->lock);
	if (r >= 0 && n == 0)
		n = read_file(w, have, ret);
	w->taken = n > 0 ? (size_t)n : 0;
	return r < 0 ? r : n;
}

/* Bytes that are not those of the manifest are the registry's fault, and it is told by them. */
static void wait_for_end(struct follower *w)
{
	pthread_mutex_lock(&w->l->lock);
	while (w->l->failed >= 0 && !w->j->fetched)
		pthread_cond_wait(&w->j->moved, &w->l->lock);
	pthread_mutex_unlock(&w->l->lock);
}

/* Begins at the first byte; or needs no more of them, and the download need not wait. */
static void set_reading(struct follower *w, bool on)
{
	struct layer_job *j = w->j;

	pthread_mutex_lock(&w->l->lock);
	j->read = on;
	j->at = w->at = w->taken = 0;
	w->since_ns = clock_ns();
	if (on)
		w->starts = j->starts;
	else if (j->ring)
		ring_close(j->ring, j->have);
	if (!on && j->fetched)
		pipeline_drop_ring(w->l, j);
	pthread_cond_broadcast(&j->moved);
	pthread_mutex_unlock(&w->l->lock);
}

static int unpack_once(struct follower *w)
{
	const struct image_layer *layer = w->j->layer;
	struct pull *p = w->l->p;
	struct image_layer got = *layer;
	struct import_source source = { .next = follow, .ctx = w };

	set_reading(w, true);
	return import_layer_of(p->l.t, &source, &p->l.bounds, &layer->diff_id, &got);
}

static int unpack_again(struct follower *w)
{
	int r;

	do {
		err_clear();
		r = unpack_once(w);
		set_reading(w, false);
		if (r == -EBADMSG)
			wait_for_end(w);
	} while (r < 0 && is_stale(w));
	return r;
}

int follower_unpack(struct pipeline *l, struct layer_job *j)
{
	_free_ struct follower *w = malloc(sizeof(*w));
	_close_ int own = -1;
	char why[ERR_TEXT_MAX];
	int r;

	if (!w)
		return -ENOMEM;
	w->l = l;
	w->j = j;
	w->fd = j->part.fd;
	if (w->fd < 0) {
		own = w->fd = txn_blob_open(l->p->l.t, &j->part.digest);
		if (own < 0)
			return own;
	}
	r = unpack_again(w);
	j->refused = r == -EFBIG;
	if (r != -EBADMSG)
		return r;
	j->refused = true;
	snprintf(why, sizeof(why), "%s", err_take(r));
	return err(r, "layer sha256:%.12s: %s", digest_hex(&j->part.digest).s, why);
}
