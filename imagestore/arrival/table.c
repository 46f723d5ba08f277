/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/arrival/table.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "layer/layer.h"
#include <sys/mman.h>
#include <sys/stat.h>

/* ---- table ---- */

static int damaged(void)
{
	return err(-EBADMSG, "the table of an arriving image is damaged: `strata rmi` it");
}

static bool chunks_fit(const struct table *t, const struct table_content *c)
{
	uint64_t at = c->at;

	if (c->n == 0 || c->first > t->head->nchunks || c->n > t->head->nchunks - c->first ||
	    c->size > LAYER_SIZE_MAX || c->at > INT64_MAX - LAYER_SIZE_MAX)
		return false;
	for (uint32_t i = c->first; i < c->first + c->n; i++) {
		const struct table_chunk *k = &t->chunks[i];

		if (k->at != at || k->len == 0 || k->len > c->at + c->size - at)
			return false;
		at += k->len;
	}
	return at == c->at + c->size;
}

static bool is_sound(const struct table *t)
{
	for (uint32_t i = 0; i < t->head->ncontents; i++) {
		if ((i && t->contents[i].nid <= t->contents[i - 1].nid) ||
		    !chunks_fit(t, &t->contents[i]))
			return false;
	}
	for (uint32_t i = 0; i < t->head->nchunks; i++) {
		const struct table_chunk *k = &t->chunks[i];

		if (k->blob >= t->head->nblobs || k->packed == 0 ||
		    k->offset > t->blobs[k->blob].size ||
		    k->packed > t->blobs[k->blob].size - k->offset)
			return false;
	}
	return true;
}

/* Where each part is in the file's @len bytes. */
static bool lay_out(struct table *t, size_t len)
{
	const char *p = t->file;
	const struct table_head *h = t->file;
	uint64_t need = sizeof(*h);

	if (len < sizeof(*h) || memcmp(h->magic, TABLE_MAGIC, sizeof(h->magic)) != 0)
		return false;
	need += (uint64_t)h->ncontents * sizeof(struct table_content) +
		(uint64_t)h->nchunks * sizeof(struct table_chunk) +
		(uint64_t)h->nblobs * sizeof(struct table_blob);
	if (need != len)
		return false;
	t->head = h;
	t->contents = (const void *)(p + sizeof(*h));
	t->chunks = (const void *)(t->contents + h->ncontents);
	t->blobs = (const void *)(t->chunks + h->nchunks);
	return true;
}

int table_read(int fd, struct table *ret)
{
	struct table t = { 0 };
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return err_sys("table of an arriving image");
	if (st.st_size <= 0 || (uint64_t)st.st_size > TABLE_MAX)
		return damaged();
	t.file = malloc((size_t)st.st_size);
	if (!t.file)
		return -ENOMEM;
	n = fd_pread_full(fd, t.file, (size_t)st.st_size, 0);
	if (n != st.st_size || !lay_out(&t, (size_t)n) || !is_sound(&t)) {
		free(t.file);
		return damaged();
	}
	*ret = t;
	return 0;
}

void table_done(struct table *t)
{
	free(t->file);
	*t = (struct table){ 0 };
}

static int by_nid(const void *key, const void *element)
{
	const uint64_t *nid = key;
	const struct table_content *c = element;

	return (*nid > c->nid) - (*nid < c->nid);
}

const struct table_content *table_find(const struct table *t, uint64_t nid)
{
	return bsearch(&nid, t->contents, t->head->ncontents, sizeof(*t->contents), by_nid);
}

/* The chunk of @c that has byte @at of `data`. */
static uint32_t chunk_at(const struct table *t, const struct table_content *c, uint64_t at)
{
	uint32_t low = c->first, high = c->first + c->n;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (t->chunks[middle].at <= at)
			low = middle;
		else
			high = middle;
	}
	return low;
}

void table_chunks(const struct table *t, const struct table_content *c, uint64_t off, uint64_t len,
		  uint32_t *ret_first, uint32_t *ret_end)
{
	uint64_t end = off >= c->size ? c->size : off + MIN(len, c->size - off);

	*ret_first = *ret_end = c->first;
	if (off >= end)
		return;
	*ret_first = chunk_at(t, c, c->at + off);
	*ret_end = chunk_at(t, c, c->at + end - 1) + 1;
}

/* ---- state ---- */

size_t state_size(const struct table *t)
{
	return sizeof(struct state_head) + t->head->nchunks;
}

int state_map(int fd, const struct table *t, bool write, struct state *ret)
{
	struct state s = { .size = state_size(t) };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys("state of an arriving image");
	if ((size_t)st.st_size != s.size)
		return -ESTALE;
	s.head = mmap(NULL, s.size, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	if (s.head == MAP_FAILED)
		return err_sys("state of an arriving image");
	s.chunks = (void *)(s.head + 1);
	if (memcmp(s.head->magic, STATE_MAGIC, sizeof(s.head->magic)) != 0) {
		munmap(s.head, s.size);
		return -ESTALE;
	}
	*ret = s;
	return 0;
}

bool state_is_current(const struct state *s)
{
	struct boot_id boot;

	return proc_boot_id(&boot) >= 0 &&
	       strncmp(s->head->boot, boot.s, sizeof(s->head->boot)) == 0;
}

void state_done(struct state *s)
{
	if (s->head)
		munmap(s->head, s->size);
	*s = (struct state){ 0 };
}

bool state_has(const struct state *s, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++) {
		if (atomic_load_explicit(&s->chunks[i], memory_order_acquire) == CHUNK_AWAY)
			return false;
	}
	return true;
}
