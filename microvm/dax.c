/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DAX window: a range of addresses behind RAM, with a memory slot of its own, that is reserved
 * here and into which files are mapped. It is no guest memory for mem_at(), so nothing of ours ever
 * reads or writes it; the guest's accesses are KVM's to resolve, which fails where a page cannot be
 * had, and never signals.
 */
#include "base/err.h"
#include "base/mem.h"
#include "microvm/memory.h"
#include "microvm/vm.h"
#include <sys/mman.h>

#define GPA_ALIGN (UINT64_C(1) << 30) /* Linux maps its struct pages by sections of 128 MiB */
#define PAGE	  4096u

/* Of the file system that has one; none is shared. */
static int dax_size(const struct vm_config *cfg, uint64_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < MIN(cfg->nfs, (size_t)VM_FS_MAX); i++) {
		if (cfg->fs[i].dax && *ret)
			return err(-EINVAL, "one file system alone can have a DAX window");
		*ret += cfg->fs[i].dax;
	}
	return 0;
}

static uint64_t ram_end(const struct vm *v)
{
	const struct mem_region *last = &v->mem.regions[v->mem.n - 1];

	return MAX(VM_HOLE_END, last->gpa + last->len);
}

static int reserve(void *at, uint64_t len, int flags, void **ret)
{
	void *p = mmap(at, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1,
		       0);

	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	return 0;
}

int vm_dax_new(struct vm *v, const struct vm_config *cfg)
{
	struct mem_region r = { ROUND_UP(ram_end(v), GPA_ALIGN), 0, NULL };
	int e = dax_size(cfg, &r.len);
	void *p = NULL;

	if (e < 0 || !r.len)
		return e;
	if (r.len % VM_DAX_UNIT || r.len > VM_DAX_MAX)
		return err(-EINVAL, "a DAX window has a multiple of 2 MiB, at most 64 GiB");
	if (reserve(NULL, r.len, 0, &p) < 0)
		return err_sys("DAX window");
	r.hva = p;
	v->mem.window = r;
	if (vm_slot_set(v, v->mem.n + 1, &r, 0) < 0)
		return err_sys("KVM: memory slot for the DAX window");
	return 0;
}

void vm_dax_free(struct vm *v)
{
	if (v->mem.window.hva)
		munmap(v->mem.window.hva, v->mem.window.len);
	v->mem.window = (struct mem_region){ 0 };
}

static bool inside(const struct vm *v, uint64_t at, uint64_t len)
{
	uint64_t size = v->mem.window.len;

	return len && at % PAGE == 0 && len % PAGE == 0 && at < size && len <= size - at;
}

int vm_dax_map(struct vm *v, int fd, uint64_t off, uint64_t at, uint64_t len, bool write)
{
	if (!inside(v, at, len) || off % PAGE || off > INT64_MAX - len)
		return -EINVAL;
	if (mmap(v->mem.window.hva + at, len, PROT_READ | (write ? PROT_WRITE : 0),
		 MAP_SHARED | MAP_FIXED, fd, (off_t)off) == MAP_FAILED)
		return -errno;
	return 0;
}

int vm_dax_unmap(struct vm *v, uint64_t at, uint64_t len)
{
	void *p;

	return inside(v, at, len) ? reserve(v->mem.window.hva + at, len, MAP_FIXED, &p) : -EINVAL;
}
