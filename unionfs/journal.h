/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What outlives a server: docs/formats/union.md, "The journal". A shared memory with what INIT
 * agreed on, one slot per serving thread, and what earlier servers left in theirs.
 *
 * A slot belongs to its thread; `kept` is written by the server that starts, before it serves, and
 * an entry of it by the one thread that has its request. No lock.
 */
#ifndef UNIONFS_JOURNAL_H
#define UNIONFS_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_MAGIC	0x316c6a5fu /* "_jl1" in memory */
#define JOURNAL_SLOTS	64u	    /* serving threads */
#define JOURNAL_KEPT	128u	    /* requests that dead servers had: newer ones push out older */
#define JOURNAL_REPLY	256u	    /* the longest reply of a change: an entry, 16 + 128 bytes */
#define JOURNAL_NAMES	2u
#define JOURNAL_KILLERS 3u /* a request that so many servers died of is not tried again */

/* The kernel marks a request that it sends again (Linux fs/fuse/dev.c, FUSE_UNIQUE_RESEND). */
#define JOURNAL_RESENT (1ull << 63)

enum journal_phase {
	JOURNAL_FREE,
	JOURNAL_BUSY,  /* taken; may be done again from its beginning */
	JOURNAL_BEGUN, /* a change whose names are noted: compare before doing it again */
	JOURNAL_DONE,  /* its reply stands here, and may not have arrived */
};

struct journal_record {
	atomic_uint_fast64_t unique; /* without JOURNAL_RESENT */
	atomic_uint_fast32_t phase;
	uint32_t deaths;	       /* of servers that had it */
	uint64_t noted[JOURNAL_NAMES]; /* the nodeid of each name before, 0 = none */
	uint64_t reply_len;
	char reply[JOURNAL_REPLY];
};

struct journal {
	uint32_t magic;
	uint32_t next_kept;
	atomic_uint_fast64_t flags;		    /* INIT's */
	atomic_uint_fast64_t ready;		    /* INIT was answered */
	atomic_uint_fast64_t served[JOURNAL_SLOTS]; /* requests answered, by slot */
	struct journal_record slots[JOURNAL_SLOTS];
	struct journal_record kept[JOURNAL_KEPT];
};

/* One thread's view. */
struct journal_slot {
	struct journal *j;
	unsigned int n;
	struct journal_record *kept; /* of the request at hand, which a dead server had; or NULL */
};

/* Moves what the last server had at hand to `kept`. Before any thread serves. */
void journal_recover(struct journal *j);

/* A request was read: finds it among the kept ones when it is sent again. */
void journal_take(struct journal_slot *s, uint64_t unique);
/* It changes names, which were @noted before. */
void journal_begin(struct journal_slot *s, const uint64_t noted[JOURNAL_NAMES]);
/* It was done, with this reply. Longer ones (they change nothing) are not kept. */
void journal_done(struct journal_slot *s, const void *reply, size_t len);
/*
 * It is about to be answered: whoever is killed from here on has served one (ufs_journal_served()).
 */
void journal_count(struct journal_slot *s);
/* It was answered. */
void journal_end(struct journal_slot *s);

#endif
