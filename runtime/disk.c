/* SPDX-License-Identifier: Apache-2.0 */
/* Which disk a file system is on: limits of I/O are a disk's, never a partition's. */
#include "runtime/runtime.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* The "major:minor" in a file of /sys. */
static int number_of(const char *path, dev_t *ret)
{
	_free_ char *text = NULL;
	uint64_t ma, mi;
	int r = file_read_all(AT_FDCWD, path, 64, &text, NULL);
	const char *s = text;

	if (r < 0)
		return r;
	if (str_number(&s, 10, UINT32_MAX, &ma) < 0 || *s++ != ':' ||
	    str_number(&s, 10, UINT32_MAX, &mi) < 0)
		return -EBADMSG;
	*ret = makedev(ma, mi);
	return 0;
}

int limits_disk(int fd, dev_t *ret)
{
	char path[64];
	struct stat st;
	int len;

	if (fstat(fd, &st) < 0)
		return err_sys("limit of io");
	len = snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(st.st_dev),
		       minor(st.st_dev));
	if (access(path, F_OK) < 0)
		return err(-EOPNOTSUPP,
			   "limit of io: the store's file system is on no disk of its own");
	*ret = st.st_dev;
	snprintf(path + len, sizeof(path) - (size_t)len, "/partition");
	if (access(path, F_OK) < 0)
		return 0;
	snprintf(path + len, sizeof(path) - (size_t)len, "/../dev");
	return number_of(path, ret) < 0 ? err(-EOPNOTSUPP, "limit of io: no disk has %s", path) : 0;
}
