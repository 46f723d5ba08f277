/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/readers.h"

#define RECENT	0xffu	    /* of the history: what says how it is now */
#define CROWD	3	    /* so many of these are not one client's that asks and waits */
#define LONG	(32u << 10) /* bytes: to read or write more takes long */

/* Of the thread that runs: set once it has waited. */
static _Thread_local struct readers *own;

int readers_init(struct readers *r)
{
	int e;

	*r = (struct readers){ 0 };
	e = pthread_mutex_init(&r->lock, NULL);
	if (!e && (e = pthread_cond_init(&r->called, NULL)))
		pthread_mutex_destroy(&r->lock);
	return -e;
}

void readers_done(struct readers *r)
{
	pthread_cond_destroy(&r->called);
	pthread_mutex_destroy(&r->lock);
}

static bool crowded(const struct readers *r)
{
	return __builtin_popcount(r->history & RECENT) >= CROWD;
}

bool readers_wait(struct readers *r)
{
	bool ended;

	own = r;
	pthread_mutex_lock(&r->lock);
	if (r->reading && !crowded(r)) {
		r->standing_by++;
		while (!r->calls && !r->ended)
			pthread_cond_wait(&r->called, &r->lock);
		r->calls -= r->calls != 0;
	}
	r->reading++;
	ended = r->ended;
	pthread_mutex_unlock(&r->lock);
	return !ended;
}

bool readers_crowded(struct readers *r)
{
	bool is;

	pthread_mutex_lock(&r->lock);
	is = crowded(r);
	pthread_mutex_unlock(&r->lock);
	return is;
}

/* Whether a thread is to be woken. Under the lock. */
static bool call(struct readers *r)
{
	if (r->reading || !r->standing_by)
		return false;
	/* It does not stand by from here on, so that nobody else counts on it. */
	r->standing_by--;
	r->calls++;
	return true;
}

/* Nobody waits for these. */
static bool has_no_client(uint32_t opcode)
{
	return opcode == WIRE_FORGET || opcode == WIRE_BATCH_FORGET || opcode == WIRE_INTERRUPT;
}

static bool takes_long(const struct wire_in_header *h)
{
	switch (h->opcode) {
	case WIRE_READ:
		return ((const struct wire_read_in *)(h + 1))->size > LONG;
	case WIRE_WRITE:
		return h->len > LONG;
	case WIRE_FSYNC:
	case WIRE_FSYNCDIR:
	case WIRE_SYNCFS:
	case WIRE_FALLOCATE:
	case WIRE_COPY_FILE_RANGE:
		return true;
	}
	return false;
}

void readers_took(struct readers *r, const struct wire_in_header *h)
{
	bool is_long = h && takes_long(h), wake;

	pthread_mutex_lock(&r->lock);
	r->reading--;
	if (h && !has_no_client(h->opcode)) {
		bool other = !h->pid || h->pid != r->pid;

		r->pid = h->pid;
		r->history = r->history << 1 | other | is_long;
	}
	wake = (is_long || crowded(r)) && call(r);
	pthread_mutex_unlock(&r->lock);
	if (wake)
		pthread_cond_signal(&r->called);
}

void readers_end(struct readers *r)
{
	pthread_mutex_lock(&r->lock);
	r->ended = true;
	pthread_mutex_unlock(&r->lock);
	pthread_cond_broadcast(&r->called);
}

void readers_let_others(void)
{
	struct readers *r = own;
	bool wake;

	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	wake = call(r);
	pthread_mutex_unlock(&r->lock);
	if (wake)
		pthread_cond_signal(&r->called);
}
