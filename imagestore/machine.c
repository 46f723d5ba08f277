/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines that have booted already (microvm/snapshot.h): one file each, by the digest of what it
 * was made of. A cache: a machine that is gone is booted once more.
 */
#include "imagestore/txn.h"

#include <sys/stat.h>
#include <time.h>

#define FOLDER	   "machines"
#define MADE	   "machine"	   /* in its transaction */
#define UNUSED_MAX (7 * 24 * 3600) /* seconds after which gc takes one */

static struct store_file machine_file(const struct digest *key)
{
	struct store_file f;

	snprintf(f.s, sizeof(f.s), FOLDER "/%s", digest_hex(key).s);
	return f;
}

int machine_open(struct store *s, const struct digest *key)
{
	struct store_file path = machine_file(key);
	int fd = openat(s->dirfd, path.s, O_RDONLY | O_CLOEXEC);

	return fd >= 0 || errno == ENOENT ? (fd < 0 ? -ENOENT : fd) :
					    err_sys("%s/%s", s->path, path.s);
}

int machine_remove(struct store *s, const struct digest *key)
{
	struct store_file path = machine_file(key);

	return unlinkat(s->dirfd, path.s, 0) < 0 && errno != ENOENT ?
		       err_sys("%s/%s", s->path, path.s) :
		       0;
}

struct each {
	int (*fn)(void *ctx, const struct digest *key);
	void *ctx;
};

static int each_one(void *ctx, const char *name)
{
	const struct each *e = ctx;
	struct digest key;

	return digest_parse_hex(name, strlen(name), &key) < 0 ? 0 : e->fn(e->ctx, &key);
}

int machine_each(struct store *s, int (*fn)(void *ctx, const struct digest *key), void *ctx)
{
	int r = folder_each(s->dirfd, FOLDER, each_one, &(struct each){ fn, ctx });

	return r == -ENOENT ? 0 : r;
}

/* ---- making one ---- */

int machine_create(struct txn *t)
{
	int fd = openat(t->dirfd, MADE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444);

	return fd < 0 ? txn_write_err(t, -errno) : fd;
}

/* A store that is older has no folder for them. */
static int machines_folder(struct store *s)
{
	int fd;

	if (mkdirat(s->dirfd, FOLDER, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(s->dirfd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Its bytes are on disk before its name is. */
int machine_publish(struct txn *t, const struct digest *key)
{
	_close_ int made = openat(t->dirfd, MADE, O_RDONLY | O_CLOEXEC);
	_close_ int folder = machines_folder(t->s);
	struct digest_hex name = digest_hex(key);

	if (folder < 0)
		return txn_write_err(t, folder);
	if (made < 0 || fsync(made) < 0 || renameat(t->dirfd, MADE, folder, name.s) < 0 ||
	    fsync(folder) < 0)
		return txn_write_err(t, -errno);
	return 0;
}

/* ---- gc and df ---- */

/* Read or made last: with noatime, made. */
static bool is_unused(const struct stat *st)
{
	time_t last = MAX(st->st_atime, st->st_mtime);

	return time(NULL) - last > UNUSED_MAX;
}

static int sweep_one(void *ctx, const char *name)
{
	struct store *s = ctx;
	struct digest key;
	struct stat st;

	if (digest_parse_hex(name, strlen(name), &key) < 0 ||
	    fstatat(s->dirfd, machine_file(&key).s, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !is_unused(&st))
		return 0;
	return trash_move(s, machine_file(&key).s);
}

int machines_sweep(struct store *s)
{
	int r = folder_each(s->dirfd, FOLDER, sweep_one, s);

	return r == -ENOENT ? 0 : r;
}

struct sum {
	struct store *s;
	struct df_total *t;
};

static int sum_one(void *ctx, const char *name)
{
	struct sum *sum = ctx;
	struct df_total *t = sum->t;
	struct digest key;
	struct stat st;
	uint64_t bytes;

	if (digest_parse_hex(name, strlen(name), &key) < 0 ||
	    fstatat(sum->s->dirfd, machine_file(&key).s, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	bytes = (uint64_t)st.st_blocks * 512;
	t->machines++;
	t->machine_bytes += bytes;
	t->machine_reclaimable += is_unused(&st) ? bytes : 0;
	return 0;
}

void machines_sum(struct store *s, struct df_total *t)
{
	folder_each(s->dirfd, FOLDER, sum_one, &(struct sum){ s, t });
}
