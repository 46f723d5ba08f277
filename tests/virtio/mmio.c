/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/virtio/driver.h"

static struct {
	unsigned activated, reset, freed;
	int result;
} seen;

static int activate(_unused_ void *dev)
{
	seen.activated++;
	return seen.result;
}

static void reset(_unused_ void *dev)
{
	seen.reset++;
}

static void dev_free(_unused_ void *dev)
{
	seen.freed++;
}

static const void *config(_unused_ void *dev)
{
	return "config!";
}

static const struct virtio_ops ops = {
	.name = "test",
	.device_id = 42,
	.queue_size = 64,
	.features = 1u << 3,
	.config_len = 7,
	.config = config,
	.activate = activate,
	.reset = reset,
	.free = dev_free,
};

static int setup(void **state)
{
	struct driver *d = new0(struct driver);

	memset(&seen, 0, sizeof(seen));
	driver_init(d);
	assert_ok(virtio_mmio_new(&d->bus, 0xd0000000, 5, &ops, 2, NULL, &d->m));
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	driver_done(*state);
	assert_int_equal(seen.freed, 1);
	free(*state);
	return 0;
}

static void identity(void **state)
{
	struct driver *d = *state;

	assert_int_equal(reg_get(d, R_MAGIC), 0x74726976);
	assert_int_equal(reg_get(d, R_VERSION), 2);
	assert_int_equal(reg_get(d, R_DEVICE_ID), 42);
	assert_int_equal(reg_get(d, R_SHM_LEN), UINT32_MAX);
	assert_int_equal(reg_get(d, R_QUEUE_NUM_MAX), 64);
	reg_put(d, R_QUEUE_SEL, 2);
	assert_int_equal(reg_get(d, R_QUEUE_NUM_MAX), 0);
	reg_put(d, R_QUEUE_SEL, UINT32_MAX);
	reg_put(d, R_QUEUE_READY, 1);
	assert_int_equal(reg_get(d, R_QUEUE_READY), 0);
}

static const struct mem_region *shm(_unused_ const void *dev)
{
	static const struct mem_region r = { 0x240000000, 0x180000000, NULL };

	return &r;
}

static uint64_t pair_get(struct driver *d, uint32_t low)
{
	return reg_get(d, low) | (uint64_t)reg_get(d, low + 4) << 32;
}

static void shared_memory(_unused_ void **state)
{
	struct virtio_ops own = ops;
	struct driver d = { 0 };

	memset(&seen, 0, sizeof(seen));
	own.shm = shm;
	driver_init(&d);
	assert_ok(virtio_mmio_new(&d.bus, 0xd0000000, 5, &own, 2, NULL, &d.m));
	assert_int_equal(pair_get(&d, R_SHM_LEN), 0x180000000);
	assert_int_equal(pair_get(&d, R_SHM_BASE), 0x240000000);
	reg_put(&d, R_SHM_SEL, 1);
	assert_int_equal(pair_get(&d, R_SHM_LEN), UINT64_MAX);
	assert_int_equal(pair_get(&d, R_SHM_BASE), UINT64_MAX);
	reg_put(&d, R_SHM_SEL, 0);
	assert_int_equal(pair_get(&d, R_SHM_BASE), 0x240000000);
	driver_done(&d);
}

static void features(void **state)
{
	struct driver *d = *state;
	uint64_t f = reg_get(d, R_FEATURES);

	reg_put(d, R_FEATURES_SEL, 1);
	f |= (uint64_t)reg_get(d, R_FEATURES) << 32;
	assert_int_equal(f, 1u << 3 | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX |
				    VIRTIO_F_INDIRECT_DESC);
	reg_put(d, R_FEATURES_SEL, 2);
	assert_int_equal(reg_get(d, R_FEATURES), 0);

	driver_features(d, 1u << 3); /* without VERSION_1 */
	assert_false(reg_get(d, R_STATUS) & S_FEATURES_OK);
	driver_features(d, VIRTIO_F_VERSION_1 | 1u << 4); /* not offered */
	assert_false(reg_get(d, R_STATUS) & S_FEATURES_OK);
	driver_features(d, VIRTIO_F_VERSION_1 | 1u << 3);
	assert_true(reg_get(d, R_STATUS) & S_FEATURES_OK);
	assert_int_equal(virtio_mmio_features(d->m), VIRTIO_F_VERSION_1 | 1u << 3);
	/* Frozen from then on. */
	reg_put(d, R_DRIVER_FEATURES_SEL, 0);
	reg_put(d, R_DRIVER_FEATURES, 1u << 4);
	assert_int_equal(virtio_mmio_features(d->m), VIRTIO_F_VERSION_1 | 1u << 3);
}

static void no_start_without_features(void **state)
{
	struct driver *d = *state;

	reg_put(d, R_STATUS, S_ACK | S_DRIVER | S_DRIVER_OK);
	assert_int_equal(reg_get(d, R_STATUS), S_ACK | S_DRIVER);
	assert_int_equal(seen.activated, 0);
}

static void life(void **state)
{
	struct driver *d = *state;

	driver_start(d, VIRTIO_F_EVENT_IDX, 2, 16);
	assert_int_equal(seen.activated, 1);
	assert_true(virtio_mmio_queue(d->m, 1)->ready);
	assert_true(virtio_mmio_queue(d->m, 1)->event_idx);
	assert_false(virtio_mmio_queue(d->m, 1)->indirect);
	reg_put(d, R_STATUS, 0);
	assert_int_equal(seen.reset, 1);
	assert_int_equal(reg_get(d, R_STATUS), 0);
	reg_put(d, R_QUEUE_SEL, 1);
	assert_int_equal(reg_get(d, R_QUEUE_READY), 0);
	driver_start(d, 0, 2, 8);
	assert_int_equal(seen.activated, 2);
}

static void activation_fails(void **state)
{
	struct driver *d = *state;

	seen.result = -ENOMEM;
	driver_features(d, VIRTIO_F_VERSION_1);
	reg_put(d, R_STATUS, S_ACK | S_DRIVER | S_FEATURES_OK | S_DRIVER_OK);
	assert_true(reg_get(d, R_STATUS) & S_NEEDS_RESET);
	assert_true(driver_wait(d));
	reg_put(d, R_STATUS, 0);
	assert_int_equal(seen.reset, 0);
	seen.result = 0;
	driver_start(d, 0, 1, 8);
}

static void reprogramming_while_live(void **state)
{
	struct driver *d = *state;
	uint64_t before;

	driver_start(d, 0, 2, 16);
	before = virtio_mmio_queue(d->m, 0)->desc;
	reg_put(d, R_QUEUE_SEL, 0);
	reg_put64(d, R_DESC, 0x1000);
	reg_put(d, R_QUEUE_NUM, 64);
	reg_put(d, R_QUEUE_READY, 0);
	assert_int_equal(virtio_mmio_queue(d->m, 0)->desc, before);
	assert_int_equal(virtio_mmio_queue(d->m, 0)->num, 16);
	assert_true(virtio_mmio_queue(d->m, 0)->ready);
	assert_true(reg_get(d, R_STATUS) & S_NEEDS_RESET);
	assert_true(driver_wait(d));
}

static void ready_queue_keeps_its_place(void **state)
{
	struct driver *d = *state;

	driver_features(d, VIRTIO_F_VERSION_1);
	driver_queue(d, 0, 16);
	reg_put64(d, R_USED, 0x1000);
	assert_int_equal(virtio_mmio_queue(d->m, 0)->used, d->rings[0].used);
	reg_put(d, R_QUEUE_READY, 0);
	reg_put64(d, R_USED, 0x1000);
	assert_int_equal(virtio_mmio_queue(d->m, 0)->used, 0x1000);
}

static void impossible_queue(void **state)
{
	struct driver *d = *state;

	driver_features(d, VIRTIO_F_VERSION_1);
	reg_put(d, R_QUEUE_SEL, 0);
	reg_put(d, R_QUEUE_NUM, 128); /* more than offered */
	reg_put64(d, R_DESC, RAM_GPA);
	reg_put64(d, R_AVAIL, RAM_GPA + 0x1000);
	reg_put64(d, R_USED, RAM_GPA + 0x2000);
	reg_put(d, R_QUEUE_READY, 1);
	assert_int_equal(reg_get(d, R_QUEUE_READY), 0);
	assert_true(reg_get(d, R_STATUS) & S_NEEDS_RESET);
	driver_features(d, VIRTIO_F_VERSION_1);
	reg_put(d, R_QUEUE_NUM, 16);
	reg_put64(d, R_DESC, 0xfffffffffffffff0);
	reg_put64(d, R_AVAIL, RAM_GPA + 0x1000);
	reg_put64(d, R_USED, RAM_GPA + 0x2000);
	reg_put(d, R_QUEUE_READY, 1);
	assert_int_equal(reg_get(d, R_QUEUE_READY), 0);
}

static void config_space(void **state)
{
	struct driver *d = *state;
	char buf[8];

	virtio_mmio_access(d->m, R_CONFIG + 1, buf, 1, false);
	assert_int_equal(buf[0], 'o');
	virtio_mmio_access(d->m, R_CONFIG + 3, buf, 4, false);
	assert_memory_equal(buf, "fig!", 4);
	virtio_mmio_access(d->m, R_CONFIG + 4, buf, 4, false); /* one byte beyond */
	assert_memory_equal(buf, "ig!\0", 4);
	virtio_mmio_access(d->m, 0xffc, buf, 8, false);
	assert_memory_equal(buf, "\0\0\0\0\0\0\0\0", 8);
	memset(buf, 'x', 8);
	virtio_mmio_access(d->m, R_CONFIG, buf, 4, true);
	virtio_mmio_access(d->m, R_CONFIG, buf, 4, false);
	assert_memory_equal(buf, "conf", 4);
}

static void odd_accesses(void **state)
{
	struct driver *d = *state;
	uint64_t v = UINT64_MAX;

	virtio_mmio_access(d->m, R_MAGIC, &v, 8, false);
	assert_int_equal(v, 0);
	v = UINT64_MAX;
	virtio_mmio_access(d->m, R_MAGIC + 1, &v, 4, false);
	assert_int_equal((uint32_t)v, 0);
	v = S_ACK;
	virtio_mmio_access(d->m, R_STATUS, &v, 1, true);
	assert_int_equal(reg_get(d, R_STATUS), 0);
	for (unsigned off = 0; off < 0x200; off += 4)
		reg_put(d, off, UINT32_MAX);
	for (unsigned off = 0; off < 0x200; off += 4)
		(void)reg_get(d, off);
}

static void interrupts(void **state)
{
	struct driver *d = *state;
	struct virtq *q = virtio_mmio_queue(d->m, 1);

	driver_start(d, 0, 2, 16);
	q->notify(q->notify_ctx, q->index);
	assert_int_equal(reg_get(d, R_IRQ), 1);
	reg_put(d, R_ACK, 1);
	assert_int_equal(reg_get(d, R_IRQ), 0);
	virtio_mmio_needs_reset(d->m);
	assert_int_equal(reg_get(d, R_IRQ), 2);
}

static void notify_kicks(void **state)
{
	struct driver *d = *state;
	eventfd_t n;

	driver_start(d, 0, 2, 16);
	reg_put(d, R_NOTIFY, 1);
	reg_put(d, R_NOTIFY, 99);
	assert_int_equal(eventfd_read(virtio_mmio_queue(d->m, 1)->kick_fd, &n), 0);
	assert_int_equal(eventfd_read(virtio_mmio_queue(d->m, 0)->kick_fd, &n), -1);
}

/* Nobody listens before the driver is ready; what waits by then is a kick of its queue. */
static void notified_too_early(void **state)
{
	struct driver *d = *state;
	eventfd_t n;

	driver_prepare(d, 0, 2, 16);
	ring_add(d, &d->rings[1], RAM_GPA, 16, true);
	reg_put(d, R_NOTIFY, 1);
	assert_int_equal(virtio_mmio_queue(d->m, 1)->kick_fd, -1);
	driver_ready(d);
	assert_int_equal(eventfd_read(virtio_mmio_queue(d->m, 1)->kick_fd, &n), 0);
	assert_int_equal(eventfd_read(virtio_mmio_queue(d->m, 0)->kick_fd, &n), -1);
}

/* What KVM has been told, of each queue. */
static struct {
	unsigned on[2], off[2], swallowed;
	int fd[2];
	bool full, full_for_swallow; /* it refuses the last queue's; or what is to be swallowed */
} kvm;

static int kvm_ioeventfd(_unused_ void *ctx, _unused_ uint64_t gpa, uint32_t value, int fd, bool on)
{
	assert_true(fd >= 0 && value < 2);
	if (on && kvm.full && value == 1)
		return -ENOSPC;
	(on ? kvm.on : kvm.off)[value]++;
	kvm.fd[value] = fd;
	return 0;
}

static int kvm_swallow(_unused_ void *ctx, _unused_ uint64_t gpa, _unused_ uint32_t value)
{
	if (kvm.full_for_swallow)
		return -ENOSPC;
	kvm.swallowed++;
	return 0;
}

static void assert_refused(struct driver *d)
{
	driver_prepare(d, 0, 2, 16);
	reg_put(d, R_STATUS, S_ACK | S_DRIVER | S_FEATURES_OK | S_DRIVER_OK);
	assert_true(reg_get(d, R_STATUS) & S_NEEDS_RESET);
	assert_int_equal(seen.activated, 0);
}

/* What KVM signals when the guest notifies of queue @i is that queue's, and no other's. */
static void assert_kicked(struct driver *d, unsigned i)
{
	eventfd_t n;

	assert_ok(eventfd_write(kvm.fd[i], 1));
	assert_int_equal(eventfd_read(virtio_mmio_queue(d->m, !i)->kick_fd, &n), -1);
	assert_int_equal(eventfd_read(virtio_mmio_queue(d->m, i)->kick_fd, &n), 0);
}

static int next_fd(const struct driver *d)
{
	int fd = dup(d->irq_fd);

	fd_close(fd);
	return fd;
}

/* However often a driver begins, with whatever sizes, and whatever failed before. */
static void kvm_is_told_once(_unused_ void **state)
{
	static const uint16_t sizes[] = { 16, 2, 8, 4 };
	struct driver d;
	int next;

	memset(&seen, 0, sizeof(seen));
	memset(&kvm, 0, sizeof(kvm));
	driver_init(&d);
	d.bus.ioeventfd = kvm_ioeventfd;
	d.bus.swallow = kvm_swallow;
	assert_ok(virtio_mmio_new(&d.bus, 0xd0000000, 5, &ops, 2, NULL, &d.m));
	assert_int_equal(kvm.on[0], 0);
	kvm.full = kvm.full_for_swallow = true;
	assert_refused(&d);
	assert_refused(&d);
	kvm.full = false;
	assert_refused(&d);
	assert_int_equal(kvm.swallowed, 0);
	kvm.full_for_swallow = false;
	next = next_fd(&d);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		driver_start(&d, 0, 2, sizes[i]);
		assert_int_equal(seen.activated, i + 1);
		assert_kicked(&d, 0);
		assert_kicked(&d, 1);
	}
	assert_int_equal(next_fd(&d), next); /* none was opened meanwhile */
	assert_int_equal(kvm.swallowed, 1);
	driver_done(&d);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(kvm.on[i], 1);
		assert_int_equal(kvm.off[i], 1);
	}
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(identity),
		cmocka_unit_test(shared_memory),
		test(features),
		test(no_start_without_features),
		test(life),
		test(activation_fails),
		test(reprogramming_while_live),
		test(ready_queue_keeps_its_place),
		test(impossible_queue),
		test(config_space),
		test(odd_accesses),
		test(interrupts),
		test(notify_kicks),
		test(notified_too_early),
		cmocka_unit_test(kvm_is_told_once),
	};

	return cmocka_run_group_tests_name("virtio/mmio", tests, NULL, NULL);
}
