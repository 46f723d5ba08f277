/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices of a given container: made by mknod(2), or the host's bound where that is refused. In
 * a directory that was found inside the root, under a name that is not followed.
 */
#include "container/inner.h"

#include "base/fd.h"
#include "base/str.h"
#include <sys/mount.h>
#include <sys/stat.h>

static int bind_device(int tree, int dir, const char *name)
{
	_close_ int fd = -1;

	if (mknodat(dir, name, S_IFREG | 0666, 0) < 0 && errno != EEXIST)
		return -errno;
	fd = fd_open_beneath(dir, name, O_PATH | O_NOFOLLOW, 0);
	return fd < 0 ? fd : mounts_place_on(tree, fd);
}

/* What is there already, of the image or of a /dev that is bound, stays as it is. */
static int make_device(const struct ctr_device *d, int dir, const char *name)
{
	if (mknodat(dir, name, d->mode, d->rdev) < 0)
		return errno == EEXIST ? 0 : -errno;
	return fchownat(dir, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int place(struct child *c, size_t i)
{
	const struct ctr_device *d = &c->spec->given->devices[i];
	const char *name = strrchr(d->path, '/') + 1;
	_free_ char *path = strndup(d->path, (size_t)(name - d->path));
	_close_ int dir = path ? root_target(c->root, path, true) : -ENOMEM;

	if (dir < 0)
		return dir;
	return c->plan->devices && c->plan->devices[i] >= 0 ?
		       bind_device(c->plan->devices[i], dir, name) :
		       make_device(d, dir, name);
}

int given_devices(struct child *c)
{
	mode_t old = umask(0);
	int r = 0;

	for (size_t i = 0; r >= 0 && i < c->spec->given->ndevices; i++) {
		r = place(c, i);
		if (r < 0)
			err(r, "cannot make the device %s: %s", c->spec->given->devices[i].path,
			    strerror(-r));
	}
	umask(old);
	return r;
}
