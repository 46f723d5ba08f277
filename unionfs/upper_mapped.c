/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dialect that needs no capability: regular files and directories of the serving uid; who owns
 * a thing and what it is stands in user.containers.override_stat, as containers/storage writes it
 * (pkg/idtools: uid:gid:mode:type).
 */
#include "base/str.h"
#include "unionfs/acl.h"
#include "unionfs/union.h"
#include "unionfs/xat.h"

#include <errno.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define OVERRIDE     "user.containers.override_stat"
#define OVERRIDE_MAX 128
#define ESCAPE	     "user.strata.x."

static int format(const struct perm *p, char text[OVERRIDE_MAX])
{
	int n = snprintf(text, OVERRIDE_MAX, "%u:%u:%04o:", p->uid, p->gid, p->mode & 07777);
	const char *type = S_ISDIR(p->mode)  ? "dir" :
			   S_ISLNK(p->mode)  ? "symlink" :
			   S_ISFIFO(p->mode) ? "pipe" :
			   S_ISSOCK(p->mode) ? "socket" :
			   S_ISCHR(p->mode)  ? "char" :
			   S_ISBLK(p->mode)  ? "block" :
					       "file";

	n += snprintf(text + n, OVERRIDE_MAX - (size_t)n, "%s", type);
	if (S_ISCHR(p->mode) || S_ISBLK(p->mode))
		n += snprintf(text + n, OVERRIDE_MAX - (size_t)n, "-%u-%u", major(p->rdev),
			      minor(p->rdev));
	return n;
}

static int parse_type(const char *s, struct perm *p)
{
	static const struct {
		const char *name;
		uint32_t type;
	} types[] = {
		{ "file", S_IFREG }, { "dir", S_IFDIR },     { "symlink", S_IFLNK },
		{ "pipe", S_IFIFO }, { "socket", S_IFSOCK },
	};
	const char *number;
	uint64_t major, minor;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (streq(s, types[i].name)) {
			p->mode |= types[i].type;
			return 0;
		}
	}
	number = str_after(s, "char-");
	p->mode |= number ? S_IFCHR : S_IFBLK;
	if (!number)
		number = str_after(s, "block-");
	if (!number || str_number(&number, 10, UINT32_MAX, &major) < 0 || *number++ != '-' ||
	    str_number(&number, 10, UINT32_MAX, &minor) < 0 || *number)
		return -EIO;
	p->rdev = makedev(major, minor);
	return 0;
}

/* The upper is ours, but a damaged one must not make a directory of a file. */
static int parse(const char *text, uint32_t real, struct perm *ret)
{
	uint64_t uid, gid, mode;
	struct perm p;

	if (str_number(&text, 10, UINT32_MAX, &uid) < 0 || *text++ != ':' ||
	    str_number(&text, 10, UINT32_MAX, &gid) < 0 || *text++ != ':' ||
	    str_number(&text, 8, 07777, &mode) < 0)
		return -EIO;
	p = (struct perm){ .uid = (uint32_t)uid, .gid = (uint32_t)gid, .mode = (uint32_t)mode };
	if (!*text)
		p.mode |= real & S_IFMT;
	else if (*text++ != ':' || parse_type(text, &p) < 0)
		return -EIO;
	if (S_ISDIR(p.mode) != S_ISDIR(real))
		return -EIO;
	*ret = p;
	return 0;
}

static int mapped_load(struct ufs *u, const struct at *at, struct stat *st, struct perm *ret)
{
	char text[OVERRIDE_MAX];
	ssize_t n;
	int e = 0;

	(void)u;
	*ret = (struct perm){ .mode = st->st_mode };
	/*
	 * Nothing but files and directories was put here by us, and nothing else has such an xattr.
	 */
	if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) {
		n = xat_get(at->dirfd, at->name, OVERRIDE, text, sizeof(text) - 1);
		if (n < 0)
			e = n == -ENODATA ? 0 : (int)n;
		else
			e = (text[n] = 0, parse(text, st->st_mode, ret));
	}
	if (e)
		return e;
	st->st_mode = ret->mode;
	st->st_uid = ret->uid;
	st->st_gid = ret->gid;
	st->st_rdev = ret->rdev;
	return 0;
}

static int make_file(int dirfd, const char *tmp, const char *target)
{
	_close_ int fd =
		openat(dirfd, tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	return target ? fd_write_full(fd, target, strlen(target)) : 0;
}

static int mapped_make(struct ufs *u, const char *tmp, const struct perm *p, const char *target)
{
	struct at at = { .dirfd = u->upper.tmp, .name = tmp };
	int e;

	if (S_ISDIR(p->mode))
		e = mkdirat(at.dirfd, tmp, 0700) < 0 ? -errno : 0;
	else
		e = make_file(at.dirfd, tmp, S_ISLNK(p->mode) ? target : NULL);
	return e ? e : u->upper.dialect->set_perm(u, &at, p, p);
}

static int mapped_set_perm(struct ufs *u, const struct at *at, const struct perm *from,
			   const struct perm *to)
{
	char text[OVERRIDE_MAX];
	int n = format(to, text);

	(void)u;
	(void)from;
	return xat_set(at->dirfd, at->name, OVERRIDE, text, (size_t)n, 0);
}

static ssize_t mapped_readlink(struct ufs *u, const struct at *at, char *buf, size_t size)
{
	_close_ int fd =
		openat(at->dirfd, at->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	(void)u;
	return fd < 0 ? -errno : fd_pread_full(fd, buf, size, 0);
}

/* What Linux knows of namespaces of xattrs. */
static bool is_known(const char *name)
{
	const char *rest = str_after(name, "trusted.overlay.");

	if (!rest)
		rest = str_after(name, "trusted.");
	if (!rest)
		rest = str_after(name, "security.");
	return rest ? *rest : acl_is_name(name);
}

static int mapped_xname(const struct ufs *u, const char *name, char ret[256])
{
	if (str_after(name, "user."))
		return xname_store(u, name, ret);
	if (upper_hides(u, name))
		return -EPERM;
	if (!is_known(name))
		return str_after(name, "trusted.") || str_after(name, "security.") ? -EINVAL :
										     -EOPNOTSUPP;
	return snprintf(ret, 256, ESCAPE "%s", name) >= 256 ? -ERANGE : 0;
}

/* What else a file system shows (security.selinux) is the host's. */
static bool mapped_xname_back(const struct ufs *u, const char *stored, char ret[256])
{
	const char *escaped = str_after(stored, ESCAPE);

	if (escaped)
		return !upper_hides(u, escaped) && str_copy(ret, 256, escaped) >= 0;
	return str_after(stored, "user.") && xname_show(u, stored, ret);
}

const struct dialect dialect_mapped = {
	.load = mapped_load,
	.make = mapped_make,
	.set_perm = mapped_set_perm,
	.readlink = mapped_readlink,
	.xname = mapped_xname,
	.xname_back = mapped_xname_back,
};
