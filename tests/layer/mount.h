/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting in a namespace of one's own, for the tests that compare with the kernel. */
#ifndef TESTS_LAYER_MOUNT_H
#define TESTS_LAYER_MOUNT_H

#include "tests/layer/help.h"
#include <sched.h>
#include <sys/mount.h>

/* A mount namespace of our own, once per process; false when we may not. */
static inline bool mount_enter(void)
{
	static bool entered;

	if (entered)
		return true;
	entered = unshare(CLONE_NEWNS) == 0 &&
		  mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	return entered;
}

/* Takes away what is mounted on the folders that the tests use below @dir. */
static inline void mount_leave(const char *dir)
{
	static const char *const names[] = { "top", "mnt", "tmp" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_free_ char *path = str_fmt("%s/%s", dir, names[i]);

		umount2(path, MNT_DETACH);
	}
}

/* What the kernel wrote about a failed mount, for whoever looks. */
static inline void mount_complain(int fsfd)
{
	char text[512];
	ssize_t n;

	while ((n = read(fsfd, text, sizeof(text) - 1)) > 0)
		print_message("# %.*s\n", (int)n, text);
}

/*
 * Mounts @dir/@image with the @npacks files pack0, pack1... beside it as its devices: 0 or -errno.
 */
static inline int mount_erofs(const char *dir, const char *image, int npacks, const char *target)
{
	_close_ int fsfd = fsopen("erofs", FSOPEN_CLOEXEC), mfd = -1;
	char path[256];
	int r;

	if (fsfd < 0)
		return -errno;
	snprintf(path, sizeof(path), "%s/%s", dir, image);
	r = fsconfig(fsfd, FSCONFIG_SET_STRING, "source", path, 0);
	for (int i = 0; i < npacks && r == 0; i++) {
		snprintf(path, sizeof(path), "%s/pack%d", dir, i);
		r = fsconfig(fsfd, FSCONFIG_SET_STRING, "device", path, 0);
	}
	if (r == 0)
		r = fsconfig(fsfd, FSCONFIG_SET_FLAG, "ro", NULL, 0);
	if (r == 0)
		r = fsconfig(fsfd, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r < 0) {
		r = -errno;
		mount_complain(fsfd);
		return r;
	}
	mfd = fsmount(fsfd, FSMOUNT_CLOEXEC, 0);
	if (mfd < 0 || move_mount(mfd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

#endif
