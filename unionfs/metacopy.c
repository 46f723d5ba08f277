/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/metacopy.h"

#include "unionfs/copyup.h"
#include "unionfs/redirect.h"
#include "unionfs/xat.h"

#include <errno.h>
#include <sys/xattr.h>

#define CAPS	 "security.capability"
#define CAPS_MAX 64 /* sizeof(struct vfs_ns_cap_data) is 24 */

static const char *mark(const struct ufs *u)
{
	return u->upper.user ? "user.overlay.metacopy" : "trusted.overlay.metacopy";
}

int metacopy_find(struct ufs *u, uint64_t dir, const struct at *at, uint64_t *ret)
{
	struct stat upper, lower;
	uint64_t id;
	ssize_t n;
	int e;

	*ret = 0;
	if (u->mode != UFS_UPPER_NATIVE)
		return 0;
	n = xat_get(at->dirfd, at->name, mark(u), NULL, 0);
	if (n < 0)
		return n == -ENODATA || n == -EOPNOTSUPP ? 0 : (int)n;
	e = redirect_lower(u, dir, at, &id);
	if (e)
		return e == -ENOENT ? -EIO : e;
	e = lower_stat(&u->lower, id, &lower);
	if (!e && fstatat(at->dirfd, at->name, &upper, AT_SYMLINK_NOFOLLOW) < 0)
		e = -errno;
	if (!e && (!S_ISREG(lower.st_mode) || lower.st_size != upper.st_size))
		e = -EIO;
	if (e)
		lower_put(&u->lower, id);
	else
		*ret = id;
	return e;
}

int metacopy_copy(struct ufs *u, uint64_t id, int fd)
{
	struct lower_data d;
	int e = lower_data_get(&u->lower, id, &d);

	if (e)
		return e;
	e = copy_content(&d, fd, COPYUP_ALL);
	lower_data_put(&u->lower, &d);
	return e;
}

/* Writing takes set-user-id and capabilities away, and moves the times: put them back. */
static int restore(int fd, const struct stat *st, const void *caps, ssize_t ncaps)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if ((st->st_mode & 07000) && fchmod(fd, st->st_mode & 07777) < 0)
		return -errno;
	if (ncaps >= 0 && fsetxattr(fd, CAPS, caps, (size_t)ncaps, 0) < 0)
		return -errno;
	return futimens(fd, times) < 0 ? -errno : 0;
}

/* Whoever is killed before the mark goes left a file that is filled once more. */
static int fill(struct ufs *u, uint64_t id, int fd)
{
	char caps[CAPS_MAX];
	ssize_t ncaps = fgetxattr(fd, CAPS, caps, sizeof(caps));
	struct stat st;
	int e = fstat(fd, &st) < 0 ? -errno : metacopy_copy(u, id, fd);

	if (!e)
		e = restore(fd, &st, caps, ncaps);
	if (!e && !u->is_volatile && fsync(fd) < 0)
		e = -errno;
	if (!e && fremovexattr(fd, mark(u)) < 0 && errno != ENODATA)
		e = -errno;
	return e;
}

int metacopy_fill(struct ufs *u, struct node *n, int fd)
{
	uint64_t id;
	int e = 0;

	if (!n->data)
		return 0;
	pthread_mutex_lock(&u->filling);
	id = n->data;
	if (id)
		e = fill(u, id, fd);
	if (id && !e) {
		n->data = 0;
		lower_put(&u->lower, id);
	}
	pthread_mutex_unlock(&u->filling);
	return e;
}
