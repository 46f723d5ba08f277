/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin of QEMU's emulation (docs/devel/tcg-plugins.rst) for a machine that runs KVM: it counts
 * apart what the host's kernel executes, the host's programs, and the guest's kernel; the guest's
 * programs are among the host's, so look at these before the guest has any. One CPU, a host kernel
 * at a fixed address.
 *
 *     -plugin nested.so,out=FILE,marks=FILE[,blocks=FILE]
 *
 * The file of marks has a line "ADDRESS BYTES NAME" for each function of a host's program (both
 * hexadecimal, BYTES what stands there, by which it is told from other programs). FILE gets a line
 * "NAME HOST-KERNEL PROGRAMS GUEST-KERNEL" each time that one is entered: how many instructions
 * went before. The file of blocks gets a line "NAME" at the same time, and behind it for each place
 * that the host's kernel has jumped to since the last one "COUNT ADDRESS": how many instructions it
 * executed from there on.
 */
#include "plugin_blocks.h"

enum { HOST_KERNEL, PROGRAMS, GUEST_KERNEL, CLASSES };

#define KERNEL_TEXT UINT64_C(0xffffffff81000000)
#define KERNEL_END  UINT64_C(0xffffffffa0000000) /* behind it: code that the host's kernel makes */
#define MARKS_MAX   64
#define BYTES_MAX   16

static struct mark {
	uint64_t vaddr;
	uint8_t bytes[BYTES_MAX];
	unsigned nbytes;
	char name[32];
} marks[MARKS_MAX];

static uint64_t counts[CLASSES];
static unsigned nmarks;
static FILE *out, *blocks_out; /* blocks_out: or NULL */
static uint64_t host_offset;   /* of the host's kernel in QEMU's memory; 0 = it has not begun */

/*
 * Both kernels are at the same addresses; the host's is one piece of the emulated machine's memory,
 * and the guest's lies in other pages.
 */
static unsigned class_of(const struct qemu_plugin_tb *tb)
{
	uint64_t vaddr = qemu_plugin_tb_vaddr(tb);
	uint64_t haddr = (uintptr_t)qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(tb, 0));

	if (!(vaddr >> 63))
		return PROGRAMS;
	if (vaddr < KERNEL_TEXT || vaddr >= KERNEL_END)
		return HOST_KERNEL;
	if (!host_offset)
		host_offset = haddr - vaddr;
	return haddr - vaddr == host_offset ? HOST_KERNEL : GUEST_KERNEL;
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
	const struct mark *m = data;

	(void)vcpu;
	fprintf(out, "%s %llu %llu %llu\n", m->name, (unsigned long long)counts[HOST_KERNEL],
		(unsigned long long)counts[PROGRAMS], (unsigned long long)counts[GUEST_KERNEL]);
	if (!blocks_out)
		return;
	fprintf(blocks_out, "%s\n", m->name);
	blocks_write(blocks_out);
}

/* At most 15 (Intel SDM 2A, 2.3.11). */
static void insn_bytes(const struct qemu_plugin_insn *insn, uint8_t ret[BYTES_MAX])
{
#if API == 1
	memcpy(ret, qemu_plugin_insn_data(insn), qemu_plugin_insn_size(insn));
#else
	qemu_plugin_insn_data(insn, ret, qemu_plugin_insn_size(insn));
#endif
}

static bool is_there(const struct mark *m, const struct qemu_plugin_tb *tb)
{
	unsigned at = 0;

	if (m->vaddr != qemu_plugin_tb_vaddr(tb))
		return false;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb) && at < m->nbytes; i++) {
		const struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint8_t bytes[BYTES_MAX];

		insn_bytes(insn, bytes);
		for (size_t j = 0; j < qemu_plugin_insn_size(insn) && at < m->nbytes; j++)
			if (bytes[j] != m->bytes[at++])
				return false;
	}
	return true;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	unsigned class = class_of(tb);
	uintptr_t word = qemu_plugin_tb_n_insns(tb) << 2 | class;

	(void)id;
	for (unsigned i = 0; i < nmarks; i++)
		if (is_there(&marks[i], tb))
			qemu_plugin_register_vcpu_tb_exec_cb(tb, marked, 0, &marks[i]);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, (void *)word);
	if (blocks_out && class == HOST_KERNEL)
		block_count(tb);
}

static void ended(qemu_plugin_id_t id, void *data)
{
	(void)id;
	(void)data;
	fclose(out);
	if (blocks_out)
		fclose(blocks_out);
}

static int read_marks(const char *path)
{
	FILE *f = fopen(path, "re");
	char hex[2 * BYTES_MAX + 1];
	unsigned long long v;

	if (!f)
		return -1;
	while (nmarks < MARKS_MAX &&
	       fscanf(f, "%llx %32s %31s", &v, hex, marks[nmarks].name) == 3) {
		struct mark *m = &marks[nmarks++];

		m->vaddr = v;
		m->nbytes = (unsigned)strlen(hex) / 2;
		for (unsigned i = 0; i < m->nbytes; i++) {
			const char byte[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

			m->bytes[i] = (uint8_t)strtoul(byte, NULL, 16);
		}
	}
	fclose(f);
	return nmarks ? 0 : -1;
}

__attribute__((visibility("default"))) int
qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "out=", 4) == 0)
			out = fopen(argv[i] + 4, "we");
		else if (strncmp(argv[i], "blocks=", 7) == 0)
			blocks_out = fopen(argv[i] + 7, "we");
		else if (strncmp(argv[i], "marks=", 6) != 0 || read_marks(argv[i] + 6) < 0)
			return -1;
	}
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, NULL);
	return 0;
}
