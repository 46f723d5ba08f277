/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of devices (virtio 1.2, chapter 5); part of virtio/virtio.h, which includes it. */
#ifndef VIRTIO_DEVICES_H
#define VIRTIO_DEVICES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct virtio_blk;
struct virtio_bus;
struct virtio_net;
struct virtio_mmio;
struct virtio_vsock;

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
	virtio_fs_serve_fn *serve; /* NULL: asleep, nobody takes its requests */
	void *ctx;
	unsigned queues;	   /* request queues beside the one for high priority; 0 = 1 */
	unsigned threads;	   /* 0 = 2 */
	uint64_t dax_gpa, dax_len; /* the DAX window, mapped by whoever serves; 0 = none */
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
	uint64_t out_max; /* bytes that @out_fd gets at most, the rest is dropped; 0 = any */
};

#define VIRTIO_CONSOLE_PORTS_MAX 16
#define VIRTIO_CONSOLE_NAME_MAX	 64

int virtio_console_new(const struct virtio_console_port *ports, unsigned nports,
		       const struct virtio_bus *bus, uint64_t gpa, unsigned gsi,
		       struct virtio_mmio **ret);

struct virtio_console_stats {
	uint64_t in_bytes, out_bytes; /* to the guest, from the guest; of all ports */
};
/* Of the device behind @m, such a one. From any thread. */
void virtio_console_stats(const struct virtio_mmio *m, struct virtio_console_stats *ret);

/* rng (5.4), from getrandom(2). */
int virtio_rng_new(const struct virtio_bus *bus, uint64_t gpa, unsigned gsi,
		   struct virtio_mmio **ret);
/* How many bytes the guest got of the device behind @m, such a one. From any thread. */
uint64_t virtio_rng_bytes(const struct virtio_mmio *m);

/*
 * balloon (5.5): takes pages from the guest and gives their memory back to the host
 * (MADV_DONTNEED); with free page reporting (6.3 of it) also what the guest has freed by itself.
 * The guest takes pages back when it runs out of memory (DEFLATE_ON_OOM): a wish, no limit.
 */
struct virtio_balloon;

#define VIRTIO_BALLOON_PAGE 4096u /* its unit, whatever the guest's pages are */

/* In bytes, as the guest says; UINT64_MAX = it has not (5.5.6.3). */
struct virtio_balloon_stats {
	uint64_t swap_in, swap_out, major_faults, minor_faults; /* the faults: a number of them */
	uint64_t free, total, available, caches;
	/* Ours: taken by the balloon now as the guest says, and given back in all by reports. */
	uint64_t ballooned, reported;
};

/* On success *@ret is the window, which frees the balloon. */
int virtio_balloon_new(const struct virtio_bus *bus, uint64_t gpa, unsigned gsi,
		       struct virtio_balloon **ret_balloon, struct virtio_mmio **ret);
/* Asks the guest to give up @bytes in all, rounded down to pages; at most 16 TiB. */
void virtio_balloon_set(struct virtio_balloon *b, uint64_t bytes);
/* Has the guest asked for new statistics, which come some time later. From any thread. */
void virtio_balloon_ask(struct virtio_balloon *b);
/* What is known by now. From any thread. */
void virtio_balloon_stats(const struct virtio_balloon *b, struct virtio_balloon_stats *ret);

/*
 * net (5.1): Ethernet frames to and from a stream socket, each behind its length as 32 bits, big
 * endian (passt(1), QEMU's "-netdev stream"), or a TAP that does not block. One queue pair, no
 * offloads, no control queue. When the other end has gone, what the guest sends is dropped.
 */
#define VIRTIO_NET_FRAME_MAX 65549u /* 65,535 bytes (IPv4's largest packet) behind a head of 14 */
#define VIRTIO_NET_MTU_MIN   68u    /* RFC 791 */

struct virtio_net_config {
	int fd; /* duplicated */
	uint8_t mac[6];
	uint16_t mtu; /* VIRTIO_NET_MTU_MIN..65535 */
	/* Bytes a second that each direction may carry, with a tenth of that at once; 0 = any. */
	uint64_t rate;
};

struct virtio_net_stats {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes; /* to the guest, from the guest */
	uint64_t dropped; /* too long for the guest's buffer, or nobody to send to */
};

/* On success *@ret is the window, which frees the device. -EINVAL for an MTU that cannot be. */
int virtio_net_new(const struct virtio_net_config *cfg, const struct virtio_bus *bus, uint64_t gpa,
		   unsigned gsi, struct virtio_net **ret_net, struct virtio_mmio **ret);
/* From any thread. */
void virtio_net_stats(const struct virtio_net *n, struct virtio_net_stats *ret);

/*
 * Of a guest whose network device is another's: carries frames between @guest_fd and @host_fd, both
 * as virtio_net_config.fd (duplicated), each way at the rate that one has.
 */
struct net_relay;
int net_relay_new(int guest_fd, int host_fd, uint64_t rate, struct net_relay **ret);
void net_relay_free(struct net_relay *r);
/*
 * Until one end has gone or @stop_fd is readable: 0; -EPROTO with a text: what came is no row of
 * frames. The caller's thread, once.
 */
int net_relay_run(struct net_relay *r, int stop_fd);
/* Nothing is dropped there. From any thread. */
void net_relay_stats(const struct net_relay *r, struct virtio_net_stats *ret);

/*
 * blk (5.2): a disk whose sectors are a raw file's. A write is on it when the driver's flush after
 * it has been answered. Requests outside of the disk, and writes to one that is read-only, are
 * answered with an error; a chain without place for head and status breaks the queue.
 */
struct virtio_blk_config {
	int fd; /* a regular file; duplicated */
	bool rdonly;
	uint64_t rate; /* bytes a second, read and written, with a tenth of that at once; 0 = any */
};

struct virtio_blk_stats {
	uint64_t reads, read_bytes, writes, write_bytes;
	uint64_t flushes, discards; /* zeroes written are counted with the latter */
	uint64_t errors;	    /* requests that were not done */
};

/* On success *@ret is the window, which frees the device. */
int virtio_blk_new(const struct virtio_blk_config *cfg, const struct virtio_bus *bus, uint64_t gpa,
		   unsigned gsi, struct virtio_blk **ret_blk, struct virtio_mmio **ret);
/* From any thread. */
void virtio_blk_stats(const struct virtio_blk *b, struct virtio_blk_stats *ret);

/*
 * vsock (5.10): stream sockets between the guest and AF_UNIX sockets of the host, as Firecracker
 * has them. Who connects to the listening socket and sends "CONNECT <port>\n" is connected to the
 * guest's port and reads "OK <port>\n" first, or the end when nobody listens there. The guest's
 * connections to port P of CID 2 are the caller's to make. Each connection has a fixed buffer and
 * there is a fixed number of them; a guest that does not keep to the protocol loses the connection
 * (RST), one with a malformed ring the device. No connection outlives a reset, or a snapshot, after
 * which the guest hears so (VIRTIO_VSOCK_EVENT_TRANSPORT_RESET).
 */
#define VIRTIO_VSOCK_CID   3u /* the guest's; each has a device, and so a host, of its own */
#define VIRTIO_VSOCK_CONNS 64u

struct virtio_vsock_config {
	int listen_fd; /* should not block. -1 = nobody connects to the guest */
	/*
	 * A stream socket connected to what the host has at @port, which is the device's then, or
	 * -errno: refused. From the device's thread. NULL: all are refused.
	 */
	int (*connect)(void *ctx, uint32_t port);
	void *ctx;
};

struct virtio_vsock_stats {
	uint64_t connections;	      /* in all */
	uint64_t in_bytes, out_bytes; /* to the guest, from the guest */
	uint64_t refused;	      /* packets of the guest's that were answered by RST */
};

/* On success *@ret is the window, which frees the device. */
int virtio_vsock_new(const struct virtio_vsock_config *cfg, const struct virtio_bus *bus,
		     uint64_t gpa, unsigned gsi, struct virtio_vsock **ret_vsock,
		     struct virtio_mmio **ret);
/* From any thread. */
void virtio_vsock_stats(const struct virtio_vsock *v, struct virtio_vsock_stats *ret);

#endif
