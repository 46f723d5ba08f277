/* SPDX-License-Identifier: Apache-2.0 */
/* Writable tops: snapshots/<id>/{upper,work,base}. The lock of one is a flock of its folder. */
#include "imagestore/store.h"

#include <sys/stat.h>

#define ID_MAX 128

static int check_id(const char *id)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t len = strlen(id);

	if (len == 0 || len > ID_MAX || id[0] == '.' || strspn(id, good) != len)
		return err(-EINVAL,
			   "a snapshot's id: up to %d letters, digits, '_', '.', '-', no '.' first",
			   ID_MAX);
	return 0;
}

static struct store_file snapshot_file(const char *id, const char *name)
{
	struct store_file f;

	snprintf(f.s, sizeof(f.s), "snapshots/%s%s%s", id, name ? "/" : "", name ? name : "");
	return f;
}

/* ---- making ---- */

static int write_base(int dirfd, const struct digest *diff_ids, size_t n)
{
	_free_ char *text = digests_text(diff_ids, n);
	_close_ int fd = openat(dirfd, "base", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);

	if (!text)
		return -ENOMEM;
	return fd < 0 ? -errno : fd_write_full(fd, text, strlen(text));
}

static int fill(struct store *s, const char *path, const struct digest *diff_ids, size_t n)
{
	_close_ int dirfd = -1;
	int r;

	if (mkdirat(s->dirfd, path, 0700) < 0)
		return -errno;
	dirfd = openat(s->dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;
	r = write_base(dirfd, diff_ids, n);
	if (r < 0)
		return r;
	/* Whatever the umask is: the upper's root is what the instance sees as "/". */
	if (mkdirat(dirfd, "upper", 0755) < 0 || fchmodat(dirfd, "upper", 0755, 0) < 0)
		return -errno;
	return mkdirat(dirfd, "work", 0700) < 0 ? -errno : 0;
}

static int make(struct store *s, const char *hidden, const char *final,
		const struct digest *diff_ids, size_t n)
{
	int r;

	if (store_has(s, final))
		return -EEXIST;
	r = fill(s, hidden, diff_ids, n);
	if (r >= 0)
		r = renameat2(s->dirfd, hidden, s->dirfd, final, RENAME_NOREPLACE) < 0 ? -errno : 0;
	if (r < 0)
		fd_remove_tree(s->dirfd, hidden);
	return r;
}

int snapshot_create(struct store *s, const char *id, const struct digest *diff_ids, size_t n)
{
	_close_ int lock = -1;
	struct store_file hidden, final;
	int r = check_id(id);

	if (r >= 0)
		r = store_lock(
			s, false,
			&lock); /* gc and the clearing of dead ones wait until it has its name */
	for (size_t i = 0; r >= 0 && i < n; i++) {
		if (!store_has(s, layer_file(&diff_ids[i], "index").s) &&
		    !arriving_has_chain(s, diff_ids, n))
			return err(
				-ENOENT,
				"layer sha256:%s is not in the store: pull or load its image again",
				digest_hex(&diff_ids[i]).s);
	}
	if (r < 0)
		return r;
	final = snapshot_file(id, NULL);
	snprintf(hidden.s, sizeof(hidden.s), "snapshots/.%s", id);
	r = s->rdonly ? -EROFS : make(s, hidden.s, final.s, diff_ids, n);
	return r < 0 ? err(r, "%s/%s: the snapshot cannot be made: %s", s->path, final.s,
			   strerror(-r)) :
		       0;
}

/* ---- opening ---- */

/* The folder with its flock; it may have been removed while we reached for it. */
static int open_locked(struct store *s, const char *id)
{
	struct store_file path = snapshot_file(id, NULL);
	_close_ int fd = openat(s->dirfd, path.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat opened, named;
	int r;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_sys("%s/%s", s->path, path.s);
	r = fd_lock(fd, true, false);
	if (r == -EWOULDBLOCK)
		return err(-EBUSY, "snapshot %s is in use", id);
	if (r < 0)
		return err(r, "%s/%s: %s", s->path, path.s, strerror(-r));
	if (fstat(fd, &opened) < 0 || fstatat(s->dirfd, path.s, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -ENOENT : err_sys("%s/%s", s->path, path.s);
	return opened.st_ino == named.st_ino ? take_fd(fd) : -ENOENT;
}

int snapshot_open(struct store *s, const char *id, int *ret_lock_fd, int *ret_upper_fd,
		  int *ret_work_fd)
{
	_close_ int lock = -1, upper = -1, work = -1;
	int r = check_id(id);

	if (r < 0)
		return r;
	lock = open_locked(s, id);
	if (lock < 0)
		return lock == -ENOENT ? err(-ENOENT, "no snapshot %s in %s", id, s->path) : lock;
	upper = openat(lock, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	work = openat(lock, "work", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (upper < 0 || work < 0)
		return err_sys("snapshot %s: its upper and work folders", id);
	*ret_lock_fd = take_fd(lock);
	*ret_upper_fd = take_fd(upper);
	*ret_work_fd = take_fd(work);
	return 0;
}

int snapshot_base(struct store *s, const char *id, struct digest **ret_diff_ids, size_t *ret_n)
{
	int r = check_id(id);

	if (r >= 0)
		r = digests_read(s->dirfd, snapshot_file(id, "base").s, ret_diff_ids, ret_n);
	return r;
}

int snapshot_remove(struct store *s, const char *id)
{
	_close_ int lock = -1;
	int r = check_id(id);

	if (r < 0)
		return r;
	lock = open_locked(s, id);
	if (lock == -ENOENT)
		return 0;
	if (lock < 0)
		return lock;
	r = trash_move(s, snapshot_file(id, NULL).s);
	if (r >= 0)
		trash_empty(s, NULL);
	return r;
}

struct listing {
	int (*fn)(void *ctx, const char *id);
	void *ctx;
};

static int list_one(void *ctx, const char *name)
{
	struct listing *l = ctx;

	return name[0] == '.' ? 0 : l->fn(l->ctx, name);
}

int snapshot_each(struct store *s, int (*fn)(void *ctx, const char *id), void *ctx)
{
	struct listing l = { .fn = fn, .ctx = ctx };

	return store_each(s, "snapshots", list_one, &l);
}
