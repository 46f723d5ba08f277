/* SPDX-License-Identifier: Apache-2.0 */
/* How many instructions are executed from each place on that is jumped to. */
#ifndef BENCH_PLUGIN_BLOCKS_H
#define BENCH_PLUGIN_BLOCKS_H

#include "plugin.h"
#include <stdbool.h>

/* What is executed in one go. Kept for ever: translated code refers to it. */
struct block {
	uint64_t vaddr, insns, times;
	struct block *next;
};

static struct block *blocks;
static bool blocks_counting = true;

static void block_executed(unsigned vcpu, void *data)
{
	struct block *b = data;

	(void)vcpu;
	b->times += blocks_counting;
}

/* From now on, when it is executed. */
static void block_count(struct qemu_plugin_tb *tb)
{
	struct block *b = calloc(1, sizeof(*b));

	if (!b)
		abort();
	b->vaddr = qemu_plugin_tb_vaddr(tb);
	b->insns = qemu_plugin_tb_n_insns(tb);
	b->next = blocks;
	blocks = b;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, block_executed, 0, b);
}

/* A line "COUNT ADDRESS" for each, and begins anew. */
static void blocks_write(FILE *f)
{
	for (struct block *b = blocks; b; b = b->next) {
		if (b->times)
			fprintf(f, "%llu %llx\n", (unsigned long long)b->times * b->insns,
				(unsigned long long)b->vaddr);
		b->times = 0;
	}
}

#endif
