/* SPDX-License-Identifier: Apache-2.0 */
/* The console's state beside its queues: what its ports have told each other. */
#include "base/buf.h"
#include "virtio/console.h"

#include <errno.h>
#include <string.h>

#define TODO_ALL (TODO_ADD | TODO_CONSOLE | TODO_OPEN | TODO_NAME | TODO_CLOSE)

/* One of each port, in their order. */
struct port_state {
	uint32_t out_done;
	uint8_t todo, ready, guest_open, in_end;
};

/* A port without input has ended only until it gets one. */
int console_save(void *dev, struct buf *out)
{
	struct console *c = dev;

	c->kept = true;
	for (unsigned i = 0; i < c->nports; i++) {
		const struct console_port *p = &c->ports[i];
		struct port_state s = { .out_done = p->out_done,
					.todo = (uint8_t)p->todo,
					.ready = p->ready,
					.guest_open = p->guest_open,
					.in_end = p->in_end && p->in_fd >= 0 };

		buf_add(out, &s, sizeof(s));
		console_port_rewatch(&c->ports[i]);
	}
	return out->failed ? -ENOMEM : 0;
}

int console_load(void *dev, const uint8_t *data, size_t len)
{
	struct console *c = dev;
	struct port_state s;

	if (len != c->nports * sizeof(s))
		return -EBADMSG;
	for (unsigned i = 0; i < c->nports; i++) {
		struct console_port *p = &c->ports[i];

		memcpy(&s, data + i * sizeof(s), sizeof(s));
		if (s.todo & ~TODO_ALL || s.ready > 1 || s.guest_open > 1 || s.in_end > 1)
			return -EBADMSG;
		console_port_reset(p);
		p->out_done = s.out_done;
		p->todo = s.todo;
		p->ready = s.ready;
		p->guest_open = s.guest_open;
		p->in_end = p->in_end || s.in_end;
	}
	c->kept = true;
	return 0;
}
