/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages that a machine touches first when it goes on from a snapshot are known, from one that
 * went on before: to have them at hand costs a fraction of the exits by which the guest would ask
 * for each, two or three for one that it reads and then writes.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "microvm/snapshot_file.h"
#include "microvm/snapshot_machine.h"
#include <sys/ioctl.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* linux/mman.h */
#endif

/* Linux 6.11, linux/kvm.h: KVM maps what the guest has not asked for yet. */
struct pre_fault {
	uint64_t gpa, size, flags, padding[5];
};
#define PRE_FAULT_MEMORY _IOWR(KVMIO, 0xd5, struct pre_fault)

/* ---- what is known is had ---- */

static uint8_t *run_hva(const struct vm *v, const struct snapshot_run *r)
{
	return v->mem.regions[0].hva + (uint64_t)r->page * SNAPSHOT_PAGE;
}

static uint64_t run_gpa(const struct vm *v, const struct snapshot_run *r)
{
	const uint64_t off = (uint64_t)r->page * SNAPSHOT_PAGE, low = v->mem.regions[0].len;

	return off < low ? off : v->mem.regions[1].gpa + (off - low);
}

static void own(const struct vm *v, const struct snapshot_file *f)
{
	for (uint32_t i = 0; i < f->nruns; i++)
		if (f->runs[i].written)
			madvise(run_hva(v, &f->runs[i]), (size_t)f->runs[i].n * SNAPSHOT_PAGE,
				MADV_POPULATE_WRITE);
}

/* Runs that lie together go together; a KVM that cannot does not do the rest either. */
static void map(const struct vm *v, const struct snapshot_file *f)
{
	struct pre_fault p = { .gpa = 0 };

	for (uint32_t i = 0; i < f->nruns; i++) {
		const uint64_t gpa = run_gpa(v, &f->runs[i]);
		const uint64_t size = (uint64_t)f->runs[i].n * SNAPSHOT_PAGE;

		if (p.size && gpa == p.gpa + p.size) {
			p.size += size;
			continue;
		}
		if (p.size && ioctl(v->vcpus[0].fd, PRE_FAULT_MEMORY, &p) < 0)
			return;
		p = (struct pre_fault){ .gpa = gpa, .size = size };
	}
	if (p.size)
		ioctl(v->vcpus[0].fd, PRE_FAULT_MEMORY, &p);
}

void vm_touched_have(const struct vm *v, const struct snapshot_file *f)
{
	if (v->pages != VM_PAGES_SMALL)
		return;
	own(v, f);
	map(v, f);
}

/* ---- what is not known is learnt ---- */

#define PAGEMAP_PRESENT (UINT64_C(1) << 63) /* Documentation/admin-guide/mm/pagemap.rst */
#define PAGEMAP_SWAPPED (UINT64_C(1) << 62)
#define PAGEMAP_FILE	(UINT64_C(1) << 61)
#define PAGEMAP_CHUNK	512u /* entries read at a time */

#define SPLIT_MAX 60000u /* mappings: Linux lets a process have 65,530 */

/*
 * Linux maps the neighbours of a file's page with it, but not beyond the mapping: so each page gets
 * one of its own, by a flag that every other one has.
 */
static int split(const struct vm *v, const struct snapshot_file *f)
{
	uint8_t *memory = v->mem.regions[0].hva;

	if (f->data_len / SNAPSHOT_PAGE > SPLIT_MAX)
		return err(-E2BIG, "snapshot: too much memory to learn what is touched of it");
	for (uint32_t i = 0; i < f->nextents; i++) {
		const struct snapshot_extent *e = &f->extents[i];

		for (uint64_t at = 0; at < e->len; at += 2ul * SNAPSHOT_PAGE)
			if (madvise(memory + e->off + at, SNAPSHOT_PAGE, MADV_DONTFORK) < 0)
				return err_sys("snapshot: mappings");
	}
	return 0;
}

int vm_touched_watch(struct vm *v, const struct snapshot_file *f)
{
	uint8_t *memory = v->mem.regions[0].hva;
	int r = split(v, f);

	if (r < 0)
		return r;
	/* Without huge pages this does not exist, and need not. */
	madvise(memory, f->memory, MADV_NOHUGEPAGE);
	v->pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	return v->pagemap_fd < 0 ? err_sys("/proc/self/pagemap") : 0;
}

struct runs {
	struct snapshot_run *all;
	uint32_t n, npages;
};

/* What does not fit any more is left to the guest. */
static void runs_add(struct runs *r, uint64_t page, bool written)
{
	struct snapshot_run *last = r->n ? &r->all[r->n - 1] : NULL;

	if (r->n == SNAPSHOT_RUNS_MAX || r->npages == SNAPSHOT_TOUCHED_MAX)
		return;
	r->npages++;
	if (last && last->page + last->n == page && last->written == written &&
	    last->n < UINT16_MAX)
		last->n++;
	else
		r->all[r->n++] = (struct snapshot_run){ (uint32_t)page, 1, written };
}

static int pagemap_read(const struct vm *v, uint64_t npages, struct runs *runs)
{
	const uint64_t first = (uintptr_t)v->mem.regions[0].hva / SNAPSHOT_PAGE;
	uint64_t entries[PAGEMAP_CHUNK];

	for (uint64_t page = 0; page < npages; page += PAGEMAP_CHUNK) {
		const size_t n = (size_t)MIN(npages - page, (uint64_t)PAGEMAP_CHUNK);
		const ssize_t len = (ssize_t)(n * sizeof(entries[0]));

		if (fd_pread_full(v->pagemap_fd, entries, (size_t)len,
				  (off_t)((first + page) * sizeof(entries[0]))) != len)
			return err(-EIO, "snapshot: pagemap");
		for (size_t i = 0; i < n; i++)
			if (entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED))
				runs_add(runs, page + i, !(entries[i] & PAGEMAP_FILE));
	}
	return 0;
}

int vm_snapshot_learn(const struct vm *v, const struct vm_snapshot *s)
{
	_free_ struct snapshot_run *all = mem_new(SNAPSHOT_RUNS_MAX, sizeof(*all));
	_cleanup_(snapshot_file_done) struct snapshot_file f = { .fd = -1 };
	struct runs runs = { .all = all };
	int r = snapshot_file_open(s->fd, &s->key, &f);

	if (r < 0)
		return r;
	if (!all || v->pagemap_fd < 0)
		return err(all ? -EINVAL : -ENOMEM, "snapshot: nothing was learnt");
	r = pagemap_read(v, f.memory / SNAPSHOT_PAGE, &runs);
	return r < 0 ? r : snapshot_file_add_runs(&f, runs.all, runs.n);
}
