/* SPDX-License-Identifier: Apache-2.0 */
/* What the parent opens for a given container: the sources of binds, and what is the host's. */
#include "container/inner.h"

#include "base/fd.h"
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

const struct ctr_namespace *given_namespace(const struct ctr_given *g, int flag)
{
	for (size_t i = 0; i < g->nnamespaces; i++) {
		if (g->namespaces[i].flag == flag)
			return &g->namespaces[i];
	}
	return NULL;
}

static int set_attr(int tree, uint64_t set, uint64_t clr, unsigned long propagation, bool recursive)
{
	struct mount_attr a = {
		.attr_set = set,
		.attr_clr = clr,
		.propagation = propagation & ~(unsigned long)MS_REC,
	};

	if (!set && !clr && !a.propagation)
		return 0;
	return mount_setattr(tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &a,
			     sizeof(a)) < 0 ?
		       -errno :
		       0;
}

/* The mounts below the one that is propagated alone are cut off all the same. */
static int prepare(int tree, const struct ctr_given_mount *m)
{
	unsigned long propagation = m->propagation ? m->propagation : MS_PRIVATE | MS_REC;
	int r = 0;

	if (!(propagation & MS_REC) && m->recursive)
		r = set_attr(tree, 0, 0, MS_PRIVATE, true);
	if (r >= 0)
		r = set_attr(tree, 0, 0, propagation, propagation & MS_REC);
	if (r >= 0)
		r = set_attr(tree, m->rec_set, m->rec_clr, 0, true);
	return r < 0 ? r : set_attr(tree, m->attr_set, m->attr_clr, 0, false);
}

static int open_bind(struct bind *b, const struct ctr_given_mount *m)
{
	struct stat st;
	int r;

	b->tree =
		open_tree(AT_FDCWD, m->source,
			  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (m->recursive ? AT_RECURSIVE : 0));
	if (b->tree < 0 || fstat(b->tree, &st) < 0)
		return err_sys("cannot open the mount source %s", m->source);
	b->directory = S_ISDIR(st.st_mode);
	r = prepare(b->tree, m);
	return r < 0 ? err(r, "cannot prepare the mount of %s: %s", m->source, strerror(-r)) : 0;
}

static int open_binds(struct plan *p)
{
	const struct ctr_given *g = p->given;
	int r = 0;

	p->binds = mem_new(g->nmounts, sizeof(*p->binds));
	if (!p->binds)
		return -ENOMEM;
	for (size_t i = 0; r >= 0 && i < g->nmounts; i++) {
		struct bind *b = &p->binds[p->nbinds++];

		*b = (struct bind){ .tree = -1, .directory = true, .target = g->mounts[i].target };
		if (!g->mounts[i].type)
			r = open_bind(b, &g->mounts[i]);
	}
	return r;
}

int given_device_open(const char *path, mode_t type, dev_t rdev)
{
	_close_ int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct stat st;

	if (tree < 0 || fstat(tree, &st) < 0)
		return err_sys("cannot open the host's %s", path);
	if ((st.st_mode & S_IFMT) != (type & S_IFMT) || st.st_rdev != rdev)
		return err(-ENODEV, "the host's %s is not device %u:%u", path, major(rdev),
			   minor(rdev));
	return take_fd(tree);
}

static int open_devices(struct plan *p)
{
	const struct ctr_given *g = p->given;

	if (!g->bind_devices)
		return 0;
	p->devices = mem_new(g->ndevices, sizeof(*p->devices));
	if (!p->devices)
		return -ENOMEM;
	for (size_t i = 0; i < g->ndevices; i++)
		p->devices[i] = -1;
	for (size_t i = 0; i < g->ndevices; i++) {
		const struct ctr_device *d = &g->devices[i];

		if (S_ISFIFO(d->mode))
			continue;
		p->devices[i] = given_device_open(d->path, d->mode, d->rdev);
		if (p->devices[i] < 0)
			return p->devices[i];
	}
	return 0;
}

static int open_proc(struct plan *p)
{
	struct statfs fs;

	p->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->proc < 0 || fstatfs(p->proc, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return err(-EXDEV, "/proc is not a procfs");
	return 0;
}

static int open_all(struct plan *p)
{
	const struct ctr_namespace *user = given_namespace(p->given, CLONE_NEWUSER);
	int r = open_proc(p);

	p->wait = p->spec->enter || (user && p->join < 0);
	if (r < 0 || p->join >= 0)
		return r;
	if (!given_namespace(p->given, CLONE_NEWNS))
		return err(-EINVAL, "a container needs a mount namespace of its own");
	p->through = user && user->fd >= 0;
	p->root = p->spec->root_mount;
	r = open_binds(p);
	return r < 0 ? r : open_devices(p);
}

int plan_given(struct plan *p)
{
	int r = open_all(p);

	/* ENOENT and EACCES speak of the command. */
	return r == -ENOENT || r == -EACCES ? err(-EIO, "%s", strerror(-r)) : r;
}

void plan_given_done(struct plan *p)
{
	for (size_t i = 0; p->devices && i < p->given->ndevices; i++)
		fd_close(p->devices[i]);
	free(p->devices);
	fd_close(p->proc);
}
