/* SPDX-License-Identifier: Apache-2.0 */
/* RAM: one private mapping, on a boundary of huge pages, in one or two regions around the hole below 4 GiB. */
#include "base/err.h"
#include "base/mem.h"
#include "microvm/vm.h"
#include <sys/ioctl.h>
#include <sys/mman.h>

#define HUGE (2 * MIB)

static uint64_t total(const struct vm *v)
{
	uint64_t len = 0;

	for (unsigned i = 0; i < v->mem.n; i++)
		len += v->mem.regions[i].len;
	return len;
}

/* Maps @size bytes at a multiple of HUGE, and gives back what was mapped to have one. */
static uint8_t *map_aligned(uint64_t size)
{
	uint8_t *p = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (p == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)p % HUGE;
	if (before)
		munmap(p, before);
	munmap(p + before + size, HUGE - before);
	return p + before;
}

static int slot_set(struct vm *v, unsigned slot)
{
	const struct mem_region *r = &v->mem.regions[slot];
	struct kvm_userspace_memory_region k = {
		.slot = slot,
		.guest_phys_addr = r->gpa,
		.memory_size = r->len,
		.userspace_addr = (uintptr_t)r->hva,
	};

	return ioctl(v->fd, KVM_SET_USER_MEMORY_REGION, &k) < 0 ? err_sys("KVM: memory slot %u", slot) : 0;
}

int vm_memory_new(struct vm *v, uint64_t size)
{
	uint64_t low;
	uint8_t *p;
	int r = 0;

	if (size < VM_MEMORY_MIN || size > UINT64_C(1) << 40)
		return err(-EINVAL, "a VM's memory is 32 MiB to 1 TiB, not %llu bytes", (unsigned long long)size);
	size = ROUND_UP(size, HUGE);
	low = MIN(size, (uint64_t)VM_HOLE_START);
	p = map_aligned(size);
	if (!p)
		return err_sys("%llu MiB of memory for the VM", (unsigned long long)(size / MIB));
	v->mem.regions[v->mem.n++] = (struct mem_region){ 0, low, p };
	if (size > low)
		v->mem.regions[v->mem.n++] = (struct mem_region){ VM_HOLE_END, size - low, p + low };
	for (unsigned i = 0; r == 0 && i < v->mem.n; i++)
		r = slot_set(v, i);
	return r;
}

void vm_memory_free(struct vm *v)
{
	if (v->mem.n)
		munmap(v->mem.regions[0].hva, total(v));
	v->mem.n = 0;
}
