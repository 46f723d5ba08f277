/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashing under a secret key, and a table of intrusive entries. The key is random per process, so
 * that whoever chooses names cannot choose collisions.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/mem.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SipHash-2-4 (Aumasson, Bernstein 2012) under the 128-bit @key. */
uint64_t hash_sip(const uint8_t key[16], const void *data, size_t len);
/* The same under this process' key. */
uint64_t hash_bytes(const void *data, size_t len);
uint64_t hash_u64(uint64_t x);

/*
 * An entry stands inside the struct it finds; the table owns none of them. Not thread-safe: one
 * lock per table.
 */
struct hash_entry {
	struct hash_entry *next;
	uint64_t hash;
};

struct hash_table {
	struct hash_entry **slots; /* a power of two, NULL while empty */
	size_t nslots, count;
};

void hash_table_done(struct hash_table *t);
/* 0 or -ENOMEM (only when the first slots cannot be had; later growth is optional). */
int hash_table_add(struct hash_table *t, struct hash_entry *e, uint64_t hash);
/* Takes @e out; it must be in. */
void hash_table_remove(struct hash_table *t, struct hash_entry *e);
/*
 * The first entry with that hash, and the next one after @e: the caller compares keys. NULL = no
 * more.
 */
struct hash_entry *hash_table_first(const struct hash_table *t, uint64_t hash);
struct hash_entry *hash_table_next(const struct hash_entry *e);
/*
 * Walks all entries in no order; @e = NULL begins. The entry given may not be removed before the
 * next call.
 */
struct hash_entry *hash_table_walk(const struct hash_table *t, const struct hash_entry *e);

#endif
