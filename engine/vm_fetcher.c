/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vm_fetcher.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include <sys/epoll.h>

int vm_fetcher_init(struct vm_fetcher *f, const struct arriving *a, const char *root, int log_fd)
{
	int r;

	*f = (struct vm_fetcher){ .pidfd = -1 };
	r = arrival_fds_make(a, &f->fds);
	if (r < 0 || !f->fds.n)
		return r;
	f->fetch = (struct arrival_fetch){ .root = root,
					   .manifest = &a->manifest,
					   .desk_fd = f->fds.fds[ARRIVAL_DESK],
					   .fetcher_fd = f->fds.fds[ARRIVAL_FETCHER],
					   .log_fd = log_fd };
	return 0;
}

int vm_fetcher_begin(struct vm_fetcher *f)
{
	pid_t pid;

	if (!f->fds.n)
		return 0;
	/* That end is the VMM's alone: with it the fetcher ends. */
	f->fds.fds[ARRIVAL_DOOR] = fd_close(f->fds.fds[ARRIVAL_DOOR]);
	return arrival_fetch_start(&f->fetch, &pid, &f->pidfd);
}

static int start_again(struct vm_fetcher *f)
{
	int r = vm_fetcher_begin(f);

	return r < 0 ? r : vm_fetcher_attach(f, f->loop);
}

/* Status 0: it has nothing to do any more. */
static int on_death(void *ctx, int fd, _unused_ uint32_t events)
{
	struct vm_fetcher *f = ctx;
	int status = 0;

	loop_remove(f->loop, fd);
	f->pidfd = -1;
	proc_wait(fd, &status);
	fd_close(fd);
	if (!status)
		return 0;
	if (!arrival_fetch_again(&f->deaths)) {
		arrival_desk_shut(f->fetch.desk_fd);
	} else if (start_again(f) < 0) {
		log_err("%s", err_take(-EIO));
		arrival_desk_shut(f->fetch.desk_fd);
	}
	return 0;
}

int vm_fetcher_attach(struct vm_fetcher *f, struct loop *loop)
{
	f->loop = loop;
	return f->pidfd < 0 ? 0 : loop_add(loop, f->pidfd, EPOLLIN, on_death, f);
}

void vm_fetcher_done(struct vm_fetcher *f)
{
	f->pidfd = fd_close(f->pidfd);
	arrival_fds_close(&f->fds);
}
