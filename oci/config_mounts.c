/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "mounts" of a config. Options are mount(8)'s words; what is none of them goes to the file system
 * as its own. A bind takes attributes only (MOUNT_ATTR_), so options of a file system mean nothing
 * to it.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/config.h"
#include <limits.h>
#include <sys/mount.h>

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
#ifndef MOUNT_ATTR__ATIME
#define MOUNT_ATTR__ATIME 0x00000070
#endif

enum kind { FLAG, CLEAR, PROPAGATION, BIND, ATIME, COPYUP, IDMAP, NOTHING };

static const struct option {
	const char *name;
	enum kind kind;
	unsigned long flag; /* MS_ */
	uint64_t attr;	    /* MOUNT_ATTR_ */
	bool both;	    /* "r" + name is there too: with all that is mounted below */
} options[] = {
	{ "ro", FLAG, MS_RDONLY, MOUNT_ATTR_RDONLY, true },
	{ "rw", CLEAR, MS_RDONLY, MOUNT_ATTR_RDONLY, true },
	{ "nosuid", FLAG, MS_NOSUID, MOUNT_ATTR_NOSUID, true },
	{ "suid", CLEAR, MS_NOSUID, MOUNT_ATTR_NOSUID, true },
	{ "nodev", FLAG, MS_NODEV, MOUNT_ATTR_NODEV, true },
	{ "dev", CLEAR, MS_NODEV, MOUNT_ATTR_NODEV, true },
	{ "noexec", FLAG, MS_NOEXEC, MOUNT_ATTR_NOEXEC, true },
	{ "exec", CLEAR, MS_NOEXEC, MOUNT_ATTR_NOEXEC, true },
	{ "nodiratime", FLAG, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, true },
	{ "diratime", CLEAR, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, true },
	{ "nosymfollow", FLAG, MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW, true },
	{ "symfollow", CLEAR, MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW, true },
	{ "noatime", ATIME, MS_NOATIME, MOUNT_ATTR_NOATIME, true },
	{ "relatime", ATIME, MS_RELATIME, MOUNT_ATTR_RELATIME, true },
	{ "strictatime", ATIME, MS_STRICTATIME, MOUNT_ATTR_STRICTATIME, true },
	{ "atime", CLEAR, MS_NOATIME, 0, true },
	{ "norelatime", CLEAR, MS_RELATIME, 0, true },
	{ "nostrictatime", CLEAR, MS_STRICTATIME, 0, true },
	{ "sync", FLAG, MS_SYNCHRONOUS, 0, false },
	{ "async", CLEAR, MS_SYNCHRONOUS, 0, false },
	{ "dirsync", FLAG, MS_DIRSYNC, 0, false },
	{ "mand", NOTHING, 0, 0, false },
	{ "nomand", NOTHING, 0, 0, false },
	{ "iversion", FLAG, MS_I_VERSION, 0, false },
	{ "noiversion", CLEAR, MS_I_VERSION, 0, false },
	{ "silent", FLAG, MS_SILENT, 0, false },
	{ "loud", CLEAR, MS_SILENT, 0, false },
	{ "defaults", NOTHING, 0, 0, false },
	{ "bind", BIND, 0, 0, true },
	{ "private", PROPAGATION, MS_PRIVATE, 0, true },
	{ "shared", PROPAGATION, MS_SHARED, 0, true },
	{ "slave", PROPAGATION, MS_SLAVE, 0, true },
	{ "unbindable", PROPAGATION, MS_UNBINDABLE, 0, true },
	{ "tmpcopyup", COPYUP, 0, 0, false },
	{ "copy-symlink", NOTHING, 0, 0, false },
	{ "idmap", IDMAP, 0, 0, true },
};

const char *oci_mount_option_name(unsigned n)
{
	return n < ARRAY_SIZE(options) ? options[n].name : NULL;
}

static const struct option *find(const char *word, bool *recursive)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		*recursive = false;
		if (streq(options[i].name, word))
			return &options[i];
		*recursive = true;
		if (options[i].both && *word == 'r' && streq(options[i].name, word + 1))
			return &options[i];
	}
	return NULL;
}

/* What an option does to @m; "ro" and "rro" differ for a bind alone. */
static void apply(struct ctr_given_mount *m, const struct option *o, bool recursive, bool *bind)
{
	uint64_t *set = recursive ? &m->rec_set : &m->attr_set;
	uint64_t *clr = recursive ? &m->rec_clr : &m->attr_clr;

	switch (o->kind) {
	case FLAG:
		m->flags |= o->flag;
		*set |= o->attr;
		*clr &= ~o->attr;
		break;
	case CLEAR:
		m->flags &= ~o->flag;
		*set &= ~o->attr;
		/* A bind of what is read-only stays so, unless all of it is to be writable. */
		if (recursive)
			*clr |= o->attr;
		break;
	case ATIME:
		m->flags &= ~(unsigned long)(MS_NOATIME | MS_RELATIME | MS_STRICTATIME);
		m->flags |= o->flag;
		*set = (*set & ~(uint64_t)MOUNT_ATTR__ATIME) | o->attr;
		*clr |= MOUNT_ATTR__ATIME;
		break;
	case PROPAGATION:
		m->propagation = o->flag | (recursive ? MS_REC : 0);
		break;
	case BIND:
		*bind = true;
		m->recursive = recursive;
		break;
	case COPYUP:
		m->copyup = true;
		break;
	case IDMAP:
	case NOTHING:
		break;
	}
}

static int parse_options(struct oci_config *c, const json_t *j, struct ctr_given_mount *m,
			 bool *bind)
{
	_buf_done_ struct buf data = { 0 };
	char **words = NULL;
	int r = member_strv(&c->mem, j, "options", &words);

	for (; r >= 0 && words && *words; words++) {
		bool recursive;
		const struct option *o = find(*words, &recursive);

		if (o && o->kind == IDMAP)
			return err(-EINVAL, "config: %s: idmapped mounts are not supported",
				   m->target);
		if (o)
			apply(m, o, recursive, bind);
		else
			buf_addf(&data, "%s%s", data.len ? "," : "", *words);
	}
	if (r < 0)
		return r;
	m->data = data.len ? keep_fmt(&c->mem, "%s", data.data) : NULL;
	return data.failed || (data.len && !m->data) ? -ENOMEM : 0;
}

static int check(const json_t *j, const struct ctr_given_mount *m)
{
	const json_t *map = NULL;
	int r = member_array(j, "uidMappings", &map);

	if (r >= 0)
		r = member_array(j, "gidMappings", &map);
	if (r < 0)
		return r;
	if (json_array_size(map))
		return err(-EINVAL, "config: %s: idmapped mounts are not supported", m->target);
	if (!m->target || !*m->target)
		return err(-EINVAL, "config: a mount without a destination");
	if (m->copyup && (!m->type || !streq(m->type, "tmpfs")))
		return err(-EINVAL, "config: %s: tmpcopyup is tmpfs's", m->target);
	return 0;
}

/* Old engines write a destination without its slash (the spec: relative to "/"). */
static int absolute(struct oci_config *c, const char **path)
{
	if (*path && **path != '/')
		*path = keep_fmt(&c->mem, "/%s", *path);
	return *path ? 0 : -ENOMEM;
}

static int parse_mount(struct oci_config *c, const json_t *j, struct ctr_given_mount *m)
{
	bool bind = false;
	int r = member_str(j, "destination", &m->target);

	if (r >= 0)
		r = member_str(j, "type", &m->type);
	if (r >= 0)
		r = member_str(j, "source", &m->source);
	if (r >= 0)
		r = parse_options(c, j, m, &bind);
	if (r >= 0)
		r = check(j, m);
	if (r >= 0)
		r = absolute(c, &m->target);
	if (r < 0)
		return r;
	if (bind || (m->type && streq(m->type, "bind"))) {
		m->type = NULL;
		if (!m->source || !*m->source)
			return err(-EINVAL, "config: %s: a bind mount without a source", m->target);
		return 0;
	}
	if (!m->type || !*m->type)
		return err(-EINVAL, "config: %s: a mount without a type", m->target);
	if (!m->source || !*m->source)
		m->source = m->type;
	return 0;
}

int config_mounts(struct oci_config *c, const json_t *mounts)
{
	size_t n = json_array_size(mounts);
	struct ctr_given_mount *m = keep_new(&c->mem, n, sizeof(*m));
	int r = 0;

	if (!m)
		return -ENOMEM;
	for (size_t i = 0; r >= 0 && i < n; i++) {
		r = parse_mount(c, json_array_get(mounts, i), &m[i]);
		if (r >= 0 && m[i].type && streq(m[i].type, "cgroup"))
			c->cgroup_mount = (int)i;
	}
	c->given.mounts = m;
	c->given.nmounts = n;
	return r;
}
