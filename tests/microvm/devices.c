/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every kind of device of a machine, by a guest of a few plain instructions (tests/microvm/bare.h)
 * and KVM's own eventfds and exits: with good input, each does what it is for; with hostile input,
 * it asks for a reset, and another device serves the same guest afterwards.
 */
#include "tests/microvm/devices.h"

#include "tests/microvm/union_root.h"
#include <linux/fuse.h>

__asm__(".pushsection .rodata\n"
	"guest_drives:\n"
	"mov $0x101000, %esi\n"
	"1: mov (%rsi), %edi; test %edi, %edi; jz 2f\n"
	"mov 4(%rsi), %ebx; mov %ebx, (%rdi); add $8, %esi; jmp 1b\n"
	"2: mov $0x105002, %edi; mov $2000000, %ecx\n" /* used.idx of the other device */
	"3: movzwl (%rdi), %eax; cmp $1, %eax; je 4f; sub $1, %ecx; jnz 3b\n"
	"mov $4, %al; jmp 5f\n"
	"4: mov $3, %al\n"
	"5: mov $0x5d0, %edx; out %al, %dx; mov $0x5d1, %edx; out %al, %dx; 6: hlt; jmp 6b\n"
	"guest_drives_end:\n"
	".popsection\n");
/* ---- good ---- */

/* What a user may ask for: "tried", "hello"; 256 random bytes. */
static void counted(const struct machine *m, unsigned kind)
{
	struct vm_console_stats c;
	uint64_t random;

	vm_console_stats(m->v, &c);
	assert_int_equal(c.out_bytes, 5);
	assert_int_equal(c.in_bytes, 0);
	assert_ok(vm_rng_bytes(m->v, &random));
	assert_int_equal(random, kind == RNG ? 256 : 0);
}

static void each_is_used(_unused_ void **state)
{
	static struct machine m;

	for (unsigned kind = 0; kind < KINDS; kind++) {
		machine_init(&m);
		good_chain(&m, kind);
		start(&m, kind);
		kick(&m, kind);
		another(&m, kind);
		assert_true(machine_run(&m));
		done(&m, kind);
		counted(&m, kind);
		machine_done(&m);
	}
}

/* ---- hostile rings ---- */

static void loop(struct machine *m)
{
	descs(m)[0] = (struct ring_desc){ LOAD + TRY_BUFFER, 8, DESC_F_NEXT, 1 };
	descs(m)[1] = (struct ring_desc){ LOAD + TRY_BUFFER, 8, DESC_F_NEXT, 0 };
}

static void beyond_all(struct machine *m)
{
	descs(m)[0].addr = UINT64_MAX - 2;
}

static void beyond_memory(struct machine *m)
{
	descs(m)[0].addr = VM_MEMORY_MIN - 2;
	descs(m)[0].len = 8;
}

static void too_long(struct machine *m)
{
	descs(m)[0].len = UINT32_MAX;
}

static void in_a_window(struct machine *m)
{
	descs(m)[0].addr = WINDOW(0);
}

static void next_beyond(struct machine *m)
{
	descs(m)[0].flags |= DESC_F_NEXT;
	descs(m)[0].next = NUM;
}

static void head_beyond(struct machine *m)
{
	avail(m)[2] = NUM;
}

static void index_jumps(struct machine *m)
{
	avail(m)[1] = NUM + 1;
}

static void table_unasked(struct machine *m)
{
	descs(m)[0].flags = DESC_F_INDIRECT;
	descs(m)[0].len = sizeof(struct ring_desc);
}

static void table_in_a_table(struct machine *m)
{
	struct ring_desc inner = { LOAD + TRY_BUFFER, sizeof(inner), DESC_F_INDIRECT, 0 };

	table_unasked(m);
	memcpy(m->image.mem + TRY_BUFFER, &inner, sizeof(inner));
}

static void table_cut_off(struct machine *m)
{
	table_unasked(m);
	descs(m)[0].len = sizeof(struct ring_desc) + 1;
}

static const struct {
	const char *how;
	void (*spoil)(struct machine *m);
	uint32_t features;
} rings[] = {
	{ "a loop", loop, 0 },
	{ "an address beyond all", beyond_all, 0 },
	{ "a buffer over the end of memory", beyond_memory, 0 },
	{ "a buffer of 4 GiB", too_long, 0 },
	{ "a buffer in a device's window", in_a_window, 0 },
	{ "a next one that there is not", next_beyond, 0 },
	{ "a head that there is not", head_beyond, 0 },
	{ "an index that jumps", index_jumps, 0 },
	{ "a table that was not agreed on", table_unasked, 0 },
	{ "a table in a table", table_in_a_table, INDIRECT },
	{ "a table that is cut off", table_cut_off, INDIRECT },
};

static void hostile_rings(_unused_ void **state)
{
	static struct machine m;

	for (unsigned kind = 0; kind < KINDS; kind++) {
		for (size_t i = 0; i < ARRAY_SIZE(rings); i++) {
			machine_init(&m);
			good_chain(&m, kind);
			rings[i].spoil(&m);
			features(&m, kind, rings[i].features, 1);
			queue(&m, kind);
			say(&m, kind, STATUS, 15);
			kick(&m, kind);
			another(&m, kind);
			if (!machine_run(&m))
				fail_msg("%s, %s: another does not serve", names[kind],
					 rings[i].how);
			broken(&m, kind, rings[i].how);
			machine_done(&m);
		}
	}
}

/* ---- hostile registers ---- */

/* Features that were not offered, or without VERSION_1: not accepted, and no queue is served. */
static void feature_games(_unused_ void **state)
{
	static const uint32_t games[][2] = { { 0, 0 }, { UINT32_MAX, 1 }, { 0, UINT32_MAX } };
	static struct machine m;

	for (unsigned kind = 0; kind < KINDS; kind++) {
		for (size_t i = 0; i < ARRAY_SIZE(games); i++) {
			machine_init(&m);
			good_chain(&m, kind);
			features(&m, kind, games[i][0], games[i][1]);
			queue(&m, kind);
			say(&m, kind, STATUS, 15);
			kick(&m, kind);
			another(&m, kind);
			assert_true(machine_run(&m));
			assert_false(status_of(&m, kind) & FEATURES_OK);
			assert_true(zeroes(at(&m, TRY_USED), 8));
			machine_done(&m);
		}
	}
}

/* A queue keeps its place while it is live: its chain is served, and a reset is asked for. */
static void moved_while_live(_unused_ void **state)
{
	static struct machine m;

	for (unsigned kind = 0; kind < KINDS; kind++) {
		machine_init(&m);
		good_chain(&m, kind);
		start(&m, kind);
		say(&m, kind, 0x30, queues[kind]);
		say(&m, kind, 0x38, 4);
		for (unsigned reg = 0x80; reg <= 0xa4; reg += 4)
			say(&m, kind, reg, 0xfffff000);
		say(&m, kind, 0x24, 0);
		say(&m, kind, 0x20, UINT32_MAX);
		kick(&m, kind);
		another(&m, kind);
		assert_true(machine_run(&m));
		done_at_last(&m, kind);
		broken(&m, kind, "moved while it is live");
		machine_done(&m);
	}
}

/* Started, kicked and reset again and again, queues kicked that there are not; then it is used. */
static void reset_and_used(_unused_ void **state)
{
	static struct machine m;

	for (unsigned kind = 0; kind < KINDS; kind++) {
		machine_init(&m);
		good_chain(&m, kind);
		for (unsigned i = 0; i < 5; i++) {
			features(&m, kind, 0, 1);
			say(&m, kind, 0x30, 999);
			say(&m, kind, 0x44, 1);
			say(&m, kind, STATUS, 15);
			say(&m, kind, 0x50, 999);
			say(&m, kind, 0x50, queues[kind]);
		}
		start(&m, kind);
		kick(&m, kind);
		another(&m, kind);
		assert_true(machine_run(&m));
		done(&m, kind);
		machine_done(&m);
	}
}

/* As Linux does before it halts: what comes behind it is not done any more. */
static void root_let_go(_unused_ void **state)
{
	static struct machine m;

	machine_init(&m);
	m.fs.root = true;
	good_chain(&m, FS);
	start(&m, FS);
	say(&m, FS, STATUS, 0);
	another(&m, FS);
	assert_false(machine_run(&m));
	machine_done(&m);
}

/* ---- lies that a ring can carry ---- */

/* Pages that the guest has not, of which one is another's in any address space. */
static void balloon_lies(_unused_ void **state)
{
	static const uint32_t pages[] = { 0xd0000, UINT32_MAX, VM_MEMORY_MIN / 4096 };
	static struct machine m;

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		machine_init(&m);
		good_chain(&m, BALLOON);
		memcpy(m.image.mem + TRY_BUFFER, &pages[i], sizeof(pages[i]));
		start(&m, BALLOON);
		kick(&m, BALLOON);
		another(&m, BALLOON);
		assert_true(machine_run(&m));
		broken(&m, BALLOON, "a page that there is not");
		machine_done(&m);
	}
}

/* How many chains it has given back. */
static uint16_t used(const struct machine *m)
{
	return __atomic_load_n((uint16_t *)(at(m, TRY_USED) + RING_IDX), __ATOMIC_ACQUIRE);
}

#define LIES	3
#define ARG_MAX 64u

struct fuse_request {
	struct fuse_in_header h;
	char arg[ARG_MAX];
};

/* Chain @i: a request of @len bytes behind its head, and room for the answer. */
static void fuse_chain(struct machine *m, unsigned i, struct fuse_request r, uint32_t len)
{
	const uint32_t in = TRY_BUFFER + i * 0x200, out = TRY_PAGE + i * 0x200;

	len += sizeof(r.h);
	r.h.len = r.h.len ? r.h.len : len;
	r.h.unique = 100 + i;
	r.h.nodeid = FUSE_ROOT_ID;
	memcpy(m->image.mem + in, &r, len);
	descs(m)[2 * i] = (struct ring_desc){ LOAD + in, len, DESC_F_NEXT, (uint16_t)(2 * i + 1) };
	descs(m)[2 * i + 1] = (struct ring_desc){ LOAD + out, 0x100, DESC_F_WRITE, 0 };
	avail(m)[2 + i] = (uint16_t)(2 * i);
}

/* To a union: a length that is not the chain's, less than a WRITE has, a name that leads out. */
static void fuse_lies(_unused_ void **state)
{
	const struct fuse_init_in init = { .major = FUSE_KERNEL_VERSION,
					   .minor = 31,
					   .flags = FUSE_NO_OPEN_SUPPORT |
						    FUSE_NO_OPENDIR_SUPPORT };
	struct fuse_request lies[LIES] = { { .h = { .opcode = FUSE_GETATTR, .len = 4096 } },
					   { .h.opcode = FUSE_WRITE },
					   { .h.opcode = FUSE_LOOKUP, .arg = ".." } };
	static const uint32_t lengths[LIES] = { 16, 39, 3 };
	struct fuse_request begin = { .h.opcode = FUSE_INIT };
	struct union_fixture u;
	static struct machine m;

	union_init(&u, getuid());
	machine_init(&m);
	m.fs = (struct vm_fs){ .tag = "root", .serve = union_serve, .ctx = u.conn, .threads = 1 };
	memcpy(begin.arg, &init, sizeof(init));
	fuse_chain(&m, 0, begin, sizeof(init));
	memcpy(lies[1].arg + offsetof(struct fuse_write_in, size), &(uint32_t){ 65536 }, 4);
	for (unsigned i = 0; i < LIES; i++)
		fuse_chain(&m, 1 + i, lies[i], lengths[i]);
	avail(&m)[1] = 1 + LIES;
	start(&m, FS);
	kick(&m, FS);
	another(&m, FS);
	assert_true(machine_run(&m));
	for (unsigned ms = 0; used(&m) <= LIES && ms < WAIT_MS; ms++)
		usleep(1000);
	for (unsigned i = 0; i <= LIES; i++) {
		struct fuse_out_header h;

		memcpy(&h, at(&m, TRY_PAGE + i * 0x200), sizeof(h));
		assert_int_equal(h.unique, 100 + i);
		assert_int_equal(h.error, i ? -EINVAL : 0);
	}
	assert_false(status_of(&m, FS) & NEEDS_RESET);
	machine_done(&m);
	union_done(&u);
	temp_close(u.path, u.dir);
}

#define FLOOD 64u /* packets, a full ring */

/*
 * As many connections asked for as there can be, with no buffer to answer in: the device waits for
 * buffers, and keeps no more than it has room for.
 */
static void vsock_flood(_unused_ void **state)
{
	static struct machine m;
	struct vsock_header h;

	machine_init(&m);
	good_chain(&m, VSOCK);
	memcpy(&h, m.image.mem + TRY_BUFFER, sizeof(h));
	for (unsigned i = 0; i < FLOOD; i++) {
		uint32_t off = TRY_BUFFER + i * 64;

		h.src_port = 2000 + i;
		h.buf_alloc = i % 2 ? 0 : UINT32_MAX;
		memcpy(m.image.mem + off, &h, sizeof(h));
		descs(&m)[i] = (struct ring_desc){ LOAD + off, sizeof(h), 0, 0 };
		avail(&m)[2 + i] = (uint16_t)i;
	}
	avail(&m)[1] = FLOOD;
	features(&m, VSOCK, 0, 1);
	queue(&m, VSOCK);
	say(&m, VSOCK, 0x44, 0);
	say(&m, VSOCK, 0x38, FLOOD);
	say(&m, VSOCK, 0x44, 1);
	say(&m, VSOCK, STATUS, 15);
	kick(&m, VSOCK);
	another(&m, VSOCK);
	assert_true(machine_run(&m));
	done(&m, VSOCK);
	machine_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_used),	  cmocka_unit_test(hostile_rings),
		cmocka_unit_test(feature_games),  cmocka_unit_test(moved_while_live),
		cmocka_unit_test(reset_and_used), cmocka_unit_test(balloon_lies),
		cmocka_unit_test(fuse_lies),	  cmocka_unit_test(vsock_flood),
		cmocka_unit_test(root_let_go),
	};

	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		printf("1..0 # SKIP no /dev/kvm\n");
		return 0;
	}
	return cmocka_run_group_tests_name("microvm/devices", tests, NULL, NULL);
}
