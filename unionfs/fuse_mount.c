/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "unionfs/unionfs.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

static int set(int fs, const char *key, const char *value)
{
	if (fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value, 0) < 0)
		return err_sys("mount: fuse: %s=%s", key, value ? value : "");
	return 0;
}

/* One of o->more. */
static int set_more(int fs, const char *option)
{
	const char *value = strchr(option, '=');
	_free_ char *key = strndup(option, value ? (size_t)(value - option) : strlen(option));

	return key ? set(fs, key, value ? value + 1 : NULL) : -ENOMEM;
}

static int configure(int fs, int fuse, const struct ufs_mount_options *o)
{
	char number[16];
	int e;

	snprintf(number, sizeof(number), "%d", fuse);
	e = set(fs, "source", o->source);
	if (!e && o->subtype)
		e = set(fs, "subtype", o->subtype);
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
	if (!e && o->rdonly)
		e = set(fs, "ro", NULL);
	for (char *const *more = o->more; !e && more && *more; more++)
		e = set_more(fs, *more);
	if (!e && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		e = err_sys("mount: fuse");
	return e;
}

int ufs_mount(const char *source, bool rdonly, int *ret_fuse_fd, int *ret_mount_fd)
{
	return ufs_mount_with(&(struct ufs_mount_options){ .source = source, .rdonly = rdonly },
			      ret_fuse_fd, ret_mount_fd);
}

int ufs_mount_with(const struct ufs_mount_options *o, int *ret_fuse_fd, int *ret_mount_fd)
{
	_close_ int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	_close_ int fs = -1;
	int mnt, e;

	if (fuse < 0)
		return err_sys("mount: /dev/fuse");
	fs = fsopen("fuse", FSOPEN_CLOEXEC);
	if (fs < 0)
		return err_sys("mount: fuse");
	e = configure(fs, fuse, o);
	if (e)
		return e;
	/*
	 * No flags unless asked for: set-user-id programs and devices of a container are its own.
	 */
	mnt = fsmount(fs, FSMOUNT_CLOEXEC,
		      (unsigned int)o->attrs | (o->rdonly ? MOUNT_ATTR_RDONLY : 0));
	if (mnt < 0)
		return err_sys("mount: fuse");
	*ret_mount_fd = mnt;
	*ret_fuse_fd = take_fd(fuse);
	return 0;
}
