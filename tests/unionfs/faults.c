/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each system call that the server makes in a changing operation fails once, with ENOSPC, EIO,
 * EMFILE and ENOMEM in turn: the client gets that error or none, the tree is the old or the new
 * one, the server goes on, and the same top mounted anew shows the same. FAULTS_ALL=1 tries all
 * four at each call, in place of one: minutes. FAULTS_DEED chooses one by its name.
 */
#include "beside.h"
#include "changing.h"
#include "index_of.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>

#define FOLDERS 2600

static const int errors[] = { ENOSPC, EIO, EMFILE, ENOMEM };

static struct mounted m;
static int next_folder;
static const struct changing *deed;
static const char *only;	/* FAULTS_DEED: this one alone */
static unsigned long long shot; /* the call that failed, by its number */

/* Whether what the call is for ends so. */
static bool is_at(pid_t server, const struct user_regs_struct *r, const char *end)
{
	char path[64], target[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", server, (int)r->rdi);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < (ssize_t)strlen(end))
		return false;
	target[n] = '\0';
	return strcmp(target + n - strlen(end), end) == 0;
}

/*
 * Calls that cannot fail so, or whose failure nobody could answer: taking a request, replying, and
 * what a FORGET does, which may come in the same moment: a file without names goes from the
 * orphans.
 */
static bool is_eligible(pid_t server, const struct user_regs_struct *r)
{
	switch (r->orig_rax) {
	case SYS_read:
	case SYS_write:
	case SYS_writev:
		return !is_at(server, r, "/dev/fuse");
	case SYS_unlinkat:
		return !is_at(server, r, "/orphans");
	case SYS_close:
	case SYS_munmap:
	case SYS_futex:
	case SYS_restart_syscall:
	case SYS_rt_sigprocmask:
	case SYS_lseek:
	case SYS_brk: /* says by another value than an errno that it failed */
		return false;
	default:
		return true;
	}
}

static int error_of(const struct user_regs_struct *r, int error)
{
	return r->orig_rax == SYS_mmap ? ENOMEM : error;
}

static void stopped(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status));
}

/* Makes the call fail that the server is about to make, which stands at its entry. */
static void fail_call(pid_t server, struct user_regs_struct *r, int error)
{
	shot = r->orig_rax;
	r->orig_rax = (unsigned long long)-1;
	CHECK(ptrace(PTRACE_SETREGS, server, NULL, r) == 0);
	CHECK(ptrace(PTRACE_SYSCALL, server, NULL, NULL) == 0);
	stopped(server);
	CHECK(ptrace(PTRACE_GETREGS, server, NULL, r) == 0);
	r->rax = (unsigned long long)-error;
	CHECK(ptrace(PTRACE_SETREGS, server, NULL, r) == 0);
}

/*
 * Lets the client's process run to its end, the server's eligible call number @n failing: the error
 * that it was given, 0 when it makes fewer.
 */
static int run_with_fault(pid_t client, int n, int error, int *ret_status)
{
	int given = 0;
	bool entry = true;

	for (;;) {
		struct user_regs_struct r;
		int status;
		pid_t who = waitpid(-1, &status, __WALL);

		CHECK(who > 0);
		if (who == client) {
			*ret_status = status;
			return given;
		}
		if (who != m.server || !WIFSTOPPED(status))
			continue;
		CHECK(WSTOPSIG(status) != SIGSEGV);
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			CHECK(ptrace(PTRACE_GETREGS, m.server, NULL, &r) == 0);
			if (entry && !given && is_eligible(m.server, &r) && n-- == 0) {
				given = error_of(&r, error);
				fail_call(m.server, &r, given);
				entry = false;
			}
			entry = !entry;
		}
		CHECK(ptrace(PTRACE_SYSCALL, m.server, NULL, NULL) == 0);
	}
}

static void seize(void)
{
	CHECK(ptrace(PTRACE_SEIZE, m.server, NULL, PTRACE_O_TRACESYSGOOD) == 0);
	CHECK(ptrace(PTRACE_INTERRUPT, m.server, NULL, NULL) == 0);
	stopped(m.server);
	/* It stands in read(2) of /dev/fuse, which begins anew: an exit comes first. */
	CHECK(ptrace(PTRACE_SYSCALL, m.server, NULL, NULL) == 0);
}

static void release(void)
{
	CHECK(ptrace(PTRACE_INTERRUPT, m.server, NULL, NULL) == 0);
	stopped(m.server);
	CHECK(ptrace(PTRACE_DETACH, m.server, NULL, NULL) == 0);
}

static pid_t act_in(int dir)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	_exit(deed->act(dir) == 0 ? 0 : errno ? errno : 1);
}

/* Whether the deed makes as many calls. */
static bool try_fault(int n, int error)
{
	int dir[2], given, status;
	char name[32], path[64];

	CHECK(next_folder < FOLDERS);
	snprintf(name, sizeof(name), "n%d", next_folder++);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", i ? "plain" : "mnt", name);
		dir[i] = mounted_open(&m, path, O_RDONLY);
		CHECK(!deed->prepare || deed->prepare(dir[i]) == 0);
	}
	seize();
	given = run_with_fault(act_in(dir[0]), n, error, &status);
	release();
	CHECK(WIFEXITED(status));
	status = WEXITSTATUS(status);
	if (status && status != given && status != EIO)
		printf("# call %d failed with %s, the client got %s\n", n, strerrorname_np(given),
		       strerrorname_np(status));
	/* What stops the comparing of what is read with its digest is EIO. */
	CHECK(!status || status == given || status == EIO);
	/* With an error it was not done; or done, and only its outcome was not to be had. */
	if (!status || !beside_same(&m, name, false))
		CHECK(deed->act(dir[1]) == 0);
	if (!beside_same(&m, name, false))
		printf("# call %d, %llu: %s, the client got %s\n", n, shot, strerrorname_np(given),
		       status ? strerrorname_np(status) : "no error");
	CHECK(beside_same(&m, name, true));
	close(dir[0]);
	close(dir[1]);
	return given;
}

static void at_every_call(void)
{
	const bool all = getenv("FAULTS_ALL");
	int n = 0;

	for (bool more = true; more; n += more) {
		more = try_fault(n, errors[n % 4]);
		for (int k = 1; all && more && k < 4; k++)
			try_fault(n, errors[(n + k) % 4]);
	}
	printf("# %d calls\n", n);
	CHECK(n > 0);
}

static void same_after_remount(void)
{
	char *before = snapshot(m.point, SNAPSHOT_INO), *after;

	CHECK(before && mounted_end(&m) == 0);
	mounted_begin(&m, true, m.mode, 1);
	after = snapshot(m.point, SNAPSHOT_INO);
	CHECK(after && snapshot_same(before, after));
	free(before);
	free(after);
}

static void run(enum ufs_upper_mode mode, const char *prefix)
{
	int base, image, pack;

	m = (struct mounted){ .mode = mode };
	next_folder = 0;
	mounted_dir(&m);
	base = mounted_open(&m, "plain", O_RDONLY | O_DIRECTORY);
	make_folders(base, FOLDERS);
	image = mounted_open(&m, "index", O_RDWR | O_CREAT);
	pack = mounted_open(&m, "pack", O_RDWR | O_CREAT);
	index_of(base, image, pack);
	close(image);
	close(pack);
	close(base);
	mounted_begin(&m, true, mode, 1);
	for (size_t i = 0; i < CHANGINGS; i++) {
		deed = &changings[i];
		if (only && strcmp(only, deed->name) != 0)
			continue;
		tap_run(prefix, deed->name, at_every_call);
	}
	tap_run(prefix, "the same after a remount", same_after_remount);
	mounted_end(&m);
	mounted_remove(&m);
}

int main(void)
{
	const char *missing = mounted_missing();

	if (missing)
		return tap_skip(missing);
	only = getenv("FAULTS_DEED");
	umask(022);
	run(UFS_UPPER_NATIVE, "native");
	run(UFS_UPPER_MAPPED, "mapped");
	return tap_done();
}
