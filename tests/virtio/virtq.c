/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/virtio/driver.h"

#define NUM 16

struct fixture {
	struct driver d;
	struct ring r;
	struct virtq q;
	struct virtq_chain c;
	unsigned notified;
};

static void notify(void *ctx, _unused_ unsigned queue)
{
	((struct fixture *)ctx)->notified++;
}

static int setup(void **state)
{
	struct fixture *f = new0(struct fixture);

	driver_init(&f->d);
	ring_init(&f->d, &f->r, NUM);
	f->q = (struct virtq){
		.desc = f->r.desc,
		.avail = f->r.avail,
		.used = f->r.used,
		.num = NUM,
		.ready = true,
		.indirect = true,
		.kick_fd = -1,
		.notify = notify,
		.notify_ctx = f,
	};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	driver_done(&f->d);
	free(f);
	return 0;
}

static int pop(struct fixture *f)
{
	return virtq_pop(&f->q, &f->d.mem, &f->c);
}

static void desc(struct fixture *f, unsigned i, uint64_t addr, uint32_t len, unsigned flags,
		 unsigned next)
{
	ring_desc_set(&f->d, &f->r, i, addr, len, flags, next);
}

/* The chain from descriptor 0 is refused, and the queue with it. */
static void refused(struct fixture *f)
{
	ring_publish(&f->d, &f->r, 0);
	assert_int_equal(pop(f), -EPROTO);
	assert_true(f->q.broken);
	assert_int_equal(pop(f), -EPROTO);
	assert_int_equal(virtq_push(&f->q, &f->d.mem, 0, 0), -EPROTO);
	virtq_flush(&f->q, &f->d.mem);
	assert_int_equal(f->notified, 0);
}

static void chain(void **state)
{
	struct fixture *f = *state;
	uint64_t a = driver_alloc(&f->d, 100), b = driver_alloc(&f->d, 200);

	assert_int_equal(pop(f), 0);
	desc(f, 3, a, 100, DESC_F_NEXT, 7);
	desc(f, 7, b, 0, DESC_F_NEXT, 1); /* empty: nothing to read */
	desc(f, 1, b, 200, DESC_F_WRITE, 0);
	ring_publish(&f->d, &f->r, 3);
	assert_int_equal(virtq_pending(&f->q, &f->d.mem), 1);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->c.head, 3);
	assert_int_equal(f->c.nin, 1);
	assert_int_equal(f->c.nout, 1);
	assert_int_equal(f->c.in_len, 100);
	assert_int_equal(f->c.out_len, 200);
	assert_ptr_equal(f->c.out[0].iov_base, driver_at(&f->d, b));
	assert_ok(virtq_push(&f->q, &f->d.mem, f->c.head, 42));
	virtq_flush(&f->q, &f->d.mem);
	assert_int_equal(f->notified, 1);
	assert_int_equal(ring_take(&f->d, &f->r).len, 42);
	assert_int_equal(pop(f), 0);
}

static void unpopped_again(void **state)
{
	struct fixture *f = *state;

	desc(f, 0, driver_alloc(&f->d, 8), 8, 0, 0);
	ring_publish(&f->d, &f->r, 0);
	assert_int_equal(pop(f), 1);
	virtq_unpop(&f->q);
	assert_int_equal(pop(f), 1);
	assert_int_equal(pop(f), 0);
}

static void wraps(void **state)
{
	struct fixture *f = *state;
	uint64_t a = driver_alloc(&f->d, 8);

	f->q.last_avail = f->q.used_idx = f->q.signalled = f->r.avail_idx = f->r.used_seen = 65530;
	*driver_u16(&f->d, f->r.avail + RING_IDX) = *driver_u16(&f->d, f->r.used + RING_IDX) =
		65530;
	for (int i = 0; i < 40; i++) {
		ring_add(&f->d, &f->r, a, 8, false);
		assert_int_equal(pop(f), 1);
		assert_ok(virtq_push(&f->q, &f->d.mem, f->c.head, (uint32_t)i));
		assert_int_equal(ring_take(&f->d, &f->r).len, i);
	}
}

static void indirect(void **state)
{
	struct fixture *f = *state;
	uint64_t a = driver_alloc(&f->d, 64), t = driver_alloc(&f->d, 3 * sizeof(struct ring_desc));
	struct ring_desc *table = driver_at(&f->d, t);

	table[0] = (struct ring_desc){ a, 8, DESC_F_NEXT, 2 };
	table[2] = (struct ring_desc){ a, 16, DESC_F_NEXT | DESC_F_WRITE, 1 };
	table[1] = (struct ring_desc){ a, 32, DESC_F_WRITE, 0 };
	desc(f, 5, a, 4, DESC_F_NEXT, 0);
	desc(f, 0, t, 3 * sizeof(*table), DESC_F_INDIRECT, 0);
	ring_publish(&f->d, &f->r, 5); /* a descriptor, then a table */
	ring_publish(&f->d, &f->r, 0); /* a table alone */
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->c.in_len, 12);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->c.in_len, 8);
	assert_int_equal(f->c.out_len, 48);
	assert_int_equal(f->c.nout, 2);
}

static void event_idx(void **state)
{
	struct fixture *f = *state;
	uint64_t a = driver_alloc(&f->d, 8);
	uint16_t *used_event = driver_u16(&f->d, f->r.avail + RING_AVAIL_SIZE(NUM) - 2);
	const uint16_t *avail_event = driver_u16(&f->d, f->r.used + RING_USED_SIZE(NUM) - 2);

	f->q.event_idx = true;
	*used_event = 2; /* an interrupt after the third */
	for (unsigned i = 0; i < 4; i++) {
		ring_add(&f->d, &f->r, a, 8, false);
		assert_int_equal(pop(f), 1);
		assert_int_equal(pop(f), 0);
		assert_int_equal(*avail_event, i + 1);
		assert_ok(virtq_push(&f->q, &f->d.mem, f->c.head, 0));
		virtq_flush(&f->q, &f->d.mem);
		virtq_flush(&f->q, &f->d.mem);
		assert_int_equal(f->notified, i >= 2);
	}
}

static void no_interrupt(void **state)
{
	struct fixture *f = *state;

	*driver_u16(&f->d, f->r.avail) = RING_AVAIL_F_NO_INTERRUPT;
	ring_add(&f->d, &f->r, driver_alloc(&f->d, 8), 8, false);
	assert_int_equal(pop(f), 1);
	assert_ok(virtq_push(&f->q, &f->d.mem, f->c.head, 0));
	virtq_flush(&f->q, &f->d.mem);
	assert_int_equal(f->notified, 0);
}

static void loop(void **state)
{
	struct fixture *f = *state;
	uint64_t a = driver_alloc(&f->d, 8);

	desc(f, 0, a, 8, DESC_F_NEXT, 1);
	desc(f, 1, a, 8, DESC_F_NEXT, 0);
	refused(f);
}

static void loop_of_one_empty(void **state)
{
	struct fixture *f = *state;

	desc(f, 0, 0, 0, DESC_F_NEXT, 0);
	refused(f);
}

static void beyond_memory(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} bad[] = {
		{ RAM_GPA + RAM_SIZE - 8, 9 },
		{ RAM_GPA + RAM_SIZE, 1 },
		{ RAM_GPA - 1, 2 },
		{ 0, 1 },
		{ UINT64_MAX, 2 },
		{ RAM_GPA, UINT32_MAX },
		{ UINT64_MAX - 7, 8 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		f->q.broken = false;
		f->q.last_avail = f->r.avail_idx;
		desc(f, 0, bad[i].addr, bad[i].len, i % 2 ? DESC_F_WRITE : 0, 0);
		refused(f);
	}
}

/* What lies in the DAX window is left out: the chain is shorter, and its queue sound. */
static void in_the_window(void **state)
{
	struct fixture *f = *state;
	uint64_t a = driver_alloc(&f->d, 100);

	f->d.mem.window = (struct mem_region){ UINT64_C(1) << 40, 0x200000, NULL };
	desc(f, 0, a, 100, DESC_F_NEXT, 1);
	desc(f, 1, (UINT64_C(1) << 40) + 0x1ffffc, 4, DESC_F_NEXT, 2);
	desc(f, 2, UINT64_C(1) << 40, 0x200000, DESC_F_WRITE | DESC_F_NEXT, 3);
	desc(f, 3, a, 50, DESC_F_WRITE, 0);
	ring_publish(&f->d, &f->r, 0);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->c.nin, 1);
	assert_int_equal(f->c.in_len, 100);
	assert_int_equal(f->c.nout, 1);
	assert_int_equal(f->c.out_len, 50);
	/* Half in it is nowhere. */
	f->q.last_avail = f->r.avail_idx;
	desc(f, 0, (UINT64_C(1) << 40) + 0x1ffffc, 5, 0, 0);
	refused(f);
}

static void next_beyond_ring(void **state)
{
	struct fixture *f = *state;

	desc(f, 0, driver_alloc(&f->d, 8), 8, DESC_F_NEXT, NUM);
	refused(f);
}

static void head_beyond_ring(void **state)
{
	struct fixture *f = *state;

	ring_publish(&f->d, &f->r, NUM);
	assert_int_equal(pop(f), -EPROTO);
}

static void read_after_write(void **state)
{
	struct fixture *f = *state;
	uint64_t a = driver_alloc(&f->d, 8);

	desc(f, 0, a, 8, DESC_F_NEXT | DESC_F_WRITE, 1);
	desc(f, 1, a, 8, 0, 0);
	refused(f);
}

static void index_jumps(void **state)
{
	struct fixture *f = *state;

	*driver_u16(&f->d, f->r.avail + RING_IDX) = NUM + 1;
	assert_int_equal(pop(f), -EPROTO);
	f->q.broken = false;
	*driver_u16(&f->d, f->r.avail + RING_IDX) = 65535;
	assert_int_equal(virtq_pending(&f->q, &f->d.mem), -EPROTO);
}

static void bad_tables(void **state)
{
	struct fixture *f = *state;
	uint64_t t = driver_alloc(&f->d, 4096);
	struct ring_desc *table = driver_at(&f->d, t);
	const struct ring_desc bad[] = {
		{ t, 0, DESC_F_INDIRECT, 0 },			       /* empty */
		{ t, 17, DESC_F_INDIRECT, 0 },			       /* no whole entries */
		{ t, 16, DESC_F_INDIRECT | DESC_F_NEXT, 1 },	       /* goes on */
		{ t + 1, 16, DESC_F_INDIRECT, 0 },		       /* not aligned */
		{ RAM_GPA + RAM_SIZE - 16, 32, DESC_F_INDIRECT, 0 },   /* beyond memory */
		{ t, 16 * (VIRTQ_CHAIN_MAX + 1), DESC_F_INDIRECT, 0 }, /* too long */
		{ t, 32, DESC_F_INDIRECT, 0 },			       /* a table in a table */
		{ t + 32, 16, DESC_F_INDIRECT, 0 },		       /* points behind itself */
	};

	table[0] = (struct ring_desc){ t, 16, DESC_F_INDIRECT, 0 };
	table[2] = (struct ring_desc){ t, 16, DESC_F_NEXT, 1 };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		f->q.broken = false;
		f->q.last_avail = f->r.avail_idx;
		desc(f, 0, bad[i].addr, bad[i].len, bad[i].flags, bad[i].next);
		refused(f);
	}
}

static void indirect_not_negotiated(void **state)
{
	struct fixture *f = *state;

	f->q.indirect = false;
	desc(f, 0, driver_alloc(&f->d, 16), 16, DESC_F_INDIRECT, 0);
	refused(f);
}

/* As many descriptors as the arrays have, behind some of the ring's: one too many. */
static void too_long(void **state)
{
	struct fixture *f = *state;
	uint64_t t = driver_alloc(&f->d, VIRTQ_CHAIN_MAX * sizeof(struct ring_desc));
	struct ring_desc *table = driver_at(&f->d, t);

	for (unsigned i = 0; i < VIRTQ_CHAIN_MAX; i++)
		table[i] = (struct ring_desc){ t, 1, i + 1 < VIRTQ_CHAIN_MAX ? DESC_F_NEXT : 0,
					       (uint16_t)(i + 1) };
	desc(f, 0, t, 8, DESC_F_NEXT, 1);
	desc(f, 1, t, VIRTQ_CHAIN_MAX * sizeof(*table), DESC_F_INDIRECT, 0);
	refused(f);
	table[VIRTQ_CHAIN_MAX - 3].flags = 0;
	f->q.broken = false;
	f->q.last_avail = 0;
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->c.nin, VIRTQ_CHAIN_MAX - 1);
}

/* 32 bits say how much of a chain was written: no more than they can say is in one. */
static void too_large(void **state)
{
	struct fixture *f = *state;
	const uint64_t at = UINT64_C(1) << 40;

	f->d.mem.regions[f->d.mem.n++] = (struct mem_region){ at, UINT32_MAX, f->d.ram };
	desc(f, 0, at, UINT32_MAX - 8, DESC_F_NEXT, 1);
	desc(f, 1, at, 8, DESC_F_WRITE, 0);
	ring_publish(&f->d, &f->r, 0);
	assert_int_equal(pop(f), 1);
	desc(f, 1, at, 9, DESC_F_WRITE, 0);
	refused(f);
}

static void placement(void **state)
{
	struct fixture *f = *state;
	struct virtq q = f->q;

	assert_ok(virtq_check(&q, &f->d.mem));
	q.num = 0;
	assert_int_equal(virtq_check(&q, &f->d.mem), -EINVAL);
	q.num = 12;
	assert_int_equal(virtq_check(&q, &f->d.mem), -EINVAL);
	q.num = 2 * VIRTQ_MAX;
	assert_int_equal(virtq_check(&q, &f->d.mem), -EINVAL);
	q = f->q;
	q.desc += 8;
	assert_int_equal(virtq_check(&q, &f->d.mem), -EINVAL);
	q = f->q;
	q.used = RAM_GPA + RAM_SIZE - 4;
	assert_int_equal(virtq_check(&q, &f->d.mem), -EINVAL);
	q = f->q;
	q.avail = UINT64_MAX - 1;
	assert_int_equal(virtq_check(&q, &f->d.mem), -EINVAL);
}

static void not_ready(void **state)
{
	struct fixture *f = *state;

	f->q.ready = false;
	ring_add(&f->d, &f->r, RAM_GPA, 8, false);
	assert_int_equal(pop(f), 0);
	assert_int_equal(virtq_arm(&f->q, &f->d.mem), 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(chain),
		test(unpopped_again),
		test(wraps),
		test(indirect),
		test(event_idx),
		test(no_interrupt),
		test(loop),
		test(loop_of_one_empty),
		test(beyond_memory),
		test(in_the_window),
		test(next_beyond_ring),
		test(head_beyond_ring),
		test(read_after_write),
		test(index_jumps),
		test(bad_tables),
		test(indirect_not_negotiated),
		test(too_long),
		test(too_large),
		test(placement),
		test(not_ready),
	};

	return cmocka_run_group_tests_name("virtio/virtq", tests, NULL, NULL);
}
