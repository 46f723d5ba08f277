/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpio.h"

#include <stdio.h>

/*
 * ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize,
 * check
 */
struct cpio_head cpio_head(unsigned mode, uint32_t size, uint32_t name_len)
{
	struct cpio_head h;

	snprintf(h.s, sizeof(h.s), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0,
		 mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_len, 0);
	return h;
}
