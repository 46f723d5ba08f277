/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"
#include "engine/image_mount.h"
#include "engine/server_spawn.h"
#include "unionfs/unionfs.h"

#define FUSE_MAGIC 0x65735546 /* FUSE_SUPER_MAGIC, linux/magic.h */

static int mount_new(void *ctx)
{
	struct image_union *u = ctx;
	_close_ int fuse_fd = -1, mount_fd = -1, pidfd = -1;
	struct server_spawn w = { .upper = "none",
				  .upper_fd = -1,
				  .work_fd = -1,
				  .log_fd = u->log_fd,
				  .stack = u->stack };
	pid_t pid;
	int r = ufs_mount(u->source, true, &fuse_fd, &mount_fd);

	if (r < 0)
		return r;
	w.fuse_fd = fuse_fd;
	r = server_spawn(u->store, &w, &pid, &pidfd);
	if (r < 0)
		return r;
	u->server = take_fd(pidfd);
	return take_fd(mount_fd);
}

struct image_kind image_union(struct image_union *u)
{
	return (struct image_kind){ .magic = FUSE_MAGIC, .mount = mount_new, .ctx = u };
}
