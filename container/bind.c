/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounts beside the defaults, each onto a place inside the root that the image may have made a
 * link to.
 */
#include "container/inner.h"

#include "base/fd.h"
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/vfs.h>

/*
 * A directory over a part of /proc would replace what is masked or what others write to
 * (CVE-2025-52881).
 */
static int check_target(int fd, const struct bind *b)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	return b->directory && fs.f_type == PROC_SUPER_MAGIC ? -EPERM : 0;
}

static int mount_tmpfs(int fd, const struct bind *b)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | (b->rdonly ? MS_RDONLY : 0);

	if (fchdir(fd) < 0 || mount("tmpfs", ".", "tmpfs", flags, "mode=1777") < 0)
		return -errno;
	return 0;
}

static int place(int root, const struct bind *b)
{
	_close_ int fd = root_target(root, b->target, b->directory);
	int r = fd < 0 ? fd : check_target(fd, b);

	if (r < 0)
		return r;
	return b->tree < 0 ? mount_tmpfs(fd, b) : mounts_place_on(b->tree, fd);
}

int binds_setup(struct child *c)
{
	for (size_t i = 0; i < c->plan->nbinds; i++) {
		const struct bind *b = &c->plan->binds[i];
		int r = place(c->root, b);

		if (r < 0)
			return err(r, "cannot mount on %s: %s", b->target, strerror(-r));
	}
	return 0;
}
