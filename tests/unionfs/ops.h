/* SPDX-License-Identifier: Apache-2.0 */
/* Random operations on a small tree: what the exerciser and the kill test do. */
#ifndef TESTS_UNIONFS_OPS_H
#define TESTS_UNIONFS_OPS_H

#include "fixture.h"

#include <errno.h>

#define NAMES 12

struct rng {
	uint64_t state;
};

static inline uint32_t pick(struct rng *r, uint32_t n)
{
	/* xorshift64*. */
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return (uint32_t)((r->state * 0x2545f4914f6cdd1dull) >> 33) % n;
}

static inline void path_of(struct rng *r, char path[64])
{
	static const char *const dirs[] = { "", "d0/", "d1/", "d0/s0/", "d1/s1/", "d2/" };

	snprintf(path, 64, "%s%c%u", dirs[pick(r, 6)], pick(r, 3) ? 'f' : 'd', pick(r, NAMES));
	if (pick(r, 16) == 0)
		snprintf(path, 64, "d%u", pick(r, 3));
	if (pick(r, 40) == 0)
		snprintf(path, 64, "d0/s0");
}

struct op {
	uint32_t kind, number, size, flags;
	char a[64], b[64];
};

static inline int write_some(int dir, const struct op *op)
{
	char buf[5000];
	int fd = openat(dir, op->a,
			O_WRONLY | O_CLOEXEC | (op->flags & 1 ? O_APPEND : 0) |
				(op->flags & 2 ? O_TRUNC : 0));
	ssize_t n;

	if (fd < 0)
		return -1;
	memset(buf, (int)('a' + op->number % 26), sizeof(buf));
	n = op->flags & 1 ? write(fd, buf, op->size % sizeof(buf)) :
			    pwrite(fd, buf, op->size % sizeof(buf), op->number % 9000);
	close(fd);
	/* Only a server that went away in the middle makes it short. */
	if (n >= 0 && n != (ssize_t)(op->size % sizeof(buf))) {
		errno = ENOTCONN;
		return -1;
	}
	return n < 0 ? -1 : 0;
}

static inline int set_xattr(int dir, const struct op *op)
{
	int fd = openat(dir, op->a, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	if (op->flags & 1)
		r = fremovexattr(fd, "user.one");
	else
		r = fsetxattr(fd, op->flags & 2 ? "user.one" : "trusted.two", &op->number,
			      sizeof(op->number), 0);
	close(fd);
	return r;
}

static inline int create(int dir, const struct op *op)
{
	int fd = openat(dir, op->a, O_WRONLY | O_CREAT | O_CLOEXEC | (op->flags & 1 ? O_EXCL : 0),
			0644);

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static inline int truncate_at(int dir, const struct op *op)
{
	int fd = openat(dir, op->a, O_WRONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = ftruncate(fd, op->number % 9000);
	close(fd);
	return r;
}

static inline int rename_at(int dir, const struct op *op)
{
	static const unsigned int flags[4] = { 0, RENAME_NOREPLACE, RENAME_EXCHANGE, 0 };

	return renameat2(dir, op->a, dir, op->b, flags[op->flags]);
}

static inline int run_op(int dir, const struct op *op)
{
	switch (op->kind) {
	case 0:
	case 1:
		return create(dir, op);
	case 2:
	case 3:
	case 4:
		return write_some(dir, op);
	case 5:
	case 6:
		return unlinkat(dir, op->a, 0);
	case 7:
		return mkdirat(dir, op->a, 0755);
	case 8:
		return unlinkat(dir, op->a, AT_REMOVEDIR);
	case 9:
	case 10:
	case 11:
		return rename_at(dir, op);
	case 12:
		return linkat(dir, op->a, dir, op->b, 0);
	case 13:
		return symlinkat(op->b, dir, op->a);
	case 14:
		return fchmodat(dir, op->a, op->number & 0777, 0);
	case 15:
		return fchownat(dir, op->a, op->number % 5, op->number % 7, AT_SYMLINK_NOFOLLOW);
	case 16:
		return truncate_at(dir, op);
	default:
		return set_xattr(dir, op);
	}
}

/* The next one of a row that the seed decides. */
static inline struct op op_pick(struct rng *r)
{
	struct op op = { pick(r, 18), pick(r, 100000), pick(r, 5000), pick(r, 4), "", "" };

	path_of(r, op.a);
	path_of(r, op.b);
	return op;
}

/* The start: some files and directories with hard links, in one layer. */
static inline void make_start(int dir)
{
	static const char *const dirs[] = { "d0", "d1", "d2", "d0/s0", "d1/s1" };
	char name[64], text[3000];

	for (size_t i = 0; i < 5; i++)
		FIXTURE_MUST(mkdirat(dir, dirs[i], 0755) == 0);
	for (int i = 0; i < NAMES; i += 2) {
		memset(text, 'A' + i, sizeof(text));
		for (size_t k = 0; k < 5; k += 2) {
			snprintf(name, sizeof(name), "%s/f%d", dirs[k], i);
			fixture_file(dir, name, text, (size_t)(i * 250));
		}
		snprintf(name, sizeof(name), "f%d", i);
		fixture_file(dir, name, text, (size_t)i);
	}
	FIXTURE_MUST(linkat(dir, "f2", dir, "d1/f3", 0) == 0 &&
		     linkat(dir, "f2", dir, "d0/s0/f5", 0) == 0);
	FIXTURE_MUST(linkat(dir, "d0/f4", dir, "f7", 0) == 0);
	FIXTURE_MUST(symlinkat("d0/f4", dir, "f9") == 0);
}

#endif
