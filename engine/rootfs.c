/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/rootfs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/server_spawn.h"
#include "engine/union_mount.h"
#include "engine/vmm.h"
#include "unionfs/unionfs.h"
#include <sched.h>
#include <sys/mount.h>

int rootfs_open_parts(struct store *s, const struct run_spec *spec, bool arriving,
		      struct rootfs *ret)
{
	int r = arriving ? stack_open_arriving(s, spec->layers, spec->nlayers, &ret->stack) :
			   stack_open(s, spec->layers, spec->nlayers, &ret->stack);

	if (r >= 0 && !spec->no_verify)
		r = stack_open_sums(s, &ret->stack);
	if (r < 0)
		return r;
	return snapshot_open(s, spec->id, &ret->lock_fd, &ret->upper_fd, &ret->work_fd);
}

/* A microVM's top as its VMM has it, whatever the microVM itself may write. */
static void upper_kind(const struct run_spec *spec, char *word, size_t size)
{
	if (spec->kind == RUN_VM)
		snprintf(word, size, "mapped:%u", (unsigned)vmm_uid(spec));
	else if (spec->unprivileged)
		snprintf(word, size, "%s", rootfs_rdonly(spec) ? "user:none" : "user");
	else
		snprintf(word, size, "%s",
			 rootfs_rdonly(spec) ? "none" :
			 spec->rm	     ? "volatile" :
					       "native");
}

static void upper_word(const struct run_spec *spec, char *word, size_t size)
{
	size_t len;

	upper_kind(spec, word, size);
	len = strlen(word);
	if (spec->ids && !spec_mapped(spec))
		len += (size_t)snprintf(word + len, size - len, ",userxattr");
	if (spec->top_size)
		snprintf(word + len, size - len, ",size=%llu", (unsigned long long)spec->top_size);
}

/*
 * By fusermount3, which attaches it too. The kernel is to check nothing: its owner is the only one
 * who comes there, and may change whatever the image says of owners and modes, as root does.
 */
static int mount_for_user(const struct run_spec *spec, char *source, int *ret_fuse_fd)
{
	const struct union_options o = { .source = source,
					 .mountpoint = spec->mountpoint,
					 .rdonly = rootfs_rdonly(spec),
					 .attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
					 .unchecked = true };

	return union_mount(&o, ret_fuse_fd);
}

static int mount_fuse(struct store *s, const struct run_spec *spec, int log_fd, struct rootfs *r)
{
	_free_ char *source = str_fmt("strata:%s", spec->image);
	_close_ int fuse_fd = -1;
	struct server_spawn w = {
		.upper_fd = r->upper_fd, .work_fd = r->work_fd, .log_fd = log_fd, .stack = &r->stack
	};
	bool vm = spec->kind == RUN_VM;
	char upper[64];
	int e = source ? 0 : -ENOMEM;

	if (e == 0 && vm)
		e = vmm_give_away(r->upper_fd, vmm_uid(spec));
	if (e == 0 && vm)
		e = vmm_give_away(r->work_fd, vmm_uid(spec));
	if (e == 0 && spec->unprivileged)
		e = mount_for_user(spec, source, &fuse_fd);
	else if (e == 0)
		e = ufs_mount(source, rootfs_rdonly(spec) && !vm, &fuse_fd, &r->mount_fd);
	if (e < 0)
		return e;
	r->driver = RUN_DRIVER_FUSE;
	upper_word(spec, upper, sizeof(upper));
	w.upper = upper;
	w.fuse_fd = fuse_fd;
	return server_spawn(s, &w, &r->server, &r->server_pidfd);
}

int rootfs_open(struct store *s, const struct run_spec *spec, int log_fd, struct rootfs *ret)
{
	int r = rootfs_open_parts(s, spec, true, ret);

	if (r < 0)
		return r;
	if (ret->stack.arriving && spec->driver == RUN_DRIVER_OVERLAY)
		return err(
			-EBUSY,
			"%s is still arriving: the driver overlay needs all of it; `strata pull` "
			"brings the rest",
			spec->image);
	if (!ret->stack.arriving && spec->driver != RUN_DRIVER_FUSE && spec->kind != RUN_VM) {
		r = rootfs_mount_overlay(s, spec, ret);
		if (r == 0)
			log_debug("%s: root by the driver overlay", spec->id);
		if (r == 0 || spec->driver == RUN_DRIVER_OVERLAY)
			return r;
		log_debug("%s: not the driver overlay: %s", spec->id, err_take(r));
	}
	log_debug("%s: root by the driver fuse", spec->id);
	return mount_fuse(s, spec, log_fd, ret);
}

void rootfs_unmount(struct rootfs *r)
{
	r->mount_fd = fd_close(r->mount_fd);
	rootfs_unmount_overlay(r);
	if (r->server_pidfd >= 0)
		server_end(take_fd(r->server_pidfd), true);
}

void rootfs_close(struct rootfs *r)
{
	rootfs_unmount(r);
	if (r->stack.index_fd >= 0)
		stack_close(&r->stack);
	fd_close(r->upper_fd);
	fd_close(r->work_fd);
	fd_close(r->lock_fd);
	free(r->image);
	*r = ROOTFS_NONE;
}
