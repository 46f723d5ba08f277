/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin of QEMU's emulation (docs/devel/tcg-plugins.rst) that counts the instructions which the
 * guest executes: those of its kernel, wherever that runs at the time, and those of its programs.
 * What the machine's firmware does before is left out. One vCPU.
 *
 *     -plugin insn.so,out=FILE[,marks=FILE][,blocks=FILE[,step=ADDRESS]]
 *
 * When QEMU ends, FILE gets "KERNEL PROGRAMS\n"; behind it, for each address in the file of marks
 * (one a line, hexadecimal) that was executed, "COUNT ADDRESS\n": how many of the kernel's
 * instructions went before its first execution. The file of blocks gets, for each place of the
 * kernel that is jumped to, "COUNT ADDRESS\n": how many of its instructions were executed from
 * there on; with a step, only from that mark's first execution to the next mark's.
 */
#include "plugin_blocks.h"

enum { KERNEL, PROGRAMS, FIRMWARE, CLASSES };

#define MARKS_MAX 4096

struct mark {
	uint64_t vaddr, count; /* a count of 0: not executed */
};

static uint64_t counts[CLASSES];
static const char *blocks_out;
static uint64_t step;
static struct mark marks[MARKS_MAX];
static unsigned nmarks;
static const char *out;

/* A kernel runs where it was loaded, from 1 MiB on, until its own page tables are there. */
static unsigned class_of(uint64_t vaddr)
{
	static int started;

	if (vaddr >> 63) {
		started = 1;
		return KERNEL;
	}
	if (started)
		return PROGRAMS;
	return vaddr >= 0x1000000 && vaddr < 0x10000000 ? KERNEL : FIRMWARE;
}

/* The number of instructions and their class in one word, so that nothing is to be kept. */
static void executed(unsigned vcpu, void *data)
{
	uintptr_t word = (uintptr_t)data;

	(void)vcpu;
	counts[word & 3] += word >> 2;
}

static void marked(unsigned vcpu, void *data)
{
	struct mark *m = data;

	(void)vcpu;
	if (m->count)
		return;
	m->count = counts[KERNEL];
	if (step)
		blocks_counting = m->vaddr == step;
}

/* A function is entered at the begin of a block. */
static void mark(struct qemu_plugin_tb *tb)
{
	for (unsigned i = 0; i < nmarks; i++)
		if (marks[i].vaddr == qemu_plugin_tb_vaddr(tb))
			qemu_plugin_register_vcpu_tb_exec_cb(tb, marked, 0, &marks[i]);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	uintptr_t word = qemu_plugin_tb_n_insns(tb) << 2 | class_of(qemu_plugin_tb_vaddr(tb));

	(void)id;
	mark(tb);
	if (blocks_out && qemu_plugin_tb_vaddr(tb) >> 63)
		block_count(tb);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, (void *)word);
}

static void ended(qemu_plugin_id_t id, void *data)
{
	FILE *f = fopen(out, "we");

	(void)id;
	(void)data;
	if (!f)
		return;
	fprintf(f, "%llu %llu\n", (unsigned long long)counts[KERNEL],
		(unsigned long long)counts[PROGRAMS]);
	for (unsigned i = 0; i < nmarks; i++)
		if (marks[i].count)
			fprintf(f, "%llu %llx\n", (unsigned long long)marks[i].count,
				(unsigned long long)marks[i].vaddr);
	fclose(f);
	f = blocks_out ? fopen(blocks_out, "we") : NULL;
	if (!f)
		return;
	blocks_write(f);
	fclose(f);
}

static int read_marks(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long long v;

	if (!f)
		return -1;
	while (nmarks < MARKS_MAX && fscanf(f, "%llx", &v) == 1)
		marks[nmarks++].vaddr = v;
	fclose(f);
	return 0;
}

__attribute__((visibility("default"))) int
qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "out=", 4) == 0)
			out = strdup(argv[i] + 4);
		else if (strncmp(argv[i], "blocks=", 7) == 0)
			blocks_out = strdup(argv[i] + 7);
		else if (strncmp(argv[i], "step=", 5) == 0)
			step = strtoull(argv[i] + 5, NULL, 16);
		else if (strncmp(argv[i], "marks=", 6) != 0 || read_marks(argv[i] + 6) < 0)
			return -1;
	}
	blocks_counting = !step;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, NULL);
	return out ? 0 : -1;
}
