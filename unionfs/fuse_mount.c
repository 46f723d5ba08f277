/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/fd.h"
#include "unionfs/unionfs.h"

#include <errno.h>
#include <sys/mount.h>

static int set(int fs, const char *key, const char *value)
{
	if (fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value, 0) < 0)
		return err_sys("mount: fuse: %s=%s", key, value ? value : "");
	return 0;
}

static int configure(int fs, int fuse, const char *source, bool rdonly)
{
	char number[16];
	int e;

	snprintf(number, sizeof(number), "%d", fuse);
	e = set(fs, "source", source);
	if (!e)
		e = set(fs, "fd", number);
	if (!e)
		e = set(fs, "rootmode", "40000"); /* S_IFDIR, octal */
	if (!e)
		e = set(fs, "user_id", "0");
	if (!e)
		e = set(fs, "group_id", "0");
	if (!e)
		e = set(fs, "allow_other", NULL);
	if (!e)
		e = set(fs, "default_permissions", NULL);
	if (!e && rdonly)
		e = set(fs, "ro", NULL);
	if (!e && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		e = err_sys("mount: fuse");
	return e;
}

int ufs_mount(const char *source, bool rdonly, int *ret_fuse_fd, int *ret_mount_fd)
{
	_close_ int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	_close_ int fs = -1;
	int mnt, e;

	if (fuse < 0)
		return err_sys("mount: /dev/fuse");
	fs = fsopen("fuse", FSOPEN_CLOEXEC);
	if (fs < 0)
		return err_sys("mount: fuse");
	e = configure(fs, fuse, source, rdonly);
	if (e)
		return e;
	/*
	 * No flags: set-user-id programs and devices of a container are its own. Who wants less
	 * sets it on the mount.
	 */
	mnt = fsmount(fs, FSMOUNT_CLOEXEC, rdonly ? MOUNT_ATTR_RDONLY : 0);
	if (mnt < 0)
		return err_sys("mount: fuse");
	*ret_mount_fd = mnt;
	*ret_fuse_fd = take_fd(fuse);
	return 0;
}
