/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver `overlay`: the kernel's overlayfs with the snapshot on top of the image's own mount,
 * which all instances of the image share (Linux 6.15). That is EROFS from the very index that our
 * union serves, with the packs as its devices (Linux 6.12) and the objects beside it as a data-only
 * lower (Linux 6.5); or, where EROFS cannot be mounted, our union without a top over FUSE: reads
 * of the image ask its server once for all instances, and what is written is the kernel's affair.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/image_mount.h"
#include "engine/image_verify.h"
#include "engine/rootfs.h"
#include "engine/server_spawn.h"
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int fs_set(int fs, const char *key, const char *value)
{
	return syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

static int fs_flag(int fs, const char *key)
{
	return syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, key, NULL, 0) < 0 ? -errno : 0;
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

/* Root of a user namespace writes no trusted.*; without that overlayfs moves and shares nothing. */
static int set_marks(const struct run_spec *spec, int fs)
{
	int e = spec->ids ? fs_flag(fs, "userxattr") : fs_set(fs, "metacopy", "on");

	return e < 0 || spec->ids ? e : fs_set(fs, "redirect_dir", "on");
}

/* @objects NULL: @lower has all its bytes itself. */
static int mount_union(const struct run_spec *spec, const char *lower, const char *objects,
		       const struct rootfs *r)
{
	_close_ int fs = syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
	_free_ char *lowers = objects ? str_fmt("%s::%s", lower, objects) : strdup(lower);
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
		e = fs_flag(fs, "volatile");
	e = e < 0 ? e : set_marks(spec, fs);
	if (e == 0)
		e = fs_mount(fs, 0);
	return e < 0 ? err(e, "overlayfs over %s: %s%s", objects ? "EROFS" : "FUSE", strerror(-e),
			   objects ? " (Linux 6.5 or later?)" : "") :
		       e;
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

/* ---- the image ---- */

/* The merged index' name in the store is its content's; @suffix: which kind of mount it is. */
static int name_image(struct rootfs *r, const char *index, const char *suffix)
{
	free(r->image);
	r->image = str_fmt("%s%s", strrchr(index, '/') + 1, suffix);
	return r->image ? 0 : -ENOMEM;
}

static int open_image(const struct run_spec *spec, const struct image_kind *kind, struct rootfs *r)
{
	bool shared;
	int e = image_mount_open(r->images, r->image, kind, &r->image_fd, &shared);

	if (e == 0)
		log_debug("%s: image %s", spec->id, shared ? "shared" : "mounted");
	return e;
}

/* What it reads the kernel compares with nothing; of the index at least we know. */
static int open_erofs(const struct run_spec *spec, const char *index, char *const *packs,
		      struct rootfs *r)
{
	struct image_erofs erofs = { .index = index, .packs = packs };
	struct image_kind kind = image_erofs(&erofs);
	int e = name_image(r, index, "");

	if (e == 0 && r->stack.sums)
		e = image_verify(r->images, r->image, &r->stack);
	return e < 0 ? e : open_image(spec, &kind, r);
}

/* Its server may outlive this instance: it has a log of its own. */
static int open_union(struct store *s, const struct run_spec *spec, const char *index,
		      struct rootfs *r)
{
	_free_ char *source = str_fmt("strata:%s", spec->image), *log = NULL;
	_close_ int log_fd = -1;
	struct image_union u = { .store = s, .stack = &r->stack, .source = source, .server = -1 };
	struct image_kind kind = image_union(&u);
	int e = name_image(r, index, r->stack.sums ? ".fuse" : ".unverified");

	log = e == 0 ? str_fmt("%s.log", r->image) : NULL;
	if (!source || !log)
		return -ENOMEM;
	if (r->images >= 0)
		log_fd = openat(r->images, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	u.log_fd = log_fd;
	e = open_image(spec, &kind, r);
	r->image_server = u.server;
	return e;
}

/*
 * A damaged index is refused, whoever would mount it; every other failure of EROFS is a reason to
 * do without.
 */
static int mount_image(struct store *s, const struct run_spec *spec, const char *index,
		       char *const *packs, struct rootfs *r, bool *ret_erofs)
{
	/* No user namespace may mount it. */
	int e = spec->ids ? -EPERM : open_erofs(spec, index, packs, r);

	*ret_erofs = e == 0;
	if (e == 0 || e == -EBADMSG || e == -ENOMEM)
		return e;
	log_debug("%s: over FUSE: %s", spec->id, err_take(e));
	return open_union(s, spec, index, r);
}

int rootfs_mount_overlay(struct store *s, const struct run_spec *spec, struct rootfs *r)
{
	_free_ char *index = NULL, *objects = NULL, *lower = NULL;
	_strv_free_ char **packs = NULL;
	bool erofs;
	int fd, e = stack_paths(s, spec->layers, spec->nlayers, &index, &packs);

	if (e < 0)
		return e;
	objects = str_fmt("%s/objects", store_path(s));
	lower = str_fmt("%s/snapshots/%s/upper", store_path(s), spec->id);
	if (!objects || !lower)
		return -ENOMEM;
	e = mount_image(s, spec, index, packs, r, &erofs);
	if (e < 0)
		return e;
	fd = mount_at(spec, lower, erofs ? objects : NULL, r);
	if (fd < 0) {
		rootfs_unmount_overlay(r);
		return fd;
	}
	r->mount_fd = fd;
	r->driver = RUN_DRIVER_OVERLAY;
	return 0;
}

/* A log that says nothing goes with its server. */
static void drop_log(const struct rootfs *r)
{
	_free_ char *log = str_fmt("%s.log", r->image);
	struct stat st;

	if (log && fstatat(r->images, log, &st, 0) == 0 && !st.st_size)
		unlinkat(r->images, log, 0);
}

void rootfs_unmount_overlay(struct rootfs *r)
{
	bool last;

	if (r->image_fd < 0)
		return;
	last = image_mount_leave(r->images, r->image);
	r->image_fd = fd_close(r->image_fd);
	if (last && r->image_server >= 0)
		server_end(take_fd(r->image_server), false);
	r->image_server = fd_close(r->image_server);
	if (last && r->images >= 0)
		drop_log(r);
}
