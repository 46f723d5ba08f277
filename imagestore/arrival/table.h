/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each content of an arriving image lies, and what of it is here: the files `table` and
 * `state` (docs/formats/lazy.md). Read side; who serves a mount links this.
 */
#ifndef IMAGESTORE_ARRIVAL_TABLE_H
#define IMAGESTORE_ARRIVAL_TABLE_H

#include "base/sha256.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- table: read into memory, checked, then immutable; little-endian as the machine is ---- */

#define TABLE_MAGIC "STRATBL1"
#define TABLE_MAX   (1ull << 30) /* bytes */

struct table_head {
	char magic[8];
	uint32_t ncontents, nchunks, nblobs, zero;
};

struct table_content {
	uint64_t nid, at, size;
	uint32_t first, n; /* chunks */
};

struct table_chunk {
	uint64_t at, len;	 /* in `data` */
	uint64_t offset, packed; /* in the blob */
	uint32_t blob, zero;
	struct digest digest;
};

struct table_blob {
	struct digest digest;
	uint64_t size;
};

struct table {
	void *file;
	const struct table_head *head;
	const struct table_content *contents; /* by nid */
	const struct table_chunk *chunks;     /* by at */
	const struct table_blob *blobs;
};

/* -EBADMSG: a disk lied. */
int table_read(int fd, struct table *ret);
void table_done(struct table *t);
/* The content of inode @nid, or NULL: it has none that arrives. */
const struct table_content *table_find(const struct table *t, uint64_t nid);
/* The chunks [*@ret_first, *@ret_end) that have bytes [@off, @off + @len) of @c. */
void table_chunks(const struct table *t, const struct table_content *c, uint64_t off, uint64_t len,
		  uint32_t *ret_first, uint32_t *ret_end);

/* ---- state: memory that those who fetch and those who serve share ---- */

#define STATE_MAGIC "STRASTA1"

enum { CHUNK_AWAY, CHUNK_HERE, CHUNK_ZEROS };

struct state_head {
	char magic[8];
	char boot[40];		   /* counts for this boot only */
	_Atomic(uint64_t) demand;  /* when something was last asked for, clock_ns() */
	_Atomic(uint64_t) fetched; /* bytes, on demand */
	_Atomic(uint64_t) refused; /* 1: the layers, when they came, were others */
};

struct state {
	struct state_head *head;
	_Atomic(uint8_t) *chunks;
	size_t size;
};

size_t state_size(const struct table *t);
/* Maps @fd, which has state_size() bytes; -ESTALE: it is another's, or damaged. */
int state_map(int fd, const struct table *t, bool write, struct state *ret);
/* Not of another boot: what it says is so. Whoever was handed it by one who asked knows. */
bool state_is_current(const struct state *s);
void state_done(struct state *s);
/* Whether all of [@first, @end) is here. */
bool state_has(const struct state *s, uint32_t first, uint32_t end);

#endif
