/* SPDX-License-Identifier: Apache-2.0 */
/* What is on its way out: dead transactions, and trash/, which is emptied without any lock. */
#include "imagestore/store.h"

#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

int trash_move(struct store *s, const char *path)
{
	char name[64];
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -errno;
	snprintf(name, sizeof(name), "trash/%016llx", (unsigned long long)number);
	if (renameat2(s->dirfd, path, s->dirfd, name, RENAME_NOREPLACE) < 0)
		return err_sys("%s/%s: cannot be moved to trash", s->path, path);
	return 0;
}

/*
 * ---- counting: at most two levels, a layer's folder and its files; a snapshot's top is not
 * counted ----
 */

struct counting {
	struct store *s;
	struct gc_result *result;
	struct store_file folder;
};

static void count_file(struct counting *c, const char *path)
{
	struct stat st;

	if (fstatat(c->s->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return;
	c->result->files++;
	if (st.st_nlink == 1)
		c->result->bytes += (uint64_t)st.st_size;
}

static int count_inner(void *ctx, const char *name)
{
	struct counting *c = ctx;
	_free_ char *path = str_fmt("%s/%s", c->folder.s, name);

	if (path)
		count_file(c, path);
	return 0;
}

static void count(struct store *s, const char *path, struct gc_result *result)
{
	struct counting c = { .s = s, .result = result };

	snprintf(c.folder.s, sizeof(c.folder.s), "%s", path);
	if (folder_each(s->dirfd, path, count_inner, &c) < 0)
		count_file(&c, path);
}

struct emptying {
	struct store *s;
	struct gc_result *count;
};

static int remove_one(void *ctx, const char *name)
{
	struct emptying *e = ctx;
	_free_ char *path = str_fmt("trash/%s", name);

	if (!path)
		return -ENOMEM;
	if (e->count)
		count(e->s, path, e->count);
	/*
	 * One that cannot go, or that another command removes at this moment, does not keep the
	 * others.
	 */
	fd_remove_tree(e->s->dirfd, path);
	return 0;
}

void trash_empty(struct store *s, struct gc_result *ret_count)
{
	struct emptying e = { .s = s, .count = ret_count };

	folder_each(s->dirfd, "trash", remove_one, &e);
}

/* ---- dead transactions ---- */

static bool txn_is_dead(struct store *s, const char *name)
{
	_free_ char *path = str_fmt("tmp/%s/live", name);
	_close_ int fd = -1;

	if (!path)
		return false;
	fd = openat(s->dirfd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR; /* killed before or after it had one */
	return fd_lock(fd, true, false) == 0;
}

static int bury_txn(void *ctx, const char *name)
{
	struct store *s = ctx;
	_free_ char *path = str_fmt("tmp/%s", name);

	if (path && txn_is_dead(s, name))
		trash_move(s, path);
	return 0;
}

/* A snapshot that was never finished: its maker holds the lock shared, and we hold it exclusive. */
static int bury_snapshot(void *ctx, const char *name)
{
	struct store *s = ctx;
	_free_ char *path = name[0] == '.' ? str_fmt("snapshots/%s", name) : NULL;

	if (path)
		trash_move(s, path);
	return 0;
}

static int found(void *ctx, const char *name)
{
	(void)ctx;
	return name[0] ? 1 : 0;
}

static int found_dotted(void *ctx, const char *name)
{
	(void)ctx;
	return name[0] == '.' ? 1 : 0;
}

bool tmp_is_covered(struct store *s)
{
	struct stat root, tmp;

	return fstat(s->dirfd, &root) < 0 ||
	       fstatat(s->dirfd, "tmp", &tmp, AT_SYMLINK_NOFOLLOW) < 0 || root.st_dev != tmp.st_dev;
}

static void bury_dead(struct store *s)
{
	_close_ int lock = -1;

	if (store_lock(s, true, &lock) < 0)
		return;
	folder_each(s->dirfd, "tmp", bury_txn, s);
	folder_each(s->dirfd, "snapshots", bury_snapshot, s);
}

void store_sweep(struct store *s)
{
	if (tmp_is_covered(s))
		return;
	if (folder_each(s->dirfd, "tmp", found, NULL) == 1 ||
	    folder_each(s->dirfd, "snapshots", found_dotted, NULL) == 1)
		bury_dead(s);
	if (folder_each(s->dirfd, "trash", found, NULL) == 1)
		trash_empty(s, NULL);
	err_clear();
}
