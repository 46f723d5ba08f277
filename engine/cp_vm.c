/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cp_vm.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "engine/vm_vsock.h"
#include "microvm/microvm.h"
#include <poll.h>

#define SILENT_MS 60000 /* a guest that neither takes nor gives anything for so long has hung */

static void session_freep(struct vm_session **s)
{
	vm_session_free(*s);
}

static int lost(void)
{
	return err(-EPIPE, "cp: the microVM ended, or let go of the copy");
}

static int failed(const struct vm_session_event *e)
{
	return err(e->error ? -e->error : -EIO, "%s", e->text);
}

/* Until the session can go on in one of its directions. */
static int wait_for(struct vm_session *s)
{
	struct pollfd p = { .fd = vm_session_fd(s), .events = vm_session_events(s) };
	int r = poll(&p, 1, SILENT_MS);

	if (r == 0)
		return err(-ETIMEDOUT, "cp: the microVM's init does not answer");
	return r < 0 && errno != EINTR ? err_sys("poll") : 0;
}

/* The next event: 1, or what went wrong, in the guest's words if it has some. */
static int next_event(struct vm_session *s, struct vm_session_event *e)
{
	int r;

	while ((r = vm_session_next(s, e)) == 0) {
		r = wait_for(s);
		if (r < 0)
			return r;
	}
	if (r == -EPIPE)
		return lost();
	return r == 1 && e->kind == VM_SESSION_FAILED ? failed(e) : r;
}

/* ---- out ---- */

static int receive(struct vm_session *s, struct tree_writer *w)
{
	struct tree_decoder d = { .sink = &tree_writer_sink, .ctx = w };
	struct vm_session_event e;
	int r, complete = 0;

	while ((r = next_event(s, &e)) == 1) {
		if (e.kind == VM_SESSION_EXITED)
			return complete || !d.begun ? 0 : lost();
		complete = tree_decode(&d, e.data, e.len);
		if (complete < 0)
			return complete;
	}
	return r;
}

int vm_copy_out(int dir, const struct tree_path *from, const char *text, const struct tree_path *to,
		struct tree_writer *w)
{
	_cleanup_(session_freep) struct vm_session *s = NULL;
	struct vm_session_event e = { 0 };
	int r = vm_vsock_connect(dir, VM_SESSION_PORT);

	if (r >= 0)
		r = vm_session_copy_out(r, text, &s);
	if (r >= 0)
		r = next_event(s, &e);
	if (r >= 0)
		r = tree_target_open(-1, to, from->name, e.directory, from->content, w);
	return r < 0 ? r : receive(s, w);
}

/* ---- in ---- */

/* What the guest says meanwhile, and nothing else to do with it: that it failed. */
static int listen_once(struct vm_session *s)
{
	struct vm_session_event e;
	int r = vm_session_next(s, &e);

	if (r == -EPIPE)
		return lost();
	if (r == 1)
		return e.kind == VM_SESSION_FAILED ? failed(&e) : err(-EPROTO, "cp: out of place");
	return r;
}

/* One record; returns when the socket has taken it all, so that nothing piles up here. */
static int send_record(void *ctx, const struct iovec *iov, unsigned n)
{
	struct vm_session *s = ctx;
	int r = vm_session_tree(s, iov, n);

	while (r >= 0 && (vm_session_events(s) & POLLOUT)) {
		r = listen_once(s);
		if (r >= 0 && (vm_session_events(s) & POLLOUT))
			r = wait_for(s);
	}
	return r;
}

static int send_tree(struct vm_session *s, const struct tree_source *source)
{
	struct tree_encoder encoder = { .send = send_record, .ctx = s };
	struct vm_session_event e;
	int r = next_event(s, &e);

	if (r >= 0)
		r = tree_read(source->dir, source->name, &tree_encoder_sink, &encoder);
	if (r >= 0)
		r = vm_session_tree(s, NULL, 0);
	if (r >= 0)
		r = next_event(s, &e);
	return r < 0 ? r : 0;
}

int vm_copy_in(int dir, const struct tree_path *from, const char *text, bool archive)
{
	_cleanup_(session_freep) struct vm_session *s = NULL;
	struct vm_guest_copy c = { .to = text, .name = from->name, .archive = archive };
	struct tree_source source;
	int r = tree_source_open(-1, from, &source);

	if (r < 0)
		return r;
	c.directory = source.directory;
	c.content = from->content;
	r = vm_vsock_connect(dir, VM_SESSION_PORT);
	if (r >= 0)
		r = vm_session_copy_in(r, &c, &s);
	if (r >= 0)
		r = send_tree(s, &source);
	fd_close(source.dir);
	return r;
}
