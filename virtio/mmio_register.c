/* SPDX-License-Identifier: Apache-2.0 */
/* The registers of a virtio-mmio window (virtio 1.2, section 4.2.2). */
#include "base/mem.h"
#include "virtio/mmio.h"
#include "virtio/ring.h"
#include <errno.h>
#include <sys/eventfd.h>

uint64_t mmio_features_offered(const struct virtio_mmio *m)
{
	return m->ops->features | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC;
}

static bool features_ok(const struct virtio_mmio *m)
{
	return (m->driver_features & VIRTIO_F_VERSION_1) &&
	       !(m->driver_features & ~mmio_features_offered(m));
}

/* Bits are only ever added; zero resets. */
static void status_write(struct virtio_mmio *m, uint32_t v)
{
	uint32_t old = reg_load(m, REG_STATUS), added = v & ~old & 0xff & ~STATUS_NEEDS_RESET;

	if (!v) {
		mmio_reset(m);
		return;
	}
	if ((added & STATUS_FEATURES_OK) && !features_ok(m))
		added &= ~STATUS_FEATURES_OK;
	if ((added & STATUS_DRIVER_OK) && !((old | added) & STATUS_FEATURES_OK))
		added &= ~STATUS_DRIVER_OK;
	reg_or(m, REG_STATUS, added);
	if ((added & STATUS_DRIVER_OK) && !m->active)
		mmio_activate(m);
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

const struct mem_region *mmio_shm(const struct virtio_mmio *m)
{
	const struct mem_region *r = m->ops->shm ? m->ops->shm(m->dev) : NULL;

	return r && r->len ? r : NULL;
}

static void shm_show(struct virtio_mmio *m)
{
	const struct mem_region *r = m->shm_sel ? NULL : mmio_shm(m);
	const uint64_t len = r ? r->len : UINT64_MAX, base = r ? r->gpa : UINT64_MAX;

	reg_store(m, REG_SHM_LEN_LOW, (uint32_t)len);
	reg_store(m, REG_SHM_LEN_LOW + 4, (uint32_t)(len >> 32));
	reg_store(m, REG_SHM_BASE_LOW, (uint32_t)base);
	reg_store(m, REG_SHM_BASE_HIGH, (uint32_t)(base >> 32));
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
	case REG_SHM_SEL:
		m->shm_sel = v;
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
void mmio_page_fill(struct virtio_mmio *m)
{
	reg_store(m, REG_MAGIC, MAGIC);
	reg_store(m, REG_VERSION, VERSION);
	reg_store(m, REG_DEVICE_ID, m->ops->device_id);
	reg_store(m, REG_VENDOR_ID, VENDOR_ID);
	mmio_config_show(m);
}

/* What a write may have changed, but for the status registers, which change by themselves. */
void mmio_page_follow(struct virtio_mmio *m)
{
	const struct virtq *q = virtio_mmio_queue(m, m->queue_sel);
	uint64_t features = m->device_features_sel > 1 ?
				    0 :
				    mmio_features_offered(m) >> (m->device_features_sel ? 32 : 0);

	reg_store(m, REG_DEVICE_FEATURES, (uint32_t)features);
	reg_store(m, REG_QUEUE_NUM_MAX, q ? m->ops->queue_size : 0);
	reg_store(m, REG_QUEUE_READY, q && q->ready);
	shm_show(m);
}

void mmio_read(const struct virtio_mmio *m, uint64_t off, void *data, unsigned len)
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

static void config_write(struct virtio_mmio *m, uint64_t off, const void *data, unsigned len)
{
	if (!m->ops->config_write || off >= m->ops->config_len || len > m->ops->config_len - off)
		return;
	m->ops->config_write(m->dev, (size_t)off, data, len);
	mmio_config_show(m);
}

void mmio_write(struct virtio_mmio *m, uint64_t off, const void *data, unsigned len)
{
	uint32_t v;

	if (off >= REG_CONFIG) {
		config_write(m, off - REG_CONFIG, data, len);
		return;
	}
	if (len != sizeof(v) || off % sizeof(v))
		return;
	memcpy(&v, data, sizeof(v));
	reg_write(m, (uint32_t)off, v);
	mmio_page_follow(m);
}
