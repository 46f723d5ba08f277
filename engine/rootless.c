/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/rootless.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "container/container.h"
#include "engine/rootfs.h"
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#define SUBIDS_MAX (1u << 20) /* bytes of /etc/subuid */
#define RANGES_MAX 32u	      /* of one user in it */

#define SUBUID "/etc/subuid"
#define SUBGID "/etc/subgid"

/* 0 is the user's own, the others follow without a gap. */
struct ids {
	struct ctr_idmap map[1 + RANGES_MAX];
	size_t n;
	uint32_t count;
};

/* ---- who has which ids ---- */

static void add(struct ids *all, uint32_t outside, uint32_t count)
{
	all->map[all->n++] = (struct ctr_idmap){ all->count, outside, count };
	all->count += count;
}

/* subuid(5): "user:first:count", the user by name or by number. */
static void parse_line(char *line, const char *name, const char *number, struct ids *all)
{
	char *first = strchr(line, ':'), *count = first ? strchr(first + 1, ':') : NULL;
	uint64_t f, c;

	if (!count || all->n == ARRAY_SIZE(all->map))
		return;
	*first++ = *count++ = '\0';
	if ((streq(line, number) || (name && streq(line, name))) &&
	    str_u64(first, 1, UINT32_MAX - 1, &f) == 0 &&
	    str_u64(count, 1, UINT32_MAX - 1 - MAX(f, (uint64_t)all->count), &c) == 0)
		add(all, (uint32_t)f, (uint32_t)c);
}

static void read_ids(const char *file, uint32_t own, const char *name, struct ids *ret)
{
	_free_ char *text = NULL;
	char number[16];

	ret->n = ret->count = 0;
	add(ret, own, 1);
	snprintf(number, sizeof(number), "%u", (unsigned)getuid());
	if (file_read_all(AT_FDCWD, file, SUBIDS_MAX, &text, NULL) < 0)
		return;
	for (char *line = text, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		parse_line(line, name, number, ret);
	}
}

/* Both kinds, or -EPERM with the remedy. */
static int find_ids(struct ids *u, struct ids *g)
{
	const struct passwd *pw = getpwuid(getuid());
	const char *name = pw ? pw->pw_name : NULL;

	read_ids(SUBUID, getuid(), name, u);
	read_ids(SUBGID, getgid(), name, g);
	if (u->n == 1 || g->n == 1)
		return err(-EPERM,
			   "this needs root, or ids for user %s in %s: `usermod --add-subuids "
			   "100000-165535 --add-subgids 100000-165535 %s` gives them",
			   name ? name : "?", u->n > 1 ? SUBGID : SUBUID, name ? name : "NAME");
	if (access(CTR_NEWUIDMAP, X_OK) < 0)
		return err(-EPERM, "this needs root, or %s: install the package uidmap",
			   CTR_NEWUIDMAP);
	return 0;
}

uint32_t rootless_ids_given(void)
{
	struct ids u, g;

	return find_ids(&u, &g) < 0 ? 0 : MIN(u.count, g.count);
}

/* ---- the namespace ---- */

/* The helper is outside of the namespace whose maps it writes: a fork from before there was one. */
static _Noreturn void mapper(int go, pid_t pid, const struct ids *u, const struct ids *g)
{
	char byte;

	_exit(read(go, &byte, 1) != 1 || ctr_map_ids(pid, u->map, u->n, g->map, g->n) < 0);
}

static int make_namespace(const struct ids *u, const struct ids *g)
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
		r = err(-EPERM, "newuidmap or newgidmap refused the ids that %s and %s say", SUBUID,
			SUBGID);
	return r;
}

int rootless_enter(void)
{
	struct ids u, g;
	int r = 0;

	if (geteuid() == 0)
		return 0;
	r = find_ids(&u, &g);
	if (r >= 0)
		r = make_namespace(&u, &g);
	return r < 0 ? r : rootfs_namespace();
}

int rootless_join(int pidfd)
{
	if (geteuid() == 0)
		return 0;
	if (setns(pidfd, CLONE_NEWUSER) < 0)
		return err_sys("cannot join the instance's user namespace");
	return rootfs_namespace();
}
