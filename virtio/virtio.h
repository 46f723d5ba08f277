/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio: split rings and devices over any guest memory (OASIS virtio 1.2), carried by virtio-mmio
 * (section 4.2).
 *
 * The life of a device: a function of virtio/devices.h makes it with its register window; the
 * driver negotiates through virtio_mmio_access(); DRIVER_OK starts the device's threads, a reset or
 * virtio_mmio_free() ends them. A new kind is a struct virtio_ops given to virtio_mmio_new().
 *
 * Threads: vCPU threads only hand register accesses to virtio_mmio_access(), under the lock of that
 * window; eventfds kick. From DRIVER_OK to reset the queues belong to the device's threads and
 * their registers are frozen; a thread of a device takes no lock of the window, so a reset can wait
 * for it. A device with several threads guards each queue by a lock of its own (virtio/fs.c), which
 * is the last one taken.
 *
 * The guest owns the rings: each index, length and address is copied once, checked once against
 * guest memory by mem_at(), and used from the copy. A malformed ring breaks its queue and sets
 * DEVICE_NEEDS_RESET; it never stops the process. Input and output files are the caller's, and
 * open until the device is freed, if virtio/devices.h does not say that they are duplicated.
 */
#ifndef VIRTIO_VIRTIO_H
#define VIRTIO_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct buf; /* base/buf.h */

/* ---- guest memory ---- */

struct mem_region {
	uint64_t gpa, len;
	uint8_t *hva;
};

struct mem {
	struct mem_region regions[8];
	unsigned n;
	/*
	 * What the guest sees beside, and no device may touch: the DAX window. Buffers there are
	 * left out of their chain, which is then too short for what it says, and fails.
	 */
	struct mem_region window;
};

/* The only way to guest memory: @len bytes at @gpa wholly inside one region, or NULL. */
void *mem_at(const struct mem *m, uint64_t gpa, uint64_t len);

/* ---- queues ---- */

#define VIRTQ_MAX	1024u /* entries of the largest queue offered */
#define VIRTQ_CHAIN_MAX 520u  /* descriptors of one chain: 2 MiB of pages and some headers */

struct virtq {
	uint64_t desc, avail, used; /* gpas of the three rings */
	uint16_t num;		    /* entries, a power of two */
	uint16_t last_avail, used_idx;
	uint16_t signalled; /* used_idx when the guest was last asked if it wants an interrupt */
	bool ready, broken, event_idx, indirect;
	unsigned index;
	int kick_fd; /* eventfd, not blocking: the guest has put something */
	void (*notify)(void *ctx, unsigned queue);
	void *notify_ctx;
};

/* One request: @in is what the device may read (out descriptors), @out what it may write. */
struct virtq_chain {
	uint16_t head;
	unsigned nin, nout;
	uint64_t in_len, out_len;
	struct iovec in[VIRTQ_CHAIN_MAX], out[VIRTQ_CHAIN_MAX];
};

/* Whether the rings lie in guest memory, aligned, and num is possible: 0 or -EINVAL. */
int virtq_check(const struct virtq *q, const struct mem *m);
/*
 * 1 = a chain, 0 = none (the guest will kick for the next), -EPROTO = malformed: the queue is
 * broken from then on.
 */
int virtq_pop(struct virtq *q, const struct mem *m, struct virtq_chain *ret);
/* Puts back the chain popped last; it will be read and checked anew. */
void virtq_unpop(struct virtq *q);
/*
 * How many chains wait, or -EPROTO; virtq_arm() has the guest kick for the next one when none does.
 */
int virtq_pending(struct virtq *q, const struct mem *m);
int virtq_arm(struct virtq *q, const struct mem *m);
/*
 * Gives a chain back with @written bytes; virtq_flush() then interrupts if the guest wants it. 0 or
 * -EPROTO.
 */
int virtq_push(struct virtq *q, const struct mem *m, uint16_t head, uint32_t written);
void virtq_flush(struct virtq *q, const struct mem *m);

/* ---- devices and their transport ---- */

struct virtio_mmio;

struct virtio_ops {
	const char *name;
	uint32_t device_id;  /* virtio 1.2 section 5 */
	uint16_t queue_size; /* entries offered for each queue */
	bool one_kick;	     /* one eventfd for all queues: not over vhost-user */
	uint64_t filled;     /* queues, as bits, that hold buffers to be filled some day */
	uint64_t features;   /* beside VERSION_1, EVENT_IDX and INDIRECT_DESC */
	size_t config_len;
	const void *(*config)(void *dev); /* config space, as the guest reads it */
	/*
	 * The guest has written @len bytes at @off of it, all inside; from a vCPU, under the lock
	 * of the window. NULL: what it writes is dropped.
	 */
	void (*config_write)(void *dev, size_t off, const void *data, size_t len);
	/* The shared memory region 0 (2.10), the only one; NULL, or gives NULL: there is none. */
	const struct mem_region *(*shm)(const void *dev);
	int (*activate)(void *dev); /* DRIVER_OK: starts the threads */
	void (*reset)(void *dev);   /* ends them; after a successful activate only */
	/*
	 * What a device knows beside its queues, without threads: save() appends it, load() checks
	 * it (-EBADMSG) and has the next activate() begin with it. NULL: there is nothing.
	 */
	int (*save)(void *dev, struct buf *out);
	int (*load)(void *dev, const uint8_t *data, size_t len);
	void (*free)(void *dev);
};

/* What carries a register window. */
struct virtio_bus {
	const struct mem *mem;
	/* Interrupts, as an edge that no other device shares. From any thread. */
	void (*irq)(void *ctx, unsigned gsi);
	/*
	 * Has KVM signal @fd and do nothing else when the guest writes @value, or anything if that
	 * is VIRTIO_ANY_VALUE, to the 32 bits at @gpa (KVM_IOEVENTFD); or no longer. NULL: all
	 * writes come through virtio_mmio_access().
	 */
	int (*ioeventfd)(void *ctx, uint64_t gpa, uint32_t value, int fd, bool on);
	/*
	 * Has KVM do nothing when the guest writes @value to the 32 bits at @gpa. Only where there
	 * is ioeventfd(); NULL: such writes come through virtio_mmio_access(), too.
	 */
	int (*swallow)(void *ctx, uint64_t gpa, uint32_t value);
	/*
	 * VIRTIO_MMIO_SIZE zero bytes that the guest sees when it reads the window at @gpa, without
	 * an exit (KVM_MEM_READONLY). NULL, or gives NULL: reads come as writes do.
	 */
	void *(*registers)(void *ctx, uint64_t gpa);
	/*
	 * Lets writes to the @len bytes at @gpa wait until the next access that does not, from
	 * whatever CPU; then they come through virtio_mmio_access() first, in order
	 * (KVM_REGISTER_COALESCED_MMIO). A bus may do without. NULL: none waits.
	 */
	void (*coalesce)(void *ctx, uint64_t gpa, uint32_t len);
	/*
	 * Has a thread that may start and end others call @fn: its result. Under the lock of a
	 * window. NULL: whoever accesses the registers may.
	 */
	int (*errand)(void *ctx, int (*fn)(void *arg), void *arg);
	/*
	 * The first that a thread of a device called @name does; when it fails, the device needs a
	 * reset and the thread does nothing more. NULL: nothing.
	 */
	int (*thread_begins)(void *ctx, const char *name);
	/*
	 * Has a thread that may start others call @fn once, when @fd becomes readable; a negative
	 * @fd: what was to be called with @arg no longer is. By who may start threads himself, as
	 * in an errand. NULL: threads are started before there is something to do for them.
	 */
	int (*when)(void *ctx, int fd, void (*fn)(void *arg), void *arg);
	void *ctx;
};
#define VIRTIO_ANY_VALUE UINT32_MAX

#define VIRTIO_MMIO_SIZE 4096u

/*
 * A window of VIRTIO_MMIO_SIZE bytes at @gpa with the interrupt @gsi. On success @dev is the
 * window's, to free.
 */
int virtio_mmio_new(const struct virtio_bus *bus, uint64_t gpa, unsigned gsi,
		    const struct virtio_ops *ops, unsigned nqueues, void *dev,
		    struct virtio_mmio **ret);
/* Stops and frees the device too. No access may be under way. */
void virtio_mmio_free(struct virtio_mmio *m);
/* A register access from a vCPU; @off below VIRTIO_MMIO_SIZE, @len at most 8. */
void virtio_mmio_access(struct virtio_mmio *m, uint64_t off, void *data, unsigned len, bool write);
/*
 * The state of the device and its window, for one that is made the same way later. save() ends the
 * device's threads, once what they are at is done, and appends to @out; no access may be under way.
 * load() makes it the state of @m, -EBADMSG when it cannot be; guest memory is loaded already.
 * After either, resume() starts the threads again if the driver had: before the next access.
 */
int virtio_mmio_save(struct virtio_mmio *m, struct buf *out);
int virtio_mmio_load(struct virtio_mmio *m, const void *data, size_t len);
int virtio_mmio_resume(struct virtio_mmio *m);
uint64_t virtio_mmio_gpa(const struct virtio_mmio *m);
unsigned virtio_mmio_gsi(const struct virtio_mmio *m);
/* Between DRIVER_OK and the next reset. */
bool virtio_mmio_active(struct virtio_mmio *m);

/* For devices. */
struct virtq *virtio_mmio_queue(struct virtio_mmio *m, unsigned i); /* NULL when there is none */
const struct mem *virtio_mmio_mem(const struct virtio_mmio *m);
uint64_t virtio_mmio_features(const struct virtio_mmio *m); /* as negotiated */
void virtio_mmio_needs_reset(struct virtio_mmio *m);
/*
 * Config space is no longer what it was: the guest sees the new one and is interrupted. Not from a
 * thread of the device, which a reset waits for under the lock that this takes.
 */
void virtio_mmio_config_changed(struct virtio_mmio *m);

#include "virtio/devices.h"    /* the kinds of devices that there are */
#include "virtio/vhost_user.h" /* the other transport */

#endif
