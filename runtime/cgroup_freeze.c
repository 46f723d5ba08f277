/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holding all that is in a group: cgroup v2's freezer (Documentation/admin-guide/cgroup-v2.rst,
 * "cgroup.freeze"), a file of the core that needs no controller.
 */
#include "runtime/cgroup.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include <poll.h>

/* what waits in the kernel (a disk, a file server) is held when that is over */
#define FREEZE_MS 2000

static int wait_frozen(const struct cgroup_dir *d, bool frozen)
{
	uint64_t until = clock_ns() + FREEZE_MS * UINT64_C(1000000);
	_close_ int fd = openat(d->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	struct pollfd p = { .fd = fd, .events = POLLPRI };

	if (fd < 0)
		return -errno;
	while (cgroup_dir_get(d->fd, "cgroup.events", "frozen") != frozen) {
		char text[64];

		if (clock_ns() > until)
			return -ETIMEDOUT;
		/* Each change is told to whoever has read the file before. */
		if (pread(fd, text, sizeof(text), 0) < 0)
			return -errno;
		if (cgroup_dir_get(d->fd, "cgroup.events", "frozen") == frozen)
			return 0;
		poll(&p, 1, FREEZE_MS / 20);
	}
	return 0;
}

int cgroup_freeze(const struct cgroup *g, bool frozen)
{
	const struct cgroup_dir *d = NULL;
	int r;

	for (size_t i = 0; i < g->n; i++)
		if (g->dirs[i].v2)
			d = &g->dirs[i];
	if (!d)
		return -EOPNOTSUPP;
	r = file_write(d->fd, "cgroup.freeze", frozen ? "1" : "0");
	if (r < 0)
		return r == -ENOENT ? -EOPNOTSUPP : r;
	r = wait_frozen(d, frozen);
	if (r < 0 && frozen)
		file_write(d->fd, "cgroup.freeze", "0");
	return r;
}
