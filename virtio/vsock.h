/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the vsock device (virtio 1.2, section 5.10): its packets and its connections, a fixed
 * number of each with a fixed buffer. All but creation runs in the device's one thread.
 */
#ifndef VIRTIO_VSOCK_H
#define VIRTIO_VSOCK_H

#include "virtio/thread.h"
#include "virtio/virtio.h"

enum { VSOCK_RX, VSOCK_TX, VSOCK_EVENTS, VSOCK_QUEUES }; /* 5.10.2; rx is to the guest */

/* The head of each packet (5.10.6). */
struct vsock_header {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len; /* bytes behind the head */
	uint16_t type, op;
	uint32_t flags;
	uint32_t buf_alloc, fwd_cnt; /* the sender's buffer, and how much has left it in all */
} __attribute__((packed));

#define VSOCK_TYPE_STREAM 1u
#define VSOCK_HOST_CID	  2u

enum vsock_op {
	VSOCK_OP_REQUEST = 1,
	VSOCK_OP_RESPONSE = 2,
	VSOCK_OP_RST = 3,
	VSOCK_OP_SHUTDOWN = 4,
	VSOCK_OP_RW = 5,
	VSOCK_OP_CREDIT_UPDATE = 6,
	VSOCK_OP_CREDIT_REQUEST = 7,
};

/* Flags of SHUTDOWN: what its sender will no longer do. */
#define VSOCK_NO_RECEIVE 1u
#define VSOCK_NO_SEND	 2u

#define VSOCK_EVENT_TRANSPORT_RESET 0u

#define VSOCK_BUFFER   65536u /* bytes of a connection that the host has not taken yet */
#define VSOCK_LINE_MAX 32u    /* "CONNECT 4294967295\n", and then some */

enum vsock_state {
	VSOCK_FREE,
	VSOCK_HELLO,	 /* the host's client has not said yet where to */
	VSOCK_REQUESTED, /* the guest has not answered yet */
	VSOCK_UP,
	VSOCK_DRAINING, /* the guest knows no more of it; the host's client is still to read */
	VSOCK_DYING,	/* the host's side is closed; the guest is still to be told */
};

/* Packets that the guest is still to get, as bits, so that nobody can make us pile them up. */
enum {
	VSOCK_TODO_REQUEST = 1,
	VSOCK_TODO_RESPONSE = 2,
	VSOCK_TODO_CREDIT = 4,
	VSOCK_TODO_ASK = 8, /* CREDIT_REQUEST */
	VSOCK_TODO_SHUTDOWN = 16,
	VSOCK_TODO_RST = 32,
};

struct vsock_conn {
	struct virtio_vsock *vsock;
	enum vsock_state state;
	uint16_t generation; /* of the slot: an old event is not taken for a new connection's */
	int fd;		     /* of the host's client or server */
	uint32_t host_port, guest_port;
	unsigned todo;
	uint32_t watched;  /* EPOLL events, 0 = not at all */
	bool hung_up;	   /* the host's end is closed both ways */
	bool drained;	   /* what it had sent was read, and less than there was room for */
	bool ended;	   /* it sends no more, and all that it sent has been read */
	uint32_t shutdown; /* VSOCK_NO_, of the guest's side */
	uint32_t told;	   /* VSOCK_NO_, of ours, as the guest is to know it */
	/* to the guest: what it has room for, and what was sent in all */
	uint32_t peer_alloc, peer_fwd, sent;
	bool asked; /* for credit, since it was last there */
	/* from the guest: what was forwarded to the host in all, and as the guest knows it */
	uint32_t fwd, fwd_told;
	uint8_t *buf; /* VSOCK_BUFFER bytes, a ring */
	uint32_t at, len;
	char line[VSOCK_LINE_MAX];
	unsigned line_len;
};

struct vsock_key {
	uint32_t host_port, guest_port;
};

struct virtio_vsock {
	struct virtio_mmio *mmio;
	struct virtio_thread thread;
	struct {
		uint64_t guest_cid;
	} config;
	struct virtio_vsock_config cfg;
	bool listening;	 /* the listening socket is watched */
	bool deaf;	 /* no descriptor for another client: until something else happens */
	bool rx_starved; /* the guest has no buffer for us */
	bool met;	 /* there was a connection, or a wish for one, that the guest may know of */
	bool restored;	 /* it is to hear that its connections are gone */
	bool awake;	 /* the thread has begun */
	uint32_t next_port;
	unsigned nrefused;
	struct virtio_vsock_stats stats; /* atomic */
	uint8_t *buffers;		 /* of the connections; NULL: there are none yet */
	struct vsock_conn conns[VIRTIO_VSOCK_CONNS];
	/* Answers to packets of no connection; while it is full, no packets are taken. */
	struct vsock_key refused[64];
	struct virtq_chain chain;
};

#define VSOCK_TAG_LISTEN VSOCK_QUEUES
#define VSOCK_TAG_CONN	 16u /* and its place; the generation is above them */
#define VSOCK_TAG(c) \
	((uint32_t)(c)->generation << 16 | (VSOCK_TAG_CONN + (uint32_t)((c) - (c)->vsock->conns)))

/* ---- vsock_conn.c ---- */

/* A free slot for @fd, which is its own then; NULL when there is none: @fd is closed. */
struct vsock_conn *vsock_conn_new(struct virtio_vsock *v, enum vsock_state state, int fd);
/* That of these ports which the guest knows, or NULL. */
struct vsock_conn *vsock_conn_find(struct virtio_vsock *v, uint32_t host_port, uint32_t guest_port);
/* Closes the host's side and frees the slot. */
void vsock_conn_free(struct vsock_conn *c);
/* Closes the host's side; the slot is free when the guest has been sent what @todo says. */
void vsock_conn_die(struct vsock_conn *c, unsigned todo);
/* Waits for what it can go on with. */
void vsock_conn_watch(struct vsock_conn *c);
/* Something has happened on the host's side: 0 or -EPROTO of a ring. */
int vsock_conn_event(struct vsock_conn *c, uint32_t events);
/* A packet of the guest's, of @c; its @len bytes are the @n pieces of @iov. */
void vsock_conn_packet(struct vsock_conn *c, const struct vsock_header *h, struct iovec *iov,
		       unsigned n);
/* The head of the next packet of @c->todo, and which it is; false when none waits. */
bool vsock_conn_todo(const struct vsock_conn *c, struct vsock_header *ret, unsigned *ret_todo);
/* The guest has been sent that packet. */
void vsock_conn_sent(struct vsock_conn *c, const struct vsock_header *h);

/* ---- vsock.c ---- */

/*
 * A packet to the guest, whose bytes @recv puts behind the head, if it is given: it gives their
 * number, 0 for "no packet". 1 = sent, 0 = the guest has no buffer or @recv gave 0, -EPROTO.
 */
int vsock_send(struct virtio_vsock *v, struct vsock_header *h,
	       uint32_t (*recv)(void *ctx, struct iovec *iov, unsigned n), void *ctx);

#endif
