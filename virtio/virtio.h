/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio: split rings and devices over any guest memory (OASIS virtio 1.2), carried by virtio-mmio
 * (section 4.2).
 *
 * The life of a device: virtio_console_new(), virtio_fs_new() or virtio_rng_new() makes it with its
 * register window; the driver negotiates through virtio_mmio_access(); DRIVER_OK starts the
 * device's threads, a reset or virtio_mmio_free() ends them. A new kind is a struct virtio_ops
 * given to virtio_mmio_new().
 *
 * Threads: vCPU threads only hand register accesses to virtio_mmio_access(), under the lock of that
 * window; eventfds kick. From DRIVER_OK to reset the queues belong to the device's threads and
 * their registers are frozen; a thread of a device takes no lock of the window, so a reset can wait
 * for it. A device with several threads guards each queue by a lock of its own (virtio/fs.c), which
 * is the last one taken.
 *
 * The guest owns the rings: each index, length and address is copied once, checked once against
 * guest memory by mem_at(), and used from the copy. A malformed ring breaks its queue and sets
 * DEVICE_NEEDS_RESET; it never stops the process. Input and output files are the caller's and are
 * duplicated.
 */
#ifndef VIRTIO_VIRTIO_H
#define VIRTIO_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* ---- guest memory ---- */

struct mem_region {
	uint64_t gpa, len;
	uint8_t *hva;
};

struct mem {
	struct mem_region regions[8];
	unsigned n;
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
	bool one_kick;	     /* one eventfd for all queues */
	uint64_t features;   /* beside VERSION_1, EVENT_IDX and INDIRECT_DESC */
	size_t config_len;
	const void *(*config)(void *dev); /* config space, read only */
	int (*activate)(void *dev);	  /* DRIVER_OK: starts the threads */
	void (*reset)(void *dev);	  /* ends them; after a successful activate only */
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
	 * VIRTIO_MMIO_SIZE zero bytes that the guest sees when it reads the window at @gpa, without
	 * an exit (KVM_MEM_READONLY). NULL, or gives NULL: reads come as writes do.
	 */
	void *(*registers)(void *ctx, uint64_t gpa);
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
uint64_t virtio_mmio_gpa(const struct virtio_mmio *m);
unsigned virtio_mmio_gsi(const struct virtio_mmio *m);

/* For devices. */
struct virtq *virtio_mmio_queue(struct virtio_mmio *m, unsigned i); /* NULL when there is none */
const struct mem *virtio_mmio_mem(const struct virtio_mmio *m);
uint64_t virtio_mmio_features(const struct virtio_mmio *m); /* as negotiated */
void virtio_mmio_needs_reset(struct virtio_mmio *m);

/* ---- device kinds ---- */

/*
 * fs (5.11): each request is handed to @serve, by one of several threads; it gives the length of
 * the reply, 0 for none, -errno to drop it.
 */
typedef ssize_t virtio_fs_serve_fn(void *ctx, const struct iovec *in, int nin,
				   const struct iovec *out, int nout);

#define VIRTIO_FS_TAG_MAX     36 /* bytes */
#define VIRTIO_FS_QUEUES_MAX  8u
#define VIRTIO_FS_THREADS_MAX 16u

struct virtio_fs_config {
	const char *tag;
	virtio_fs_serve_fn *serve;
	void *ctx;
	unsigned queues;  /* request queues beside the one for high priority; 0 = 1 */
	unsigned threads; /* 0 = 2 */
};
int virtio_fs_new(const struct virtio_fs_config *cfg, const struct virtio_bus *bus, uint64_t gpa,
		  unsigned gsi, struct virtio_mmio **ret);

/* console (5.3) with VIRTIO_CONSOLE_F_MULTIPORT: port 0 is hvc0, others are named devices. */
struct virtio_console_port {
	const char *name; /* /sys/class/virtio-ports/.../name in the guest; NULL for port 0 */
	/*
	 * -1 = none: no input comes / what the guest writes is dropped. The end of @in_fd closes
	 * the port (PORT_OPEN 0): the guest reads what came before, then the end. A reader of
	 * @out_fd that has gone (EPIPE) closes it too: the guest sees POLLHUP, and what it still
	 * writes is dropped.
	 */
	int in_fd, out_fd;
	/* What the guest writes here comes after all that it wrote to other ports before. */
	bool ordered;
};

#define VIRTIO_CONSOLE_PORTS_MAX 16
#define VIRTIO_CONSOLE_NAME_MAX	 64

int virtio_console_new(const struct virtio_console_port *ports, unsigned nports,
		       const struct virtio_bus *bus, uint64_t gpa, unsigned gsi,
		       struct virtio_mmio **ret);

/* rng (5.4), from getrandom(2). */
int virtio_rng_new(const struct virtio_bus *bus, uint64_t gpa, unsigned gsi,
		   struct virtio_mmio **ret);

#endif
