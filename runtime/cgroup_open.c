/* SPDX-License-Identifier: Apache-2.0 */
/* A group that somebody else made and keeps. */
#include "runtime/cgroup.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"

/* The group's folder in the hierarchy @m, when it has one. */
static int open_dir(struct cgroup *g, const struct cgroup_mount *m)
{
	struct cgroup_dir *d = &g->dirs[g->n];
	_free_ char *path = str_fmt("%s/" CGROUP_FOLDER, m->path);
	_close_ int parent = -1;

	if (!path)
		return -ENOMEM;
	parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return errno == ENOENT ? 0 : -errno;
	d->fd = openat(parent, g->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d->fd < 0)
		return errno == ENOENT ? 0 : -errno;
	d->parent = take_fd(parent);
	d->v2 = m->v2;
	d->controllers = m->controllers;
	g->n++;
	return 0;
}

int cgroup_open(const char *id, struct cgroup **ret)
{
	struct cgroup_mounts mounts;
	struct cgroup *g;
	int r = cgroup_mounts_find(&mounts);

	if (r < 0)
		return r;
	g = new0(struct cgroup);
	r = g && (g->id = strdup(id)) ? 0 : -ENOMEM;
	for (size_t i = 0; r >= 0 && i < mounts.n; i++)
		r = open_dir(g, &mounts.m[i]);
	cgroup_mounts_done(&mounts);
	if (r < 0) {
		cgroup_close(g);
		return err(r, "cgroup of instance %s: %s", id, strerror(-r));
	}
	*ret = g;
	return 0;
}

void cgroup_close(struct cgroup *g)
{
	if (!g)
		return;
	while (g->n) {
		struct cgroup_dir *d = &g->dirs[--g->n];

		fd_close(d->fd);
		fd_close(d->parent);
	}
	free(g->id);
	free(g);
}
