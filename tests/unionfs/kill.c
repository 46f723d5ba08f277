/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill -9 of the server at any moment: after a new one has started, the tree is that before the
 * operation that was cut off, or that after it. A plain tree runs along to know both. KILL_ROUNDS
 * chooses how often.
 */
#include "index_of.h"
#include "mounted.h"
#include "ops.h"
#include "snapshot.h"
#include "tap.h"

#include <signal.h>
#include <sys/statfs.h>
#include <time.h>

#define ROUNDS 40

static struct mounted m;
static bool with_index;
static enum ufs_upper_mode mode;

/* Shoots the server after some microseconds. */
static pid_t shoot(pid_t server, uint32_t us)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	nanosleep(&(const struct timespec){ .tv_nsec = us * 1000L }, NULL);
	kill(server, SIGKILL);
	_exit(0);
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static char *plain_tree(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/plain", m.dir);
	return snapshot(path, 0);
}

static int open_both(int dir[2])
{
	char path[128];

	snprintf(path, sizeof(path), "%s/plain", m.dir);
	dir[0] = open(m.point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir[1] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir[0] >= 0 && dir[1] >= 0 ? 0 : -1;
}

static bool same_outcome(int r, int e, const struct op *op, int plain)
{
	int pr = run_op(plain, op), pe = pr < 0 ? errno : 0;

	if (r == pr && e == pe)
		return true;
	printf("# kind %u %s %s: union %s, plain %s\n", op->kind, op->a, op->b, strerror(e),
	       strerror(pe));
	return false;
}

static bool is_gone(void)
{
	struct statfs st;

	return statfs(m.point, &st) < 0;
}

/* Operations until one finds no server any more. */
static void run_until_shot(struct rng *rng, struct op *last)
{
	int dir[2];

	*last = (struct op){ .kind = 5, .a = "nothing" };
	/* Shot before it could begin. */
	if (open_both(dir) < 0 && is_gone())
		return;
	for (;;) {
		int r, e;

		*last = op_pick(rng);
		r = run_op(dir[0], last);
		e = r < 0 ? errno : 0;
		/* The kernel has several words for a server that goes away in the middle. */
		if (r < 0 && is_gone())
			break;
		/* Or it went between the two calls that an operation of ours may be. */
		if (!same_outcome(r, e, last, dir[1])) {
			CHECK(is_gone());
			break;
		}
	}
	close(dir[0]);
	close(dir[1]);
}

/* The last operation may have been done, not at all or wholly; the plain tree then follows. */
static void check_old_or_new(const struct op *last)
{
	char *now = snapshot(m.point, 0), *old = plain_tree(), *new;
	int dir[2];

	CHECK(now && old);
	if (strcmp(now, old) != 0) {
		CHECK(open_both(dir) == 0);
		run_op(dir[1], last);
		close(dir[0]);
		close(dir[1]);
		new = plain_tree();
		if (!new || strcmp(now, new) != 0) {
			printf("# cut off: kind %u flags %u number %u size %u %s %s\n", last->kind,
			       last->flags, last->number, last->size, last->a, last->b);
			CHECK(snapshot_same(now, old));
		}
		free(new);
	}
	free(now);
	free(old);
}

/*
 * Some operations are several requests to us, or one that need not be whole: a write may be half
 * done, O_CREAT then O_TRUNC are two. Those are made again in both trees.
 */
static bool is_divisible(const struct op *op)
{
	return op->kind >= 2 && op->kind <= 4;
}

static void settle(const struct op *op)
{
	struct op all = *op;
	int dir[2];

	all.flags = 2;
	CHECK(open_both(dir) == 0);
	run_op(dir[0], &all);
	run_op(dir[1], &all);
	close(dir[0]);
	close(dir[1]);
}

static void be_killed(void)
{
	const char *n = getenv("KILL_ROUNDS");
	int rounds = n ? (int)strtol(n, NULL, 10) : ROUNDS;
	struct rng rng = { 4711 + with_index }, delays = { 99 };

	for (int i = 0; i < rounds; i++) {
		pid_t gun = shoot(m.server, 500 + pick(&delays, 30000));
		struct op last;

		run_until_shot(&rng, &last);
		reap(gun);
		reap(m.server);
		CHECK(umount2(m.point, MNT_DETACH) == 0);
		mounted_begin(&m, with_index, mode, 2);
		if (is_divisible(&last))
			settle(&last);
		check_old_or_new(&last);
	}
	CHECK(mounted_end(&m) == 0);
}

static void run(bool index, enum ufs_upper_mode upper)
{
	int base, pack;

	with_index = index;
	mode = upper;
	mounted_dir(&m);
	close(mounted_open(&m, "top", O_RDONLY | O_DIRECTORY));
	base = mounted_open(&m, "plain", O_RDONLY | O_DIRECTORY);
	make_start(base);
	close(base);
	base = mounted_open(&m, "bottom", O_RDONLY | O_DIRECTORY);
	make_start(base);
	if (index) {
		int image = mounted_open(&m, "index", O_RDWR | O_CREAT);

		pack = mounted_open(&m, "pack", O_RDWR | O_CREAT);
		index_of(base, image, pack);
		close(image);
		close(pack);
	}
	close(base);
	mounted_begin(&m, index, upper, 2);
	tap_run(index ? "index, mapped" : "directories, native", "old or new after kill -9",
		be_killed);
	umount2(m.point, MNT_DETACH);
	kill(m.server, SIGKILL);
	reap(m.server);
	mounted_remove(&m);
}

int main(void)
{
	const char *missing = mounted_missing();

	if (missing)
		return tap_skip(missing);
	umask(022);
	run(false, UFS_UPPER_NATIVE);
	run(true, UFS_UPPER_MAPPED);
	return tap_done();
}
