/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight processes do random operations at once, each in a folder of its own with lower files, while
 * two walk over everything: each operation's outcome and the tree are those of the same work on a
 * plain directory. STRESS_OPS chooses how many operations each does.
 */
#include "beside.h"
#include "index_of.h"
#include "ops.h"

#define WORKERS 8
#define WALKERS 2
#define OPS	1500

static struct mounted m;
static bool with_index;

static int open_at(const char *where, int worker)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/w%d", m.dir, where, worker);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FIXTURE_MUST(fd >= 0);
	return fd;
}

static int count_ops(void)
{
	const char *n = getenv("STRESS_OPS");

	return n ? (int)strtol(n, NULL, 10) : OPS;
}

/* 0, or 1 when an outcome differs. */
static int work(int worker)
{
	const int dir[2] = { open_at("mnt", worker), open_at("plain", worker) };
	struct rng rng = { (uint64_t)(worker + 1) * 7919 };

	for (int i = 0; i < count_ops(); i++) {
		struct op op = op_pick(&rng);
		int r[2], e[2];

		for (int k = 0; k < 2; k++) {
			r[k] = run_op(dir[k], &op);
			e[k] = r[k] < 0 ? errno : 0;
		}
		if (r[0] == r[1] && e[0] == e[1])
			continue;
		printf("# worker %d, operation %d: kind %u flags %u %s %s: union %s, plain %s\n",
		       worker, i, op.kind, op.flags, op.a, op.b, strerror(e[0]), strerror(e[1]));
		fflush(stdout);
		return 1;
	}
	return 0;
}

/* Looks at all of it, whatever it is just then; until killed. */
static void walk(void)
{
	for (;;)
		free(snapshot(m.point, 0));
}

static pid_t start(int worker)
{
	pid_t pid = fork();

	FIXTURE_MUST(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (worker >= WORKERS)
			walk();
		_exit(work(worker));
	}
	return pid;
}

static void at_once(void)
{
	pid_t pid[WORKERS + WALKERS];
	int status, bad = 0;

	fflush(stdout);
	for (int i = 0; i < WORKERS + WALKERS; i++)
		pid[i] = start(i);
	for (int i = 0; i < WORKERS; i++)
		bad |= waitpid(pid[i], &status, 0) != pid[i] || status;
	for (int i = WORKERS; i < WORKERS + WALKERS; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	CHECK(!bad);
}

static void same_tree(void)
{
	CHECK(beside_same(&m, "", true));
}

static void same_after_remount(void)
{
	CHECK(mounted_end(&m) == 0);
	mounted_begin(&m, with_index, m.mode, 4);
	same_tree();
}

static void make_lower(const char *name)
{
	int dir = mounted_open(&m, name, O_RDONLY | O_DIRECTORY), sub;
	char worker[16];

	for (int i = 0; i < WORKERS; i++) {
		snprintf(worker, sizeof(worker), "w%d", i);
		FIXTURE_MUST(mkdirat(dir, worker, 0755) == 0);
		sub = openat(dir, worker, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		make_start(sub);
		close(sub);
	}
	close(dir);
}

static void run(const char *prefix, bool index, enum ufs_upper_mode mode)
{
	static const char *const dirs[] = { "lower", NULL };
	int base, image, pack;

	with_index = index;
	m = (struct mounted){ .mode = mode, .dirs = dirs };
	mounted_dir(&m);
	make_lower("plain");
	if (index) {
		base = mounted_open(&m, "plain", O_RDONLY | O_DIRECTORY);
		image = mounted_open(&m, "index", O_RDWR | O_CREAT);
		pack = mounted_open(&m, "pack", O_RDWR | O_CREAT);
		index_of(base, image, pack);
		close(image);
		close(pack);
		close(base);
	} else {
		make_lower("lower");
	}
	mounted_begin(&m, index, mode, 4);
	tap_run(prefix, "eight at once", at_once);
	tap_run(prefix, "the same tree", same_tree);
	tap_run(prefix, "the same after a remount", same_after_remount);
	mounted_end(&m);
	mounted_remove(&m);
}

int main(void)
{
	const char *missing = mounted_missing();

	if (missing)
		return tap_skip(missing);
	umask(022);
	run("index, native", true, UFS_UPPER_NATIVE);
	run("index, mapped", true, UFS_UPPER_MAPPED);
	run("directories, native", false, UFS_UPPER_NATIVE);
	run("directories, mapped", false, UFS_UPPER_MAPPED);
	return tap_done();
}
