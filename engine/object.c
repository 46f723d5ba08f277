/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/object.h"
#include "base/fd.h"
#include <errno.h>
#include <stdio.h>

int object_openat(int objects_fd, const struct digest *d)
{
	struct digest_hex hex = digest_hex(d);
	char path[70];
	int fd;

	snprintf(path, sizeof(path), "%.2s/%s", hex.s, hex.s);
	fd = openat(objects_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}
