/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the console device: its ports and the control queue. All but creation runs in the device's
 * one thread.
 */
#ifndef VIRTIO_CONSOLE_H
#define VIRTIO_CONSOLE_H

#include "virtio/thread.h"
#include "virtio/virtio.h"

/* How a file takes output without keeping the thread. */
enum out_kind {
	OUT_NONE,   /* dropped */
	OUT_PLAIN,  /* never blocks for long: a file, a device */
	OUT_SOCKET, /* MSG_DONTWAIT */
	OUT_PIPE,   /* RWF_NOWAIT, or pieces of PIPE_BUF when poll(2) says so */
	OUT_TTY,    /* small pieces when poll(2) says so */
};

/*
 * Messages that the guest is still to get, in this order; as bits, so that it cannot make us pile
 * them up.
 */
enum {
	TODO_ADD = 1,
	TODO_CONSOLE = 2,
	TODO_OPEN = 4, /* before the name: who finds the port by that finds it connected */
	TODO_NAME = 8,
	TODO_CLOSE = 16,
};

struct console;

struct console_port {
	struct console *console;
	unsigned index;
	char name[VIRTIO_CONSOLE_NAME_MAX + 1];
	bool ordered;
	int in_fd, out_fd;
	bool out_ours; /* a duplicate of in_fd, to be waited for apart */
	enum out_kind out_kind;
	bool out_gone;	   /* the reader has */
	uint64_t out_left; /* bytes that it may still be given */

	/* while active */
	unsigned todo;
	bool ready, guest_open;
	bool in_end;		      /* nothing more will come */
	bool in_pollable, in_watched; /* a plain file cannot be waited for: it is always readable */
	bool in_starved;	      /* the guest has no buffer for input */
	unsigned allowed;	      /* chains that an ordered port may pass on now */
	uint32_t out_done;	      /* bytes already written of the first chain */
};

struct console_config_space {
	uint16_t cols, rows;
	uint32_t max_nr_ports;
};

struct console {
	struct virtio_mmio *mmio;
	struct console_config_space config;
	struct virtio_thread thread;
	unsigned nports;
	struct console_port *ports;
	bool kept;			   /* the ports' state is to outlive the next start */
	struct virtio_console_stats stats; /* atomic */
	struct virtq_chain chain;	   /* the one at hand */
};

/* Queues (5.3.2): of port 0, of control, then of the other ports, each first input, then output. */
static inline unsigned console_in_queue(unsigned port)
{
	return port ? 2 * port + 2 : 0;
}
static inline unsigned console_out_queue(unsigned port)
{
	return console_in_queue(port) + 1;
}
#define CONSOLE_CONTROL_IN  2u
#define CONSOLE_CONTROL_OUT 3u

/* Tags of epoll events: kicks, then in and out of each port. */
#define TAG_KICK	 0u
#define TAG_PORT_IN(i)	 (1u + 2 * (i))
#define TAG_PORT_OUT(i)	 (2u + 2 * (i))
#define TAG_TO_PORT(tag) (((tag)-1) / 2)
#define TAG_IS_OUT(tag)	 ((tag) % 2 == 0)

/* console_port.c */
int console_port_init(struct console_port *p, struct console *c, unsigned index,
		      const struct virtio_console_port *cfg);
void console_port_done(struct console_port *p);
void console_port_reset(struct console_port *p);
/* Before its thread: learns of its files. */
void console_port_begin(struct console_port *p);
/* The thread that watched its files has gone: the next one begins anew. */
void console_port_rewatch(struct console_port *p);
/* Moves input to the guest: 0 or -EPROTO. */
int console_port_in(struct console_port *p);
/*
 * Moves at most @max chains from the guest: 1 = done, 0 = the file takes no more for now, -EPROTO.
 */
int console_port_out(struct console_port *p, unsigned max);
/* Waits for input when the guest can take it. */
void console_port_watch_in(struct console_port *p);

/* console_out.c */
enum out_kind console_out_kind(int fd);
/* Writes what the file takes now: count, 0 or more, or -errno; -EAGAIN = nothing. */
ssize_t console_out_write(int fd, enum out_kind *kind, const struct iovec *iov, unsigned n);

/* console_state.c: see struct virtio_ops. */
int console_save(void *dev, struct buf *out);
int console_load(void *dev, const uint8_t *data, size_t len);

/* console_control.c: 0 or -EPROTO. */
int console_control_out(struct console *c);
int console_control_in(struct console *c);

#endif
