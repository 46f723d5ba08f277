/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers downloaded and unpacked at once: some threads fetch blobs into partial/, others read the
 * same files behind them, while they grow, and make layers of them in the transaction. A layer
 * counts when both are done: its blob has the digest of the manifest, and its tar the diffID of the
 * config. The large ones begin first.
 *
 * What came a moment ago is taken from memory (ring.h), which costs less than reading the file.
 * Therefore a download that is faster than the unpacking waits for it: while every unpacker has
 * enough to do nothing is lost by that. It waits for seconds at most, then goes on alone; and where
 * unpackers wait for bytes half of their time, those that nobody unpacks yet do not wait at all.
 *
 * One lock, for the jobs' progress and for who is told of it; nothing is done under it.
 */
#include "imagestore/registry/pipeline.h"

#include <sched.h>

#define FETCHERS      3
#define UNPACKERS_MAX 4
#define RINGS_MAX     (8 * RING_SIZE) /* bytes of all rings */
#define HOLD_NS	      (5 * NS)	      /* a download waits for its unpacker so long */

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
	for (size_t i = 0; i < l->n; i++)
		pthread_cond_broadcast(&l->jobs[i]->moved);
}

/* ---- rings ---- */

void pipeline_drop_ring(struct pipeline *l, struct layer_job *j)
{
	if (j->ring)
		l->rings -= j->ring->size;
	free(take_ptr(j->ring));
	j->ring_done = true;
}

/* The download of a job goes on at @at: *@ret_held says that it must wait. */
static struct ring *ring_of(struct pipeline *l, struct layer_job *j, uint64_t at, bool *ret_held)
{
	*ret_held = false;
	if (!j->ring && !j->ring_done && j->unpack && l->rings + RING_SIZE <= RINGS_MAX) {
		j->ring = ring_new(at, j->part.size);
		if (j->ring)
			l->rings += j->ring->size;
	}
	j->ring_done |= !j->ring;
	if (!j->ring || j->ring->closed)
		return NULL;
	*ret_held = l->failed >= 0 && (j->read || !pipeline_starves(l)) &&
		    ring_is_full(j->ring, at, j->read ? j->at : 0);
	return j->ring;
}

void pipeline_let_go(struct pipeline *l)
{
	if (!pipeline_starves(l))
		return;
	for (size_t i = 0; i < l->next_fetch; i++) {
		if (l->jobs[i]->held && !l->jobs[i]->read)
			pthread_cond_broadcast(&l->jobs[i]->moved);
	}
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
	if (have < f->j->have) {
		f->j->starts++;
		if (f->j->ring)
			ring_close(f->j->ring, 0);
	}
	f->j->have = have;
	tell(f->l, f->j, TRANSFER_GOES, have);
	pthread_cond_broadcast(&f->j->moved);
	r = f->l->failed < 0 ? -ECANCELED : 0;
	pthread_mutex_unlock(&f->l->lock);
	return r;
}

/* Until the reader is far enough, or for too long: the ring is left to him then. */
static void hold(struct pipeline *l, struct layer_job *j, uint64_t at)
{
	uint64_t until_ns = clock_ns() + HOLD_NS;
	const struct timespec until = { (time_t)(until_ns / NS), (long)(until_ns % NS) };
	bool held = true;
	int e = 0;

	j->held = true;
	while (held && e != ETIMEDOUT) {
		e = pthread_cond_clockwait(&j->moved, &l->lock, CLOCK_MONOTONIC, &until);
		ring_of(l, j, at, &held);
	}
	j->held = false;
	if (held)
		ring_close(j->ring, j->have);
}

static uint8_t *ring_room(void *ctx, uint64_t at)
{
	struct fetching *f = ctx;
	struct pipeline *l = f->l;
	struct ring *ring;
	uint8_t *to = NULL;
	bool held;

	pthread_mutex_lock(&l->lock);
	ring = ring_of(l, f->j, at, &held);
	if (held)
		hold(l, f->j, at);
	if (ring && !ring->closed)
		to = ring_claim(ring, at);
	pthread_mutex_unlock(&l->lock);
	return to;
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
	j->part.room = ring_room;
	j->part.ctx = &f;
	if (e >= 0)
		e = partial_fetch(*r, l->p->s, &j->part);
	j->part.grew = NULL;
	j->part.room = NULL;
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

		pthread_cond_broadcast(&l->changed);
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
		pthread_cond_broadcast(&j->moved);
	}
	pthread_mutex_unlock(&l->lock);
	registry_close(own);
	return NULL;
}

/* ---- unpacking ---- */

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
		r = follower_unpack(l, j);
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
		pthread_cond_init(&jobs[i].moved, NULL);
		tell(&l, &jobs[i], TRANSFER_WAITS, 0);
	}
	qsort(l.jobs, n, sizeof(*l.jobs), by_size);
	r = run(&l);
	for (size_t i = 0; i < n; i++) {
		pipeline_drop_ring(&l, &jobs[i]);
		pthread_cond_destroy(&jobs[i].moved);
	}
	pthread_cond_destroy(&l.changed);
	pthread_mutex_destroy(&l.lock);
	free(l.jobs);
	return r;
}
