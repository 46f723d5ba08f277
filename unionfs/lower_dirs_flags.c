/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of chattr(1) that a thing in a stack of directories has. */
#include "unionfs/lower_dirs.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

int lower_dirs_flags(struct lower *l, uint64_t id, unsigned long cmd, void *ret)
{
	struct dirs_entry *e = dirs_find(l, id);
	_close_ int fd = -1;
	struct at at;
	int r = e ? dirs_at(l, e, &at) : -ESTALE;

	if (r)
		return r;
	fd = openat(at.dirfd, *at.name ? at.name : ".",
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	r = fd < 0 || ioctl(fd, cmd, ret) < 0 ? -errno : 0;
	at_put(l->u, &at);
	return r;
}

unsigned int lower_dirs_protection(struct lower *l, uint64_t id)
{
	struct dirs_entry *e = dirs_find(l, id);
	uint64_t attributes;
	struct stat st;
	struct at at;
	int r;

	if (!e || dirs_at(l, e, &at))
		return 0;
	r = at_stat(&at, &st, &attributes);
	at_put(l->u, &at);
	if (r < 0)
		return 0;
	return (attributes & STATX_ATTR_IMMUTABLE ? FS_IMMUTABLE_FL : 0) |
	       (attributes & STATX_ATTR_APPEND ? FS_APPEND_FL : 0);
}
