/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A random exerciser: the same operations on the union and on a plain copy of what it shows; each
 * must have the same outcome, and the trees must be equal at the end, also after a remount. Alone,
 * and with four threads, each in a part of the tree of its own. EXERCISE_SEED and EXERCISE_OPS
 * choose others.
 */
#include "index_of.h"
#include "mounted.h"
#include "ops.h"
#include "snapshot.h"
#include "tap.h"

#include <pthread.h>

#define THREADS 4
/* One worker: its directory in each of the two trees. */
struct worker {
	struct rng rng;
	int dir[2];
	int ops;
	char log[160], failure[400];
	pthread_t thread;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < w->ops && !w->failure[0]; i++) {
		struct op op = op_pick(&w->rng);
		int r[2], e[2];

		for (int k = 0; k < 2; k++) {
			r[k] = run_op(w->dir[k], &op);
			e[k] = r[k] < 0 ? errno : 0;
		}
		if (r[0] != r[1] || e[0] != e[1])
			snprintf(w->failure, sizeof(w->failure),
				 "op %d, kind %u flags %u %s %s: union %s, plain %s", i, op.kind,
				 op.flags, op.a, op.b, strerror(e[0]), strerror(e[1]));
	}
	return NULL;
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
			int index = mounted_open(&m, "index", O_RDWR | O_CREAT),
			    pack = mounted_open(&m, "pack", O_RDWR | O_CREAT);

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
		w[t] = (struct worker){ .rng = { seed * 1000003 + (uint64_t)t + 1 },
					.ops = ops ? (int)strtol(ops, NULL, 10) : 3000 };
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
			printf("# thread %d, seed %llu: %s\n", t, (unsigned long long)seed,
			       w[t].failure);
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
	snprintf(prefix, sizeof(prefix), "%s, %s, seed %llu", index ? "index" : "directories",
		 upper == UFS_UPPER_NATIVE ? "native" : "mapped", (unsigned long long)s);
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
	for (uint64_t s = only ? strtoull(only, NULL, 10) : 1;
	     s <= (only ? strtoull(only, NULL, 10) : 3); s++) {
		run("as a plain directory does", false, UFS_UPPER_NATIVE, 1, s);
		run("as a plain directory does", true, UFS_UPPER_MAPPED, 1, s);
		run("with four threads", false, UFS_UPPER_MAPPED, THREADS, s);
		run("with four threads", true, UFS_UPPER_NATIVE, THREADS, s);
	}
	return tap_done();
}
