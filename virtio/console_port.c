/* SPDX-License-Identifier: Apache-2.0 */
/* One port of the console: input to the guest, output from it. */
#include "virtio/console.h"

#include "base/count.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "virtio/iov.h"
#include <errno.h>
#include <sys/epoll.h>

#define PIECES 64 /* iovecs for one write */

int console_port_init(struct console_port *p, struct console *c, unsigned index,
		      const struct virtio_console_port *cfg)
{
	*p = (struct console_port){ .console = c, .index = index, .ordered = cfg->ordered };
	p->out_left = cfg->out_max ? cfg->out_max : UINT64_MAX;
	if (cfg->name && str_copy(p->name, sizeof(p->name), cfg->name) < 0)
		return err(-EINVAL, "virtio console: the name of port %u is too long", index);
	p->in_fd = cfg->in_fd;
	p->out_fd = cfg->out_fd;
	p->out_ours = p->out_fd >= 0 && p->out_fd == p->in_fd;
	if (p->out_ours)
		p->out_fd = fcntl(cfg->out_fd, F_DUPFD_CLOEXEC, 3);
	return p->out_ours && p->out_fd < 0 ? err_sys("virtio console: dup") : 0;
}

void console_port_done(struct console_port *p)
{
	if (p->out_ours)
		fd_close(p->out_fd);
}

void console_port_begin(struct console_port *p)
{
	p->out_kind = console_out_kind(p->out_fd);
}

void console_port_reset(struct console_port *p)
{
	p->todo = 0;
	p->ready = p->guest_open = p->in_watched = p->in_starved = false;
	p->in_end = p->in_fd < 0;
	p->in_pollable = true;
	p->out_done = 0;
}

void console_port_rewatch(struct console_port *p)
{
	p->in_watched = p->in_starved = false;
	p->in_pollable = true;
}

/* ---- input ---- */

static void watch_in(struct console_port *p, bool on)
{
	struct virtio_thread *t = &p->console->thread;
	int r = 0;

	if (on == p->in_watched || !p->in_pollable)
		return;
	/*
	 * First added, then only turned on and off; a file that has hung up would call again and
	 * again: one shot.
	 */
	r = virtio_thread_rewatch(t, p->in_fd, on ? EPOLLIN : EPOLLONESHOT, TAG_PORT_IN(p->index));
	if (r == -ENOENT && on)
		r = virtio_thread_watch(t, p->in_fd, EPOLLIN, TAG_PORT_IN(p->index));
	p->in_pollable = r != -EPERM;
	p->in_watched = on && r == 0;
}

void console_port_watch_in(struct console_port *p)
{
	bool on = p->guest_open && !p->in_end && !p->in_starved;

	if (p->in_fd < 0)
		return;
	watch_in(p, on);
	while (on && !p->in_pollable && !p->in_end && !p->in_starved) {
		if (console_port_in(p) < 0)
			return;
	}
}

static void in_ended(struct console_port *p)
{
	p->in_end = true;
	p->todo |= TODO_CLOSE;
}

int console_port_in(struct console_port *p)
{
	struct virtq *q = virtio_mmio_queue(p->console->mmio, console_in_queue(p->index));
	const struct mem *mem = virtio_mmio_mem(p->console->mmio);
	struct virtq_chain *c = &p->console->chain;
	int r = p->guest_open && !p->in_end ? virtq_pop(q, mem, c) : 0;
	ssize_t n;

	if (r <= 0) {
		p->in_starved = true;
		watch_in(p, false);
		return r;
	}
	n = c->nout ? readv(p->in_fd, c->out, (int)c->nout) : -1;
	if (n > 0)
		count_add(&p->console->stats.in_bytes, (uint64_t)n);
	if (!c->nout || n > 0) {
		r = virtq_push(q, mem, c->head, n > 0 ? (uint32_t)n : 0);
		virtq_flush(q, mem);
		return r;
	}
	virtq_unpop(q);
	if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		in_ended(p);
		watch_in(p, false);
	}
	return 0;
}

/* ---- output ---- */

static void watch_out(struct console_port *p)
{
	struct virtio_thread *t = &p->console->thread;
	uint32_t events = EPOLLOUT | EPOLLONESHOT;

	if (virtio_thread_rewatch(t, p->out_fd, events, TAG_PORT_OUT(p->index)) == -ENOENT)
		virtio_thread_watch(t, p->out_fd, events, TAG_PORT_OUT(p->index));
}

/* The reader has gone: whoever writes in the guest is to know. */
static void out_failed(struct console_port *p, ssize_t error)
{
	p->out_gone = true;
	if (error == -EPIPE || error == -ECONNRESET)
		p->todo |= TODO_CLOSE;
}

/* Writes the chain at hand: 1 = done with it, 0 = not yet. */
static int chain_out(struct console_port *p)
{
	const struct virtq_chain *c = &p->console->chain;
	struct iovec iov[PIECES];
	unsigned n;

	while (p->out_kind != OUT_NONE && !p->out_gone &&
	       (n = iov_slice(c->in, c->nin, p->out_done, p->out_left, iov, PIECES)) > 0) {
		ssize_t r = console_out_write(p->out_fd, &p->out_kind, iov, n);

		if (r == -EAGAIN)
			return 0;
		if (r < 0) {
			out_failed(p, r);
			continue;
		}
		p->out_done += (uint32_t)r;
		p->out_left -= (uint64_t)r;
		count_add(&p->console->stats.out_bytes, (uint64_t)r);
	}
	return 1;
}

int console_port_out(struct console_port *p, unsigned max)
{
	struct virtq *q = virtio_mmio_queue(p->console->mmio, console_out_queue(p->index));
	const struct mem *mem = virtio_mmio_mem(p->console->mmio);
	bool blocked = false;
	int r = 0;

	while (max-- && (r = virtq_pop(q, mem, &p->console->chain)) > 0) {
		blocked = !chain_out(p);
		if (blocked) {
			virtq_unpop(q);
			watch_out(p);
			break;
		}
		p->out_done = 0;
		r = virtq_push(q, mem, p->console->chain.head, 0);
		if (r < 0)
			return r;
	}
	virtq_flush(q, mem);
	return r < 0 ? r : !blocked;
}
