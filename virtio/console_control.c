/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console's control queues: what the two sides tell each other of ports (virtio 1.2, section
 * 5.3.6.2).
 */
#include "virtio/console.h"

#include "base/mem.h"
#include <errno.h>

enum {
	MSG_DEVICE_READY = 0,
	MSG_PORT_ADD = 1,
	MSG_PORT_READY = 3,
	MSG_CONSOLE_PORT = 4,
	MSG_PORT_OPEN = 6,
	MSG_PORT_NAME = 7,
};

struct message {
	uint32_t id; /* of the port */
	uint16_t event, value;
};

/* ---- from the guest ---- */

static void device_ready(struct console *c)
{
	for (unsigned i = 0; i < c->nports; i++) {
		c->ports[i].todo = TODO_ADD;
		c->ports[i].ready = false;
	}
}

/*
 * The guest has the port: it hears what the port is. Port 0 is the console, named ones are devices.
 */
static void port_ready(struct console_port *p)
{
	if (p->ready)
		return;
	p->ready = true;
	p->todo |= p->name[0] ? TODO_OPEN | TODO_NAME : TODO_CONSOLE | TODO_OPEN;
}

static void handle(struct console *c, const struct message *msg)
{
	struct console_port *p = msg->id < c->nports ? &c->ports[msg->id] : NULL;

	if (msg->event == MSG_DEVICE_READY && msg->value)
		device_ready(c);
	else if (msg->event == MSG_PORT_READY && p && msg->value)
		port_ready(p);
	else if (msg->event == MSG_PORT_OPEN && p)
		p->guest_open = msg->value;
}

int console_control_out(struct console *c)
{
	struct virtq *q = virtio_mmio_queue(c->mmio, CONSOLE_CONTROL_OUT);
	const struct mem *mem = virtio_mmio_mem(c->mmio);
	int r;

	while ((r = virtq_pop(q, mem, &c->chain)) > 0) {
		struct message msg;

		if (c->chain.nin && c->chain.in[0].iov_len >= sizeof(msg)) {
			memcpy(&msg, c->chain.in[0].iov_base, sizeof(msg));
			handle(c, &msg);
		}
		r = virtq_push(q, mem, c->chain.head, 0);
		if (r < 0)
			return r;
	}
	virtq_flush(q, mem);
	return r;
}

/* ---- to the guest ---- */

/* Takes the next message for @p out of what is to do, and gives its length in @buf. */
static size_t next_message(struct console_port *p,
			   uint8_t buf[sizeof(struct message) + VIRTIO_CONSOLE_NAME_MAX])
{
	struct message msg = { .id = p->index, .value = 1 };
	unsigned bit = p->todo & -p->todo;
	size_t name = 0;

	p->todo &= ~bit;
	switch (bit) {
	case TODO_ADD:
		msg.event = MSG_PORT_ADD;
		break;
	case TODO_CONSOLE:
		msg.event = MSG_CONSOLE_PORT;
		break;
	case TODO_NAME:
		msg.event = MSG_PORT_NAME;
		name = strlen(p->name);
		memcpy(buf + sizeof(msg), p->name, name);
		break;
	default:
		msg.event = MSG_PORT_OPEN;
		msg.value = bit == TODO_OPEN;
		break;
	}
	memcpy(buf, &msg, sizeof(msg));
	return sizeof(msg) + name;
}

static int send(struct console *c, struct console_port *p)
{
	struct virtq *q = virtio_mmio_queue(c->mmio, CONSOLE_CONTROL_IN);
	const struct mem *mem = virtio_mmio_mem(c->mmio);
	uint8_t buf[sizeof(struct message) + VIRTIO_CONSOLE_NAME_MAX];
	int r = virtq_pop(q, mem, &c->chain);
	size_t len;

	if (r <= 0)
		return r;
	if (!c->chain.nout || c->chain.out[0].iov_len < sizeof(buf)) {
		r = virtq_push(q, mem, c->chain.head, 0);
		return r < 0 ? r : 1;
	}
	len = next_message(p, buf);
	memcpy(c->chain.out[0].iov_base, buf, len);
	r = virtq_push(q, mem, c->chain.head, (uint32_t)len);
	return r < 0 ? r : 1;
}

int console_control_in(struct console *c)
{
	struct virtq *q = virtio_mmio_queue(c->mmio, CONSOLE_CONTROL_IN);
	int r = 1;

	for (unsigned i = 0; r > 0 && i < c->nports; i++) {
		while (r > 0 && c->ports[i].todo)
			r = send(c, &c->ports[i]);
	}
	if (r < 0)
		return r;
	virtq_flush(q, virtio_mmio_mem(c->mmio));
	return 0;
}
