/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cidfile.h"

#include "base/err.h"
#include "base/fd.h"

int cidfile_open(const char *path, struct cidfile *ret)
{
	*ret = (struct cidfile){ .fd = -1 };
	if (!path)
		return 0;
	ret->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (ret->fd < 0)
		return err_sys("cidfile %s", path);
	ret->path = path;
	return 0;
}

int cidfile_write(struct cidfile *c, const char *id)
{
	const char *path = c->path;
	int r = path ? fd_write_full(c->fd, id, strlen(id)) : 0;

	c->path = NULL;
	return r < 0 ? err(r, "cidfile %s: %s", path, strerror(-r)) : 0;
}

void cidfile_close(struct cidfile *c)
{
	if (c->path)
		unlink(c->path);
	c->fd = fd_close(c->fd);
}
