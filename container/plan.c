/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parent opens for the child: the root and the sources of bind mounts, as detached mounts.
 * So no path of the host is looked up once the child has begun, and a source is found with the
 * caller's rights.
 */
#include "container/inner.h"

#include "base/fd.h"
#include <sys/mount.h>
#include <sys/stat.h>

static int set_attr(int tree, uint64_t attr)
{
	/* Private: a mount made below it must not appear in the host's peer of it. */
	struct mount_attr a = { .attr_set = attr, .propagation = MS_PRIVATE };

	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof(a)) < 0)
		return -errno;
	return 0;
}

static int open_root(struct plan *p, int mount)
{
	int r;

	p->root = open_tree(mount, "",
			    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	p->root_owned = p->root >= 0;
	if (p->root < 0) {
		/* A detached mount, which cannot be cloned before Linux 6.15: it is moved. */
		if (errno != EINVAL)
			return err_sys("cannot clone the root mount");
		p->root = mount;
	}
	/*
	 * No device on it is one: with CAP_MKNOD, which docker's default set has, and no device
	 * cgroup, the container would open the host's disks.
	 */
	r = set_attr(p->root, MOUNT_ATTR_NODEV);
	return r < 0 ? err(r, "cannot prepare the root mount: %s", strerror(-r)) : 0;
}

static int open_source(struct bind *b, const char *source)
{
	struct stat st;
	uint64_t attr = b->rdonly ? MOUNT_ATTR_RDONLY : 0;
	int r;

	b->tree = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (b->tree < 0 || fstat(b->tree, &st) < 0)
		return err_sys("cannot open the mount source %s", source);
	b->directory = S_ISDIR(st.st_mode);
	/* A device that is itself the source was meant to be one. */
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		attr |= MOUNT_ATTR_NODEV;
	r = set_attr(b->tree, attr);
	return r < 0 ? err(r, "cannot prepare the mount of %s: %s", source, strerror(-r)) : 0;
}

static int add_bind(struct plan *p, const char *source, const char *target, bool rdonly)
{
	struct bind *b = &p->binds[p->nbinds++];

	*b = (struct bind){ .tree = -1, .directory = true, .rdonly = rdonly, .target = target };
	return source ? open_source(b, source) : 0;
}

static int add_mount(struct plan *p, const struct ctr_mount *m)
{
	int r = add_bind(p, m->source, m->target, m->rdonly);

	p->binds[p->nbinds - 1].tmpfs = m->source ? NULL : m;
	return r;
}

static int open_binds(struct plan *p)
{
	const struct ctr_spec *s = p->spec;
	int r = 0;

	if (!s->nmounts && !s->resolv_conf && !s->hosts)
		return 0;
	p->binds = mem_new(s->nmounts + 2, sizeof(*p->binds));
	if (!p->binds)
		return -ENOMEM;
	/* The host's own files: read-only, or the container's root would edit the host. */
	if (s->resolv_conf)
		r = add_bind(p, s->resolv_conf, "/etc/resolv.conf", true);
	if (r >= 0 && s->hosts)
		r = add_bind(p, s->hosts, "/etc/hosts", true);
	for (size_t i = 0; r >= 0 && i < s->nmounts; i++)
		r = add_mount(p, &s->mounts[i]);
	return r;
}

int plan_init(struct plan *p, const struct ctr_spec *spec, int join)
{
	int r;

	*p = (struct plan){
		.spec = spec, .given = spec->given, .root = -1, .join = join, .proc = -1
	};
	if (!spec->argv || !spec->argv[0])
		return err(-EINVAL, "no command specified");
	if (p->given)
		return plan_given(p);
	p->wait = spec->enter || (spec->userns && join < 0);
	if (join >= 0)
		return 0;
	r = open_root(p, spec->root_mount);
	return r < 0 ? r : open_binds(p);
}

void plan_done(struct plan *p)
{
	if (p->root_owned)
		fd_close(p->root);
	for (size_t i = 0; i < p->nbinds; i++)
		fd_close(p->binds[i].tree);
	free(p->binds);
	plan_given_done(p);
	*p = (struct plan){ .root = -1, .proc = -1 };
}
