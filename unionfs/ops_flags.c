/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IOCTL: the flags of chattr(1), in both of Linux' forms. A native top's are its file's own, but
 * for those of protect.h; a mapped one has only these, since what else there is would be the
 * host's.
 */
#include "unionfs/copyup.h"
#include "unionfs/protect.h"
#include "unionfs/request.h"

#include <errno.h>
#include <sys/ioctl.h>

#define PROTECT_XFLAGS ((uint32_t)(FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND))

union flags {
	uint32_t flags;
	struct fsxattr x;
};

static bool is_x(uint32_t cmd)
{
	return cmd == FS_IOC_FSGETXATTR || cmd == FS_IOC_FSSETXATTR;
}

static size_t size_of(uint32_t cmd)
{
	return is_x(cmd) ? sizeof(struct fsxattr) : sizeof(uint32_t);
}

static unsigned int protection_in(uint32_t cmd, const union flags *f)
{
	if (!is_x(cmd))
		return f->flags & PROTECT_FLAGS;
	return (f->x.fsx_xflags & FS_XFLAG_IMMUTABLE ? FS_IMMUTABLE_FL : 0) |
	       (f->x.fsx_xflags & FS_XFLAG_APPEND ? FS_APPEND_FL : 0);
}

static void add_protection(uint32_t cmd, union flags *f, unsigned int protect)
{
	if (!is_x(cmd))
		f->flags |= protect;
	else
		f->x.fsx_xflags |= (protect & FS_IMMUTABLE_FL ? FS_XFLAG_IMMUTABLE : 0) |
				   (protect & FS_APPEND_FL ? FS_XFLAG_APPEND : 0);
}

static void drop_protection(uint32_t cmd, union flags *f)
{
	if (is_x(cmd))
		f->x.fsx_xflags &= ~PROTECT_XFLAGS;
	else
		f->flags &= ~PROTECT_FLAGS;
}

/* ---- the upper ---- */

static int call(int fd, uint32_t cmd, union flags *f)
{
	return ioctl(fd, cmd, f) < 0 ? -errno : 0;
}

static int call_dir(const struct at *at, uint32_t cmd, union flags *f)
{
	_close_ int fd = openat(at->dirfd, *at->name ? at->name : ".",
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : call(fd, cmd, f);
}

static int call_upper(struct ufs *u, struct node *n, uint32_t cmd, union flags *f)
{
	struct fd_ref *file;
	struct at at;
	int e;

	if (!S_ISDIR(n->type)) {
		e = node_fd(u, n, &file);
		if (e)
			return e;
		e = call(file->fd, cmd, f);
		fdcache_put(&u->fds, file);
		return e;
	}
	pthread_rwlock_rdlock(&u->tree);
	e = node_at(u, n, &at);
	if (!e) {
		e = call_dir(&at, cmd, f);
		at_put(u, &at);
	}
	pthread_rwlock_unlock(&u->tree);
	return e;
}

static bool has_own(const struct ufs *u)
{
	return u->mode == UFS_UPPER_NATIVE;
}

/* ---- requests ---- */

static int get(struct ufs *u, const struct inode *i, uint32_t cmd, union flags *ret)
{
	int e = 0;

	if (!i->node) {
		e = u->mode == UFS_UPPER_MAPPED ? 0 : lower_flags(&u->lower, i->lower, cmd, ret);
		add_protection(cmd, ret, lower_protection(&u->lower, i->lower));
		return e;
	}
	if (has_own(u))
		e = call_upper(u, i->node, cmd, ret);
	add_protection(cmd, ret, i->node->protect);
	return e;
}

/* Nothing else is a mapped top's to keep. */
static bool is_clear(uint32_t cmd, const union flags *f)
{
	static const struct fsxattr none;

	return is_x(cmd) ? memcmp(&f->x, &none, sizeof(none)) == 0 : !f->flags;
}

/* In the upper by now; its stripe held. */
static int set(struct ufs *u, struct node *n, uint32_t cmd, union flags *f)
{
	unsigned int protect = protection_in(cmd, f);
	struct at at;
	int e = 0;

	drop_protection(cmd, f);
	if (has_own(u))
		e = call_upper(u, n, cmd, f);
	else if (!is_clear(cmd, f))
		e = -EOPNOTSUPP;
	if (e || protect == n->protect)
		return e;
	pthread_rwlock_rdlock(&u->tree);
	e = node_at(u, n, &at);
	if (!e) {
		e = protect_store(u, &at, protect);
		at_put(u, &at);
	}
	pthread_rwlock_unlock(&u->tree);
	if (!e)
		protect_node(u, n, protect);
	return e;
}

/*
 * What the client saw, and changed, were the flags of a lower @seen, maybe of another file system:
 * those of the copy are changed likewise.
 */
static int apply_to_copy(struct ufs *u, struct node *n, uint32_t cmd, union flags *seen,
			 union flags *f)
{
	union flags now = { 0 };
	int e = call_upper(u, n, is_x(cmd) ? FS_IOC_FSGETXATTR : FS_IOC_GETFLAGS, &now);

	drop_protection(cmd, seen);
	if (is_x(cmd))
		f->x.fsx_xflags ^= seen->x.fsx_xflags ^ now.x.fsx_xflags;
	else
		f->flags ^= seen->flags ^ now.flags;
	return e;
}

static int set_in_upper(struct ufs *u, struct inode *i, uint32_t cmd, union flags *f)
{
	bool was_lower = !i->node;
	union flags seen = { 0 };
	pthread_mutex_t *stripe;
	int e = was_lower ? get(u, i, is_x(cmd) ? FS_IOC_FSGETXATTR : FS_IOC_GETFLAGS, &seen) : 0;

	if (!e)
		e = copyup(u, i, COPYUP_META);
	if (!e && was_lower && has_own(u))
		e = apply_to_copy(u, i->node, cmd, &seen, f);
	if (e)
		return e;
	stripe = ufs_stripe(u, i->node->id);
	pthread_mutex_lock(stripe);
	e = set(u, i->node, cmd, f);
	pthread_mutex_unlock(stripe);
	return e;
}

static int flags_request(struct request *r, uint32_t cmd, union flags *f)
{
	bool sets = cmd == FS_IOC_SETFLAGS || cmd == FS_IOC_FSSETXATTR;
	struct ufs *u = r->u;
	struct inode i;
	struct stat st;
	int e;

	if (sets && (u->mode == UFS_UPPER_NONE || u->rdonly))
		return -EROFS;
	if (sets && request_gather(r, r->payload, f, size_of(cmd)) != size_of(cmd))
		return -EINVAL;
	e = inode_pin(u, r->h.nodeid, &i);
	if (e)
		return e;
	pthread_rwlock_rdlock(&u->tree);
	e = inode_stat(u, &i, &st);
	pthread_rwlock_unlock(&u->tree);
	if (!e && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		e = -ENOTTY;
	if (!e)
		e = sets ? set_in_upper(u, &i, cmd, f) : get(u, &i, cmd, f);
	inode_unpin(u, &i);
	return e;
}

ssize_t op_ioctl(struct request *r)
{
	const struct wire_ioctl_in *in = r->arg;
	struct {
		struct wire_ioctl_out out;
		union flags f;
	} o = { 0 };
	size_t len = 0;
	int e = -ENOTTY;

	if (r->u->mode == UFS_UPPER_PLAIN)
		return request_fail(r, e);
	switch (in->cmd) {
	case FS_IOC_GETFLAGS:
	case FS_IOC_FSGETXATTR:
		len = MIN(size_of(in->cmd), (size_t)in->out_size);
		/* fall through */
	case FS_IOC_SETFLAGS:
	case FS_IOC_FSSETXATTR:
		e = flags_request(r, in->cmd, &o.f);
	}
	return e ? request_fail(r, e) : request_reply(r, 0, &o, sizeof(o.out) + len);
}
