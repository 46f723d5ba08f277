/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "engine/image_mount.h"
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#define EROFS_MAGIC 0xe0f5e1e2 /* EROFS_SUPER_MAGIC_V1, linux/magic.h */

static int fs_set(int fs, const char *key, const char *value)
{
	return syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

static int mount_new(void *ctx)
{
	const struct image_erofs *e = ctx;
	_close_ int fs = syscall(SYS_fsopen, "erofs", FSOPEN_CLOEXEC);
	int r;

	if (fs < 0)
		return err_sys("EROFS");
	r = fs_set(fs, "source", e->index);
	for (size_t i = 0; r == 0 && i < strv_len(e->packs); i++)
		r = fs_set(fs, "device", e->packs[i]);
	if (r == 0 && syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		r = -errno;
	if (r == 0) {
		r = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
		r = r < 0 ? -errno : r;
	}
	return r < 0 ? err(r, "EROFS mount of %s: %s (Linux 6.12 or later?)", e->index,
			   strerror(-r)) :
		       r;
}

struct image_kind image_erofs(struct image_erofs *e)
{
	return (struct image_kind){ .magic = EROFS_MAGIC, .mount = mount_new, .ctx = e };
}
