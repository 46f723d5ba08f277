/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/processes_vm.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/vm_vsock.h"
#include "microvm/microvm.h"
#include <poll.h>

/* What a guest that goes on and on is held to; far more than any has, and takes. */
#define PROCESSES_MAX 65536u
#define ALL_MS	      30000

static void session_freep(struct vm_session **s)
{
	vm_session_free(*s);
}

static int tell(const struct vm_session_event *e,
		int (*fn)(void *ctx, const struct process_entry *p), void *ctx)
{
	_free_ char *raw = strndup((const char *)e->data, e->len);
	_free_ char *command = raw ? mem_new(e->len + 1, 1) : NULL;

	if (!command)
		return -ENOMEM;
	str_printable(command, e->len + 1, raw);
	return fn(ctx, &(struct process_entry){ .pid = e->pid,
						.ppid = e->ppid,
						.uid = e->uid,
						.cpu_ns = e->cpu_ns,
						.command = command });
}

static int wait_for(struct vm_session *s, uint64_t until)
{
	struct pollfd p = { .fd = vm_session_fd(s), .events = vm_session_events(s) };
	uint64_t now = clock_ns();

	if (now >= until)
		return err(-ETIMEDOUT, "the microVM's init does not answer");
	return poll(&p, 1, (int)((until - now) / 1000000) + 1) < 0 && errno != EINTR ?
		       err_sys("poll") :
		       0;
}

int vm_processes(int dir, int (*fn)(void *ctx, const struct process_entry *p), void *ctx)
{
	_cleanup_(session_freep) struct vm_session *s = NULL;
	uint64_t until = clock_ns() + ALL_MS * UINT64_C(1000000);
	struct vm_session_event e;
	unsigned n = 0;
	int r = vm_vsock_connect(dir, VM_SESSION_PORT);

	if (r >= 0)
		r = vm_session_processes(r, &s);
	while (r >= 0) {
		r = vm_session_next(s, &e);
		if (r == 1 && e.kind == VM_SESSION_EXITED)
			return 0;
		if (r == 1)
			r = ++n > PROCESSES_MAX ?
				    err(-E2BIG, "the microVM's processes have no end") :
				    tell(&e, fn, ctx);
		else if (r == 0)
			r = wait_for(s, until);
		else if (r == -EPIPE)
			return err(r, "the microVM ended");
	}
	return r;
}
