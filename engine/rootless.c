/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/rootless.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#define SUBIDS_MAX (1u << 20) /* bytes of /etc/subuid */
#define RANGES_MAX 32u	      /* of one user in it */

/* @count ids of the host's from @first on. */
struct range {
	uint32_t first, count;
};

struct ranges {
	struct range r[RANGES_MAX];
	size_t n;
};

/* Which of the two kinds of ids. */
struct kind {
	const char *file, *helper;
};

static const struct kind uids = { "/etc/subuid", "newuidmap" };
static const struct kind gids = { "/etc/subgid", "newgidmap" };

/* ---- who has which ids ---- */

/* subuid(5): "user:first:count", the user by name or by number. */
static void parse_line(char *line, const char *name, const char *number, struct ranges *all)
{
	char *first = strchr(line, ':'), *count = first ? strchr(first + 1, ':') : NULL;
	uint64_t f, c;

	if (!count || all->n == RANGES_MAX)
		return;
	*first++ = *count++ = '\0';
	if ((!streq(line, number) && !(name && streq(line, name))) ||
	    str_u64(first, 1, UINT32_MAX - 1, &f) < 0 ||
	    str_u64(count, 1, UINT32_MAX - 1 - f, &c) < 0)
		return;
	all->r[all->n++] = (struct range){ (uint32_t)f, (uint32_t)c };
}

static void read_ranges(const struct kind *k, const char *name, struct ranges *ret)
{
	_free_ char *text = NULL;
	char number[16];

	ret->n = 0;
	snprintf(number, sizeof(number), "%u", (unsigned)getuid());
	if (file_read_all(AT_FDCWD, k->file, SUBIDS_MAX, &text, NULL) < 0)
		return;
	for (char *line = text, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		parse_line(line, name, number, ret);
	}
}

static uint32_t sum(const struct ranges *all)
{
	uint64_t n = 1; /* his own */

	for (size_t i = 0; i < all->n; i++)
		n += all->r[i].count;
	return (uint32_t)MIN(n, (uint64_t)UINT32_MAX);
}

/* Both kinds, or -EPERM with the remedy. */
static int find_ids(struct ranges *u, struct ranges *g)
{
	const struct passwd *pw = getpwuid(getuid());
	const char *name = pw ? pw->pw_name : NULL;
	_free_ char *path = NULL;

	read_ranges(&uids, name, u);
	read_ranges(&gids, name, g);
	if (!u->n || !g->n)
		return err(-EPERM,
			   "this needs root, or ids for user %s in %s: `usermod --add-subuids "
			   "100000-165535 --add-subgids 100000-165535 %s` gives them",
			   name ? name : "?", u->n ? gids.file : uids.file, name ? name : "NAME");
	if (proc_find(uids.helper, &path) < 0)
		return err(-EPERM, "this needs root, or newuidmap: install the package uidmap");
	return 0;
}

uint32_t rootless_ids_given(void)
{
	struct ranges u, g;

	return find_ids(&u, &g) < 0 ? 0 : MIN(sum(&u), sum(&g));
}

/* ---- the namespace ---- */

/* newuidmap(1): PID, then inside, outside and count of each range. */
static int map_ids(const struct kind *k, pid_t pid, uint32_t own, const struct ranges *all)
{
	static const int fds[] = { -1, -1, 2 };
	_strv_free_ char **argv = NULL;
	_free_ char *path = NULL;
	int pidfd = -1, status = -1, r = proc_find(k->helper, &path);
	uint32_t next = 1;

	if (r >= 0)
		r = strv_addf(&argv, "%s", k->helper);
	if (r >= 0)
		r = strv_addf(&argv, "%d", (int)pid);
	for (int i = 0; r >= 0 && i < 3; i++)
		r = strv_addf(&argv, "%u", i == 0 ? 0 : i == 1 ? own : 1);
	for (size_t i = 0; r >= 0 && i < all->n; i++) {
		const struct range *g = &all->r[i];
		const uint32_t words[] = { next, g->first, g->count };

		for (int w = 0; r >= 0 && w < 3; w++)
			r = strv_addf(&argv, "%u", words[w]);
		next += g->count;
	}
	if (r >= 0)
		r = proc_spawn(path, argv, NULL, fds, 3, NULL, &pidfd);
	if (r >= 0)
		r = proc_wait(pidfd, &status);
	fd_close(pidfd);
	return r >= 0 && status ? -EPERM : r;
}

/* The helper is outside of the namespace whose maps it writes: a fork from before there was one. */
static _Noreturn void mapper(int go, pid_t pid, const struct ranges *u, const struct ranges *g)
{
	const uint32_t uid = getuid(), gid = getgid();
	char byte;

	if (read(go, &byte, 1) != 1)
		_exit(1);
	_exit(map_ids(&gids, pid, gid, g) < 0 || map_ids(&uids, pid, uid, u) < 0);
}

static int own_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys("mount namespace");
	return 0;
}

static int make_namespace(const struct ranges *u, const struct ranges *g)
{
	_close_ int pidfd = -1;
	int go[2], status = -1, r = 0;
	pid_t pid, us = getpid();

	if (pipe2(go, O_CLOEXEC) < 0)
		return err_sys("pipe");
	pid = fork();
	if (pid == 0) {
		fd_close(go[1]);
		mapper(go[0], us, u, g);
	}
	fd_close(go[0]);
	if (pid < 0)
		r = err_sys("fork");
	else if ((pidfd = proc_pidfd(pid)) < 0)
		r = pidfd;
	else if (unshare(CLONE_NEWUSER) < 0)
		r = err(-EPERM, "this needs root, or user namespaces, which this host refuses: %s",
			strerror(errno));
	else if (write(go[1], "", 1) != 1)
		r = err_sys("pipe");
	fd_close(go[1]);
	if (pidfd >= 0 && proc_wait(pidfd, &status) >= 0 && r >= 0 && status)
		r = err(-EPERM, "%s or %s refused the ids that %s and %s say", uids.helper,
			gids.helper, uids.file, gids.file);
	return r;
}

int rootless_enter(void)
{
	struct ranges u, g;
	int r = 0;

	if (geteuid() == 0)
		return 0;
	r = find_ids(&u, &g);
	if (r >= 0)
		r = make_namespace(&u, &g);
	return r < 0 ? r : own_mounts();
}

int rootless_join(int pidfd)
{
	if (geteuid() == 0)
		return 0;
	if (setns(pidfd, CLONE_NEWUSER) < 0)
		return err_sys("cannot join the instance's user namespace");
	return own_mounts();
}
