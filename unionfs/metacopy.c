/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/metacopy.h"

#include "base/log.h"
#include "unionfs/copyup.h"
#include "unionfs/redirect.h"
#include "unionfs/xat.h"

#include <errno.h>
#include <linux/falloc.h>
#include <sys/xattr.h>

#define CAPS	 "security.capability"
#define CAPS_MAX 64 /* sizeof(struct vfs_ns_cap_data) is 24 */

static const char *mark(const struct ufs *u)
{
	return u->upper.user ? "user.overlay.metacopy" : "trusted.overlay.metacopy";
}

static int fill(struct ufs *u, uint64_t id, int fd, uint64_t limit);

/* Someone was killed while he truncated it: all but the bytes is done. */
static int finish_cut(struct ufs *u, uint64_t id, const struct at *at, uint64_t size)
{
	_close_ int fd = openat(at->dirfd, at->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fill(u, id, fd, size);
}

/* Whether lower @id can have the bytes of @at. */
static int check(struct ufs *u, uint64_t id, const struct at *at, bool *ret_cut, uint64_t *ret_size)
{
	struct stat upper, lower;
	int e = lower_stat(&u->lower, id, &lower);

	if (!e && fstatat(at->dirfd, at->name, &upper, AT_SYMLINK_NOFOLLOW) < 0)
		e = -errno;
	if (e)
		return e;
	*ret_cut = upper.st_size < lower.st_size;
	*ret_size = (uint64_t)upper.st_size;
	return S_ISREG(lower.st_mode) && upper.st_size <= lower.st_size ? 0 : -EIO;
}

int metacopy_find(struct ufs *u, uint64_t dir, const struct at *at, uint64_t *ret)
{
	uint64_t id, size;
	bool cut;
	ssize_t n;
	int e;

	*ret = 0;
	n = xat_get(at->dirfd, at->name, mark(u), NULL, 0);
	if (n < 0)
		return n == -ENODATA || n == -EOPNOTSUPP ? 0 : (int)n;
	e = redirect_lower(u, dir, at, &id);
	if (e)
		return e == -ENOENT ? -EIO : e;
	e = check(u, id, at, &cut, &size);
	if (!e && cut)
		e = finish_cut(u, id, at, size);
	if (e || cut)
		lower_put(&u->lower, id);
	else
		*ret = id;
	return e;
}

int metacopy_begin(struct ufs *u, int fd, uint64_t id)
{
	struct stat st;
	int e = lower_stat(&u->lower, id, &st);

	if (!e && ftruncate(fd, st.st_size) < 0)
		e = -errno;
	return e ? e : xat_set(fd, "", mark(u), "", 0, 0);
}

int metacopy_copy(struct ufs *u, uint64_t id, int fd, uint64_t limit)
{
	struct lower_data d;
	int e = lower_data_get(&u->lower, id, &d);

	if (e)
		return e;
	e = copy_content(u, &d, fd, limit);
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

/* It stays what it was, and takes no room that a full disk needs. */
static void undo(int fd, off_t size)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_size)
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, st.st_size);
	if (ftruncate(fd, size) < 0)
		log_warn("union: a file that was not truncated stays short: %s", strerror(errno));
}

static int copy_bytes(struct ufs *u, uint64_t id, int fd, uint64_t limit)
{
	int e = limit ? metacopy_copy(u, id, fd, limit) : 0;

	return !e && !u->is_volatile && limit && fsync(fd) < 0 ? -errno : e;
}

/* Whoever is killed before the mark goes left a file that is filled once more. */
static int fill(struct ufs *u, uint64_t id, int fd, uint64_t limit)
{
	char caps[CAPS_MAX];
	ssize_t ncaps = fgetxattr(fd, CAPS, caps, sizeof(caps));
	struct stat st;
	int e = fstat(fd, &st) < 0 ? -errno : 0;

	if (!e && limit < (uint64_t)st.st_size && ftruncate(fd, (off_t)limit) < 0)
		e = -errno;
	if (e)
		return e;
	e = copy_bytes(u, id, fd, MIN(limit, (uint64_t)st.st_size));
	if (!e)
		e = restore(fd, &st, caps, ncaps);
	if (!e) {
		e = xat_remove(fd, "", mark(u));
		e = e == -ENODATA ? 0 : e;
	}
	if (e) {
		undo(fd, st.st_size);
		restore(fd, &st, caps, ncaps);
	}
	return e;
}

static int fill_counted(struct ufs *u, struct node *n, int fd, uint64_t limit)
{
	struct stat st;
	uint64_t want = 0;
	int e = u->quota.limit ? lower_stat(&u->lower, n->data, &st) : 0;

	if (!e && u->quota.limit) {
		want = quota_need(&st, limit);
		e = quota_take(u, want);
	}
	if (e)
		return e;
	e = fill(u, n->data, fd, limit);
	quota_settle(u, n, fd, want);
	return e;
}

int metacopy_fill(struct ufs *u, struct node *n, int fd, uint64_t limit)
{
	pthread_mutex_t *stripe = &u->filling[ufs_stripe_of(n->id)];
	int e = 0;

	if (!n->data)
		return 0;
	pthread_mutex_lock(stripe);
	if (n->data)
		e = fill_counted(u, n, fd, limit);
	if (n->data && !e) {
		node_own_data(u, n);
		dax_switch(&u->dax, n->id, fd);
	}
	pthread_mutex_unlock(stripe);
	return e;
}
