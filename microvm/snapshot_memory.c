/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a snapshot: which of its pages are in the file, and how they come back. */
#include "base/err.h"
#include "base/mem.h"
#include "microvm/memory.h"
#include "microvm/snapshot_file.h"
#include "microvm/snapshot_machine.h"
#include <sys/mman.h>

/* Zero pages between two others that are written too: a mapping more costs more than they do. */
#define GAP_MIN 8u

static uint64_t memory_len(const struct vm *v)
{
	uint64_t len = 0;

	for (unsigned i = 0; i < v->mem.n; i++)
		len += v->mem.regions[i].len;
	return len;
}

static bool page_zero(const uint8_t *page)
{
	const uint64_t *p = (const uint64_t *)page;

	for (size_t i = 0; i < SNAPSHOT_PAGE / sizeof(*p); i++) {
		if (p[i])
			return false;
	}
	return true;
}

/* One bit for each page that is not zero. */
static uint8_t *pages_find(const uint8_t *memory, uint64_t npages)
{
	uint8_t *bits = mem_new(1, npages / 8 + 1);

	for (uint64_t i = 0; bits && i < npages; i++) {
		if (!page_zero(memory + i * SNAPSHOT_PAGE))
			bits[i / 8] |= (uint8_t)(1u << i % 8);
	}
	return bits;
}

/* Runs of pages with at most @gap zero ones inside: how many, or more than @max. */
static size_t extents_make(const uint8_t *bits, uint64_t npages, uint64_t gap,
			   struct snapshot_extent *e, size_t max)
{
	uint64_t last = 0;
	size_t n = 0;

	for (uint64_t i = 0; i < npages; i++) {
		if (!(bits[i / 8] & 1u << i % 8))
			continue;
		if (!n || i - last > gap + 1) {
			if (n == max)
				return max + 1;
			e[n++].off = i * SNAPSHOT_PAGE;
		}
		e[n - 1].len = (i + 1) * SNAPSHOT_PAGE - e[n - 1].off;
		last = i;
	}
	return n;
}

int vm_memory_save(const struct vm *v, const struct digest *key, struct snapshot_writer *w, int fd)
{
	const uint8_t *memory = v->mem.regions[0].hva;
	uint64_t size = memory_len(v), npages = size / SNAPSHOT_PAGE;
	_free_ struct snapshot_extent *e = mem_new(SNAPSHOT_EXTENTS_MAX, sizeof(*e));
	_free_ uint8_t *bits = pages_find(memory, npages);
	size_t n = SNAPSHOT_EXTENTS_MAX + 1;

	if (!e || !bits)
		return err(-ENOMEM, "snapshot: no memory");
	for (uint64_t gap = GAP_MIN; n > SNAPSHOT_EXTENTS_MAX; gap *= 2)
		n = extents_make(bits, npages, gap, e, SNAPSHOT_EXTENTS_MAX);
	return snapshot_writer_finish(w, fd, key, memory, size, e, n);
}

int vm_memory_restore(struct vm *v, const struct snapshot_file *f)
{
	uint8_t *memory = v->mem.regions[0].hva;
	uint64_t off = f->data_off;

	if (f->memory != memory_len(v))
		return err(-ESTALE, "snapshot: of another size of memory");
	for (uint32_t i = 0; i < f->nextents; i++) {
		const struct snapshot_extent *e = &f->extents[i];

		int r = vm_memory_put(v, memory + e->off, e->len, f->fd, (off_t)off);

		if (r < 0)
			return err(r, "snapshot: its memory cannot be had: %s", strerror(-r));
		off += e->len;
	}
	return 0;
}
