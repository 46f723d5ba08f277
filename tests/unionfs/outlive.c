/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mount outlives its server: while the server is killed at random moments, and then before and
 * after every system call of every changing operation, no client sees an error, and the tree is
 * that of the same work on a plain directory. OUTLIVE_KILLS chooses how many random ones.
 */
#include "beside.h"
#include "base/fd.h"

#include "changing.h"
#include "index_of.h"
#include "ops.h"

#include <sys/ptrace.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <time.h>

#define KILLS 60

/* One run needs a folder with untouched lower things: that many are in the lower. */
#define FOLDERS 3000

static struct mounted m;

/* ---- at random ---- */

static int kills(void)
{
	const char *n = getenv("OUTLIVE_KILLS");

	return n ? (int)strtol(n, NULL, 10) : KILLS;
}

static volatile int *done; /* operations, shared with who shoots */

/*
 * Kills whoever serves, some milliseconds apart, and ends. Not again before an operation is done:
 * on a slow machine three would die of one request, which is then refused.
 */
static pid_t shoot_all(void)
{
	struct rng delays = { 4242 };
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	for (int i = 0, seen = -1; i < kills(); i++) {
		while (*done == seen && getppid() == parent)
			usleep(500);
		seen = *done;
		usleep(200 + pick(&delays, 40000));
		kill(*m.now, SIGKILL);
	}
	_exit(0);
}

static void run_one(struct rng *rng, const int dir[2])
{
	struct op op = op_pick(rng);
	int r[2], e[2];

	for (int i = 0; i < 2; i++) {
		r[i] = run_op(dir[i], &op);
		e[i] = r[i] < 0 ? errno : 0;
	}
	if (r[0] == r[1] && e[0] == e[1])
		return;
	printf("# kind %u flags %u %s %s: union %s, plain %s\n", op.kind, op.flags, op.a, op.b,
	       strerror(e[0]), strerror(e[1]));
	CHECK(r[0] == r[1] && e[0] == e[1]);
}

/* Held over all of it: a descriptor of a file without a name, and of one that is written. */
static void at_random(void)
{
	const int dir[2] = { mounted_open(&m, "mnt", O_RDONLY),
			     mounted_open(&m, "plain", O_RDONLY) };
	int held = openat(dir[0], "held", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct rng rng = { 20261129 };
	pid_t gun;
	char c = 0;
	int ops = 0;

	CHECK(held >= 0 && write(held, "x", 1) == 1 && unlinkat(dir[0], "held", 0) == 0);
	done = mmap(NULL, sizeof(*done), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(done != MAP_FAILED);
	for (gun = shoot_all(); waitpid(gun, NULL, WNOHANG) == 0; ops++) {
		run_one(&rng, dir);
		++*done;
	}
	CHECK(beside_same(&m, "", true));
	CHECK(pread(held, &c, 1, 0) == 1 && c == 'x' && pwrite(held, "y", 1, 1) == 1);
	printf("# %d operations, %d kills\n", ops, kills());
	close(held);
	close(dir[0]);
	close(dir[1]);
}

/* ---- at every system call ---- */

static void trace_stop(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status));
}

/* The client's deed, as a process: it may have to wait for another server. */
static pid_t act_in(int dir, const struct changing *d)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	_exit(d->act(dir) == 0 ? 0 : errno ? errno : 1);
}

/*
 * Lets the server make @stops entries to and exits from system calls after the client has begun,
 * then kills it there: whether it came to that before the client was done.
 */
static bool kill_at(pid_t server, pid_t client, int stops, int *ret_status)
{
	int status;

	for (;;) {
		pid_t who = waitpid(-1, &status, __WALL);

		CHECK(who > 0);
		if (who == client) {
			*ret_status = status;
			CHECK(ptrace(PTRACE_INTERRUPT, server, NULL, NULL) == 0);
			trace_stop(server);
			CHECK(ptrace(PTRACE_DETACH, server, NULL, NULL) == 0);
			return false;
		}
		if (who != server || !WIFSTOPPED(status))
			continue;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80) && stops-- == 0) {
			kill(server, SIGKILL);
			CHECK(waitpid(server, &status, __WALL) == server);
			CHECK(waitpid(client, ret_status, 0) == client);
			return true;
		}
		CHECK(ptrace(PTRACE_SYSCALL, server, NULL, NULL) == 0);
	}
}

static pid_t seize(void)
{
	struct statfs st;
	pid_t server;

	/* It answers: the one that serves now is up. */
	CHECK(statfs(m.point, &st) == 0);
	server = *m.now;
	CHECK(ptrace(PTRACE_SEIZE, server, NULL, PTRACE_O_TRACESYSGOOD) == 0);
	CHECK(ptrace(PTRACE_INTERRUPT, server, NULL, NULL) == 0);
	trace_stop(server);
	CHECK(ptrace(PTRACE_SYSCALL, server, NULL, NULL) == 0);
	return server;
}

static int next_folder;

static void open_folder(char name[32], int dir[2])
{
	char path[64];

	CHECK(next_folder < FOLDERS);
	snprintf(name, 32, "n%d", next_folder++);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", i ? "plain" : "mnt", name);
		dir[i] = mounted_open(&m, path, O_RDONLY);
	}
}

/* Whether it was killed in the middle, and not after. */
static bool shoot_deed(const struct changing *d, int stops)
{
	int dir[2], status;
	char name[32];
	pid_t server;
	bool shot;

	open_folder(name, dir);
	for (int i = 0; d->prepare && i < 2; i++)
		CHECK(d->prepare(dir[i]) == 0);
	CHECK(d->act(dir[1]) == 0);
	server = seize();
	shot = kill_at(server, act_in(dir[0], d), stops, &status);
	if (status)
		printf("# %s, killed at stop %d: %s\n", d->name, stops,
		       strerror(WEXITSTATUS(status)));
	CHECK(status == 0);
	CHECK(beside_same(&m, name, true));
	close(dir[0]);
	close(dir[1]);
	return shot;
}

static const struct changing *deed;

static void at_every_call(void)
{
	int stops = 0;

	/* Behind one call is before the next: every other stop. */
	while (shoot_deed(deed, stops))
		stops += 2;
	printf("# %d moments\n", stops / 2);
	CHECK(stops > 4);
}

static void begin(void)
{
	int base, image, pack;

	mounted_dir(&m);
	m.kept = true;
	base = mounted_open(&m, "plain", O_RDONLY | O_DIRECTORY);
	make_start(base);
	make_folders(base, FOLDERS);
	image = mounted_open(&m, "index", O_RDWR | O_CREAT);
	pack = mounted_open(&m, "pack", O_RDWR | O_CREAT);
	index_of(base, image, pack);
	close(image);
	close(pack);
	close(base);
	mounted_begin(&m, true, UFS_UPPER_NATIVE, 1);
}

/* Each new server looks through the whole top: a small one. */
static void begin_anew(void)
{
	int dir = open(m.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	mounted_end(&m);
	FIXTURE_MUST(fd_remove_tree(dir, "upper") == 0 && fd_remove_tree(dir, "work") == 0);
	close(dir);
	mounted_begin(&m, true, UFS_UPPER_NATIVE, 1);
}

int main(void)
{
	const char *missing = mounted_missing();

	if (missing)
		return tap_skip(missing);
	if (mounted_before(6, 9))
		return tap_skip("Linux before 6.9 cannot send requests again");
	umask(022);
	begin();
	tap_run("outlive", "killed at random", at_random);
	for (size_t i = 0; i < CHANGINGS; i++) {
		deed = &changings[i];
		begin_anew();
		tap_run("outlive", deed->name, at_every_call);
	}
	mounted_end(&m);
	mounted_remove(&m);
	return tap_done();
}
