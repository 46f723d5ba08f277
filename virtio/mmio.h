/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the virtio-mmio transport: the window of a device, its registers and its state. All under
 * the window's lock, but for what is atomic.
 */
#ifndef VIRTIO_MMIO_H
#define VIRTIO_MMIO_H

#include "virtio/virtio.h"
#include <pthread.h>

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
	REG_SHM_SEL = 0x0ac,
	REG_SHM_LEN_LOW =
		0x0b0, /* and base, 64 bits each; of a region that is not there all ones */
	REG_SHM_BASE_LOW = 0x0b8,
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
	uint32_t device_features_sel, driver_features_sel, queue_sel, shm_sel;
	uint64_t driver_features;
	bool active;
	bool swallows; /* acknowledged interrupts, once */

	unsigned nqueues;
	struct virtq queues[];
};

static inline uint32_t *reg(const struct virtio_mmio *m, uint32_t off)
{
	return (uint32_t *)(m->page + off);
}

static inline uint32_t reg_load(const struct virtio_mmio *m, uint32_t off)
{
	return __atomic_load_n(reg(m, off), __ATOMIC_SEQ_CST);
}

static inline void reg_store(struct virtio_mmio *m, uint32_t off, uint32_t v)
{
	__atomic_store_n(reg(m, off), v, __ATOMIC_SEQ_CST);
}

static inline uint32_t reg_or(struct virtio_mmio *m, uint32_t off, uint32_t bits)
{
	return __atomic_fetch_or(reg(m, off), bits, __ATOMIC_SEQ_CST);
}

/* mmio.c: as DEVICE_RESET and DRIVER_OK have it. */
void mmio_reset(struct virtio_mmio *m);
void mmio_activate(struct virtio_mmio *m);
/*
 * The eventfds of the queues, and what KVM has to know of them, where they are not open yet: by the
 * thread that starts the device's, since a guest waits for neither before its driver is ready.
 */
int mmio_kicks_open(struct virtio_mmio *m);
/* Ends the device's threads; its state stays. */
void mmio_deactivate(struct virtio_mmio *m);
/* Lets the guest see config space; one that reads meanwhile knows by the generation (2.5.3). */
void mmio_config_show(struct virtio_mmio *m);

/* mmio_register.c */
const struct mem_region *mmio_shm(const struct virtio_mmio *m);
uint64_t mmio_features_offered(const struct virtio_mmio *m);
/* The page of registers: what never changes, and what a write may have changed. */
void mmio_page_fill(struct virtio_mmio *m);
void mmio_page_follow(struct virtio_mmio *m);
void mmio_write(struct virtio_mmio *m, uint64_t off, const void *data, unsigned len);
void mmio_read(const struct virtio_mmio *m, uint64_t off, void *data, unsigned len);

#endif
