/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-mmio transport: the register window of one device (virtio 1.2, section 4.2).
 *
 * What reads give stands in a page that follows every write, so that the bus may let the guest read
 * it without us. An interrupt then costs no exit to user space: its status is read from the page,
 * and the write that acknowledges "used buffers" is swallowed. The bit stays set, which a driver
 * does not mind: it looks only when an interrupt comes, and no other device shares the line.
 *
 * What a driver only writes (its features, a queue's size and addresses) may wait for the next
 * write that it looks for an answer of: a status, a selector.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "virtio/mmio.h"
#include "virtio/ring.h"
#include <errno.h>
#include <sys/eventfd.h>

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

bool virtio_mmio_active(struct virtio_mmio *m)
{
	bool active;

	pthread_mutex_lock(&m->lock);
	active = m->active;
	pthread_mutex_unlock(&m->lock);
	return active;
}

static void interrupt(struct virtio_mmio *m, uint32_t why)
{
	reg_or(m, REG_INTERRUPT_STATUS, why);
	m->bus.irq(m->bus.ctx, m->gsi);
}

void mmio_config_show(struct virtio_mmio *m)
{
	if (m->ops->config_len)
		memcpy(m->page + REG_CONFIG, m->ops->config(m->dev), m->ops->config_len);
	reg_store(m, REG_CONFIG_GENERATION, reg_load(m, REG_CONFIG_GENERATION) + 1);
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

void virtio_mmio_config_changed(struct virtio_mmio *m)
{
	pthread_mutex_lock(&m->lock);
	mmio_config_show(m);
	if (reg_load(m, REG_STATUS) & STATUS_DRIVER_OK)
		interrupt(m, INTERRUPT_CONFIG);
	pthread_mutex_unlock(&m->lock);
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

static unsigned kicks(const struct virtio_mmio *m)
{
	return m->ops->one_kick ? 1 : m->nqueues;
}

static uint32_t kick_value(const struct virtio_mmio *m, unsigned i)
{
	return m->ops->one_kick ? VIRTIO_ANY_VALUE : i;
}

static int kick_open(struct virtio_mmio *m, unsigned i)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), r = 0;

	if (fd < 0)
		return err_sys("virtio %s: eventfd", m->ops->name);
	if (m->bus.ioeventfd)
		r = m->bus.ioeventfd(m->bus.ctx, m->gpa + REG_QUEUE_NOTIFY, kick_value(m, i), fd,
				     true);
	if (r < 0) {
		fd_close(fd);
		return r;
	}
	return fd;
}

static void kick_close(struct virtio_mmio *m, unsigned i)
{
	int fd = m->queues[i].kick_fd;

	if (fd >= 0 && m->bus.ioeventfd)
		m->bus.ioeventfd(m->bus.ctx, m->gpa + REG_QUEUE_NOTIFY, kick_value(m, i), fd,
				 false);
	fd_close(fd);
}

/* Once. */
static int swallow(struct virtio_mmio *m)
{
	int r = 0;

	if (!m->swallows && m->bus.ioeventfd && m->bus.swallow)
		r = m->bus.swallow(m->bus.ctx, m->gpa + REG_INTERRUPT_ACK, INTERRUPT_QUEUE);
	m->swallows = r == 0;
	return r;
}

int mmio_kicks_open(struct virtio_mmio *m)
{
	for (unsigned i = 0; i < kicks(m); i++) {
		int fd = m->queues[i].kick_fd < 0 ? kick_open(m, i) : m->queues[i].kick_fd;

		if (fd < 0)
			return fd;
		m->queues[i].kick_fd = fd;
	}
	for (unsigned i = kicks(m); i < m->nqueues; i++)
		m->queues[i].kick_fd = m->queues[0].kick_fd;
	return swallow(m);
}

static int errand(struct virtio_mmio *m, int (*fn)(void *arg))
{
	return m->bus.errand ? m->bus.errand(m->bus.ctx, fn, m) : fn(m);
}

/*
 * A driver may notify before it is ready, when nobody hears it: Linux's balloon does (against
 * virtio 1.2, 3.1.1), and so may one that was saved. Before there are threads.
 */
static void kick_for_what_waits(struct virtio_mmio *m)
{
	bool kicked = false;

	for (unsigned i = 0; i < m->nqueues && !(kicked && m->ops->one_kick); i++) {
		kicked = !(m->ops->filled >> i & 1) && virtq_pending(&m->queues[i], m->bus.mem);
		if (kicked)
			eventfd_write(m->queues[i].kick_fd, 1);
	}
}

static int threads_start(void *arg)
{
	struct virtio_mmio *m = arg;
	int r = mmio_kicks_open(m);

	if (r < 0)
		return r;
	kick_for_what_waits(m);
	return m->ops->activate(m->dev);
}

static int threads_end(void *arg)
{
	const struct virtio_mmio *m = arg;

	m->ops->reset(m->dev);
	return 0;
}

void mmio_deactivate(struct virtio_mmio *m)
{
	if (m->active)
		errand(m, threads_end);
	m->active = false;
}

void mmio_reset(struct virtio_mmio *m)
{
	mmio_deactivate(m);
	reg_store(m, REG_STATUS, 0);
	reg_store(m, REG_INTERRUPT_STATUS, 0);
	m->driver_features = 0;
	m->device_features_sel = m->driver_features_sel = m->queue_sel = m->shm_sel = 0;
	queues_reset(m);
}

void mmio_activate(struct virtio_mmio *m)
{
	for (unsigned i = 0; i < m->nqueues; i++) {
		m->queues[i].event_idx = m->driver_features & VIRTIO_F_EVENT_IDX;
		m->queues[i].indirect = m->driver_features & VIRTIO_F_INDIRECT_DESC;
	}
	m->active = errand(m, threads_start) == 0;
	if (!m->active)
		virtio_mmio_needs_reset(m);
}

static void kicks_close(struct virtio_mmio *m)
{
	for (unsigned i = 0; i < kicks(m); i++)
		kick_close(m, i);
}

/* Frees all but the device. */
static void window_free(struct virtio_mmio *m)
{
	kicks_close(m);
	if (m->page_ours)
		free(m->page);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/*
 * No register here changes what is read but QUEUE_READY, which a driver reads after it has selected
 * a queue, and that does not wait.
 */
static void coalesce(const struct virtio_mmio *m)
{
	/* Of a device without a region it does not matter which one is selected. */
	const uint32_t end = mmio_shm(m) ? REG_SHM_SEL : REG_SHM_SEL + 4;
	const struct {
		uint32_t off, len;
	} written[] = {
		{ REG_DRIVER_FEATURES, REG_DRIVER_FEATURES_SEL + 4 - REG_DRIVER_FEATURES },
		{ REG_QUEUE_NUM, REG_QUEUE_READY + 4 - REG_QUEUE_NUM },
		{ REG_QUEUE_DESC, end - REG_QUEUE_DESC },
	};

	if (!m->bus.coalesce)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(written); i++)
		m->bus.coalesce(m->bus.ctx, m->gpa + written[i].off, written[i].len);
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
	for (unsigned i = 0; i < nqueues; i++)
		m->queues[i].kick_fd = -1;
	r = page_new(m);
	if (r < 0) {
		window_free(m);
		return r;
	}
	coalesce(m);
	queues_reset(m);
	mmio_page_fill(m);
	mmio_page_follow(m);
	*ret = m;
	return 0;
}

void virtio_mmio_free(struct virtio_mmio *m)
{
	if (!m)
		return;
	mmio_deactivate(m);
	m->ops->free(m->dev);
	window_free(m);
}

void virtio_mmio_access(struct virtio_mmio *m, uint64_t off, void *data, unsigned len, bool write)
{
	pthread_mutex_lock(&m->lock);
	if (write)
		mmio_write(m, off, data, len);
	else
		mmio_read(m, off, data, len);
	pthread_mutex_unlock(&m->lock);
}
