/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver for tests: rings in plain memory, registers through virtio_mmio_access(), interrupts by
 * an eventfd.
 */
#ifndef TESTS_VIRTIO_DRIVER_H
#define TESTS_VIRTIO_DRIVER_H

#include "tests/base/unit.h"
#include "virtio/ring.h"
#include "virtio/virtio.h"
#include <malloc.h>
#include <poll.h>
#include <sys/eventfd.h>

#define RAM_GPA	 0x100000u
#define RAM_SIZE 0x100000u
#define WAIT_MS	 10000

/* Registers (virtio 1.2, 4.2.2), as a driver knows them. */
enum {
	R_MAGIC = 0x0,
	R_VERSION = 0x4,
	R_DEVICE_ID = 0x8,
	R_FEATURES = 0x10,
	R_FEATURES_SEL = 0x14,
	R_DRIVER_FEATURES = 0x20,
	R_DRIVER_FEATURES_SEL = 0x24,
	R_QUEUE_SEL = 0x30,
	R_QUEUE_NUM_MAX = 0x34,
	R_QUEUE_NUM = 0x38,
	R_QUEUE_READY = 0x44,
	R_NOTIFY = 0x50,
	R_IRQ = 0x60,
	R_ACK = 0x64,
	R_STATUS = 0x70,
	R_DESC = 0x80,
	R_AVAIL = 0x90,
	R_USED = 0xa0,
	R_SHM_SEL = 0xac,
	R_SHM_LEN = 0xb0,
	R_SHM_BASE = 0xb8,
	R_CONFIG = 0x100,
};

enum { S_ACK = 1, S_DRIVER = 2, S_DRIVER_OK = 4, S_FEATURES_OK = 8, S_NEEDS_RESET = 0x40 };

struct ring {
	uint64_t desc, avail, used;
	uint16_t num, avail_idx, used_seen, next_desc;
};

struct driver {
	struct mem mem;
	uint8_t *ram;
	uint64_t free; /* the next free gpa */
	struct virtio_mmio *m;
	int irq_fd;
	struct ring rings[2 + 2 * VIRTIO_CONSOLE_PORTS_MAX];
	struct virtio_bus bus;
};

/* ---- poison ---- */

/*
 * What the devices take for themselves begins as POISON, as does any memory of malloc(3) that is
 * not small: were some of it to come to the guest before it was written, it would be found there.
 */
#define POISON 0xbe /* as ASan has it, of more bytes than by itself */

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "max_malloc_fill_size=1048576";
}

static inline bool has_poison(const void *p, size_t len)
{
	static const uint8_t some[] = { POISON, POISON, POISON, POISON,
					POISON, POISON, POISON, POISON };

	return memmem(p, len, some, sizeof(some));
}

static inline void poison_begin(void)
{
	const size_t len = sizeof(struct virtq_chain);
	void *volatile p;

	mallopt(M_PERTURB, ~POISON & 0xff);
	p = malloc(len);
#ifndef __SANITIZE_THREAD__ /* whose malloc(3) has no such thing */
	assert_true(has_poison(p, len));
#endif
	free(p);
}

static inline void driver_irq(void *ctx, _unused_ unsigned gsi)
{
	struct driver *d = ctx;

	eventfd_write(d->irq_fd, 1);
}

static inline void driver_init(struct driver *d)
{
	poison_begin();
	*d = (struct driver){ .free = RAM_GPA };
	d->ram = aligned_alloc(4096, RAM_SIZE);
	assert_non_null(d->ram);
	memset(d->ram, 0, RAM_SIZE);
	d->mem.regions[d->mem.n++] = (struct mem_region){ RAM_GPA, RAM_SIZE, d->ram };
	d->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->bus = (struct virtio_bus){ .mem = &d->mem, .irq = driver_irq, .ctx = d };
}

static inline void driver_done(struct driver *d)
{
	virtio_mmio_free(d->m);
	assert_false(has_poison(d->ram, RAM_SIZE));
	fd_close(d->irq_fd);
	free(d->ram);
}

/* ---- memory ---- */

static inline uint64_t driver_alloc(struct driver *d, uint64_t len)
{
	uint64_t gpa = d->free;

	d->free += ROUND_UP(len, 64u);
	assert_true(d->free <= RAM_GPA + RAM_SIZE);
	return gpa;
}

static inline void *driver_at(struct driver *d, uint64_t gpa)
{
	return d->ram + (gpa - RAM_GPA);
}

static inline uint16_t *driver_u16(struct driver *d, uint64_t gpa)
{
	return driver_at(d, gpa);
}

static inline void ring_init(struct driver *d, struct ring *r, uint16_t num)
{
	*r = (struct ring){ .num = num };
	r->desc = driver_alloc(d, RING_DESC_SIZE(num));
	r->avail = driver_alloc(d, RING_AVAIL_SIZE(num));
	r->used = driver_alloc(d, RING_USED_SIZE(num));
}

static inline void ring_desc_set(struct driver *d, const struct ring *r, unsigned i, uint64_t addr,
				 uint32_t len, unsigned flags, unsigned next)
{
	struct ring_desc *desc = driver_at(d, r->desc);

	desc[i] = (struct ring_desc){ addr, len, (uint16_t)flags, (uint16_t)next };
}

/* Makes the chain that begins with descriptor @head available. */
static inline void ring_publish(struct driver *d, struct ring *r, uint16_t head)
{
	*driver_u16(d, r->avail + RING_ENTRIES + 2u * (r->avail_idx & (r->num - 1u))) = head;
	__atomic_store_n(driver_u16(d, r->avail + RING_IDX), ++r->avail_idx, __ATOMIC_SEQ_CST);
}

/* One buffer as a chain of its own: its head. */
static inline uint16_t ring_add(struct driver *d, struct ring *r, uint64_t gpa, uint32_t len,
				bool write)
{
	uint16_t head = r->next_desc++ & (r->num - 1u);

	ring_desc_set(d, r, head, gpa, len, write ? DESC_F_WRITE : 0, 0);
	ring_publish(d, r, head);
	return head;
}

static inline bool ring_used(struct driver *d, const struct ring *r)
{
	return __atomic_load_n(driver_u16(d, r->used + RING_IDX), __ATOMIC_ACQUIRE) != r->used_seen;
}

static inline struct ring_used_elem ring_take(struct driver *d, struct ring *r)
{
	struct ring_used_elem *e = driver_at(d, r->used + RING_ENTRIES);

	assert_true(ring_used(d, r));
	return e[r->used_seen++ & (r->num - 1u)];
}

/* ---- registers ---- */

static inline uint32_t reg_get(struct driver *d, unsigned off)
{
	uint32_t v = 0;

	virtio_mmio_access(d->m, off, &v, sizeof(v), false);
	return v;
}

static inline void reg_put(struct driver *d, unsigned off, uint32_t v)
{
	virtio_mmio_access(d->m, off, &v, sizeof(v), true);
}

static inline void reg_put64(struct driver *d, unsigned off, uint64_t v)
{
	reg_put(d, off, (uint32_t)v);
	reg_put(d, off + 4, (uint32_t)(v >> 32));
}

static inline void driver_features(struct driver *d, uint64_t features)
{
	reg_put(d, R_STATUS, 0);
	reg_put(d, R_STATUS, S_ACK);
	reg_put(d, R_STATUS, S_ACK | S_DRIVER);
	for (unsigned i = 0; i < 2; i++) {
		reg_put(d, R_DRIVER_FEATURES_SEL, i);
		reg_put(d, R_DRIVER_FEATURES, (uint32_t)(features >> 32 * i));
	}
	reg_put(d, R_STATUS, S_ACK | S_DRIVER | S_FEATURES_OK);
}

static inline void driver_queue(struct driver *d, unsigned i, uint16_t num)
{
	struct ring *r = &d->rings[i];

	ring_init(d, r, num);
	reg_put(d, R_QUEUE_SEL, i);
	reg_put(d, R_QUEUE_NUM, num);
	reg_put64(d, R_DESC, r->desc);
	reg_put64(d, R_AVAIL, r->avail);
	reg_put64(d, R_USED, r->used);
	reg_put(d, R_QUEUE_READY, 1);
}

/* Negotiates @features with VERSION_1, sets up @nqueues queues: all but ready. */
static inline void driver_prepare(struct driver *d, uint64_t features, unsigned nqueues,
				  uint16_t num)
{
	driver_features(d, features | VIRTIO_F_VERSION_1);
	for (unsigned i = 0; i < nqueues; i++)
		driver_queue(d, i, num);
}

static inline void driver_ready(struct driver *d)
{
	reg_put(d, R_STATUS, S_ACK | S_DRIVER | S_FEATURES_OK | S_DRIVER_OK);
	assert_int_equal(reg_get(d, R_STATUS), S_ACK | S_DRIVER | S_FEATURES_OK | S_DRIVER_OK);
}

/* The same, and DRIVER_OK. */
static inline void driver_start(struct driver *d, uint64_t features, unsigned nqueues, uint16_t num)
{
	driver_prepare(d, features, nqueues, num);
	driver_ready(d);
}

/* Waits for an interrupt and acknowledges it; false when none comes in time. */
static inline bool driver_wait(struct driver *d)
{
	struct pollfd p = { .fd = d->irq_fd, .events = POLLIN };
	eventfd_t n;

	if (poll(&p, 1, WAIT_MS) <= 0)
		return false;
	eventfd_read(d->irq_fd, &n);
	reg_put(d, R_ACK, reg_get(d, R_IRQ));
	return true;
}

/*
 * Asks for an interrupt when the next buffer is given back (used_event); whether one has been
 * already.
 */
static inline bool ring_arm(struct driver *d, const struct ring *r)
{
	__atomic_store_n(driver_u16(d, r->avail + RING_AVAIL_SIZE(r->num) - 2), r->used_seen,
			 __ATOMIC_SEQ_CST);
	return ring_used(d, r);
}

/* The next buffer that the device gives back on queue @i, waiting for it. */
static inline struct ring_used_elem driver_take(struct driver *d, unsigned i)
{
	while (!ring_arm(d, &d->rings[i]))
		assert_true(driver_wait(d));
	return ring_take(d, &d->rings[i]);
}

/* Waits until the device asks for a reset. */
static inline void driver_wait_reset(struct driver *d)
{
	while (!(reg_get(d, R_STATUS) & S_NEEDS_RESET))
		assert_true(driver_wait(d));
}

#endif
