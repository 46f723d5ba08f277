/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a deed of the comparison with kernel overlayfs (semantics.c) says what it saw: each call's
 * outcome a line, in the order of the deed, so that two runs can be compared as text. Errors by
 * their names, times by whether they moved.
 */
#ifndef TESTS_UNIONFS_DEEDS_H
#define TESTS_UNIONFS_DEEDS_H

#include "fixture.h"

#include <errno.h>
#include <grp.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static FILE *said; /* appended to, over fork(2) */

static long say(const char *what, long r)
{
	int e = errno;

	fprintf(said, "%s: %s", what, r < 0 ? strerrorname_np(e) : "");
	if (r >= 0)
		fprintf(said, "%ld", r);
	fprintf(said, "\n");
	fflush(said);
	errno = e;
	return r;
}

/* A call, and its outcome; of one that gives a descriptor only whether it did. */
#define TRY(x) say(#x, (x))
#define TRY_FD(x)                                         \
	__extension__({                                   \
		int fd_ = (x);                            \
		say("fd of " #x, fd_ < 0 ? fd_ : 0), fd_; \
	})
#define NOTE(...)                           \
	do {                                \
		fprintf(said, __VA_ARGS__); \
		fprintf(said, "\n");        \
		fflush(said);               \
	} while (0)

/* What a name shows, but for times and numbers. */
static void look(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0) {
		NOTE("%s: %s", path, strerrorname_np(errno));
		return;
	}
	fprintf(said, "%s: %o %u:%u", path, st.st_mode, st.st_uid, st.st_gid);
	if (!S_ISDIR(st.st_mode))
		fprintf(said, " links %lu size %lld", (unsigned long)st.st_nlink,
			(long long)st.st_size);
	NOTE(" rdev %lx", (unsigned long)st.st_rdev);
}

static void show(const char *path)
{
	char buf[200];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (fd < 0 || n < 0)
		NOTE("%s holds: %s", path, strerrorname_np(errno));
	else
		NOTE("%s holds: %.*s", path, (int)n, buf);
	if (fd >= 0)
		close(fd);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	say(path, fd < 0 ? -1 : write(fd, text, strlen(text)));
	if (fd >= 0)
		close(fd);
}

/* Coarse clocks stand still for up to a tick. */
static void wait_tick(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 12000000 }, NULL);
}

struct times {
	const char *path;
	struct stat st;
};

static struct times times_of(const char *path)
{
	const struct timespec old[2] = { { FIXTURE_TIME, 7 }, { FIXTURE_TIME, 7 } };
	struct times t = { .path = path };

	utimensat(AT_FDCWD, path, old, AT_SYMLINK_NOFOLLOW);
	if (lstat(path, &t.st) < 0)
		NOTE("%s: %s", path, strerrorname_np(errno));
	wait_tick();
	return t;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static void say_moved(const char *what, const struct times *t, const char *now)
{
	struct stat st;

	if (lstat(now ? now : t->path, &st) < 0)
		NOTE("%s: times of %s: %s", what, t->path, strerrorname_np(errno));
	else
		NOTE("%s: times of %s:%s%s%s", what, t->path,
		     same_time(st.st_atim, t->st.st_atim) ? "" : " atime",
		     same_time(st.st_mtim, t->st.st_mtim) ? "" : " mtime",
		     same_time(st.st_ctim, t->st.st_ctim) ? "" : " ctime");
}

/* Does @fn as another user; its capabilities are gone. */
static void as(uid_t uid, gid_t gid, gid_t group, void (*fn)(void))
{
	pid_t pid;

	fflush(said);
	pid = fork();
	FIXTURE_MUST(pid >= 0);
	if (!pid) {
		if (setgroups(group ? 1 : 0, &group) < 0 || setresgid(gid, gid, gid) < 0 ||
		    setresuid(uid, uid, uid) < 0)
			_exit(1);
		NOTE("as %u:%u+%u", uid, gid, group);
		fn();
		fflush(said);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	NOTE("as root");
}

#endif
