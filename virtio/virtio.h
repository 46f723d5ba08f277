/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio: split rings and devices over any guest memory (OASIS virtio 1.2), carried by virtio-mmio (section 4.2).
 *
 * The life of a device: a driver of a device kind (console, fs, rng) is made over a struct virtio_dev, which a transport
 * drives: negotiate, queues, DRIVER_OK. Each device belongs to one thread, which owns its queues; vCPU threads only hand
 * register accesses to virtio_mmio_access() (under the device's lock) and eventfds kick. The guest owns the rings: each
 * index, length and address is copied once, checked once against guest memory by mem_at(), and used from the copy. A
 * malformed ring sets DEVICE_NEEDS_RESET and stops the device; it never stops the process.
 */
#ifndef VIRTIO_VIRTIO_H
#define VIRTIO_VIRTIO_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
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

#define VIRTQ_MAX 1024u	    /* entries of the largest queue offered */
#define VIRTQ_CHAIN_MAX 520u /* descriptors of one chain, indirect ones included: 2 MiB of pages and headers */

struct virtq {
	uint16_t num, last_avail, used_idx;
	bool ready, broken, event_idx;
	uint64_t desc, avail, used; /* gpas */
	int kick_fd;		    /* eventfd: the guest has put something */
	/* filled by the transport */
	void (*notify)(void *ctx, unsigned queue);
	void *notify_ctx;
	unsigned index;
};

/* One request: @in is what the device may read (out descriptors), @out what it may write. */
struct virtq_chain {
	uint16_t head;
	unsigned nin, nout;
	struct iovec in[VIRTQ_CHAIN_MAX], out[VIRTQ_CHAIN_MAX];
	uint64_t in_len, out_len;
};

/* 1 = a chain, 0 = none, -EPROTO = malformed (the queue is broken then). */
int virtq_pop(struct virtq *q, const struct mem *m, struct virtq_chain *ret);
/* Gives the chain back with @written bytes; virtq_flush() then interrupts when the guest wants it. */
int virtq_push(struct virtq *q, const struct mem *m, uint16_t head, uint32_t written);
void virtq_flush(struct virtq *q, const struct mem *m);

/* ---- devices and their transport ---- */

struct virtio_dev;

struct virtio_ops {
	const char *name;
	uint32_t device_id; /* virtio 1.2 section 5 */
	unsigned nqueues;
	uint64_t features; /* beside VERSION_1, EVENT_IDX and INDIRECT_DESC */
	/* Config space reads and writes, bounds checked by the transport against config_len. */
	size_t config_len;
	void (*config_read)(void *dev, size_t off, void *data, size_t len);
	void (*config_write)(void *dev, size_t off, const void *data, size_t len);
	int (*activate)(void *dev);	     /* DRIVER_OK: start the device's thread */
	void (*reset)(void *dev);	     /* stops it; also at teardown */
};

/* A device on virtio-mmio: a 4 KiB register window, one interrupt. */
struct virtio_mmio;
struct virtio_bus {
	const struct mem *mem;
	int (*irq)(void *ctx, unsigned gsi);	/* raise (edge) */
	/* Registers a queue-notify eventfd at @gpa with datamatch @queue (KVM_IOEVENTFD) or removes it. */
	int (*ioeventfd)(void *ctx, uint64_t gpa, unsigned queue, int fd, bool on);
	int (*irqfd)(void *ctx, unsigned gsi, int fd);	 /* an eventfd that interrupts */
	void *ctx;
};

int virtio_mmio_new(const struct virtio_bus *bus, uint64_t gpa, unsigned gsi, const struct virtio_ops *ops, void *dev,
		    struct virtio_mmio **ret);
void virtio_mmio_free(struct virtio_mmio *m);
/* A register access from a vCPU; @off below 4096. */
void virtio_mmio_access(struct virtio_mmio *m, uint64_t off, void *data, unsigned len, bool write);
struct virtq *virtio_mmio_queue(struct virtio_mmio *m, unsigned i);
uint64_t virtio_mmio_features(const struct virtio_mmio *m); /* as negotiated */
void virtio_mmio_needs_reset(struct virtio_mmio *m);
void virtio_mmio_config_changed(struct virtio_mmio *m);

/* ---- device kinds ---- */

/* fs (5.11): each request is handed to @serve; it gives the length of the reply, 0 for none, -errno to drop. */
typedef ssize_t virtio_fs_serve_fn(void *ctx, const struct iovec *in, int nin, const struct iovec *out, int nout);
struct virtio_fs;
int virtio_fs_new(const char *tag, virtio_fs_serve_fn *serve, void *ctx, const struct virtio_bus *bus, uint64_t gpa,
		  unsigned gsi, struct virtio_fs **ret, struct virtio_mmio **ret_mmio);
void virtio_fs_free(struct virtio_fs *f);

/* console (5.3) with VIRTIO_CONSOLE_F_MULTIPORT: port 0 is hvc0, others are named character ports. */
struct virtio_console_port {
	const char *name; /* /sys/class/virtio-ports/.../name in the guest; NULL for port 0 */
	int in_fd, out_fd; /* -1 = none: the guest reads end of file / what it writes is dropped */
};
struct virtio_console;
int virtio_console_new(const struct virtio_console_port *ports, unsigned nports, const struct virtio_bus *bus,
		       uint64_t gpa, unsigned gsi, struct virtio_console **ret, struct virtio_mmio **ret_mmio);
/* The size of the terminal behind port 0 (VIRTIO_CONSOLE_RESIZE). */
void virtio_console_resize(struct virtio_console *c, unsigned port, unsigned rows, unsigned cols);
void virtio_console_free(struct virtio_console *c);

/* rng (5.4), from getrandom(2). */
struct virtio_rng;
int virtio_rng_new(const struct virtio_bus *bus, uint64_t gpa, unsigned gsi, struct virtio_rng **ret,
		   struct virtio_mmio **ret_mmio);
void virtio_rng_free(struct virtio_rng *r);

#endif
