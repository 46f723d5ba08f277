/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mount namespace of a supervisor's own. It begins as a copy of the caller's, and a file system
 * goes on for as long as any copy has it: what `strata mount` serves would outlive its unmount.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "engine/rootfs.h"
#include <sched.h>
#include <sys/mount.h>

#define MOUNTINFO_MAX (16u << 20) /* bytes */
#define MOUNT_POINT   4		  /* a word of its line (proc(5)) */

int rootfs_namespace(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys("mount namespace");
	/* What the caller's loses, if it is one that tells, this one loses too. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys("mount namespace: keeping its mounts to itself");
	return 0;
}

/* Whether @line is of a union of ours: its type is fuse or fuse.*, its source strata:IMAGE. */
static bool is_union(const char *line)
{
	const char *type = strstr(line, " - fuse"), *source = type ? str_word(type, 2) : NULL;

	return source && str_after(source, "strata:");
}

void rootfs_leave_unions(void)
{
	_free_ char *text = NULL;
	char *save = NULL;

	if (file_read_all(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *point = is_union(line) ? (char *)str_word(line, MOUNT_POINT) : NULL;

		if (!point)
			continue;
		point[strcspn(point, " ")] = '\0';
		str_unescape_octal(point);
		umount2(point, MNT_DETACH | UMOUNT_NOFOLLOW);
	}
}
