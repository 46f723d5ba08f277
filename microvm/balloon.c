/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's memory while it runs: what the balloon takes and what it knows. */
#include "base/err.h"
#include "microvm/vm.h"

static int none(void)
{
	return err(-EOPNOTSUPP, "this microVM has no balloon: its memory is what it started with");
}

static uint64_t memory_size(const struct vm *v)
{
	uint64_t size = 0;

	for (unsigned i = 0; i < v->mem.n; i++)
		size += v->mem.regions[i].len;
	return size;
}

int vm_memory_wish(struct vm *v, uint64_t bytes)
{
	uint64_t size = memory_size(v);

	if (!v->balloon)
		return none();
	if (bytes > size)
		return err(-EINVAL, "this microVM has %llu MiB of memory at most",
			   (unsigned long long)(size / MIB));
	virtio_balloon_set(v->balloon, size - bytes);
	return 0;
}

int vm_memory_stats(struct vm *v, struct vm_memory_stats *ret)
{
	struct virtio_balloon_stats s;

	if (!v->balloon)
		return none();
	virtio_balloon_stats(v->balloon, &s);
	virtio_balloon_ask(v->balloon);
	*ret = (struct vm_memory_stats){ .total = memory_size(v),
					 .ballooned = s.ballooned,
					 .reported = s.reported,
					 .available = s.available };
	return 0;
}
