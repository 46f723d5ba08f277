/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mount of type "cgroup" is the container's own groups: v2's folder, or a tmpfs with one
 * directory for each hierarchy of v1. They are bound, which in a cgroup namespace looks just like
 * mounts of its own, and works in a user namespace too.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "oci/bundle.h"
#include <sys/mount.h>

static const char *base_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

static struct ctr_given_mount bind_of(const struct ctr_given_mount *m, const char *source,
				      const char *target, bool recursive)
{
	return (struct ctr_given_mount){
		.target = target,
		.source = source,
		.recursive = recursive,
		.attr_set = recursive ? 0 : m->attr_set,
		.rec_set = recursive ? m->attr_set : 0,
	};
}

/* "cpu" and "cpuacct", which lie in "cpu,cpuacct". */
static int add_links(struct oci_config *c, const struct cgroup_folder *f, const char *dir)
{
	_free_ char *names = strdup(f->names);
	struct ctr_link *l = keep_new(&c->mem, c->given.nlinks + 8, sizeof(*l));
	size_t n = c->given.nlinks;
	char *at;

	if (!names || !l)
		return -ENOMEM;
	memcpy(l, c->given.links, n * sizeof(*l));
	for (char *w = strtok_r(names, ",", &at); w && n < c->given.nlinks + 8;
	     w = strtok_r(NULL, ",", &at)) {
		if (streq(w, base_name(f->mount)) || str_after(w, "name="))
			continue;
		l[n].path = keep_fmt(&c->mem, "%s/%s", dir, w);
		l[n].target = keep_fmt(&c->mem, "%s", base_name(f->mount));
		if (!l[n].path || !l[n].target)
			return -ENOMEM;
		n++;
	}
	c->given.links = l;
	c->given.nlinks = n;
	return 0;
}

/* The tmpfs, then each hierarchy below it. */
static int spread(struct oci_config *c, const struct oci_cgroup *g, struct ctr_given_mount *to,
		  const struct ctr_given_mount *m)
{
	*to = *m;
	to->type = to->source = "tmpfs";
	to->data = "mode=755,size=64k";
	for (size_t i = 0; i < g->n; i++) {
		const char *path = keep_fmt(&c->mem, "%s/%s", m->target, base_name(g->f[i].mount));
		int r = path ? add_links(c, &g->f[i], m->target) : -ENOMEM;

		if (r < 0)
			return r;
		to[1 + i] = bind_of(m, g->f[i].dir, path, false);
	}
	return 0;
}

int bundle_cgroup_view(struct oci_config *c, const struct oci_cgroup *g)
{
	size_t at = (size_t)c->cgroup_mount, n = c->given.nmounts, more = 0;
	const struct ctr_given_mount *m = c->given.mounts;
	struct ctr_given_mount *all;
	int r = 0;

	if (c->cgroup_mount < 0)
		return 0;
	all = keep_new(&c->mem, n + CGROUPS_MAX, sizeof(*all));
	if (!all)
		return -ENOMEM;
	memcpy(all, m, (at + 1) * sizeof(*all));
	if (!g->n)
		all[at] = bind_of(&m[at], "/sys/fs/cgroup", m[at].target, true);
	else if (g->n == 1 && g->f[0].v2)
		all[at] = bind_of(&m[at], g->f[0].dir, m[at].target, false);
	else {
		r = spread(c, g, &all[at], &m[at]);
		more = g->n;
	}
	memcpy(&all[at + 1 + more], &m[at + 1], (n - at - 1) * sizeof(*all));
	c->given.mounts = all;
	c->given.nmounts = n + more;
	return r;
}
