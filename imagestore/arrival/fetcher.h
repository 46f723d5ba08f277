/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who fetches for an arriving image: threads that answer the desk (fetch.c), one that brings the
 * rest (behind.c), and the chunks themselves (chunks.c). One lock: for the questions under way, the
 * end, and the list of what was read.
 */
#ifndef IMAGESTORE_ARRIVAL_FETCHER_H
#define IMAGESTORE_ARRIVAL_FETCHER_H

#include "imagestore/arrival/desk.h"
#include "imagestore/arrival/folder.h"
#include "imagestore/registry/registry.h"
#include <pthread.h>

#define AHEAD	 (256u << 10) /* packed bytes that are fetched with what was asked for */
#define GAP	 (128u << 10) /* no more between two pieces, and they are fetched as one */
#define READ_MAX 65536u	      /* entries of the list of what was read */

struct fetcher {
	struct store *s;
	struct digest manifest;
	int dirfd;
	struct arrival_note note;
	char *host, *repo;
	char **servers; /* mirrors; behind them the registry itself */
	struct table table;
	struct state state;
	int data_fd;
	struct desk *desk; /* NULL: nobody asks */
	int door;

	pthread_mutex_t lock;
	pthread_cond_t rung;
	uint64_t taken;	   /* slots whose question is being answered */
	bool ended;	   /* who asks is gone */
	bool recording;	   /* nobody has before */
	uint32_t *touched; /* chunks: first, end, first, end... */
	size_t ntouched, touched_cap;
};

/* ---- chunks.c ---- */

/* One thread's way to the blobs. */
struct chunk_source {
	struct fetcher *f;
	struct registry *r; /* NULL before it is needed */
	size_t server;	    /* of f->servers, or behind the last */
};
void chunk_source_done(struct chunk_source *c);
/*
 * Brings those of the @n chunks of @list, which stand as they do in their blobs, that are not here:
 * 0, or -errno with a text. What lies close together comes by one request.
 */
int chunks_fetch(struct chunk_source *c, const uint32_t *list, size_t n);

/* ---- touched.c ---- */

/* Under the lock. Writes the list now and then. */
void touched_note(struct fetcher *f, uint32_t first, uint32_t end);
/* Writes the list, when it is one of a first run. */
void touched_keep(struct fetcher *f);
/* Fetches what the list of an earlier run has. */
void touched_fetch(struct fetcher *f);

/* ---- behind.c ---- */

/* Whether it still arrives: it may have been removed. */
bool fetcher_goes_on(struct fetcher *f);
/*
 * Brings the rest, when nobody else does: 0, -EWOULDBLOCK, or why not. With @wait it waits for who
 * does.
 */
int behind_run(struct fetcher *f, bool wait);

#endif
