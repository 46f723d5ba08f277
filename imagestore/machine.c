/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines that have booted already (microvm/snapshot.h): one file each, by the digest of what it
 * was made of. A cache: a machine that is gone is booted once more.
 */
#include "imagestore/txn.h"

#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>

#define FOLDER	    "machines"
#define MADE	    "machine"	    /* in its transaction */
#define REHEARSAL   "root"	    /* the same */
#define PROGRAM_MAX (16u << 20)	    /* bytes copied at a time */
#define UNUSED_MAX  (7 * 24 * 3600) /* seconds after which gc takes one */

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

static int copy_program(int fd, int folder, const char *name)
{
	_close_ int to = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	off_t off = 0;
	ssize_t n;

	if (to < 0)
		return -errno;
	do
		n = sendfile(to, fd, &off, PROGRAM_MAX);
	while (n > 0);
	return n < 0 || fchmod(to, 0755) < 0 ? -errno : 0;
}

/* For whoever serves it: another user, whatever the umask. */
int machine_rehearsal(struct txn *t, int init_fd)
{
	static const char *const places[] = { "dev", "proc", "sys" };
	_close_ int fd = -1;
	int r = 0;

	if (mkdirat(t->dirfd, REHEARSAL, 0755) < 0)
		return txn_write_err(t, -errno);
	fd = openat(t->dirfd, REHEARSAL, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0755) < 0)
		return txn_write_err(t, -errno);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(places); i++)
		r = mkdirat(fd, places[i], 0755) < 0 ? -errno : 0;
	if (r == 0)
		r = copy_program(init_fd, fd, "init");
	return r < 0 ? txn_write_err(t, r) : take_fd(fd);
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
