/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block device (virtio 1.2, section 5.2) over a raw file: one queue, one thread, which reads
 * and writes guest memory by preadv and pwritev. A request that would have to wait for tokens goes
 * back to the ring until the timer says so.
 */
#include "base/clock.h"
#include "base/count.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "virtio/bucket.h"
#include "virtio/iov.h"
#include "virtio/ring.h"
#include "virtio/thread.h"
#include "virtio/virtio.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#define BLK_DEVICE_ID  2
#define BLK_QUEUE_SIZE 256
#define BLK_BUDGET     64 /* requests, then a reset or the timer has its turn */
#define SECTOR	       512u
#define BLK_BLOCK_EXP  3u /* 4096 bytes are what the guest had better read and write at once */
#define ZEROES_MAX     0x400000u /* sectors of one discard or one write of zeroes: 2 GiB */

/* Feature bits (5.2.3). */
#define F_SEG_MAX      (UINT64_C(1) << 2)
#define F_RO	       (UINT64_C(1) << 5)
#define F_BLK_SIZE     (UINT64_C(1) << 6)
#define F_FLUSH	       (UINT64_C(1) << 9)
#define F_TOPOLOGY     (UINT64_C(1) << 10)
#define F_DISCARD      (UINT64_C(1) << 13)
#define F_WRITE_ZEROES (UINT64_C(1) << 14)

enum { TAG_QUEUE, TAG_TIMER };

/* Requests and what becomes of them (5.2.6). */
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK, S_IOERR, S_UNSUPP };

#define ID_LEN	     20u
#define ZEROES_UNMAP 1u

struct blk_head {
	uint32_t type, reserved;
	uint64_t sector;
};

struct blk_zeroes { /* of a discard too */
	uint64_t sector;
	uint32_t sectors, flags;
};

struct blk_config {	   /* 5.2.4 */
	uint64_t capacity; /* sectors */
	uint32_t size_max, seg_max;
	uint16_t cylinders;
	uint8_t heads, sectors;
	uint32_t blk_size;
	uint8_t physical_block_exp, alignment_offset;
	uint16_t min_io_size;
	uint32_t opt_io_size;
	uint8_t writeback, unused0;
	uint16_t num_queues;
	uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
	uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap, unused1[3];
};
_Static_assert(sizeof(struct blk_config) == 64, "as long as 5.2.4 has it, and padded");
#define BLK_CONFIG_LEN 60u

struct virtio_blk {
	struct virtio_mmio *mmio;
	struct virtio_thread thread;
	struct blk_config config;
	int fd, timer;
	bool rdonly;
	struct bucket bucket;
	uint64_t rate;
	struct virtio_blk_stats stats; /* atomic */
	struct virtq_chain chain;
	struct iovec iov[VIRTQ_CHAIN_MAX]; /* of the request's data */
};

/* ---- one request ---- */

/* As iov_slice(), into b->iov. */
static unsigned pieces(struct virtio_blk *b, const struct iovec *from, unsigned n, size_t skip,
		       uint64_t len)
{
	return iov_slice(from, n, skip, len, b->iov, ARRAY_SIZE(b->iov));
}

/* Whether so many bytes from @sector on are whole sectors of the disk. */
static bool inside(const struct virtio_blk *b, uint64_t sector, uint64_t len)
{
	return len % SECTOR == 0 && sector <= b->config.capacity &&
	       len / SECTOR <= b->config.capacity - sector;
}

/* Moves all of b->iov; a file that has become shorter is an error. */
static int move_data(struct virtio_blk *b, unsigned n, uint64_t off, bool write)
{
	struct iovec *iov = b->iov;

	while (n) {
		ssize_t done = write ? pwritev(b->fd, iov, (int)n, (off_t)off) :
				       preadv(b->fd, iov, (int)n, (off_t)off);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return S_IOERR;
		off += (uint64_t)done;
		while (n && (size_t)done >= iov->iov_len) {
			done -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n) {
			iov->iov_base = (uint8_t *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return S_OK;
}

static int flush(struct virtio_blk *b)
{
	count_add(&b->stats.flushes, 1);
	return fdatasync(b->fd) < 0 ? S_IOERR : S_OK;
}

/* A driver that flushes nothing wants each write on the disk (5.2.6.2). */
static int settle(struct virtio_blk *b)
{
	return virtio_mmio_features(b->mmio) & F_FLUSH ? S_OK : flush(b);
}

static int do_read(struct virtio_blk *b, uint64_t sector, uint64_t len, uint32_t *ret_written)
{
	int r;

	if (!inside(b, sector, len))
		return S_IOERR;
	r = move_data(b, pieces(b, b->chain.out, b->chain.nout, 0, len), sector * SECTOR, false);
	if (r != S_OK)
		return r;
	*ret_written = (uint32_t)len;
	count_add(&b->stats.reads, 1);
	count_add(&b->stats.read_bytes, len);
	return S_OK;
}

static int do_write(struct virtio_blk *b, uint64_t sector, uint64_t len)
{
	int r;

	if (b->rdonly || !inside(b, sector, len))
		return S_IOERR;
	r = move_data(b, pieces(b, b->chain.in, b->chain.nin, sizeof(struct blk_head), len),
		      sector * SECTOR, true);
	if (r != S_OK)
		return r;
	count_add(&b->stats.writes, 1);
	count_add(&b->stats.write_bytes, len);
	return settle(b);
}

static bool zero(int fd, off_t off, off_t len, bool keep_blocks)
{
	return (keep_blocks &&
		fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, off, len) == 0) ||
	       fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len) == 0;
}

/* Zeroes where the file system of the file can make them; the driver writes them itself else. */
static int do_zeroes(struct virtio_blk *b, uint32_t type, uint64_t len)
{
	const bool discard = type == T_DISCARD;
	struct {
		struct blk_head head;
		struct blk_zeroes z;
	} r;
	off_t off, bytes;

	if (b->rdonly || len != sizeof(r.z) ||
	    iov_read(b->chain.in, b->chain.nin, &r, sizeof(r)) != sizeof(r))
		return S_IOERR;
	if (r.z.flags & (discard ? ~0u : ~ZEROES_UNMAP))
		return S_UNSUPP;
	if (r.z.sectors > ZEROES_MAX || !inside(b, r.z.sector, (uint64_t)r.z.sectors * SECTOR))
		return S_IOERR;
	off = (off_t)(r.z.sector * SECTOR);
	bytes = (off_t)r.z.sectors * SECTOR;
	count_add(&b->stats.discards, 1);
	if (!bytes)
		return S_OK;
	if (!zero(b->fd, off, bytes, !discard && !(r.z.flags & ZEROES_UNMAP)))
		return S_IOERR;
	return settle(b);
}

static int do_get_id(const struct virtio_blk *b, uint64_t len, uint32_t *ret_written)
{
	static const char id[ID_LEN] = "strata";

	if (len < ID_LEN)
		return S_IOERR;
	*ret_written = (uint32_t)iov_write(b->chain.out, b->chain.nout, id, ID_LEN);
	return S_OK;
}

static int do_request(struct virtio_blk *b, const struct blk_head *h, uint32_t *ret_written)
{
	const uint64_t in = b->chain.in_len - sizeof(*h), out = b->chain.out_len - 1;

	switch (h->type) {
	case T_IN:
		return do_read(b, h->sector, out, ret_written);
	case T_OUT:
		return do_write(b, h->sector, in);
	case T_FLUSH:
		return flush(b);
	case T_GET_ID:
		return do_get_id(b, out, ret_written);
	case T_DISCARD:
	case T_WRITE_ZEROES:
		return do_zeroes(b, h->type, in);
	default:
		return S_UNSUPP;
	}
}

/* The last byte that the device may write. */
static uint8_t *status_of(const struct virtq_chain *c)
{
	for (unsigned i = c->nout; i--;)
		if (c->out[i].iov_len)
			return (uint8_t *)c->out[i].iov_base + c->out[i].iov_len - 1;
	return NULL;
}

/* What the chain at hand moves, in tokens. */
static uint64_t cost(const struct virtq_chain *c)
{
	return c->in_len + c->out_len;
}

/* The chain at hand; -EPROTO: there is no place for head or status in it. */
static int serve(struct virtio_blk *b, struct virtq *q)
{
	const struct virtq_chain *c = &b->chain;
	uint8_t *status = status_of(c);
	struct blk_head h;
	uint32_t written = 0;
	int r;

	if (!status || iov_read(c->in, c->nin, &h, sizeof(h)) != sizeof(h))
		return -EPROTO;
	r = do_request(b, &h, &written);
	count_add(&b->stats.errors, r != S_OK);
	*status = (uint8_t)r;
	bucket_take(&b->bucket, cost(c));
	return virtq_push(q, virtio_mmio_mem(b->mmio), c->head, written + 1);
}

/* ---- the thread ---- */

static int serve_all(struct virtio_blk *b, struct virtq *q)
{
	const struct mem *mem = virtio_mmio_mem(b->mmio);
	int r = 1;

	for (int i = 0; r > 0 && i < BLK_BUDGET; i++) {
		if (!bucket_may(&b->bucket, b->timer))
			return 0;
		r = virtq_pop(q, mem, &b->chain);
		if (r <= 0)
			break;
		r = serve(b, q);
		virtq_flush(q, mem);
		r = r < 0 ? r : 1;
	}
	if (r > 0)
		eventfd_write(q->kick_fd, 1);
	return r;
}

static void blk_event(void *ctx, uint32_t tag, _unused_ uint32_t events)
{
	struct virtio_blk *b = ctx;
	struct virtq *q = virtio_mmio_queue(b->mmio, 0);
	uint64_t v;

	if (tag == TAG_TIMER)
		(void)!read(b->timer, &v, sizeof(v));
	if (serve_all(b, q) < 0)
		virtio_mmio_needs_reset(b->mmio);
}

/* ---- life ---- */

static int watch_all(void *ctx)
{
	struct virtio_blk *b = ctx;
	int r = virtio_thread_watch(&b->thread, virtio_mmio_queue(b->mmio, 0)->kick_fd,
				    VIRTIO_KICKED, TAG_QUEUE);

	return r < 0 ? r : virtio_thread_watch(&b->thread, b->timer, EPOLLIN, TAG_TIMER);
}

static int blk_activate(void *dev)
{
	static const struct virtio_thread_work work = { blk_event, watch_all };
	struct virtio_blk *b = dev;

	bucket_init(&b->bucket, b->rate, clock_ns());
	return virtio_thread_begin(&b->thread, b->mmio, &work, b);
}

static void blk_reset(void *dev)
{
	struct virtio_blk *b = dev;

	virtio_thread_end(&b->thread);
}

static const void *blk_config(void *dev)
{
	return &((struct virtio_blk *)dev)->config;
}

static void blk_free(void *dev)
{
	struct virtio_blk *b = dev;

	fd_close(b->timer);
	fd_close(b->fd);
	free(b);
}

#define OPS(more)                                                                             \
	{                                                                                     \
		.name = "blk", .device_id = BLK_DEVICE_ID, .queue_size = BLK_QUEUE_SIZE,      \
		.features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | (more),           \
		.config_len = BLK_CONFIG_LEN, .config = blk_config, .activate = blk_activate, \
		.reset = blk_reset, .free = blk_free,                                         \
	}

static const struct virtio_ops blk_ops = OPS(F_DISCARD | F_WRITE_ZEROES);
static const struct virtio_ops blk_rdonly_ops = OPS(F_RO);

static struct blk_config config_of(uint64_t size)
{
	return (struct blk_config){
		.capacity = size / SECTOR,
		.seg_max = BLK_QUEUE_SIZE - 2,
		.blk_size = SECTOR, /* ext4 may have blocks of 1 KiB */
		.physical_block_exp = BLK_BLOCK_EXP,
		.min_io_size = 1u << BLK_BLOCK_EXP,
		.num_queues = 1,
		.max_discard_sectors = ZEROES_MAX,
		.max_discard_seg = 1,
		.discard_sector_alignment = 1u << BLK_BLOCK_EXP,
		.max_write_zeroes_sectors = ZEROES_MAX,
		.max_write_zeroes_seg = 1,
		.write_zeroes_may_unmap = 1,
	};
}

static int make(struct virtio_blk *b, const struct virtio_blk_config *cfg,
		const struct virtio_bus *bus, uint64_t gpa, unsigned gsi)
{
	struct stat st;

	b->timer = -1;
	b->fd = fcntl(cfg->fd, F_DUPFD_CLOEXEC, 0);
	if (b->fd < 0 || fstat(b->fd, &st) < 0)
		return err_sys("virtio blk");
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)SECTOR)
		return err(-EINVAL, "virtio blk: a disk is a file of %u bytes or more", SECTOR);
	b->config = config_of((uint64_t)st.st_size);
	b->rdonly = cfg->rdonly;
	b->rate = cfg->rate;
	b->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (b->timer < 0)
		return err_sys("virtio blk: timer");
	return virtio_mmio_new(bus, gpa, gsi, b->rdonly ? &blk_rdonly_ops : &blk_ops, 1, b,
			       &b->mmio);
}

int virtio_blk_new(const struct virtio_blk_config *cfg, const struct virtio_bus *bus, uint64_t gpa,
		   unsigned gsi, struct virtio_blk **ret_blk, struct virtio_mmio **ret)
{
	struct virtio_blk *b = new_head0(struct virtio_blk, chain);
	int r;

	if (!b)
		return err(-ENOMEM, "virtio blk: no memory");
	r = make(b, cfg, bus, gpa, gsi);
	if (r < 0) {
		blk_free(b);
		return r;
	}
	*ret = b->mmio;
	*ret_blk = b;
	return 0;
}

void virtio_blk_stats(const struct virtio_blk *b, struct virtio_blk_stats *ret)
{
	const struct virtio_blk_stats *s = &b->stats;

	ret->reads = count_get(&s->reads);
	ret->read_bytes = count_get(&s->read_bytes);
	ret->writes = count_get(&s->writes);
	ret->write_bytes = count_get(&s->write_bytes);
	ret->flushes = count_get(&s->flushes);
	ret->discards = count_get(&s->discards);
	ret->errors = count_get(&s->errors);
}
