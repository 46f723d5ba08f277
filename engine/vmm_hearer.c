/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vmm_hearer.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

static void hear_guest(struct vmm_hearer *h)
{
	struct vm_guest_event e;

	while (vm_control_next(h->control, &e) == 1)
		h->guest(h->ctx, &e);
}

static void *hear(void *ctx)
{
	struct vmm_hearer *h = ctx;
	struct pollfd fds[] = {
		{ .fd = h->ended_fd, .events = POLLIN },
		{ .fd = h->monitor_fd, .events = POLLIN },
		{ .fd = vm_control_fd(h->control) },
	};

	if (vm_jail_thread("control") < 0) {
		log_err("%s", err_take(-EPERM));
		h->stop(h->ctx);
		return NULL;
	}
	for (;;) {
		fds[2].events = vm_control_events(h->control);
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			break;
		if (fds[2].revents)
			hear_guest(h);
		if (fds[0].revents)
			break;
		if (fds[1].revents && h->monitor(h->ctx) < 0) {
			fds[1].fd = -1;
			h->stop(h->ctx);
		}
		if (fds[2].revents & (POLLHUP | POLLERR))
			fds[2].fd = -1;
	}
	hear_guest(h);
	return NULL;
}

int vmm_hearer_begin(struct vmm_hearer *h)
{
	int r;

	h->ended_fd = eventfd(0, EFD_CLOEXEC);
	if (h->ended_fd < 0)
		return err_sys("eventfd");
	r = -pthread_create(&h->thread, NULL, hear, h);
	if (r < 0)
		h->ended_fd = fd_close(h->ended_fd);
	return r;
}

void vmm_hearer_end(struct vmm_hearer *h)
{
	if (h->ended_fd < 0)
		return;
	eventfd_write(h->ended_fd, 1);
	pthread_join(h->thread, NULL);
	h->ended_fd = fd_close(h->ended_fd);
}
