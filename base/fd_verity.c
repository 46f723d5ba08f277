/* SPDX-License-Identifier: Apache-2.0 */
/* By itself: the guest's init, which has base/fd.c too, may have a libc without statx(). */
#include "base/fd.h"

#include <fcntl.h>
#include <sys/stat.h>

bool fd_is_verity(int fd)
{
	struct statx sx;

	return statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &sx) == 0 &&
	       sx.stx_attributes & STATX_ATTR_VERITY;
}
