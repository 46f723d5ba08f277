/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A random exerciser: the same operations on the union and on a plain copy of what it shows; each must have the same
 * outcome, and the trees must be equal at the end, also after a remount. Alone, and with four threads, each in a part of
 * the tree of its own. EXERCISE_SEED and EXERCISE_OPS choose others.
 */
#include "index_of.h"
#include "mounted.h"
#include "snapshot.h"
#include "tap.h"

#include <pthread.h>

#define THREADS 4
#define NAMES	12

struct rng {
	uint64_t state;
};

static uint32_t pick(struct rng *r, uint32_t n)
{
	/* xorshift64*. */
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return (uint32_t)((r->state * 0x2545f4914f6cdd1dull) >> 33) % n;
}

/* One worker: its directory in each of the two trees. */
struct worker {
	struct rng rng;
	int dir[2];
	int ops;
	char log[160], failure[400];
	pthread_t thread;
};

static void path_of(struct rng *r, char path[64])
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

static int write_some(int dir, const struct op *op)
{
	char buf[5000];
	int fd = openat(dir, op->a, O_WRONLY | O_CLOEXEC | (op->flags & 1 ? O_APPEND : 0) | (op->flags & 2 ? O_TRUNC : 0));
	ssize_t n;

	if (fd < 0)
		return -1;
	memset(buf, (int)('a' + op->number % 26), sizeof(buf));
	n = op->flags & 1 ? write(fd, buf, op->size % sizeof(buf)) :
			    pwrite(fd, buf, op->size % sizeof(buf), op->number % 9000);
	close(fd);
	return n < 0 ? -1 : 0;
}

static int set_xattr(int dir, const struct op *op)
{
	int fd = openat(dir, op->a, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	if (op->flags & 1)
		r = fremovexattr(fd, "user.one");
	else
		r = fsetxattr(fd, op->flags & 2 ? "user.one" : "trusted.two", &op->number, sizeof(op->number), 0);
	close(fd);
	return r;
}

static int create(int dir, const struct op *op)
{
	int fd = openat(dir, op->a, O_WRONLY | O_CREAT | O_CLOEXEC | (op->flags & 1 ? O_EXCL : 0), 0644);

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int truncate_at(int dir, const struct op *op)
{
	int fd = openat(dir, op->a, O_WRONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = ftruncate(fd, op->number % 9000);
	close(fd);
	return r;
}

/* A directory with a lower part cannot be renamed (EXDEV): left out, in both trees. */
static bool may_be_lower(int dir, const char *path)
{
	struct stat st;

	return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) && path[strlen(path) - 1] < '3';
}

static int rename_at(int dir, const struct op *op)
{
	static const unsigned int flags[4] = { 0, RENAME_NOREPLACE, RENAME_EXCHANGE, 0 };

	if (may_be_lower(dir, op->a) || (op->flags == 2 && may_be_lower(dir, op->b))) {
		errno = EBUSY;
		return -1;
	}
	return renameat2(dir, op->a, dir, op->b, flags[op->flags]);
}

static int run_op(int dir, const struct op *op)
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

static void *work(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < w->ops && !w->failure[0]; i++) {
		struct op op = { pick(&w->rng, 18), pick(&w->rng, 100000), pick(&w->rng, 5000), pick(&w->rng, 4), "", "" };
		int r[2], e[2];

		path_of(&w->rng, op.a);
		path_of(&w->rng, op.b);
		for (int k = 0; k < 2; k++) {
			r[k] = run_op(w->dir[k], &op);
			e[k] = r[k] < 0 ? errno : 0;
		}
		if (r[0] != r[1] || e[0] != e[1])
			snprintf(w->failure, sizeof(w->failure), "op %d, kind %u flags %u %s %s: union %s, plain %s", i, op.kind,
				 op.flags, op.a, op.b, strerror(e[0]), strerror(e[1]));
	}
	return NULL;
}

/* The start: some files and directories with hard links, in one layer. */
static void make_start(int dir)
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
	FIXTURE_MUST(linkat(dir, "f2", dir, "d1/f3", 0) == 0 && linkat(dir, "f2", dir, "d0/s0/f5", 0) == 0);
	FIXTURE_MUST(linkat(dir, "d0/f4", dir, "f7", 0) == 0);
	FIXTURE_MUST(symlinkat("d0/f4", dir, "f9") == 0);
}

static struct mounted m;
static enum ufs_upper_mode mode;
static uint64_t seed;
static int threads;
static bool with_index;

static int open_dir(const char *base, const char *sub)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", base, sub);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FIXTURE_MUST(fd >= 0);
	return fd;
}

static void make_trees(void)
{
	char name[64];

	mounted_dir(&m);
	close(mounted_open(&m, "top", O_RDONLY | O_DIRECTORY));
	for (int tree = 0; tree < 2; tree++) {
		int base = mounted_open(&m, tree ? "plain" : "bottom", O_RDONLY | O_DIRECTORY);

		for (int t = 0; t < threads; t++) {
			int dir;

			snprintf(name, sizeof(name), "t%d", t);
			FIXTURE_MUST(mkdirat(base, name, 0755) == 0);
			dir = openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			make_start(dir);
			close(dir);
		}
		if (with_index && !tree) {
			int index = mounted_open(&m, "index", O_RDWR | O_CREAT), pack = mounted_open(&m, "pack", O_RDWR | O_CREAT);

			index_of(base, index, pack);
			close(index);
			close(pack);
		}
		close(base);
	}
}

static void compare(void)
{
	char plain[128], *a, *b;

	snprintf(plain, sizeof(plain), "%s/plain", m.dir);
	a = snapshot(m.point, 0);
	b = snapshot(plain, 0);
	CHECK(a && b);
	CHECK(snapshot_same(a, b));
	free(a);
	free(b);
}

static void exercise(void)
{
	static struct worker w[THREADS];
	const char *ops = getenv("EXERCISE_OPS");
	char name[64], plain[128];

	make_trees();
	mounted_begin(&m, with_index, mode, threads > 1 ? 3 : 1);
	snprintf(plain, sizeof(plain), "%s/plain", m.dir);
	for (int t = 0; t < threads; t++) {
		snprintf(name, sizeof(name), "t%d", t);
		w[t] = (struct worker){ .rng = { seed * 1000003 + (uint64_t)t + 1 }, .ops = ops ? (int)strtol(ops, NULL, 10) : 3000 };
		w[t].dir[0] = open_dir(m.point, name);
		w[t].dir[1] = open_dir(plain, name);
		FIXTURE_MUST(pthread_create(&w[t].thread, NULL, work, &w[t]) == 0);
	}
	for (int t = 0; t < threads; t++) {
		pthread_join(w[t].thread, NULL);
		close(w[t].dir[0]);
		close(w[t].dir[1]);
	}
	for (int t = 0; t < threads; t++) {
		if (w[t].failure[0])
			printf("# thread %d, seed %llu: %s\n", t, (unsigned long long)seed, w[t].failure);
		CHECK(!w[t].failure[0]);
	}
	compare();
	CHECK(mounted_end(&m) == 0);
	mounted_begin(&m, with_index, mode, 2);
	compare();
}

static void run(const char *what, bool index, enum ufs_upper_mode upper, int nthreads, uint64_t s)
{
	char prefix[64];

	mode = upper;
	threads = nthreads;
	with_index = index;
	seed = s;
	snprintf(prefix, sizeof(prefix), "%s, %s, seed %llu", index ? "index" : "directories", upper == UFS_UPPER_NATIVE ? "native" : "mapped",
		 (unsigned long long)s);
	tap_run(prefix, what, exercise);
	mounted_end(&m);
	mounted_remove(&m);
}

int main(void)
{
	const char *missing = mounted_missing(), *only = getenv("EXERCISE_SEED");

	if (missing)
		return tap_skip(missing);
	umask(022);
	for (uint64_t s = only ? strtoull(only, NULL, 10) : 1; s <= (only ? strtoull(only, NULL, 10) : 3); s++) {
		run("as a plain directory does", false, UFS_UPPER_NATIVE, 1, s);
		run("as a plain directory does", true, UFS_UPPER_MAPPED, 1, s);
		run("with four threads", false, UFS_UPPER_MAPPED, THREADS, s);
		run("with four threads", true, UFS_UPPER_NATIVE, THREADS, s);
	}
	return tap_done();
}
