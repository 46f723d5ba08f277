/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver `overlay`: the kernel mounts the very index that our union serves. EROFS from a file
 * with the packs as its devices (Linux 6.12), shared by all instances of an image (Linux 6.15),
 * overlayfs above it with the objects as a data-only lower (Linux 6.5), the same snapshot on top.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/image_mount.h"
#include "engine/image_verify.h"
#include "engine/rootfs.h"
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int fs_set(int fs, const char *key, const char *value)
{
	return syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

static int fs_mount(int fs, unsigned attr)
{
	int fd;

	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attr);
	return fd < 0 ? -errno : fd;
}

static int attach(int mount_fd, const char *path)
{
	if (syscall(SYS_move_mount, mount_fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys("attaching the image at %s", path);
	return 0;
}

static int mount_union(const struct run_spec *spec, const char *lower, const char *objects,
		       const struct rootfs *r)
{
	_close_ int fs = syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
	_free_ char *lowers = str_fmt("%s::%s", lower, objects);
	struct fd_path upper = fd_path(r->upper_fd), work = fd_path(r->work_fd);
	int e = lowers ? 0 : -ENOMEM;

	if (fs < 0)
		return err_sys("overlayfs");
	if (e == 0)
		e = fs_set(fs, "lowerdir", lowers);
	if (e == 0 && !rootfs_rdonly(spec))
		e = fs_set(fs, "upperdir", upper.s);
	if (e == 0 && !rootfs_rdonly(spec))
		e = fs_set(fs, "workdir", work.s);
	/* A top that will be thrown away need not be synced at its unmount (Linux 5.10). */
	if (e == 0 && spec->rm && !rootfs_rdonly(spec))
		e = syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0 ? -errno :
											    0;
	if (e == 0)
		e = fs_set(fs, "metacopy", "on");
	if (e == 0)
		e = fs_set(fs, "redirect_dir", "on");
	if (e == 0)
		e = fs_mount(fs, 0);
	return e < 0 ? err(e, "overlayfs over EROFS: %s (Linux 6.5 or later?)", strerror(-e)) : e;
}

/* The file's name below RUNROOT/images: the merged index', whose name is its content's. */
static const char *image_name(const char *index)
{
	return strrchr(index, '/') + 1;
}

/* overlayfs takes its layers by path: for a moment the image stands over @path, in this namespace
 * alone. A clone of it, since only a detached mount can be cloned again by the next instance. */
static int mount_at(const struct run_spec *spec, const char *path, const char *objects,
		    const struct rootfs *r)
{
	_close_ int clone = mount_clone(r->image_fd);
	int fd, e = attach(clone >= 0 ? clone : r->image_fd, path);

	if (e < 0)
		return e;
	fd = mount_union(spec, path, objects, r);
	umount2(path, MNT_DETACH);
	return fd;
}

int rootfs_mount_overlay(struct store *s, const struct run_spec *spec, struct rootfs *r)
{
	_free_ char *index = NULL, *objects = NULL, *lower = NULL;
	_strv_free_ char **packs = NULL;
	bool shared;
	int fd, e = stack_paths(s, spec->layers, spec->nlayers, &index, &packs);

	if (e < 0)
		return e;
	objects = str_fmt("%s/objects", store_path(s));
	lower = str_fmt("%s/snapshots/%s/upper", store_path(s), spec->id);
	r->image = objects && lower ? strdup(image_name(index)) : NULL;
	if (!r->image)
		return -ENOMEM;
	/* What it reads the kernel compares with nothing; of the index at least we know. */
	e = r->stack.sums ? image_verify(r->images, r->image, &r->stack) : 0;
	if (e < 0)
		return e;
	e = image_mount_open(r->images, r->image, index, packs, &r->image_fd, &shared);
	if (e < 0)
		return e;
	log_debug("%s: image %s", spec->id, shared ? "shared" : "mounted");
	fd = mount_at(spec, lower, objects, r);
	if (fd < 0) {
		rootfs_unmount_overlay(r);
		return fd;
	}
	r->mount_fd = fd;
	r->driver = RUN_DRIVER_OVERLAY;
	return 0;
}

void rootfs_unmount_overlay(struct rootfs *r)
{
	if (r->image_fd < 0)
		return;
	image_mount_leave(r->images, r->image);
	r->image_fd = fd_close(r->image_fd);
}
