/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The balloon (virtio 1.2, section 5.5). A page that is taken loses its memory here and comes back
 * as zeroes, or as the kernel image's bytes where that was mapped, when it is next touched: so
 * nothing has to be done when the guest takes it back.
 */
#include "base/buf.h"
#include "base/count.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "virtio/ring.h"
#include "virtio/thread.h"
#include "virtio/virtio.h"
#include <sys/eventfd.h>
#include <sys/mman.h>

#define BALLOON_DEVICE_ID  5
#define BALLOON_QUEUE_SIZE 128

/* Feature bits (5.5.3). */
#define F_STATS_VQ	 (UINT64_C(1) << 1)
#define F_DEFLATE_ON_OOM (UINT64_C(1) << 2)
#define F_REPORTING	 (UINT64_C(1) << 5)

/*
 * Queues. Section 5.5.2 numbers them 0 to 4; Linux leaves no place for one whose feature was not
 * negotiated, so reports come over 2, 3 or 4.
 */
enum { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_STATS, QUEUES = 5 };
#define TAG_ASK QUEUES

#define PFNS_MAX 65536u /* page numbers of one request; Linux sends 256 */

/* A statistic (5.5.6.3). */
struct stat_entry {
	uint16_t tag;
	uint64_t value;
} __attribute__((packed));
#define STATS_MAX 64u /* entries of one buffer that are looked at */

struct balloon_config { /* 5.5.4 */
	uint32_t num_pages, actual;
};

struct virtio_balloon {
	struct virtio_mmio *mmio;
	struct virtio_thread thread;
	int ask_fd;
	struct balloon_config config; /* under the window's lock, but for what is atomic */
	bool stats_held;	      /* the guest's buffer waits here until somebody asks */
	uint16_t stats_head;
	bool kept;	   /* the next start goes on with what is known */
	uint64_t stats[8]; /* by tag; atomic */
	uint64_t reported; /* bytes; atomic */
	struct virtq_chain chain;
};

/* ---- memory ---- */

static uint64_t give_back(uint8_t *from, uint64_t len)
{
	uintptr_t start = ROUND_UP((uintptr_t)from, VIRTIO_BALLOON_PAGE);
	uintptr_t end = ((uintptr_t)from + len) & ~(uintptr_t)(VIRTIO_BALLOON_PAGE - 1);

	if (start >= end || madvise((void *)start, end - start, MADV_DONTNEED) < 0)
		return 0;
	return end - start;
}

/* Neighbours go in one call. */
struct run {
	uint8_t *at;
	uint64_t len;
};

static void run_end(struct run *r)
{
	if (r->len)
		give_back(r->at, r->len);
	r->len = 0;
}

static int run_add(struct run *r, const struct mem *mem, uint32_t pfn)
{
	uint8_t *page = mem_at(mem, (uint64_t)pfn * VIRTIO_BALLOON_PAGE, VIRTIO_BALLOON_PAGE);

	if (!page)
		return -EPROTO;
	if (r->len && page == r->at + r->len) {
		r->len += VIRTIO_BALLOON_PAGE;
	} else if (r->len && page + VIRTIO_BALLOON_PAGE == r->at) {
		r->at = page;
		r->len += VIRTIO_BALLOON_PAGE;
	} else {
		run_end(r);
		*r = (struct run){ page, VIRTIO_BALLOON_PAGE };
	}
	return 0;
}

/* Page numbers may lie across the borders of the buffers. */
static int inflate(const struct mem *mem, const struct virtq_chain *c)
{
	struct run run = { NULL, 0 };
	unsigned have = 0;
	uint32_t pfn = 0;
	int r = c->in_len / sizeof(pfn) > PFNS_MAX ? -EPROTO : 0;

	for (unsigned i = 0; r == 0 && i < c->nin; i++) {
		const uint8_t *p = c->in[i].iov_base;

		for (size_t k = 0; r == 0 && k < c->in[i].iov_len; k++) {
			((uint8_t *)&pfn)[have++] = p[k];
			if (have < sizeof(pfn))
				continue;
			have = 0;
			r = run_add(&run, mem, pfn);
		}
	}
	run_end(&run);
	return r;
}

static int report(struct virtio_balloon *b)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < b->chain.nout; i++)
		n += give_back(b->chain.out[i].iov_base, b->chain.out[i].iov_len);
	count_add(&b->reported, n);
	return 0;
}

/* ---- statistics ---- */

static void stats_read(struct virtio_balloon *b)
{
	const struct virtq_chain *c = &b->chain;
	size_t len = c->nin ? c->in[0].iov_len : 0;

	for (size_t i = 0; i < STATS_MAX && (i + 1) * sizeof(struct stat_entry) <= len; i++) {
		struct stat_entry e;

		memcpy(&e, (const uint8_t *)c->in[0].iov_base + i * sizeof(e), sizeof(e));
		if (e.tag < ARRAY_SIZE(b->stats))
			__atomic_store_n(&b->stats[e.tag], e.value, __ATOMIC_RELAXED);
	}
}

/* The guest has filled a buffer; it gets it back when somebody wants new figures. */
static void stats_hold(struct virtio_balloon *b, struct virtq *q, const struct mem *mem)
{
	if (b->stats_held)
		virtq_push(q, mem, b->stats_head, 0);
	b->stats_held = true;
	b->stats_head = b->chain.head;
	stats_read(b);
}

static void stats_ask(struct virtio_balloon *b)
{
	struct virtq *q = virtio_mmio_queue(b->mmio, QUEUE_STATS);
	const struct mem *mem = virtio_mmio_mem(b->mmio);

	if (!b->stats_held)
		return;
	b->stats_held = false;
	virtq_push(q, mem, b->stats_head, 0);
	virtq_flush(q, mem);
}

/* ---- the queues ---- */

static int handle(struct virtio_balloon *b, struct virtq *q, unsigned i)
{
	const struct mem *mem = virtio_mmio_mem(b->mmio);
	int r = 0;

	if (i == QUEUE_STATS && (virtio_mmio_features(b->mmio) & F_STATS_VQ)) {
		stats_hold(b, q, mem);
		return 0;
	}
	if (i == QUEUE_INFLATE)
		r = inflate(mem, &b->chain);
	else if (i != QUEUE_DEFLATE)
		r = report(b);
	return r < 0 ? r : virtq_push(q, mem, b->chain.head, 0);
}

static void balloon_event(void *ctx, uint32_t tag, _unused_ uint32_t events)
{
	struct virtio_balloon *b = ctx;
	const struct mem *mem = virtio_mmio_mem(b->mmio);
	struct virtq *q = virtio_mmio_queue(b->mmio, tag);
	int r;

	if (tag == TAG_ASK) {
		stats_ask(b);
		return;
	}
	while ((r = virtq_pop(q, mem, &b->chain)) > 0) {
		r = handle(b, q, tag);
		if (r < 0)
			break;
	}
	virtq_flush(q, mem);
	if (r < 0)
		virtio_mmio_needs_reset(b->mmio);
}

/* ---- life ---- */

static const void *balloon_config(void *dev)
{
	const struct virtio_balloon *b = dev;

	return &b->config;
}

/* What the guest has given up by now is the only thing that it may say here. */
static void balloon_config_write(void *dev, size_t off, const void *data, size_t len)
{
	struct virtio_balloon *b = dev;
	uint32_t actual;

	if (off != offsetof(struct balloon_config, actual) || len != sizeof(actual))
		return;
	memcpy(&actual, data, sizeof(actual));
	__atomic_store_n(&b->config.actual, actual, __ATOMIC_RELAXED);
}

static int watch_all(void *ctx)
{
	struct virtio_balloon *b = ctx;
	int r = virtio_thread_watch(&b->thread, b->ask_fd, VIRTIO_KICKED, TAG_ASK);

	for (unsigned i = 0; r == 0 && i < QUEUES; i++)
		r = virtio_thread_watch(&b->thread, virtio_mmio_queue(b->mmio, i)->kick_fd,
					VIRTIO_KICKED, i);
	return r;
}

static int balloon_activate(void *dev)
{
	static const struct virtio_thread_work work = { balloon_event, watch_all, .late = true };
	struct virtio_balloon *b = dev;

	if (!b->kept) {
		b->stats_held = false;
		__atomic_store_n(&b->config.actual, 0, __ATOMIC_RELAXED);
	}
	b->kept = false;
	return virtio_thread_begin(&b->thread, b->mmio, &work, b);
}

static void balloon_reset(void *dev)
{
	struct virtio_balloon *b = dev;

	virtio_thread_end(&b->thread);
}

struct balloon_state {
	uint32_t num_pages, actual;
	uint16_t stats_head;
	uint8_t stats_held, reserved;
};

static int balloon_save(void *dev, struct buf *out)
{
	struct virtio_balloon *b = dev;
	struct balloon_state s = { .num_pages = b->config.num_pages,
				   .actual = b->config.actual,
				   .stats_head = b->stats_head,
				   .stats_held = b->stats_held };

	b->kept = true;
	return buf_add(out, &s, sizeof(s));
}

/* The head goes back to the guest as it is: it is a number to us. */
static int balloon_load(void *dev, const uint8_t *data, size_t len)
{
	struct virtio_balloon *b = dev;
	struct balloon_state s;

	if (len != sizeof(s))
		return -EBADMSG;
	memcpy(&s, data, sizeof(s));
	if (s.stats_held > 1)
		return -EBADMSG;
	b->config = (struct balloon_config){ s.num_pages, s.actual };
	b->stats_head = s.stats_head;
	b->stats_held = s.stats_held;
	b->kept = true;
	return 0;
}

static void balloon_free(void *dev)
{
	struct virtio_balloon *b = dev;

	fd_close(b->ask_fd);
	free(b);
}

static const struct virtio_ops balloon_ops = {
	.name = "balloon",
	.device_id = BALLOON_DEVICE_ID,
	.queue_size = BALLOON_QUEUE_SIZE,
	.features = F_STATS_VQ | F_DEFLATE_ON_OOM | F_REPORTING,
	.config_len = sizeof(struct balloon_config),
	.config = balloon_config,
	.config_write = balloon_config_write,
	.activate = balloon_activate,
	.reset = balloon_reset,
	.save = balloon_save,
	.load = balloon_load,
	.free = balloon_free,
};

int virtio_balloon_new(const struct virtio_bus *bus, uint64_t gpa, unsigned gsi,
		       struct virtio_balloon **ret_balloon, struct virtio_mmio **ret)
{
	struct virtio_balloon *b = new_head0(struct virtio_balloon, chain);
	int r;

	if (!b)
		return err(-ENOMEM, "virtio balloon: no memory");
	for (unsigned i = 0; i < ARRAY_SIZE(b->stats); i++)
		b->stats[i] = UINT64_MAX;
	b->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = b->ask_fd < 0 ? err_sys("virtio balloon: eventfd") :
			    virtio_mmio_new(bus, gpa, gsi, &balloon_ops, QUEUES, b, &b->mmio);
	if (r < 0) {
		balloon_free(b);
		return r;
	}
	*ret = b->mmio;
	*ret_balloon = b;
	return 0;
}

/* ---- for the VMM ---- */

void virtio_balloon_set(struct virtio_balloon *b, uint64_t bytes)
{
	uint64_t pages = MIN(bytes / VIRTIO_BALLOON_PAGE, (uint64_t)UINT32_MAX);

	__atomic_store_n(&b->config.num_pages, (uint32_t)pages, __ATOMIC_RELAXED);
	virtio_mmio_config_changed(b->mmio);
}

void virtio_balloon_ask(struct virtio_balloon *b)
{
	eventfd_write(b->ask_fd, 1);
}

void virtio_balloon_stats(const struct virtio_balloon *b, struct virtio_balloon_stats *ret)
{
	/* In the order of their tags. */
	uint64_t *const fields[] = { &ret->swap_in,	 &ret->swap_out, &ret->major_faults,
				     &ret->minor_faults, &ret->free,	 &ret->total,
				     &ret->available,	 &ret->caches };

	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
		*fields[i] = count_get(&b->stats[i]);
	ret->ballooned = (uint64_t)__atomic_load_n(&b->config.actual, __ATOMIC_RELAXED) *
			 VIRTIO_BALLOON_PAGE;
	ret->reported = count_get(&b->reported);
}
