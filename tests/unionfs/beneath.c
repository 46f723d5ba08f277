/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lowers that someone changes while they are mounted, against the rules (docs/formats/union.md, "A
 * lower that changes"): what the client sees then is nobody's to say, but each of its calls ends,
 * the server lives and ends well, and so does another over what is there by then. BENEATH_OPS
 * chooses how many operations.
 */
#include "mounted.h"
#include "ops.h"
#include "snapshot.h"
#include "tap.h"

#include <stdatomic.h>
#include <sys/statfs.h>

#define OPS 4000

static struct mounted m;
static enum ufs_upper_mode mode;
static atomic_bool *over; /* shared by the processes */

static int open_dir(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", m.dir, name);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FIXTURE_MUST(fd >= 0);
	return fd;
}

/* A process that does something again and again until all is over. */
static pid_t start(void (*fn)(struct rng *rng), uint64_t seed)
{
	struct rng rng = { seed };
	pid_t pid;

	fflush(stdout);
	pid = fork();
	FIXTURE_MUST(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!*over)
		fn(&rng);
	_exit(0);
}

/* Names come, go, and become things of another kind. */
static void change_lower(struct rng *rng)
{
	int dir = open_dir(pick(rng, 2) ? "top" : "bottom");

	for (int i = 0; i < 20; i++) {
		struct op op = op_pick(rng);

		run_op(dir, &op);
	}
	close(dir);
}

static void walk(struct rng *rng)
{
	(void)rng;
	free(snapshot(m.point, 0));
}

static void operate(void)
{
	const char *n = getenv("BENEATH_OPS");
	struct rng rng = { 99 };
	int dir = open_dir("mnt");

	for (int i = n ? (int)strtol(n, NULL, 10) : OPS; i > 0; i--) {
		struct op op = op_pick(&rng);

		if (run_op(dir, &op) < 0)
			CHECK(errno != ENOTCONN && errno != ECONNABORTED);
	}
	close(dir);
}

static void change_beneath(void)
{
	pid_t pid[4];
	int status;

	*over = false;
	for (size_t i = 0; i < 4; i++)
		pid[i] = start(i < 2 ? change_lower : walk, 1234 + i);
	operate();
	*over = true;
	for (size_t i = 0; i < 4; i++)
		CHECK(waitpid(pid[i], &status, 0) == pid[i] && status == 0);
}

static void mounts_anew(void)
{
	struct statfs st;
	char *tree;

	CHECK(mounted_end(&m) == 0);
	mounted_begin(&m, false, mode, 2);
	CHECK(statfs(m.point, &st) == 0);
	tree = snapshot(m.point, 0);
	CHECK(tree && *tree);
	free(tree);
	CHECK(mounted_end(&m) == 0);
}

static void run(const char *prefix, enum ufs_upper_mode how)
{
	static const char *const names[] = { "top", "bottom" };

	mode = how;
	mounted_dir(&m);
	for (size_t i = 0; i < 2; i++) {
		int dir = mounted_open(&m, names[i], O_RDONLY | O_DIRECTORY);

		make_start(dir);
		close(dir);
	}
	mounted_begin(&m, false, mode, 3);
	tap_run(prefix, "lowers change", change_beneath);
	*over = true;
	tap_run(prefix, "mounted anew", mounts_anew);
	umount2(m.point, MNT_DETACH);
	mounted_remove(&m);
}

int main(void)
{
	const char *missing = mounted_missing();

	if (missing)
		return tap_skip(missing);
	umask(022);
	over = mmap(NULL, sizeof(*over), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	FIXTURE_MUST(over != MAP_FAILED);
	run("native", UFS_UPPER_NATIVE);
	run("mapped", UFS_UPPER_MAPPED);
	return tap_done();
}
