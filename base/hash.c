/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/random.h>

#define SLOTS_MIN 16

static inline uint64_t rotl(uint64_t x, int n)
{
	return (x << n) | (x >> (64 - n));
}

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return le64toh(x);
}

static inline void sip_rounds(uint64_t v[4], int n)
{
	while (n--) {
		v[0] += v[1];
		v[1] = rotl(v[1], 13) ^ v[0];
		v[0] = rotl(v[0], 32);
		v[2] += v[3];
		v[3] = rotl(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotl(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotl(v[1], 17) ^ v[2];
		v[2] = rotl(v[2], 32);
	}
}

static inline void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_rounds(v, 2);
	v[0] ^= word;
}

uint64_t hash_sip(const uint8_t key[16], const void *data, size_t len)
{
	uint64_t k0 = load64(key), k1 = load64(key + 8), last = (uint64_t)len << 56;
	/*
	 * The initial state is the ASCII text "somepseudorandomlygeneratedbytes" (the paper,
	 * section 2.1).
	 */
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
			  k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u };
	const uint8_t *p = data;

	for (; len >= 8; p += 8, len -= 8)
		sip_word(v, load64(p));
	for (size_t i = 0; i < len; i++)
		last |= (uint64_t)p[i] << (8 * i);
	sip_word(v, last);
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint8_t process_key[16];
static pthread_once_t process_key_once = PTHREAD_ONCE_INIT;

static void process_key_init(void)
{
	const void *boot = (const void *)getauxval(AT_RANDOM);

	/*
	 * getrandom(2) gives up to 256 bytes whole; a sandbox may refuse it, but execve(2) left 16
	 * for us.
	 */
	if (getrandom(process_key, sizeof(process_key), 0) != sizeof(process_key) && boot)
		memcpy(process_key, boot, sizeof(process_key));
}

uint64_t hash_bytes(const void *data, size_t len)
{
	pthread_once(&process_key_once, process_key_init);
	return hash_sip(process_key, data, len);
}

uint64_t hash_u64(uint64_t x)
{
	return hash_bytes(&x, sizeof(x));
}

void hash_table_done(struct hash_table *t)
{
	if (!t)
		return;
	free(t->slots);
	*t = (struct hash_table){ 0 };
}

static inline struct hash_entry **slot_of(const struct hash_table *t, uint64_t hash)
{
	return &t->slots[hash & (t->nslots - 1)];
}

static void slot_push(struct hash_table *t, struct hash_entry *e)
{
	struct hash_entry **slot = slot_of(t, e->hash);

	e->next = *slot;
	*slot = e;
}

static int table_resize(struct hash_table *t, size_t nslots)
{
	struct hash_table bigger = { .slots = calloc(nslots, sizeof(*t->slots)), .nslots = nslots };

	if (!bigger.slots)
		return -ENOMEM;
	bigger.count = t->count;
	for (size_t i = 0; i < t->nslots; i++) {
		for (struct hash_entry *e = t->slots[i], *next; e; e = next) {
			next = e->next;
			slot_push(&bigger, e);
		}
	}
	free(t->slots);
	*t = bigger;
	return 0;
}

int hash_table_add(struct hash_table *t, struct hash_entry *e, uint64_t hash)
{
	if (!t->nslots && table_resize(t, SLOTS_MIN) < 0)
		return -ENOMEM;
	/* Without memory the chains get longer, no more. */
	if (t->count >= t->nslots && t->nslots <= SIZE_MAX / 4 / sizeof(*t->slots))
		table_resize(t, t->nslots * 2);
	e->hash = hash;
	slot_push(t, e);
	t->count++;
	return 0;
}

void hash_table_remove(struct hash_table *t, struct hash_entry *e)
{
	struct hash_entry **p = slot_of(t, e->hash);

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	e->next = NULL;
	t->count--;
}

static struct hash_entry *chain_find(struct hash_entry *e, uint64_t hash)
{
	while (e && e->hash != hash)
		e = e->next;
	return e;
}

struct hash_entry *hash_table_first(const struct hash_table *t, uint64_t hash)
{
	return t->nslots ? chain_find(*slot_of(t, hash), hash) : NULL;
}

struct hash_entry *hash_table_next(const struct hash_entry *e)
{
	return chain_find(e->next, e->hash);
}

struct hash_entry *hash_table_walk(const struct hash_table *t, const struct hash_entry *e)
{
	size_t i = 0;

	if (e && e->next)
		return e->next;
	if (e)
		i = (e->hash & (t->nslots - 1)) + 1;
	for (; i < t->nslots; i++) {
		if (t->slots[i])
			return t->slots[i];
	}
	return NULL;
}
