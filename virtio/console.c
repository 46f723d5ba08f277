/* SPDX-License-Identifier: Apache-2.0 */
/* The console device (virtio 1.2, section 5.3): its life and its thread. */
#include "virtio/console.h"

#include "base/count.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "virtio/mmio.h"
#include <errno.h>

#define CONSOLE_DEVICE_ID   3
#define CONSOLE_F_MULTIPORT (UINT64_C(1) << 1)
/* Linux fills each input queue with pages of its own: few suffice, and cost less at start. */
#define CONSOLE_QUEUE_SIZE 16

/*
 * Passes on the output of the ordered ports, or of the others: 1 = all, 0 = some file takes no more
 * for now, -EPROTO.
 */
static int ports_out(struct console *c, bool ordered)
{
	int all = 1;

	for (unsigned i = 0; i < c->nports; i++) {
		struct console_port *p = &c->ports[i];
		int r = p->ordered == ordered ?
				console_port_out(p, ordered ? p->allowed : UINT32_MAX) :
				1;

		if (r < 0)
			return r;
		all &= r;
	}
	return all;
}

/*
 * How much the ordered ports have to pass on. Asked before the others are emptied: what the guest
 * wrote to them before that is visible by then.
 */
static int ordered_pending(struct console *c)
{
	int pending = 0;

	for (unsigned i = 0; i < c->nports; i++) {
		struct console_port *p = &c->ports[i];
		struct virtq *q = virtio_mmio_queue(c->mmio, console_out_queue(i));
		int n = p->ordered ? virtq_arm(q, virtio_mmio_mem(c->mmio)) : 0;

		if (n < 0)
			return n;
		p->allowed = (unsigned)n;
		pending += n;
	}
	return pending;
}

static int all_out(struct console *c)
{
	int pending, r;

	do {
		pending = ordered_pending(c);
		r = pending < 0 ? pending : ports_out(c, false);
		if (pending > 0 && r > 0)
			r = ports_out(c, true);
	} while (pending > 0 && r > 0);
	return r;
}

static int serve(struct console *c)
{
	int r = console_control_out(c);

	if (r >= 0)
		r = all_out(c);
	if (r >= 0)
		r = console_control_in(c);
	for (unsigned i = 0; r >= 0 && i < c->nports; i++) {
		c->ports[i].in_starved = false;
		console_port_watch_in(&c->ports[i]);
	}
	/* A file that could not be waited for may have ended. */
	return r < 0 ? r : console_control_in(c);
}

static void console_event(void *ctx, uint32_t tag, _unused_ uint32_t events)
{
	struct console *c = ctx;
	int r;

	if (tag == TAG_KICK || TAG_IS_OUT(tag)) {
		r = serve(c);
	} else {
		r = console_port_in(&c->ports[TAG_TO_PORT(tag)]);
		if (r >= 0)
			r = console_control_in(c);
	}
	if (r < 0)
		virtio_mmio_needs_reset(c->mmio);
}

static int watch_kick(void *ctx)
{
	struct console *c = ctx;

	return virtio_thread_watch(&c->thread, virtio_mmio_queue(c->mmio, 0)->kick_fd,
				   VIRTIO_KICKED, TAG_KICK);
}

static int console_activate(void *dev)
{
	static const struct virtio_thread_work work = { console_event, watch_kick };
	struct console *c = dev;

	for (unsigned i = 0; i < c->nports; i++) {
		if (!c->kept)
			console_port_reset(&c->ports[i]);
		console_port_begin(&c->ports[i]);
	}
	c->kept = false;
	return virtio_thread_begin(&c->thread, c->mmio, &work, c);
}

static void console_reset(void *dev)
{
	struct console *c = dev;

	virtio_thread_end(&c->thread);
}

static void console_free(void *dev)
{
	struct console *c = dev;

	for (unsigned i = 0; i < c->nports; i++)
		console_port_done(&c->ports[i]);
	free(c->ports);
	free(c);
}

static const void *console_config(void *dev)
{
	return &((struct console *)dev)->config;
}

static const struct virtio_ops console_ops = {
	.name = "console",
	.device_id = CONSOLE_DEVICE_ID,
	.queue_size = CONSOLE_QUEUE_SIZE,
	.one_kick = true,
	.features = CONSOLE_F_MULTIPORT,
	.config_len = sizeof(struct console_config_space),
	.config = console_config,
	.activate = console_activate,
	.reset = console_reset,
	.save = console_save,
	.load = console_load,
	.free = console_free,
};

static int ports_new(struct console *c, const struct virtio_console_port *ports, unsigned nports)
{
	c->ports = mem_new(nports, sizeof(*c->ports));
	if (!c->ports)
		return err(-ENOMEM, "virtio console: no memory");
	for (; c->nports < nports; c->nports++) {
		int r = console_port_init(&c->ports[c->nports], c, c->nports, &ports[c->nports]);

		if (r < 0)
			return r;
	}
	return 0;
}

int virtio_console_new(const struct virtio_console_port *ports, unsigned nports,
		       const struct virtio_bus *bus, uint64_t gpa, unsigned gsi,
		       struct virtio_mmio **ret)
{
	struct console *c;
	int r;

	if (!nports || nports > VIRTIO_CONSOLE_PORTS_MAX)
		return err(-EINVAL, "virtio console: 1 to %d ports, not %u",
			   VIRTIO_CONSOLE_PORTS_MAX, nports);
	c = new_head0(struct console, chain);
	if (!c)
		return err(-ENOMEM, "virtio console: no memory");
	c->config.max_nr_ports = nports;
	r = ports_new(c, ports, nports);
	if (r == 0)
		r = virtio_mmio_new(bus, gpa, gsi, &console_ops, 2 * (nports + 1), c, &c->mmio);
	if (r < 0) {
		console_free(c);
		return r;
	}
	*ret = c->mmio;
	return 0;
}

void virtio_console_stats(const struct virtio_mmio *m, struct virtio_console_stats *ret)
{
	const struct console *c = m->dev;

	ret->in_bytes = count_get(&c->stats.in_bytes);
	ret->out_bytes = count_get(&c->stats.out_bytes);
}
