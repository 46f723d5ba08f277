/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining a container that runs. What is in there may be hostile by now, so from its first moment
 * in the pid namespace the new process is not dumpable: its /proc/PID/root, cwd, fd and exe, which
 * are the host's until it has moved in, stay shut (CVE-2016-9962).
 */
#include "container/inner.h"

#include "base/fd.h"
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/vfs.h>

/* Children are born into the container's pid namespace from now on. */
int join_begin(struct join *j, int pidfd)
{
	j->dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	j->own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (j->own < 0)
		return err_sys("cannot open the pid namespace");
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (setns(pidfd, CLONE_NEWPID) < 0)
		return err_sys("cannot join the container's pid namespace");
	return 0;
}

int join_end(struct join *j)
{
	int r = 0;

	/*
	 * Root of a user namespace alone has no right to the pid namespace that it came from: such
	 * a process makes no other from here on.
	 */
	if (j->own >= 0 && setns(j->own, CLONE_NEWPID) < 0 && errno != EPERM)
		r = err_sys("cannot return to the pid namespace");
	if (j->dumpable == 1)
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	j->own = fd_close(j->own);
	return r;
}

static int namespaces_of(const struct ctr_spec *s)
{
	int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP;

	if (!s->given)
		return flags | (s->userns ? CLONE_NEWUSER : 0);
	flags = 0;
	for (size_t i = 0; i < s->given->nnamespaces; i++)
		flags |= s->given->namespaces[i].flag;
	return flags & ~CLONE_NEWPID;
}

int join_container(struct child *c)
{
	int flags = namespaces_of(c->spec);

	/* The host's, for streams that are to be /dev/null: the container's may be anything. */
	c->dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->dev < 0)
		return err_sys("cannot open /dev");
	if (setns(c->plan->join, flags) < 0)
		return err_sys("cannot join the container's namespaces");
	if (c->spec->given && flags & CLONE_NEWUSER && userns_become_root() < 0)
		return -EPERM;
	c->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return c->root < 0 ? err_sys("cannot open the container's root") : 0;
}

/* From what is a devpts and nothing that was put in its place (CVE-2025-52565). */
int join_tty(struct child *c)
{
	struct statfs fs;
	_close_ int pts = -1;

	if (!c->spec->tty)
		return 0;
	pts = fd_open_beneath(c->root, "dev/pts", O_PATH | O_DIRECTORY, 0);
	if (pts < 0 || fstatfs(pts, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC)
		return err(-ENOTTY, "the container's /dev/pts is no devpts");
	return tty_open_pair(c, pts);
}
