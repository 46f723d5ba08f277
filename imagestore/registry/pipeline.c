/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers downloaded and unpacked at once: some threads fetch blobs into partial/, others read the
 * same files behind them, while they grow, and make layers of them in the transaction. A layer
 * counts when both are done: its blob has the digest of the manifest, and its tar the diffID of the
 * config. The large ones begin first.
 *
 * One lock, for the jobs' progress and for who is told of it; nothing is done under it.
 */
#include "imagestore/import.h"
#include "imagestore/registry/pull.h"
#include <pthread.h>
#include <sched.h>

#define FETCHERS      3
#define UNPACKERS_MAX 4
#define PIECE	      (128u << 10) /* what an unpacker waits for, at least */

struct pipeline {
	struct pull *p;
	struct layer_job **jobs; /* the largest first */
	size_t n;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t next_fetch, next_unpack;
	int failed;
	char why[ERR_TEXT_MAX];
};

/* ---- under the lock ---- */

static void tell(struct pipeline *l, const struct layer_job *j, enum transfer_state state,
		 uint64_t done)
{
	const struct pull_options *o = l->p->o;
	struct transfer t = { .blob = j->part.digest,
			      .state = state,
			      .done = done,
			      .size = j->part.size,
			      .count = l->n };

	if (o->progress)
		o->progress(o->ctx, &t);
}

/* The first failure counts; the others are its consequences. Takes the text of this thread. */
static void fail(struct pipeline *l, int r)
{
	const char *why = err_take(r);

	if (l->failed >= 0) {
		l->failed = r;
		snprintf(l->why, sizeof(l->why), "%s", why);
	}
	pthread_cond_broadcast(&l->changed);
}

/* ---- fetching ---- */

struct fetching {
	struct pipeline *l;
	struct layer_job *j;
};

/* The file has @have bytes by now, or begins again with less. */
static int on_growth(void *ctx, uint64_t have)
{
	struct fetching *f = ctx;
	const struct pull_rest *rest = f->l->p->o->rest;
	int r = rest ? rest->pace(rest->ctx) : 0;

	if (r < 0)
		return r;
	pthread_mutex_lock(&f->l->lock);
	if (have < f->j->have)
		f->j->starts++;
	f->j->have = have;
	tell(f->l, f->j, TRANSFER_GOES, have);
	pthread_cond_broadcast(&f->l->changed);
	r = f->l->failed < 0 ? -ECANCELED : 0;
	pthread_mutex_unlock(&f->l->lock);
	return r;
}

static int fetch(struct pipeline *l, struct layer_job *j, struct registry **r)
{
	struct fetching f = { .l = l, .j = j };
	int e = 0;

	if (j->part.fd < 0)
		return 0;
	if (!*r)
		e = registry_clone(l->p->r, r);
	j->part.grew = on_growth;
	j->part.ctx = &f;
	if (e >= 0)
		e = partial_fetch(*r, l->p->s, &j->part);
	j->part.grew = NULL;
	if (e == -EBADMSG)
		layer_job_forget(l->p, j);
	return e;
}

static void *fetcher(void *ctx)
{
	struct pipeline *l = ctx;
	struct registry *own = NULL;

	pthread_mutex_lock(&l->lock);
	while (l->failed >= 0 && l->next_fetch < l->n) {
		struct layer_job *j = l->jobs[l->next_fetch++];
		int r;

		pthread_mutex_unlock(&l->lock);
		r = fetch(l, j, &own);
		pthread_mutex_lock(&l->lock);
		if (r < 0) {
			fail(l, r);
			break;
		}
		j->fetched = true;
		if (j->part.fd < 0 && !j->unpack)
			tell(l, j, TRANSFER_HERE, j->part.size);
		else
			tell(l, j, j->unpack ? TRANSFER_UNPACKS : TRANSFER_DONE, j->part.size);
		pthread_cond_broadcast(&l->changed);
	}
	pthread_mutex_unlock(&l->lock);
	registry_close(own);
	return NULL;
}

/* ---- unpacking ---- */

/* Who reads a blob's file while it grows. */
struct follower {
	struct pipeline *l;
	struct layer_job *j;
	int fd;
	uint64_t at;
	unsigned starts; /* of the download, when this began */
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

/* -ESTALE: the download began again. */
static int wait_for_bytes(struct follower *w, size_t want, uint64_t *ret_have)
{
	struct pipeline *l = w->l;
	int r = 0;

	pthread_mutex_lock(&l->lock);
	while (l->failed >= 0 && !w->j->fetched && w->j->starts == w->starts &&
	       w->j->have < w->at + want)
		pthread_cond_wait(&l->changed, &l->lock);
	if (l->failed < 0)
		r = -ECANCELED;
	else if (w->j->starts != w->starts)
		r = -ESTALE;
	*ret_have = w->j->fetched ? UINT64_MAX : w->j->have;
	pthread_mutex_unlock(&l->lock);
	return r;
}

static ssize_t follow(void *ctx, void *data, size_t len)
{
	struct follower *w = ctx;
	uint64_t have = 0;
	int r = wait_for_bytes(w, MIN(len, (size_t)PIECE), &have);
	ssize_t n;

	if (r < 0)
		return r;
	n = fd_pread_full(w->fd, data, (size_t)MIN((uint64_t)len, have - w->at), (off_t)w->at);
	if (n > 0)
		w->at += (uint64_t)n;
	return n;
}

/* Bytes that are not those of the manifest are the registry's fault, and it is told by them. */
static void wait_for_end(struct follower *w)
{
	pthread_mutex_lock(&w->l->lock);
	while (w->l->failed >= 0 && !w->j->fetched)
		pthread_cond_wait(&w->l->changed, &w->l->lock);
	pthread_mutex_unlock(&w->l->lock);
}

static int unpack_once(struct follower *w)
{
	const struct image_layer *layer = w->j->layer;
	struct pull *p = w->l->p;
	struct image_layer got = *layer;
	struct import_source source = { .read = follow, .ctx = w };

	w->at = 0;
	pthread_mutex_lock(&w->l->lock);
	w->starts = w->j->starts;
	pthread_mutex_unlock(&w->l->lock);
	return import_layer_of(p->l.t, &source, &p->l.bounds, &layer->diff_id, &got);
}

static int unpack(struct pipeline *l, struct layer_job *j)
{
	struct follower w = { .l = l, .j = j, .fd = j->part.fd };
	_close_ int own = -1;
	char why[ERR_TEXT_MAX];
	int r;

	if (w.fd < 0) {
		own = w.fd = txn_blob_open(l->p->l.t, &j->part.digest);
		if (own < 0)
			return own;
	}
	do {
		err_clear();
		r = unpack_once(&w);
		if (r == -EBADMSG)
			wait_for_end(&w);
	} while (r < 0 && is_stale(&w));
	j->refused = r == -EFBIG;
	if (r != -EBADMSG)
		return r;
	j->refused = true;
	snprintf(why, sizeof(why), "%s", err_take(r));
	return err(r, "layer sha256:%.12s: %s", digest_hex(&j->part.digest).s, why);
}

static void *unpacker(void *ctx)
{
	struct pipeline *l = ctx;

	pthread_mutex_lock(&l->lock);
	while (l->failed >= 0 && l->next_unpack < l->n) {
		struct layer_job *j = l->jobs[l->next_unpack];
		int r;

		/* In the order of the downloads: what is begun can be read. */
		if (l->next_unpack >= l->next_fetch) {
			pthread_cond_wait(&l->changed, &l->lock);
			continue;
		}
		l->next_unpack++;
		if (!j->unpack)
			continue;
		pthread_mutex_unlock(&l->lock);
		r = unpack(l, j);
		pthread_mutex_lock(&l->lock);
		if (r < 0)
			fail(l, r);
		else
			tell(l, j, j->part.fd < 0 ? TRANSFER_HERE : TRANSFER_DONE, j->part.size);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* ---- threads ---- */

static int by_size(const void *a, const void *b)
{
	const struct layer_job *x = *(struct layer_job *const *)a,
			       *y = *(struct layer_job *const *)b;

	return (x->part.size < y->part.size) - (x->part.size > y->part.size);
}

/* Two at least: one may wait for bytes that come slowly. */
static size_t unpackers(void)
{
	cpu_set_t set;
	size_t n = sched_getaffinity(0, sizeof(set), &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;

	return n < 2 ? 2 : MIN(n, (size_t)UNPACKERS_MAX);
}

static size_t start(struct pipeline *l, void *(*main)(void *), size_t want, pthread_t *threads)
{
	size_t n = 0;

	while (n < MIN(want, l->n) && pthread_create(&threads[n], NULL, main, l) == 0)
		n++;
	return n;
}

static int run(struct pipeline *l)
{
	pthread_t threads[FETCHERS + UNPACKERS_MAX];
	size_t n = start(l, fetcher, l->p->o->rest ? 1 : FETCHERS, threads), m = 0;

	if (n)
		m = start(l, unpacker, unpackers(), threads + n);
	if (n == 0 || m == 0) {
		pthread_mutex_lock(&l->lock);
		fail(l, err(-EAGAIN, "no thread could be started"));
		pthread_mutex_unlock(&l->lock);
	}
	for (size_t i = 0; i < n + m; i++)
		pthread_join(threads[i], NULL);
	return l->failed < 0 ? err(l->failed, "%s", l->why) : 0;
}

int pipeline_run(struct pull *p, struct layer_job *jobs, size_t n)
{
	struct pipeline l = { .p = p,
			      .n = n,
			      .lock = PTHREAD_MUTEX_INITIALIZER,
			      .changed = PTHREAD_COND_INITIALIZER };
	int r;

	if (n == 0)
		return 0;
	l.jobs = mem_new(n, sizeof(*l.jobs));
	if (!l.jobs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		l.jobs[i] = &jobs[i];
		tell(&l, &jobs[i], TRANSFER_WAITS, 0);
	}
	qsort(l.jobs, n, sizeof(*l.jobs), by_size);
	r = run(&l);
	pthread_cond_destroy(&l.changed);
	pthread_mutex_destroy(&l.lock);
	free(l.jobs);
	return r;
}
