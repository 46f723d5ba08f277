/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-mmio transport: the register window of one device (virtio 1.2, section 4.2).
 *
 * What reads give stands in a page that follows every write, so that the bus may let the guest read
 * it without us. An interrupt then costs no exit to user space: its status is read from the page,
 * and the write that acknowledges "used buffers" is swallowed by an eventfd that nobody reads. The
 * bit stays set, which a driver does not mind: it looks only when an interrupt comes, and no other
 * device shares the line.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "virtio/ring.h"
#include "virtio/virtio.h"
#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>

/* Register offsets (4.2.2). */
enum {
	REG_MAGIC = 0x000,
	REG_VERSION = 0x004,
	REG_DEVICE_ID = 0x008,
	REG_VENDOR_ID = 0x00c,
	REG_DEVICE_FEATURES = 0x010,
	REG_DEVICE_FEATURES_SEL = 0x014,
	REG_DRIVER_FEATURES = 0x020,
	REG_DRIVER_FEATURES_SEL = 0x024,
	REG_QUEUE_SEL = 0x030,
	REG_QUEUE_NUM_MAX = 0x034,
	REG_QUEUE_NUM = 0x038,
	REG_QUEUE_READY = 0x044,
	REG_QUEUE_NOTIFY = 0x050,
	REG_INTERRUPT_STATUS = 0x060,
	REG_INTERRUPT_ACK = 0x064,
	REG_STATUS = 0x070,
	REG_QUEUE_DESC = 0x080, /* 64-bit addresses as two registers each */
	REG_QUEUE_AVAIL = 0x090,
	REG_QUEUE_USED = 0x0a0,
	REG_SHM_LEN_LOW = 0x0b0, /* the shared memory regions: none, so all ones */
	REG_SHM_BASE_HIGH = 0x0bc,
	REG_CONFIG_GENERATION = 0x0fc,
	REG_CONFIG = 0x100,
};

#define MAGIC	  0x74726976u /* "virt" */
#define VERSION	  2u
#define VENDOR_ID 0x61727473u /* "stra"; any value will do */

/* Device status (2.1). */
#define STATUS_FEATURES_OK 8u
#define STATUS_DRIVER_OK   4u
#define STATUS_NEEDS_RESET 0x40u

#define INTERRUPT_QUEUE	 1u
#define INTERRUPT_CONFIG 2u

struct virtio_mmio {
	pthread_mutex_t lock; /* all but what is atomic; a device's threads do not take it */
	struct virtio_bus bus;
	uint64_t gpa;
	unsigned gsi;
	const struct virtio_ops *ops;
	void *dev;

	uint8_t *page; /* what reads give; STATUS and INTERRUPT_STATUS are only here, and atomic */
	bool page_ours;
	int ack_fd;
	uint32_t device_features_sel, driver_features_sel, queue_sel;
	uint64_t driver_features;
	bool active;

	unsigned nqueues;
	struct virtq queues[];
};

static uint32_t *reg(const struct virtio_mmio *m, uint32_t off)
{
	return (uint32_t *)(m->page + off);
}

static uint32_t reg_load(const struct virtio_mmio *m, uint32_t off)
{
	return __atomic_load_n(reg(m, off), __ATOMIC_SEQ_CST);
}

static void reg_store(struct virtio_mmio *m, uint32_t off, uint32_t v)
{
	__atomic_store_n(reg(m, off), v, __ATOMIC_SEQ_CST);
}

static uint32_t reg_or(struct virtio_mmio *m, uint32_t off, uint32_t bits)
{
	return __atomic_fetch_or(reg(m, off), bits, __ATOMIC_SEQ_CST);
}

/* ---- for devices ---- */

struct virtq *virtio_mmio_queue(struct virtio_mmio *m, unsigned i)
{
	return i < m->nqueues ? &m->queues[i] : NULL;
}

const struct mem *virtio_mmio_mem(const struct virtio_mmio *m)
{
	return m->bus.mem;
}

uint64_t virtio_mmio_features(const struct virtio_mmio *m)
{
	return m->driver_features;
}

uint64_t virtio_mmio_gpa(const struct virtio_mmio *m)
{
	return m->gpa;
}

unsigned virtio_mmio_gsi(const struct virtio_mmio *m)
{
	return m->gsi;
}

static void interrupt(struct virtio_mmio *m, uint32_t why)
{
	reg_or(m, REG_INTERRUPT_STATUS, why);
	m->bus.irq(m->bus.ctx, m->gsi);
}

static void queue_notify(void *ctx, _unused_ unsigned queue)
{
	interrupt(ctx, INTERRUPT_QUEUE);
}

void virtio_mmio_needs_reset(struct virtio_mmio *m)
{
	uint32_t old = reg_or(m, REG_STATUS, STATUS_NEEDS_RESET);

	if ((old & STATUS_DRIVER_OK) && !(old & STATUS_NEEDS_RESET))
		interrupt(m, INTERRUPT_CONFIG);
}

/* ---- reset and life ---- */

static void queues_reset(struct virtio_mmio *m)
{
	for (unsigned i = 0; i < m->nqueues; i++) {
		m->queues[i] = (struct virtq){
			.index = i,
			.num = m->ops->queue_size,
			.kick_fd = m->queues[i].kick_fd,
			.notify = queue_notify,
			.notify_ctx = m,
		};
	}
}

static void deactivate(struct virtio_mmio *m)
{
	if (m->active)
		m->ops->reset(m->dev);
	m->active = false;
}

static void device_reset(struct virtio_mmio *m)
{
	deactivate(m);
	reg_store(m, REG_STATUS, 0);
	reg_store(m, REG_INTERRUPT_STATUS, 0);
	m->driver_features = 0;
	m->device_features_sel = m->driver_features_sel = m->queue_sel = 0;
	queues_reset(m);
}

static unsigned kicks(const struct virtio_mmio *m)
{
	return m->ops->one_kick ? 1 : m->nqueues;
}

/* An eventfd for writes of @value at @off. */
static int eventfd_open(struct virtio_mmio *m, uint32_t off, uint32_t value)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), r = 0;

	if (fd < 0)
		return err_sys("virtio %s: eventfd", m->ops->name);
	if (m->bus.ioeventfd)
		r = m->bus.ioeventfd(m->bus.ctx, m->gpa + off, value, fd, true);
	if (r < 0) {
		fd_close(fd);
		return r;
	}
	return fd;
}

static void eventfd_close(struct virtio_mmio *m, uint32_t off, uint32_t value, int fd)
{
	if (fd >= 0 && m->bus.ioeventfd)
		m->bus.ioeventfd(m->bus.ctx, m->gpa + off, value, fd, false);
	fd_close(fd);
}

static uint32_t kick_value(const struct virtio_mmio *m, unsigned i)
{
	return m->ops->one_kick ? VIRTIO_ANY_VALUE : i;
}

static int eventfds_open(struct virtio_mmio *m)
{
	for (unsigned i = 0; i < kicks(m); i++) {
		int fd = eventfd_open(m, REG_QUEUE_NOTIFY, kick_value(m, i));

		if (fd < 0)
			return fd;
		m->queues[i].kick_fd = fd;
	}
	for (unsigned i = kicks(m); i < m->nqueues; i++)
		m->queues[i].kick_fd = m->queues[0].kick_fd;
	if (!m->bus.ioeventfd)
		return 0;
	m->ack_fd = eventfd_open(m, REG_INTERRUPT_ACK, INTERRUPT_QUEUE);
	return m->ack_fd < 0 ? m->ack_fd : 0;
}

static void eventfds_close(struct virtio_mmio *m)
{
	for (unsigned i = 0; i < kicks(m); i++)
		eventfd_close(m, REG_QUEUE_NOTIFY, kick_value(m, i), m->queues[i].kick_fd);
	eventfd_close(m, REG_INTERRUPT_ACK, INTERRUPT_QUEUE, m->ack_fd);
}

/* Frees all but the device. */
static void window_free(struct virtio_mmio *m)
{
	eventfds_close(m);
	if (m->page_ours)
		free(m->page);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static int page_new(struct virtio_mmio *m)
{
	if (m->bus.registers)
		m->page = m->bus.registers(m->bus.ctx, m->gpa);
	if (!m->page) {
		m->page = mem_new(1, VIRTIO_MMIO_SIZE);
		m->page_ours = true;
	}
	return m->page ? 0 : err(-ENOMEM, "virtio %s: no memory", m->ops->name);
}

static void page_fill(struct virtio_mmio *m);
static void page_follow(struct virtio_mmio *m);

int virtio_mmio_new(const struct virtio_bus *bus, uint64_t gpa, unsigned gsi,
		    const struct virtio_ops *ops, unsigned nqueues, void *dev,
		    struct virtio_mmio **ret)
{
	struct virtio_mmio *m = mem_new(1, sizeof(*m) + nqueues * sizeof(m->queues[0]));
	int r;

	if (!m)
		return err(-ENOMEM, "virtio %s: no memory", ops->name);
	pthread_mutex_init(&m->lock, NULL);
	m->bus = *bus;
	m->gpa = gpa;
	m->gsi = gsi;
	m->ops = ops;
	m->dev = dev;
	m->nqueues = nqueues;
	m->ack_fd = -1;
	for (unsigned i = 0; i < nqueues; i++)
		m->queues[i].kick_fd = -1;
	r = page_new(m);
	if (r == 0)
		r = eventfds_open(m);
	if (r < 0) {
		window_free(m);
		return r;
	}
	queues_reset(m);
	page_fill(m);
	page_follow(m);
	*ret = m;
	return 0;
}

void virtio_mmio_free(struct virtio_mmio *m)
{
	if (!m)
		return;
	deactivate(m);
	m->ops->free(m->dev);
	window_free(m);
}

/* ---- registers ---- */

static uint64_t features_offered(const struct virtio_mmio *m)
{
	return m->ops->features | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC;
}

static bool features_ok(const struct virtio_mmio *m)
{
	return (m->driver_features & VIRTIO_F_VERSION_1) &&
	       !(m->driver_features & ~features_offered(m));
}

static void activate(struct virtio_mmio *m)
{
	for (unsigned i = 0; i < m->nqueues; i++) {
		m->queues[i].event_idx = m->driver_features & VIRTIO_F_EVENT_IDX;
		m->queues[i].indirect = m->driver_features & VIRTIO_F_INDIRECT_DESC;
	}
	m->active = m->ops->activate(m->dev) == 0;
	if (!m->active)
		virtio_mmio_needs_reset(m);
}

/* Bits are only ever added; zero resets. */
static void status_write(struct virtio_mmio *m, uint32_t v)
{
	uint32_t old = reg_load(m, REG_STATUS), added = v & ~old & 0xff & ~STATUS_NEEDS_RESET;

	if (!v) {
		device_reset(m);
		return;
	}
	if ((added & STATUS_FEATURES_OK) && !features_ok(m))
		added &= ~STATUS_FEATURES_OK;
	if ((added & STATUS_DRIVER_OK) && !((old | added) & STATUS_FEATURES_OK))
		added &= ~STATUS_DRIVER_OK;
	reg_or(m, REG_STATUS, added);
	if ((added & STATUS_DRIVER_OK) && !m->active)
		activate(m);
}

static void driver_features_write(struct virtio_mmio *m, uint32_t v)
{
	unsigned shift = m->driver_features_sel ? 32 : 0;

	if ((reg_load(m, REG_STATUS) & STATUS_FEATURES_OK) || m->driver_features_sel > 1)
		return;
	m->driver_features = (m->driver_features & ~(UINT64_C(0xffffffff) << shift)) |
			     (uint64_t)v << shift;
}

static void queue_ready_write(struct virtio_mmio *m, struct virtq *q, uint32_t v)
{
	q->ready = (v & 1) && virtq_check(q, m->bus.mem) == 0;
	if ((v & 1) && !q->ready)
		virtio_mmio_needs_reset(m);
}

static void half_write(uint64_t *p, bool high, uint32_t v)
{
	*p = high ? (*p & 0xffffffff) | (uint64_t)v << 32 : (*p & ~UINT64_C(0xffffffff)) | v;
}

/* Frozen while the device runs, and an address while its queue is ready. */
static void queue_write(struct virtio_mmio *m, uint32_t off, uint32_t v)
{
	struct virtq *q = virtio_mmio_queue(m, m->queue_sel);

	if (!q)
		return;
	if (m->active) {
		virtio_mmio_needs_reset(m);
		return;
	}
	if (off == REG_QUEUE_READY) {
		queue_ready_write(m, q, v);
		return;
	}
	if (q->ready)
		return;
	if (off == REG_QUEUE_NUM)
		q->num = v <= m->ops->queue_size ? (uint16_t)v : 0;
	else if (off < REG_QUEUE_AVAIL)
		half_write(&q->desc, off & 4, v);
	else if (off < REG_QUEUE_USED)
		half_write(&q->avail, off & 4, v);
	else
		half_write(&q->used, off & 4, v);
}

/* Only where no ioeventfd takes the write before us. */
static void notify_write(struct virtio_mmio *m, uint32_t queue)
{
	struct virtq *q = virtio_mmio_queue(m, queue);

	if (q)
		eventfd_write(q->kick_fd, 1);
}

static void reg_write(struct virtio_mmio *m, uint32_t off, uint32_t v)
{
	switch (off) {
	case REG_DEVICE_FEATURES_SEL:
		m->device_features_sel = v;
		break;
	case REG_DRIVER_FEATURES:
		driver_features_write(m, v);
		break;
	case REG_DRIVER_FEATURES_SEL:
		m->driver_features_sel = v;
		break;
	case REG_QUEUE_SEL:
		m->queue_sel = v;
		break;
	case REG_QUEUE_NUM:
	case REG_QUEUE_READY:
	case REG_QUEUE_DESC:
	case REG_QUEUE_DESC + 4:
	case REG_QUEUE_AVAIL:
	case REG_QUEUE_AVAIL + 4:
	case REG_QUEUE_USED:
	case REG_QUEUE_USED + 4:
		queue_write(m, off, v);
		break;
	case REG_QUEUE_NOTIFY:
		notify_write(m, v);
		break;
	case REG_INTERRUPT_ACK:
		__atomic_fetch_and(reg(m, REG_INTERRUPT_STATUS), ~v, __ATOMIC_SEQ_CST);
		break;
	case REG_STATUS:
		status_write(m, v);
		break;
	default:
		break;
	}
}

/* What never changes. */
static void page_fill(struct virtio_mmio *m)
{
	reg_store(m, REG_MAGIC, MAGIC);
	reg_store(m, REG_VERSION, VERSION);
	reg_store(m, REG_DEVICE_ID, m->ops->device_id);
	reg_store(m, REG_VENDOR_ID, VENDOR_ID);
	for (uint32_t off = REG_SHM_LEN_LOW; off <= REG_SHM_BASE_HIGH; off += 4)
		reg_store(m, off, UINT32_MAX);
	if (m->ops->config_len)
		memcpy(m->page + REG_CONFIG, m->ops->config(m->dev), m->ops->config_len);
}

/* What a write may have changed, but for the status registers, which change by themselves. */
static void page_follow(struct virtio_mmio *m)
{
	const struct virtq *q = virtio_mmio_queue(m, m->queue_sel);
	uint64_t features = m->device_features_sel > 1 ?
				    0 :
				    features_offered(m) >> (m->device_features_sel ? 32 : 0);

	reg_store(m, REG_DEVICE_FEATURES, (uint32_t)features);
	reg_store(m, REG_QUEUE_NUM_MAX, q ? m->ops->queue_size : 0);
	reg_store(m, REG_QUEUE_READY, q && q->ready);
}

static void access_read(const struct virtio_mmio *m, uint64_t off, void *data, unsigned len)
{
	uint32_t v;

	memset(data, 0, len);
	if (off >= REG_CONFIG && off + len <= VIRTIO_MMIO_SIZE) {
		memcpy(data, m->page + off, len);
	} else if (len == sizeof(v) && off % sizeof(v) == 0) {
		v = reg_load(m, (uint32_t)off);
		memcpy(data, &v, sizeof(v));
	}
}

static void access_write(struct virtio_mmio *m, uint64_t off, const void *data, unsigned len)
{
	uint32_t v;

	if (off >= REG_CONFIG || len != sizeof(v) || off % sizeof(v))
		return;
	memcpy(&v, data, sizeof(v));
	reg_write(m, (uint32_t)off, v);
	page_follow(m);
}

void virtio_mmio_access(struct virtio_mmio *m, uint64_t off, void *data, unsigned len, bool write)
{
	pthread_mutex_lock(&m->lock);
	if (write)
		access_write(m, off, data, len);
	else
		access_read(m, off, data, len);
	pthread_mutex_unlock(&m->lock);
}
