/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring in memory that is all the guest's. The input is a few bytes of set-up and then the memory
 * itself, in which everything lies over everything.
 */
#include "base/mem.h"
#include "virtio/virtio.h"

#define RAM	 0x4000u
#define POPS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct setup {
	uint16_t desc, avail, used, last_avail;
	uint8_t order, flags;
};

/* Touches what the queue says is there. */
static void use(const struct virtq_chain *c)
{
	volatile uint8_t sum = 0;

	for (unsigned i = 0; i < c->nin; i++)
		sum = (uint8_t)(sum + ((uint8_t *)c->in[i].iov_base)[c->in[i].iov_len - 1]);
	for (unsigned i = 0; i < c->nout; i++)
		((volatile uint8_t *)c->out[i].iov_base)[c->out[i].iov_len - 1] = sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct virtq_chain chain;
	struct setup s;
	uint8_t *low, *high;
	struct mem mem = { .n = 2, .window = { 0x200000000, RAM, NULL } };
	struct virtq q;

	if (size < sizeof(s))
		return 0;
	memcpy(&s, data, sizeof(s));
	data += sizeof(s);
	size = MIN(size - sizeof(s), (size_t)RAM);
	low = mem_new(1, RAM);
	high = mem_new(1, RAM);
	if (low && high) {
		memcpy(low, data, size);
		mem.regions[0] = (struct mem_region){ 0, RAM, low };
		mem.regions[1] = (struct mem_region){ 0x100000000, RAM, high };
		q = (struct virtq){
			.desc = s.desc,
			.avail = s.avail,
			.used = s.used,
			.num = (uint16_t)(1u << (s.order % 11)),
			.last_avail = s.last_avail,
			.ready = true,
			.event_idx = s.flags & 1,
			.indirect = s.flags & 2,
		};
		for (unsigned i = 0; virtq_check(&q, &mem) == 0 && i < POPS_MAX; i++) {
			if (virtq_pop(&q, &mem, &chain) <= 0)
				break;
			use(&chain);
			virtq_push(&q, &mem, chain.head, (uint32_t)chain.out_len);
			virtq_flush(&q, &mem);
		}
	}
	free(low);
	free(high);
	return 0;
}
