/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/union_option.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#include <sys/mount.h>

/* ---- values ---- */

char *union_option_part(const char **s, char end, bool *ret_more)
{
	char *part = malloc(strlen(*s) + 1), *out = part;

	if (!part)
		return NULL;
	while (**s && **s != end) {
		if (**s == '\\' && (*s)[1])
			(*s)++;
		*out++ = *(*s)++;
	}
	*out = 0;
	*ret_more = **s;
	*s += *ret_more;
	return part;
}

static int set_path(char **to, const char *key, const char *value)
{
	bool more;
	char *path = union_option_part(&value, 0, &more);

	if (!path)
		return -ENOMEM;
	free(*to);
	*to = path;
	return *path ? 0 : err(-EINVAL, "%s=: no path", key);
}

static int add_lower(struct union_options *o, const char *path)
{
	if (!*path)
		return err(-EINVAL,
			   "lowerdir=: an empty path (data-only lowers, \"::\", are not known)");
	if (strv_len(o->lowers) >= UNION_LOWERS_MAX)
		return err(-EINVAL, "lowerdir=: more than %u directories", UNION_LOWERS_MAX);
	return strv_add(&o->lowers, path);
}

static int set_lowerdir(struct union_options *o, const char *value)
{
	bool more;
	int e = 0;

	strv_free(take_ptr(o->lowers));
	do {
		_free_ char *path = union_option_part(&value, ':', &more);

		e = path ? add_lower(o, path) : -ENOMEM;
	} while (!e && more);
	return e;
}

static int add_lowerdir(struct union_options *o, const char *value)
{
	return add_lower(o, value);
}

static int set_upperdir(struct union_options *o, const char *value)
{
	return set_path(&o->upper, "upperdir", value);
}

static int set_workdir(struct union_options *o, const char *value)
{
	return set_path(&o->work, "workdir", value);
}

static int set_fsname(struct union_options *o, const char *value)
{
	return set_path(&o->source, "fsname", value);
}

static int parse_switch(const char *key, const char *value, bool *ret)
{
	if (!streq(value, "on") && !streq(value, "off") && !streq(value, "1") && !streq(value, "0"))
		return err(-EINVAL, "%s=%s: on or off", key, value);
	*ret = streq(value, "on") || streq(value, "1");
	return 0;
}

static int set_metacopy(struct union_options *o, const char *value)
{
	return parse_switch("metacopy", value, &o->metacopy);
}

static int set_redirect(struct union_options *o, const char *value)
{
	if (streq(value, "on"))
		o->redirect = UFS_REDIRECT_ON;
	else if (streq(value, "off") || streq(value, "follow"))
		o->redirect = UFS_REDIRECT_FOLLOW;
	else if (streq(value, "nofollow"))
		o->redirect = UFS_REDIRECT_NOFOLLOW;
	else
		return err(-EINVAL, "redirect_dir=%s: on, follow, off or nofollow", value);
	return 0;
}

/* Numbers of files are constant and links are kept anyway. */
static int set_xino(struct union_options *o, const char *value)
{
	bool on;

	(void)o;
	return streq(value, "auto") ? 0 : parse_switch("xino", value, &on);
}

static int set_index(struct union_options *o, const char *value)
{
	bool on;

	(void)o;
	return parse_switch("index", value, &on);
}

static int set_fsync(struct union_options *o, const char *value)
{
	bool on;
	int e = parse_switch("fsync", value, &on);

	if (!e)
		o->is_volatile = !on;
	return e;
}

static int set_threaded(struct union_options *o, const char *value)
{
	bool on;
	int e = parse_switch("threaded", value, &on);

	if (!e)
		o->single = !on;
	return e;
}

static int set_xattr_permissions(struct union_options *o, const char *value)
{
	(void)o;
	return streq(value, "0") ? 0 : err(-EINVAL, "xattr_permissions=%s: not known", value);
}

static int refuse_plugins(struct union_options *o, const char *value)
{
	(void)o;
	return err(-EINVAL, "plugins=%s: there are none", value);
}

static int set_timeout(struct union_options *o, const char *value)
{
	bool number = value[0] >= '0' && value[0] <= '9';
	char *end = NULL;
	double seconds = number ? strtod(value, &end) : 0;

	if (!end || *end || !(seconds <= 1 << 30))
		return err(-EINVAL, "timeout=%s: seconds from 0 to %d", value, 1 << 30);
	o->timeout.tv_sec = (time_t)seconds;
	o->timeout.tv_nsec = (long)((seconds - (double)o->timeout.tv_sec) * 1e9);
	o->has_timeout = true;
	return 0;
}

static int set_size(struct union_options *o, const char *value)
{
	uint64_t size;

	if (str_size(value, &size) < 0 || !size)
		return err(-EINVAL, "size=%s: no size (bytes, or with k, m, g, t)", value);
	o->size = size;
	return 0;
}

static int set_squash_uid(struct union_options *o, const char *value)
{
	return union_ids_squash(&o->uids, "squash_to_uid", value);
}

static int set_squash_gid(struct union_options *o, const char *value)
{
	return union_ids_squash(&o->gids, "squash_to_gid", value);
}

static int set_uidmapping(struct union_options *o, const char *value)
{
	return union_ids_map(&o->uids, "uidmapping", value);
}

static int set_gidmapping(struct union_options *o, const char *value)
{
	return union_ids_map(&o->gids, "gidmapping", value);
}

/* ---- the tables ---- */

static const struct {
	const char *name;
	int (*set)(struct union_options *o, const char *value); /* NULL: means nothing here */
} with_value[] = {
	{ "lowerdir", set_lowerdir },
	{ "lowerdir+", add_lowerdir },
	{ "upperdir", set_upperdir },
	{ "workdir", set_workdir },
	{ "redirect_dir", set_redirect },
	{ "metacopy", set_metacopy },
	{ "xino", set_xino },
	{ "index", set_index },
	{ "uidmapping", set_uidmapping },
	{ "gidmapping", set_gidmapping },
	{ "squash_to_uid", set_squash_uid },
	{ "squash_to_gid", set_squash_gid },
	{ "timeout", set_timeout },
	{ "size", set_size },
	{ "fsync", set_fsync },
	{ "threaded", set_threaded },
	{ "xattr_permissions", set_xattr_permissions },
	{ "plugins", refuse_plugins },
	{ "fsname", set_fsname },
	/* how fuse-overlayfs goes about things */
	{ "fast_ino", NULL },
	{ "writeback", NULL },
	{ "subtype", NULL },
};

static const struct {
	const char *name;
	size_t field; /* a bool's offset */
	bool value;
} switches[] = {
	{ "volatile", offsetof(struct union_options, is_volatile), true },
	{ "userxattr", offsetof(struct union_options, userxattr), true },
	{ "ro", offsetof(struct union_options, rdonly), true },
	{ "rw", offsetof(struct union_options, rdonly), false },
	{ "noacl", offsetof(struct union_options, noacl), true },
	{ "acl", offsetof(struct union_options, noacl), false },
	{ "static_nlink", offsetof(struct union_options, static_nlink), true },
	{ "squash_to_root", offsetof(struct union_options, squash_to_root), true },
	{ "allow_other", offsetof(struct union_options, allow_other), true },
	{ "debug", offsetof(struct union_options, debug), true },
};

static const struct {
	const char *name;
	uint64_t set, clear;
} flags[] = {
	{ "nosuid", MOUNT_ATTR_NOSUID, 0 },
	{ "suid", 0, MOUNT_ATTR_NOSUID },
	{ "nodev", MOUNT_ATTR_NODEV, 0 },
	{ "dev", 0, MOUNT_ATTR_NODEV },
	{ "noexec", MOUNT_ATTR_NOEXEC, 0 },
	{ "exec", 0, MOUNT_ATTR_NOEXEC },
	{ "noatime", MOUNT_ATTR_NOATIME, 0 },
	{ "nodiratime", MOUNT_ATTR_NODIRATIME, 0 },
	/* what a mount is anyway, or what only the file system beneath decides */
	{ "relatime" },
	{ "strictatime" },
	{ "atime" },
	{ "diratime" },
	{ "lazytime" },
	{ "nolazytime" },
	{ "async" },
	{ "defaults" },
	{ "default_permissions" },
	{ "auto_unmount" },
};

static const char *const contexts[] = { "context", "fscontext", "defcontext", "rootcontext" };

bool union_option_is_context(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(contexts); i++) {
		if (streq(key, contexts[i]))
			return true;
	}
	return false;
}

int union_option_value(struct union_options *o, const char *key, const char *value)
{
	if (union_option_is_context(key))
		return strv_addf(&o->context, "%s=%s", key, value);
	for (size_t i = 0; i < ARRAY_SIZE(with_value); i++) {
		if (streq(key, with_value[i].name))
			return with_value[i].set ? with_value[i].set(o, value) : 0;
	}
	return err(-EINVAL, "unknown option: %s=%s", key, value);
}

int union_option_flag(struct union_options *o, const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
		if (streq(key, switches[i].name)) {
			*(bool *)((char *)o + switches[i].field) = switches[i].value;
			return 0;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (streq(key, flags[i].name)) {
			o->attrs = (o->attrs & ~flags[i].clear) | flags[i].set;
			return 0;
		}
	}
	/* Comments for programs that read fstab(5). */
	if (str_after(key, "x-") || str_after(key, "X-") || streq(key, "_netdev"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(with_value); i++) {
		if (streq(key, with_value[i].name))
			return err(-EINVAL, "option %s: no value", key);
	}
	return err(-EINVAL, "unknown option: %s", key);
}
