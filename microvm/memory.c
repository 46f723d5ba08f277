/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAM: one private mapping, on a boundary of huge pages, in one or two regions around the hole
 * below 4 GiB.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "microvm/memory.h"
#include "microvm/vm.h"
#include <linux/mman.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define PAGE UINT64_C(4096)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* linux/mman.h */
#endif

static uint64_t total(const struct vm *v)
{
	uint64_t len = 0;

	for (unsigned i = 0; i < v->mem.n; i++)
		len += v->mem.regions[i].len;
	return len;
}

/* Maps @size bytes at a multiple of HUGE_PAGE, and gives back what was mapped to have one. */
static uint8_t *map_aligned(uint64_t size)
{
	uint8_t *p = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (p == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)p % HUGE_PAGE;
	if (before)
		munmap(p, before);
	munmap(p + before + size, HUGE_PAGE - before);
	return p + before;
}

/* Reserved whole: a page that turned out not to be there would be a SIGBUS later. */
static uint8_t *map_hugetlb(uint64_t size)
{
	uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int map_memory(uint64_t size, enum vm_pages pages, uint8_t **ret)
{
	const unsigned long long mib = size / MIB;

	*ret = pages == VM_PAGES_HUGETLB ? map_hugetlb(size) : map_aligned(size);
	if (!*ret && pages == VM_PAGES_HUGETLB)
		return err(-ENOMEM,
			   "the VM wants %llu huge pages of 2 MiB, and so many are not free "
			   "(vm.nr_hugepages sets them apart)",
			   mib / 2);
	if (!*ret)
		return err_sys("%llu MiB of memory for the VM", mib);
	if (pages == VM_PAGES_THP && madvise(*ret, size, MADV_HUGEPAGE) < 0)
		return err_sys("this kernel has no transparent huge pages");
	return 0;
}

int vm_memory_put(const struct vm *v, uint8_t *hva, uint64_t len, int fd, off_t off)
{
	ssize_t n;

	if (v->pages == VM_PAGES_SMALL)
		return mmap(hva, len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd, off) == MAP_FAILED ?
			       -errno :
			       0;
	n = fd_pread_full(fd, hva, len, off);
	if (n < 0)
		return (int)n;
	return (uint64_t)n == len ? 0 : -EIO;
}

void vm_memory_soon(struct vm *v, void *hva, uint64_t len)
{
	uint8_t *begin = (uint8_t *)((uintptr_t)hva / PAGE * PAGE);
	uint64_t n = ROUND_UP((uint64_t)((uint8_t *)hva + len - begin), PAGE);

	if (!len || v->pages != VM_PAGES_SMALL)
		return;
	if (v->nsoon && v->soon[v->nsoon - 1].hva + v->soon[v->nsoon - 1].len == begin) {
		v->soon[v->nsoon - 1].len += n;
	} else if (v->nsoon < ARRAY_SIZE(v->soon)) {
		v->soon[v->nsoon].hva = begin;
		v->soon[v->nsoon++].len = n;
	}
}

/* Linux before 5.14 cannot, and where memory is short it need not. */
void vm_memory_own(struct vm *v)
{
	for (unsigned i = 0; i < v->nsoon; i++)
		madvise(v->soon[i].hva, v->soon[i].len, MADV_POPULATE_WRITE);
	v->nsoon = 0;
}

/* A kernel without huge pages does not know the advice, and need not. */
void vm_memory_sparse(const struct vm *v, uint64_t gpa, uint64_t len)
{
	uint8_t *hva = mem_at(&v->mem, gpa, len);

	if (hva && len && v->pages == VM_PAGES_SMALL)
		madvise(hva, len, MADV_NOHUGEPAGE);
}

int vm_slot_set(struct vm *v, unsigned slot, const struct mem_region *r, uint32_t flags)
{
	struct kvm_userspace_memory_region k = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = r->gpa,
		.memory_size = r->len,
		.userspace_addr = (uintptr_t)r->hva,
	};

	return ioctl(v->fd, KVM_SET_USER_MEMORY_REGION, &k) < 0 ? -errno : 0;
}

/*
 * The windows are no guest memory: not in v->mem. A KVM that has no read-only memory does not know
 * the flag.
 */
static int windows_new(struct vm *v, unsigned ndevices)
{
	struct mem_region r = { VM_HOLE_START, (uint64_t)ndevices * VIRTIO_MMIO_SIZE, NULL };
	int e;

	r.hva = mmap(NULL, r.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r.hva == MAP_FAILED)
		return err_sys("memory for the VM's devices");
	e = vm_slot_set(v, v->mem.n, &r, KVM_MEM_READONLY);
	if (e < 0) {
		munmap(r.hva, r.len);
		return e == -EINVAL ? 0 : err(e, "KVM: memory slot for devices: %s", strerror(-e));
	}
	v->windows = r.hva;
	v->windows_len = r.len;
	return 0;
}

int vm_memory_new(struct vm *v, const struct vm_config *cfg, unsigned ndevices)
{
	uint64_t size = cfg->memory, low;
	uint8_t *p;
	int r;

	if (cfg->pages == VM_PAGES_HUGETLB && cfg->balloon)
		return err(-EINVAL,
			   "a balloon takes small pages, which huge ones set apart have not");
	if (size < VM_MEMORY_MIN || size > VM_MEMORY_MAX)
		return err(-EINVAL, "a VM's memory is 32 MiB to 1 TiB, not %llu bytes",
			   (unsigned long long)size);
	size = ROUND_UP(size, HUGE_PAGE);
	low = MIN(size, (uint64_t)VM_HOLE_START);
	r = map_memory(size, cfg->pages, &p);
	if (r < 0)
		return r;
	v->pages = cfg->pages;
	v->mem.regions[v->mem.n++] = (struct mem_region){ 0, low, p };
	if (size > low)
		v->mem.regions[v->mem.n++] =
			(struct mem_region){ VM_HOLE_END, size - low, p + low };
	for (unsigned i = 0; i < v->mem.n; i++) {
		if (vm_slot_set(v, i, &v->mem.regions[i], 0) < 0)
			return err_sys("KVM: memory slot %u", i);
	}
	return windows_new(v, ndevices);
}

void vm_memory_free(struct vm *v)
{
	if (v->mem.n)
		munmap(v->mem.regions[0].hva, total(v));
	v->mem.n = 0;
	if (v->windows)
		munmap(v->windows, v->windows_len);
	v->windows = NULL;
}
