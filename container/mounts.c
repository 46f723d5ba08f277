/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OCI default mounts, made before the pivot. What must not be diverted is made detached and
 * moved by descriptors onto single names that are never followed: a symbolic link "proc" in the
 * image is an error, and what is done to /proc and /sys afterwards is done below the descriptor of
 * the very procfs and sysfs made here (CVE-2019-19921, CVE-2025-31133).
 */
#include "container/inner.h"

#include "base/fd.h"
#include <sys/mount.h>
#include <sys/stat.h>

#define ATTR_SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

int mounts_new(const char *type, const char *const *opts, unsigned int attr)
{
	_close_ int fs = fsopen(type, FSOPEN_CLOEXEC);
	int mnt;

	if (fs < 0)
		return -errno;
	/* What mount(8) and df(1) show in their first column. */
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", type, 0) < 0)
		return -errno;
	for (; *opts; opts += 2) {
		if (fsconfig(fs, FSCONFIG_SET_STRING, opts[0], opts[1], 0) < 0)
			return -errno;
	}
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mnt = fsmount(fs, FSMOUNT_CLOEXEC, attr);
	return mnt < 0 ? -errno : mnt;
}

static int place_error(int dir, const char *name)
{
	int e = -errno;
	struct stat st;

	if (!fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) && !S_ISDIR(st.st_mode))
		return err(-ENOTDIR, "the image's /%s is no directory", name);
	return err(e, "cannot mount on the image's /%s: %s", name, strerror(-e));
}

int mounts_place(int mnt, int dir, const char *name)
{
	if (!move_mount(mnt, "", dir, name, MOVE_MOUNT_F_EMPTY_PATH))
		return 0;
	if (errno == ENOENT && !mkdirat(dir, name, 0755) &&
	    !move_mount(mnt, "", dir, name, MOVE_MOUNT_F_EMPTY_PATH))
		return 0;
	return place_error(dir, name);
}

int mounts_place_on(int mnt, int fd)
{
	return move_mount(mnt, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ?
		       -errno :
		       0;
}

/*
 * Made from now on: nothing here reaches the host. The root is put on "/", which needs no directory
 * of the host.
 */
static int place_root(struct child *c)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys("cannot make the mounts private");
	if (move_mount(c->root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys("cannot mount the root");
	return 0;
}

static int place_proc(struct child *c)
{
	static const char *const none[] = { NULL };

	/* Read-only until the paths that stay so have been cloned from it (masks.c). */
	c->proc = mounts_new("proc", none, ATTR_SAFE | MOUNT_ATTR_RDONLY);
	if (c->proc < 0)
		return err(c->proc, "cannot mount proc: %s", strerror(-c->proc));
	return mounts_place(c->proc, c->root, "proc");
}

/*
 * Another's network namespace in a user namespace of our own: the host's sysfs, as podman shows it
 * then.
 */
int mounts_clone_sys(void)
{
	struct mount_attr a = { .attr_set = ATTR_SAFE | MOUNT_ATTR_RDONLY };
	_close_ int tree =
		open_tree(AT_FDCWD, "/sys", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof(a)) < 0)
		return -errno;
	return take_fd(tree);
}

static int place_sys(struct child *c)
{
	static const char *const none[] = { NULL };

	c->sys = mounts_new("sysfs", none, ATTR_SAFE | MOUNT_ATTR_RDONLY);
	if (c->sys == -EPERM)
		c->sys = mounts_clone_sys();
	if (c->sys < 0)
		return err(c->sys, "cannot mount sysfs: %s", strerror(-c->sys));
	return mounts_place(c->sys, c->root, "sys");
}

/*
 * The version 2 hierarchy from the container's cgroup down, read-only, also on hosts with both:
 * where there is none, the directory stays empty.
 */
static void mount_cgroup(void)
{
	mount("cgroup2", "fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
	      NULL);
}

static int seal_root(struct child *c)
{
	struct mount_attr a = { .attr_set = MOUNT_ATTR_RDONLY };

	if (c->spec->root_rdonly && mount_setattr(c->root, "", AT_EMPTY_PATH, &a, sizeof(a)) < 0)
		return err_sys("cannot make the root read-only");
	return 0;
}

int mounts_setup(struct child *c)
{
	int r = place_root(c);

	if (r >= 0)
		r = place_proc(c);
	if (r >= 0)
		r = masks_proc(c);
	if (r >= 0)
		r = place_sys(c);
	if (r >= 0)
		r = masks_sys(c);
	if (r < 0)
		return r;
	mount_cgroup();
	r = dev_setup(c);
	if (r >= 0)
		r = files_setup(c);
	if (r >= 0)
		r = binds_setup(c);
	/* What docker makes when missing is made before the root is sealed. */
	if (r >= 0 && c->spec->root_rdonly)
		r = cwd_make(c);
	return r < 0 ? r : seal_root(c);
}
