/* SPDX-License-Identifier: Apache-2.0 */
/* `strata mount` as an isolation: the process is the file system's server, the end is the unmount.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "engine/iso.h"
#include "engine/union_mount.h"
#include <linux/mount.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

struct iso_mount {
	struct iso_context c;
	struct rootfs root;
	uint64_t mount_id; /* statx(2)'s, 0 = not mounted yet */
};

void *iso_mount_new(const struct iso_context *c)
{
	struct iso_mount *m = new0(struct iso_mount);

	if (!m)
		return NULL;
	m->c = *c;
	m->root = ROOTFS_NONE;
	return m;
}

static uint64_t mount_id_at(const char *path)
{
	struct statx s;

	/* Nothing is asked of the server: it may be the one that is gone. */
	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &s) < 0)
		return 0;
	return s.stx_mask & STATX_MNT_ID ? s.stx_mnt_id : 0;
}

static int create(void *ctx, _unused_ const int stdio[3], struct run_process *ret)
{
	struct iso_mount *m = ctx;
	int r = rootfs_open(m->c.store, m->c.spec, m->c.log_fd, &m->root);

	/* fusermount3 attaches what it makes, also when no server comes up behind it. */
	if (m->c.spec->unprivileged && m->root.driver == RUN_DRIVER_FUSE)
		m->mount_id = mount_id_at(m->c.spec->mountpoint);
	if (r < 0)
		return r;
	ret->pid = m->root.server;
	ret->pidfd = m->root.server_pidfd;
	ret->console = -1;
	return 0;
}

/* Unmounts what is ours, and not what someone mounted over or in place of it. */
static int detach_own(const struct iso_mount *m)
{
	const char *at = m->c.spec->mountpoint;

	if (m->mount_id && mount_id_at(at) == m->mount_id)
		union_unmount(at);
	return 0;
}

/* A setuid file or a device of an image means nothing outside a container: the mount has neither.
 */
static int start(void *ctx)
{
	struct iso_mount *m = ctx;
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };

	if (m->c.spec->unprivileged)
		return 0;
	if (syscall(SYS_mount_setattr, m->root.mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) <
	    0)
		return err_sys("mount of %s", m->c.spec->image);
	if (syscall(SYS_move_mount, m->root.mount_fd, "", AT_FDCWD, m->c.spec->mountpoint,
		    MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys("mount at %s", m->c.spec->mountpoint);
	m->mount_id = mount_id_at(m->c.spec->mountpoint);
	/* The mount point alone keeps the file system now: umount(8) there ends the server. */
	m->root.mount_fd = fd_close(m->root.mount_fd);
	return 0;
}

/*
 * SIGHUP is the file server's own affair (keeper.h); every other signal is the unmount. After
 * SIGKILL nobody serves what may be left of it in other mount namespaces.
 */
static int kill_mount(void *ctx, int sig)
{
	struct iso_mount *m = ctx;
	int r = sig == SIGHUP ? 0 : detach_own(m);

	return sig == SIGHUP || sig == SIGKILL ? proc_pidfd_kill(m->root.server_pidfd, sig) : r;
}

/* A server that ended otherwise than by an unmount leaves a mount that answers nothing. */
static int exit_code(void *ctx, int wait_status)
{
	struct iso_mount *m = ctx;

	if (wait_status != 0) {
		log_err("the file server ended with %d: %s is unmounted", wait_status,
			m->c.spec->mountpoint);
		detach_own(m);
	}
	return wait_status;
}

static void cleanup(void *ctx)
{
	struct iso_mount *m = ctx;

	detach_own(m);
	rootfs_close(&m->root);
	free(m);
}

const struct isolation iso_mount = {
	.create = create,
	.start = start,
	.kill = kill_mount,
	.exit_code = exit_code,
	.cleanup = cleanup,
};
